// The limits of lean's store, and what goes when they are reached; aggregation over many rounds.

#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/chain/lean_chain.h"

namespace beamline::chain::lean {
namespace {

using testing::LeanChain;
using testing::NoProver;
using testing::types;

constexpr size_t kValidators = 7;

Proof proof_of(std::initializer_list<ValidatorIndex> voters, std::string_view bytes = "proof") {
  ValidatorSet set;
  for (const ValidatorIndex voter : voters) set.insert(voter);
  return *Proof::make(set.to_bitlist(), SharedBytes::copy(as_bytes(bytes)));
}

// Made-up blocks in a row, without states.
std::vector<StoreBlock> make_row(const StoreBlock& anchor, size_t length) {
  Rng rng(3);
  std::vector<StoreBlock> row{anchor};
  for (size_t i = 0; i < length; ++i) {
    StoreBlock block = row.back();
    block.parent_root = block.root;
    rng.fill(block.root.bytes);
    ++block.slot;
    row.push_back(block);
  }
  return row;
}
StoreBlock make_anchor() {
  StoreBlock anchor;
  anchor.root.bytes.fill(1);
  anchor.justified = anchor.finalized = {.root = anchor.root, .slot = 0};
  anchor.validators = kValidators;
  return anchor;
}

TEST(LeanForkChoiceLimits, AFullTreeRefusesBlocksAndStaysAsItWas) {
  const std::vector<StoreBlock> row = make_row(make_anchor(), 10);
  Store store(row[0], {.blocks = 5});
  for (size_t i = 1; i < 5; ++i) ASSERT_TRUE(store.on_block(row[i], {}));
  const Status status = store.on_block(row[5], {});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::full);
  EXPECT_EQ(status.error().fault, Fault::local);
  EXPECT_EQ(store.head(), row[4].root);
  EXPECT_EQ(store.stats().blocks_refused, 1u);
  EXPECT_TRUE(store.on_block(row[4], {}));  // here already
  const Status orphan = store.on_block(row[7], {});
  ASSERT_FALSE(orphan);
  EXPECT_TRUE(is(orphan.error(), Rejection::unknown_parent_block));
}

// A summary that its branch contradicts would let the walk to the head begin nowhere.
TEST(LeanForkChoiceLimits, ASummaryThatContradictsItsBranchIsRefused) {
  const std::vector<StoreBlock> row = make_row(make_anchor(), 6);
  Store store(row[0]);
  for (size_t i = 1; i < 4; ++i) ASSERT_TRUE(store.on_block(row[i], {}));
  StoreBlock fork = row[4];
  fork.parent_root = row[1].root;
  fork.root.bytes.fill(9);
  for (const LeanCheckpoint wrong : {LeanCheckpoint{.root = row[3].root, .slot = 3},
                                     LeanCheckpoint{.root = row[1].root, .slot = 2},
                                     LeanCheckpoint{.root = fork.root, .slot = 4}}) {
    fork.justified = wrong;
    const Status status = store.on_block(fork, {});
    ASSERT_FALSE(status);
    EXPECT_TRUE(is(status.error(), Rejection::inconsistent_state));
  }
  EXPECT_EQ(store.latest_justified().slot, 0u);
  fork.justified = {.root = row[1].root, .slot = 1};
  EXPECT_TRUE(store.on_block(fork, {}));
}

TEST(LeanForkChoiceLimits, FullPoolsRefuseAndTheCountedOneLetsTheOldestGo) {
  LeanChain chain(kValidators);
  Root tip = chain.genesis;
  Store store(chain.summary(tip), {.votes = 4, .proofs_per_vote = 2, .signature_bytes = 40});
  std::vector<Vote> votes;
  for (Slot slot = 1; slot <= 8; ++slot) {
    tip = chain.add(tip, slot);
    ASSERT_TRUE(store.on_block(chain.summary(tip), {}));
    votes.push_back(chain.keyed(chain.vote_for(tip, slot)));
  }
  store.on_tick(8 * kIntervalsPerSlot, false);
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(store.add_proof(votes[i], proof_of({i})));
  EXPECT_EQ(store.add_proof(votes[4], proof_of({4})).error().code, Code::full);
  EXPECT_TRUE(store.add_proof(votes[0], proof_of({0})));  // the same again takes no room
  EXPECT_TRUE(store.add_proof(votes[0], proof_of({1, 2})));
  EXPECT_EQ(store.add_proof(votes[0], proof_of({5})).error().code, Code::full);
  EXPECT_EQ(store.stats().votes_refused, 2u);
  const SharedBytes signature = SharedBytes::copy(std::vector<uint8_t>(20, 1));
  EXPECT_TRUE(store.add_signature(votes[1], 1, signature));
  EXPECT_TRUE(store.add_signature(votes[1], 1, signature));  // kept once
  EXPECT_TRUE(store.add_signature(votes[1], 2, signature));
  EXPECT_EQ(store.add_signature(votes[1], 3, signature).error().code, Code::full);

  store.accept_votes();
  EXPECT_EQ(store.counted_proofs().size(), 4u);
  // What a block names without a proof goes first, then the oldest slot.
  EXPECT_TRUE(store.add_counted_proof(votes[5], proof_of({5})));
  EXPECT_EQ(store.counted_proofs().size(), 4u);
  EXPECT_EQ(store.counted_proofs().find(votes[0].root), nullptr);
  store.seed_votes(std::vector{votes[6]});
  EXPECT_EQ(store.counted_proofs().find(votes[1].root), nullptr);
  EXPECT_TRUE(store.add_counted_proof(votes[7], proof_of({6})));
  EXPECT_EQ(store.counted_proofs().find(votes[6].root), nullptr);
  EXPECT_NE(store.counted_proofs().find(votes[2].root), nullptr);
  EXPECT_EQ(store.stats().votes_evicted, 3u);
}

TEST(LeanForkChoiceLimits, ProofsOutsideTheRegistryAreNone) {
  EXPECT_FALSE(Proof::make(ssz::Bitlist::of_length(0), {}));
  EXPECT_FALSE(Proof::make(ssz::Bitlist::of_length(9), {}));  // no bit is set
  ssz::Bitlist wide = ssz::Bitlist::of_length(kValidatorRegistryLimit + 1);
  wide.set(0, true);
  EXPECT_FALSE(Proof::make(wide, {}));
  ssz::Bitlist torn = ssz::Bitlist::of_length(9);
  torn.set(0, true);
  torn.length = 40;
  EXPECT_FALSE(Proof::make(torn, {}));
}

// Whatever came by gossip is spoken for by the aggregates in the end, and nobody else is.
TEST(LeanAggregation, ManyRoundsCoverEveryVoterOnce) {
  Rng rng(11);
  for (int round = 0; round < 50; ++round) {
    LeanChain chain(kValidators);
    const Root tip = chain.add(chain.genesis, 1);
    Store store(chain.summary(chain.genesis));
    ASSERT_TRUE(store.on_block(chain.summary(tip), {}));
    store.on_tick(kIntervalsPerSlot, false);
    const Vote vote = chain.keyed(chain.vote_for(tip, 1));
    NoProver prover;
    ValidatorSet voted;
    for (int slot = 0; slot < 6; ++slot) {
      for (uint64_t many = rng.below(4); many > 0; --many) {
        const ValidatorIndex voter = rng.below(kValidators);
        voted.insert(voter);
        ASSERT_TRUE(store.add_signature(vote, voter, SharedBytes::copy(as_bytes("s"))));
      }
      if (rng.chance(1, 3)) {
        ValidatorSet some;
        while (some.empty() || rng.chance(1, 2)) some.insert(rng.below(kValidators));
        const Result<SharedBytes> bytes = prover.prove({});
        ASSERT_TRUE(store.add_proof(vote, *Proof::make(some.to_bitlist(), *bytes)));
        store.accept_votes();
        voted.merge(some);
      }
      std::vector<std::pair<Vote, Proof>> made;
      store.on_tick(store.time() + kIntervalsPerSlot, false, &prover, &made);
      for (const auto& [of, proof] : made) EXPECT_TRUE(voted.contains_all(proof.voters));
    }
    ValidatorSet counted;
    if (const auto* entry = store.counted_proofs().find(vote.root)) counted = entry->content.voters;
    EXPECT_EQ(counted, voted);
    EXPECT_EQ(store.weight(tip), voted.size());
  }
}

// A prover that fails costs a round, not the signatures.
TEST(LeanAggregation, AFailedProofLeavesTheSignatures) {
  class Broken : public Prover {
   public:
    Result<SharedBytes> prove(const Aggregation&) override {
      return local_error(Code::not_supported, "prover");
    }
  };
  LeanChain chain(kValidators);
  const Root tip = chain.add(chain.genesis, 1);
  Store store(chain.summary(chain.genesis));
  ASSERT_TRUE(store.on_block(chain.summary(tip), {}));
  store.on_tick(kIntervalsPerSlot, false);
  const Vote vote = chain.keyed(chain.vote_for(tip, 1));
  ASSERT_TRUE(store.add_signature(vote, 3, SharedBytes::copy(as_bytes("s"))));
  Broken broken;
  store.on_tick(2 * kIntervalsPerSlot, false, &broken);
  EXPECT_EQ(store.stats().proofs_failed, 1u);
  EXPECT_EQ(store.signatures().size(), 1u);
  NoProver prover;
  store.on_tick(3 * kIntervalsPerSlot, false, &prover);
  EXPECT_EQ(store.signatures().size(), 0u);
  EXPECT_EQ(store.weight(tip), 1u);
}

// A jump of the clock runs few intervals, and ends as if all had been run.
TEST(LeanForkChoiceLimits, AJumpOfTheClockIsAsManySteps) {
  for (const Interval target : {16u, 31u, 32u, 33u, 100u, 12'345u}) {
    LeanChain chain(kValidators);
    const Root tip = chain.add(chain.genesis, 1);
    Store store(chain.summary(chain.genesis));
    ASSERT_TRUE(store.on_block(chain.summary(tip), {}));
    store.on_tick(kIntervalsPerSlot, false);
    const Vote vote = chain.keyed(chain.vote_for(tip, 1));
    NoProver prover;
    for (ValidatorIndex voter = 0; voter < 3; ++voter) {
      ASSERT_TRUE(store.add_signature(vote, voter, SharedBytes::copy(as_bytes("s"))));
    }
    ASSERT_TRUE(store.add_proof(vote, proof_of({5, 6})));
    Store steps = store;
    store.on_tick(target, true, &prover);
    while (steps.time() < target) steps.on_tick(steps.time() + 1, false, &prover);
    EXPECT_EQ(store.time(), steps.time());
    EXPECT_EQ(store.head(), steps.head());
    EXPECT_EQ(store.safe_target(), steps.safe_target());
    EXPECT_EQ(store.weight(tip), steps.weight(tip));
    EXPECT_EQ(store.pending_proofs().size(), 0u);
  }
  Store store(make_anchor());
  store.on_tick(UINT64_MAX - 1, false);  // and ends
  EXPECT_EQ(store.time(), UINT64_MAX - 1);
}

}  // namespace
}  // namespace beamline::chain::lean
