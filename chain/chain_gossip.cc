// Blocks from the mesh: the checks that need no signature, and those that are a little early.
#include <algorithm>

#include "chain/chain.h"

namespace beamline::chain {
namespace {

GossipResult result_of(GossipReason reason) {
  switch (reason) {
    case GossipReason::verified:
      return GossipResult::accept;
    case GossipReason::not_after_parent:
    case GossipReason::invalid_bytes:
    case GossipReason::invalid_block:
    case GossipReason::invalid_parent:
    case GossipReason::invalid_vote:
    case GossipReason::conflicts_final:
      return GossipResult::reject;
    default:
      return GossipResult::ignore;
  }
}

}  // namespace

// consensus-specs, phase0 p2p-interface, "beacon_block": the conditions that need neither the
// signature nor the state.
std::optional<GossipReason> Chain::refuse_gossip(const BlockInfo& block) const {
  if (block.slot <= floor()) return GossipReason::below_anchor;
  if (tree_.contains(block.root) || cache_.contains(block.root)) {
    return GossipReason::already_known;
  }
  const auto own = invalid_.find_root(block.root);
  if (own == InvalidCache::Why::block) return GossipReason::invalid_block;
  const auto above = invalid_.find_root(block.parent_root);
  if (above == InvalidCache::Why::block) return GossipReason::invalid_parent;
  if (invalid_.has_bytes(block)) return GossipReason::invalid_bytes;
  if (block.parent_root == block.root) return GossipReason::not_after_parent;
  if (const BlockTree::Node* parent = tree_.find(block.parent_root)) {
    if (parent->slot >= block.slot) return GossipReason::not_after_parent;
    if (!fork_choice_->contains(block.parent_root)) return GossipReason::conflicts_final;
  }
  if (const CachedBlock* parent = cache_.find(block.parent_root)) {
    if (parent->block.slot >= block.slot) return GossipReason::not_after_parent;
  }
  // (After what is its sender's fault in any case.)
  if (own || above) return GossipReason::invalid_payload;
  if (tree_.has_proposal(block.slot, block.proposer, block.root)) {
    return GossipReason::second_proposal;
  }
  return std::nullopt;
}

void Chain::on(const Now& now, GossipBlock&& event) {
  ++stats_.gossip_blocks;
  if (live_peer(event.sender) == nullptr) {
    give_verdict(event.sender, event.verdict, GossipReason::unknown_peer);
    return;
  }
  if (const auto reason = refuse_gossip(event.block)) {
    if (*reason == GossipReason::invalid_bytes) ++stats_.invalid_hits;
    // Who sends an orphan says that it has the parent.
    if (PendingRoot* parent = pending_.find(event.block.parent_root)) {
      if (*reason == GossipReason::already_known) pending_.claim(*parent, event.sender);
    }
    if (*reason == GossipReason::already_known) note_offer(event);
    give_verdict(event.sender, event.verdict, *reason);
    return;
  }
  if (is_future(now, event.block.slot)) {
    give_verdict(event.sender, event.verdict, GossipReason::future_slot);
    keep_for_later(now, std::move(event));
    return;
  }
  CachedBlock incoming;
  incoming.block = std::move(event.block);
  incoming.sender = event.sender;
  // A block without its parent cannot be judged soon: the mesh does not wait for it.
  const bool orphan = !is_connected(incoming.block.parent_root);
  if (!orphan) incoming.gossip_verdict = event.verdict;
  switch (take(now, std::move(incoming))) {
    case Take::taken:
      if (orphan) give_verdict(event.sender, event.verdict, GossipReason::parent_unknown);
      return;
    case Take::known:
    case Take::invalid:
    case Take::refused:
      give_verdict(event.sender, event.verdict, GossipReason::no_room);
      return;
  }
}

void Chain::on(const Now& now, OwnBlock&& event) {
  CachedBlock incoming;
  incoming.origin = Origin::own;
  incoming.block = std::move(event.block);
  PublishBlock publish{incoming.block.root, incoming.block.signed_bytes};
  if (!is_connected(incoming.block.parent_root) || take(now, std::move(incoming)) != Take::taken) {
    ++stats_.own_refused;
    return;
  }
  ++stats_.own_blocks;
  commands_.push(std::move(publish));
}

void Chain::give_verdict(PeerHandle sender, VerdictId id, GossipReason reason) {
  const GossipResult result = result_of(reason);
  ++stats_.verdicts[static_cast<size_t>(reason)];
  commands_.push(GossipVerdict{sender, id, result, reason});
  if (result == GossipResult::reject) charge(sender, Conduct::invalid_gossip);
}

void Chain::settle_verdict(CachedBlock& block, GossipReason reason) {
  if (!block.gossip_verdict) return;
  give_verdict(block.sender, *block.gossip_verdict, reason);
  block.gossip_verdict.reset();
}

bool Chain::is_future(const Now& now, Slot slot) const {
  return slot > current_slot(now.wall + config_.limits.clock_disparity);
}

// The copy that came first may be the one whose signature is wrong.
void Chain::note_offer(const GossipBlock& event) {
  CachedBlock* cached = cache_.find(event.block.root);
  if (cached == nullptr || cached->offered_by.size() >= PendingParents::kMaxClaimants) return;
  const Bytes ours = cached->block.signed_bytes.bytes();
  if (has(cached->offered_by, event.sender) ||
      std::ranges::equal(ours, event.block.signed_bytes.bytes())) {
    return;
  }
  cached->offered_by.push_back(event.sender);
}

void Chain::keep_for_later(const Now& now, GossipBlock&& event) {
  const Slot slot = event.block.slot;
  const bool near = slot - current_slot(now.wall) <= config_.limits.future_slots;
  if (!near || !make_future_room(event.sender)) {
    ++stats_.future_refused;
    return;
  }
  const std::tuple<Slot, Root, PeerHandle> key{slot, event.block.root, event.sender};
  if (future_.emplace(key, std::move(event)).second) ++stats_.future_kept;
}

// Each sender has its share; when all is taken, who has most gives way to who has less.
bool Chain::make_future_room(PeerHandle sender) {
  const Limits& limits = config_.limits;
  std::map<PeerHandle, uint32_t> shares;
  for (const auto& [key, kept] : future_) ++shares[kept.sender];
  const uint32_t own = shares[sender];
  if (own >= limits.future_per_peer) return false;
  if (future_.size() < limits.future_blocks) return true;
  const auto most =
      std::max_element(shares.begin(), shares.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most->second <= own + 1) return false;
  const auto last = std::find_if(future_.rbegin(), future_.rend(), [&](const auto& kept) {
    return kept.second.sender == most->first;
  });
  future_.erase(std::next(last).base());
  ++stats_.future_refused;
  return true;
}

void Chain::release_future(const Now& now) {
  while (!future_.empty() && !is_future(now, future_.begin()->second.block.slot)) {
    if (!commands_.room()) {
      deferred_ = true;
      return;
    }
    GossipBlock event = std::move(future_.begin()->second);
    future_.erase(future_.begin());
    if (refuse_gossip(event.block)) {
      note_offer(event);
      continue;
    }
    CachedBlock incoming;
    incoming.block = std::move(event.block);
    incoming.sender = event.sender;
    take(now, std::move(incoming));
  }
}

MonoTime Chain::future_deadline(const Now& now) const {
  if (future_.empty()) return MonoTime::never();
  const WallTime start = slot_start(future_.begin()->second.block.slot);
  return now.mono + std::max(start - now.wall - config_.limits.clock_disparity, Duration{});
}

}  // namespace beamline::chain
