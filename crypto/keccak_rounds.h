// Keccak-f[1600] (FIPS 202, 3.2 and 3.3), over one state or several: `Lane` is uint64_t or a vector
// of them. Nobody else's than the implementations'. Each of those is compiled for instructions of
// its own, so nothing here may be shared between them: hence the unnamed namespace, and no include
// that brings functions along.
#pragma once

#include <cstddef>
#include <cstdint>

namespace beamline::keccak_internal {

void scalar_permute(uint64_t* state);
// Whether this CPU has the instructions; when not, the function behind must not be called.
bool bmi2_supported();
void bmi2_permute(uint64_t* state);
bool avx2_supported();
void avx2_permute_four(uint64_t* states);
void cryptopp_permute(uint64_t* state);

namespace {

constexpr uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

// Rho's rotation of lane x + 5y.
constexpr unsigned kRotations[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                     25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};

#define BL_KECCAK_INLINE __attribute__((always_inline)) inline

template <unsigned kBits, class Lane>
BL_KECCAK_INLINE void rotate(Lane& lane) {
  if constexpr (kBits != 0) lane = (lane << kBits) | (lane >> (64 - kBits));
}

// Lane (x, y) after pi comes from (x + 3y, x); `mix` is theta's, by the x it came from.
template <size_t kX, size_t kY, class Lane>
BL_KECCAK_INLINE void move_lane(const Lane* from, const Lane* mix, Lane* row) {
  constexpr size_t kFromX = (kX + 3 * kY) % 5;
  constexpr size_t kFrom = kFromX + 5 * kX;
  row[kX] = from[kFrom] ^ mix[kFromX];
  rotate<kRotations[kFrom]>(row[kX]);
}

// Row y of the next state: rho, pi, chi.
template <size_t kY, class Lane>
BL_KECCAK_INLINE void next_row(const Lane* from, const Lane* mix, Lane* to) {
  Lane row[5];
  move_lane<0, kY>(from, mix, row);
  move_lane<1, kY>(from, mix, row);
  move_lane<2, kY>(from, mix, row);
  move_lane<3, kY>(from, mix, row);
  move_lane<4, kY>(from, mix, row);
  to[5 * kY + 0] = row[0] ^ (~row[1] & row[2]);
  to[5 * kY + 1] = row[1] ^ (~row[2] & row[3]);
  to[5 * kY + 2] = row[2] ^ (~row[3] & row[4]);
  to[5 * kY + 3] = row[3] ^ (~row[4] & row[0]);
  to[5 * kY + 4] = row[4] ^ (~row[0] & row[1]);
}

template <class Lane>
BL_KECCAK_INLINE void one_round(const Lane* from, Lane* to, uint64_t constant) {
  Lane parity[5];
  Lane mix[5];
#pragma GCC unroll 5  // at -O2 g++ would leave loops, which keep the state in memory
  for (size_t x = 0; x < 5; ++x) {
    parity[x] = from[x] ^ from[x + 5] ^ from[x + 10] ^ from[x + 15] ^ from[x + 20];
  }
#pragma GCC unroll 5
  for (size_t x = 0; x < 5; ++x) {
    Lane next = parity[(x + 1) % 5];
    rotate<1>(next);
    mix[x] = parity[(x + 4) % 5] ^ next;
  }
  next_row<0>(from, mix, to);
  next_row<1>(from, mix, to);
  next_row<2>(from, mix, to);
  next_row<3>(from, mix, to);
  next_row<4>(from, mix, to);
  to[0] ^= constant;
}

template <class Lane>
BL_KECCAK_INLINE void all_rounds(Lane* state) {
  Lane other[25];
  for (size_t round = 0; round < 24; round += 2) {
    one_round(state, other, kRoundConstants[round]);
    one_round(other, state, kRoundConstants[round + 1]);
  }
}

#undef BL_KECCAK_INLINE

}  // namespace
}  // namespace beamline::keccak_internal
