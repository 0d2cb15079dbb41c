// What an idle reactor costs: nothing. strace watches idle_program.cc.
#include <sstream>

#include "tests/loop/traced.h"

namespace beamline {
namespace {

TEST(IdleTest, FiveSecondsIdleAreOneSystemCall) {
  if (const std::string why = why_no_trace(); !why.empty()) GTEST_SKIP() << why;
  const auto lines = trace("-r -e signal=none", BEAMLINE_IDLE_PROGRAM);
  // Between the mark and the first call after the wait.
  const auto begin = std::ranges::find_if(lines, is_mark);
  ASSERT_GT(lines.end() - begin, 2);
  const std::string &wait = begin[1], &next = begin[2];
  EXPECT_NE(wait.find("io_uring_enter"), std::string::npos) << wait;
  // -r: seconds since the call before. The one after the wait comes five seconds later, less what a
  // busy machine took from arming the timer to the wait.
  std::istringstream after(next);
  int process = 0;
  double waited = 0;
  after >> process >> waited;
  EXPECT_GE(waited, 4.0) << wait << "\n" << next;
}

}  // namespace
}  // namespace beamline
