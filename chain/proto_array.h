// The block tree as fork choice sees it: nodes in order of insertion, each with its parent, the
// weight of its subtree, its best child and its best descendant. One reverse pass brings all of
// them up to date after votes, blocks or the viability of branches changed. What is viable, what a
// vote weighs and where the walk begins is the policy's (lean, beacon).
//
// A node is not a block: from gloas on a block has up to three (pending, and below it empty and
// full); before, the pending one alone. A node's id stays the same until it is removed, and ids
// rise with insertion, so votes may keep them across a prune; an id that is gone is not reused.
//
// Bounded: add() refuses beyond `max_nodes`. Where a branch was cut off, its places are free again
// once the root moved past them. add() allocates; no other function does. Not thread safe.
//
// Source: consensus-specs, phase0/fork-choice.md, get_filtered_block_tree and get_head; of gloas
// ForkChoiceNode. The form is proto-array's (protolambda/lmd-ghost).
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "codec/root.h"

namespace beamline::chain {

class ProtoArray {
 public:
  using Id = uint32_t;
  static constexpr Id kNone = UINT32_MAX;
  // Of a node, in the order in which ties are broken.
  enum class Payload : uint8_t { empty, full, pending };

  // `seed` keeps who chooses roots from choosing their places in the index.
  explicit ProtoArray(uint32_t max_nodes, uint64_t seed = 0);

  // Adds a node; its id, or kNone when there is no room.
  // REQUIRES: not here. The first node has no parent (kNone), each other one a live parent, and its
  // slot is higher than the parent's (equal below a pending node of the same root).
  Id add(const Root& root, Slot slot, Id parent, Payload payload = Payload::pending);
  // kNone if it is not here.
  Id find(const Root& root, Payload payload = Payload::pending) const;
  bool contains(const Root& root) const { return index_.contains(root); }
  // Was added and is neither removed nor pruned. Any value may be asked for.
  bool live(Id id) const { return id - first_ < nodes_.size() && !nodes_[id - first_].removed; }

  // REQUIRES for all of these: live(id).
  const Root& root(Id id) const { return names_[at(id)].root; }
  Slot slot(Id id) const { return names_[at(id)].slot; }
  Payload payload(Id id) const { return names_[at(id)].payload; }
  Id parent(Id id) const { return nodes_[at(id)].parent; }  // kNone: the root

  // The weight of those who vote for this node itself. An id that is gone is ignored: whoever voted
  // for it has no weight. Sums are modulo 2^64; the policy keeps them below.
  void add_weight(Id id, uint64_t weight) {
    if (!live(id)) return;
    nodes_[id - first_].own += weight;
    changed_ = true;
  }
  void take_weight(Id id, uint64_t weight) {
    if (!live(id)) return;
    nodes_[id - first_].own -= weight;
    changed_ = true;
  }

  // The reverse pass. `viable(id)` is asked of nodes without children: may this be a head? A node
  // with children leads to a head if one of them does. Among children that lead to one, the
  // heaviest is the best, and of equal ones the larger root.
  template <class Viable>
  void update(Viable&& viable);
  // Nodes or weights changed since the last update().
  bool changed() const { return changed_; }

  // As of the last update(). REQUIRES: live(id).
  uint64_t weight(Id id) const { return nodes_[at(id)].weight; }
  Id best_child(Id id) const { return nodes_[at(id)].best_child; }  // kNone: leads to no other
  // Where the walk from `start` ends: the head. `start` itself if nothing viable builds on it.
  Id best_descendant(Id start) const { return nodes_[at(start)].best_descendant; }

  // A count apart from the weights, of other votes over the same nodes.
  struct Count {
    std::vector<uint64_t> weight;  // by at(id): put in a node's own votes
    std::vector<Id> best_child;
  };
  // Empties it, with a place for each node. Allocates only when it has to grow.
  void begin_count(Count& count) const;
  // Sums the weights up the tree, then walks from `start` to the heaviest child (of equal ones the
  // larger root) as long as that has `min_weight`. REQUIRES: begin_count() since the last add() or
  // prune(), and count_up() at most once after it.
  Id count_up(Count& count, Id start, uint64_t min_weight) const;

