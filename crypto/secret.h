// What secrets need: comparison in constant time, and wiping that the compiler keeps.
#pragma once

#include "base/bytes.h"

namespace beamline {

// Takes the same time wherever the bytes differ. Different sizes are unequal at once.
bool constant_time_equal(Bytes a, Bytes b);

// Overwrites with zeros, also when nothing reads the memory afterwards.
void secure_wipe(MutableBytes memory);

}  // namespace beamline
