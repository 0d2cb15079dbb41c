// Distances of Kademlia (Maymounkov and Mazieres, 2002) over the node ids of discv4 and discv5
// (codec/enr.h: Keccak-256 of the public key), read as big-endian numbers.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/rng.h"
#include "codec/enr.h"

namespace beamline::discovery {

inline constexpr size_t kIdBits = 256;

// The xor of two ids as four words, the most significant first.
struct Distance {
  std::array<uint64_t, 4> words{};
  friend constexpr auto operator<=>(const Distance&, const Distance&) = default;
};

inline Distance distance(const NodeId& a, const NodeId& b) {
  Distance d;
  for (size_t i = 0; i < 4; ++i) {
    uint64_t x = 0;
    uint64_t y = 0;
    std::memcpy(&x, a.bytes.data() + 8 * i, 8);
    std::memcpy(&y, b.bytes.data() + 8 * i, 8);
    d.words[i] = std::byteswap(x ^ y);
  }
  return d;
}

// Bits of the distance: 0 for the same id, else 1 to 256. What discv5's FINDNODE calls distance.
inline unsigned log_distance(const NodeId& a, const NodeId& b) {
  const Distance d = distance(a, b);
  for (size_t i = 0; i < 4; ++i) {
    if (d.words[i] != 0)
      return static_cast<unsigned>(256 - 64 * i) -
             static_cast<unsigned>(std::countl_zero(d.words[i]));
  }
  return 0;
}

// 255 minus the common prefix: log_distance - 1. Our own id has no bucket.
inline std::optional<unsigned> bucket_of(const NodeId& self, const NodeId& id) {
  const unsigned bits = log_distance(self, id);
  if (bits == 0) return std::nullopt;
  return bits - 1;
}

// Is `a` nearer to `target` than `b` is?
inline bool closer(const NodeId& target, const NodeId& a, const NodeId& b) {
  return distance(target, a) < distance(target, b);
}

// A uniform id of the bucket. REQUIRES: bucket < 256.
NodeId random_id_in_bucket(const NodeId& self, unsigned bucket, Rng& rng);

}  // namespace beamline::discovery
