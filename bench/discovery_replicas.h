// The pool of the reference systems, as they describe it: an indexed map of nodes, a set of ids
// that were tried, and two ways to pick. Replicas, for comparison only: the algorithms, not the
// code.
#pragma once

#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/rng.h"
#include "discovery/node_record.h"

namespace beamline::discovery {

class ReplicaPool {
 public:
  void insert(const NodeRecord& record) {
    index_.emplace(record.id, nodes_.size());
    nodes_.push_back(record);
  }
  void try_all() {
    for (const NodeRecord& node : nodes_) tried_.insert(node.id);
  }
  void connect(const NodeId& id) { connected_.insert(id); }

  // Collects all that may be dialled, then chooses one of them.
  const NodeRecord* collect_then_choose(Rng& rng) {
    for (int pass = 0; pass < 2; ++pass) {
      std::vector<const NodeRecord*> eligible;
      for (const NodeRecord& node : nodes_) {
        if (may_dial(node)) eligible.push_back(&node);
      }
      if (!eligible.empty()) {
        const NodeRecord* chosen = eligible[rng.below(eligible.size())];
        tried_.insert(chosen->id);
        return chosen;
      }
      tried_.clear();
    }
    return nullptr;
  }

  // Starts at a random index and goes on to the first that may be dialled; when there is none, the
  // set of tried ones is cleared, and it starts again.
  const NodeRecord* scan_forward(Rng& rng) {
    for (int pass = 0; pass < 2; ++pass) {
      const size_t start = rng.below(nodes_.size());
      for (size_t i = 0; i < nodes_.size(); ++i) {
        const NodeRecord& node = nodes_[(start + i) % nodes_.size()];
        if (!may_dial(node)) continue;
        tried_.insert(node.id);
        return &node;
      }
      tried_.clear();
    }
    return nullptr;
  }

 private:
  bool may_dial(const NodeRecord& node) const {
    return node.tcp_port != 0 && !connected_.contains(node.id) && !tried_.contains(node.id);
  }
  std::vector<NodeRecord> nodes_;
  std::unordered_map<NodeId, size_t, Hash256Hasher> index_;
  std::unordered_set<NodeId, Hash256Hasher> tried_;
  std::unordered_set<NodeId, Hash256Hasher> connected_;
};

}  // namespace beamline::discovery
