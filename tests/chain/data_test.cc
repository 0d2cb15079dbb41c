// A block whose blobs or columns are missing waits for them, and they are fetched by the flush.
#include <gtest/gtest.h>

#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

struct DataBench : Bench {
  explicit DataBench(const ChainConfig& with = config()) : Bench(with) {
    up(kPeerA);
    up(kPeerB);
    block = make_block(make_genesis().root, 1);
    gossip(kPeerA, block);
    turn();
  }
  static ChainConfig config() {
    ChainConfig config = make_config();
    config.import = ChainConfig::Import::ask;
    return config;
  }
  void answer(Verdict verdict, std::vector<uint64_t> missing = {}) {
    const auto imports = said<ImportBlock>();
    ASSERT_EQ(imports.size(), 1u);
    ImportVerdict event{imports[0].import, verdict};
    event.missing = std::move(missing);
    give(std::move(event));
    turn();
  }
  void sidecar(const RequestData& request, uint64_t index) {
    give(SidecarReceived{request.peer, request.request, block.root, index,
                         SharedBytes::build(10, [](MutableBytes out) { out[0] = 1; })});
  }
  BlockInfo block;
};

TEST(Data, ABlockWaitsForItsDataWithThatReasonAndIsImportedWhenItCame) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {0, 3, 5});
  ASSERT_NE(bench.chain.pending().find(bench.block.root), nullptr);
  EXPECT_EQ(bench.chain.pending().find(bench.block.root)->wanted_as, WantedAs::data);
  EXPECT_EQ(bench.chain.cache().count(CachedBlock::State::data), 1u);
  ASSERT_EQ(bench.said<GossipVerdict>().size(), 1u);
  EXPECT_EQ(bench.said<GossipVerdict>()[0].result, GossipResult::accept);
  const auto requests = bench.said<RequestData>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].peer, kPeerA);  // who sent the block
  ASSERT_EQ(requests[0].wanted.size(), 1u);
  EXPECT_EQ(requests[0].wanted[0].indices, (std::vector<uint64_t>{0, 3, 5}));
  for (const uint64_t index : {3u, 0u}) bench.sidecar(requests[0], index);
  bench.turn();
  EXPECT_EQ(bench.said<ImportData>().size(), 2u);
  EXPECT_TRUE(bench.said<ImportBlock>().empty());
  bench.sidecar(requests[0], 5);
  bench.end(requests[0]);
  bench.turn();
  EXPECT_EQ(bench.said<ImportData>()[0].index, 5u);
  bench.answer(Verdict::valid);
  EXPECT_EQ(bench.chain.head().root, bench.block.root);
  EXPECT_TRUE(bench.chain.idle());
  EXPECT_EQ(bench.chain.stats().data_received, 3u);
}

TEST(Data, DataLeavesWithTheSameFlushAsTheRootsOfBlocks) {
  DataBench bench;
  bench.gossip(kPeerB, make_block(root_of(55), 3));
  bench.answer(Verdict::data_missing, {1});
  const auto roots = bench.said<RequestByRoot>();
  const auto data = bench.said<RequestData>();
  ASSERT_EQ(roots.size(), 1u);
  ASSERT_EQ(data.size(), 1u);
  EXPECT_EQ(roots[0].peer, data[0].peer);
}

TEST(Data, WhatAPeerLacksIsAskedElsewhereAndNothingTwice) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {0, 1});
  const auto first = bench.said<RequestData>();
  bench.sidecar(first[0], 1);
  bench.end(first[0]);
  bench.turn();
  const auto second = bench.said<RequestData>();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].peer, kPeerB);
  EXPECT_EQ(second[0].wanted[0].indices, (std::vector<uint64_t>{0}));
}

