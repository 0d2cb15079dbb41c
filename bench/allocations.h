// Counts what the program it is linked into allocates by operator new.
#pragma once

#include <cstdint>

namespace beamline::bench {

uint64_t allocations();

}  // namespace beamline::bench
