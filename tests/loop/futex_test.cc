// A reactor under load waits for nobody: strace watches futex_program.cc.
#include "tests/loop/traced.h"

namespace beamline {
namespace {

TEST(FutexTest, StraceOfAReactorThreadUnderLoadShowsNoFutexCall) {
  if (const std::string why = why_no_trace(); !why.empty()) GTEST_SKIP() << why;
  const auto lines = trace("-e trace=futex,write -e signal=none", BEAMLINE_FUTEX_PROGRAM);
  const auto begin = std::ranges::find_if(lines, is_mark);
  ASSERT_NE(begin, lines.end());
  const auto end = std::find_if(begin + 1, lines.end(), is_mark);
  ASSERT_NE(end, lines.end());
  // The reactor makes the marks itself.
  const std::string thread = begin->substr(0, begin->find(' ') + 1);
  EXPECT_TRUE(end->starts_with(thread)) << *begin << "\n" << *end;
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
