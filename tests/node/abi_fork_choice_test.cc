// The C ABI with the beacon chain's fork choice: votes, balances, equivocations and the engine's
// word move the head, and what does not fit is refused by name and counted.
#include <array>
#include <map>
#include <thread>

#include "tests/node/abi_host.h"

namespace beamline::node::testing {
namespace {

constexpr uint64_t kSlot = 20;  // now; of epoch 2, and far from both of its ends

// Blocks B and C on the anchor A; without votes C, the larger root, is the head.
struct BeaconHost : AbiHost {
  explicit BeaconHost(const bl_core_options& options = beacon_options(kSlot)) : AbiHost(options) {
    EXPECT_EQ(bl_push_peer_up(producer, peer), BL_OK);
  }
  // What the host's state transition says of its blocks.
  bl_import_result result_of(const bl_root& root) const {
    const auto found = results.find(root.bytes[0]);
    if (found != results.end()) return found->second;
    auto result = sized<bl_import_result>();
    result.justified.root = result.finalized.root = name('A');
    result.unrealized_justified = result.unrealized_finalized = result.justified;
    return result;
  }
  void import(const bl_root& root, const bl_root& parent, uint64_t slot) {
    const size_t imports = count(BL_COMMAND_IMPORT), imported = count(BL_COMMAND_IMPORTED);
    ASSERT_EQ(gossip(++messages, root, parent, slot), BL_OK);
    ASSERT_TRUE(until_said(BL_COMMAND_IMPORT, imports + 1));
    auto result = result_of(root);
    result.import = last(BL_COMMAND_IMPORT).command.id;
    ASSERT_EQ(bl_push_import_result(producer, &result), BL_OK) << bl_last_error(producer);
    ASSERT_TRUE(until_said(BL_COMMAND_IMPORTED, imported + 1));
  }
  void fork() {
    import(name('B'), name('A'), 10);
    import(name('C'), name('A'), 11);
    ASSERT_TRUE(head_is('C'));
  }
  int32_t balances(const bl_checkpoint& justified) {
    const std::vector<uint64_t> each(64, 32);
    return bl_push_justified_balances(producer, &justified, each.data(), each.size(), 64 * 32);
  }
  // For a block of slot 12 at most, by validators first, first + 1, ...
  bl_vote vote(const bl_root& head, uint64_t first, uint64_t many, uint64_t slot = 12) {
    validators.clear();
    for (uint64_t i = 0; i < many; ++i) validators.push_back(first + i);
    auto vote = sized<bl_vote>();
    vote.sender = peer;
    vote.message = ++messages;
    vote.slot = slot;
    vote.head_root = head;
    vote.target.number = slot / 8;
    vote.target.root = slot < 16 ? name('A') : head;
    vote.validators = validators.data();
    vote.validator_count = validators.size();
    return vote;
  }
  int32_t own_vote(const bl_root& head, uint64_t first, uint64_t many, uint64_t slot = 12) {
    const bl_vote event = vote(head, first, many, slot);
    return bl_push_own_vote(producer, &event);
  }
  ::testing::AssertionResult head_is(char kind) {
    return until([&] {
      return count(BL_COMMAND_HEAD_CHANGED) > 0 &&
             same(last(BL_COMMAND_HEAD_CHANGED).command.root, name(kind));
    });
  }
  // All that was pushed is applied.
  void settle() {
    const uint64_t pushed = producer_stats().pushed;
    EXPECT_EQ(bl_push_tick(producer, 1), BL_OK);
    while (stats().events <= pushed) {
      take();
      std::this_thread::yield();
    }
    take();
  }

