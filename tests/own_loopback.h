// A loopback address that no other process of the tests uses. What is bound twice, or must have
// nobody behind it, is bound there: of 127.0.0.1 any port that was let go may be somebody's next.
#pragma once

#include <unistd.h>

#include "base/endpoint.h"

namespace beamline {

// With port 0.
inline Endpoint own_loopback() {
  return Endpoint::v4(0x7f400000u | (static_cast<uint32_t>(getpid()) & 0x3fffffu), 0);
}

}  // namespace beamline
