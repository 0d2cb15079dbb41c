// Where io_uring is not to be had: what is said, and what runs instead.
#include "loop/backends.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/epoll.h"
#include "loop/reactor.h"
#include "loop/ring.h"
#include "loop/udp.h"

namespace beamline {
namespace {

// From here on io_uring_setup answers `err` in this process, as it does in a container.
bool forbid_io_uring(uint32_t err) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// What `body` returns in a child of ours, behind such a filter.
std::string behind_a_filter(int err, const std::function<std::string()>& body) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = forbid_io_uring(static_cast<uint32_t>(err)) ? body() : "no filter";
    const ssize_t written = write(ends[1], text.data(), text.size());
    _exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char piece[512];
  for (ssize_t n = 0; (n = read(ends[0], piece, sizeof piece)) > 0;) {
    text.append(piece, static_cast<size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  return text;
}

std::string why_no_ring() {
  const auto ring = make_ring();
  return ring ? "a ring" : explain_ring(ring.error());
}

// One datagram to itself.
std::string say_hello(BackendKind kind) {
  struct Hello final : UdpHandler {
    void on_datagram(UdpSocket& socket, const Endpoint&, Lease lease) override {
      text = as_text(lease.bytes());
      socket.reactor().stop();
    }
    std::string text;
  } hello;
  auto backend = make_backend(kind);
  if (!backend) return to_string(backend.error());
  const std::string on = (*backend)->backend_name();
  const auto reactor = std::move(*Reactor::create(std::move(*backend)));
  auto udp = UdpSocket::open(*reactor, Endpoint::loopback(0), hello);
  if (!udp) return to_string(udp.error());
  static_cast<void>((*udp)->send((*udp)->local(), as_bytes("hello")));
  reactor->run();
  return hello.text + " on " + on;
}

TEST(Backends, SeccompThatForbidsIoUringIsNamedWithItsCure) {
  for (const int err : {EPERM, ENOSYS}) {
    const std::string why = behind_a_filter(err, why_no_ring);
    EXPECT_NE(why.find("a seccomp filter forbids io_uring"), std::string::npos) << why;
    EXPECT_NE(why.find("profile that allows io_uring_setup"), std::string::npos) << why;
  }
}

TEST(Backends, AKernelThatIsTooOldIsNamedWithItsCure) {
  // What a kernel before 6.1 says to a flag of 6.1.
  const std::string why = behind_a_filter(EINVAL, why_no_ring);
  EXPECT_EQ(why, "this kernel is older than Linux 6.1; cure: use Linux 6.1 or later");
  EXPECT_EQ(find_obstacle(ENOSYS, {.major = 4, .minor = 19}), RingObstacle::too_old);
  EXPECT_EQ(find_obstacle(ENOSYS, {.major = 5, .minor = 0}), RingObstacle::too_old);
}

TEST(Backends, AKernelWithoutIoUringIsNamedWithItsCure) {
  const RingObstacle missing = find_obstacle(ENOSYS, {.major = 6, .minor = 1});
  EXPECT_EQ(missing, RingObstacle::missing);
  const std::string why = explain_ring(ring_error(missing, ENOSYS));
  EXPECT_EQ(why, "this kernel was built without io_uring; cure: use a kernel with CONFIG_IO_URING");
}

class ProcDirectory {
 public:
  ProcDirectory() {
    char pattern[] = "/tmp/beamline-proc-XXXXXX";
    path = mkdtemp(pattern);
    std::filesystem::create_directories(path + "/sys/kernel");
    std::filesystem::create_directories(path + "/thread-self");
  }
  ~ProcDirectory() { std::filesystem::remove_all(path); }
  void write(const std::string& file, const std::string& text) const {
    std::ofstream(path + "/" + file) << text;
  }
  std::string path;
};

TEST(Backends, ASysctlThatDisablesIoUringIsNamedWithItsCure) {
  const ProcDirectory proc;
  proc.write("sys/kernel/osrelease", "6.6.13-cloud\n");
  proc.write("sys/kernel/io_uring_disabled", "2\n");
  proc.write("thread-self/status", "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n");
  const Machine machine = read_machine(proc.path.c_str());
  EXPECT_EQ(machine.major, 6);
  EXPECT_EQ(machine.minor, 6);
  EXPECT_EQ(machine.io_uring_disabled, 2);
  EXPECT_TRUE(machine.seccomp);
  const RingObstacle disabled = find_obstacle(EPERM, machine);
  EXPECT_EQ(disabled, RingObstacle::disabled);
  const std::string why = explain_ring(ring_error(disabled, EPERM));
  EXPECT_NE(why.find("the sysctl kernel.io_uring_disabled"), std::string::npos) << why;
  EXPECT_NE(why.find("sysctl -w kernel.io_uring_disabled=0"), std::string::npos) << why;
}

TEST(Backends, LimitsOfFilesAndMemoryAreNamed) {
  EXPECT_EQ(find_obstacle(EMFILE, {}), RingObstacle::descriptors);
  EXPECT_EQ(find_obstacle(ENOMEM, {}), RingObstacle::memory);
  EXPECT_NE(explain_ring(ring_error(RingObstacle::memory, ENOMEM)).find("ulimit -l"),
            std::string::npos);
  EXPECT_EQ(explain_ring(ring_error(find_obstacle(EIO, {}), EIO)), "io_uring: Input/output error");
}

TEST(Backends, WhatCannotBeReadOfTheMachineKeepsItsDefault) {
  const ProcDirectory proc;
  const Machine machine = read_machine(proc.path.c_str());
  EXPECT_EQ(machine.major, 0);
  EXPECT_EQ(machine.io_uring_disabled, 0);
  EXPECT_FALSE(machine.seccomp);
  proc.write("sys/kernel/osrelease", "garbage");
  proc.write("thread-self/status", std::string(10'000, 'x'));
  EXPECT_EQ(read_machine(proc.path.c_str()).major, 0);
}

TEST(Backends, AutoFallsBackToEpollWithAWarning) {
  const std::string said = behind_a_filter(EPERM, [] {
    const auto choice = choose_backend(BackendKind::auto_);
    if (!choice) return std::string("no choice");
    return choice->warning + "|" + say_hello(choice->kind) + "|" + say_hello(BackendKind::auto_);
  });
  EXPECT_EQ(said,
            "a seccomp filter forbids io_uring; cure: run the container with a seccomp profile "
            "that allows io_uring_setup, io_uring_enter and io_uring_register; going on with "
            "epoll|hello on epoll|hello on epoll");
}

TEST(Backends, IoUringThatWasAskedForIsNotReplaced) {
  const std::string said = behind_a_filter(EPERM, [] {
    const auto choice = choose_backend(BackendKind::io_uring);
    const auto made = make_backend(BackendKind::io_uring);
    return std::string(choice ? "choice" : choice.error().field) + "|" +
           (made ? "made" : made.error().field);
  });
  EXPECT_EQ(said, "io_uring (seccomp)|io_uring (seccomp)");
}

TEST(Backends, EachRunsUnderItsName) {
  EXPECT_EQ(say_hello(BackendKind::io_uring), "hello on io_uring");
  EXPECT_EQ(say_hello(BackendKind::epoll), "hello on epoll");
  const auto choice = choose_backend(BackendKind::auto_);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->kind, BackendKind::io_uring);
  EXPECT_EQ(choice->warning, "");
  for (const char* text : {"auto", "io_uring", "epoll"}) {
    ASSERT_TRUE(parse_backend(text)) << text;
    EXPECT_STREQ(name(*parse_backend(text)), text);
  }
  EXPECT_FALSE(parse_backend("iouring"));
  EXPECT_FALSE(parse_backend(""));
}

TEST(Backends, AnUnknownRingMaskIsRefused) {
  const char* before = std::getenv("BEAMLINE_RING_MASK");
  const std::string kept = before == nullptr ? "" : before;
  setenv("BEAMLINE_RING_MASK", "5.19", 1);
  const auto ring = make_ring();
  setenv("BEAMLINE_RING_MASK", kept.c_str(), 1);
  ASSERT_FALSE(ring);
  EXPECT_EQ(ring.error().code, Code::invalid_argument);
  EXPECT_STREQ(ring.error().field, "BEAMLINE_RING_MASK");
  EXPECT_TRUE(make_ring());
}

TEST(Backends, WrongEpollOptionsAreNamed) {
  EXPECT_STREQ(make_epoll({.events = 0}).error().field, "events");
  EXPECT_STREQ(make_epoll({.completion_limit = 0}).error().field, "completion_limit");
}

}  // namespace
}  // namespace beamline
