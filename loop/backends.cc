#include "loop/backends.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "loop/epoll.h"
#include "loop/ring.h"

namespace beamline {
namespace {

struct Explanation {
  RingObstacle obstacle;
  const char* field;  // of the error
  const char* cause;
  const char* cure;
};

constexpr std::array kExplanations = {
    Explanation{RingObstacle::missing, "io_uring (missing)",
                "this kernel was built without io_uring", "use a kernel with CONFIG_IO_URING"},
    Explanation{RingObstacle::forbidden, "io_uring (seccomp)", "a seccomp filter forbids io_uring",
                "run the container with a seccomp profile that allows io_uring_setup, "
                "io_uring_enter and io_uring_register"},
    Explanation{RingObstacle::disabled, "io_uring (sysctl)",
                "the sysctl kernel.io_uring_disabled turns io_uring off",
                "sysctl -w kernel.io_uring_disabled=0, or add the user to the group of "
                "kernel.io_uring_group"},
    Explanation{RingObstacle::too_old, "io_uring (kernel)", "this kernel is older than Linux 6.1",
                "use Linux 6.1 or later"},
    Explanation{RingObstacle::descriptors, "io_uring (open files)",
                "the limit of open files is reached", "raise it: ulimit -n"},
    Explanation{RingObstacle::memory, "io_uring (memory)",
                "the limit of locked memory is too low for io_uring", "raise it: ulimit -l"},
};

// The beginning of a file of procfs, as text.
std::array<char, 4096> read_text(const char* proc, const char* path) {
  std::array<char, 4096> text{};
  char full[256];
  std::snprintf(full, sizeof full, "%s/%s", proc, path);
  const int fd = ::open(full, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  const ssize_t n = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  if (n <= 0) text[0] = '\0';
  return text;
}

bool before(const Machine& machine, int major, int minor) {
  return machine.major < major || (machine.major == major && machine.minor < minor);
}

}  // namespace

const char* name(BackendKind kind) {
  switch (kind) {
    case BackendKind::auto_:
      return "auto";
    case BackendKind::io_uring:
      return "io_uring";
    case BackendKind::epoll:
      return "epoll";
  }
  return "unknown";
}

std::optional<BackendKind> parse_backend(std::string_view text) {
  for (const BackendKind kind : {BackendKind::auto_, BackendKind::io_uring, BackendKind::epoll}) {
    if (text == name(kind)) return kind;
  }
  return std::nullopt;
}

Result<std::unique_ptr<Backend>> make_backend(BackendKind kind) {
  if (kind == BackendKind::epoll) return make_epoll();
  auto ring = make_ring();
  if (ring || kind == BackendKind::io_uring) return ring;
  return make_epoll();
}

MakeBackend backend_maker(BackendKind kind) {
  switch (kind) {
    case BackendKind::io_uring:
      return [] { return make_backend(BackendKind::io_uring); };
    case BackendKind::epoll:
      return [] { return make_backend(BackendKind::epoll); };
    case BackendKind::auto_:
      break;
  }
  return [] { return make_backend(BackendKind::auto_); };
}

Result<BackendChoice> choose_backend(BackendKind wanted) {
  if (wanted == BackendKind::epoll) return BackendChoice{BackendKind::epoll, {}};
  const auto ring = make_ring();
  if (ring) return BackendChoice{BackendKind::io_uring, {}};
  if (wanted == BackendKind::io_uring) return std::unexpected(ring.error());
  return BackendChoice{BackendKind::epoll, explain_ring(ring.error()) + "; going on with epoll"};
}

Machine read_machine(const char* proc) {
  Machine machine;
  const auto release = read_text(proc, "sys/kernel/osrelease");
  std::sscanf(release.data(), "%d.%d", &machine.major, &machine.minor);
  const auto disabled = read_text(proc, "sys/kernel/io_uring_disabled");
  std::sscanf(disabled.data(), "%d", &machine.io_uring_disabled);
  const auto status = read_text(proc, "thread-self/status");
  int mode = 0;
  const char* line = std::strstr(status.data(), "\nSeccomp:");
  if (line != nullptr) std::sscanf(line, "\nSeccomp: %d", &mode);
  machine.seccomp = mode != 0;
  return machine;
}

RingObstacle find_obstacle(int err, const Machine& machine) {
  switch (err) {
    case EPERM:
    case EACCES:
      return machine.io_uring_disabled != 0 ? RingObstacle::disabled : RingObstacle::forbidden;
    case ENOSYS:
      if (before(machine, 5, 1)) return RingObstacle::too_old;
      return machine.seccomp ? RingObstacle::forbidden : RingObstacle::missing;
    case EINVAL:  // a flag that this kernel does not know
      return RingObstacle::too_old;
    case EMFILE:
    case ENFILE:
      return RingObstacle::descriptors;
    case ENOMEM:
      return RingObstacle::memory;
    default:
      return RingObstacle::other;
  }
}

Error ring_error(RingObstacle obstacle, int err) {
  for (const Explanation& each : kExplanations) {
    if (each.obstacle == obstacle) {
      return {each.field, static_cast<uint32_t>(err), Code::not_supported, Fault::local};
    }
  }
  return {"io_uring", static_cast<uint32_t>(err), Code::io_error, Fault::local};
}

std::string explain_ring(const Error& error) {
  for (const Explanation& each : kExplanations) {
    if (std::strcmp(each.field, error.field) == 0) {
      return std::string(each.cause) + "; cure: " + each.cure;
    }
  }
  if (error.code != Code::io_error || error.offset == 0) return to_string(error);
  return std::string(error.field) + ": " + std::strerror(static_cast<int>(error.offset));
}

}  // namespace beamline
