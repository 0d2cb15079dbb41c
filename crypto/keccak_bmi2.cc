// Keccak-f[1600] compiled for BMI1 and BMI2 (andn, rorx): the flags stand in CMakeLists.txt.

#include "crypto/keccak_rounds.h"

namespace beamline::keccak_internal {

#if defined(__x86_64__)

void bmi2_permute(uint64_t* state) { all_rounds(state); }

bool bmi2_supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
}

#else

void bmi2_permute(uint64_t*) {}
bool bmi2_supported() { return false; }

#endif

}  // namespace beamline::keccak_internal
