// The beacon policy on its proto-array against the specification's own words, on random trees with
// votes, boosts, equivocations, invalidations and prunes: equal after every step.
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "chain/beacon_fork_choice.h"
#include "tests/chain/beacon_oracle.h"
#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using testing::Oracle;
constexpr uint64_t kSlotsPerEpoch = 4;
constexpr uint64_t kValidators = 8;

struct Tally {
  uint64_t blocks = 0;
  uint64_t votes = 0;
  uint64_t boosts = 0;
  uint64_t equivocations = 0;
  uint64_t invalidated = 0;
  uint64_t pruned = 0;
  uint64_t reorgs = 0;
};

class Pair {
 public:
  explicit Pair(uint64_t seed)
      : rng_(seed),
        anchor_(make_anchor()),
        policy_(config(), {anchor_.root, 0, 0, Execution::valid, Hash256{}}),
        oracle_(kSlotsPerEpoch, anchor_) {
    give_balances();
  }
  void step() {
    const uint64_t dice = rng_.below(100);
    if (dice < 20) return tick();
    if (dice < 60) return block();
    if (dice < 86) return vote();
    if (dice < 90) return equivocate();
    if (dice < 95) return payload();
    prune();
  }
  void compare() {
    if (oracle_.justified_checkpoint != balances_of_) give_balances();
    ASSERT_EQ(policy_.justified(), oracle_.justified_checkpoint);
    ASSERT_EQ(policy_.finalized(), oracle_.finalized_checkpoint);
    ASSERT_EQ(policy_.unrealized_justified(), oracle_.unrealized_justified_checkpoint);
    ASSERT_EQ(policy_.proposer_boost_root(), oracle_.proposer_boost_root);
    const Root head = oracle_.get_head();
    ASSERT_EQ(policy_.head().root, head);
    ASSERT_EQ(policy_.head().slot, oracle_.blocks.at(head).slot);
    // (The root of what is left has lost the votes for the branches that were cut off it.)
    if (policy_.array().parent(policy_.array().find(head)) != ProtoArray::kNone) {
      ASSERT_EQ(policy_.weight(head), oracle_.get_weight(head));
    }
    if (!last_head_.is_zero() && oracle_.blocks.contains(last_head_) &&
        !oracle_.is_ancestor(head, last_head_)) {
      ++tally.reorgs;
    }
    last_head_ = head;
  }
  Tally tally;

