#include "base/rng.h"

#include <bit>
#include <cstring>

#include <sys/random.h>

#include "base/check.h"

namespace beamline {
namespace {

void quarter(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d) {
  a += b, d = std::rotl(d ^ a, 16);
  c += d, b = std::rotl(b ^ c, 12);
  a += b, d = std::rotl(d ^ a, 8);
  c += d, b = std::rotl(b ^ c, 7);
}

// RFC 8439 section 2.3, with the original 64-bit counter and a zero 64-bit nonce.
void chacha20_block(const std::array<uint32_t, 8>& key, uint64_t counter, uint8_t* out) {
  const std::array<uint32_t, 16> input = {0x61707865,
                                          0x3320646e,
                                          0x79622d32,
                                          0x6b206574,
                                          key[0],
                                          key[1],
                                          key[2],
                                          key[3],
                                          key[4],
                                          key[5],
                                          key[6],
                                          key[7],
                                          static_cast<uint32_t>(counter),
                                          static_cast<uint32_t>(counter >> 32),
                                          0,
                                          0};
  std::array<uint32_t, 16> x = input;
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < 4; ++i) quarter(x[i], x[4 + i], x[8 + i], x[12 + i]);
    for (size_t i = 0; i < 4; ++i) {
      quarter(x[i], x[4 + (i + 1) % 4], x[8 + (i + 2) % 4], x[12 + (i + 3) % 4]);
    }
  }
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t word = x[i] + input[i];
    for (size_t byte = 0; byte < 4; ++byte) {
      out[4 * i + byte] = static_cast<uint8_t>(word >> (8 * byte));
    }
  }
}

uint64_t splitmix64(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

Rng::Rng(const Key& key) {
  for (size_t i = 0; i < 8; ++i) {
    key_[i] = static_cast<uint32_t>(key[4 * i]) | static_cast<uint32_t>(key[4 * i + 1]) << 8 |
              static_cast<uint32_t>(key[4 * i + 2]) << 16 |
              static_cast<uint32_t>(key[4 * i + 3]) << 24;
  }
}

Rng::Rng(uint64_t seed) {
  for (size_t i = 0; i < 8; i += 2) {
    const uint64_t word = splitmix64(seed);
    key_[i] = static_cast<uint32_t>(word);
    key_[i + 1] = static_cast<uint32_t>(word >> 32);
  }
}

Rng Rng::from_system() {
  Key key;
  BL_CHECK(getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size()));
  Rng rng(key);
  explicit_bzero(key.data(), key.size());
  return rng;
}

Rng::~Rng() {
  explicit_bzero(key_.data(), sizeof key_);
  explicit_bzero(block_.data(), sizeof block_);
}

void Rng::refill() {
  for (size_t at = 0; at < block_.size(); at += 64) {
    chacha20_block(key_, counter_++, block_.data() + at);
  }
  used_ = 0;
}

void Rng::fill(std::span<uint8_t> out) {
  while (!out.empty()) {
    if (used_ == block_.size()) refill();
    const size_t n = std::min(out.size(), block_.size() - used_);
    std::memcpy(out.data(), block_.data() + used_, n);
    // What was handed out may be a key: keep no copy of it.
    std::memset(block_.data() + used_, 0, n);
    used_ += n;
    out = out.subspan(n);
  }
}

uint64_t Rng::next() {
  std::array<uint8_t, 8> bytes;
  fill(bytes);
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

uint64_t Rng::below(uint64_t bound) {
  BL_CHECK(bound > 0);
  // Rejection: values under 2^64 mod bound would make the low results likelier.
  const uint64_t reject_under = (0 - bound) % bound;
  for (;;) {
    const uint64_t value = next();
    if (value >= reject_under) return value % bound;
  }
}

int64_t Rng::between(int64_t low, int64_t high) {
  BL_CHECK(low <= high);
  const uint64_t width = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  const uint64_t offset = width == 0 ? next() : below(width);
  return static_cast<int64_t>(static_cast<uint64_t>(low) + offset);
}

Rng Rng::fork() {
  Key key;
  fill(key);
  Rng child(key);
  explicit_bzero(key.data(), key.size());
  return child;
}

}  // namespace beamline
