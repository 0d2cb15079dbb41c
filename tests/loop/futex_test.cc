// A reactor under load waits for nobody: strace watches futex_program.cc.
#include "tests/loop/traced.h"

namespace beamline {
namespace {

TEST(FutexTest, StraceOfAReactorThreadUnderLoadShowsNoFutexCall) {
  if (const std::string why = why_no_trace(); !why.empty()) GTEST_SKIP() << why;
  const auto lines = trace("-e trace=futex,write -e signal=none", BEAMLINE_FUTEX_PROGRAM);
  Marked marked;  // by the reactor
  ASSERT_NO_FATAL_FAILURE(find_marked(lines, marked));
  const auto& [begin, end, thread] = marked;
  size_t others = 0;
  for (auto line = lines.begin(); line != lines.end(); ++line) {
    if (line->find("futex") == std::string::npos) continue;
    const bool ours = line->starts_with(thread);
    EXPECT_FALSE(ours && line > begin && line < end) << *line;
    others += !ours;
  }
  // The trace would have shown one: those who start and end the threads wait for them.
  EXPECT_GT(others, 0u);
}

}  // namespace
}  // namespace beamline
