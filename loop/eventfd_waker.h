// The waker of the backends that run on a real kernel. Its eventfd is polled and never read: each
// write is an edge, and what is not read costs no system call.
#pragma once

#include <cstdint>

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop/waker.h"

namespace beamline {

class EventfdWaker final : public Waker {
 public:
  EventfdWaker() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~EventfdWaker() override {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  void wake() override {
    const uint64_t one = 1;
    // It cannot fail but by overflow, and a full counter has woken the reactor long before. Not
    // ::write(), which is a cancellation point and pays for it with two atomic operations.
    [[maybe_unused]] const long written = syscall(SYS_write, fd_, &one, sizeof one);
  }

 private:
  const int fd_;
};

}  // namespace beamline
