// The chain core with the beacon policy: what the fork choice is told and what follows from it.
#include <gtest/gtest.h>

#include "chain/beacon_fork_choice.h"
#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

constexpr uint64_t kEpochSlots = 4;

// One slot a second; the clock stands at the start of slot 0. Imports and votes are asked for.
struct ForkBench {
  explicit ForkBench(ChainConfig::Import import = ChainConfig::Import::ask, Limits limits = {})
      : chain(config(import, limits), nullptr, policy()) {
    give(PeerUp{kPeerA});
    give(PeerUp{kPeerB});
    balances({0, make_genesis().root});
  }
  static ChainConfig config(ChainConfig::Import import, const Limits& limits) {
    ChainConfig config = make_config();
    config.import = import;
    config.limits = limits;
    return config;
  }
  std::unique_ptr<ForkChoice> policy() {
    BeaconConfig config;
    config.slot_duration = seconds(1);
    config.slots_per_epoch = kEpochSlots;
    config.max_blocks = 64;
    auto made = std::make_unique<BeaconForkChoice>(
        config, BeaconForkChoice::Anchor{make_genesis().root, 0, 0, Execution::valid, {}});
    beacon = made.get();
    return made;
  }
  void give(Event event) { ASSERT_TRUE(chain.handle(now, std::move(event)).has_value()); }
  void balances(const Checkpoint& justified) {
    give(JustifiedBalances{justified, std::vector<uint64_t>(64, 32), 64 * 32});
  }
  // Ends the turn; the client answers what it is asked.
  void turn() {
    commands.clear();
    for (;;) {
      chain.end_of_turn(now);
      bool answered = false;
      while (auto command = chain.poll_command()) {
        if (const auto* import = std::get_if<ImportBlock>(&*command)) {
          ImportVerdict verdict{import->import, Verdict::valid};
          verdict.post = post(import->block.root);
          give(std::move(verdict));
          answered = true;
        }
        if (auto* verify = std::get_if<VerifyVote>(&*command)) {
          if (hold_votes) {
            held.push_back(std::move(*verify));
          } else {
            give(VoteVerdict{verify->id, vote_verdict, std::move(verify->vote)});
            answered = true;
          }
          continue;
        }
        commands.push_back(std::move(*command));
      }
      if (!answered) return;
    }
  }
  PostState post(const Root& root) const {
    if (const auto it = posts.find(root); it != posts.end()) return it->second;
    PostState none;
    none.justified = none.finalized = {0, make_genesis().root};
    none.unrealized_justified = none.unrealized_finalized = none.justified;
    return none;
  }
  // At the start of this slot.
  void at_slot(Slot slot, Duration into = {}) {
    const Duration to = seconds(static_cast<int64_t>(slot)) + into;
    now.mono = now.mono + (WallTime{} + to - now.wall);
    now.wall = WallTime{} + to;
  }
  void gossip(const BlockInfo& block, PeerHandle from = kPeerA) {
    give(GossipBlock{from, ++verdicts, block});
    turn();
  }
  VerdictId vote(const BlockInfo& head, Slot slot, const Root& target, uint64_t first, uint64_t n,
                 PeerHandle from = kPeerA) {
    Vote vote;
    vote.slot = slot;
    vote.head_root = head.root;
    vote.target = {slot / kEpochSlots, target};
    for (uint64_t i = 0; i < n; ++i) vote.validators.push_back(first + i);
    give(GossipVote{from, ++verdicts, std::move(vote)});
    return verdicts;
  }
  template <class Kind>
  std::vector<Kind> said() const {
    std::vector<Kind> found;
    for (const Command& command : commands) {
      if (const auto* kind = std::get_if<Kind>(&command)) found.push_back(*kind);
    }
    return found;
  }
  GossipReason verdict_of(VerdictId id) const {
    for (const GossipVerdict& verdict : said<GossipVerdict>()) {
      if (verdict.verdict == id) return verdict.reason;
    }
    ADD_FAILURE() << "no verdict";
    return GossipReason::dropped;
  }
  // Two children of the anchor at slot 1, the one of the larger root first; at slot 2.
  void fork() {
    at_slot(1, milliseconds(900));  // too late for a boost
    high = make_block(make_genesis().root, 1, 1);
    low = make_block(make_genesis().root, 1, 2);
    if (high.root < low.root) std::swap(high, low);
    gossip(high);
    give(ChunkReceived{});  // stale: counted, harmless
    fetch(low);
    at_slot(2);
    turn();
    ASSERT_EQ(chain.head().root, high.root);
  }
  // Through gossip a second proposal of one proposer is refused: as our own.
  void fetch(const BlockInfo& block) {
    give(OwnBlock{block});
    turn();
  }

