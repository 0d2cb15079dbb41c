// The core under a flood waits for nobody and for no disk: strace watches core_futex_program.cc.
#include "tests/loop/traced.h"

namespace beamline::node {
namespace {

TEST(CoreFutex, StraceOfTheCoresThreadUnderAFloodShowsNoFutexAndNoFsync) {
  if (const std::string why = why_no_trace(); !why.empty()) GTEST_SKIP() << why;
  const auto lines =
      trace("-e trace=futex,fsync,fdatasync,sync_file_range,msync,sched_yield,write -e signal=none",
            BEAMLINE_CORE_FUTEX_PROGRAM);
  Marked marked;  // by the core
  ASSERT_NO_FATAL_FAILURE(find_marked(lines, marked));
  const auto& [begin, end, thread] = marked;
  size_t futexes = 0, syncs = 0;
  for (auto line = begin + 1; line < end; ++line) {
    const bool ours = line->starts_with(thread);
    const bool sync = line->find("sync") != std::string::npos;
    const bool waits = sync || line->find("futex") != std::string::npos ||
                       line->find("sched_yield") != std::string::npos;
    EXPECT_FALSE(ours && waits) << *line;
    syncs += !ours && sync;
  }
  for (const std::string& line : lines) futexes += line.find("futex") != std::string::npos;
  // The trace would have shown them: others sync for it while it runs, and wait at the end.
  EXPECT_GT(syncs, 0u);
  EXPECT_GT(futexes, 0u);
}

}  // namespace
}  // namespace beamline::node
