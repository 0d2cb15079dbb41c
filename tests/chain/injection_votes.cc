// Votes and what their verification says, the client's word on balances and equivocations, and the
// execution engine's on payloads.
#include <algorithm>

#include "base/check.h"
#include "tests/chain/injection.h"

namespace beamline::chain::testing {

// ---- Votes

// A validator votes once in an epoch, in blocks that come after and, if it was told, in the mesh.
BlockBook::VotePtr Injection::cast(const BlockInfo& block, ValidatorIndex validator) {
  const Slot slot = block.slot + byte() % 2;
  if (book_.find(block.root) == nullptr) return nullptr;
  if (!voted_.emplace(validator, book_.epoch_of(slot)).second) return nullptr;
  auto vote = std::make_shared<const Vote>(book_.vote_for(block.root, slot, validator));
  pool_.push_back(vote);
  if (pool_.size() > 32) pool_.erase(pool_.begin());
  return vote;
}

void Injection::gossip_vote(Vote vote) {
  ++tally_.votes;
  const PeerHandle from = any_liar();
  owed_.insert(next_verdict_);
  give(GossipVote{from, next_verdict_++, std::move(vote)});
}

// A vote with a proof is forged.
void Injection::answer_vote(VoteId id, Verdict verdict) {
  Vote vote = std::move(verifying_.at(id));
  verifying_.erase(id);
  if (verdict == Verdict::valid && is_forged(vote)) verdict = Verdict::invalid_bytes;
  give(VoteVerdict{id, verdict, std::move(vote)});
}

void Injection::give_balances() {
  const Checkpoint justified = chain_->fork_choice().justified();
  // Few values: ties.
  std::vector<uint64_t> balances(4);
  for (uint64_t& balance : balances) balance = byte() % 3 * 16;
  give(JustifiedBalances{justified, balances, 16 * (1 + byte() % 4u)});
}

void Injection::step_of_votes(uint8_t what) {
  const BlockInfo block = any_block();
  const ValidatorIndex validator = byte() % 4;
  switch (what % 18) {
    case 16:
    case 17:
      return step_of_payloads();
    case 0:
    case 1:
    case 2:
    case 3: {
      const BlockBook::VotePtr vote = cast(block, validator);
      if (vote != nullptr) return gossip_vote(*vote);
      [[fallthrough]];
    }
    case 4:  // again, from somebody else
      if (!pool_.empty()) gossip_vote(*pool_[byte() % pool_.size()]);
      return;
    case 5: {
      const BlockBook::VotePtr vote = cast(block, validator);
      if (vote != nullptr) give(OwnVote{*vote});
      return;
    }
    case 6: {  // in somebody's name
      if (pool_.empty()) return;
      Vote vote = *pool_[byte() % pool_.size()];
      vote.validators = {validator};
      vote.proof = SharedBytes::copy(block.root.view());
      return gossip_vote(std::move(vote));
    }
    case 7: {  // that contradicts itself, or is of the future, or of long ago
      if (pool_.empty()) return;
      Vote vote = *pool_[byte() % pool_.size()];
      if (byte() % 2 == 0) vote.target.root = block.root;
      if (byte() % 2 == 0) vote.target.number += byte() % 3;
      if (byte() % 2 == 0) vote.slot += byte();
      if (byte() % 8 == 0) vote.validators.clear();
      vote.proof = SharedBytes::copy(block.root.view());
      return gossip_vote(std::move(vote));
    }
    case 8: {  // for what nobody made
      Vote vote;
      vote.slot = byte();
      vote.head_root = root_of(7000 + salt_);
      vote.target.number = vote.slot / 4;
      vote.validators = {validator};
      vote.proof = SharedBytes::copy(block.root.view());
      return gossip_vote(std::move(vote));
    }
    case 9:
    case 10:
    case 11: {
      if (verifying_.empty()) return turn();
      const auto it = std::next(verifying_.begin(), byte() % static_cast<int>(verifying_.size()));
      return answer_vote(it->first, byte() % 8 == 0 ? Verdict::try_again : Verdict::valid);
    }
    case 12:
      return give_balances();
    case 13:  // of a checkpoint that is not
      return give(JustifiedBalances{{byte(), block.root}, {1, 2, 3, 4}, 10});
    case 14:
      if (byte() % 16 == 0) give(Equivocation{{validator}});
      return;
    default:
      return turn();
  }
}

// ---- Payloads

// The engine speaks; now and then it contradicts itself.
void Injection::step_of_payloads() {
  ++tally_.payloads;
  turn();
  PayloadVerdict verdict{any_block().root, Execution::valid, {}};
  const uint8_t mood = byte();
  if (!imported_.empty() && mood % 16 != 15) {  // mostly of what it was told
    const auto recent = std::min<size_t>(imported_.size(), 6);
    verdict.root = std::next(imported_.rbegin(), byte() % static_cast<int>(recent))->second;
  }
  if (mood % 2 == 0) verdict.execution = Execution::invalid;
  switch (mood / 2 % 4) {
    case 1:
      verdict.latest_valid = Hash256{};
      break;
    case 2:
      verdict.latest_valid = any_block().root;
      break;
    case 3: {  // an ancestor's
      const std::vector<Root> chain = chain_of(verdict.root);
      if (!chain.empty()) verdict.latest_valid = chain[chain.size() - 1 - byte() % chain.size()];
      break;
    }
    default:
      break;
  }
  give(verdict);
  for (const Root& root : witness_->take_invalidated()) {
    ++tally_.invalidated;
    condemned_.insert(root);
    imported_.erase({made_[by_root_.at(root)].block.slot, root});
  }
  turn();
}

bool Injection::is_condemned(Root root) const {
  for (auto it = by_root_.find(root); it != by_root_.end(); it = by_root_.find(root)) {
    if (condemned_.contains(root)) return true;
    if (it->second == 0) return false;
    root = made_[it->second].block.parent_root;
  }
  return false;
}

bool Injection::verify_all() {
  const bool any = !verifying_.empty();
  while (!verifying_.empty()) answer_vote(verifying_.begin()->first, Verdict::valid);
  return any;
}

bool Injection::builds_on_final(const Root& root) const {
  if (policy_ == Policy::highest_slot) return true;
  if (policy_ == Policy::lean) return builds_on_kept(root);
  const Checkpoint final_one = chain_->fork_choice().finalized();
  return book_.ancestor(root, book_.start_of(final_one.number)) == final_one.root;
}

}  // namespace beamline::chain::testing