  Now now{MonoTime{1'000'000'000}, WallTime{}};
  BeaconForkChoice* beacon = nullptr;
  Chain chain;
  std::map<Root, PostState> posts;
  std::vector<Command> commands;
  std::vector<VerifyVote> held;
  bool hold_votes = false;
  Verdict vote_verdict = Verdict::valid;
  VerdictId verdicts = 0;
  BlockInfo high, low;
};

TEST(ForkChoice, VotesMoveTheHeadAndTheHeadIsSaidOncePerTurn) {
  ForkBench bench;
  bench.fork();
  const VerdictId first = bench.vote(bench.low, 1, make_genesis().root, 0, 3);
  const VerdictId second = bench.vote(bench.high, 1, make_genesis().root, 3, 2);
  bench.turn();
  EXPECT_EQ(bench.verdict_of(first), GossipReason::verified);
  EXPECT_EQ(bench.verdict_of(second), GossipReason::verified);
  ASSERT_EQ(bench.said<HeadChanged>().size(), 1u);
  EXPECT_EQ(bench.said<HeadChanged>()[0].root, bench.low.root);
  EXPECT_EQ(bench.said<HeadChanged>()[0].previous, bench.high.root);
  EXPECT_TRUE(bench.said<HeadChanged>()[0].reorg);
  EXPECT_EQ(bench.chain.tree().canonical_range(0, 9, 9).back(), bench.low.root);
}

TEST(ForkChoice, AVoteCountsFromTheNextSlotOn) {
  ForkBench bench;
  bench.fork();
  const VerdictId early = bench.vote(bench.low, 2, make_genesis().root, 0, 3);
  bench.turn();
  EXPECT_EQ(bench.verdict_of(early), GossipReason::verified);  // the mesh may have it at once
  EXPECT_EQ(bench.chain.head().root, bench.high.root);
  EXPECT_LE(bench.chain.poll_timeout(), bench.now.mono + seconds(1));
  bench.at_slot(3);
  bench.turn();
  EXPECT_EQ(bench.chain.head().root, bench.low.root);
}

TEST(ForkChoice, AVoteWaitsForItsBlock) {
  ForkBench bench;
  bench.at_slot(3);
  const BlockInfo block = make_block(make_genesis().root, 1);
  const VerdictId vote = bench.vote(block, 2, make_genesis().root, 0, 3);
  bench.turn();
  EXPECT_EQ(bench.verdict_of(vote), GossipReason::block_unknown);
  EXPECT_EQ(bench.chain.stats().votes_pending, 1u);
  bench.gossip(block);
  EXPECT_EQ(bench.chain.head().root, block.root);
  EXPECT_EQ(bench.beacon->weight(block.root), 3u * 32);
}

TEST(ForkChoice, PendingVotesAreBoundedBySenderAndInAll) {
  Limits limits;
  limits.votes_pending = 16;  // two each
  ForkBench bench(ChainConfig::Import::ask, limits);
  bench.at_slot(3);
  for (uint64_t i = 0; i < 10; ++i) {
    bench.vote(make_block(root_of(i), 1), 2, make_genesis().root, 0, 1);
  }
  EXPECT_EQ(bench.chain.stats().votes_pending, 2u);
  EXPECT_EQ(bench.chain.stats().votes_refused, 8u);
  for (uint32_t peer = 2; peer < 12; ++peer) {
    bench.give(PeerUp{{peer, 1}});
    for (uint64_t i = 0; i < 2; ++i) {
      bench.vote(make_block(root_of(peer * 100 + i), 1), 2, make_genesis().root, 0, 1, {peer, 1});
    }
  }
  bench.turn();
  EXPECT_EQ(bench.chain.stats().votes_pending, 22u);
  EXPECT_EQ(bench.chain.stats().votes_pending_evicted, 6u);
}

// Or the share of a peer that stays would fill up for good with what nobody ever made.
TEST(ForkChoice, PendingVotesWhoseBlockNeverComesExpire) {
  Limits limits;
  limits.votes_pending = 16;  // two each
  limits.votes_pending_slots = 8;
  ForkBench bench(ChainConfig::Import::ask, limits);
  for (Slot slot = 3; slot < 60; slot += 3) {
    bench.at_slot(slot);
    bench.turn();
    bench.vote(make_block(root_of(slot), 1), slot - 1, make_genesis().root, 0, 1);
  }
  EXPECT_EQ(bench.chain.stats().votes_pending + bench.chain.stats().votes_refused, 19u);
  EXPECT_GE(bench.chain.stats().votes_pending, 10u);
  EXPECT_EQ(bench.chain.stats().votes_pending_expired, bench.chain.stats().votes_pending - 2);
  EXPECT_EQ(bench.chain.stats().votes_pending_evicted, 0u);
}

TEST(ForkChoice, TheNewestVoteIsVerifiedFirst) {
  Limits limits;
  limits.votes_in_verification = 1;
  ForkBench bench(ChainConfig::Import::ask, limits);
  bench.fork();
  bench.at_slot(4);
  bench.hold_votes = true;
  bench.vote(bench.high, 1, make_genesis().root, 0, 1);
  bench.vote(bench.high, 2, make_genesis().root, 1, 1);
  bench.vote(bench.high, 3, make_genesis().root, 2, 1);
  bench.turn();
  ASSERT_EQ(bench.held.size(), 1u);
  EXPECT_EQ(bench.held[0].vote.slot, 3u);
}

TEST(ForkChoice, WhenVotesFloodTheOldestGoesAndEachHasItsVerdict) {
  Limits limits;
  limits.votes_waiting = 64;
  limits.votes_in_verification = 1;
  ForkBench bench(ChainConfig::Import::ask, limits);
  bench.fork();
  bench.hold_votes = true;
  for (uint32_t peer = 2; peer < 14; ++peer) {
    bench.give(PeerUp{{peer, 1}});
    for (uint64_t i = 0; i < 8; ++i) {
      bench.vote(bench.high, 1, make_genesis().root, i, 1, {peer, 1});
    }
  }
  bench.turn();
  EXPECT_EQ(bench.chain.stats().votes_evicted, 12u * 8 - 64);
  EXPECT_EQ(bench.said<GossipVerdict>().size(), 12u * 8 - 64);  // the others wait
  EXPECT_EQ(bench.verdict_of(bench.said<GossipVerdict>()[0].verdict), GossipReason::no_room);
}

// Found by reading: thousands of votes that a block frees pushed as many others out, each with a
// verdict, and more commands were said at once than there is room for.
TEST(ForkChoice, ABlockThatFreesThousandsOfVotesIntoAFullBufferPushesNoneOut) {
  Limits limits;
  limits.votes_in_verification = 1;
  ForkBench bench(ChainConfig::Import::ask, limits);
  bench.fork();
  bench.hold_votes = true;
  const BlockInfo late = make_block(bench.high.root, 2);
  for (uint32_t peer = 2; peer < 11; ++peer) {
    bench.give(PeerUp{{peer, 1}});
    for (uint64_t i = 0; i < limits.votes_waiting / 8; ++i) {
      const bool pending = i < limits.votes_pending / 8;
      if (pending) bench.vote(late, 2, make_genesis().root, i % 64, 1, {peer, 1});
      bench.vote(bench.high, 1, make_genesis().root, i % 64, 1, {peer, 1});
      bench.commands.clear();
      while (auto command = bench.chain.poll_command()) bench.commands.push_back(*command);
    }
  }
  const uint64_t evicted = bench.chain.stats().votes_evicted;
  const uint64_t refused = bench.chain.stats().votes_refused;
  bench.gossip(late);
  EXPECT_EQ(bench.chain.head().root, late.root);
  EXPECT_LE(bench.chain.stats().votes_evicted, evicted);
  EXPECT_GE(bench.chain.stats().votes_refused, refused + limits.votes_pending - 2);
}

TEST(ForkChoice, GossipOfVotesIsJudgedAndTheSenderNamed) {
  ForkBench bench;
  bench.fork();
  const Root genesis = make_genesis().root;
  const VerdictId future = bench.vote(bench.high, 9, genesis, 0, 1);
  const VerdictId wrong_target = bench.vote(bench.high, 1, bench.low.root, 0, 1);
  const VerdictId nobody = bench.vote(bench.high, 1, genesis, 0, 0);
  const VerdictId gone = bench.vote(bench.high, 1, genesis, 0, 1, {77, 1});
  bench.turn();
  EXPECT_EQ(bench.verdict_of(future), GossipReason::future_slot);
  EXPECT_EQ(bench.verdict_of(wrong_target), GossipReason::invalid_vote);
  EXPECT_EQ(bench.verdict_of(nobody), GossipReason::invalid_vote);
  EXPECT_EQ(bench.verdict_of(gone), GossipReason::unknown_peer);
  const auto reports = bench.said<ReportPeer>();
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].peer, kPeerA);
  bench.vote_verdict = Verdict::invalid_bytes;
  const VerdictId forged = bench.vote(bench.high, 1, genesis, 0, 1, kPeerB);
  bench.turn();
  EXPECT_EQ(bench.verdict_of(forged), GossipReason::invalid_vote);
  ASSERT_EQ(bench.said<ReportPeer>().size(), 1u);
  EXPECT_EQ(bench.said<ReportPeer>()[0].peer, kPeerB);
  EXPECT_EQ(bench.beacon->weight(bench.high.root), 0u);
}

