// A lean node that crashes, at any step: its states come back from the store, its head is that of a
// node that never crashed and was told what had been acknowledged, and it goes on.
#include <gtest/gtest.h>

#include "chain/lean/fork_choice.h"
#include "chain/sim_store.h"
#include "tests/chain/lean_chain.h"
#include "tests/chain/restart_world.h"

namespace beamline::chain::lean {
namespace {

using chain::testing::RecordedChain;
using chain::testing::Written;
using testing::LeanChain;
using testing::types;

constexpr size_t kValidators = 6;
constexpr uint64_t kKeptSlots = 6;

Now time_of(Slot slot, Duration into) {
  const Duration since = kSlot * static_cast<int64_t>(slot) + into;
  return {MonoTime{1'000'000'000} + since, WallTime{} + since};
}

class Node final : public RecordedChain {
 public:
  Node(const LeanChain& world, const Now& now, std::optional<Recovered> found, chain::Store* store)
      : world_(world), importer(types(), nullptr, {.state_every = 4}) {
    StoreBlock anchor;
    ChainConfig config;
    config.anchor = info(world.genesis);
    config.slot_duration = kSlot;
    config.import = ChainConfig::Import::ask;
    config.persist = true;
    if (found) {
      const Slot floor = found->finalized.number - std::min(found->finalized.number, kKeptSlots);
      const Result<uint32_t> validators = importer.restore(*found, *store, floor);
      BL_CHECK(validators);
      anchor = store_block_of(found->anchor, *validators);
      config.anchor = found->anchor.block;
    } else {
      anchor = *importer.add_anchor(world.at(world.genesis).block, world.at(world.genesis).post);
    }
    LeanForkChoiceConfig lean;
    lean.limits.kept_slots = kKeptSlots;
    auto made = std::make_unique<LeanForkChoice>(types(), lean, anchor);
    policy = made.get();
    chain.emplace(std::move(config), nullptr, std::move(made));
    if (!found) return;
    BL_CHECK(chain->restore(now, std::move(*found)));
    turn(now);
  }
  BlockInfo info(const Root& root) const { return world_.info(root); }

 private:
  bool answer(const Now& now, const Command& command) override {
    const auto* import = std::get_if<ImportBlock>(&command);
    if (import == nullptr) return false;
    const Imported imported = importer.import(import->block.root, import->block.signed_bytes);
    EXPECT_EQ(imported.verdict, Verdict::valid) << to_string(imported.why);
    give(now, imported.event(import->import));
    return true;
  }
  const LeanChain& world_;

 public:
  Importer importer;
  LeanForkChoice* policy = nullptr;
};

chain::Vote vote_of(const LeanAttestationData& data, Rng& rng, uint64_t proof) {
  chain::Vote vote = testing::vote_of(data);
  vote.aggregate = true;
  vote.proof = SharedBytes::copy(as_bytes("proof " + std::to_string(proof)));
  for (ValidatorIndex validator = 0; validator < kValidators; ++validator) {
    if (rng.chance(1, 2)) vote.validators.push_back(validator);
  }
  return vote;
}

void expect_same(Node& node, Node& other) {
  EXPECT_EQ(node.chain->head().root, other.chain->head().root);
  EXPECT_EQ(node.policy->head().root, other.policy->head().root);
  EXPECT_EQ(node.policy->justified(), other.policy->justified());
  EXPECT_EQ(node.policy->finalized(), other.policy->finalized());
}

struct Tally {
  uint64_t crashes = 0, lost = 0, replayed = 0, states = 0, dropped = 0, final_slots = 0, votes = 0;
};

// The world's next slot, as the node sees it.
std::vector<Event> step(LeanChain& world, Node& node, std::vector<Root>& roots, Slot slot,
                        Rng& rng) {
  std::vector<Event> events;
  Root parent = node.chain->head().root;
  if (rng.chance(1, 4)) {
    parent = roots[roots.size() - 1 - rng.below(std::min<size_t>(3, roots.size()))];
    // Not below what the policy keeps.
    if (!node.policy->contains(parent)) parent = node.chain->head().root;
  }
  if (rng.chance(3, 4)) {
    std::vector<LeanAggregatedAttestation> votes;
    if (rng.chance(2, 3)) votes.push_back(LeanChain::cast(world.vote_for(parent, slot - 1), 4));
    const Root root = world.add(parent, slot, std::move(votes));
    roots.push_back(root);
    events.push_back(OwnBlock{node.info(root)});
  }
  const Root& head = roots[roots.size() - 1 - rng.below(std::min<size_t>(3, roots.size()))];
  if (head != world.genesis && node.chain->tree().contains(head)) {
    chain::Vote vote = vote_of(world.vote_for(head, slot), rng, slot);
    if (!vote.validators.empty()) events.push_back(OwnVote{std::move(vote)});
  }
  return events;
}

void run_and_crash(uint64_t seed, uint64_t steps, Tally& tally) {
  LeanChain world(kValidators);
  Rng rng(seed * 1000 + steps);
  SimStore store;
  StoreAnchor anchor;
  Now now = time_of(0, {});
  Node node(world, now, std::nullopt, nullptr);
  anchor.block = node.info(world.genesis);
  anchor.post = post_state_of(world.summary(world.genesis));
  std::vector<uint8_t> state;
  BL_CHECK(ssz::encode_value(types().state(), &world.at(world.genesis).post, state));
  anchor.state = SharedBytes::copy(state);
  ASSERT_TRUE(store.open(anchor));
  std::vector<Root> roots{world.genesis};
  Written written;
  Slot slot = 0;
  for (uint64_t i = 0; i < steps; ++i) {
    ++slot;
    now = time_of(slot, milliseconds(static_cast<int64_t>(rng.below(4000))));
    for (Event& event : step(world, node, roots, slot, rng)) node.give(now, std::move(event));
    node.turn(now);
    ASSERT_NO_FATAL_FAILURE(written.some(node, store, rng, now, [&](const Persist& persist) {
      for (const PolicyRecord& record : persist.records) {
        tally.votes += record.bytes.empty() ? 0 : 1;
      }
    }));
  }
  tally.dropped += node.chain->stats().states_dropped;
  store.crash(rng);
  ++tally.crashes;
  auto found = store.open(anchor);
  ASSERT_TRUE(found) << to_string(found.error());
  const PersistId last = found->last;
  EXPECT_GE(last, written.acknowledged);
  tally.lost += written.applied - last;
  slot += rng.below(3);
  now = time_of(slot, milliseconds(3900));
  Node restarted(world, now, std::move(*found), &store);
  Node never_crashed(world, node.calls.front().now, std::nullopt, nullptr);
  never_crashed.replay(node.calls, 0, last);
  never_crashed.turn(now);
  expect_same(restarted, never_crashed);
  tally.states += restarted.importer.stats().states_restored;
  tally.final_slots += restarted.policy->finalized().number;
  // It goes on: its states are there.
  const Root next = world.add(restarted.chain->head().root, slot + 1);
  now = time_of(slot + 1, milliseconds(3900));
  restarted.give(now, OwnBlock{restarted.info(next)});
  restarted.turn(now);
  EXPECT_TRUE(restarted.chain->tree().contains(next));
  tally.replayed += restarted.importer.stats().replayed;
}

TEST(RestartFromStore, TheLeanHeadAfterACrashAtEachStepIsThatOfANodeThatNeverCrashed) {
  Tally tally;
  const uint64_t seeds = std::getenv("BEAMLINE_LONG") == nullptr ? 3 : 60;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    for (uint64_t steps = 1; steps <= 40; ++steps) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", crash after step " + std::to_string(steps));
      run_and_crash(seed, steps, tally);
      if (HasFailure()) return;
    }
  }
  std::printf(
      "%lu crashes, %lu Persists lost, %lu votes stored, %lu states restored (%lu dropped), %lu "
      "blocks replayed, %lu slots final\n",
      static_cast<unsigned long>(tally.crashes), static_cast<unsigned long>(tally.lost),
      static_cast<unsigned long>(tally.votes), static_cast<unsigned long>(tally.states),
      static_cast<unsigned long>(tally.dropped), static_cast<unsigned long>(tally.replayed),
      static_cast<unsigned long>(tally.final_slots));
  EXPECT_GT(tally.lost, 0u);
  EXPECT_GT(tally.votes, 0u);
  EXPECT_GT(tally.dropped, 0u);
  EXPECT_GT(tally.replayed, 0u);
  EXPECT_GT(tally.final_slots, tally.crashes);
}

}  // namespace
}  // namespace beamline::chain::lean