  static constexpr bl_checkpoint kAnchor{0, {{'A'}}};
  std::map<uint8_t, bl_import_result> results;
  std::vector<uint64_t> validators;
  uint64_t messages = 0;
};

TEST(AbiForkChoice, TheDefaultFollowsTheHighestSlotAndNoVoteMovesIt) {
  bl_core_options options = beacon_options(kSlot);
  options.fork_choice = BL_FORK_CHOICE_HIGHEST_SLOT;
  BeaconHost host(options);
  host.fork();
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  ASSERT_EQ(host.own_vote(name('B'), 0, 9), BL_OK);
  host.settle();
  EXPECT_TRUE(same(host.stats().head_root, name('C')));
  EXPECT_EQ(host.stats().votes_applied, 0u);
}

TEST(AbiForkChoice, OwnVotesMoveTheHead) {
  BeaconHost host;
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  host.fork();
  const uint64_t reorgs = host.stats().reorgs;
  ASSERT_EQ(host.own_vote(name('B'), 0, 3), BL_OK);
  ASSERT_TRUE(host.head_is('B'));
  const bl_command said = host.last(BL_COMMAND_HEAD_CHANGED).command;
  EXPECT_TRUE(same(said.root, name('B')));
  EXPECT_TRUE(same(said.parent_root, name('C')));
  EXPECT_EQ(said.slot, 10u);
  EXPECT_EQ(said.result, 1);  // a reorg
  EXPECT_EQ(host.stats().votes_applied, 1u);
  EXPECT_EQ(host.stats().reorgs, reorgs + 1);
  ASSERT_EQ(host.own_vote(name('C'), 3, 4), BL_OK);
  ASSERT_TRUE(host.head_is('C'));
  // The same again has no effect; one for a block that is not here waits for it.
  ASSERT_EQ(host.own_vote(name('B'), 3, 4, 4), BL_OK);
  ASSERT_EQ(host.own_vote(name('D'), 10, 9), BL_OK);
  host.settle();
  EXPECT_EQ(host.stats().votes_without_effect, 1u);
  EXPECT_EQ(host.count(BL_COMMAND_VERIFY_VOTE), 0u);  // the host vouches for them
  host.import(name('D'), name('B'), 12);
  EXPECT_TRUE(host.head_is('D'));
}

TEST(AbiForkChoice, AVoteVerdictDecidesWhetherAGossipVoteCounts) {
  BeaconHost host;
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  host.fork();
  const size_t before = host.count(BL_COMMAND_GOSSIP_VERDICT);
  struct Case {
    uint32_t verdict;
    int32_t result;
    const char* reason;
    char head;
  };
  size_t asked = 0;
  for (const Case& one : {Case{BL_VERDICT_INVALID_BYTES, BL_GOSSIP_REJECT, "invalid_vote", 'C'},
                          Case{BL_VERDICT_TRY_AGAIN, BL_GOSSIP_IGNORE, "dropped", 'C'},
                          Case{BL_VERDICT_VALID, BL_GOSSIP_ACCEPT, "verified", 'B'}}) {
    const bl_vote vote = host.vote(name('B'), 0, 3);
    ASSERT_EQ(bl_push_gossip_vote(host.producer, &vote), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_VERIFY_VOTE, ++asked));
    const bl_command verify = host.last(BL_COMMAND_VERIFY_VOTE).command;
    EXPECT_TRUE(same(verify.root, name('B')));
    EXPECT_EQ(verify.slot, 12u);
    EXPECT_EQ(verify.count, 3u);
    EXPECT_EQ(verify.target.number, 1u);
    EXPECT_EQ(host.count(BL_COMMAND_GOSSIP_VERDICT), before + asked - 1);
    bl_vote judged = vote;
    judged.message = verify.id;
    ASSERT_EQ(bl_push_vote_verdict(host.producer, &judged, one.verdict), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_GOSSIP_VERDICT, before + asked));
    const Said said = host.last(BL_COMMAND_GOSSIP_VERDICT);
    EXPECT_EQ(said.command.id, vote.message);
    EXPECT_EQ(said.command.result, one.result);
    EXPECT_EQ(said.reason, one.reason);
    EXPECT_TRUE(host.head_is(one.head));
  }
  // Its sender paid for the one that was badly signed, and for no other.
  EXPECT_EQ(host.stats().charges, 1u);
  EXPECT_EQ(host.last(BL_COMMAND_REPORT_PEER).reason, "invalid_gossip");
  EXPECT_EQ(host.last(BL_COMMAND_REPORT_PEER).command.peer.index, host.peer.index);
}

