// SHA-256 for any CPU.

#include <cstring>

#include "crypto/sha256_rounds.h"

namespace beamline::sha256_internal {
namespace {

uint32_t load_be32(const uint8_t* from) {
  uint32_t word = 0;
  std::memcpy(&word, from, 4);
  return std::byteswap(word);
}

// 64 rounds over schedule words that have the round constants in them.
void rounds(uint32_t* state, const uint32_t* words) {
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (size_t t = 0; t < 64; ++t) {
    const uint32_t sigma1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const uint32_t t1 = h + sigma1 + ((e & f) ^ (~e & g)) + words[t];
    const uint32_t sigma0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const uint32_t t2 = sigma0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1;
    d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

}  // namespace

void scalar_compress(uint32_t* state, const uint8_t* data, size_t blocks) {
  std::array<uint32_t, 64> w;
  for (; blocks != 0; --blocks, data += 64) {
    for (size_t t = 0; t < 16; ++t) w[t] = load_be32(data + 4 * t);
    for (size_t t = 16; t < 64; ++t) {
      w[t] = small_sigma1(w[t - 2]) + w[t - 7] + small_sigma0(w[t - 15]) + w[t - 16];
    }
    for (size_t t = 0; t < 64; ++t) w[t] += kRounds[t];
    rounds(state, w.data());
  }
}

void scalar_pairs(const uint8_t* in, uint8_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    std::array<uint32_t, 8> state = kInitial;
    scalar_compress(state.data(), in + 64 * i, 1);
    rounds(state.data(), kPairPadding.data());
    for (size_t word = 0; word < 8; ++word) {
      const uint32_t big = std::byteswap(state[word]);
      std::memcpy(out + 32 * i + 4 * word, &big, 4);
    }
  }
}

}  // namespace beamline::sha256_internal
