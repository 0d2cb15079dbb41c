// An idle reactor is not a task that waits for a disk: `top` shows no iowait for it.
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop/abi.h"
#include "loop/reactor_thread.h"
#include "loop/ring.h"

namespace beamline {
namespace {

struct Idle final : ReactorProgram {
  Status on_start(Reactor&) override {
    thread = gettid();
    return {};
  }
  void on_stop(Reactor&) override {}
  pid_t thread = 0;
};

bool kernel_has_the_flag() {
  io_uring_params params{};
  const long ring = syscall(SYS_io_uring_setup, 2, &params);
  if (ring < 0) return false;
  close(static_cast<int>(ring));
  return (params.features & abi::kFeatureNoIowait) != 0;
}

// Tasks of the machine that wait in the way that counts as iowait.
int waiting_for_io() {
  std::ifstream stat("/proc/stat");
  for (std::string word; stat >> word;) {
    int count = 0;
    if (word == "procs_blocked" && stat >> count) return count;
  }
  ADD_FAILURE() << "/proc/stat has no procs_blocked";
  return 0;
}

bool waits_in_the_ring(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/syscall");
  long number = -1;
  return file >> number && number == SYS_io_uring_enter;
}

// Whether this machine is ever seen without such a task. Others may have one for a while; a reactor
// that counts as one does so all the time.
bool ever_none(int samples) {
  for (int i = 0; i < samples; ++i) {
    if (waiting_for_io() == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // only spreads the samples
  }
  return false;
}

bool ever_none_beside_idle(RingOptions options, int samples) {
  static RingOptions chosen;
  chosen = options;
  Idle idle;
  ReactorThread thread;
  EXPECT_TRUE(thread.start("bl-idle", [] { return make_ring(chosen); }, idle));
  while (!waits_in_the_ring(idle.thread)) std::this_thread::yield();
  return ever_none(samples);
}

TEST(IdleTest, AnIdleReactorShowsNoIowait) {
  if (!kernel_has_the_flag()) GTEST_SKIP() << "this kernel has no IORING_ENTER_NO_IOWAIT (6.15)";
  if (std::string word; !(std::ifstream("/proc/self/syscall") >> word)) {
    GTEST_SKIP() << "/proc/self/syscall cannot be read";
  }
  if (!ever_none(5000)) GTEST_SKIP() << "other tasks of this machine wait for disks all the time";
  if (ever_none_beside_idle({.only_linux_6_1 = true}, 200)) {
    GTEST_SKIP() << "this kernel counts no wait on a ring as iowait, with or without the flag";
  }
  EXPECT_TRUE(ever_none_beside_idle({}, 5000));
}

}  // namespace
}  // namespace beamline
