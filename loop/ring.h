// The io_uring backend. Needs Linux 6.1; newer features are used when the kernel says it has them.
#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "loop/backend.h"

namespace beamline {

struct RingOptions {
  uint32_t sq_entries = 256;   // submissions before the queue is flushed early; a power of two
  uint32_t cq_entries = 4096;  // at least the completions of one turn
  uint32_t max_ops = 65536;    // operations in flight
  // No feature that came after Linux 6.1, as the environment's BEAMLINE_RING_MASK=6.1 asks for too.
  bool only_linux_6_1 = false;
};

// The calling thread becomes the ring's owner: it alone may use the backend (its waker excepted).
// Fails with invalid_argument (an option), or not_supported / io_error with the errno: what
// explain_ring() in loop/backends.h puts in words, with the cure.
Result<std::unique_ptr<Backend>> make_ring(const RingOptions& options = {});

}  // namespace beamline