TEST(Data, DataThatWasNotAskedForOrCameTwiceEndsTheRequestAndIsCharged) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {0, 1});
  const auto first = bench.said<RequestData>();
  bench.sidecar(first[0], 1);
  bench.sidecar(first[0], 1);
  bench.turn();
  ASSERT_EQ(bench.said<CancelRequest>().size(), 1u);
  ASSERT_EQ(bench.said<ReportPeer>().size(), 1u);
  EXPECT_EQ(bench.said<ReportPeer>()[0].peer, kPeerA);
  const auto second = bench.said<RequestData>();
  ASSERT_EQ(second.size(), 1u);
  bench.give(ChunkReceived{kPeerB, second[0].request, make_block(root_of(8), 9)});
  bench.turn();
  EXPECT_EQ(bench.said<ReportPeer>()[0].peer, kPeerB);
  EXPECT_NE(bench.chain.pending().find(bench.block.root), nullptr);
}

TEST(Data, DataThatNobodyHasIsGivenUpWithItsBlock) {
  DataBench bench;
  const BlockInfo child = make_block(bench.block.root, 2);
  bench.gossip(kPeerA, child);
  bench.turn();
  // (The child had its turn; the first import is still asked for.)
  bench.give(ImportVerdict{1, Verdict::data_missing, {4}});
  for (int i = 0; i < 200 && bench.chain.cache().size() > 0; ++i) {
    bench.run(milliseconds(500));
    for (const RequestData& request : bench.said<RequestData>()) bench.end(request);
  }
  EXPECT_EQ(bench.chain.cache().size(), 0u);
  EXPECT_EQ(bench.chain.stats().given_up_attempts, 1u);
  EXPECT_TRUE(bench.chain.idle());
}

TEST(Data, DataThatCameInAnotherWayEndsTheWait) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {0});
  const auto requests = bench.said<RequestData>();
  bench.give(DataAvailable{bench.block.root});
  bench.give(DataAvailable{root_of(99)});
  bench.turn();
  ASSERT_EQ(bench.said<ImportBlock>().size(), 1u);
  bench.sidecar(requests[0], 0);  // late, and no fault
  bench.end(requests[0]);
  bench.turn();
  EXPECT_EQ(bench.chain.stats().charges, 0u);
}

// The client looked for it by itself, and still something is missing: what is on its way already is
// taken back first.
TEST(Data, DataThatCameInAnotherWayIsNotAskedForTwiceAtOnce) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {0, 1});
  const auto first = bench.said<RequestData>();
  ASSERT_EQ(first.size(), 1u);
  bench.give(DataAvailable{bench.block.root});
  bench.turn();
  ASSERT_EQ(bench.said<CancelRequest>().size(), 1u);
  EXPECT_EQ(bench.said<CancelRequest>()[0].request, first[0].request);
  bench.answer(Verdict::data_missing, {1});
  ASSERT_EQ(bench.said<RequestData>().size(), 1u);
  EXPECT_EQ(bench.chain.requests().data(), 1u);
  EXPECT_EQ(bench.chain.stats().charges, 0u);
}

// Forgets one block, as a policy does with what conflicts with a new finalised checkpoint.
class Forgetful final : public ForkChoice {
 public:
  void on_tick(WallTime) override {}
  Status on_block(const Block& block) override { return all_.on_block(block); }
  Head head() override { return all_.head(); }
  Checkpoint justified() const override { return all_.justified(); }
  Checkpoint finalized() const override { return all_.finalized(); }
  bool contains(const Root& root) const override { return root != forgotten; }
  Root forgotten;

 private:
  HighestSlot all_{make_genesis()};
};

