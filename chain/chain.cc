#include "chain/chain.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {
namespace {

// One step drops every cached block at most, each with a verdict and a charge, or charges every
// peer; besides, it says a few things.
size_t most_commands_of_a_step(const Limits& limits) {
  return size_t{limits.cached_blocks} * 2 + size_t{limits.peers} * 2 + 64;
}

std::unique_ptr<BlockStore> store_or_memory(std::unique_ptr<BlockStore> store,
                                            const Limits& limits) {
  if (store != nullptr) return store;
  return std::make_unique<MemoryStore>(limits.store_bytes);
}

std::unique_ptr<ForkChoice> choice_or_highest(std::unique_ptr<ForkChoice> choice,
                                              const BlockInfo& anchor) {
  if (choice != nullptr) return choice;
  return std::make_unique<HighestSlot>(anchor);
}

}  // namespace

Chain::Chain(ChainConfig config, std::unique_ptr<BlockStore> store,
             std::unique_ptr<ForkChoice> fork_choice)
    : config_(std::move(config)),
      commands_(config_.limits.commands, most_commands_of_a_step(config_.limits)),
      store_(store_or_memory(std::move(store), config_.limits)),
      fork_choice_(choice_or_highest(std::move(fork_choice), config_.anchor)),
      tree_(config_.anchor, config_.limits.tree_blocks),
      cache_(config_.limits),
      invalid_(config_.limits.invalid_blocks),
      pending_(config_.limits),
      flush_(config_.limits.flush_tick),
      peers_(config_.limits),
      requests_(config_.limits),
      range_(config_.limits),
      server_(config_.limits, tree_, *store_, peers_, commands_, stats_),
      votes_to_verify_(config_.limits.votes_waiting, config_.limits.votes_waiting / 8),
      votes_to_apply_(config_.limits.votes_waiting, config_.limits.votes_waiting / 8),
      early_votes_(config_.limits.votes_waiting, config_.limits.votes_waiting / 8),
      pending_votes_(config_.limits.votes_pending, config_.limits.votes_pending / 8),
      justified_(fork_choice_->justified()),
      finalized_(fork_choice_->finalized()) {
  BL_CHECK(config_.slot_duration > Duration{});
  // One that goes on from a store may begin above the anchor (restore()).
  BL_CHECK(config_.persist || fork_choice_->contains(config_.anchor.root));
  if (config_.persist) fork_choice_->keep_records();
  set_oldest(config_.anchor.slot);
  if (!config_.anchor.signed_bytes.empty()) store_->put(config_.anchor);
}

Status Chain::handle(const Now& now, Event&& event) {
  if (!commands_.room()) {
    ++stats_.events_refused;
    return local_error(Code::full, "chain commands");
  }
  now_ = now.mono;
  fork_choice_->on_tick(now.wall);
  std::visit([&](auto&& what) { on(now, std::move(what)); }, std::move(event));
  return {};
}

void Chain::end_of_turn(const Now& now) {
  now_ = now.mono;
  deferred_ = false;
  fork_choice_->on_tick(now.wall);
  expire_requests(now);
  release_future(now);
  retry_delayed(now);
  import_ready(now);
  verify_votes();
  apply_votes(now);
  update_head();
  persist();
  route_pending(now);
  flush(now);
  send_windows(now);
  server_.pump(now.mono);
  flush_.end_of_turn();
  if (deferred_) ++stats_.commands_deferred;
  set_deadline(now);
}

void Chain::set_deadline(const Now& now) {
  MonoTime next = std::min({requests_.next_deadline(), server_.deadline(), future_deadline(now),
                            fork_choice_deadline(now)});
  if (deferred_) next = now.mono;
  if (const CachedBlock* ready = cache_.lowest_ready()) {
    if (ready->block.slot > current_slot(now.wall)) {
      next = std::min(next, now.mono + (slot_start(ready->block.slot) - now.wall));
    }
  }
  if (!delayed_.empty()) next = std::min(next, delayed_.begin()->first);
  if (pending_.next_ready() > now.mono) {
    next = std::min(next, pending_.next_ready());
  } else if (flush_.deadline() > now.mono) {
    next = std::min(next, flush_.deadline());
  }
  const MonoTime window = range_.next_ready();
  if (window > now.mono) next = std::min(next, window);
  next_deadline_ = std::min(next, peers_.next_available(now.mono));
}

Slot Chain::current_slot(WallTime wall) const {
  const int64_t since = (wall - config_.genesis_time).ns;
  return since <= 0 ? 0 : static_cast<Slot>(since / config_.slot_duration.ns);
}

WallTime Chain::slot_start(Slot slot) const {
  return config_.genesis_time + config_.slot_duration * static_cast<int64_t>(slot);
}

