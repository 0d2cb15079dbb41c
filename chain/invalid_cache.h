// What was found invalid. A block's signature lies outside of its root, so a root says nothing of
// the bytes that carried it: bytes are known by the hash of all of them, and only the verdict
// `invalid_block`, which holds under any signature, condemns a root; or the execution engine's word
// on its payload, for which nobody who sends it is to blame.
//
// Bounded, first in first out. Not thread safe.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "chain/block.h"

namespace beamline::chain {

class InvalidCache {
 public:
  enum class Why : uint8_t { payload, block };

  explicit InvalidCache(size_t max) : max_(max) {}

  void add_bytes(const BlockInfo& block);
  // What is said of a block outweighs what is said of its payload.
  void add_root(const Root& root, Why why);
  // These very bytes? Hashes them only if bytes of this root were invalid before.
  bool has_bytes(const BlockInfo& block) const;
  bool has_root(const Root& root) const { return roots_.contains(root); }
  // Nothing: it is not here.
  std::optional<Why> find_root(const Root& root) const;
  size_t size() const { return bytes_.size() + roots_.size(); }

 private:
  const size_t max_;
  std::set<std::pair<Root, Hash256>> bytes_;  // root, SHA-256 of the signed bytes
  std::deque<std::pair<Root, Hash256>> bytes_order_;
  std::map<Root, Why> roots_;
  std::deque<Root> roots_order_;
};

}  // namespace beamline::chain
