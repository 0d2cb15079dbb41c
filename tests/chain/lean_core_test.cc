// A lean chain behind the core's events: blocks come by gossip and by request, a worker runs the
// state transition and answers in any order, votes are verified apart, and the head is the store's.
//
// Replay: BEAMLINE_SEED=<seed> test_lean_chain --gtest_filter=LeanChainCore.*

#include <algorithm>
#include <cstdlib>
#include <deque>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "chain/chain.h"
#include "chain/lean/fork_choice.h"
#include "tests/chain/lean_chain.h"

namespace beamline::chain::lean {
namespace {

using testing::LeanChain;
using testing::types;

constexpr size_t kValidators = 6;
constexpr PeerHandle kPeer{1, 1};

class Doubter : public Verifier {
 public:
  bool verify_block(const LeanState&, const LeanBlock&, const Root&, Bytes proof) override {
    return as_text(proof) == "proof";
  }
};

// The core with lean's policy, its worker, and a peer that has all blocks of the world.
class Node {
 public:
  explicit Node(LeanChain& world, uint64_t seed = 1)
      : world_(world), rng_(seed), importer_(types(), &doubter_) {
    const auto& genesis = world.at(world.genesis);
    const StoreBlock anchor = *importer_.add_anchor(genesis.block, genesis.post);
    auto policy = std::make_unique<LeanForkChoice>(types(), LeanForkChoiceConfig{}, anchor);
    policy_ = policy.get();
    ChainConfig config;
    config.anchor = info(world.genesis);
    config.slot_duration = kSlot;
    config.import = ChainConfig::Import::ask;
    chain_ = std::make_unique<Chain>(std::move(config), nullptr, std::move(policy));
    give(PeerUp{kPeer});
  }

  BlockInfo info(const Root& root) const { return world_.info(root); }
  void gossip(const Root& root) { give(GossipBlock{kPeer, ++verdicts_, info(root)}); }
  VerdictId gossip(BlockInfo block) {
    give(GossipBlock{kPeer, ++verdicts_, std::move(block)});
    return verdicts_;
  }
  VerdictId gossip(const LeanAttestationData& data, std::vector<ValidatorIndex> voters) {
    GossipVote event{kPeer, ++verdicts_, {}};
    event.vote.slot = data.slot;
    event.vote.head_root = data.head.root;
    event.vote.head_slot = data.head.slot;
    event.vote.target = {data.target.slot, data.target.root};
    event.vote.source = {data.source.slot, data.source.root};
    event.vote.validators = std::move(voters);
    event.vote.aggregate = true;
    event.vote.proof = SharedBytes::copy(as_bytes("proof"));
    give(std::move(event));
    return verdicts_;
  }

  // To this interval of this slot, turn by turn; the worker answers in any order.
  void run_to(Slot slot, Interval interval) {
    const WallTime end = WallTime{} + kSlot * static_cast<int64_t>(slot) +
                         kInterval * static_cast<int64_t>(interval);
    do {
      const Duration step = std::min(milliseconds(100), end - now_.wall);
      now_ = {now_.mono + step, now_.wall + step};
      give(Tick{});
      turn();
    } while (now_.wall < end);
    settle();
  }
  // Until nothing is owed.
  void settle() {
    for (int i = 0; i < 5000; ++i) {
      turn();
      if (work_.empty() && chain_->idle()) return turn();
      now_ = {now_.mono + milliseconds(1), now_.wall + milliseconds(1)};
    }
  }

  const Chain& chain() const { return *chain_; }
  const LeanForkChoice& policy() const { return *policy_; }
  const Importer& importer() const { return importer_; }
  const GossipVerdict* verdict(VerdictId id) const {
    const auto it = given_.find(id);
    return it == given_.end() ? nullptr : &it->second;
  }
  uint64_t imported = 0;
  uint64_t requests = 0;
  std::vector<Checkpoint> finalized;
  std::vector<HeadChanged> heads;

