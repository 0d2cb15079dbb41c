// A block of our own: imported as one from the mesh is, with nobody to thank, and published once.
#include <gtest/gtest.h>

#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

TEST(OwnBlock, IsPublishedImportedAndTheHead) {
  Bench bench;
  const BlockInfo block = make_block(make_genesis().root, 1);
  bench.give(OwnBlock{block});
  bench.turn();
  const auto published = bench.said<PublishBlock>();
  ASSERT_EQ(published.size(), 1u);
  EXPECT_EQ(published[0].root, block.root);
  EXPECT_TRUE(equal(published[0].signed_bytes, block.signed_bytes));
  const auto imported = bench.said<BlockImported>();
  ASSERT_EQ(imported.size(), 1u);
  EXPECT_EQ(imported[0].origin, Origin::own);
  EXPECT_EQ(bench.chain.head().root, block.root);
  EXPECT_TRUE(bench.said<GossipVerdict>().empty());
  EXPECT_EQ(bench.chain.stats().own_blocks, 1u);
}

TEST(OwnBlock, WithoutAParentTwiceOrBeforeItsParentIsRefusedAndNotPublished) {
  Bench bench;
  const BlockInfo first = make_block(make_genesis().root, 5);
  bench.give(OwnBlock{first});
  bench.give(OwnBlock{first});
  bench.give(OwnBlock{make_block(root_of(77), 6)});
  bench.give(OwnBlock{make_block(first.root, 5)});
  bench.turn();
  EXPECT_EQ(bench.said<PublishBlock>().size(), 1u);
  EXPECT_EQ(bench.chain.stats().own_blocks, 1u);
  EXPECT_EQ(bench.chain.stats().own_refused, 3u);
  EXPECT_EQ(bench.chain.pending().size(), 0u);
  EXPECT_EQ(bench.chain.cache().size(), 0u);
}

}  // namespace
}  // namespace beamline::chain