const Stats& Chain::stats() {
  stats_.tree_pruned = tree_.pruned();
  stats_.store_evicted = store_->evicted();
  stats_.votes_pending_evicted = pending_votes_.evicted();
  stats_.commands_peak = commands_.peak();
  return stats_;
}

bool Chain::idle() const {
  return pending_.size() == 0 && requests_.size() == 0 && !range_.active() && imports_.empty() &&
         cache_.size() == 0;
}

// ---- Peers.

Peer* Chain::live_peer(PeerHandle handle) {
  Peer* peer = peers_.find(handle);
  if (peer == nullptr) ++stats_.stale_events;
  return peer;
}

void Chain::on(const Now& now, PeerUp&& event) {
  if (const Peer* before = peers_.at(event.peer.index)) {
    if (before->handle.generation >= event.peer.generation) {
      ++stats_.stale_events;
      return;
    }
    remove_peer(now, before->handle);
  }
  if (peers_.add(event.peer) != nullptr) return;
  ++stats_.peers_refused;
  commands_.push(DisconnectPeer{event.peer, DisconnectReason::no_room});
}

void Chain::on(const Now& now, PeerDown&& event) {
  if (live_peer(event.peer) != nullptr) remove_peer(now, event.peer);
}

void Chain::remove_peer(const Now& now, PeerHandle handle) {
  const Error gone{"peer", 0, Code::connection_lost, Fault::network};
  for (const RequestId id : requests_.of_peer(handle)) end_request(now, id, {gone, std::nullopt});
  server_.peer_down(handle);
  peers_.remove(handle);
  std::vector<Root> unclaimed;
  for (const auto& [root, wanted] : pending_.roots()) {
    const bool claimed =
        std::any_of(wanted.claimants.begin(), wanted.claimants.end(),
                    [&](PeerHandle claimant) { return peers_.find(claimant) != nullptr; });
    if (wanted.wanted_as == WantedAs::peer_head && !claimed) unclaimed.push_back(root);
  }
  for (const Root& root : unclaimed) give_up(root, GiveUp::peer_gone);
}

void Chain::on(const Now& now, PeerStatus&& event) {
  Peer* peer = live_peer(event.peer);
  if (peer == nullptr) return;
  // One head of each peer is wanted: the latest. Its parents stay wanted by themselves.
  if (peer->status) {
    const PendingRoot* old = pending_.find(peer->status->head_root);
    if (old != nullptr && old->wanted_as == WantedAs::peer_head && old->claimants.size() == 1 &&
        old->claimants.front() == event.peer && old->root != event.head_root) {
      give_up(old->root, GiveUp::peer_gone);
    }
  }
  peer->status = event;
  // What counts is whether the head is known, not how its slot compares with ours: a peer that
  // finalised higher with a lower head is on another branch, and its head leads there.
  const Root& head = event.head_root;
  if (head.is_zero() || tree_.contains(head) || cache_.contains(head) || invalid_.has_root(head) ||
      event.head_slot <= floor()) {
    return;
  }
  const Slot slot = std::min(event.head_slot, current_slot(now.wall) + 1);
  const PendingParents::Want want{head, WantedAs::peer_head, slot, slot, 0, 0, event.peer};
  if (this->want(now, want) == nullptr) ++stats_.pending_refused;
}

void Chain::charge(PeerHandle handle, Conduct conduct) {
  Peer* peer = peers_.find(handle);
  if (peer == nullptr || peer->leaving) return;
  ++stats_.charges;
  commands_.push(peers_.report(*peer, conduct, now_));
  if (peer->score > 0) return;
  peer->leaving = true;
  ++stats_.disconnects;
  commands_.push(DisconnectPeer{handle, DisconnectReason::low_score});
}

void Chain::reward(PeerHandle handle) {
  Peer* peer = peers_.find(handle);
  if (peer == nullptr || peer->leaving) return;
  commands_.push(peers_.report(*peer, Conduct::useful, now_));
}

// ---- What peers ask us.

void Chain::on(const Now&, IncomingByRoot&& event) {
  Peer* peer = live_peer(event.peer);
  if (peer == nullptr) return;
  if (!server_.ask(*peer, std::move(event))) charge(peer->handle, Conduct::bad_request);
}

void Chain::on(const Now&, IncomingByRange&& event) {
  Peer* peer = live_peer(event.peer);
  if (peer == nullptr) return;
  if (!server_.ask(*peer, event)) charge(peer->handle, Conduct::bad_request);
}

void Chain::on(const Now&, IncomingByHead&& event) {
  Peer* peer = live_peer(event.peer);
  if (peer == nullptr) return;
  if (!server_.ask(*peer, event)) charge(peer->handle, Conduct::bad_request);
}

void Chain::on(const Now&, ResponseWritten&& event) { server_.written(event); }

void Chain::on(const Now&, IncomingCancelled&& event) { server_.cancel(event.peer, event.serve); }

void Chain::on(const Now&, Tick&&) {}

}  // namespace beamline::chain
