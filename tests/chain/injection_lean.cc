// Lean's blocks, from a forest that is made once, and its votes: aggregates and single
// attestations, in any order, late, of blocks that nobody made, and forged.
#include <algorithm>

#include "base/check.h"
#include "tests/chain/injection.h"
#include "tests/chain/witnessed_lean.h"

namespace beamline::chain::testing {
namespace {

// A proof says whether it holds.
SharedBytes proof(bool good, uint64_t salt) {
  return SharedBytes::build(9, [&](MutableBytes out) {
    out[0] = good;
    for (size_t i = 0; i < 8; ++i) out[i + 1] = static_cast<uint8_t>(salt >> (8 * i));
  });
}

}  // namespace

BlockInfo Injection::lean_genesis() { return lean_block(lean_forest().world.genesis); }

PostState Injection::lean_genesis_state() {
  const auto& world = lean_forest().world;
  return lean::post_state_of(world.summary(world.genesis));
}

std::unique_ptr<Witness> Injection::make_lean_policy(const Recovered* found) const {
  lean::LeanForkChoiceConfig lean;
  lean.limits.kept_slots = 4;
  const auto& world = lean_forest().world;
  if (found != nullptr) {
    return std::make_unique<WitnessedLean>(lean,
                                           lean::store_block_of(found->anchor, kLeanValidators));
  }
  return std::make_unique<WitnessedLean>(lean, world.summary(world.genesis));
}

// Its bytes are those of every block here: nobody decodes them.
BlockInfo Injection::lean_block(const Root& root) {
  const lean::testing::MadeBlock& made = lean_forest().world.at(root);
  BlockInfo block = make_block(made.block.parent_root, made.block.slot, 0);
  block.root = root;
  block.proposer = made.block.proposer_index;
  block.signed_bytes = SharedBytes::build(100, [&](MutableBytes out) {
    std::fill(out.begin(), out.end(), uint8_t{7});
    std::copy(root.bytes.begin(), root.bytes.end(), out.begin());
    out[32] = 1;
  });
  return block;
}

// One whose parent is known; the forest's lowest first, or one of the next.
BlockInfo Injection::next_lean_block() {
  std::vector<Root> next;
  const size_t many = 1 + byte() % 4u;
  for (const Root& root : lean_forest().order) {
    const Root& parent = lean_forest().world.at(root).block.parent_root;
    if (by_root_.contains(root) || !by_root_.contains(parent)) continue;
    next.push_back(root);
    if (next.size() == many) break;
  }
  return next.empty() ? any_block() : lean_block(next.back());
}

void Injection::add_lean_state(ImportVerdict& verdict, const Root& root) const {
  const auto& world = lean_forest().world;
  verdict.post = lean::post_state_of(world.summary(root));
  for (const LeanAggregatedAttestation& vote : world.at(root).block.body.attestations) {
    verdict.votes.push_back(lean::testing::vote_of(vote.data));
    verdict.votes.back().aggregate = true;
  }
}

// Beside what is kept of the finalised chain nothing is imported.
bool Injection::builds_on_kept(Root root) const {
  const ForkChoice& policy = chain_->fork_choice();
  while (!policy.contains(root)) {
    const auto it = by_root_.find(root);
    if (it == by_root_.end() || it->second == 0) return false;
    const BlockInfo& block = made_[it->second].block;
    if (block.slot <= policy.floor()) return false;
    root = block.parent_root;
  }
  const auto it = by_root_.find(root);
  return it != by_root_.end() && made_[it->second].block.slot >= policy.floor();
}

// As an honest validator votes that has this head.
Vote Injection::lean_vote(const Root& head) {
  const auto& world = lean_forest().world;
  const Slot slot = world.at(head).block.slot + byte() % 3;
  Vote vote = lean::testing::vote_of(world.vote_for(head, slot));
  vote.aggregate = true;
  const uint8_t voters = 1 + byte() % 63;
  for (ValidatorIndex i = 0; i < kLeanValidators; ++i) {
    if (voters >> i & 1) vote.validators.push_back(i);
  }
  vote.proof = proof(true, ++salt_);
  return vote;
}

void Injection::spoil(Vote& vote) {
  const BlockInfo other = any_block();
  const uint8_t how = byte();
  if (how % 2 == 0) vote.target = {other.slot, other.root};
  if (how / 2 % 2 == 0) vote.source = {other.slot, other.root};
  if (how / 4 % 4 == 0) ++vote.head_slot;
  if (how / 16 % 4 == 0) vote.slot += byte();
  if (how / 64 % 2 == 0) vote.validators.push_back(byte());
  if (how == 255) vote.validators.clear();
}

void Injection::step_of_lean_votes(uint8_t what) {
  BlockInfo block = any_block();
  if (!imported_.empty() && byte() % 4 != 0) {  // mostly for what is here
    const auto recent = std::min<size_t>(imported_.size(), 6);
    const Root root = std::next(imported_.rbegin(), byte() % static_cast<int>(recent))->second;
    block = made_[by_root_.at(root)].block;
  }
  const bool made = lean_forest().world.has(block.root);
  switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: {
      if (!made) return turn();
      Vote vote = lean_vote(block.root);
      pool_.push_back(std::make_shared<const Vote>(vote));
      if (pool_.size() > 32) pool_.erase(pool_.begin());
      return what % 16 == 5 ? give(OwnVote{std::move(vote)}) : gossip_vote(std::move(vote));
    }
    case 6:  // again
      if (!pool_.empty()) gossip_vote(*pool_[byte() % pool_.size()]);
      return;
    case 7: {  // of one validator, for others to aggregate
      if (!made) return turn();
      Vote vote = lean_vote(block.root);
      vote.aggregate = false;
      if (byte() % 4 != 0) vote.validators = {byte() % kLeanValidators};
      return gossip_vote(std::move(vote));
    }
    case 8:
    case 9: {
      if (pool_.empty()) return turn();
      Vote vote = *pool_[byte() % pool_.size()];
      vote.proof = proof(what % 16 == 9, ++salt_);
      spoil(vote);
      return gossip_vote(std::move(vote));
    }
    case 10: {  // for what nobody made
      if (!made) return turn();
      Vote vote = lean_vote(block.root);
      vote.head_root = root_of(7000 + salt_);
      return gossip_vote(std::move(vote));
    }
    case 11:
    case 12:
    case 13:
    case 14: {
      if (verifying_.empty()) return turn();
      const auto it = std::next(verifying_.begin(), byte() % static_cast<int>(verifying_.size()));
      return answer_vote(it->first, byte() % 8 == 0 ? Verdict::try_again : Verdict::valid);
    }
    default:
      return turn();
  }
}

bool Injection::is_forged(const Vote& vote) const {
  return policy_ == Policy::lean ? vote.proof.bytes()[0] == 0 : !vote.proof.empty();
}

}  // namespace beamline::chain::testing