TEST(Data, ABlockWhoseBranchWasPrunedWhileItWasVerifiedFetchesNoData) {
  auto policy = std::make_unique<Forgetful>();
  Forgetful& forgetful = *policy;
  Chain chain(DataBench::config(), nullptr, std::move(policy));
  const Now now{MonoTime{1'000'000'000}, WallTime::from_unix(100)};
  const auto turn = [&] {
    std::vector<Command> said;
    chain.end_of_turn(now);
    while (auto command = chain.poll_command()) said.push_back(std::move(*command));
    return said;
  };
  ASSERT_TRUE(chain.handle(now, PeerUp{kPeerA}));
  const BlockInfo block = make_block(make_genesis().root, 1);
  ASSERT_TRUE(chain.handle(now, GossipBlock{kPeerA, 1, block}));
  turn();
  ASSERT_EQ(chain.imports_in_flight(), 1u);
  forgetful.forgotten = make_genesis().root;
  ASSERT_TRUE(chain.handle(now, ImportVerdict{1, Verdict::data_missing, {0, 1}}));
  for (const Command& command : turn()) {
    EXPECT_FALSE(std::holds_alternative<RequestData>(command));
  }
  EXPECT_EQ(chain.pending().size(), 0u);
  // It goes when its turn comes again.
  const Now later{now.mono + seconds(1), now.wall + seconds(1)};
  ASSERT_TRUE(chain.handle(later, Tick{}));
  chain.end_of_turn(later);
  EXPECT_TRUE(chain.idle());
  EXPECT_EQ(chain.stats().dropped_final, 1u);
}

// Block and sidecar came from different peers, and the sidecar is wrong: its own sender pays.
TEST(Data, AVerdictChargesTheSendersOfAnInvalidSidecarNotOfTheBlock) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {0, 1});
  const auto first = bench.said<RequestData>();
  ASSERT_EQ(first[0].peer, kPeerA);  // the block's
  bench.sidecar(first[0], 0);
  bench.end(first[0]);
  bench.turn();
  const auto from_a = bench.said<ImportData>();
  ASSERT_EQ(from_a.size(), 1u);
  bench.give(DataVerdict{from_a[0].id, Verdict::valid});
  const auto second = bench.said<RequestData>();
  ASSERT_EQ(second.size(), 1u);
  ASSERT_EQ(second[0].peer, kPeerB);
  bench.sidecar(second[0], 1);
  bench.end(second[0]);
  bench.turn();
  const auto from_b = bench.said<ImportData>();
  ASSERT_EQ(from_b.size(), 1u);
  EXPECT_EQ(from_b[0].peer, kPeerB);
  ASSERT_EQ(bench.said<ImportBlock>().size(), 1u);
  const ImportId again = bench.said<ImportBlock>()[0].import;
  bench.give(DataVerdict{from_b[0].id, Verdict::invalid_bytes});
  bench.turn();
  const auto reports = bench.said<ReportPeer>();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].peer, kPeerB);
  EXPECT_EQ(reports[0].conduct, Conduct::invalid_data);
  ImportVerdict missing{again, Verdict::data_missing};
  missing.missing = {1};
  bench.give(std::move(missing));
  bench.turn();
  const auto third = bench.said<RequestData>();
  ASSERT_EQ(third.size(), 1u);
  EXPECT_EQ(third[0].peer, kPeerA);  // not from there again
  EXPECT_EQ(bench.chain.stats().data_invalid, 1u);
  EXPECT_EQ(bench.chain.stats().data_verified, 1u);
  EXPECT_EQ(bench.chain.data_in_verification(), 0u);
}

TEST(Data, AnInvalidSidecarIsAskedElsewhereWhileOthersAreStillMissing) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {0, 1, 2});
  const auto first = bench.said<RequestData>();
  bench.sidecar(first[0], 0);
  bench.turn();
  bench.give(DataVerdict{bench.said<ImportData>()[0].id, Verdict::invalid_block});
  bench.end(first[0]);
  bench.turn();
  const auto second = bench.said<RequestData>();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].peer, kPeerB);
  EXPECT_EQ(second[0].wanted[0].indices, (std::vector<uint64_t>{0, 1, 2}));
  // A fault of ours is nobody's charge.
  bench.sidecar(second[0], 2);
  bench.turn();
  bench.give(DataVerdict{bench.said<ImportData>()[0].id, Verdict::try_again});
  EXPECT_EQ(bench.chain.stats().data_asked_again, 2u);
  EXPECT_EQ(bench.chain.stats().charges, 1u);
  // What nobody gave out, and what was answered, is stale.
  const uint64_t stale = bench.chain.stats().stale_events;
  bench.give(DataVerdict{999, Verdict::invalid_bytes});
  EXPECT_EQ(bench.chain.stats().stale_events, stale + 1);
}

