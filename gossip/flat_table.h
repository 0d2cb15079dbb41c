// A hash table with open addressing from a short key to a 32-bit number. The hash is keyed, so a
// peer that can choose the keys cannot choose the collisions. It is never iterated: the order of
// its slots means nothing. It owns no memory until its first insertion. Not thread safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/rng.h"

namespace beamline::gossip {

// A keyed mixing function (the multiply-and-fold of wyhash) for keys that are hashes themselves.
class KeyedHash {
 public:
  explicit KeyedHash(Rng& rng) : key_{rng.next() | 1, rng.next() | 1} {}
  uint64_t operator()(const uint8_t* data, size_t size) const {
    uint64_t h = key_[0] ^ size;
    while (size >= 16) {
      h = fold(load(data, 8) ^ h, load(data + 8, 8) ^ key_[1]);
      data += 16;
      size -= 16;
    }
    const uint64_t low = load(data, size < 8 ? size : 8);
    const uint64_t high = size > 8 ? load(data + 8, size - 8) : 0;
    return fold(fold(low ^ h, high ^ key_[1]), key_[0]);
  }

 private:
  static uint64_t load(const uint8_t* data, size_t size) {
    uint64_t value = 0;
    if (size != 0) std::memcpy(&value, data, size);
    return value;
  }
  static uint64_t fold(uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  uint64_t key_[2];
};

// Key: trivially copyable, without padding. The value kNone is reserved.
template <class Key>
class FlatTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit FlatTable(const KeyedHash& hash) : hash_(hash) {}
  size_t size() const { return size_; }

  // The value, or kNone.
  uint32_t find(const Key& key) const {
    if (size_ == 0) return kNone;
    for (size_t i = home(key);; i = next(i)) {
      if (slots_[i].value == kNone) return kNone;
      if (same(slots_[i].key, key)) return slots_[i].value;
    }
  }
  // Inserts or replaces. REQUIRES: value != kNone.
  void put(const Key& key, uint32_t value) {
    BL_CHECK(value != kNone);
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    size_t i = home(key);
    while (slots_[i].value != kNone && !same(slots_[i].key, key)) i = next(i);
    size_ += slots_[i].value == kNone;
    slots_[i] = {key, value};
  }
  // False if it was not there.
  bool erase(const Key& key) {
    if (size_ == 0) return false;
    size_t i = home(key);
    while (slots_[i].value != kNone && !same(slots_[i].key, key)) i = next(i);
    if (slots_[i].value == kNone) return false;
    close_gap(i);
    --size_;
    return true;
  }
  // Drops everything and gives the memory back.
  void clear() {
    slots_ = {};
    size_ = 0;
  }

 private:
  struct Slot {
    Key key{};
    uint32_t value = kNone;
  };
  static bool same(const Key& a, const Key& b) { return std::memcmp(&a, &b, sizeof(Key)) == 0; }
  size_t next(size_t i) const { return (i + 1) & (slots_.size() - 1); }
  size_t home(const Key& key) const {
    return hash_(reinterpret_cast<const uint8_t*>(&key), sizeof(Key)) & (slots_.size() - 1);
  }
  // Moves later members of the run back, so that no tombstone is needed.
  void close_gap(size_t gap) {
    for (size_t i = next(gap); slots_[i].value != kNone; i = next(i)) {
      const size_t wanted = home(slots_[i].key);
      const size_t mask = slots_.size() - 1;
      if (((i - wanted) & mask) < ((i - gap) & mask)) continue;
      slots_[gap] = slots_[i];
      gap = i;
    }
    slots_[gap] = Slot{};
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.value == kNone) continue;
      size_t i = home(slot.key);
      while (slots_[i].value != kNone) i = next(i);
      slots_[i] = slot;
    }
  }

  KeyedHash hash_;
  std::vector<Slot> slots_;  // empty or a power of two, at most three quarters full
  size_t size_ = 0;
};

}  // namespace beamline::gossip
