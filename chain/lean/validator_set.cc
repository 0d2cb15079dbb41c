#include "chain/lean/validator_set.h"

namespace beamline::chain::lean {

size_t ValidatorSet::size() const {
  size_t count = 0;
  for (const uint64_t word : words_) count += static_cast<size_t>(std::popcount(word));
  return count;
}

size_t ValidatorSet::bound() const {
  for (size_t word = words_.size(); word-- > 0;) {
    if (words_[word] != 0) return word * 64 + static_cast<size_t>(std::bit_width(words_[word]));
  }
  return 0;
}

void ValidatorSet::merge(const ValidatorSet& other) {
  for (size_t word = 0; word < words_.size(); ++word) words_[word] |= other.words_[word];
}

size_t ValidatorSet::count_without(const ValidatorSet& other) const {
  size_t count = 0;
  for (size_t word = 0; word < words_.size(); ++word) {
    count += static_cast<size_t>(std::popcount(words_[word] & ~other.words_[word]));
  }
  return count;
}

bool ValidatorSet::contains_all(const ValidatorSet& other) const {
  uint64_t missing = 0;
  for (size_t word = 0; word < words_.size(); ++word) missing |= other.words_[word] & ~words_[word];
  return missing == 0;
}

ValidatorSet ValidatorSet::of(const ssz::Bitlist& list) {
  BL_CHECK(list.length <= kCapacity && list.bits.size() == (list.length + 7) / 8);
  ValidatorSet set;
  for (size_t byte = 0; byte < list.bits.size(); ++byte) {
    set.words_[byte / 8] |= uint64_t{list.bits[byte]} << (byte % 8 * 8);
  }
  return set;
}

ssz::Bitlist ValidatorSet::to_bitlist() const {
  ssz::Bitlist list = ssz::Bitlist::of_length(bound());
  for_each([&](ValidatorIndex index) { list.set(static_cast<size_t>(index), true); });
  return list;
}

}  // namespace beamline::chain::lean
