// Payloads that the execution engine finds invalid, at import or later: their branch goes, and
// nobody pays who sent it in good faith (consensus-specs, bellatrix p2p-interface,
// "Why allow invalid payloads on the P2P network?").
#include <gtest/gtest.h>

#include "chain/beacon_fork_choice.h"
#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

// Asks for each import; every block is optimistic.
struct PayloadBench : Bench {
  PayloadBench() : Bench(config(), policy()) {
    up(kPeerA);
    up(kPeerB);
  }
  static ChainConfig config() {
    ChainConfig config = make_config();
    config.import = ChainConfig::Import::ask;
    config.limits.invalid_blocks = 1;
    return config;
  }
  static std::unique_ptr<ForkChoice> policy() {
    BeaconConfig beacon;
    beacon.slot_duration = seconds(1);
    return std::make_unique<BeaconForkChoice>(
        beacon, BeaconForkChoice::Anchor{make_genesis().root, 0, 0, Execution::none, {}});
  }
  ImportId ask(const BlockInfo& block) {
    gossip(kPeerA, block);
    turn();
    const auto imports = said<ImportBlock>();
    EXPECT_EQ(imports.size(), 1u);
    return imports.empty() ? 0 : imports[0].import;
  }
  void answer(ImportId import, Execution execution) {
    ImportVerdict verdict{import, Verdict::valid};
    const Checkpoint genesis{0, make_genesis().root};
    verdict.post = {genesis, genesis, genesis, genesis, execution, root_of(900 + import)};
    give(std::move(verdict));
    turn();
  }
  void import(const BlockInfo& block) { answer(ask(block), Execution::optimistic); }
  void invalidate(const BlockInfo& block) {
    give(PayloadVerdict{block.root, Execution::invalid, std::nullopt});
    turn();
  }
  GossipReason reason() const {
    EXPECT_EQ(said<GossipVerdict>().size(), 1u);
    return said<GossipVerdict>().front().reason;
  }
  // So that the chain forgets what else it found invalid.
  void fill_invalid_cache() {
    const BlockInfo wrong = make_block(make_genesis().root, 1, 77);
    give(ImportVerdict{ask(wrong), Verdict::invalid_block});
    turn();
  }
  const std::vector<BlockInfo> blocks = make_chain(make_genesis().root, 1, 3);
};

TEST(Payload, ABlockWhosePayloadIsInvalidAtImportIsForwardedNotImportedAndCostsNobody) {
  PayloadBench bench;
  bench.gossip(kPeerA, bench.blocks[0]);
  bench.gossip(kPeerB, bench.blocks[1]);
  bench.turn();
  bench.answer(bench.said<ImportBlock>().front().import, Execution::invalid);
  const auto verdicts = bench.said<GossipVerdict>();
  ASSERT_EQ(verdicts.size(), 2u);
  EXPECT_EQ(verdicts[0].reason, GossipReason::verified);
  EXPECT_EQ(verdicts[1].reason, GossipReason::invalid_payload);
  EXPECT_EQ(verdicts[1].result, GossipResult::ignore);
  EXPECT_TRUE(bench.said<ReportPeer>().empty());
  EXPECT_EQ(bench.chain.cache().size(), 0u);
  EXPECT_EQ(bench.chain.head().slot, 0u);
  EXPECT_TRUE(bench.chain.idle());
}

TEST(Payload, AnAnswerWithABlockOfAnInvalidatedBranchCostsNobody) {
  PayloadBench bench;
  bench.import(bench.blocks[0]);
  bench.gossip(kPeerA, bench.blocks[2]);
  bench.turn();
  const auto requests = bench.said<RequestByRoot>();
  ASSERT_EQ(requests.size(), 1u);
  bench.invalidate(bench.blocks[0]);
  bench.chunk(requests[0], bench.blocks[1]);
  bench.end(requests[0]);
  bench.turn();
  for (const ReportPeer& report : bench.said<ReportPeer>()) EXPECT_GE(report.change, 0);
  EXPECT_TRUE(bench.said<ImportBlock>().empty());
  EXPECT_TRUE(bench.chain.idle());
}

