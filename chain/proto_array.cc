#include "chain/proto_array.h"

namespace beamline::chain {

ProtoArray::ProtoArray(uint32_t max_nodes, uint64_t seed)
    : max_nodes_(max_nodes), index_(16, Hash256Hasher{seed}) {
  BL_CHECK(max_nodes > 0 && max_nodes < kNone);
}

ProtoArray::Id ProtoArray::add(const Root& root, Slot slot, Id parent, Payload payload) {
  if (full()) return kNone;
  BL_CHECK(parent == kNone ? nodes_.empty() : live(parent));
  const Id id = end();
  BL_CHECK(id < kNone);
  if (payload == Payload::pending) {
    BL_CHECK(parent == kNone || this->slot(parent) < slot);
    BL_CHECK(index_.emplace(root, id).second);
  } else {
    BL_CHECK(parent != kNone && this->root(parent) == root && this->slot(parent) == slot);
    Name& pending = names_[at(parent)];
    Id& variant = pending.variants[static_cast<size_t>(payload)];
    BL_CHECK(pending.payload == Payload::pending && variant == kNone);
    variant = id;
  }
  Node node;
  node.parent = parent;
  node.best_descendant = id;
  node.jump = parent == kNone ? kNone : jump_below(parent);
  nodes_.push_back(node);
  Name name;
  name.root = root;
  name.slot = slot;
  name.payload = payload;
  name.depth = parent == kNone ? 0 : names_[at(parent)].depth + 1;
  names_.push_back(name);
  ++live_;
  changed_ = true;
  return id;
}

ProtoArray::Id ProtoArray::find(const Root& root, Payload payload) const {
  const auto it = index_.find(root);
  if (it == index_.end()) return kNone;
  if (payload == Payload::pending) return it->second;
  const Id id = names_[at(it->second)].variants[static_cast<size_t>(payload)];
  return id != kNone && live(id) ? id : kNone;
}

bool ProtoArray::wins_tie(Id id, Id other) const {
  const Name& a = names_[id - first_];
  const Name& b = names_[other - first_];
  const auto order = a.root <=> b.root;
  return order != 0 ? order > 0 : a.payload > b.payload;
}

void ProtoArray::tell_parent(Id id, const Node& node, bool leads) {
  Node& parent = nodes_[node.parent - first_];
  enter_pass(parent);
  parent.weight += node.weight;
  parent.has_children = true;
  if (!leads) return;
  if (parent.best_child != kNone) {
    const uint64_t best = nodes_[parent.best_child - first_].weight;
    if (node.weight < best) return;
    if (node.weight == best && !wins_tie(id, parent.best_child)) return;
  }
  parent.best_child = id;
}

void ProtoArray::begin_count(Count& count) const {
  count.weight.assign(nodes_.size(), 0);
  count.best_child.assign(nodes_.size(), kNone);
}

ProtoArray::Id ProtoArray::count_up(Count& count, Id start, uint64_t min_weight) const {
  BL_CHECK(count.weight.size() == nodes_.size() && live(start));
  for (auto place = static_cast<uint32_t>(nodes_.size()); place-- > 0;) {
    const Node& node = nodes_[place];
    if (node.removed || node.parent == kNone) continue;
    const uint32_t parent = node.parent - first_;
    const uint64_t weight = count.weight[place];
    count.weight[parent] += weight;
    Id& best = count.best_child[parent];
    const uint64_t most = best == kNone ? 0 : count.weight[best - first_];
    if (best == kNone || weight > most || (weight == most && wins_tie(first_ + place, best))) {
      best = first_ + place;
    }
  }
  Id id = start;
  for (;;) {
    const Id best = count.best_child[id - first_];
    if (best == kNone || count.weight[best - first_] < min_weight) return id;
    id = best;
  }
}

// Jumps as the digits of a skew binary number (Myers, "An applicative random-access stack"): a node
// whose parent's jump is as long as the next one jumps over both, others to the parent.
ProtoArray::Id ProtoArray::jump_below(Id parent) const {
  const Id first = nodes_[at(parent)].jump;
  if (!is_here(first)) return parent;
  const Id second = nodes_[at(first)].jump;
  if (!is_here(second)) return parent;
  const uint32_t depth = names_[at(first)].depth;
  const bool equal = names_[at(parent)].depth - depth == depth - names_[at(second)].depth;
  return equal ? second : parent;
}

ProtoArray::Id ProtoArray::ancestor_at(Id id, Slot slot) const {
  BL_CHECK(live(id));
  while (id != kNone && names_[id - first_].slot > slot) {
    const Node& node = nodes_[id - first_];
    const bool far = is_here(node.jump) && names_[node.jump - first_].slot > slot;
    id = far ? node.jump : node.parent;
  }
  return id;
}

bool ProtoArray::is_ancestor(Id ancestor, Id descendant) const {
  BL_CHECK(live(descendant));
  if (!live(ancestor)) return false;
  while (descendant != kNone && descendant > ancestor) {
    const Node& node = nodes_[descendant - first_];
    const bool far = node.jump != kNone && node.jump >= ancestor;
    descendant = far ? node.jump : node.parent;
  }
  return descendant == ancestor;
}

void ProtoArray::mark_removed(uint32_t place) {
  nodes_[place].removed = true;
  nodes_[place].own = 0;
  if (names_[place].payload == Payload::pending) index_.erase(names_[place].root);
  --live_;
  changed_ = true;
}

void ProtoArray::drop_front(uint32_t places) {
  nodes_.erase(nodes_.begin(), nodes_.begin() + places);
  names_.erase(names_.begin(), names_.begin() + places);
  first_ += places;
}

}  // namespace beamline::chain
