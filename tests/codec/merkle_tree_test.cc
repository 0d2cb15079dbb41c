// The kept tree against a tree made anew of leaves and zeros, whatever became of the list between.
//
// Replay: BEAMLINE_SEED=<seed> test_codec --gtest_filter=MerkleTree.*
#include "codec/merkle_tree.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "crypto/sha256.h"

namespace beamline::ssz {
namespace {

Hash256 root_of_all(std::vector<Hash256> leaves, size_t depth) {
  leaves.resize(size_t{1} << depth);
  for (; leaves.size() > 1; leaves.resize(leaves.size() / 2)) {
    for (size_t i = 0; i < leaves.size() / 2; ++i) {
      leaves[i] = sha256_pair(leaves[2 * i], leaves[2 * i + 1]);
    }
  }
  return leaves[0];
}

Hash256 random_hash(Rng& rng) {
  Hash256 hash;
  rng.fill(hash.bytes);
  return hash;
}

TEST(MerkleTree, HasTheRootOfATreeMadeAnewHoweverTheListChanged) {
  const char* const given = std::getenv("BEAMLINE_SEED");
  const uint64_t seed = given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  for (size_t depth = 0; depth <= 9; ++depth) {
    const size_t room = size_t{1} << depth;
    MerkleTree tree;
    std::vector<Hash256> leaves;
    for (int step = 0; step < 60; ++step) {
      switch (rng.below(5)) {
        case 0:  // grows a little
          for (uint64_t n = rng.below(4); n > 0; --n) leaves.push_back(random_hash(rng));
          break;
        case 1:  // or much
          for (uint64_t n = rng.below(room + 1); n > 0; --n) leaves.push_back(random_hash(rng));
          break;
        case 2:
          leaves.resize(rng.below(leaves.size() + 1));
          break;
        case 3:  // another branch
          if (!leaves.empty()) leaves[rng.below(leaves.size())] = random_hash(rng);
          break;
        default:  // as it was
          break;
      }
      if (leaves.size() > room) leaves.resize(room);
      ASSERT_EQ(tree.root(leaves, depth), root_of_all(leaves, depth)) << depth << " " << step;
    }
  }
}

TEST(MerkleTree, KnowsTheRootsOfZeros) {
  EXPECT_EQ(zero_root(0), Hash256::zero());
  MerkleTree tree;
  for (size_t depth = 1; depth <= kMaxTreeDepth; ++depth) {
    EXPECT_EQ(zero_root(depth), sha256_pair(zero_root(depth - 1), zero_root(depth - 1)));
    EXPECT_EQ(tree.root({}, depth), zero_root(depth));
    const Hash256 zero;
    EXPECT_EQ(tree.root({&zero, 1}, depth), zero_root(depth));
  }
  EXPECT_EQ(tree_depth(0), 0u);
  EXPECT_EQ(tree_depth(1), 0u);
  EXPECT_EQ(tree_depth(5), 3u);
  EXPECT_EQ(tree_depth(1 << 18), 18u);
}

}  // namespace
}  // namespace beamline::ssz
