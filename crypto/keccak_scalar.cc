// Keccak-f[1600] for any CPU.

#include "crypto/keccak_rounds.h"

namespace beamline::keccak_internal {

void scalar_permute(uint64_t* state) { all_rounds(state); }

}  // namespace beamline::keccak_internal
