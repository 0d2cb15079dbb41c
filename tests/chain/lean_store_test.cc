// Lean's fork choice against the specification's words, on random trees: the head, the safe target,
// the checkpoints, the weights and what a validator votes for, after every event.
//
// Replay: BEAMLINE_SEED=<seed> test_lean_chain --gtest_filter=LeanForkChoice.*

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "chain/lean/transition.h"
#include "tests/chain/lean_oracle.h"

namespace beamline::chain::lean {
namespace {

uint64_t first_seed() {
  const char* const seed = std::getenv("BEAMLINE_SEED");
  return seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10);
}
uint64_t seeds(uint64_t few, uint64_t many) {
  if (std::getenv("BEAMLINE_SEED") != nullptr) return 1;
  return std::getenv("BEAMLINE_LONG") == nullptr ? few : many;
}

const LeanTypes& types() {
  static const LeanTypes kTypes(LeanPreset::test());
  return kTypes;
}

Root random_root(Rng& rng) {
  Root root;
  rng.fill(root.bytes);
  return root;
}

// A store and the oracle, told the same.
class Twins {
 public:
  static constexpr uint32_t kValidators = 9;

  Twins(uint64_t seed, const StoreLimits& limits)
      : rng_(seed), store_(anchor(rng_), limits, seed), oracle_(*store_.block(store_.head())) {
    roots_.push_back(store_.head());
  }

  void step() {
    const uint64_t dice = rng_.below(10);
    if (dice < 4) {
      block();
    } else if (dice < 8) {
      vote();
    } else {
      tick();
    }
  }

  void expect_equal() {
    EXPECT_EQ(store_.time(), oracle_.time);
    EXPECT_EQ(store_.head(), oracle_.head);
    EXPECT_EQ(store_.safe_target().root, oracle_.safe_target);
    EXPECT_EQ(store_.latest_justified(), oracle_.justified);
    EXPECT_EQ(store_.latest_finalized(), oracle_.finalized);
    EXPECT_EQ(store_.attestation_target(), oracle_.attestation_target());
    store_.refresh_weights();
    const auto weights = oracle_.weights(oracle_.counted, oracle_.finalized.slot);
    for (const Root& root : roots_) {
      const Slot slot = oracle_.blocks.at(root).slot;
      // Below the floor, where no branches are left to choose from, votes for those that went have
      // no weight any more.
      if (slot <= oracle_.finalized.slot || slot < store_.floor()) continue;
      const auto it = weights.find(root);
      EXPECT_EQ(store_.weight(root), it == weights.end() ? 0 : it->second);
    }
    EXPECT_EQ(store_.counted_proofs().size(), oracle_.counted.size());
    EXPECT_EQ(store_.pending_proofs().size(), oracle_.pending.size());
  }

  // What the store lets go can be of no use any more: the oracle, which keeps all, agrees for ever.
  void prune() {
    std::vector<Root> removed;
    store_.prune(removed);
    for (const Root& root : removed) std::erase(roots_, root);
  }

  const Store& store() const { return store_; }

 private:
  static StoreBlock anchor(Rng& rng) {
    StoreBlock block;
    block.root = random_root(rng);
    block.slot = rng.below(3);
    block.justified = block.finalized = {.root = block.root, .slot = block.slot};
    block.validators = kValidators;
    return block;
  }
  const Root& any_root() { return roots_[rng_.below(roots_.size())]; }
  // Rather a young one.
  const Root& young_root() {
    const size_t many = roots_.size();
    return rng_.chance(1, 5) ? any_root()
                             : roots_[many - 1 - rng_.below(std::min<size_t>(many, 6))];
  }
  LeanCheckpoint checkpoint(const Root& root) const {
    return {.root = root, .slot = oracle_.blocks.at(root).slot};
  }
  // Some block between here and the root, of this slot or above.
  LeanCheckpoint ancestor(Root root, Slot lowest) {
    while (rng_.chance(2, 3)) {
      const Root& parent = oracle_.blocks.at(root).parent_root;
      if (!oracle_.blocks.contains(parent) || oracle_.blocks.at(parent).slot < lowest) break;
      root = parent;
    }
    return checkpoint(root);
  }

  LeanAttestationData data() {
    LeanAttestationData data;
    data.head = checkpoint(young_root());
    data.target = ancestor(data.head.root, 0);
    data.source = ancestor(data.target.root, 0);
    data.slot = data.head.slot + rng_.below(3);
    if (rng_.chance(1, 6)) data.target = checkpoint(any_root());
    if (rng_.chance(1, 8)) data.source = checkpoint(any_root());
    if (rng_.chance(1, 12)) ++data.head.slot;
    if (rng_.chance(1, 20)) data.source.root = random_root(rng_);
    if (rng_.chance(1, 30)) data.slot = UINT64_MAX - rng_.below(2);
    return data;
  }

