// A hash table from keys that stand in slots elsewhere to the numbers of those slots. It holds 32
// bits of each key's hash; the caller compares keys and hashes with a secret seed, since peers
// choose what is looked up. Fixed size, open addressing, no tombstones. One thread at a time.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/endpoint.h"
#include "crypto/hash.h"

namespace beamline::discovery {

class SlotIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // For at most `capacity` entries, of at most half the places.
  explicit SlotIndex(size_t capacity)
      : entries_(std::bit_ceil(2 * capacity + 2)), mask_(entries_.size() - 1) {}

  // The slot for which `equal(slot)`, or kNone.
  template <class Equal>
  uint32_t find(uint32_t hash, Equal&& equal) const {
    for (size_t at = hash & mask_; entries_[at].slot != kNone; at = (at + 1) & mask_) {
      if (entries_[at].hash == hash && equal(entries_[at].slot)) return entries_[at].slot;
    }
    return kNone;
  }
  // REQUIRES: room, and the key is not there.
  void insert(uint32_t hash, uint32_t slot) {
    BL_CHECK(size_ < entries_.size() / 2);
    size_t at = hash & mask_;
    while (entries_[at].slot != kNone) at = (at + 1) & mask_;
    entries_[at] = {hash, slot};
    ++size_;
  }
  // REQUIRES: it is there.
  void erase(uint32_t hash, uint32_t slot) {
    size_t at = hash & mask_;
    while (entries_[at].slot != slot) {
      BL_CHECK(entries_[at].slot != kNone);
      at = (at + 1) & mask_;
    }
    // What would not be found past a hole moves into it.
    for (size_t next = (at + 1) & mask_; entries_[next].slot != kNone; next = (next + 1) & mask_) {
      const size_t home = entries_[next].hash & mask_;
      if (((next - home) & mask_) < ((next - at) & mask_)) continue;
      entries_[at] = entries_[next];
      at = next;
    }
    entries_[at] = {};
    --size_;
  }
  size_t size() const { return size_; }

 private:
  struct Entry {
    uint32_t hash = 0;
    uint32_t slot = kNone;
  };
  std::vector<Entry> entries_;
  size_t mask_;
  size_t size_ = 0;
};

inline uint64_t fold(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15u) * (b | 1);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint32_t hash_bytes(uint64_t seed, Bytes bytes) {
  uint64_t hash = seed ^ bytes.size();
  while (!bytes.empty()) {
    uint64_t word = 0;
    const size_t take = bytes.size() < 8 ? bytes.size() : 8;
    std::memcpy(&word, bytes.data(), take);
    hash = fold(hash ^ word, seed);
    bytes = bytes.subspan(take);
  }
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

// An id at an address, with or without its port.
inline uint32_t hash_place(uint64_t seed, const Hash256& id, const Endpoint& at, uint16_t port) {
  const uint64_t whole = Hash256Hasher{seed}(id) ^ port;
  return hash_bytes(fold(whole, seed), at.address());
}

}  // namespace beamline::discovery