TEST(ForkChoice, VotesWithinTheBudgetOfATurnDoNotStarveBlocks) {
  Limits limits;
  limits.votes_per_turn = 4;
  ForkBench bench(ChainConfig::Import::accept, limits);
  bench.fork();
  for (uint64_t i = 0; i < 20; ++i) bench.vote(bench.low, 1, make_genesis().root, i, 1);
  const BlockInfo next = make_block(bench.high.root, 2);
  bench.gossip(next);
  EXPECT_TRUE(bench.chain.tree().contains(next.root));
  EXPECT_EQ(bench.beacon->weight(bench.low.root), 4u * 32);
  EXPECT_EQ(bench.chain.poll_timeout(), bench.now.mono);  // and at once again
  for (int i = 0; i < 4; ++i) bench.turn();
  EXPECT_EQ(bench.beacon->weight(bench.low.root), 20u * 32);
}

TEST(ForkChoice, BoostOfATimelyBlockHoldsForItsSlot) {
  ForkBench bench;
  bench.fork();
  bench.vote(bench.high, 1, make_genesis().root, 0, 3);
  bench.turn();
  // 64 validators of 32, 4 slots: 512 a slot, of which 40 %.
  const BlockInfo timely = make_block(bench.low.root, 2);
  bench.gossip(timely);
  EXPECT_EQ(bench.beacon->proposer_boost_root(), timely.root);
  EXPECT_EQ(bench.chain.head().root, timely.root);
  EXPECT_EQ(bench.beacon->weight(bench.low.root), 512u * 40 / 100);
  bench.at_slot(3);
  bench.turn();
  EXPECT_EQ(bench.chain.head().root, bench.high.root);
  bench.at_slot(3, milliseconds(400));
  bench.gossip(make_block(bench.low.root, 3));
  EXPECT_TRUE(bench.beacon->proposer_boost_root().is_zero());
}

