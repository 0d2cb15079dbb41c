// Blocks from the mesh: accept, ignore or reject, and the buffer of those that are a little early.
#include <numeric>

#include <gtest/gtest.h>

#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

GossipVerdict only_verdict(const Bench& bench) {
  const auto verdicts = bench.said<GossipVerdict>();
  EXPECT_EQ(verdicts.size(), 1u);
  return verdicts.empty() ? GossipVerdict{} : verdicts[0];
}

TEST(Gossip, ABlockOnTheHeadIsAcceptedImportedAndTheHead) {
  Bench bench;
  bench.up(kPeerA);
  const BlockInfo block = make_block(make_genesis().root, 1);
  bench.gossip(kPeerA, block);
  bench.turn();
  EXPECT_EQ(only_verdict(bench).result, GossipResult::accept);
  const auto imported = bench.said<BlockImported>();
  ASSERT_EQ(imported.size(), 1u);
  EXPECT_EQ(imported[0].origin, Origin::gossip);
  EXPECT_EQ(imported[0].batch, 0u);
  EXPECT_EQ(imported[0].peer, kPeerA);
  const auto heads = bench.said<HeadChanged>();
  ASSERT_EQ(heads.size(), 1u);
  EXPECT_EQ(heads[0].root, block.root);
  EXPECT_EQ(heads[0].previous, make_genesis().root);
  EXPECT_FALSE(heads[0].reorg);
}

TEST(Gossip, AnOrphanIsIgnoredAndKept) {
  Bench bench;
  bench.up(kPeerA);
  const BlockInfo parent = make_block(make_genesis().root, 1);
  bench.gossip(kPeerA, make_block(parent.root, 2));
  bench.turn();
  EXPECT_EQ(only_verdict(bench).reason, GossipReason::parent_unknown);
  EXPECT_EQ(bench.chain.cache().size(), 1u);
  bench.gossip(kPeerA, parent);  // comes by gossip before the answer does
  bench.turn();
  EXPECT_EQ(bench.chain.head().slot, 2u);
  EXPECT_EQ(bench.chain.pending().size(), 0u);
}

TEST(Gossip, TheSlotsOfTheFutureWaitForTheirTime) {
  ChainConfig config = make_config();
  Bench bench(config);
  bench.up(kPeerA);
  const Slot now = bench.chain.current_slot(bench.now.wall);
  const BlockInfo next = make_block(make_genesis().root, now + 1);
  const BlockInfo far = make_block(make_genesis().root, now + 100);
  bench.gossip(kPeerA, next);
  bench.turn();
  EXPECT_EQ(only_verdict(bench).reason, GossipReason::future_slot);
  bench.gossip(kPeerA, far);
  bench.turn();
  EXPECT_EQ(only_verdict(bench).reason, GossipReason::future_slot);
  EXPECT_EQ(bench.chain.stats().future_kept, 1u);
  EXPECT_EQ(bench.chain.stats().future_refused, 1u);
  EXPECT_EQ(bench.chain.poll_timeout(), bench.now.mono + milliseconds(500));
  bench.run(milliseconds(499));
  EXPECT_EQ(bench.chain.head().slot, 0u);
  bench.run(milliseconds(2));
  EXPECT_TRUE(bench.chain.cache().contains(next.root));
  bench.run(milliseconds(500));
  EXPECT_EQ(bench.chain.head().root, next.root);
  // Within the clock disparity it is no future, and is imported when its slot begins.
  bench.pass(milliseconds(600));
  bench.gossip(kPeerA, make_block(next.root, now + 2));
  bench.turn();
  EXPECT_TRUE(bench.said<GossipVerdict>().empty());
  bench.run(milliseconds(500));
  EXPECT_EQ(bench.chain.head().slot, now + 2);
}

TEST(Gossip, TheBufferOfFutureBlocksIsSharedOutByPeer) {
  ChainConfig config = make_config();
  config.limits.future_blocks = 4;
  config.limits.future_per_peer = 3;
  Bench bench(config);
  bench.up(kPeerA);
  bench.up(kPeerB);
  const Slot next = bench.chain.current_slot(bench.now.wall) + 1;
  for (uint64_t i = 1; i < 6; ++i) bench.gossip(kPeerA, make_block(root_of(i), next, i));
  EXPECT_EQ(bench.chain.stats().future_kept, 3u);
  // Who has most gives way, until all have as much.
  for (uint64_t i = 10; i < 15; ++i) bench.gossip(kPeerB, make_block(root_of(i), next, i));
  EXPECT_EQ(bench.chain.stats().future_kept, 5u);
  EXPECT_EQ(bench.chain.stats().future_refused, 2u + 1 + 3);
  bench.run(seconds(2));
  EXPECT_EQ(bench.chain.cache().by_gossip_of(kPeerA), 2u);
  EXPECT_EQ(bench.chain.cache().by_gossip_of(kPeerB), 2u);
}

TEST(Gossip, WhatIsKnownOldOrFromNobodyIsIgnored) {
  Bench bench;
  bench.up(kPeerA);
  const BlockInfo block = make_block(make_genesis().root, 3);
  bench.gossip(kPeerA, block);
  bench.turn();
  bench.gossip(kPeerA, block);
  bench.turn();
  EXPECT_EQ(only_verdict(bench).reason, GossipReason::already_known);
  BlockInfo genesis_slot = make_block(root_of(3), 0);
  bench.gossip(kPeerA, genesis_slot);
  bench.turn();
  EXPECT_EQ(only_verdict(bench).reason, GossipReason::below_anchor);
  bench.gossip(kPeerB, make_block(block.root, 4));
  bench.turn();
  EXPECT_EQ(only_verdict(bench).reason, GossipReason::unknown_peer);
  BlockInfo twin = make_block(make_genesis().root, 3, 1);
  twin.proposer = block.proposer;
  bench.gossip(kPeerA, twin);
  bench.turn();
  EXPECT_EQ(only_verdict(bench).reason, GossipReason::second_proposal);
  EXPECT_EQ(bench.chain.peers().find(kPeerA)->score, 100);
  // Each is counted by its reason.
  const auto& counted = bench.chain.stats().verdicts;
  for (const auto reason :
       {GossipReason::verified, GossipReason::already_known, GossipReason::below_anchor,
        GossipReason::unknown_peer, GossipReason::second_proposal}) {
    EXPECT_EQ(counted[static_cast<size_t>(reason)], 1u) << name(reason);
  }
  EXPECT_EQ(std::accumulate(counted.begin(), counted.end(), uint64_t{0}), 5u);
}

