// The one source of randomness: ChaCha20 in counter mode over a 32-byte key. It is cryptographic
// when its key is (keys and nonces are made from it), and a simulation seeds it with a number and
// replays it bit for bit on any machine. Nothing else in the project draws random numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace beamline {

// Not thread safe: each thread, and each simulated host, has its own.
class Rng {
 public:
  using Key = std::array<uint8_t, 32>;

  explicit Rng(const Key& key);
  // For simulations and tests. The same number gives the same stream, always.
  explicit Rng(uint64_t seed);
  // Keyed by the kernel (getrandom). For production; aborts if the kernel has no randomness.
  static Rng from_system();

  Rng(const Rng&) = delete;
  Rng& operator=(const Rng&) = delete;
  Rng(Rng&&) = default;
  Rng& operator=(Rng&&) = default;
  ~Rng();

  uint64_t next();
  // Uniform in [0, bound); without bias. REQUIRES: bound > 0.
  uint64_t below(uint64_t bound);
  // Uniform in [low, high]. REQUIRES: low <= high.
  int64_t between(int64_t low, int64_t high);
  // True in `numerator` of `denominator` cases. REQUIRES: denominator > 0.
  bool chance(uint64_t numerator, uint64_t denominator) { return below(denominator) < numerator; }
  void fill(std::span<uint8_t> out);
  // An independent generator, keyed from this one: give one to each component, so that a draw
  // more in one does not change what another sees.
  Rng fork();

 private:
  void refill();

  std::array<uint32_t, 8> key_;
  uint64_t counter_ = 0;
  std::array<uint8_t, 256> block_;
  size_t used_ = sizeof(block_);
};

// A uniform shuffle that is the same on every platform (std::shuffle is not).
template <class T>
void shuffle(std::span<T> items, Rng& rng) {
  for (size_t i = items.size(); i > 1; --i) {
    using std::swap;
    swap(items[i - 1], items[rng.below(i)]);
  }
}

}  // namespace beamline
