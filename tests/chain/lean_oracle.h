// leanSpec's fork choice as it is written (forks/lstar/fork_choice.py, timeline.py,
// validator_duties.py): dictionaries, walks to the root for each vote, nothing kept that can be
// computed. The store is compared with it.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "chain/lean/justifiability.h"
#include "chain/lean/store.h"

namespace beamline::chain::lean {

class Oracle {
 public:
  using Voters = std::set<ValidatorIndex>;
  struct Entry {
    LeanAttestationData data;
    std::vector<Voters> proofs;
  };
  using Pool = std::vector<Entry>;  // a dictionary of Python: in order of insertion

  Interval time = 0;
  Root head;
  Root safe_target;
  LeanCheckpoint justified;
  LeanCheckpoint finalized;
  std::map<Root, StoreBlock> blocks;
  Pool pending;
  Pool counted;

  explicit Oracle(const StoreBlock& anchor)
      : time(anchor.slot * kIntervalsPerSlot),
        head(anchor.root),
        safe_target(anchor.root),
        justified{.root = anchor.root, .slot = anchor.slot},
        finalized(justified) {
    blocks[anchor.root] = anchor;
  }

  static Entry* find(Pool& pool, const LeanAttestationData& data) {
    const auto it = std::ranges::find(pool, data, &Entry::data);
    return it == pool.end() ? nullptr : &*it;
  }
  static void add(Pool& pool, const LeanAttestationData& data, const Voters* voters) {
    Entry* entry = find(pool, data);
    if (entry == nullptr) entry = &pool.emplace_back(Entry{data, {}});
    if (voters != nullptr && std::ranges::find(entry->proofs, *voters) == entry->proofs.end()) {
      entry->proofs.push_back(*voters);
    }
  }

  bool is_ancestor(const LeanCheckpoint& ancestor, const LeanCheckpoint& descendant) const {
    if (ancestor.slot > descendant.slot) return false;
    for (Root at = descendant.root; blocks.contains(at); at = blocks.at(at).parent_root) {
      const StoreBlock& block = blocks.at(at);
      if (block.slot == ancestor.slot) return at == ancestor.root;
      if (block.slot < ancestor.slot) return false;
    }
    return false;
  }

  // The reason for which a vote is refused; empty if it is not.
  std::string refusal(const LeanAttestationData& data) const {
    if (!blocks.contains(data.source.root)) return "UNKNOWN_SOURCE_BLOCK";
    if (!blocks.contains(data.target.root)) return "UNKNOWN_TARGET_BLOCK";
    if (!blocks.contains(data.head.root)) return "UNKNOWN_HEAD_BLOCK";
    if (data.source.slot > data.target.slot) return "SOURCE_AFTER_TARGET";
    if (data.head.slot < data.target.slot) return "HEAD_OLDER_THAN_TARGET";
    if (blocks.at(data.source.root).slot != data.source.slot) return "SOURCE_SLOT_MISMATCH";
    if (blocks.at(data.target.root).slot != data.target.slot) return "TARGET_SLOT_MISMATCH";
    if (blocks.at(data.head.root).slot != data.head.slot) return "HEAD_SLOT_MISMATCH";
    if (!is_ancestor(data.source, data.target)) return "SOURCE_NOT_ANCESTOR_OF_TARGET";
    if (!is_ancestor(data.target, data.head)) return "TARGET_NOT_ANCESTOR_OF_HEAD";
    if (data.slot < data.head.slot) return "ATTESTATION_SLOT_BEFORE_HEAD";
    if (data.slot > (time + 1) / kIntervalsPerSlot) return "ATTESTATION_TOO_FAR_IN_FUTURE";
    return "";
  }

  std::map<ValidatorIndex, LeanAttestationData> latest(const Pool& pool) const {
    std::map<ValidatorIndex, LeanAttestationData> votes;
    for (const Entry& entry : pool) {
      if (entry.data.head.slot <= finalized.slot) continue;
      for (const Voters& voters : entry.proofs) {
        for (const ValidatorIndex voter : voters) {
          const auto it = votes.find(voter);
          if (it == votes.end() || it->second.slot < entry.data.slot) votes[voter] = entry.data;
        }
      }
    }
    return votes;
  }

