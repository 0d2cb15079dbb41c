// A hash table from a node id to a 32-bit slot of its owner's storage; the ids themselves stay
// there. The hash is keyed: who grinds ids cannot choose collisions. Never iterated. Not thread
// safe.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "codec/enr.h"

namespace beamline::discovery {

class IdIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Room for `expected` ids before the first growth; growth doubles.
  explicit IdIndex(Rng& rng, size_t expected = 0) : hash_{rng.next()} {
    if (expected > 0) cells_.resize(std::bit_ceil(expected * 3 / 2 + 1));
  }

  size_t size() const { return size_; }
  size_t memory() const { return cells_.capacity() * sizeof(Cell); }

  // The slot, or kNone. `id_at(slot)` gives the id that stands there.
  template <class IdAt>
  uint32_t find(const NodeId& id, IdAt&& id_at) const {
    if (size_ == 0) return kNone;
    const uint64_t h = hash_(id);
    for (size_t i = h & mask();; i = (i + 1) & mask()) {
      if (cells_[i].slot == kNone) return kNone;
      if (cells_[i].tag == tag_of(h) && id_at(cells_[i].slot) == id) return cells_[i].slot;
    }
  }
  // REQUIRES: the id is not there.
  void insert(const NodeId& id, uint32_t slot) {
    if ((size_ + 1) * 4 > cells_.size() * 3) grow();
    ++size_;
    place(hash_(id), slot);
  }
  // REQUIRES: the id is there, at `slot`.
  void erase(const NodeId& id, uint32_t slot) {
    size_t i = hash_(id) & mask();
    while (cells_[i].slot != slot) {
      BL_CHECK(cells_[i].slot != kNone);
      i = (i + 1) & mask();
    }
    --size_;
    // Later cells of the run move back, so that no marker has to stay.
    for (size_t j = (i + 1) & mask(); cells_[j].slot != kNone; j = (j + 1) & mask()) {
      const size_t home = cells_[j].home & mask();
      if (((j - home) & mask()) >= ((j - i) & mask())) {
        cells_[i] = cells_[j];
        i = j;
      }
    }
    cells_[i] = Cell{};
  }

 private:
  struct Cell {
    uint32_t slot = kNone;
    uint32_t tag = 0;   // of the hash's upper half
    uint32_t home = 0;  // the lower half
  };
  static uint32_t tag_of(uint64_t h) { return static_cast<uint32_t>(h >> 32); }
  size_t mask() const { return cells_.size() - 1; }
  void place(uint64_t h, uint32_t slot) {
    size_t i = h & mask();
    while (cells_[i].slot != kNone) i = (i + 1) & mask();
    cells_[i] = Cell{slot, tag_of(h), static_cast<uint32_t>(h)};
  }
  void grow() {
    std::vector<Cell> old(cells_.empty() ? 16 : cells_.size() * 2);
    old.swap(cells_);
    for (const Cell& cell : old) {
      if (cell.slot != kNone) place(uint64_t{cell.tag} << 32 | cell.home, cell.slot);
    }
  }

  Hash256Hasher hash_;
  size_t size_ = 0;
  std::vector<Cell> cells_;
};

}  // namespace beamline::discovery
