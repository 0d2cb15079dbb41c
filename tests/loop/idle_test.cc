// What an idle reactor costs: nothing. strace watches idle_program.cc.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace beamline {
namespace {

struct Outcome {
  int status = -1;
  std::string output;
};

Outcome run(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> part;
  while (const size_t n = fread(part.data(), 1, part.size(), pipe)) {
    outcome.output.append(part.data(), n);
  }
  outcome.status = pclose(pipe);
  return outcome;
}

TEST(IdleTest, FiveSecondsIdleAreOneSystemCall) {
  if (run("command -v strace").status != 0) GTEST_SKIP() << "strace is not installed";
  if (run("strace -o /dev/null true 2>&1").status != 0) {
    GTEST_SKIP() << "strace may not trace here (ptrace is forbidden)";
  }
  const std::string trace = std::string(testing::TempDir()) + "idle." + std::to_string(getpid());
  const Outcome traced =
      run("strace -f -r -e signal=none -o " + trace + " " BEAMLINE_IDLE_PROGRAM " 2>&1");
  EXPECT_EQ(traced.status, 0) << traced.output;
  // Between the mark and the first call after the wait.
  std::ifstream lines(trace);
  std::vector<std::string> idle;
  bool begun = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("write(2, \"\", 0)") != std::string::npos) {
      begun = true;
    } else if (begun) {
      idle.push_back(line);
      if (idle.size() == 2) break;
    }
  }
  std::remove(trace.c_str());
  ASSERT_EQ(idle.size(), 2u) << traced.output;
  EXPECT_NE(idle[0].find("io_uring_enter"), std::string::npos) << idle[0];
  // -r: seconds since the call before. The one after the wait comes five seconds later.
  std::istringstream after(idle[1]);
  int process = 0;
  double waited = 0;
  after >> process >> waited;
  EXPECT_GE(waited, 4.9) << idle[0] << "\n" << idle[1];
}

}  // namespace
}  // namespace beamline