TEST(Data, ABadCopyIsNotAskedForAgainWhileAnotherIsVerified) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {0});
  const auto first = bench.said<RequestData>();
  bench.sidecar(first[0], 0);
  bench.end(first[0]);
  bench.turn();
  const auto bad = bench.said<ImportData>();
  ASSERT_EQ(bad.size(), 1u);
  // Before its verdict the client is asked for the block again, and wants more.
  bench.answer(Verdict::data_missing, {0, 1});
  const auto second = bench.said<RequestData>();
  ASSERT_EQ(second.size(), 1u);
  bench.sidecar(second[0], 0);
  bench.turn();
  ASSERT_EQ(bench.said<ImportData>().size(), 1u);
  bench.give(DataVerdict{bad[0].id, Verdict::invalid_bytes});
  bench.end(second[0]);
  bench.turn();
  const auto third = bench.said<RequestData>();
  ASSERT_EQ(third.size(), 1u);
  EXPECT_EQ(third[0].wanted[0].indices, (std::vector<uint64_t>{1}));
  EXPECT_EQ(bench.chain.stats().data_asked_again, 0u);
}

TEST(Data, AVerifiedSidecarWithItsBytesIsKeptToBeServed) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {4});
  bench.sidecar(bench.said<RequestData>()[0], 4);
  bench.turn();
  ImportData command = bench.said<ImportData>()[0];
  bench.give(DataVerdict{command.id, Verdict::valid, command.bytes});
  bench.turn();
  const auto kept = bench.said<KeepData>();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].block_root, bench.block.root);
  EXPECT_EQ(kept[0].index, 4u);
  EXPECT_EQ(kept[0].bytes.data(), command.bytes.data());
}

// A client that verifies nothing is sent no flood: no more is asked for, and it goes on once it
// answers.
TEST(Data, WhatIsInVerificationIsBounded) {
  ChainConfig config = DataBench::config();
  config.limits.data_in_verification = 1;
  DataBench bench(config);
  bench.answer(Verdict::data_missing, {0, 1});
  const auto first = bench.said<RequestData>();
  bench.sidecar(first[0], 0);
  bench.end(first[0]);
  bench.turn();
  const auto held = bench.said<ImportData>();
  EXPECT_TRUE(bench.said<RequestData>().empty());
  EXPECT_GE(bench.chain.stats().data_postponed, 1u);
  bench.give(DataVerdict{held[0].id, Verdict::valid});
  bench.turn();
  ASSERT_EQ(bench.said<RequestData>().size(), 1u);
}

TEST(Data, ARequestNamesAtMostSoManyBlocks) {
  ChainConfig config = DataBench::config();
  config.limits.data_blocks_per_request = 2;
  DataBench bench(config);
  std::vector<BlockInfo> blocks = {make_block(make_genesis().root, 2, 1),
                                   make_block(make_genesis().root, 3, 2)};
  for (const BlockInfo& block : blocks) bench.gossip(kPeerA, block);
  bench.turn();
  for (ImportId import = 1; import <= 3; ++import) {
    bench.give(ImportVerdict{import, Verdict::data_missing, {7}});
  }
  bench.turn();
  const auto requests = bench.said<RequestData>();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].wanted.size() + requests[1].wanted.size(), 3u);
  EXPECT_LE(std::max(requests[0].wanted.size(), requests[1].wanted.size()), 2u);
}

TEST(Data, WhatTheClientAsksForIsBounded) {
  DataBench bench;
  bench.answer(Verdict::data_missing, {3, 3});
  EXPECT_EQ(bench.chain.stats().data_refused, 1u);
  EXPECT_TRUE(bench.said<RequestData>().empty());
  EXPECT_EQ(bench.chain.cache().count(CachedBlock::State::delayed), 1u);
  EXPECT_EQ(bench.chain.pending().size(), 0u);
}

}  // namespace
}  // namespace beamline::chain
