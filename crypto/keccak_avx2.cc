// Keccak-f[1600] of four states at once, compiled for AVX2: the flags stand in CMakeLists.txt.

#include "crypto/keccak_rounds.h"

namespace beamline::keccak_internal {

#if defined(__x86_64__)

namespace {
using FourLanes = uint64_t __attribute__((vector_size(32)));
}

void avx2_permute_four(uint64_t* states) {
  FourLanes lanes[25];
  __builtin_memcpy(lanes, states, sizeof(lanes));
  all_rounds(lanes);
  __builtin_memcpy(states, lanes, sizeof(lanes));
}

bool avx2_supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}

#else

void avx2_permute_four(uint64_t*) {}
bool avx2_supported() { return false; }

#endif

}  // namespace beamline::keccak_internal
