// Base58 with bitcoin's alphabet (draft-msporny-base58): peer ids. Quadratic, hence short inputs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline {

inline constexpr size_t kMaxBase58Bytes = 128;
inline constexpr size_t kMaxBase58Text = 180;

// REQUIRES: bytes.size() <= kMaxBase58Bytes.
std::string to_base58(Bytes bytes);
// too_long over kMaxBase58Text characters or kMaxBase58Bytes bytes, bad_encoding with the offset of
// a strange character.
Result<std::vector<uint8_t>> parse_base58(std::string_view text);

}  // namespace beamline
