// The imported blocks: parents, children, and the head. Without fork choice the head is
// `highest_slot_tip`: the block of the highest slot, and of equal slots the larger root.
//
// Bounded: beyond `max_blocks` the lowest slots are forgotten and the floor rises. Not thread safe.
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
  // Adds a block. True if the head changed.
  // REQUIRES: the parent is here, its slot is lower, and the block is not here.
  bool insert(const BlockInfo& block);

  Tip highest_slot_tip() const { return head_; }
  // The lowest slot that is here. Nothing at or below it can be added.
  Slot floor() const { return by_slot_.begin()->first; }
  size_t size() const { return nodes_.size(); }
  uint64_t pruned() const { return pruned_; }
  // What the last insert pruned; for the store.
  const std::vector<Root>& last_pruned() const { return last_pruned_; }

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
  void prune();

  const uint32_t max_blocks_;
  std::map<Root, Node> nodes_;
  std::set<std::pair<Slot, Root>> by_slot_;
  std::map<Slot, Root> canonical_;
  Tip head_;
  std::vector<Root> last_pruned_;
  uint64_t pruned_ = 0;
};

}  // namespace beamline::chain