 private:
  static BeaconConfig config() {
    BeaconConfig config;
    config.slots_per_epoch = kSlotsPerEpoch;
    config.max_validators = kValidators;
    return config;
  }
  static Oracle::Block make_anchor() {
    Oracle::Block anchor;
    anchor.root = testing::root_of(0);
    anchor.post.justified = anchor.post.finalized = {0, anchor.root};
    anchor.post.unrealized_justified = anchor.post.unrealized_finalized = {0, anchor.root};
    anchor.post.execution = Execution::valid;
    return anchor;
  }
  WallTime wall() const { return WallTime{} + milliseconds(static_cast<int64_t>(time_ms_)); }
  // One of the blocks that the oracle has, rather a late one.
  const Oracle::Block& any_block() {
    for (;;) {
      const uint64_t back = std::min(rng_.below(oracle_.order.size()),
                                     rng_.below(2) == 0 ? rng_.below(2) : rng_.below(12));
      const auto it = oracle_.blocks.find(oracle_.order[oracle_.order.size() - 1 - back]);
      if (it != oracle_.blocks.end()) return it->second;
      if (rng_.below(8) == 0) return oracle_.blocks.at(oracle_.justified_checkpoint.root);
    }
  }
  void tick() {
    time_ms_ += rng_.below(3) == 0 ? rng_.below(4'000) : rng_.below(3 * 12'000);
    policy_.on_tick(wall());
    oracle_.on_tick(time_ms_);
  }
  // An epoch that may be justified on the branch of this block, from `least` on.
  Checkpoint checkpoint(const Oracle::Block& block, const Checkpoint& least) {
    const Epoch most = oracle_.compute_epoch_at_slot(block.slot);
    if (least.number >= most || rng_.below(3) == 0) return least;
    const Epoch epoch = least.number + 1 + rng_.below(most - least.number);
    if (block.slot <= oracle_.compute_start_slot_at_epoch(epoch)) return {epoch, block.root};
    const auto root = oracle_.get_checkpoint_block(block.parent_root, epoch);
    return root ? Checkpoint{epoch, *root} : least;
  }
  PostState post_of(const Oracle::Block& block, const Oracle::Block& parent) {
    PostState post;
    const bool same_epoch =
        oracle_.compute_epoch_at_slot(block.slot) == oracle_.compute_epoch_at_slot(parent.slot);
    post.justified = same_epoch ? parent.post.justified : parent.post.unrealized_justified;
    post.finalized = same_epoch ? parent.post.finalized : parent.post.unrealized_finalized;
    if (rng_.below(8) == 0) post.justified = checkpoint(block, post.justified);
    post.unrealized_justified = checkpoint(block, post.justified);
    post.unrealized_finalized =
        rng_.below(3) != 0 && parent.post.justified.number > post.finalized.number
            ? parent.post.justified
            : post.finalized;
    post.execution = std::array{Execution::valid, Execution::optimistic, Execution::optimistic,
                                Execution::none}[rng_.below(4)];
    if (post.execution != Execution::none) post.payload_hash = testing::root_of(9'000'000 + made_);
    return post;
  }
  void block() {
    const Oracle::Block parent = any_block();
    const Slot now = oracle_.get_current_slot();
    Oracle::Block block;
    block.root = testing::root_of(++made_ * 1'000 + rng_.below(1'000));
    block.parent_root = rng_.below(50) == 0 ? testing::root_of(1) : parent.root;
    block.slot = rng_.below(2) == 0 && now > parent.slot ? now : parent.slot + 1 + rng_.below(3);
    block.arrived = wall();
    block.post = post_of(block, parent);
    const bool taken = oracle_.on_block(block);
    ASSERT_EQ(policy_.on_block(block).has_value(), taken);
    tally.blocks += taken;
    tally.boosts += oracle_.proposer_boost_root == block.root;
  }
  std::vector<ValidatorIndex> some_validators(uint64_t most = 3) {
    std::vector<ValidatorIndex> validators;
    for (uint64_t n = 1 + rng_.below(most); n > 0; --n) {
      validators.push_back(rng_.below(kValidators));
    }
    return validators;
  }
  void vote() {
    const Oracle::Block& head = any_block();
    Vote vote;
    vote.head_root = head.root;
    const Slot now = oracle_.get_current_slot();
    vote.slot = rng_.below(6) != 0 && now > head.slot ? now - 1 : head.slot + rng_.below(4);
    vote.target.number = oracle_.compute_epoch_at_slot(vote.slot) + (rng_.below(20) == 0 ? 1 : 0);
    const auto target = oracle_.get_checkpoint_block(head.root, vote.target.number);
    vote.target.root = target && rng_.below(20) != 0 ? *target : any_block().root;
    // What was pruned is unknown: a vote for it changes nothing here, and moves away in the spec.
    if (!policy_.contains(head.root) || (target && !policy_.contains(*target))) return;
    vote.validators = some_validators(rng_.below(8) == 0 ? 40 : 3);
    const bool in_block = rng_.below(5) == 0;
    const bool taken = oracle_.on_attestation(vote, in_block);
    const VoteResult checked = policy_.check_vote(vote);
    const VoteResult result = policy_.on_vote(vote, in_block);
    if (!in_block) {
      ASSERT_TRUE(checked == result || checked == VoteResult::not_newer) << name(result);
    }
    const bool applied = result == VoteResult::applied || result == VoteResult::not_newer;
    ASSERT_EQ(applied, taken) << name(result);
    tally.votes += result == VoteResult::applied;
  }
  void equivocate() {
    if (rng_.below(3) != 0) return;
    const auto validators = some_validators();
    policy_.on_equivocation(validators);
    oracle_.on_attester_slashing(validators);
    tally.equivocations += validators.size();
  }
  void payload() {
    const Root root = any_block().root;
    if (!policy_.contains(root)) return;  // pruned: the engine's word comes too late
    std::vector<Root> removed;
    if (rng_.below(3) == 0) {
      ASSERT_TRUE(policy_.on_payload(root, Execution::valid, std::nullopt, removed));
      oracle_.make_valid(root);
      ASSERT_EQ(policy_.execution(root), oracle_.blocks.at(root).post.execution);
      return;
    }
    std::optional<Hash256> latest_valid;
    if (rng_.below(3) == 0) latest_valid = Hash256{};
    if (rng_.below(3) == 0) latest_valid = any_block().post.payload_hash;
    const bool done = oracle_.invalidate(root, latest_valid);
    const Status told = policy_.on_payload(root, Execution::invalid, latest_valid, removed);
    ASSERT_EQ(told.has_value(), done);
    for (const Root& gone : removed) ASSERT_FALSE(oracle_.blocks.contains(gone));
    tally.invalidated += removed.size();
  }
  void prune() {
    std::vector<Root> removed;
    policy_.prune(removed);
    for (const Root& gone : removed) ASSERT_FALSE(policy_.contains(gone));
    oracle_.forgotten.insert(removed.begin(), removed.end());
    tally.pruned += removed.size();
  }
  void give_balances() {
    oracle_.balances.assign(kValidators, 0);
    uint64_t total = 0;
    for (uint64_t& balance : oracle_.balances) {
      balance = rng_.below(4) * 16;  // few values: ties
      total += balance;
    }
    oracle_.total_active_balance = total + rng_.below(2) * 32;  // a slashed one is still active
    balances_of_ = oracle_.justified_checkpoint;
    ASSERT_TRUE(policy_.on_justified_balances(balances_of_, oracle_.balances,
                                              oracle_.total_active_balance));
  }

  Rng rng_;
  Oracle::Block anchor_;
  BeaconForkChoice policy_;
  Oracle oracle_;
  Checkpoint balances_of_;
  uint64_t time_ms_ = 0;
  uint64_t made_ = 1;
  Root last_head_;
};

