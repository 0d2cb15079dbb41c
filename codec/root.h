// The numbers and hashes that every part of the chain names.
#pragma once

#include <cstdint>

#include "crypto/hash.h"

namespace beamline {

using Root = Hash256;  // an SSZ hash_tree_root
using Slot = uint64_t;
using Epoch = uint64_t;
using ValidatorIndex = uint64_t;

}  // namespace beamline
