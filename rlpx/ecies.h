// ECIES as RLPx has it (devp2p rlpx.md, "ECIES Encryption"): secp256k1, the concatenation KDF over
// SHA-256, AES-128-CTR and HMAC-SHA-256. A message is
//   0x04 || ephemeral point (64) || iv (16) || ciphertext || tag (32)
// and the tag covers the iv, the ciphertext and the caller's `authenticated` bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"
#include "crypto/secp256k1.h"

namespace beamline::rlpx {

inline constexpr size_t kEciesPointSize = secp256k1::kUncompressedSize;
inline constexpr size_t kEciesIvSize = 16;
inline constexpr size_t kEciesTagSize = 32;
inline constexpr size_t kEciesOverhead = kEciesPointSize + kEciesIvSize + kEciesTagSize;

// Appends plain.size() + kEciesOverhead bytes. One key pair is made for each message.
void ecies_encrypt(const secp256k1::PublicKey& recipient, Bytes plain, Bytes authenticated,
                   Rng& rng, std::vector<uint8_t>& out);

// Decrypts in place and gives the part that is plain text. Errors (the peer's): truncated
// ("ecies.message"), bad_encoding or bad_key ("ecies.point": what is no point of the curve never
// meets our key), bad_checksum ("ecies.tag", compared in constant time before anything is
// decrypted).
Result<MutableBytes> ecies_decrypt(const secp256k1::SecretKey& recipient, MutableBytes message,
                                   Bytes authenticated);

}  // namespace beamline::rlpx
