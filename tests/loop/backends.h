// The backend that a test of drivers runs on: io_uring, or epoll in the runs that the environment
// says so. tests/loop/CMakeLists.txt makes ctest run each case on all of them.
#pragma once

#include <cstdlib>
#include <memory>
#include <string_view>

#include "loop/epoll.h"
#include "loop/ring.h"

namespace beamline {

inline bool on_epoll() {
  const char* backend = std::getenv("BEAMLINE_TEST_BACKEND");
  return backend != nullptr && std::string_view(backend) == "epoll";
}

// The options are the ring's; epoll has nothing like them.
inline Result<std::unique_ptr<Backend>> make_test_backend(const RingOptions& options = {}) {
  return on_epoll() ? make_epoll() : make_ring(options);
}

}  // namespace beamline
