// The loop's tests on the oldest kernel that it promises to run on: Debian's own 6.1, under qemu.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace beamline {
namespace {

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int run(const std::string& command, const std::string& log) {
  const int status = std::system((command + " >" + log + " 2>&1 </dev/null").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Kernel, TheLoopsTestsPassOnDebians61UnderQemu) {
  const std::string directory = BEAMLINE_VM_DIRECTORY, log = directory + ".log";
  ASSERT_EQ(run("cmake --build " BEAMLINE_BUILD " --target vm_init vm_loop vm_reactor", log), 0)
      << read_file(log);
  // Left out: what measures time that the emulation does not keep, and tests that fork themselves.
  const std::string filter = "*DeathTest*";
  const std::string programs =
      BEAMLINE_VM_INIT " '" + filter + "' " BEAMLINE_VM_LOOP " " BEAMLINE_VM_REACTOR;
  const int status = run(BEAMLINE_VM_SCRIPT " " + directory + " " + programs, log);
  if (status == 77) GTEST_SKIP() << read_file(log);
  const std::string console = read_file(directory + "/console");
  EXPECT_EQ(status, 0) << read_file(log) << console;
  EXPECT_NE(console.find("machine: 6.1."), std::string::npos) << console;
  for (const char* line : {"vm_loop on io_uring: status 0", "vm_loop on epoll: status 0",
                           "vm_reactor on io_uring: status 0", "machine: done"}) {
    EXPECT_NE(console.find(line), std::string::npos) << line << "\n" << console;
  }
}

}  // namespace
}  // namespace beamline
