// A bounded set of keys, each for the same time: redial history, throttles. The oldest leaves
// first, before its time when the set is full (counted). O(1). Not thread safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "base/time.h"

namespace beamline::discovery {

class ExpiringSet {
 public:
  // REQUIRES: capacity > 0.
  ExpiringSet(size_t capacity, Duration ttl, Rng& rng);

  // True when the key is there and not past its time.
  bool contains(uint64_t key, Now now) const;
  // Puts it in, or starts its time again. 0 is no key: nothing happens.
  void add(uint64_t key, Now now);
  size_t size() const { return size_; }
  // Pushed out before their time.
  uint64_t displaced() const { return displaced_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Item {
    uint64_t key = 0;
    MonoTime due;
    uint32_t newer = kNone, older = kNone, chain = kNone;
  };
  size_t bucket_of_key(uint64_t key) const;
  uint32_t find(uint64_t key) const;
  void unlink(uint32_t item);
  void drop_oldest();
  void grow();

  Duration ttl_;
  uint64_t seed_;
  size_t capacity_;
  size_t size_ = 0;
  uint64_t displaced_ = 0;
  uint32_t oldest_ = kNone, newest_ = kNone, free_ = kNone;
  std::vector<Item> items_;
  std::vector<uint32_t> heads_;  // chains by hash; as many as there are items
};

}  // namespace beamline::discovery