 private:
  void give(Event event) { ASSERT_TRUE(chain_->handle(now_, std::move(event))); }
  void turn() {
    chain_->end_of_turn(now_);
    while (auto command = chain_->poll_command()) {
      std::visit([&](auto& what) { on(what); }, *command);
    }
    // One of the blocks that wait for the worker, whichever it is done with.
    if (work_.empty() || rng_.chance(1, 3)) return;
    const size_t which = rng_.below(work_.size());
    const ImportBlock job = std::move(work_[which]);
    work_.erase(work_.begin() + static_cast<std::ptrdiff_t>(which));
    give(importer_.import(job.block.root, job.block.signed_bytes).event(job.import));
  }
  template <class Other>
  void on(Other&) {}
  void on(ImportBlock& command) { work_.push_back(std::move(command)); }
  void on(BlockImported&) { ++imported; }
  void on(GossipVerdict& command) { given_[command.verdict] = command; }
  void on(HeadChanged& command) { heads.push_back(command); }
  void on(FinalizedChanged& command) { finalized.push_back(command.checkpoint); }
  void on(VerifyVote& command) {
    const bool good = as_text(command.vote.proof) == "proof";
    give(VoteVerdict{command.id, good ? Verdict::valid : Verdict::invalid_bytes,
                     std::move(command.vote)});
  }
  void on(RequestByRoot& command) {
    ++requests;
    for (const Root& root : command.roots) {
      give(ChunkReceived{command.peer, command.request, info(root)});
    }
    give(RequestEnded{command.peer, command.request});
  }
  void on(RequestByRange& command) {
    ++requests;
    std::vector<BlockInfo> range;
    for (Root at = range_tip; !at.is_zero(); at = world_.at(at).block.parent_root) {
      const BlockInfo block = info(at);
      if (block.slot >= command.start_slot && block.slot - command.start_slot < command.count) {
        range.push_back(block);
      }
    }
    std::ranges::reverse(range);
    for (const BlockInfo& block : range) {
      give(ChunkReceived{command.peer, command.request, block});
    }
    give(RequestEnded{command.peer, command.request});
  }

 public:
  Root range_tip;  // of the chain that the peer serves by range

