// What the store is told: once a turn, all that changed in it; and what it held, at the start.
#include <algorithm>

#include "base/check.h"
#include "chain/chain.h"

namespace beamline::chain {

Status Chain::restore(const Now& now, Recovered&& found) {
  BL_CHECK(tree_.size() == 1 && next_persist_ == 1 && peers_.size() == 0);
  now_ = now.mono;
  fork_choice_->on_tick(now.wall);
  // The fork choice knows nothing below where it began.
  const Root start = fork_choice_->head().root;
  std::map<Root, Root> parents;
  for (const StoredBlock& stored : found.blocks) {
    parents.emplace(stored.block.root, stored.block.parent_root);
  }
  std::set<Root> history{start};
  Root at = start;
  for (auto it = parents.find(at); it != parents.end(); it = parents.find(at)) {
    at = it->second;
    history.insert(at);
  }
  if (at != found.anchor.block.root) return local_error(Code::mismatch, "fork choice anchor");
  set_oldest(found.oldest);
  if (found.anchor.has_state) {
    stored_states_.emplace(found.anchor.block.slot, found.anchor.block.root);
  }
  for (StoredBlock& stored : found.blocks) {
    if (Status done = restore_block(std::move(stored), history); !done) return done;
  }
  fork_choice_->restore(found.justified, found.finalized, found.records);
  // Said as in any turn, because who asks for the head must hear of it, and so must who knows the
  // balances; the store knows.
  const uint64_t said = stats_.justified_changes;
  update_head();
  if (said == stats_.justified_changes) commands_.push(JustifiedChanged{justified_});
  if (tree_.head().root == found.head.root) {
    staged_.head.reset();
    staged_.canonical.reset();
  }
  if (justified_ == found.justified) staged_.justified.reset();
  if (finalized_ == found.finalized) staged_.finalized.reset();
  return {};
}

// Of the tree's history, or of what the fork choice knows.
Status Chain::restore_block(StoredBlock&& stored, const std::set<Root>& history) {
  const BlockTree::Node* parent = tree_.find(stored.block.parent_root);
  if (parent == nullptr || parent->slot >= stored.block.slot) return {};
  if (tree_.contains(stored.block.root)) return {};
  make_tree_room();
  if (tree_.full()) return local_error(Code::full, "tree");
  CachedBlock cached;
  cached.block = std::move(stored.block);
  cached.arrived = stored.arrived;
  if (!history.contains(cached.block.root)) {
    if (!fork_choice_->contains(cached.block.parent_root)) return {};
    if (const Status told = tell_block(cached, stored.post); !told) {
      ++stats_.restore_refused;
      return told.error().code == Code::unexpected ? told : Status{};
    }
  }
  tree_.insert(cached.block);
  if (stored.has_state) stored_states_.emplace(cached.block.slot, cached.block.root);
  if (!cached.block.signed_bytes.empty()) store_->put(cached.block);
  ++stats_.restored;
  return {};
}

void Chain::stage_block(const CachedBlock& cached, const PostState& post, SharedBytes state) {
  if (!config_.persist) return;
  staged_.blocks.push_back({cached.block, post, cached.arrived, !state.empty()});
  if (state.empty()) return;
  stored_states_.emplace(cached.block.slot, cached.block.root);
  staged_.states.emplace_back(cached.block.root, std::move(state));
}

// The tree has no room for it: what is of the head's chain is served from the store, for a while.
void Chain::stage_forgotten(Root root, Slot slot, bool was_canonical) {
  if (!config_.persist) return;
  stored_states_.erase({slot, root});
  if (!was_canonical) {
    staged_.erased.push_back(root);
    return;
  }
  ++stats_.archived;
  staged_.archived.push_back(root);
  const Slot head = tree_.head().slot;
  const Slot from = std::min(head - std::min(head, config_.limits.archive_slots), slot + 1);
  // Some at once: it is a search of the store.
  if (from < oldest_ + config_.limits.archive_slots / 64 + 1) return;
  ++stats_.archive_cuts;
  set_oldest(from);
  staged_.archive_from = from;
}

// No block builds on one below the floor: of the head's chain the last state down there is enough.
void Chain::stage_old_states() {
  if (!config_.persist) return;
  auto end = stored_states_.lower_bound({floor() + 1, Root{}});
  while (end != stored_states_.begin() && !tree_.is_canonical(std::prev(end)->second)) --end;
  if (end == stored_states_.begin()) return;
  --end;
  for (auto it = stored_states_.begin(); it != end; it = stored_states_.erase(it)) {
    ++stats_.states_dropped;
    staged_.dropped_states.push_back(it->second);
  }
}

// Before the tree moves its head: the part of the new chain that is not canonical yet.
void Chain::stage_head(const BlockTree::Tip& head) {
  if (!config_.persist) return;
  staged_.head = head;
  CanonicalChange change;
  Root root = head.root;
  const BlockTree::Node* node = tree_.find(root);
  for (; node != nullptr && !tree_.is_canonical(root); node = tree_.find(root)) {
    change.blocks.emplace_back(node->slot, root);
    root = node->parent_root;
  }
  change.from = node == nullptr ? 0 : node->slot + 1;
  std::reverse(change.blocks.begin(), change.blocks.end());
  if (!staged_.canonical) {
    staged_.canonical = std::move(change);
    return;
  }
  // A second change before the first left: what of the first lies below stays.
  CanonicalChange& both = *staged_.canonical;
  std::erase_if(both.blocks, [&](const auto& block) { return block.first >= change.from; });
  both.from = std::min(both.from, change.from);
  both.blocks.insert(both.blocks.end(), change.blocks.begin(), change.blocks.end());
}

bool Chain::store_is_behind() const {
  return next_persist_ - 1 - persisted_ >= config_.limits.persists_in_flight;
}

void Chain::persist() {
  if (!config_.persist || store_is_behind()) return;
  // Votes alone leave when nothing is under way: else a flood of them, with a turn each, would keep
  // the store behind.
  if (staged_.empty() && persisted_ + 1 != next_persist_) return;
  fork_choice_->take_records(staged_.records);
  if (staged_.empty()) return;
  staged_.id = next_persist_++;
  ++stats_.persists;
  persists_.push_back(std::exchange(staged_, {}));
}

void Chain::on(const Now&, Persisted&& event) {
  if (event.through <= persisted_ || event.through >= next_persist_) {
    ++stats_.stale_events;
    return;
  }
  persisted_ = event.through;
  stats_.persisted = event.through;
}

void Chain::on(const Now&, PersistFailed&&) { ++stats_.persist_failures; }

void Chain::on(const Now& now, BlocksRead&& event) {
  if (!server_.on_read(std::move(event), now.mono)) ++stats_.stale_events;
}

void Chain::set_oldest(Slot slot) {
  oldest_ = slot;
  if (config_.read_store) server_.set_disk(slot);
}

}  // namespace beamline::chain
