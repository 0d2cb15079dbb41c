#include "codec/merkle_tree.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "crypto/sha256.h"

namespace beamline::ssz {

const Hash256& zero_root(size_t depth) {
  static const std::array<Hash256, kMaxTreeDepth + 1> kRoots = [] {
    std::array<Hash256, kMaxTreeDepth + 1> roots;
    for (size_t i = 0; i < kMaxTreeDepth; ++i) roots[i + 1] = sha256_pair(roots[i], roots[i]);
    return roots;
  }();
  return kRoots[depth];
}

size_t MerkleTree::first_change(std::span<const Hash256> leaves) const {
  if (levels_.empty()) return 0;
  const std::vector<Hash256>& before = levels_[0];
  const size_t both = std::min(before.size(), leaves.size());
  // Mostly nothing differs: large steps, then the leaf.
  constexpr size_t kStep = 128;
  size_t first = 0;
  while (first + kStep <= both &&
         std::memcmp(&before[first], &leaves[first], kStep * sizeof(Hash256)) == 0) {
    first += kStep;
  }
  while (first < both && before[first] == leaves[first]) ++first;
  return first;
}

Hash256 MerkleTree::root(std::span<const Hash256> leaves, size_t depth) {
  if (leaves.empty()) {
    levels_.clear();
    return zero_root(depth);
  }
  size_t changed = first_change(leaves);  // on each level: what is below it stands as it was
  if (levels_.empty()) levels_.resize(1);
  levels_[0].resize(changed);
  levels_[0].insert(levels_[0].end(), leaves.begin() + static_cast<ptrdiff_t>(changed),
                    leaves.end());
  size_t level = 0;
  for (; levels_[level].size() > 1; ++level) {
    if (levels_.size() == level + 1) levels_.emplace_back();
    const std::vector<Hash256>& below = levels_[level];
    std::vector<Hash256>& above = levels_[level + 1];
    const size_t pairs = below.size() / 2;
    changed /= 2;
    above.resize((below.size() + 1) / 2);
    if (changed < pairs) {
      sha256_pairs(below[2 * changed].bytes.data(), above[changed].bytes.data(), pairs - changed);
    }
    if (above.size() > pairs) above[pairs] = sha256_pair(below.back(), zero_root(level));
  }
  levels_.resize(level + 1);
  BL_CHECK(level <= depth);
  Hash256 root = levels_[level][0];
  for (; level < depth; ++level) root = sha256_pair(root, zero_root(level));
  return root;
}

}  // namespace beamline::ssz