 private:
  LeanChain& world_;
  Rng rng_;
  Doubter doubter_;
  Importer importer_;
  LeanForkChoice* policy_ = nullptr;
  std::unique_ptr<Chain> chain_;
  std::deque<ImportBlock> work_;
  std::map<VerdictId, GossipVerdict> given_;
  VerdictId verdicts_ = 0;
  Now now_{MonoTime{1'000'000'000}, WallTime{}};
};

TEST(LeanChainCore, BlocksByGossipAreImportedJustifiedAndFinalised) {
  LeanChain world(kValidators);
  Node node(world);
  Root tip = world.genesis;
  for (Slot slot = 1; slot <= 6; ++slot) {
    tip = world.add(tip, slot,
                    slot == 1 ? std::vector<LeanAggregatedAttestation>{}
                              : std::vector{LeanChain::cast(world.vote_for(tip, slot - 1), 4)});
    node.run_to(slot, 0);
    node.gossip(tip);
    node.run_to(slot, 1);
    EXPECT_EQ(node.chain().head().root, tip);
  }
  EXPECT_EQ(node.imported, 6u);
  EXPECT_EQ(node.heads.size(), 6u);
  EXPECT_EQ(node.policy().store().latest_justified(), world.at(tip).post.latest_justified);
  EXPECT_EQ(node.policy().store().latest_finalized(), world.at(tip).post.latest_finalized);
  ASSERT_FALSE(node.finalized.empty());
  EXPECT_EQ(node.finalized.back().number, 4u);
  EXPECT_EQ(*node.importer().state(tip), world.at(tip).post);
}

TEST(LeanChainCore, ALateNodeFetchesAndImportsTheWholeChain) {
  LeanChain world(kValidators);
  Node node(world);
  Root tip = world.genesis;
  for (Slot slot = 1; slot <= 40; ++slot) tip = world.add(tip, slot);
  node.range_tip = tip;
  node.run_to(40, 0);
  node.gossip(tip);
  node.run_to(41, 0);
  EXPECT_EQ(node.chain().head().root, tip);
  EXPECT_EQ(node.imported, 40u);
  EXPECT_EQ(node.importer().stats().no_state, 0u);  // a parent is always imported first
}

TEST(LeanChainCore, VotesMoveTheHeadAndWaitForTheirBlock) {
  LeanChain world(kValidators);
  Node node(world);
  const Root a = world.add(world.genesis, 1);
  const Root b = world.add(world.genesis, 2);
  const Root lighter = std::max(a, b);
  const Root heavier = std::min(a, b);
  node.run_to(2, 1);
  // The votes are here before their block.
  const VerdictId early = node.gossip(world.vote_for(heavier, 2), {0, 1, 2});
  node.run_to(2, 2);
  node.gossip(lighter);
  node.gossip(heavier);
  node.run_to(2, 3);
  EXPECT_EQ(node.chain().head().root, lighter);  // pending votes have no weight
  node.run_to(2, 4);
  EXPECT_EQ(node.chain().head().root, heavier);
  ASSERT_NE(node.verdict(early), nullptr);
  LeanAttestationData wrong = world.vote_for(heavier, 2);
  wrong.source = world.checkpoint(heavier);
  wrong.target = world.checkpoint(world.genesis);
  const VerdictId bad = node.gossip(wrong, {3});
  node.run_to(3, 0);
  ASSERT_NE(node.verdict(bad), nullptr);
  EXPECT_EQ(node.verdict(bad)->result, GossipResult::reject);
}

// A proof lies outside the root: garbage in it rejects that message and no other.
TEST(LeanChainCore, AForgedProofCondemnsItsSenderAndNotTheRoot) {
  LeanChain world(kValidators);
  Node node(world);
  const Root a = world.add(world.genesis, 1);
  node.run_to(1, 0);
  BlockInfo forged = node.info(a);
  forged.signed_bytes = LeanChain::sign(world.at(a).block, as_bytes("forged"));
  const VerdictId bad = node.gossip(forged);
  node.run_to(1, 1);
  ASSERT_NE(node.verdict(bad), nullptr);
  EXPECT_EQ(node.verdict(bad)->result, GossipResult::reject);
  node.gossip(a);
  node.run_to(1, 2);
  EXPECT_EQ(node.chain().head().root, a);

  // A block that breaks a rule is condemned with all that builds on it.
  LeanBlock wrong = world.at(world.add(a, 2)).block;
  wrong.state_root.bytes[0] ^= 1;
  BlockInfo invalid;
  invalid.root = *world.transition.root_of(wrong);
  invalid.parent_root = a;
  invalid.slot = 2;
  invalid.proposer = wrong.proposer_index;
  invalid.signed_bytes = LeanChain::sign(wrong, as_bytes("proof"));
  node.run_to(2, 0);
  const VerdictId rejected = node.gossip(invalid);
  node.run_to(2, 1);
  ASSERT_NE(node.verdict(rejected), nullptr);
  EXPECT_EQ(node.verdict(rejected)->result, GossipResult::reject);
  EXPECT_EQ(node.verdict(rejected)->reason, GossipReason::invalid_block);
  EXPECT_EQ(node.chain().head().root, a);
}

// Blocks of several branches and votes, in any order, from a seed: in the end the head is that of a
// store that was told all of it in order.
TEST(LeanChainCore, AnyOrderOfBlocksLeadsToTheSameHead) {
  const char* const given = std::getenv("BEAMLINE_SEED");
  const uint64_t first = given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
  const uint64_t many = given != nullptr ? 1 : std::getenv("BEAMLINE_LONG") == nullptr ? 12 : 500;
  for (uint64_t seed = first; seed < first + many && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    LeanChain world(kValidators);
    Node node(world, seed);
    constexpr Slot kSlots = 16;
    std::vector<Root> roots{world.genesis};
    for (Slot slot = 1; slot <= kSlots; ++slot) {
      const Root parent = roots[roots.size() - 1 - rng.below(std::min<size_t>(3, roots.size()))];
      std::vector<LeanAggregatedAttestation> votes;
      if (rng.chance(1, 2)) {
        votes.push_back(LeanChain::cast(world.vote_for(parent, slot - 1), 1 + rng.below(6)));
      }
      roots.push_back(world.add(parent, slot, std::move(votes)));
    }
    node.range_tip = roots.back();
    std::vector<Root> order(roots.begin() + 1, roots.end());
    shuffle(std::span(order), rng);
    node.run_to(kSlots, 0);
    for (const Root& root : order) {
      node.gossip(root);
      if (rng.chance(1, 2)) node.run_to(kSlots, 0);
    }
    const Root voted = roots[1 + rng.below(kSlots)];
    const LeanAttestationData data = world.vote_for(voted, kSlots);
    node.gossip(data, {0, 1, 2});
    node.run_to(kSlots + 1, 0);

    Store store(world.summary(world.genesis));
    for (const Root& root : roots) {
      std::vector<Vote> votes;
      for (const auto& one : world.at(root).block.body.attestations) {
        votes.push_back(world.keyed(one.data));
      }
      ASSERT_TRUE(store.on_block(world.summary(root), votes));
    }
    store.on_tick(kSlots * kIntervalsPerSlot, false);
    ValidatorSet voters;
    for (ValidatorIndex voter = 0; voter < 3; ++voter) voters.insert(voter);
    if (store.check_aggregate(data, voters)) {
      ASSERT_TRUE(store.add_proof(world.keyed(data), *Proof::make(voters.to_bitlist(), {})));
    }
    store.on_tick(kSlots * kIntervalsPerSlot + 4, false);
    EXPECT_EQ(node.imported, kSlots);
    EXPECT_EQ(node.chain().head().root, store.head());
    EXPECT_EQ(node.policy().store().latest_finalized(), store.latest_finalized());
  }
}

}  // namespace
}  // namespace beamline::chain::lean
