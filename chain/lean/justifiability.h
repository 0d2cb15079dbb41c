// 3SF-mini: which slots may be justified (leanSpec, forks/lstar/slot.py).
#pragma once

#include <cstdint>

#include "codec/root.h"

namespace beamline::chain::lean {

// The largest r with r * r <= n. Exact, without floating point.
constexpr uint64_t integer_sqrt(uint64_t n) {
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit != 0; bit >>= 1) {
    const uint64_t trial = root | bit;
    if (trial * trial <= n) root = trial;
  }
  return root;
}

// Whether a slot at this distance from the finalised one is justifiable: at most 5, a square, or a
// pronic number (n * (n + 1)).
constexpr bool is_justifiable_distance(uint64_t delta) {
  if (delta <= 5) return true;
  const uint64_t root = integer_sqrt(delta);
  return root * root == delta || root * (root + 1) == delta;
}

// False for a slot before the finalised one, of which the specification says nothing.
constexpr bool is_justifiable_after(Slot slot, Slot finalized) {
  return slot >= finalized && is_justifiable_distance(slot - finalized);
}

// Whether a slot strictly between the two is justifiable after `finalized`. Walks squares and
// pronic numbers, not slots: a hostile gap of 2^60 slots costs nothing. REQUIRES: low >= finalized.
constexpr bool is_any_justifiable_between(Slot low, Slot high, Slot finalized) {
  if (high <= low || high - low < 2) return false;
  const uint64_t first = low + 1 - finalized;
  const uint64_t last = high - 1 - finalized;
  if (is_justifiable_distance(first)) return true;
  // The smallest square or pronic number above `first`, which is over 5.
  const uint64_t root = integer_sqrt(first);
  const uint64_t pronic = root * (root + 1);
  const uint64_t next = pronic > first ? pronic : (root + 1) * (root + 1);
  return next <= last;
}

}  // namespace beamline::chain::lean
