// Crypto++'s permutation, which its classes Keccak_256 and SHA3_256 share. The library exports it
// and declares it in no header that it installs.

#include <type_traits>

#include <cryptopp/config_int.h>

#include "crypto/keccak_rounds.h"

namespace CryptoPP {
// The compiler cannot check this against the library; the tests do (keccak_test.cc).
void KeccakF1600(word64* state);
}  // namespace CryptoPP

namespace beamline::keccak_internal {

static_assert(std::is_same_v<CryptoPP::word64, uint64_t>);

void cryptopp_permute(uint64_t* state) { CryptoPP::KeccakF1600(state); }

}  // namespace beamline::keccak_internal
