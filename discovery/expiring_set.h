// A bounded set of keys, each for the same time: redial history, throttles. Oldest first out, also
// when it is full (counted). O(1). Not thread safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "base/time.h"

namespace beamline::discovery {

class ExpiringSet {
 public:
  ExpiringSet(size_t capacity, Duration ttl, Rng& rng);

  // True when the key is there and not past its time.
  bool contains(uint64_t key, Now now);
  // Puts it in, or starts its time again.
  void add(uint64_t key, Now now);
  size_t size() const { return size_; }
  // Pushed out before their time.
  uint64_t displaced() const { return displaced_; }
  // nothing: never
  MonoTime next_expiry() const;

 private:
  struct Item {
    uint64_t key = 0;
    MonoTime due;
    bool dead = false;  // added again later
  };
  struct Cell {
    uint64_t key = 0;
    uint32_t item = UINT32_MAX;
  };
  size_t find(uint64_t key) const;
  void expire(Now now);
  void pop();
  void erase_cell(size_t cell);
  size_t home(uint64_t key) const;

  Duration ttl_;
  uint64_t seed_;
  size_t capacity_;
  size_t head_ = 0;
  size_t count_ = 0;  // items, dead ones too
  size_t size_ = 0;
  uint64_t displaced_ = 0;
  std::vector<Item> items_;
  std::vector<Cell> cells_;
};

}  // namespace beamline::discovery
