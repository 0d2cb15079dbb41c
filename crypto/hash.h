// A 32-byte hash (SHA-256, Keccak-256, an SSZ root) as a value.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace beamline {

struct Hash256 {
  static constexpr size_t kSize = 32;

  std::array<uint8_t, kSize> bytes{};

  static constexpr Hash256 zero() { return {}; }
  // REQUIRES: from.size() == 32.
  static Hash256 from(Bytes from);
  // REQUIRES: from points at 32 bytes.
  static Hash256 load(const uint8_t* from) {
    Hash256 hash;
    std::memcpy(hash.bytes.data(), from, kSize);
    return hash;
  }

  Bytes view() const { return bytes; }
  bool is_zero() const { return *this == Hash256{}; }

  friend auto operator<=>(const Hash256&, const Hash256&) = default;
};

// For hash tables. A peer chooses what it hashes, so it can steer unkeyed bits into one bucket:
// tables that peers fill take a seed from an Rng.
struct Hash256Hasher {
  uint64_t seed = 0;
  size_t operator()(const Hash256& hash) const {
    uint64_t low = 0;
    uint64_t high = 0;
    std::memcpy(&low, hash.bytes.data(), 8);
    std::memcpy(&high, hash.bytes.data() + 24, 8);
    const auto product = static_cast<unsigned __int128>(low ^ seed) *
                         (high ^ (seed >> 32 | seed << 32) ^ 0x9e3779b97f4a7c15u);
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
};

}  // namespace beamline
