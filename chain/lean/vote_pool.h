// A pool of votes in the order in which they came, found by their root: the order decides between
// two votes of one validator for one slot. What is kept of a vote is the pool's (proofs, raw
// signatures). Holds no limit of its own. Not thread safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>

#include "chain/lean/proof.h"

namespace beamline::chain::lean {

template <class Content>
class VotePool {
 public:
  struct Entry {
    Vote vote;
    Content content;
  };

  // Null if it is not here. Entries stay where they are until they are erased or moved.
  Entry* find(const Root& root) {
    const auto it = by_root_.find(root);
    return it == by_root_.end() ? nullptr : &entries_.at(it->second);
  }
  const Entry* find(const Root& root) const { return const_cast<VotePool*>(this)->find(root); }

  // Here already, or new behind all others.
  Entry& append(const Vote& vote) {
    if (Entry* const known = find(vote.root); known != nullptr) return *known;
    return insert(last_++, {vote, {}});
  }
  // Puts these before all others, in this order, with what is kept of them; new ones without.
  // REQUIRES: no vote stands twice in it.
  void lead_with(std::span<const Vote> votes) {
    first_ -= static_cast<int64_t>(votes.size());
    for (size_t i = 0; i < votes.size(); ++i) {
      Entry entry{votes[i], {}};
      if (Entry* const known = find(votes[i].root); known != nullptr) {
        entry = std::move(*known);
        erase(votes[i].root);
      }
      insert(first_ + static_cast<int64_t>(i), std::move(entry));
    }
  }
  void erase(const Root& root) {
    const auto it = by_root_.find(root);
    if (it == by_root_.end()) return;
    entries_.erase(it->second);
    by_root_.erase(it);
  }
  template <class Predicate>
  size_t erase_if(Predicate&& predicate) {
    const size_t before = entries_.size();
    for (auto it = entries_.begin(); it != entries_.end();) {
      if (!predicate(it->second)) {
        ++it;
        continue;
      }
      by_root_.erase(it->second.vote.root);
      it = entries_.erase(it);
    }
    return before - entries_.size();
  }
  void clear() {
    entries_.clear();
    by_root_.clear();
  }
  size_t size() const { return entries_.size(); }
  // In order.
  const std::map<int64_t, Entry>& entries() const { return entries_; }

 private:
  Entry& insert(int64_t place, Entry entry) {
    by_root_.emplace(entry.vote.root, place);
    return entries_.emplace(place, std::move(entry)).first->second;
  }

  std::map<int64_t, Entry> entries_;
  std::unordered_map<Root, int64_t, Hash256Hasher> by_root_;  // never iterated
  int64_t first_ = 0;
  int64_t last_ = 0;
};

// Proofs for a vote, none twice.
struct Proofs {
  std::vector<Proof> list;
  ValidatorSet voters;  // of all of them

  // False if it was here.
  bool add(const Proof& proof);
};
using ProofPool = VotePool<Proofs>;
using SignaturePool = VotePool<std::map<ValidatorIndex, SharedBytes>>;

}  // namespace beamline::chain::lean
