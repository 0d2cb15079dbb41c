// Counts what operator new handed out and did not get back. Link live_bytes.cc.
#pragma once

#include <cstddef>

namespace beamline::chain::testing {

// With malloc's rounding. For programs of one thread.
size_t live_bytes();

}  // namespace beamline::chain::testing
