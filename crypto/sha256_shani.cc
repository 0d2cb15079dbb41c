// SHA-256 with the x86 SHA extensions. The instructions work on the state as two registers, ABEF
// and CDGH, two rounds each. Several lanes are interleaved to hide their latency.

#include "base/check.h"
#include "crypto/sha256_rounds.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

namespace beamline::sha256_internal {
namespace {

#define BL_SHANI __attribute__((target("sha,sse4.1,ssse3")))
#define BL_SHANI_INLINE __attribute__((target("sha,sse4.1,ssse3"), always_inline)) inline

struct State {
  __m128i abef;
  __m128i cdgh;
};

BL_SHANI_INLINE __m128i load(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
BL_SHANI_INLINE void store(void* to, __m128i value) {
  _mm_storeu_si128(static_cast<__m128i*>(to), value);
}
// Reverses the bytes of each 32-bit word.
BL_SHANI_INLINE __m128i swap_words(__m128i value) {
  return _mm_shuffle_epi8(value, _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
}

BL_SHANI_INLINE State load_state(const uint32_t* words) {
  const __m128i cdab = _mm_shuffle_epi32(load(words), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(load(words + 4), 0x1b);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}
// {a,b,c,d} and {e,f,g,h} in memory's order.
BL_SHANI_INLINE void split_state(const State& state, __m128i& abcd, __m128i& efgh) {
  const __m128i feba = _mm_shuffle_epi32(state.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);
  abcd = _mm_blend_epi16(feba, dchg, 0xf0);
  efgh = _mm_alignr_epi8(dchg, feba, 8);
}

BL_SHANI_INLINE void four_rounds(State& state, __m128i words) {
  state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, words);
  state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(words, 0x0e));
}

// W[t..t+3] from the sixteen words before, oldest in m0.
BL_SHANI_INLINE __m128i schedule(__m128i m0, __m128i m1, __m128i m2, __m128i m3) {
  const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(m0, m1), _mm_alignr_epi8(m3, m2, 4));
  return _mm_sha256msg2_epu32(sum, m3);
}

template <size_t kLanes>
BL_SHANI_INLINE void one_block(State* state, const uint8_t* const* data) {
  State before[kLanes];
  __m128i m[kLanes][4];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    before[lane] = state[lane];
    for (size_t i = 0; i < 4; ++i) m[lane][i] = swap_words(load(data[lane] + 16 * i));
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < 16; ++i) {
    const __m128i k = load(kRounds.data() + 4 * i);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      __m128i* w = m[lane];
      if (i >= 4) w[i % 4] = schedule(w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4], w[(i + 3) % 4]);
      four_rounds(state[lane], _mm_add_epi32(w[i % 4], k));
    }
  }
  for (size_t lane = 0; lane < kLanes; ++lane) {
    state[lane].abef = _mm_add_epi32(state[lane].abef, before[lane].abef);
    state[lane].cdgh = _mm_add_epi32(state[lane].cdgh, before[lane].cdgh);
  }
}

template <size_t kLanes>
BL_SHANI_INLINE void padding_block(State* state) {
  State before[kLanes];
  for (size_t lane = 0; lane < kLanes; ++lane) before[lane] = state[lane];
#pragma GCC unroll 16
  for (size_t i = 0; i < 16; ++i) {
    const __m128i words = load(kPairPadding.data() + 4 * i);
    for (size_t lane = 0; lane < kLanes; ++lane) four_rounds(state[lane], words);
  }
  for (size_t lane = 0; lane < kLanes; ++lane) {
    state[lane].abef = _mm_add_epi32(state[lane].abef, before[lane].abef);
    state[lane].cdgh = _mm_add_epi32(state[lane].cdgh, before[lane].cdgh);
  }
}

// kLanes pairs; reads them all before it writes.
template <size_t kLanes>
BL_SHANI_INLINE void some_pairs(const uint8_t* in, uint8_t* out) {
  State state[kLanes];
  const uint8_t* data[kLanes];
  for (size_t lane = 0; lane < kLanes; ++lane) {
    state[lane] = load_state(kInitial.data());
    data[lane] = in + 64 * lane;
  }
  one_block<kLanes>(state, data);
  padding_block<kLanes>(state);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    __m128i abcd, efgh;
    split_state(state[lane], abcd, efgh);
    store(out + 32 * lane, swap_words(abcd));
    store(out + 32 * lane + 16, swap_words(efgh));
  }
}

}  // namespace

bool shani_supported() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  const bool ssse3 = (c & bit_SSSE3) != 0, sse41 = (c & bit_SSE4_1) != 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  return ssse3 && sse41 && (b & bit_SHA) != 0;
}

BL_SHANI void shani_compress(uint32_t* words, const uint8_t* data, size_t blocks) {
  State state = load_state(words);
  for (; blocks != 0; --blocks, data += 64) one_block<1>(&state, &data);
  __m128i abcd, efgh;
  split_state(state, abcd, efgh);
  store(words, abcd);
  store(words + 4, efgh);
}

BL_SHANI void shani_pairs(const uint8_t* in, uint8_t* out, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) some_pairs<4>(in + 64 * i, out + 32 * i);
  for (; i < count; ++i) some_pairs<1>(in + 64 * i, out + 32 * i);
}

}  // namespace beamline::sha256_internal

#else

namespace beamline::sha256_internal {

bool shani_supported() { return false; }
void shani_compress(uint32_t*, const uint8_t*, size_t) { BL_CHECK(shani_supported()); }
void shani_pairs(const uint8_t*, uint8_t*, size_t) { BL_CHECK(shani_supported()); }

}  // namespace beamline::sha256_internal

#endif