TEST(ForkChoice, BoostIsNotLostForABlockThatCameALittleEarly) {
  ForkBench bench;
  bench.at_slot(1, milliseconds(700));
  const BlockInfo early = make_block(make_genesis().root, 2);
  bench.gossip(early);
  EXPECT_EQ(bench.chain.head().slot, 0u);  // within the clock disparity: taken, and held
  EXPECT_LE(bench.chain.poll_timeout(), bench.now.mono + milliseconds(300));
  bench.at_slot(2);
  bench.turn();
  EXPECT_EQ(bench.chain.head().root, early.root);
  EXPECT_EQ(bench.beacon->proposer_boost_root(), early.root);
}

TEST(ForkChoice, EquivocationTakesTheVotesAway) {
  ForkBench bench;
  bench.fork();
  bench.vote(bench.low, 1, make_genesis().root, 0, 3);
  bench.turn();
  ASSERT_EQ(bench.chain.head().root, bench.low.root);
  bench.give(Equivocation{{0, 1, 2, 2, 1u << 30}});
  bench.turn();
  EXPECT_EQ(bench.chain.head().root, bench.high.root);
  EXPECT_EQ(bench.beacon->stats().equivocating, 3u);
  const VerdictId again = bench.vote(bench.low, 1, make_genesis().root, 0, 3);
  bench.turn();
  EXPECT_EQ(bench.verdict_of(again), GossipReason::already_known);
}

