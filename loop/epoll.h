// The epoll backend, for machines where io_uring is missing or forbidden. It keeps the contract of
// loop/backend.h; operations are tried when the reactor enters and wait for readiness after that.
#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "loop/backend.h"

namespace beamline {

struct EpollOptions {
  uint32_t events = 512;             // taken from the kernel at once
  uint32_t completion_limit = 4096;  // not reaped; beyond it multishot operations pause
};

// The calling thread becomes the owner: it alone may use the backend (its waker excepted). Fails
// with invalid_argument (an option) or io_error with the errno.
Result<std::unique_ptr<Backend>> make_epoll(const EpollOptions& options = {});

}  // namespace beamline
