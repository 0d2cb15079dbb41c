// The specification's fork choice as it is written, function by function (consensus-specs,
// phase0/fork-choice.md at a08d8a6e, with sync/optimistic.md): what the proto-array must agree
// with. Never fast, never pruned. A handler whose asserts fail returns false and changes nothing.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "chain/fork_choice.h"

namespace beamline::chain::testing {

struct Oracle {
  using Block = ForkChoice::Block;
  struct LatestMessage {
    Epoch epoch;
    Root root;
  };

  // ---- Configuration.
  uint64_t slots_per_epoch = 32;
  uint64_t slot_ms = 12'000;
  uint64_t attestation_due_bps = 3333;

  // ---- Store.
  uint64_t time_ms = 0;  // since genesis
  Checkpoint justified_checkpoint;
  Checkpoint finalized_checkpoint;
  Checkpoint unrealized_justified_checkpoint;
  Checkpoint unrealized_finalized_checkpoint;
  Root proposer_boost_root;
  std::set<ValidatorIndex> equivocating_indices;
  std::map<Root, Block> blocks;
  std::vector<Root> order;  // of arrival
  std::map<ValidatorIndex, LatestMessage> latest_messages;
  std::map<Root, Checkpoint> unrealized_justifications;
  std::set<Root> forgotten;  // pruned from what it is compared with
  // Of checkpoint_states[justified_checkpoint]: who is active and not slashed.
  std::vector<uint64_t> balances;
  uint64_t total_active_balance = 0;

  Oracle(uint64_t epoch_slots, const Block& anchor) : slots_per_epoch(epoch_slots) {
    justified_checkpoint = {compute_epoch_at_slot(anchor.slot), anchor.root};
    finalized_checkpoint = justified_checkpoint;
    unrealized_justified_checkpoint = justified_checkpoint;
    unrealized_finalized_checkpoint = justified_checkpoint;
    blocks[anchor.root] = anchor;
    order.push_back(anchor.root);
    unrealized_justifications[anchor.root] = justified_checkpoint;
    time_ms = anchor.slot * slot_ms;
  }

  // ---- Helpers.
  Slot get_current_slot() const { return time_ms / slot_ms; }
  Epoch compute_epoch_at_slot(Slot slot) const { return slot / slots_per_epoch; }
  Slot compute_start_slot_at_epoch(Epoch epoch) const { return epoch * slots_per_epoch; }
  Epoch get_current_store_epoch() const { return compute_epoch_at_slot(get_current_slot()); }
  // Nothing: the walk left the store.
  std::optional<Root> get_ancestor(Root root, Slot slot) const {
    for (auto it = blocks.find(root); it != blocks.end(); it = blocks.find(root)) {
      if (it->second.slot <= slot) return root;
      root = it->second.parent_root;
    }
    return std::nullopt;
  }
  bool is_ancestor(const Root& root, const Root& ancestor) const {
    return get_ancestor(root, blocks.at(ancestor).slot) == ancestor;
  }
  std::optional<Root> get_checkpoint_block(const Root& root, Epoch epoch) const {
    return get_ancestor(root, compute_start_slot_at_epoch(epoch));
  }
  uint64_t get_attestation_score(const Root& root) const {
    uint64_t score = 0;
    for (ValidatorIndex i = 0; i < balances.size(); ++i) {
      const auto message = latest_messages.find(i);
      if (message == latest_messages.end() || equivocating_indices.contains(i)) continue;
      if (!blocks.contains(message->second.root)) continue;  // invalidated
      if (is_ancestor(message->second.root, root)) score += balances[i];
    }
    return score;
  }
  uint64_t get_proposer_score() const { return total_active_balance / slots_per_epoch * 40 / 100; }
  uint64_t get_weight(const Root& root) const {
    uint64_t weight = get_attestation_score(root);
    if (proposer_boost_root.is_zero() || !blocks.contains(proposer_boost_root)) return weight;
    if (is_ancestor(proposer_boost_root, root)) weight += get_proposer_score();
    return weight;
  }
  Checkpoint get_voting_source(const Root& root) const {
    const Block& block = blocks.at(root);
    if (get_current_store_epoch() > compute_epoch_at_slot(block.slot)) {
      return unrealized_justifications.at(root);
    }
    return block.post.justified;
  }
  std::vector<Root> children_of(const Root& parent) const {
    std::vector<Root> children;
    for (const auto& [root, block] : blocks) {
      if (block.parent_root == parent && root != parent) children.push_back(root);
    }
    return children;
  }
  bool filter_block_tree(const Root& root, std::set<Root>& filtered) const {
    const std::vector<Root> children = children_of(root);
    if (!children.empty()) {
      bool any = false;
      for (const Root& child : children) any |= filter_block_tree(child, filtered);
      if (any) filtered.insert(root);
      return any;
    }
    const Epoch voting_source = get_voting_source(root).number;
    const bool correct_justified = justified_checkpoint.number == 0 ||
                                   voting_source == justified_checkpoint.number ||
                                   voting_source + 2 >= get_current_store_epoch();
    const bool correct_finalized =
        finalized_checkpoint.number == 0 ||
        get_checkpoint_block(root, finalized_checkpoint.number) == finalized_checkpoint.root;
    if (!correct_justified || !correct_finalized) return false;
    filtered.insert(root);
    return true;
  }
  Root get_head() const {
    std::set<Root> filtered;
    filter_block_tree(justified_checkpoint.root, filtered);
    Root head = justified_checkpoint.root;
    for (;;) {
      std::optional<std::pair<uint64_t, Root>> best;
      for (const Root& child : children_of(head)) {
        if (!filtered.contains(child)) continue;
        best = std::max(best, std::optional(std::pair(get_weight(child), child)));
      }
      if (!best) return head;
      head = best->second;
    }
  }

