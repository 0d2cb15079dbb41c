// Keccak-256 and Keccak-512 as Ethereum has them: FIPS 202's permutation with the padding of the
// submission (0x01, not SHA-3's 0x06). The permutation is of ours, scalar and four states at once;
// which one runs is chosen once, at start-up, by a known answer. No allocation, no library lock.
// All functions are thread safe; one object is used by one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "crypto/hash.h"

namespace beamline {

struct Hash512 {
  static constexpr size_t kSize = 64;
  std::array<uint8_t, kSize> bytes{};
  Bytes view() const { return bytes; }
  friend auto operator<=>(const Hash512&, const Hash512&) = default;
};

// Incremental; a plain value: copies carry the state on. `Hash` is Hash256 or Hash512.
template <class Hash>
class Keccak {
 public:
  // Bytes of a block: 136 for 256 bits, 72 for 512.
  static constexpr size_t kRate = 200 - 2 * Hash::kSize;

  Keccak& update(Bytes bytes);
  // The hash of what was fed so far; more may be fed after it (RLPx's running MACs).
  Hash digest() const;
  // The same, and the object starts anew.
  Hash finish();

 private:
  std::array<uint64_t, 25> state_{};
  uint32_t held_ = 0;  // bytes of the block that is open
};
using Keccak256 = Keccak<Hash256>;
using Keccak512 = Keccak<Hash512>;

Hash256 keccak256(Bytes bytes);
// Of the concatenation.
Hash256 keccak256(Bytes a, Bytes b);
Hash512 keccak512(Bytes bytes);

// messages.size() hashes at `out`; four at a time where the CPU gains by it, whatever their sizes.
// REQUIRES: out.size() == messages.size().
void keccak256_many(std::span<const Bytes> messages, std::span<Hash256> out);

// The implementations by name ("avx2", "bmi2", "scalar", "cryptopp"), for tests, benchmarks and the
// start-up line.
struct KeccakImplementation {
  const char* name;
  void (*permute)(uint64_t* state);  // 25 lanes, x + 5y
  // Four states interleaved: lane i of state s at [4 * i + s]. Null: one at a time.
  void (*permute_four)(uint64_t* states);
};
const KeccakImplementation& keccak_implementation();
// What this CPU can run, best first. The last is Crypto++'s permutation: start-up falls back to it
// where ours should not give the known answer.
std::span<const KeccakImplementation> keccak_implementations();

}  // namespace beamline
