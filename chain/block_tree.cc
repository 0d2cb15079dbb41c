#include "chain/block_tree.h"

#include "base/check.h"

namespace beamline::chain {

BlockTree::BlockTree(const BlockInfo& anchor, uint32_t max_blocks)
    : max_blocks_(max_blocks), head_{anchor.root, anchor.slot} {
  BL_CHECK(max_blocks > 1);
  nodes_.emplace(anchor.root, Node{anchor.parent_root, anchor.slot, anchor.proposer});
  by_slot_.emplace(anchor.slot, anchor.root);
  canonical_.emplace(anchor.slot, anchor.root);
}

const BlockTree::Node* BlockTree::find(const Root& root) const {
  const auto it = nodes_.find(root);
  return it == nodes_.end() ? nullptr : &it->second;
}

void BlockTree::insert(const BlockInfo& block) {
  const Node* parent = find(block.parent_root);
  BL_CHECK(parent != nullptr && parent->slot < block.slot && !full());
  const bool added =
      nodes_.emplace(block.root, Node{block.parent_root, block.slot, block.proposer}).second;
  BL_CHECK(added);
  by_slot_.emplace(block.slot, block.root);
}

void BlockTree::set_head(const Root& root) {
  const Node* node = find(root);
  BL_CHECK(node != nullptr);
  head_ = {root, node->slot};
  update_canonical();
}

// Walks from the new head to where its chain meets the old one: the length of the reorg.
void BlockTree::update_canonical() {
  canonical_.erase(canonical_.upper_bound(head_.slot), canonical_.end());
  Root root = head_.root;
  Slot above = head_.slot + 1;
  for (const Node* node = find(root); node != nullptr; node = find(root)) {
    canonical_.erase(canonical_.upper_bound(node->slot), canonical_.lower_bound(above));
    const auto it = canonical_.find(node->slot);
    if (it != canonical_.end() && it->second == root) return;
    canonical_[node->slot] = root;
    above = node->slot;
    root = node->parent_root;
  }
  canonical_.erase(canonical_.begin(), canonical_.lower_bound(above));
}

void BlockTree::erase(const Root& root) {
  const auto it = nodes_.find(root);
  BL_CHECK(it != nodes_.end() && root != head_.root);
  if (is_canonical(root)) canonical_.erase(it->second.slot);
  by_slot_.erase({it->second.slot, root});
  nodes_.erase(it);
  ++pruned_;
}

Root BlockTree::forget_lowest() {
  const Root root = by_slot_.begin()->second;
  erase(root);
  return root;
}

bool BlockTree::is_canonical(const Root& root) const {
  const Node* node = find(root);
  if (node == nullptr) return false;
  const auto it = canonical_.find(node->slot);
  return it != canonical_.end() && it->second == root;
}

bool BlockTree::is_ancestor(const Root& ancestor, const Root& descendant) const {
  const Node* top = find(ancestor);
  if (top == nullptr) return false;
  Root root = descendant;
  for (const Node* node = find(root); node != nullptr && node->slot >= top->slot;
       node = find(root)) {
    if (root == ancestor) return true;
    root = node->parent_root;
  }
  return false;
}

bool BlockTree::has_proposal(Slot slot, ValidatorIndex proposer, const Root& other_than) const {
  for (auto it = by_slot_.lower_bound({slot, Root{}}); it != by_slot_.end() && it->first == slot;
       ++it) {
    if (it->second != other_than && find(it->second)->proposer == proposer) return true;
  }
  return false;
}

std::vector<Root> BlockTree::canonical_range(Slot start, uint64_t count, size_t max) const {
  const Slot end = start + count < start ? UINT64_MAX : start + count;
  std::vector<Root> roots;
  for (auto it = canonical_.lower_bound(start);
       it != canonical_.end() && it->first < end && roots.size() < max; ++it) {
    roots.push_back(it->second);
  }
  return roots;
}

std::vector<Root> BlockTree::ancestry(const Root& root, size_t max) const {
  std::vector<Root> roots;
  Root next = root;
  for (const Node* node = find(next); node != nullptr && roots.size() < max; node = find(next)) {
    roots.push_back(next);
    next = node->parent_root;
  }
  return roots;
}

}  // namespace beamline::chain