TEST(AbiForkChoice, AVoteVerdictThatIsRefusedOrUnknownChangesNothing) {
  BeaconHost host;
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  host.fork();
  const uint64_t pushed = host.producer_stats().pushed;
  bl_vote vote = host.vote(name('B'), 0, 3);
  EXPECT_EQ(bl_push_vote_verdict(host.producer, &vote, 5), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_vote_verdict(host.producer, nullptr, BL_VERDICT_VALID), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_vote_verdict(nullptr, &vote, BL_VERDICT_VALID), BL_INVALID_ARGUMENT);
  using Wrong = void (*)(bl_vote&);
  for (const Wrong wrong :
       {Wrong([](bl_vote& v) { v.size = 16; }), Wrong([](bl_vote& v) { v.size = 1u << 20; }),
        Wrong([](bl_vote& v) { v.version = 0; }), Wrong([](bl_vote& v) { v.validators = nullptr; }),
        Wrong([](bl_vote& v) { v.validator_count = 0; }),
        Wrong([](bl_vote& v) { v.validator_count = 131'073; }),
        Wrong([](bl_vote& v) { v.aggregate = 2; }), Wrong([](bl_vote& v) { v.proof_size = 1; })}) {
    bl_vote bad = vote;
    wrong(bad);
    EXPECT_EQ(bl_push_vote_verdict(host.producer, &bad, BL_VERDICT_VALID), BL_INVALID_ARGUMENT);
    EXPECT_EQ(bl_push_own_vote(host.producer, &bad), BL_INVALID_ARGUMENT);
    EXPECT_EQ(bl_push_gossip_vote(host.producer, &bad), BL_INVALID_ARGUMENT);
    EXPECT_STRNE(bl_last_error(host.producer), "");
  }
  EXPECT_EQ(host.producer_stats().pushed, pushed);
  // An id that nobody gave out.
  const uint64_t stale = host.stats().stale_events;
  vote.message = 12'345;
  ASSERT_EQ(bl_push_vote_verdict(host.producer, &vote, BL_VERDICT_VALID), BL_OK);
  host.settle();
  EXPECT_EQ(host.stats().stale_events, stale + 1);
  EXPECT_TRUE(same(host.stats().head_root, name('C')));
  // An older header's vote ends before the fields of lean.
  vote.size = offsetof(bl_vote, head_slot);
  ASSERT_EQ(bl_push_own_vote(host.producer, &vote), BL_OK);
  EXPECT_TRUE(host.head_is('B'));
}

TEST(AbiForkChoice, JustifiedBalancesGiveVotesTheirWeight) {
  BeaconHost host;
  host.fork();
  ASSERT_EQ(host.own_vote(name('B'), 0, 3), BL_OK);
  host.settle();
  EXPECT_EQ(host.stats().votes_applied, 1u);
  EXPECT_TRUE(same(host.stats().head_root, name('C')));  // nobody has weight yet
  // Of another checkpoint: refused and counted.
  ASSERT_EQ(host.balances({1, name('B')}), BL_OK);
  host.settle();
  EXPECT_EQ(host.stats().fork_choice_refused, 1u);
  EXPECT_TRUE(same(host.stats().head_root, name('C')));
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  EXPECT_TRUE(host.head_is('B'));
  // One validator with more than the three.
  ASSERT_EQ(host.own_vote(name('C'), 7, 1), BL_OK);
  std::array<uint64_t, 8> heavy{32, 32, 32, 0, 0, 0, 0, 1000};
  ASSERT_EQ(bl_push_justified_balances(host.producer, &BeaconHost::kAnchor, heavy.data(),
                                       heavy.size(), 1096),
            BL_OK);
  EXPECT_TRUE(host.head_is('C'));
  const uint64_t pushed = host.producer_stats().pushed;
  bl_producer* in = host.producer;
  const bl_checkpoint* anchor = &BeaconHost::kAnchor;
  EXPECT_EQ(bl_push_justified_balances(in, nullptr, heavy.data(), 8, 1), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_justified_balances(in, anchor, nullptr, 8, 1), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_justified_balances(in, anchor, heavy.data(), 4'194'305, 1),
            BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_justified_balances(nullptr, anchor, heavy.data(), 8, 1), BL_INVALID_ARGUMENT);
  EXPECT_EQ(host.producer_stats().pushed, pushed);
}

// The state after a block justifies and finalises: the client is asked for balances, and what
// conflicts with what is final goes.
TEST(AbiForkChoice, JustificationOfAPostStateAsksForBalancesAndFinalityForgetsTheOtherBranch) {
  BeaconHost host;
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  host.fork();
  ASSERT_EQ(host.own_vote(name('C'), 0, 9), BL_OK);
  ASSERT_TRUE(host.head_is('C'));
  host.import(name('D'), name('B'), 16);
  auto result = host.result_of(name('E'));
  result.justified = result.unrealized_justified = {2, name('D')};
  result.finalized = result.unrealized_finalized = {2, name('D')};
  host.results['E'] = result;
  host.import(name('E'), name('D'), 17);
  ASSERT_TRUE(host.until_said(BL_COMMAND_JUSTIFIED_CHANGED, 1));
  EXPECT_TRUE(same(host.last(BL_COMMAND_JUSTIFIED_CHANGED).command.root, name('D')));
  EXPECT_EQ(host.last(BL_COMMAND_JUSTIFIED_CHANGED).command.count, 2u);
  ASSERT_TRUE(host.until_said(BL_COMMAND_FINALIZED_CHANGED, 1));
  ASSERT_TRUE(host.head_is('E'));
  ASSERT_EQ(host.balances({2, name('D')}), BL_OK);
  // A block on what was forgotten.
  ASSERT_EQ(host.gossip(900, name('F'), name('C'), 18), BL_OK);
  ASSERT_TRUE(host.until([&] {
    return host.count(BL_COMMAND_GOSSIP_VERDICT) > 0 &&
           host.last(BL_COMMAND_GOSSIP_VERDICT).command.id == 900;
  }));
  EXPECT_NE(host.last(BL_COMMAND_GOSSIP_VERDICT).command.result, BL_GOSSIP_ACCEPT);
  EXPECT_EQ(host.stats().fork_choice_refused, 0u);
}

TEST(AbiForkChoice, EquivocatingValidatorsLoseTheirWeight) {
  BeaconHost host;
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  host.fork();
  ASSERT_EQ(host.own_vote(name('B'), 0, 3), BL_OK);
  ASSERT_EQ(host.own_vote(name('C'), 3, 2), BL_OK);
  ASSERT_TRUE(host.head_is('B'));
  const std::array<uint64_t, 3> slashed = {0, 1, 9'999'999};
  EXPECT_EQ(bl_push_equivocation(host.producer, nullptr, 3), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_equivocation(host.producer, slashed.data(), 131'073), BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_equivocation(nullptr, slashed.data(), 3), BL_INVALID_ARGUMENT);
  ASSERT_EQ(bl_push_equivocation(host.producer, slashed.data(), slashed.size()), BL_OK);
  EXPECT_TRUE(host.head_is('C'));
  // Their later votes do not count either.
  const uint64_t applied = host.stats().votes_applied;
  ASSERT_EQ(host.own_vote(name('B'), 0, 2, 15), BL_OK);
  host.settle();
  EXPECT_EQ(host.stats().votes_applied, applied);
  EXPECT_TRUE(same(host.stats().head_root, name('C')));
}

// B and D on it have payloads that are not verified yet.
struct Optimistic : BeaconHost {
  explicit Optimistic(const bl_core_options& options = beacon_options(kSlot))
      : BeaconHost(options) {
    EXPECT_EQ(balances(kAnchor), BL_OK);
    for (const char kind : {'B', 'D'}) {
      auto result = result_of(name(kind));
      result.execution = BL_EXECUTION_OPTIMISTIC;
      result.payload_hash = name('h', static_cast<uint32_t>(kind));
      results[static_cast<uint8_t>(kind)] = result;
    }
    fork();
    import(name('D'), name('B'), 12);
    EXPECT_EQ(own_vote(name('D'), 0, 5, 13), BL_OK);
    EXPECT_TRUE(head_is('D'));
  }
  int32_t says(char kind, uint32_t execution, const bl_root* latest = nullptr) {
    const bl_root root = name(kind);
    return bl_push_payload_verdict(producer, &root, execution, latest);
  }
};

TEST(AbiForkChoice, APayloadVerdictInvalidatesABranchAndTheHeadMoves) {
  Optimistic host;
  ASSERT_EQ(host.says('B', BL_EXECUTION_INVALID), BL_OK);
  ASSERT_TRUE(host.head_is('C'));
  const bl_command said = host.last(BL_COMMAND_HEAD_CHANGED).command;
  EXPECT_TRUE(same(said.parent_root, name('D')));
  EXPECT_EQ(said.result, 1);
  // What builds on it is ignored, and whoever sends it pays nothing: it may follow optimistically.
  const size_t before = host.count(BL_COMMAND_GOSSIP_VERDICT);
  ASSERT_EQ(host.gossip(900, name('F'), name('D'), 14), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_GOSSIP_VERDICT, before + 1));
  EXPECT_EQ(host.last(BL_COMMAND_GOSSIP_VERDICT).command.result, BL_GOSSIP_IGNORE);
  EXPECT_EQ(host.last(BL_COMMAND_GOSSIP_VERDICT).reason, "invalid_payload");
}

TEST(AbiForkChoice, APayloadVerdictsLatestValidHashTellsHowMuchOfTheBranchGoes) {
  Optimistic host;
  const bl_root latest = name('h', 'B');
  ASSERT_EQ(host.says('D', BL_EXECUTION_INVALID, &latest), BL_OK);
  // D went with the votes for it; without them C is the larger root.
  ASSERT_TRUE(host.head_is('C'));
  ASSERT_EQ(host.own_vote(name('B'), 10, 3), BL_OK);
  EXPECT_TRUE(host.head_is('B'));
}

TEST(AbiForkChoice, AValidPayloadCannotBecomeInvalidAndUnknownRootsAreCounted) {
  Optimistic host;
  ASSERT_EQ(host.says('D', BL_EXECUTION_VALID), BL_OK);  // and B by that
  ASSERT_EQ(host.says('B', BL_EXECUTION_INVALID), BL_OK);
  ASSERT_EQ(host.says('Z', BL_EXECUTION_INVALID), BL_OK);
  host.settle();
  EXPECT_EQ(host.stats().fork_choice_refused, 2u);
  EXPECT_TRUE(same(host.stats().head_root, name('D')));
  const uint64_t pushed = host.producer_stats().pushed;
  const bl_root root = name('D');
  for (const uint32_t execution :
       {uint32_t{BL_EXECUTION_NONE}, uint32_t{BL_EXECUTION_OPTIMISTIC}, uint32_t{4}, UINT32_MAX}) {
    EXPECT_EQ(host.says('D', execution), BL_INVALID_ARGUMENT);
  }
  EXPECT_EQ(bl_push_payload_verdict(host.producer, nullptr, BL_EXECUTION_VALID, nullptr),
            BL_INVALID_ARGUMENT);
  EXPECT_EQ(bl_push_payload_verdict(nullptr, &root, BL_EXECUTION_VALID, nullptr),
            BL_INVALID_ARGUMENT);
  EXPECT_EQ(host.producer_stats().pushed, pushed);
}

TEST(AbiForkChoice, AnInvalidPayloadAtTheJustifiedBlockIsSaidAndChangesNothing) {
  bl_core_options options = beacon_options(kSlot);
  options.anchor_execution = BL_EXECUTION_OPTIMISTIC;
  options.anchor_payload_hash = name('h', 'A');
  Optimistic host(options);
  ASSERT_EQ(host.says('A', BL_EXECUTION_INVALID), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_JUSTIFIED_INVALID, 1));
  EXPECT_TRUE(same(host.last(BL_COMMAND_JUSTIFIED_INVALID).command.root, name('A')));
  EXPECT_TRUE(same(host.stats().head_root, name('D')));
}

// With workers, the callback says what the state after a block says.
TEST(AbiForkChoice, AWorkersImportResultJustifiesAndItsVotesCount) {
  bl_core_options options = beacon_options(kSlot);
  options.import = BL_IMPORT_WORKERS;
  options.verify_block = [](void*, const bl_block*) -> uint32_t { return BL_VERDICT_VALID; };
  options.import_block_result = [](void*, const bl_block* block,
                                   bl_import_result* result) -> uint32_t {
    static thread_local bl_vote vote;
    static thread_local uint64_t voters[3];
    EXPECT_EQ(result->size, sizeof *result);
    result->justified.root = result->finalized.root = name('A');
    result->unrealized_justified = result->unrealized_finalized = result->justified;
    if (block->root.bytes[0] == 'W') result->execution = 99;  // nonsense: the block is asked again
    if (block->root.bytes[0] != 'D') return BL_VERDICT_VALID;
    vote = sized<bl_vote>();
    vote.slot = 12;
    vote.head_root = name('B');
    vote.target = {1, name('A')};
    for (uint64_t i = 0; i < 3; ++i) voters[i] = i;
    vote.validators = voters;
    vote.validator_count = 3;
    result->votes = &vote;
    result->vote_count = 1;
    return BL_VERDICT_VALID;
  };
  BeaconHost host(options);
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  ASSERT_EQ(host.gossip(1, name('B'), name('A'), 10), BL_OK);
  ASSERT_EQ(host.gossip(2, name('C'), name('A'), 11), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 2));
  ASSERT_TRUE(host.head_is('C'));
  ASSERT_EQ(host.gossip(3, name('D'), name('A'), 13), BL_OK);
  ASSERT_TRUE(host.head_is('B'));
  ASSERT_EQ(host.gossip(4, name('W'), name('A'), 14), BL_OK);
  ASSERT_EQ(host.gossip(5, name('E'), name('D'), 15), BL_OK);
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 4));
  for (const Said& one : host.said) EXPECT_FALSE(same(one.command.root, name('W')));
}