  std::map<Root, uint64_t> weights(const Pool& pool, Slot start) const {
    std::map<Root, uint64_t> sums;
    for (const auto& [voter, data] : latest(pool)) {
      for (Root at = data.head.root; blocks.contains(at); at = blocks.at(at).parent_root) {
        if (blocks.at(at).slot <= start) break;
        ++sums[at];
      }
    }
    return sums;
  }

  Root walk(const Pool& pool, uint64_t min_score) const {
    const std::map<Root, uint64_t> sums = weights(pool, blocks.at(justified.root).slot);
    const auto weight = [&](const Root& root) {
      const auto it = sums.find(root);
      return it == sums.end() ? 0 : it->second;
    };
    std::map<Root, std::vector<Root>> children;
    for (const auto& [root, block] : blocks) {
      if (weight(root) >= min_score) children[block.parent_root].push_back(root);
    }
    Root at = justified.root;
    while (children.contains(at)) {
      at = *std::ranges::max_element(
          children[at], {}, [&](const Root& root) { return std::make_pair(weight(root), root); });
    }
    return at;
  }

  void update_head() {
    head = walk(counted, 0);
    const Slot slot = blocks.at(head).finalized.slot;
    Root at = head;
    while (blocks.at(at).slot > slot && blocks.contains(blocks.at(at).parent_root)) {
      at = blocks.at(at).parent_root;
    }
    if (blocks.at(at).slot == slot) finalized = {.root = at, .slot = slot};
  }

  void accept() {
    for (const Entry& entry : pending) {
      add(counted, entry.data, nullptr);
      for (const Voters& voters : entry.proofs) add(counted, entry.data, &voters);
    }
    pending.clear();
    update_head();
  }

  void update_safe_target() {
    const uint64_t validators = blocks.at(head).validators;
    safe_target = walk(pending, (validators * 2 + 2) / 3);
  }

  void on_block(const StoreBlock& block, const std::vector<LeanAttestationData>& votes) {
    if (blocks.contains(block.root)) return;
    const Slot before = finalized.slot;
    if (block.justified.slot > justified.slot) justified = block.justified;
    Pool seeded;
    for (const LeanAttestationData& data : votes) {
      const Entry* const known = find(counted, data);
      seeded.push_back(known == nullptr ? Entry{data, {}} : *known);
    }
    for (const Entry& entry : counted) {
      if (find(seeded, entry.data) == nullptr) seeded.push_back(entry);
    }
    counted = std::move(seeded);
    blocks[block.root] = block;
    update_head();
    if (finalized.slot > before) prune_votes();
  }

  void prune_votes() {
    for (Pool* pool : {&pending, &counted}) {
      std::erase_if(*pool, [&](const Entry& entry) {
        return entry.data.head.slot <= finalized.slot || !is_ancestor(finalized, entry.data.head);
      });
    }
  }

  void on_tick(Interval target, bool has_proposal) {
    while (time < target) {
      ++time;
      const Interval at = time % kIntervalsPerSlot;
      if (at == 0 && has_proposal && time == target) accept();
      if (at == 3) update_safe_target();
      if (at == 4) accept();
    }
  }

  LeanCheckpoint attestation_target() const {
    Root at = head;
    const Slot lowest = std::max(blocks.at(safe_target).slot, finalized.slot);
    for (int i = 0; i < 3 && blocks.at(at).slot > lowest; ++i) at = blocks.at(at).parent_root;
    while (blocks.at(at).slot > finalized.slot &&
           !is_justifiable_after(blocks.at(at).slot, finalized.slot)) {
      at = blocks.at(at).parent_root;
    }
    return {.root = at, .slot = blocks.at(at).slot};
  }
};

}  // namespace beamline::chain::lean