  // The place of a node, below size(): for tables beside this one, as long as nothing is pruned.
  // REQUIRES: not pruned.
  uint32_t at(Id id) const {
    BL_CHECK(id - first_ < nodes_.size());
    return id - first_;
  }
  // The ids of all places are first() to end() - 1; some of them may not be live().
  Id first() const { return first_; }
  Id end() const { return first_ + static_cast<Id>(nodes_.size()); }
  size_t size() const { return nodes_.size(); }  // places in use
  size_t live_nodes() const { return live_; }
  bool full() const { return nodes_.size() >= max_nodes_; }

  // The last node of this branch whose slot is not above `slot`; kNone if the branch begins later.
  // In O(log n) steps. REQUIRES: live(id).
  Id ancestor_at(Id id, Slot slot) const;
  // A node is its own ancestor. In O(log n) steps. REQUIRES: live(descendant).
  bool is_ancestor(Id ancestor, Id descendant) const;

  // Takes out a node and all that builds on it, with `removed(id)` for each, lowest first (its root
  // and slot can still be asked for there). REQUIRES: live(id).
  template <class Removed>
  void remove(Id id, Removed&& removed);
  // Makes this node the root: what does not build on it goes, with `removed(id)` for each.
  // REQUIRES: live(id).
  template <class Removed>
  void prune(Id id, Removed&& removed);

 private:
  struct Node {
    Id parent = kNone;
    Id best_child = kNone;
    Id best_descendant = kNone;
    uint32_t pass = 0;  // that touched it last
    uint64_t own = 0;
    uint64_t weight = 0;
    bool removed = false;
    bool has_children = false;
    Id jump = kNone;  // an ancestor far up, or the parent
  };
  struct Name {
    Root root;
    Slot slot = 0;
    uint32_t depth = 0;  // of the node when it was added; for where to jump
    Payload payload = Payload::pending;
    Id variants[2] = {kNone, kNone};  // of a pending node: its empty and its full one
  };

  void enter_pass(Node& node) const {
    if (node.pass == pass_) return;
    node.pass = pass_;
    node.weight = 0;
    node.best_child = kNone;
    node.has_children = false;
  }
  bool wins_tie(Id id, Id other) const;
  // Where a child of this node jumps to. One that was pruned is below first_.
  Id jump_below(Id parent) const;
  bool is_here(Id ancestor) const { return ancestor != kNone && ancestor >= first_; }
  // After `node`, with its children, is complete: what its parent learns of it.
  void tell_parent(Id id, const Node& node, bool leads);
  void mark_removed(uint32_t place);
  void drop_front(uint32_t places);

  const uint32_t max_nodes_;
  Id first_ = 0;  // of nodes_[0]
  uint32_t pass_ = 0;
  size_t live_ = 0;
  bool changed_ = true;
  std::vector<Node> nodes_;
  std::vector<Name> names_;                            // beside nodes_: what the pass does not read
  std::unordered_map<Root, Id, Hash256Hasher> index_;  // of pending nodes; never iterated
};

template <class Viable>
void ProtoArray::update(Viable&& viable) {
  ++pass_;
  for (auto place = static_cast<uint32_t>(nodes_.size()); place-- > 0;) {
    Node& node = nodes_[place];
    enter_pass(node);
    if (node.removed) continue;
    const Id id = first_ + place;
    node.weight += node.own;
    const bool by_child = node.best_child != kNone;
    node.best_descendant = by_child ? nodes_[node.best_child - first_].best_descendant : id;
    if (node.parent == kNone) continue;
    tell_parent(id, node, by_child || (!node.has_children && viable(id)));
  }
  changed_ = false;
}

template <class Removed>
void ProtoArray::remove(Id id, Removed&& removed) {
  const uint32_t top = at(id);
  BL_CHECK(live(id));
  for (uint32_t place = top; place < nodes_.size(); ++place) {
    const Node& node = nodes_[place];
    // A live node has a live parent, but for those that this loop has not come to yet.
    if (node.removed || (place != top && (node.parent == kNone || live(node.parent)))) continue;
    removed(first_ + place);
    mark_removed(place);
  }
}

template <class Removed>
void ProtoArray::prune(Id id, Removed&& removed) {
  const uint32_t top = at(id);
  BL_CHECK(live(id));
  nodes_[top].parent = kNone;
  for (uint32_t place = 0; place < nodes_.size(); ++place) {
    const Node& node = nodes_[place];
    if (node.removed || place == top) continue;
    if (place > top && live(node.parent)) continue;
    removed(first_ + place);
    mark_removed(place);
  }
  drop_front(top);
}

}  // namespace beamline::chain
