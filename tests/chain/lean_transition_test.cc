// The state transition by hand, and against hostile blocks; checkpoint sync; the slot clock;
// 3SF-mini over ranges that no vector reaches.

#include <gtest/gtest.h>

#include "base/rng.h"
#include "chain/lean/justifiability.h"
#include "chain/lean/slot_clock.h"
#include "tests/chain/lean_chain.h"

namespace beamline::chain::lean {
namespace {

using testing::LeanChain;
using testing::types;

TEST(LeanJustifiability, IsFiveSquaresAndPronics) {
  std::vector<bool> expected(20'000, false);
  for (uint64_t n = 0; n < 150; ++n) {
    if (n <= 5) expected[n] = true;
    if (n * n < expected.size()) expected[n * n] = true;
    if (n * (n + 1) < expected.size()) expected[n * (n + 1)] = true;
  }
  for (uint64_t delta = 0; delta < expected.size(); ++delta) {
    EXPECT_EQ(is_justifiable_distance(delta), expected[delta]) << delta;
  }
  constexpr uint64_t kLargest = UINT32_MAX;
  EXPECT_TRUE(is_justifiable_distance(kLargest * kLargest));
  EXPECT_TRUE(is_justifiable_distance(kLargest * (kLargest + 1)));
  EXPECT_FALSE(is_justifiable_distance(kLargest * kLargest + 1));
  EXPECT_FALSE(is_justifiable_distance(UINT64_MAX));
  EXPECT_FALSE(is_justifiable_after(9, 10));
}

TEST(LeanJustifiability, BetweenTwoSlotsIsAsALoopSays) {
  for (Slot finalized : {Slot{0}, Slot{7}}) {
    for (Slot low = finalized; low < finalized + 120; ++low) {
      for (Slot high = finalized; high < finalized + 130; ++high) {
        bool any = false;
        for (Slot slot = low + 1; slot < high; ++slot) any |= is_justifiable_after(slot, finalized);
        EXPECT_EQ(is_any_justifiable_between(low, high, finalized), any) << low << " " << high;
      }
    }
  }
  EXPECT_TRUE(is_any_justifiable_between(6, UINT64_MAX, 0));  // and ends
}

TEST(LeanSlotClock, CountsAtBoundariesAndBeforeGenesis) {
  const SlotClock clock(1'700'000'000);
  const WallTime genesis = WallTime::from_unix(1'700'000'000);
  EXPECT_EQ(clock.current_slot(genesis), 0u);
  EXPECT_EQ(clock.until_next_interval(genesis), milliseconds(800));
  EXPECT_EQ(clock.until_next_interval(genesis + milliseconds(799)), milliseconds(1));
  EXPECT_EQ(clock.until_next_interval(genesis + milliseconds(-2500)), milliseconds(2500));
  EXPECT_EQ(clock.total_intervals(genesis + nanoseconds(-1)), 0u);
  EXPECT_EQ(clock.total_intervals(genesis + milliseconds(4000)), 5u);
  EXPECT_EQ(clock.current_interval(genesis + milliseconds(7999)), 4u);
  EXPECT_EQ(clock.begin_of(7), genesis + milliseconds(5600));
  EXPECT_EQ(clock.begin_of(UINT64_MAX).ns, INT64_MAX);
  EXPECT_EQ(SlotClock::interval_of(UINT64_MAX), UINT64_MAX);
  // A hostile genesis, and times at the ends of what there is, overflow nothing.
  for (const uint64_t wild : {uint64_t{0}, UINT64_MAX}) {
    const SlotClock other(wild);
    for (const int64_t ns : {INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX}) {
      EXPECT_GE(other.current_slot(WallTime{ns}), 0u);
      EXPECT_GT(other.until_next_interval(WallTime{ns}).ns, 0);
    }
  }
}

TEST(LeanStateTransition, TwoThirdsJustifyAndTheNextFinalises) {
  LeanChain chain(6);
  const Root one = chain.add(chain.genesis, 1);
  const Root two = chain.add(one, 2, {LeanChain::cast(chain.vote_for(one, 1), 4)});
  EXPECT_EQ(chain.at(two).post.latest_justified, chain.checkpoint(one));
  const Root three = chain.add(two, 3, {LeanChain::cast(chain.vote_for(two, 2), 4)});
  EXPECT_EQ(chain.at(three).post.latest_justified, chain.checkpoint(two));
  EXPECT_EQ(chain.at(three).post.latest_finalized, chain.checkpoint(one));
  const Root four = chain.add(three, 4, {LeanChain::cast(chain.vote_for(three, 3), 3)});
  EXPECT_EQ(chain.at(four).post.latest_justified, chain.checkpoint(two));  // half is not enough
  EXPECT_EQ(chain.at(four).post.justifications_roots.size(), 1u);
}

TEST(LeanStateTransition, TheParentsStateRootSavesAHashAndChangesNothing) {
  LeanChain chain(4);
  const Root one = chain.add(chain.genesis, 1);
  const Root two = chain.add(one, 3);
  const Root& known = chain.at(one).block.state_root;
  const auto with = chain.transition.apply(chain.at(one).post, chain.at(two).block, &known);
  const auto without = chain.transition.apply(chain.at(one).post, chain.at(two).block);
  ASSERT_TRUE(with && without);
  EXPECT_EQ(*with, *without);
  EXPECT_EQ(*with, chain.at(two).post);
}

// Changes a state as the next block, another branch, or a bug may.
void change(LeanState& state, Rng& rng) {
  const auto random_root = [&] {
    Root root;
    rng.fill(root.bytes);
    return root;
  };
  auto& history = state.historical_block_hashes;
  switch (rng.below(9)) {
    case 0:
      for (uint64_t n = rng.below(20); n > 0; --n) history.push_back(random_root());
      break;
    case 1:
      history.resize(rng.below(history.size() + 1));
      break;
    case 2:
      if (!history.empty()) history[rng.below(history.size())] = random_root();
      break;
    case 3:
      if (!state.validators.empty()) {
        state.validators[rng.below(state.validators.size())].proposal_public_key[7] ^= 1;
      }
      break;
    case 4:
      state.validators.resize(rng.below(4) == 0 ? 5000 : rng.below(12));
      break;
    case 5:
      state.justified_slots = ssz::Bitlist::of_length(rng.below(3000));
      if (rng.below(4) == 0) state.justified_slots.length += 9;  // what is half written
      break;
    case 6:
      state.justifications_roots.push_back(random_root());
      state.latest_justified.root = random_root();
      break;
    default:
      ++state.slot;
      state.latest_block_header.state_root = random_root();
      break;
  }
}

TEST(LeanStateHasher, GivesTheRootsAndErrorsOfHashingAStateWholeInAnyOrder) {
  constexpr uint64_t kSeed = 7;
  Rng rng(kSeed);
  LeanChain chain(4);
  std::vector<LeanState> branches(3, chain.at(chain.genesis).post);
  StateHasher hasher(types());
  ssz::Hasher scratch;
  ssz::Hasher whole;
  size_t refused = 0;
  for (int step = 0; step < 600; ++step) {
    LeanState& state = branches[rng.below(branches.size())];
    const LeanState before = state;
    change(state, rng);
    const Result<Root> root = hasher.root_of(state, scratch);
    const Result<Root> expected = ssz::root_of_value(types().state(), &state, whole);
    ASSERT_EQ(root.has_value(), expected.has_value()) << "seed " << kSeed << " step " << step;
    if (root) {
      ASSERT_EQ(*root, *expected) << "seed " << kSeed << " step " << step;
      continue;
    }
    ++refused;
    ASSERT_EQ(root.error(), expected.error());
    ASSERT_STREQ(root.error().field, expected.error().field);
    state = before;
  }
  EXPECT_GT(refused, 10u);
}

TEST(LeanStateHasher, AHistoryOverItsLimitIsRefusedAndTheNextStateIsNot) {
  LeanChain chain(4);
  StateHasher hasher(types());
  ssz::Hasher scratch;
  LeanState state = chain.at(chain.genesis).post;
  state.historical_block_hashes.resize(kHistoricalRootsLimit + 1);
  const Result<Root> refused = hasher.root_of(state, scratch);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::too_long);
  EXPECT_STREQ(refused.error().field, "historical_block_hashes");
  state.historical_block_hashes.pop_back();
  const Result<Root> full = hasher.root_of(state, scratch);
  ASSERT_TRUE(full);
  EXPECT_EQ(*full, *ssz::root_of_value(types().state(), &state, scratch));
}

// A slot far away would have to put an empty slot for each between into the history.
TEST(LeanStateTransition, AFarSlotIsRefusedBeforeMemoryIsTaken) {
  LeanChain chain(4);
  for (const Slot slot : {kHistoricalRootsLimit + 1, uint64_t{1} << 40, UINT64_MAX}) {
    LeanBlock block;
    block.slot = slot;
    block.proposer_index = slot % 4;
    LeanState state = chain.at(chain.genesis).post;
    ASSERT_TRUE(chain.transition.process_slots(state, slot));
    block.parent_root = chain.genesis;
    const Status status = chain.transition.process_block(state, block);
    ASSERT_FALSE(status);
    EXPECT_TRUE(is(status.error(), Rejection::history_too_long));
    EXPECT_LT(state.historical_block_hashes.capacity(), 100u);
  }
}

// What the votes of a block hold is a stranger's choice: no value of a field may do more than get
// the block refused, or be passed over.
TEST(LeanStateTransition, HostileVotesAreRefusedOrPassedOver) {
  Rng rng(7);
  LeanChain chain(5);
  Root tip = chain.genesis;
  std::vector<Root> roots{tip};
  for (Slot slot = 1; slot < 12; ++slot) {
    tip = chain.add(tip, slot, {LeanChain::cast(chain.vote_for(tip, slot), slot % 2 == 0 ? 4 : 2)});
    roots.push_back(tip);
  }
  const auto number = [&]() -> uint64_t {
    switch (rng.below(4)) {
      case 0:
        return rng.below(14);
      case 1:
        return UINT64_MAX - rng.below(3);
      case 2:
        return kHistoricalRootsLimit + rng.below(3);
      default:
        return rng.next();
    }
  };
  const auto point = [&] {
    LeanCheckpoint checkpoint{.root = roots[rng.below(roots.size())], .slot = number()};
    if (rng.chance(1, 2)) checkpoint.slot = chain.at(checkpoint.root).block.slot;
    if (rng.chance(1, 8)) checkpoint.root = {};
    return checkpoint;
  };
  size_t taken = 0;
  for (int i = 0; i < 1500; ++i) {
    LeanBlock block;
    block.slot = 12;
    block.proposer_index = 12 % 5;
    block.parent_root = tip;
    const size_t votes = rng.below(12);
    for (size_t vote = 0; vote < votes; ++vote) {
      LeanAggregatedAttestation attestation;
      attestation.aggregation_bits =
          ssz::Bitlist::of_length(rng.below(rng.chance(1, 9) ? 4097 : 7));
      for (size_t bit = 0; bit < attestation.aggregation_bits.length; ++bit) {
        attestation.aggregation_bits.set(bit, rng.chance(1, 2));
      }
      attestation.data = {.slot = number(), .head = point(), .target = point(), .source = point()};
      block.body.attestations.push_back(std::move(attestation));
    }
    (void)check_signers(block, 5);
    LeanState state = chain.at(tip).post;
    ASSERT_TRUE(chain.transition.process_slots(state, 12));
    if (!chain.transition.process_block(state, block)) continue;
    ++taken;
    EXPECT_TRUE(verify_checkpoint_state(state));
    EXPECT_TRUE(chain.transition.root_of(state));
    EXPECT_GE(state.latest_justified.slot, state.latest_finalized.slot);
  }
  EXPECT_GT(taken, 100u);
}

TEST(LeanSync, ACheckpointStateIsCheckedWhole) {
  LeanChain chain(4);
  Root tip = chain.add(chain.genesis, 1);
  tip = chain.add(tip, 2, {LeanChain::cast(chain.vote_for(tip, 1), 2)});
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(ssz::encode_value(types().state(), &chain.at(tip).post, bytes));
  const Result<LeanState> state = decode_checkpoint_state(types(), bytes);
  ASSERT_TRUE(state);
  EXPECT_EQ(*state, chain.at(tip).post);
  EXPECT_TRUE(verify_anchor(chain.transition, *state, chain.at(tip).block));
  const Status other = verify_anchor(chain.transition, *state, chain.at(chain.genesis).block);
  ASSERT_FALSE(other);
  EXPECT_TRUE(is(other.error(), Rejection::anchor_state_root_mismatch));
  // The header stands for the block.
  const Root state_root = *chain.transition.root_of(*state);
  EXPECT_EQ(chain.transition.root_of(anchor_header(*state, state_root)), tip);
  // Cut short or changed anywhere, it is refused, or is another state that stands by itself.
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_checkpoint_state(types(), Bytes(bytes).first(size))) << size;
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::vector<uint8_t> wrong = bytes;
    wrong[at] ^= 0x80;
    if (const auto other_state = decode_checkpoint_state(types(), wrong)) {
      EXPECT_TRUE(verify_checkpoint_state(*other_state));
    }
  }
}

TEST(LeanSync, VotesThatDoNotFitTheRegistryAreRefused) {
  LeanChain chain(4);
  LeanState state = chain.at(chain.genesis).post;
  state.justifications_roots.push_back(chain.genesis);
  state.justifications_validators = ssz::Bitlist::of_length(3);
  const Status status = verify_checkpoint_state(state);
  ASSERT_FALSE(status);
  EXPECT_TRUE(is(status.error(), Rejection::inconsistent_state));
}

}  // namespace
}  // namespace beamline::chain::lean