TEST(ForkChoice, ACommitteeComesFromWhereverEachVotedAndNobodyBeyondTheLimitCounts) {
  ForkBench bench;
  bench.fork();
  bench.vote(bench.low, 1, make_genesis().root, 0, 20);
  bench.vote(bench.high, 1, make_genesis().root, 20, 20);
  bench.give(Equivocation{{7}});
  bench.turn();
  EXPECT_EQ(bench.beacon->weight(bench.low.root), 19 * 32u);
  EXPECT_EQ(bench.beacon->weight(bench.high.root), 20 * 32u);

  bench.at_slot(2 * kEpochSlots);
  Vote vote;
  vote.slot = kEpochSlots;
  vote.head_root = bench.low.root;
  vote.target = {1, bench.low.root};
  for (const uint64_t beyond : {uint64_t{1} << 22, UINT64_MAX}) vote.validators.push_back(beyond);
  for (uint64_t i = 0; i < 60; ++i) vote.validators.push_back(i * 37 % 60);  // each once
  for (uint64_t i = 0; i < 60; ++i) vote.validators.push_back(59 - i);       // and again
  for (const uint64_t beyond : {uint64_t{1} << 22, UINT64_MAX}) vote.validators.push_back(beyond);
  bench.beacon->on_tick(bench.now.wall);
  EXPECT_EQ(bench.beacon->on_vote(vote, false), VoteResult::applied);
  bench.beacon->head();
  EXPECT_EQ(bench.beacon->weight(bench.low.root), 59 * 32u);
  EXPECT_EQ(bench.beacon->weight(bench.high.root), 0u);
  EXPECT_EQ(bench.beacon->on_vote(vote, false), VoteResult::too_many);
  vote.validators.assign({UINT64_MAX});
  EXPECT_EQ(bench.beacon->on_vote(vote, false), VoteResult::too_many);
}