TEST(AbiForkChoice, OptionsOfTheForkChoiceThatMakeNoSenseAreRefused) {
  bl_core* core = nullptr;
  using Wrong = void (*)(bl_core_options&);
  const uint8_t byte = 0;
  for (const Wrong wrong :
       {Wrong([](bl_core_options& o) { o.fork_choice = 3; }),
        Wrong([](bl_core_options& o) { o.chain = BL_CHAIN_LEAN; }),
        Wrong([](bl_core_options& o) { o.anchor_state_size = 1; }),
        Wrong([](bl_core_options& o) { o.anchor_execution = 3; }),
        Wrong([](bl_core_options& o) { o.anchor_epoch = 1ull << 32; }),
        Wrong([](bl_core_options& o) {
          o.anchor_slot = 80;
          o.anchor_epoch = 9;
        }),
        Wrong([](bl_core_options& o) { o.fork_choice = BL_FORK_CHOICE_LEAN; }),
        Wrong([](bl_core_options& o) { o.size = offsetof(bl_core_options, peers); })}) {
    bl_core_options options = beacon_options(kSlot);
    options.anchor_state = &byte;
    wrong(options);
    EXPECT_EQ(bl_core_create(&options, &core), BL_INVALID_ARGUMENT);
  }
  EXPECT_EQ(core, nullptr);
  // An older header's options end before these fields: the default.
  bl_core_options options = beacon_options(kSlot);
  options.size = offsetof(bl_core_options, import_block_result);
  BeaconHost host(options);
  host.fork();
  ASSERT_EQ(host.balances(BeaconHost::kAnchor), BL_OK);
  ASSERT_EQ(host.own_vote(name('B'), 0, 9), BL_OK);
  host.settle();
  EXPECT_TRUE(same(host.stats().head_root, name('C')));
}

}  // namespace
}  // namespace beamline::node::testing
