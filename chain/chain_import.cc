// From the cache into the tree: what is taken in, what is connected, what is imported or dropped.
#include <algorithm>

#include "base/check.h"
#include "chain/chain.h"

namespace beamline::chain {

Slot Chain::reached() const { return std::max(tree_.highest_slot(), cache_.highest_connected()); }

bool Chain::is_connected(const Root& root) const {
  if (tree_.contains(root)) return true;
  const CachedBlock* cached = cache_.find(root);
  return cached != nullptr && cached->state != State::orphan;
}

// ---- Taking in.

Chain::Take Chain::take(const Now& now, CachedBlock incoming) {
  const BlockInfo& block = incoming.block;
  const Root root = block.root;
  if (tree_.contains(root) || cache_.contains(root)) return Take::known;
  if (const auto reason = refuse_gossip(block)) {
    if (*reason == GossipReason::below_anchor) {
      ++stats_.dropped_below_anchor;
      if (pending_.find(root) != nullptr) give_up(root, GiveUp::below_anchor);
      return Take::refused;
    }
    if (*reason == GossipReason::invalid_bytes) {
      ++stats_.invalid_hits;
      return Take::invalid;
    }
    if (*reason == GossipReason::invalid_payload) {
      condemn(root, InvalidCache::Why::payload);
      return Take::refused;
    }
    if (*reason != GossipReason::second_proposal) {
      condemn(root, InvalidCache::Why::block);
      return Take::invalid;
    }
  }
  if (incoming.depth >= config_.limits.depth && !knows(block.parent_root)) {
    if (pending_.find(root) != nullptr) give_up(root, GiveUp::depth);
    return Take::refused;
  }
  if (is_future(now, block.slot) || !make_room(incoming)) {
    ++stats_.cache_refused;
    return Take::refused;
  }
  if (pending_.find(root) != nullptr) pending_.erase(root);  // arrived
  const bool in_tree = tree_.contains(block.parent_root);
  const bool connected = is_connected(block.parent_root);
  incoming.arrived = now.wall;
  incoming.state = in_tree ? State::ready : connected ? State::connected : State::orphan;
  const CachedBlock& cached = cache_.insert(std::move(incoming));
  reject_early_children(cached.block);
  if (connected) {
    connect_descendants(root);
    return Take::taken;
  }
  ++stats_.orphans;
  if (!knows(cached.block.parent_root)) want_parent(now, cached);
  return Take::taken;
}

bool Chain::knows(const Root& root) const { return tree_.contains(root) || cache_.contains(root); }

// Evicts orphans until the block fits, if it may.
bool Chain::make_room(const CachedBlock& incoming) {
  for (;;) {
    switch (cache_.room_for(incoming)) {
      case BlockCache::Room::yes:
        return true;
      case BlockCache::Room::no:
        return false;
      case BlockCache::Room::after_eviction:
        break;
    }
    const Root victim = cache_.victim();
    ++stats_.cache_evicted;
    // Without it its descendants can only wait for it to come again; they came by its branch, and
    // go with it.
    drop_descendants(victim, GossipReason::dropped, stats_.cache_evicted);
    drop(victim, GossipReason::dropped);
  }
}

// A root may be on its way already, though it is not pending: it came by another way, and went.
PendingRoot* Chain::want(const Now& now, const PendingParents::Want& want) {
  PendingRoot* root = pending_.want(want, now.mono);
  if (root == nullptr || root->state != PendingRoot::State::waiting) return root;
  if (const Request* request = requests_.owing(root->root)) {
    pending_.mark_in_flight(*root, request->id);
  }
  return root;
}

void Chain::want_parent(const Now& now, const CachedBlock& child) {
  PendingParents::Want want;
  want.root = child.block.parent_root;
  want.signal_slot = child.block.slot;
  want.top_slot = child.block.slot - 1;
  want.depth = child.depth + 1;
  want.claimant = child.sender;
  if (this->want(now, want) != nullptr) return;
  // Nobody would ever fetch it, so its orphan would only take up room.
  ++stats_.pending_refused;
  const Root root = child.block.root;
  drop_descendants(root, GossipReason::dropped, stats_.dropped_with_root);
  drop(root, GossipReason::dropped);
}

// A block whose slot does not rise over its parent's can never be valid. So slots rise along each
// branch in the cache.
void Chain::reject_early_children(const BlockInfo& parent) {
  for (const Root& child_root : cache_.children(parent.root)) {
    if (cache_.find(child_root)->block.slot > parent.slot) return;
    reject_block(child_root, GossipReason::not_after_parent);
  }
}

void Chain::connect_descendants(const Root& root) {
  std::vector<Root> stack{root};
  while (!stack.empty()) {
    const Root parent = stack.back();
    stack.pop_back();
    for (const Root& child_root : cache_.children(parent)) {
      CachedBlock& child = *cache_.find(child_root);
      if (child.state != State::orphan) continue;
      cache_.set_state(child, State::connected);
      stack.push_back(child_root);
    }
  }
}

void Chain::disconnect_descendants(const Root& root) {
  std::vector<Root> stack{root};
  while (!stack.empty()) {
    const Root parent = stack.back();
    stack.pop_back();
    for (const Root& child_root : cache_.children(parent)) {
      CachedBlock& child = *cache_.find(child_root);
      if (child.state == State::orphan) continue;
      cache_.set_state(child, State::orphan);
      stack.push_back(child_root);
    }
  }
}

// ---- Importing.

// In the order of slots, as far as the client takes them: a drain, not a recursion. A block that
// came early, within the clocks' disparity, waits for its slot.
void Chain::import_ready(const Now& now) {
  if (store_is_behind() && cache_.lowest_ready() != nullptr) {
    ++stats_.persist_pauses;
    return;
  }
  const Slot slot = current_slot(now.wall);
  while (CachedBlock* block = cache_.lowest_ready()) {
    if (block->block.slot > slot) return;
    if (!commands_.room()) {
      deferred_ = true;
      return;
    }
    if (!fork_choice_->contains(block->block.parent_root)) {
      drop_left_behind(block->block.root);
    } else if (config_.import == ChainConfig::Import::ask) {
      if (imports_.size() >= config_.limits.imports_in_flight) return;
      start_import(*block);
    } else {
      finish_import(now, block->block.root, PostState{}, {});
    }
  }
}

// What became final meanwhile, or the end of an invalid branch, left this block behind.
void Chain::drop_left_behind(Root root) {
  ++stats_.dropped_final;
  drop_descendants(root, GossipReason::dropped, stats_.dropped_final);
  drop(root, GossipReason::dropped);
}

void Chain::start_import(CachedBlock& block) {
  block.import = next_import_++;
  cache_.set_state(block, State::importing);
  imports_.emplace(block.import, block.block.root);
  commands_.push(ImportBlock{block.import, block.origin, block.block});
}

void Chain::finish_import(const Now& now, Root root, const PostState& post, SharedBytes state) {
  CachedBlock cached = *cache_.find(root);
  const BlockInfo& block = cached.block;
  const BlockTree::Node* parent = tree_.find(block.parent_root);
  const bool placed = parent != nullptr && parent->slot < block.slot;
  if (!placed || !make_tree_room() || !tell_block(cached, post)) {
    // The tree was pruned past it meanwhile, or there is no room for it.
    if (!placed) ++stats_.dropped_below_anchor;
    drop_descendants(root, GossipReason::dropped, stats_.dropped_below_anchor);
    drop(root, GossipReason::dropped);
    return;
  }
  for (const Root& child_root : cache_.children(root)) {
    CachedBlock& child = *cache_.find(child_root);
    // (One that is with the client built on this block before it went and came back.)
    if (child.state == State::connected) cache_.set_state(child, State::ready);
  }
  cache_.erase(root);
  tree_.insert(block);
  store_->put(block);
  stage_block(cached, post, std::move(state));
  ++stats_.imported;
  if (cached.origin == Origin::gossip) ++stats_.imported_by_gossip;
  if (cached.origin == Origin::by_root) ++stats_.imported_by_root;
  if (cached.origin == Origin::by_range) ++stats_.imported_by_range;
  settle_verdict(cached, GossipReason::verified);
  commands_.push(BlockImported{root, block.parent_root, block.slot, cached.origin, cached.batch,
                               cached.sender});
  release_votes(now, root);
}

// The lowest slots are forgotten where the fork choice has no use for them.
bool Chain::make_tree_room() {
  if (!tree_.full()) return true;
  update_head();
  while (tree_.full()) {
    if (!fork_choice_->may_forget(tree_.floor()) || tree_.floor() >= tree_.head().slot) {
      ++stats_.tree_refused;
      return false;
    }
    const auto [slot, lowest] = *tree_.by_slot().begin();
    const bool was_canonical = tree_.is_canonical(lowest);
    const Root forgotten = tree_.forget_lowest();
    store_->erase(forgotten);
    stage_forgotten(forgotten, slot, was_canonical);
  }
  return true;
}

void Chain::on(const Now& now, ImportVerdict&& event) {
  const auto it = imports_.find(event.import);
  if (it == imports_.end()) {
    ++stats_.stale_events;
    return;
  }
  const Root root = it->second;
  imports_.erase(it);
  CachedBlock* block = cache_.find(root);
  BL_CHECK(block != nullptr && block->state == State::importing);
  switch (event.verdict) {
    case Verdict::valid:
      if (event.post.execution == Execution::invalid) return reject_payload(root);
      finish_import(now, root, event.post, std::move(event.state));
      take_block_votes(event);
      return;
    case Verdict::invalid_bytes:
      reject_bytes(now, root);
      return;
    case Verdict::invalid_block:
      reject_block(root, GossipReason::invalid_block);
      return;
    case Verdict::data_missing:
      // (What became final meanwhile may have left its branch behind: nothing is fetched for that.)
      if (!event.missing.empty() && fork_choice_->contains(block->block.parent_root)) {
        want_data(now, *block, std::move(event.missing));
        return;
      }
      [[fallthrough]];
    case Verdict::try_again:
      delay_import(now, *block);
      return;
  }
}

void Chain::delay_import(const Now& now, CachedBlock& block) {
  const Root root = block.block.root;
  if (++block.import_retries > config_.limits.import_retries) {
    ++stats_.dropped_import_retries;
    drop_descendants(root, GossipReason::dropped, stats_.dropped_import_retries);
    drop(root, GossipReason::dropped);
    return;
  }
  Duration delay = config_.limits.retry_first;
  for (uint32_t i = 1; i < block.import_retries && delay < config_.limits.retry_last; ++i) {
    delay = delay * 2;
  }
  cache_.set_state(block, State::delayed);
  delayed_.emplace(now.mono + std::min(delay, config_.limits.retry_last), root);
}

void Chain::retry_delayed(const Now& now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now.mono) {
    CachedBlock* block = cache_.find(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
    BL_CHECK(block != nullptr && block->state == State::delayed);
    cache_.set_state(*block, State::ready);
    // At once: it has no parent any more, and imports may be held up.
    if (!fork_choice_->contains(block->block.parent_root)) drop_left_behind(block->block.root);
  }
}

// ---- Rejecting and dropping.

// These bytes are wrong, their root may be honest: the same block, well signed, is still wanted if
// it was asked for or if something builds on it. What the same answer brought on top of it goes
// too: its sender is not believed twice, and block by block it would be a round trip each.
void Chain::reject_bytes(const Now& now, Root root) {
  CachedBlock& cached = *cache_.find(root);
  invalid_.add_bytes(cached.block);
  ++stats_.dropped_invalid;
  if (cached.gossip_verdict) {
    settle_verdict(cached, GossipReason::invalid_bytes);
  } else {
    charge(cached.sender, Conduct::invalid_block);
  }
  disconnect_descendants(root);
  std::vector<CachedBlock> suspects{std::move(cached)};
  cache_.erase(root);
  for (size_t i = 0; i < suspects.size(); ++i) {
    for (const Root& child_root : cache_.children(suspects[i].block.root)) {
      const CachedBlock child = *cache_.find(child_root);
      const bool same_answer = child.origin == Origin::by_range &&
                               suspects[0].origin == Origin::by_range &&
                               child.request == suspects[0].request;
      if (!same_answer) continue;
      suspects.push_back(child);
      erase_cached(child_root);
      ++stats_.dropped_invalid_ancestor;
    }
  }
  std::set<Root> inner;
  for (const CachedBlock& suspect : suspects) inner.insert(suspect.block.parent_root);
  for (const CachedBlock& suspect : suspects) {
    // The highest lead to those below, and a gap goes by range.
    const Root& dropped = suspect.block.root;
    if (!inner.contains(dropped) || cache_.has_children(dropped)) want_again(now, suspect);
  }
}

// Wants a dropped block again, if it was asked for, if something builds on it, or if another peer
// has other bytes of it.
void Chain::want_again(const Now& now, const CachedBlock& wrong) {
  const Root& root = wrong.block.root;
  const bool is_parent = cache_.has_children(root);
  const std::vector<PeerHandle>& others = wrong.offered_by;
  const bool only_offered = !is_parent && wrong.origin == Origin::gossip;
  if (only_offered && others.empty()) return;
  PendingParents::Want want;
  want.root = root;
  want.signal_slot = want.top_slot = wrong.block.slot;
  want.depth = wrong.depth;
  want.attempts = wrong.attempts;
  // Nobody else need have it yet.
  if (only_offered) want.wanted_as = WantedAs::peer_head;
  // One block, and no gap before it.
  if (only_offered && is_connected(wrong.block.parent_root)) want.signal_slot = 0;
  PendingRoot* pending = this->want(now, want);
  if (pending == nullptr) {
    ++stats_.pending_refused;
    drop_descendants(root, GossipReason::dropped, stats_.dropped_with_root);
    return;
  }
  for (const PeerHandle other : others) {
    if (peers_.find(other) != nullptr) pending_.claim(*pending, other);
  }
  if (only_offered && pending->claimants.empty()) return give_up(root, GiveUp::peer_gone);
  if (pending->state == PendingRoot::State::in_flight) return;
  pending_.failed(*pending, wrong.sender, others_than(wrong.sender), now.mono);
  if (pending->attempts >= config_.limits.attempts_per_root) give_up(root, GiveUp::attempts);
}

// The block itself is wrong, whoever signs it, and so is all that builds on it.
void Chain::reject_block(Root root, GossipReason reason) {
  CachedBlock& cached = *cache_.find(root);
  invalid_.add_bytes(cached.block);
  ++stats_.dropped_invalid;
  if (cached.gossip_verdict) {
    settle_verdict(cached, reason);
  } else {
    charge(cached.sender, Conduct::invalid_block);
  }
  condemn(root, InvalidCache::Why::block);
  drop(root, GossipReason::dropped);
}

// The block is well signed and follows the rules of consensus: it is forwarded, and nobody pays.
void Chain::reject_payload(Root root) {
  settle_verdict(*cache_.find(root), GossipReason::verified);
  ++stats_.dropped_invalid;
  condemn(root, InvalidCache::Why::payload);
  drop(root, GossipReason::invalid_payload);
}

void Chain::condemn(Root root, InvalidCache::Why why) {
  invalid_.add_root(root, why);
  const bool by_payload = why == InvalidCache::Why::payload;
  drop_descendants(root, by_payload ? GossipReason::invalid_payload : GossipReason::invalid_parent,
                   stats_.dropped_invalid_ancestor);
  if (pending_.find(root) != nullptr) give_up(root, GiveUp::invalid);
}

void Chain::drop(Root root, GossipReason reason) {
  CachedBlock& cached = *cache_.find(root);
  settle_verdict(cached, reason);
  const Root parent = cached.block.parent_root;
  erase_cached(root);
  const PendingRoot* wanted = pending_.find(parent);
  if (wanted == nullptr || wanted->wanted_as != WantedAs::parent) return;
  if (!cache_.has_children(parent)) give_up(parent, GiveUp::orphan_gone);
}

void Chain::drop_descendants(Root root, GossipReason reason, uint64_t& counter) {
  std::vector<Root> found = cache_.children(root);
  for (size_t i = 0; i < found.size(); ++i) {
    const std::vector<Root> children = cache_.children(found[i]);
    found.insert(found.end(), children.begin(), children.end());
  }
  for (const Root& descendant : found) {
    if (reason == GossipReason::invalid_parent) {
      invalid_.add_root(descendant, InvalidCache::Why::block);
    } else if (reason == GossipReason::invalid_payload) {
      invalid_.add_root(descendant, InvalidCache::Why::payload);
    }
    settle_verdict(*cache_.find(descendant), reason);
    erase_cached(descendant);
    ++counter;
  }
}

// Out of the cache, and out of what waits with it. A verdict that is still to come is stale.
void Chain::erase_cached(Root root) {
  const CachedBlock& cached = *cache_.find(root);
  if (cached.state == State::importing) imports_.erase(cached.import);
  if (cached.state == State::delayed) {
    std::erase_if(delayed_, [&](const auto& waiting) { return waiting.second == root; });
  }
  if (cached.state == State::data && pending_.find(root) != nullptr) pending_.erase(root);
  cache_.erase(root);
}

}  // namespace beamline::chain
