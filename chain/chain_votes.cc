// Votes: judged without their signature, verified by the client, the newest first, and given to the
// fork choice at the end of the turn. Within a budget, so that blocks are never starved by them.
#include <algorithm>

#include "chain/chain.h"

namespace beamline::chain {
namespace {

std::optional<GossipReason> reason_of(VoteResult result) {
  switch (result) {
    case VoteResult::applied:
    case VoteResult::too_early:  // for the fork choice; the mesh may have it now
      return std::nullopt;
    case VoteResult::not_newer:
      return GossipReason::already_known;
    case VoteResult::unknown_block:
      return GossipReason::block_unknown;
    case VoteResult::too_late:
      return GossipReason::old_vote;
    case VoteResult::inconsistent:
      return GossipReason::invalid_vote;
    case VoteResult::too_many:
      return GossipReason::no_room;
  }
  return GossipReason::no_room;
}

}  // namespace

std::optional<GossipReason> Chain::refuse_vote(const Now& now, const Vote& vote) const {
  if (is_future(now, vote.slot)) return GossipReason::future_slot;
  if (const auto why = invalid_.find_root(vote.head_root)) {
    return *why == InvalidCache::Why::block ? GossipReason::invalid_vote
                                            : GossipReason::invalid_payload;
  }
  return reason_of(fork_choice_->check_vote(vote));
}

void Chain::settle_verdict(HeldVote& held, GossipReason reason) {
  if (!held.verdict) return;
  give_verdict(held.sender, *held.verdict, reason);
  held.verdict.reset();
}

void Chain::on(const Now& now, GossipVote&& event) {
  ++stats_.gossip_votes;
  if (live_peer(event.sender) == nullptr) {
    give_verdict(event.sender, event.verdict, GossipReason::unknown_peer);
    return;
  }
  offer_vote(now, HeldVote{event.sender, event.verdict, false, std::move(event.vote)});
}

void Chain::offer_vote(const Now& now, HeldVote&& held) {
  if (const auto reason = refuse_vote(now, held.vote)) {
    settle_verdict(held, *reason);
    if (*reason != GossipReason::block_unknown) return;
    if (pending_votes_.push(std::move(held))) {
      ++stats_.votes_pending;
    } else {
      ++stats_.votes_refused;
    }
    return;
  }
  if (!held.verified && config_.import == ChainConfig::Import::ask) {
    // One that waited for its block is older than those that wait here: none gives way to it. (And
    // a block that frees thousands of them causes no thousands of verdicts.)
    if (!held.verdict && votes_to_verify_.size() >= config_.limits.votes_waiting) {
      ++stats_.votes_refused;
      return;
    }
    queue_vote(votes_to_verify_, std::move(held));
    return;
  }
  settle_verdict(held, GossipReason::verified);
  queue_vote(votes_to_apply_, std::move(held));
}

void Chain::queue_vote(VoteBuffer& buffer, HeldVote&& held) {
  if (!buffer.room_for(held.sender)) {
    ++stats_.votes_refused;
    settle_verdict(held, GossipReason::no_room);
    return;
  }
  if (auto evicted = buffer.push(std::move(held))) {
    ++stats_.votes_evicted;
    settle_verdict(*evicted, GossipReason::no_room);
  }
}

void Chain::on(const Now&, OwnVote&& event) {
  ++stats_.own_votes;
  // Verified, but its block may be in the queue before it.
  HeldVote held;
  held.verified = true;
  held.vote = std::move(event.vote);
  queue_vote(votes_to_apply_, std::move(held));
}

// The block came that these voted for.
void Chain::release_votes(const Now& now, const Root& head) {
  if (!pending_votes_.waits_for(head)) return;
  for (HeldVote& held : pending_votes_.take(head, config_.limits.votes_pending)) {
    offer_vote(now, std::move(held));
  }
}

void Chain::take_block_votes(const ImportVerdict& verdict) {
  for (const Vote& vote : verdict.votes) {
    ++stats_.votes_in_blocks;
    ++stats_.votes[static_cast<size_t>(fork_choice_->on_vote(vote, true))];
  }
  fork_choice_->on_equivocation(verdict.equivocations);
}

void Chain::verify_votes() {
  while (!votes_to_verify_.empty() && verifying_.size() < config_.limits.votes_in_verification) {
    if (!commands_.room()) {
      deferred_ = true;
      return;
    }
    HeldVote held = votes_to_verify_.pop_newest();
    VerifyVote command{next_vote_++, std::move(held.vote)};
    held.vote = Vote{};
    verifying_.emplace(command.id, std::move(held));
    commands_.push(std::move(command));
  }
}

void Chain::on(const Now&, VoteVerdict&& event) {
  const auto it = verifying_.find(event.id);
  if (it == verifying_.end()) {
    ++stats_.stale_events;
    return;
  }
  HeldVote held = std::move(it->second);
  verifying_.erase(it);
  switch (event.verdict) {
    case Verdict::valid:
      settle_verdict(held, GossipReason::verified);
      held.vote = std::move(event.vote);
      held.verified = true;
      queue_vote(votes_to_apply_, std::move(held));
      return;
    case Verdict::invalid_bytes:
    case Verdict::invalid_block:
      settle_verdict(held, GossipReason::invalid_vote);
      return;
    case Verdict::data_missing:
    case Verdict::try_again:
      settle_verdict(held, GossipReason::dropped);
      return;
  }
}

void Chain::apply_votes(const Now& now) {
  uint32_t budget = config_.limits.votes_per_turn;
  if (const Slot slot = current_slot(now.wall); slot > early_slot_) {
    early_slot_ = slot;
    early_left_ = early_votes_.size();
    const uint64_t kept = config_.limits.votes_pending_slots;
    stats_.votes_pending_expired += pending_votes_.expire(slot - std::min(slot, kept));
  }
  for (; early_left_ > 0 && !early_votes_.empty() && budget > 0; --early_left_, --budget) {
    apply_vote(early_votes_.pop_oldest());
  }
  for (; !votes_to_apply_.empty() && budget > 0; --budget) {
    apply_vote(votes_to_apply_.pop_newest());
  }
  if (early_votes_.empty()) early_left_ = 0;
  if (early_left_ > 0 || !votes_to_apply_.empty()) deferred_ = true;
}

void Chain::apply_vote(HeldVote&& held) {
  const VoteResult result = fork_choice_->on_vote(held.vote, false);
  ++stats_.votes[static_cast<size_t>(result)];
  if (result == VoteResult::too_early) queue_vote(early_votes_, std::move(held));
  if (result == VoteResult::unknown_block && !pending_votes_.push(std::move(held))) {
    ++stats_.votes_refused;
  }
}

}  // namespace beamline::chain