  void block() {
    StoreBlock block;
    block.root = random_root(rng_);
    do {
      block.parent_root = young_root();
    } while (oracle_.blocks.at(block.parent_root).slot < store_.floor());
    const StoreBlock& parent = oracle_.blocks.at(block.parent_root);
    block.slot = parent.slot + 1 + rng_.below(3);
    block.validators = kValidators;
    // A post-state's checkpoints only go forward on a branch, and lie on it.
    block.justified = parent.justified;
    block.finalized = parent.finalized;
    if (rng_.chance(1, 2)) {
      block.justified = ancestor(block.parent_root, parent.justified.slot);
    }
    if (rng_.chance(1, 3)) {
      block.finalized = ancestor(block.justified.root, parent.finalized.slot);
    }
    std::vector<LeanAttestationData> datas;
    while (rng_.chance(1, 2) && datas.size() < 4) {
      const LeanAttestationData one = data();
      if (std::ranges::find(datas, one) == datas.end()) datas.push_back(one);
    }
    std::vector<Vote> votes;
    for (const LeanAttestationData& one : datas) votes.push_back(keyed(one));
    ASSERT_TRUE(store_.on_block(block, votes));
    oracle_.on_block(block, datas);
    roots_.push_back(block.root);
  }

  Vote keyed(const LeanAttestationData& data) { return {transition_.root_of(data), data}; }

  void vote() {
    const LeanAttestationData data = this->data();
    const Status status = store_.check_data(data);
    const std::string refusal = status ? "" : status.error().field;
    // What was pruned is not known any more.
    const bool forgotten = refusal.starts_with("UNKNOWN_") && store_.stats().blocks_pruned > 0;
    EXPECT_EQ(refusal, forgotten ? refusal : oracle_.refusal(data));
    if (!status) return;
    Oracle::Voters voters;
    while (voters.empty() || rng_.chance(1, 2)) voters.insert(rng_.below(kValidators));
    ValidatorSet set;
    for (const ValidatorIndex voter : voters) set.insert(voter);
    ASSERT_TRUE(store_.check_aggregate(data, set));
    const Proof proof = *Proof::make(set.to_bitlist(), {});
    ASSERT_TRUE(store_.add_proof(keyed(data), proof));
    oracle_.add(oracle_.pending, data, &voters);
  }

  void tick() {
    const bool jump = rng_.chance(1, 40);
    const Interval target = oracle_.time + rng_.below(jump ? 500 : 8);
    const bool has_proposal = rng_.chance(1, 2);
    store_.on_tick(target, has_proposal);
    oracle_.on_tick(target, has_proposal);
  }

  Rng rng_;
  StateTransition transition_{types()};
  Store store_;
  Oracle oracle_;
  std::vector<Root> roots_;  // that the store has
};

TEST(LeanForkChoice, IsTheSpecificationsOnRandomTrees) {
  const uint64_t first = first_seed();
  StoreStats seen;
  for (uint64_t seed = first; seed < first + seeds(200, 20'000) && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Twins twins(seed, {});
    for (int i = 0; i < 60 && !HasFailure(); ++i) {
      twins.step();
      twins.expect_equal();
    }
    seen.reorgs += twins.store().stats().reorgs;
    seen.finalized_went_back += twins.store().stats().finalized_went_back;
    seen.votes_pruned += twins.store().stats().votes_pruned;
    seen.intervals_skipped += twins.store().stats().intervals_skipped;
  }
  std::printf("seeds from %llu: %llu reorgs, finality went back %llu times, %llu votes pruned\n",
              static_cast<unsigned long long>(first), static_cast<unsigned long long>(seen.reorgs),
              static_cast<unsigned long long>(seen.finalized_went_back),
              static_cast<unsigned long long>(seen.votes_pruned));
  if (std::getenv("BEAMLINE_SEED") != nullptr) return;
  EXPECT_GT(seen.reorgs, 100u);
  EXPECT_GT(seen.finalized_went_back, 10u);
  EXPECT_GT(seen.votes_pruned, 100u);
  EXPECT_GT(seen.intervals_skipped, 0u);
}

void prune_often(uint64_t seed, StoreStats& seen) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Twins twins(seed, {.kept_slots = seed % 6});
  for (int i = 0; i < 120 && !testing::Test::HasFailure(); ++i) {
    twins.step();
    twins.prune();
    twins.expect_equal();
  }
  seen.blocks_pruned += twins.store().stats().blocks_pruned;
  seen.finalized_went_back += twins.store().stats().finalized_went_back;
}

TEST(LeanForkChoice, PruningIsSafeWhenFinalityGoesBack) {
  const uint64_t first = first_seed();
  StoreStats seen;
  for (uint64_t seed = first; seed < first + seeds(100, 4'000) && !HasFailure(); ++seed) {
    prune_often(seed, seen);
  }
  if (std::getenv("BEAMLINE_SEED") != nullptr) return;
  EXPECT_GT(seen.blocks_pruned, 500u);
  EXPECT_GT(seen.finalized_went_back, 10u);
}

// Finality goes back below a branch that was pruned, and on again: the votes for it are still their
// validators' latest. Older ones counted once they were dropped.
TEST(LeanForkChoice, VotesForAPrunedBranchKeepOlderOnesFromCounting) {
  StoreStats seen;
  for (const uint64_t seed : {973u, 2377u}) prune_often(seed, seen);
}

}  // namespace
}  // namespace beamline::chain::lean