  // ---- Checkpoints.
  void update_checkpoints(const Checkpoint& justified, const Checkpoint& finalized) {
    if (justified.number > justified_checkpoint.number) justified_checkpoint = justified;
    if (finalized.number > finalized_checkpoint.number) finalized_checkpoint = finalized;
  }
  void update_unrealized_checkpoints(const Checkpoint& justified, const Checkpoint& finalized) {
    if (justified.number > unrealized_justified_checkpoint.number) {
      unrealized_justified_checkpoint = justified;
    }
    if (finalized.number > unrealized_finalized_checkpoint.number) {
      unrealized_finalized_checkpoint = finalized;
    }
  }

  // ---- Handlers.
  void on_tick_per_slot(uint64_t to_ms) {
    const Slot previous_slot = get_current_slot();
    time_ms = to_ms;
    const Slot current_slot = get_current_slot();
    if (current_slot > previous_slot) proposer_boost_root = Root{};
    if (current_slot > previous_slot && current_slot % slots_per_epoch == 0) {
      update_checkpoints(unrealized_justified_checkpoint, unrealized_finalized_checkpoint);
    }
  }
  void on_tick(uint64_t to_ms) {
    while (get_current_slot() < to_ms / slot_ms) {
      on_tick_per_slot((get_current_slot() + 1) * slot_ms);
    }
    on_tick_per_slot(to_ms);
  }
  bool is_timely(const Block& block) const {
    const uint64_t due = attestation_due_bps * slot_ms / 10'000;
    return get_current_slot() == block.slot && time_ms % slot_ms < due;
  }
  std::optional<Root> get_shuffling_dependent_root(const Root& root, Epoch epoch) const {
    const Slot slot = epoch <= 1 ? 0 : compute_start_slot_at_epoch(epoch - 1) - 1;
    return get_ancestor(root, slot);
  }
  bool on_block(const Block& block) {
    if (blocks.contains(block.root)) return false;  // the spec: no change
    if (!blocks.contains(block.parent_root)) return false;
    if (blocks.at(block.parent_root).slot >= block.slot) return false;  // state_transition
    if (get_current_slot() < block.slot) return false;
    if (block.slot <= compute_start_slot_at_epoch(finalized_checkpoint.number)) return false;
    if (get_checkpoint_block(block.parent_root, finalized_checkpoint.number) !=
        finalized_checkpoint.root) {
      return false;
    }
    const Root head = get_head();
    blocks[block.root] = block;
    order.push_back(block.root);
    const Epoch epoch = get_current_store_epoch();
    if (is_timely(block) && proposer_boost_root.is_zero() &&
        get_shuffling_dependent_root(head, epoch) ==
            get_shuffling_dependent_root(block.root, epoch)) {
      proposer_boost_root = block.root;
    }
    const PostState& post = block.post;
    update_checkpoints(post.justified, post.finalized);
    unrealized_justifications[block.root] = post.unrealized_justified;
    update_unrealized_checkpoints(post.unrealized_justified, post.unrealized_finalized);
    if (compute_epoch_at_slot(block.slot) < get_current_store_epoch()) {
      update_checkpoints(post.unrealized_justified, post.unrealized_finalized);
    }
    if (post.execution == Execution::valid) make_valid(block.parent_root);
    return true;
  }
  bool on_attestation(const Vote& vote, bool is_from_block) {
    const Checkpoint& target = vote.target;
    const Epoch current = get_current_store_epoch();
    const Epoch previous = current > 0 ? current - 1 : 0;
    if (!is_from_block && target.number != current && target.number != previous) return false;
    if (target.number != compute_epoch_at_slot(vote.slot)) return false;
    if (!blocks.contains(target.root) || !blocks.contains(vote.head_root)) return false;
    if (blocks.at(vote.head_root).slot > vote.slot) return false;
    if (target.root != get_checkpoint_block(vote.head_root, target.number)) return false;
    if (get_current_slot() < vote.slot + 1) return false;
    for (const ValidatorIndex i : vote.validators) {
      if (equivocating_indices.contains(i)) continue;
      const auto message = latest_messages.find(i);
      if (message == latest_messages.end() || target.number > message->second.epoch) {
        latest_messages[i] = {target.number, vote.head_root};
      }
    }
    return true;
  }
  void on_attester_slashing(const std::vector<ValidatorIndex>& indices) {
    equivocating_indices.insert(indices.begin(), indices.end());
  }

