// Which backend a reactor runs on, and why not io_uring where it is not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "loop/backend.h"

namespace beamline {

enum class BackendKind : uint8_t {
  auto_,  // io_uring, or epoll where there is none
  io_uring,
  epoll,
};
const char* name(BackendKind kind);
// "auto", "io_uring" or "epoll"; nothing for another text.
std::optional<BackendKind> parse_backend(std::string_view text);

// With default options, for the calling thread (see loop/ring.h, loop/epoll.h).
Result<std::unique_ptr<Backend>> make_backend(BackendKind kind);

// The same as functions without arguments, which is what ReactorThread takes.
using MakeBackend = Result<std::unique_ptr<Backend>> (*)();
MakeBackend backend_maker(BackendKind kind);

// Finds out, once at start-up, what `wanted` means on this machine.
struct BackendChoice {
  BackendKind kind = BackendKind::epoll;  // never auto_
  // What is wrong with io_uring and its cure, in one line, if auto_ had to do without.
  std::string warning;
};
// Fails if io_uring was wanted and is not to be had; see explain_ring().
Result<BackendChoice> choose_backend(BackendKind wanted);

// ---- Why make_ring() failed

enum class RingObstacle : uint8_t {
  missing,      // a kernel without it
  forbidden,    // by a seccomp filter, as containers have
  disabled,     // by the sysctl kernel.io_uring_disabled
  too_old,      // before Linux 6.1
  descriptors,  // the limit of open files
  memory,       // the limit of locked memory
  other,
};

// What decides between causes that give the same errno.
struct Machine {
  int major = 0;  // of the kernel
  int minor = 0;
  int io_uring_disabled = 0;  // the sysctl; 0 where there is none
  bool seccomp = false;       // a filter is on this thread
};
// `proc` is where procfs is mounted; what cannot be read keeps its default.
Machine read_machine(const char* proc = "/proc");

// What io_uring_setup's errno means on this machine.
RingObstacle find_obstacle(int err, const Machine& machine);
// The error of make_ring(): not_supported, or io_error with the errno for `other`.
Error ring_error(RingObstacle obstacle, int err);
// The cause and the cure of an error of make_ring(), in one line. Allocates.
std::string explain_ring(const Error& error);

}  // namespace beamline
