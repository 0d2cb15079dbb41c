// HKDF-SHA-256 (RFC 5869).
#pragma once

#include "base/bytes.h"
#include "crypto/hash.h"

namespace beamline {

inline constexpr size_t kHkdfMaxOutput = 255 * 32;

Hash256 hkdf_extract(Bytes salt, Bytes input_key);
// REQUIRES: out.size() <= kHkdfMaxOutput.
void hkdf_expand(Bytes pseudo_random_key, Bytes info, MutableBytes out);
// Extract, then expand.
void hkdf_sha256(Bytes input_key, Bytes salt, Bytes info, MutableBytes out);

}  // namespace beamline