// A chain of 12 blocks of which the 4th becomes final, with a fork beside it.
struct FinalBench : ForkBench {
  FinalBench() {
    blocks = make_chain(make_genesis().root, 1, 12);
    side = make_chain(make_genesis().root, 2, 3, 100, 5);
    at_slot(4);
    for (const BlockInfo& block : side) gossip(block);
    const Checkpoint genesis{0, make_genesis().root};
    for (size_t i = 0; i < blocks.size(); ++i) {
      const Epoch epoch = blocks[i].slot / kEpochSlots;
      PostState post;
      post.justified =
          epoch >= 2 ? Checkpoint{epoch - 1, blocks[(epoch - 1) * 4 - 1].root} : genesis;
      post.finalized =
          epoch >= 3 ? Checkpoint{epoch - 2, blocks[(epoch - 2) * 4 - 1].root} : genesis;
      post.unrealized_justified = post.justified;
      post.unrealized_finalized = post.finalized;
      post.execution = Execution::optimistic;
      post.payload_hash = root_of(5'000 + i);
      posts[blocks[i].root] = post;
    }
  }
  void import_all() {
    std::vector<Command> all;
    for (const BlockInfo& block : blocks) {
      at_slot(block.slot, milliseconds(100));
      gossip(block);
      for (const JustifiedChanged& justified : said<JustifiedChanged>()) {
        balances(justified.checkpoint);
      }
      all.insert(all.end(), commands.begin(), commands.end());
    }
    commands = std::move(all);
  }
  std::vector<BlockInfo> blocks;
  std::vector<BlockInfo> side;
};

TEST(ForkChoice, PruneAtFinalisationLeavesWhatIsServedAndNoSideBranch) {
  FinalBench bench;
  bench.gossip(make_block(root_of(777), 3, 8));  // an orphan that nothing can save any more
  ASSERT_EQ(bench.chain.cache().size(), 1u);
  ASSERT_EQ(bench.chain.pending().size(), 1u);
  bench.import_all();
  EXPECT_EQ(bench.chain.head().root, bench.blocks.back().root);
  ASSERT_EQ(bench.said<JustifiedChanged>().size(), 2u);
  EXPECT_EQ(bench.said<JustifiedChanged>()[1].checkpoint, (Checkpoint{2, bench.blocks[7].root}));
  ASSERT_EQ(bench.said<FinalizedChanged>().size(), 1u);
  EXPECT_EQ(bench.said<FinalizedChanged>()[0].checkpoint, (Checkpoint{1, bench.blocks[3].root}));
  for (const BlockInfo& block : bench.side) {
    EXPECT_FALSE(bench.chain.tree().contains(block.root));
    EXPECT_FALSE(bench.chain.store().get(block.root).has_value());
  }
  // The past of what is final is still served, and no block may be built on it.
  EXPECT_EQ(bench.chain.tree().canonical_range(1, 12, 99).size(), 12u);
  EXPECT_TRUE(bench.chain.store().get(bench.blocks[0].root).has_value());
  EXPECT_EQ(bench.chain.cache().size(), 0u);
  EXPECT_EQ(bench.chain.pending().size(), 0u);
  const uint64_t before = bench.verdicts;
  bench.gossip(make_block(bench.blocks[1].root, 12, 9));
  EXPECT_EQ(bench.verdict_of(before + 1), GossipReason::conflicts_final);
  bench.gossip(make_block(bench.side[0].root, 4, 9));
  EXPECT_EQ(bench.verdict_of(before + 2), GossipReason::below_anchor);
}

TEST(ForkChoice, OptimisticBranchIsInvalidatedAndItsBlocksAreKnownAsInvalid) {
  FinalBench bench;
  bench.import_all();
  const auto& blocks = bench.blocks;
  EXPECT_EQ(bench.beacon->execution(blocks[11].root), Execution::optimistic);
  bench.give(PayloadVerdict{blocks[8].root, Execution::valid, std::nullopt});
  EXPECT_EQ(bench.beacon->execution(blocks[7].root), Execution::valid);
  // The engine names the latest valid one: all after it goes.
  bench.give(PayloadVerdict{blocks[11].root, Execution::invalid, root_of(5'000 + 9)});
  bench.turn();
  EXPECT_EQ(bench.chain.head().root, blocks[9].root);
  EXPECT_FALSE(bench.chain.tree().contains(blocks[10].root));
  const uint64_t before = bench.verdicts;
  bench.gossip(blocks[10]);
  EXPECT_EQ(bench.verdict_of(before + 1), GossipReason::invalid_payload);
  bench.gossip(make_block(blocks[11].root, 13));
  EXPECT_EQ(bench.verdict_of(before + 2), GossipReason::invalid_payload);
  const VerdictId vote = bench.vote(blocks[10], 11, blocks[7].root, 0, 1);
  bench.turn();
  EXPECT_EQ(bench.verdict_of(vote), GossipReason::invalid_payload);
  // Who follows optimistically sends them in good faith (bellatrix p2p-interface).
  EXPECT_TRUE(bench.said<ReportPeer>().empty());
}

TEST(ForkChoice, OptimisticJustifiedBlockThatIsInvalidStopsTheClient) {
  FinalBench bench;
  bench.import_all();
  bench.give(PayloadVerdict{bench.blocks[6].root, Execution::invalid, std::nullopt});
  bench.turn();
  ASSERT_EQ(bench.said<JustifiedInvalid>().size(), 1u);
  EXPECT_EQ(bench.chain.head().root, bench.blocks.back().root);
}

TEST(ForkChoice, AFullTreeThatIsNotFinalTakesNoMore) {
  Limits limits;
  limits.tree_blocks = 8;
  ForkBench bench(ChainConfig::Import::accept, limits);
  bench.at_slot(20);
  for (const BlockInfo& block : make_chain(make_genesis().root, 1, 12)) bench.gossip(block);
  EXPECT_EQ(bench.chain.tree().size(), 8u);
  EXPECT_EQ(bench.chain.head().slot, 7u);
  EXPECT_GT(bench.chain.stats().tree_refused, 0u);
}

TEST(ForkChoice, BalancesOfAnotherCheckpointAreRefused) {
  ForkBench bench;
  bench.balances({3, root_of(1)});
  EXPECT_EQ(bench.chain.stats().fork_choice_refused, 1u);
}

}  // namespace
}  // namespace beamline::chain
