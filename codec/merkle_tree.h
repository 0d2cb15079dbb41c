// A list's hash tree that is kept from one time to the next: after a change near the end of the
// list only the hashes above the change are made again. Holds twice the leaves' memory. Not thread
// safe.
//
// Source: consensus-specs ssz/simple-serialize.md, merkleize(chunks, limit).
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/root.h"

namespace beamline::ssz {

inline constexpr size_t kMaxTreeDepth = 64;

// Of a tree with room for `leaves`.
constexpr size_t tree_depth(uint64_t leaves) {
  return leaves <= 1 ? 0 : static_cast<size_t>(std::bit_width(leaves - 1));
}
// The root of a tree whose leaves are zero. REQUIRES: depth <= kMaxTreeDepth.
const Hash256& zero_root(size_t depth);

class MerkleTree {
 public:
  // The root of a tree with room for 2^depth leaves, of which these are set. They are compared with
  // those of the last call, whatever these were; hashed is what stands above the first that differs
  // and all that follow it. REQUIRES: leaves.size() <= 2^depth and depth <= kMaxTreeDepth.
  Hash256 root(std::span<const Hash256> leaves, size_t depth);

 private:
  // The first leaf that is not as it was.
  size_t first_change(std::span<const Hash256> leaves) const;

  // [0]: the leaves; above them the hashes of their pairs, up to a level of one. Empty: no leaves.
  std::vector<std::vector<Hash256>> levels_;
};

}  // namespace beamline::ssz