// A million in the long tier; fewer where a sanitizer slows them down.
uint64_t trees() {
  if (std::getenv("BEAMLINE_SEED") != nullptr) return 1;
  const bool many = std::getenv("BEAMLINE_LONG") != nullptr;
#if defined(__SANITIZE_ADDRESS__)
  return many ? 20'000 : 1'500;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return many ? 20'000 : 1'500;
#endif
#endif
  return many ? 1'000'000 : 20'000;
}

TEST(BeaconForkChoice, RandomTreesAgreeWithTheSpecUnderVotesBoostEquivocationOptimisticAndPrune) {
  const char* replay = std::getenv("BEAMLINE_SEED");
  const uint64_t first = replay != nullptr ? std::strtoull(replay, nullptr, 10) : 1;
  Tally all;
  for (uint64_t seed = first; seed < first + trees(); ++seed) {
    Pair pair(seed);
    const uint64_t steps = 16 + seed % 48;
    for (uint64_t step = 0; step < steps; ++step) {
      pair.step();
      if (!::testing::Test::HasFatalFailure()) pair.compare();
      ASSERT_FALSE(::testing::Test::HasFatalFailure())
          << "step " << step << "; replay: BEAMLINE_SEED=" << seed
          << " test_beacon_random --gtest_filter='BeaconForkChoice.RandomTrees*'";
    }
    all.blocks += pair.tally.blocks;
    all.votes += pair.tally.votes;
    all.boosts += pair.tally.boosts;
    all.equivocations += pair.tally.equivocations;
    all.invalidated += pair.tally.invalidated;
    all.pruned += pair.tally.pruned;
    all.reorgs += pair.tally.reorgs;
  }
  if (replay != nullptr) return;
  // Each of them happened, and often.
  for (const uint64_t count : {all.blocks, all.votes, all.boosts, all.equivocations,
                               all.invalidated, all.pruned, all.reorgs}) {
    EXPECT_GT(count, trees() / 10);
  }
  std::printf(
      "%lu blocks, %lu votes, %lu boosts, %lu equivocations, %lu invalidated, %lu pruned, "
      "%lu reorgs\n",
      all.blocks, all.votes, all.boosts, all.equivocations, all.invalidated, all.pruned,
      all.reorgs);
}

}  // namespace
}  // namespace beamline::chain
