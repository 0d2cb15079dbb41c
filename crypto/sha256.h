// SHA-256 (FIPS 180-4), of ours: with the CPU's SHA extensions where it has them, else scalar. The
// choice is made once, at start-up. No allocation, no library lock. All functions are thread safe;
// one Sha256 object is used by one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "crypto/hash.h"

namespace beamline {

// Incremental. Copies carry the state on (Noise and HMAC hash many messages behind one prefix).
class Sha256 {
 public:
  Sha256();
  Sha256& update(Bytes bytes);
  // The hash of what was fed; the object starts anew.
  Hash256 finish();

 private:
  std::array<uint32_t, 8> state_;
  uint64_t size_ = 0;  // bytes fed
  std::array<uint8_t, 64> block_;
};

Hash256 sha256(Bytes bytes);
// Of the concatenation.
Hash256 sha256(Bytes a, Bytes b);
Hash256 sha256(Bytes a, Bytes b, Bytes c);
Hash256 sha256(Bytes a, Bytes b, Bytes c, Bytes d);

// Merkle trees: the hash of two hashes, with a constant second block.
Hash256 sha256_pair(const Hash256& left, const Hash256& right);
// `count` pairs, 64 bytes each at `in`, to `count` hashes, 32 bytes each at `out`; several at a
// time where the CPU gains by it. `out` may be `in` (a tree level is reduced in place); other
// overlaps are not allowed.
void sha256_pairs(const uint8_t* in, uint8_t* out, size_t count);

// The implementations by name ("shani", "scalar"), for tests, benchmarks and the start-up line.
struct Sha256Implementation {
  const char* name;
  // `blocks` blocks of 64 bytes into `state`.
  void (*compress)(uint32_t* state, const uint8_t* data, size_t blocks);
  void (*pairs)(const uint8_t* in, uint8_t* out, size_t count);
};
const Sha256Implementation& sha256_implementation();
// What this CPU can run, best first; the scalar one is always last.
std::span<const Sha256Implementation> sha256_implementations();

}  // namespace beamline