// Found by injection: the verdict on a block that was no longer cached was a failed check.
TEST(Payload, ABranchThatGoesTwiceTakesABlockWithItThatIsWithTheClient) {
  PayloadBench bench;
  bench.import(bench.blocks[0]);
  const ImportId child = bench.ask(bench.blocks[1]);
  bench.invalidate(bench.blocks[0]);
  bench.fill_invalid_cache();
  bench.answer(bench.ask(bench.blocks[0]), Execution::invalid);
  EXPECT_EQ(bench.chain.cache().size(), 0u);
  EXPECT_EQ(bench.chain.imports_in_flight(), 0u);
  const uint64_t stale = bench.chain.stats().stale_events;
  bench.answer(child, Execution::optimistic);
  EXPECT_EQ(bench.chain.stats().stale_events, stale + 1);
  EXPECT_EQ(bench.chain.head().slot, 0u);
}

TEST(Payload, ABranchThatGoesTwiceTakesABlockWithItThatWaitsForItsData) {
  PayloadBench bench;
  bench.import(bench.blocks[0]);
  const ImportId child = bench.ask(bench.blocks[1]);
  bench.invalidate(bench.blocks[0]);
  bench.fill_invalid_cache();
  const ImportId parent = bench.ask(bench.blocks[0]);
  bench.answer(parent, Execution::optimistic);  // the engine thinks better of it
  bench.give(ImportVerdict{child, Verdict::data_missing, {0, 1}, {}, {}, {}, {}});
  bench.turn();
  ASSERT_EQ(bench.chain.cache().count(CachedBlock::State::data), 1u);
  bench.invalidate(bench.blocks[0]);
  EXPECT_EQ(bench.chain.cache().size(), 0u);
  EXPECT_EQ(bench.chain.pending().size(), 0u);
  bench.run(seconds(10));
  EXPECT_TRUE(bench.chain.idle());
}

// Found by reading: it was asked for a second time, and the second verdict was a failed check.
TEST(Payload, ABlockWithTheClientIsNotAskedForTwiceWhenItsParentGoesAndComesBack) {
  PayloadBench bench;
  bench.import(bench.blocks[0]);
  const ImportId child = bench.ask(bench.blocks[1]);
  bench.invalidate(bench.blocks[0]);
  bench.fill_invalid_cache();
  bench.answer(bench.ask(bench.blocks[0]), Execution::optimistic);
  EXPECT_TRUE(bench.said<ImportBlock>().empty());
  bench.answer(child, Execution::optimistic);
  EXPECT_EQ(bench.chain.head().root, bench.blocks[1].root);
}

// Found by injection: it was held, without a parent, as long as the store was behind.
TEST(Payload, ABlockThatIsToBeAskedForAgainGoesWhenItsBranchIsGone) {
  PayloadBench bench;
  bench.import(bench.blocks[0]);
  const ImportId child = bench.ask(bench.blocks[1]);
  bench.give(ImportVerdict{child, Verdict::try_again});
  bench.turn();
  bench.invalidate(bench.blocks[0]);
  bench.run(seconds(1));
  EXPECT_EQ(bench.reason(), GossipReason::dropped);
  EXPECT_EQ(bench.chain.cache().size(), 0u);
}

// Found by injection: only the block itself went, as if the engine had named a block of which
// nobody knows.
TEST(Payload, NoValidPayloadDownToWhatIsFinalStopsTheClient) {
  BeaconConfig config;
  config.slot_duration = seconds(1);
  BeaconForkChoice policy(config, {make_genesis().root, 0, 0, Execution::optimistic, {}});
  policy.on_tick(WallTime::from_unix(3));
  const BlockInfo block = make_block(make_genesis().root, 1);
  const Checkpoint genesis{0, make_genesis().root};
  ForkChoice::Block told{block.root, block.parent_root, 1, 0, WallTime::from_unix(1), {}};
  told.post = {genesis, genesis, genesis, genesis, Execution::optimistic, root_of(9)};
  ASSERT_TRUE(policy.on_block(told));
  std::vector<Root> removed;
  const Status taken = policy.on_payload(block.root, Execution::invalid, Hash256{}, removed);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::invalid_argument);
  EXPECT_TRUE(removed.empty());
  EXPECT_TRUE(policy.on_payload(block.root, Execution::invalid, root_of(55), removed));
  EXPECT_EQ(removed, std::vector<Root>{block.root});
}

}  // namespace
}  // namespace beamline::chain
