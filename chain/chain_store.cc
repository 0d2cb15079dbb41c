// What the store is told: once a turn, all that changed in it; and what it held, at the start.
#include <algorithm>

#include "base/check.h"
#include "chain/chain.h"

namespace beamline::chain {

Status Chain::restore(std::vector<StoredBlock> blocks) {
  BL_CHECK(tree_.size() == 1 && next_persist_ == 1 && peers_.size() == 0);
  for (StoredBlock& stored : blocks) {
    const BlockTree::Node* parent = tree_.find(stored.block.parent_root);
    if (parent == nullptr || parent->slot >= stored.block.slot) continue;
    if (tree_.contains(stored.block.root)) continue;
    make_tree_room();
    if (tree_.full()) return local_error(Code::full, "tree");
    CachedBlock cached;
    cached.block = std::move(stored.block);
    if (Status told = tell_block(cached, stored.post); !told) return told;
    tree_.insert(cached.block);
    if (!cached.block.signed_bytes.empty()) store_->put(cached.block);
    ++stats_.restored;
  }
  // Said as in any turn, because who asks for the head must hear of it; the store knows.
  update_head();
  staged_ = {};
  return {};
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
  if (staged_.empty() || store_is_behind()) return;
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

}  // namespace beamline::chain