  // ---- sync/optimistic.md.
  void make_valid(Root root) {
    for (auto it = blocks.find(root); it != blocks.end(); it = blocks.find(root)) {
      if (it->second.post.execution != Execution::optimistic) return;
      it->second.post.execution = Execution::valid;
      root = it->second.parent_root;
    }
  }
  // The lowest block that goes, by the table of "How to apply latestValidHash". What contradicts
  // an earlier word of the engine counts as null.
  Root invalid_block(const Root& root, const std::optional<Hash256>& latest_valid_hash) const {
    if (!latest_valid_hash) return root;
    Root child = root;
    for (;;) {
      const auto parent = blocks.find(blocks.at(child).parent_root);
      if (parent == blocks.end() || forgotten.contains(parent->first)) {
        return latest_valid_hash->is_zero() ? child : root;
      }
      const PostState& post = parent->second.post;
      if (latest_valid_hash->is_zero() ? post.execution == Execution::none
                                       : post.payload_hash == *latest_valid_hash) {
        return child;
      }
      if (post.execution != Execution::optimistic) return root;
      child = parent->first;
    }
  }
  // False: not optimistic, or what is justified would go.
  bool invalidate(const Root& root, const std::optional<Hash256>& latest_valid_hash) {
    if (blocks.at(root).post.execution != Execution::optimistic) return false;
    const Root top = invalid_block(root, latest_valid_hash);
    std::set<Root> gone;
    for (const auto& [descendant, block] : blocks) {
      if (is_ancestor(descendant, top)) gone.insert(descendant);
    }
    if (gone.contains(justified_checkpoint.root)) return false;
    for (const Root& descendant : gone) blocks.erase(descendant);
    // The highest of what is left, where the highest went.
    if (!blocks.contains(unrealized_justified_checkpoint.root)) {
      unrealized_justified_checkpoint = justified_checkpoint;
    }
    if (!blocks.contains(unrealized_finalized_checkpoint.root)) {
      unrealized_finalized_checkpoint = finalized_checkpoint;
    }
    for (const Root& left : order) {
      const auto it = blocks.find(left);
      if (it == blocks.end()) continue;
      if (get_checkpoint_block(left, finalized_checkpoint.number) != finalized_checkpoint.root) {
        continue;
      }
      update_unrealized_checkpoints(it->second.post.unrealized_justified,
                                    it->second.post.unrealized_finalized);
    }
    return true;
  }
};

}  // namespace beamline::chain::testing
