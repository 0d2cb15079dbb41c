// The imported blocks: parents, slots, and the chain of the head that the fork choice chose, with
// as much of its past as there is room for, to be served.
//
// Bounded by who inserts: full(), forget_lowest(). Not thread safe.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "chain/block.h"

namespace beamline::chain {

class BlockTree {
 public:
  struct Node {
    Root parent_root;
    Slot slot = 0;
    ValidatorIndex proposer = 0;
  };
  struct Tip {
    Root root;
    Slot slot = 0;
  };

  // Starts with the anchor: a genesis or a checkpoint block, trusted. Its parent is not known.
  BlockTree(const BlockInfo& anchor, uint32_t max_blocks);

  bool contains(const Root& root) const { return nodes_.contains(root); }
  // Null if unknown. Stays valid until the block is pruned.
  const Node* find(const Root& root) const;
  // REQUIRES: the parent is here, its slot is lower, and the block is not here.
  void insert(const BlockInfo& block);
  // REQUIRES: it is here.
  void set_head(const Root& root);
  // REQUIRES: it is here and not the head.
  void erase(const Root& root);
  bool full() const { return nodes_.size() >= max_blocks_; }
  // Forgets the block of the lowest slot; the floor rises. Its root. REQUIRES: it is not the head.
  Root forget_lowest();

  Tip head() const { return head_; }
  Slot highest_slot() const { return by_slot_.rbegin()->first; }
  // The lowest slot that is here. Nothing at or below it can be added.
  Slot floor() const { return by_slot_.begin()->first; }
  // The lowest slot of the head's chain that is here.
  Slot canonical_floor() const { return canonical_.begin()->first; }
  size_t size() const { return nodes_.size(); }
  // By rising slot, then root.
  const std::set<std::pair<Slot, Root>>& by_slot() const { return by_slot_; }
  uint64_t pruned() const { return pruned_; }

  // In the chain of the head?
  bool is_canonical(const Root& root) const;
  bool is_ancestor(const Root& ancestor, const Root& descendant) const;
  // Another block of this proposer for this slot?
  bool has_proposal(Slot slot, ValidatorIndex proposer, const Root& other_than) const;
  // The roots of the head's chain with start <= slot < start + count, by rising slot, at most
  // `max`.
  std::vector<Root> canonical_range(Slot start, uint64_t count, size_t max) const;
  // The block and its ancestors by falling slot, at most `max`; empty if the block is not here.
  std::vector<Root> ancestry(const Root& root, size_t max) const;

 private:
  void update_canonical();

  const uint32_t max_blocks_;
  std::map<Root, Node> nodes_;
  std::set<std::pair<Slot, Root>> by_slot_;
  std::map<Slot, Root> canonical_;
  Tip head_;
  uint64_t pruned_ = 0;
};

}  // namespace beamline::chain
