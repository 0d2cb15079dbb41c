// A set of validators, by index: 4,096 bits in place.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "base/check.h"
#include "chain/lean/config.h"
#include "codec/ssz.h"

namespace beamline::chain::lean {

class ValidatorSet {
 public:
  static constexpr size_t kCapacity = kValidatorRegistryLimit;

  // REQUIRES: index < kCapacity.
  void insert(ValidatorIndex index) {
    BL_CHECK(index < kCapacity);
    words_[index / 64] |= uint64_t{1} << (index % 64);
  }
  bool contains(ValidatorIndex index) const {
    return index < kCapacity && (words_[index / 64] >> (index % 64) & 1) != 0;
  }
  bool empty() const { return *this == ValidatorSet{}; }
  size_t size() const;
  // One more than the highest index; 0 if empty.
  size_t bound() const;
  void merge(const ValidatorSet& other);
  // How many of these are not in `other`.
  size_t count_without(const ValidatorSet& other) const;
  bool contains_all(const ValidatorSet& other) const;
  // Calls `visit(index)` by rising index.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (size_t word = 0; word < words_.size(); ++word) {
      for (uint64_t bits = words_[word]; bits != 0; bits &= bits - 1) {
        visit(static_cast<ValidatorIndex>(word * 64 + static_cast<size_t>(std::countr_zero(bits))));
      }
    }
  }

  // Of a checked bitlist. REQUIRES: list.length <= kCapacity and its bytes fit it.
  static ValidatorSet of(const ssz::Bitlist& list);
  // As the specification makes it of indices: one bit longer than the highest.
  ssz::Bitlist to_bitlist() const;

  friend bool operator==(const ValidatorSet&, const ValidatorSet&) = default;

 private:
  std::array<uint64_t, kCapacity / 64> words_{};
};

}  // namespace beamline::chain::lean
