// Counts what operator new hands out, for tests that promise no allocation. Link allocations.cc.
#pragma once

#include <cstdint>

namespace beamline {

// Of the calling thread, since it began.
uint64_t allocations_of_this_thread();

}  // namespace beamline