TEST(Gossip, ASecondProposalThatOthersBuildOnIsFetched) {
  Bench bench;
  bench.up(kPeerA);
  bench.gossip(kPeerA, make_block(make_genesis().root, 3));
  BlockInfo twin = make_block(make_genesis().root, 3, 1);
  twin.proposer = 0;
  bench.gossip(kPeerA, make_block(twin.root, 4));
  bench.turn();
  const auto requests = bench.said<RequestByRoot>();
  ASSERT_EQ(requests.size(), 1u);
  bench.chunk(requests[0], twin);
  bench.end(requests[0]);
  bench.turn();
  EXPECT_EQ(bench.chain.head().slot, 4u);
  EXPECT_EQ(bench.chain.stats().reorgs, 1u);
}

TEST(Gossip, ChildrenOfAnInvalidBlockAreRejectedAndNotFetched) {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  Bench bench(config);
  bench.up(kPeerA);
  bench.up(kPeerB);
  const BlockInfo bad = make_block(make_genesis().root, 1);
  const BlockInfo child = make_block(bad.root, 2);
  const BlockInfo grandchild = make_block(child.root, 3);
  bench.gossip(kPeerA, bad);
  bench.gossip(kPeerA, child);  // waits: its verdict depends on the parent's
  bench.turn();
  EXPECT_TRUE(bench.said<GossipVerdict>().empty());
  bench.give(ImportVerdict{bench.said<ImportBlock>()[0].import, Verdict::invalid_block});
  bench.turn();
  const auto verdicts = bench.said<GossipVerdict>();
  ASSERT_EQ(verdicts.size(), 2u);
  EXPECT_EQ(verdicts[0].reason, GossipReason::invalid_block);
  EXPECT_EQ(verdicts[1].reason, GossipReason::invalid_parent);
  bench.gossip(kPeerB, grandchild);
  bench.turn();
  EXPECT_EQ(only_verdict(bench).reason, GossipReason::invalid_parent);
  EXPECT_TRUE(bench.said<RequestByRoot>().empty());
  EXPECT_EQ(bench.chain.cache().size(), 0u);
}

TEST(Gossip, DescendantsDrainInTheOrderOfSlotsWithoutRecursion) {
  Bench bench;
  bench.up(kPeerA);
  bench.up(kPeerB);
  auto blocks = make_chain(make_genesis().root, 1, 900);
  for (size_t i = blocks.size(); i-- > 1;) bench.gossip(i % 2 == 0 ? kPeerA : kPeerB, blocks[i]);
  bench.turn();
  bench.gossip(kPeerA, blocks[0]);
  bench.turn();
  const auto imported = bench.said<BlockImported>();
  ASSERT_EQ(imported.size(), 900u);
  for (size_t i = 0; i < imported.size(); ++i) EXPECT_EQ(imported[i].slot, i + 1);
}

TEST(Gossip, VerdictsInAnyOrderImportParentsFirst) {
  ChainConfig config = make_config();
  config.import = ChainConfig::Import::ask;
  Bench bench(config);
  bench.up(kPeerA);
  std::vector<BlockInfo> siblings;
  for (uint64_t i = 0; i < 5; ++i) siblings.push_back(make_block(make_genesis().root, 1, i));
  for (const BlockInfo& block : siblings) bench.gossip(kPeerA, block);
  bench.turn();
  auto imports = bench.said<ImportBlock>();
  ASSERT_EQ(imports.size(), 5u);
  std::reverse(imports.begin(), imports.end());
  for (const ImportBlock& import : imports)
    bench.give(ImportVerdict{import.import, Verdict::valid});
  bench.give(ImportVerdict{imports[0].import, Verdict::valid});  // a second time: dropped, counted
  bench.turn();
  EXPECT_EQ(bench.chain.tree().size(), 6u);
  EXPECT_EQ(bench.chain.stats().stale_events, 1u);
}

TEST(Gossip, AFullCommandQueueRefusesTheEventAndLosesNothing) {
  ChainConfig config = make_config();
  config.limits.cached_blocks = 16;
  config.limits.peers = 4;
  config.limits.commands = 256;
  Bench bench(config);
  bench.up(kPeerA);
  const BlockInfo block = make_block(make_genesis().root, 1);
  uint64_t given = 0;
  Status status;
  while ((status = bench.chain.handle(bench.now, GossipBlock{kPeerA, ++given, block}))) {
    ASSERT_LT(given, 1000u);
  }
  EXPECT_EQ(status.error().code, Code::full);
  EXPECT_EQ(bench.chain.stats().events_refused, 1u);
  bench.turn();
  EXPECT_EQ(bench.said<GossipVerdict>().size() + 0u, given - 2);
  bench.turn();
  EXPECT_EQ(bench.said<GossipVerdict>().size(), 1u);
  EXPECT_EQ(bench.chain.tree().size(), 2u);
}

}  // namespace
}  // namespace beamline::chain
