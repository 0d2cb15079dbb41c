// The store: time, blocks, the head, pruning. What concerns votes is in store_votes.cc.

#include "chain/lean/store.h"

#include <algorithm>

#include "chain/lean/justifiability.h"
#include "chain/lean/slot_clock.h"
#include "chain/lean/transition.h"

namespace beamline::chain::lean {

Store::Store(const StoreBlock& anchor, const StoreLimits& limits, uint64_t seed)
    : limits_(limits),
      time_(SlotClock::interval_of(anchor.slot)),
      array_(limits.blocks, seed),
      latest_justified_{.root = anchor.root, .slot = anchor.slot},
      latest_finalized_(latest_justified_) {
  BL_CHECK(anchor.validators <= kValidatorRegistryLimit);
  head_ = array_.add(anchor.root, anchor.slot, ProtoArray::kNone);
  safe_target_ = latest_justified_;
  summaries_.push_back({.parent_root = anchor.parent_root,
                        .proposer = anchor.proposer,
                        .justified = anchor.justified,
                        .finalized = anchor.finalized,
                        .validators = anchor.validators});
}

std::optional<StoreBlock> Store::block(const Root& root) const {
  const Id id = known(root);
  if (id == ProtoArray::kNone) return std::nullopt;
  const Summary& of = summary(id);
  return StoreBlock{.root = root,
                    .parent_root = of.parent_root,
                    .slot = array_.slot(id),
                    .proposer = of.proposer,
                    .justified = of.justified,
                    .finalized = of.finalized,
                    .validators = of.validators};
}

void Store::on_tick(Interval target, bool has_proposal, Prover* prover,
                    std::vector<std::pair<Vote, Proof>>* aggregates) {
  // Without input, what the intervals of a slot do is done after the first slot of them, for good.
  // So of a long jump the first slots and the last ones are run.
  constexpr Interval kRun = 3 * kIntervalsPerSlot;
  const Interval from = time_;
  while (time_ < target) {
    if (time_ - from == kRun && target - time_ > kRun) {
      stats_.intervals_skipped += target - kRun - time_;
      time_ = target - kRun;
    }
    tick_interval(has_proposal && time_ + 1 == target, prover, aggregates);
  }
}

void Store::tick_interval(bool has_proposal, Prover* prover,
                          std::vector<std::pair<Vote, Proof>>* aggregates) {
  ++time_;
  switch (time_ % kIntervalsPerSlot) {
    case 0:
      if (has_proposal) accept_votes();
      break;
    case 2:
      if (prover != nullptr) run_prover(*prover, aggregates);
      break;
    case 3:
      update_safe_target();
      break;
    case 4:
      accept_votes();
      break;
    default:
      break;
  }
}

Status Store::on_block(const StoreBlock& block, std::span<const Vote> votes) {
  if (contains(block.root)) return {};
  const Id parent = known(block.parent_root);
  if (parent == ProtoArray::kNone) return reject(Rejection::unknown_parent_block);
  if (array_.slot(parent) < floor_.slot) return reject(Rejection::forks_off_below_floor);
  if (block.slot <= array_.slot(parent)) return reject(Rejection::block_older_than_latest_header);
  if (block.validators > kValidatorRegistryLimit) return reject(Rejection::inconsistent_state);
  // The walk to the head will begin there: it must be on this branch.
  const bool justifies = block.justified.slot > latest_justified_.slot;
  if (justifies) {
    const Id justified = known(block.justified.root);
    if (justified == ProtoArray::kNone || array_.slot(justified) != block.justified.slot ||
        !array_.is_ancestor(justified, parent)) {
      return reject(Rejection::inconsistent_state);
    }
  }
  if (array_.add(block.root, block.slot, parent) == ProtoArray::kNone) {
    ++stats_.blocks_refused;
    return local_error(Code::full, "blocks");
  }
  summaries_.push_back({.parent_root = block.parent_root,
                        .proposer = block.proposer,
                        .justified = block.justified,
                        .finalized = block.finalized,
                        .validators = block.validators});
  ++stats_.blocks;
  // Of equal slots the store keeps its own: no swap of roots unseen.
  if (justifies) latest_justified_ = block.justified;
  lead_with(votes);

  const Slot finalized_before = latest_finalized_.slot;
  update_head();
  if (latest_finalized_.slot > finalized_before) prune_votes();
  return {};
}

void Store::refresh_weights() {
  count_votes(known_proofs_, scratch_);
  if (scratch_ != applied_) {
    // What was voted for may be pruned by now: it has no weight to take.
    for (const Support& support : applied_) array_.take_weight(support.node, support.validators);
    for (const Support& support : scratch_) array_.add_weight(support.node, support.validators);
    std::swap(applied_, scratch_);
  }
  if (array_.changed()) array_.update([](Id) { return true; });
}

uint64_t Store::weight(const Root& root) {
  refresh_weights();
  const Id id = known(root);
  return id == ProtoArray::kNone ? 0 : array_.weight(id);
}

void Store::update_head() {
  refresh_weights();
  const Id before = head_;
  head_ = array_.best_descendant(known(latest_justified_.root));
  if (head_ != before) {
    ++stats_.head_changes;
    if (!array_.is_ancestor(before, head_)) ++stats_.reorgs;
  }
  update_finalized();
}

// The finalised block is the head's ancestor at the slot that its post-state says. Where no block
// of its chain stands at that slot (the anchor came with a state that had finalised an older one),
// what was trusted stays.
void Store::update_finalized() {
  const Slot slot = summary(head_).finalized.slot;
  const Id id = array_.ancestor_at(head_, slot);
  if (id == ProtoArray::kNone || array_.slot(id) != slot) return;
  if (slot < latest_finalized_.slot) ++stats_.finalized_went_back;
  latest_finalized_ = {.root = array_.root(id), .slot = slot};
}

void Store::update_safe_target() {
  const uint64_t validators = summary(head_).validators;
  const uint64_t two_thirds = (2 * validators + 2) / 3;
  count_votes(new_proofs_, scratch_);
  array_.begin_count(count_);
  for (const Support& support : scratch_) {
    count_.weight[array_.at(support.node)] += support.validators;
  }
  const Id id = array_.count_up(count_, known(latest_justified_.root), two_thirds);
  safe_target_ = {.root = array_.root(id), .slot = array_.slot(id)};
}

LeanCheckpoint Store::attestation_target() const {
  Id id = head_;
  const Slot finalized = latest_finalized_.slot;
  const Slot lowest = std::max(safe_target_.slot, finalized);
  const auto step_back = [&] {
    const Id parent = array_.parent(id);
    if (parent != ProtoArray::kNone) id = parent;
    return parent != ProtoArray::kNone;
  };
  for (uint64_t i = 0; i < kJustificationLookbackSlots; ++i) {
    if (array_.slot(id) <= lowest || !step_back()) break;
  }
  while (array_.slot(id) > finalized && !is_justifiable_after(array_.slot(id), finalized)) {
    if (!step_back()) break;
  }
  return {.root = array_.root(id), .slot = array_.slot(id)};
}

LeanAttestationData Store::attestation_data(Slot slot) const {
  // The source is what the head's chain justified, not the store: a minority fork may have moved
  // the store's. In a genesis state it has no root yet.
  LeanCheckpoint source = summary(head_).justified;
  if (source.root.is_zero()) source.root = head();
  return {.slot = slot,
          .head = {.root = head(), .slot = head_slot()},
          .target = attestation_target(),
          .source = source};
}

Result<Proposal> Store::prepare_proposal(Slot slot, ValidatorIndex proposer) {
  on_tick(SlotClock::interval_of(slot), true);
  accept_votes();
  const uint64_t validators = summary(head_).validators;
  if (validators == 0) return reject(Rejection::empty_validator_registry);
  if (proposer != proposer_for(slot, validators)) return reject(Rejection::wrong_proposer);
  Proposal proposal{.slot = slot, .proposer = proposer, .parent_root = head(), .candidates = {}};
  for (const auto& [place, entry] : known_proofs_.entries()) {
    if (!contains(entry.vote.data.head.root)) continue;
    proposal.candidates.push_back({entry.vote, entry.content.list});
  }
  return proposal;
}

// Every head to come builds on `floor`, the finalised block's ancestor `kept_slots` below it: the
// justified block does, and it only goes forward. Of each block above the floor it must stay
// possible to say what is finalised there, and a child says no less than its parent. So the chain
// stays down to the lowest block that is finalised in any of their states; branches off that chain
// below the floor go, and on_block() takes no new ones.
void Store::prune(std::vector<Root>& removed) {
  const Id finalized = known(latest_finalized_.root);
  const Slot slot = latest_finalized_.slot;
  if (finalized == ProtoArray::kNone || slot < limits_.kept_slots) return;
  const Id floor = array_.ancestor_at(finalized, slot - limits_.kept_slots);
  if (floor == ProtoArray::kNone || array_.slot(floor) <= floor_.slot) return;
  floor_ = {.root = array_.root(floor), .slot = array_.slot(floor)};

  std::vector<bool> kept(array_.size(), false);
  Slot lowest = floor_.slot;
  for (Id id = floor; id < array_.end(); ++id) {
    if (!array_.live(id)) continue;
    const Id parent = array_.parent(id);
    const bool above = parent != ProtoArray::kNone && kept[array_.at(parent)];
    if (id != floor && !above) continue;
    kept[array_.at(id)] = true;
    lowest = std::min(lowest, summary(id).finalized.slot);
  }
  const size_t before = removed.size();
  const auto remove = [&](Id id) { removed.push_back(array_.root(id)); };
  for (Id id = floor; id != ProtoArray::kNone; id = array_.parent(id)) kept[array_.at(id)] = true;
  remember_cut_heads(kept);
  for (Id id = array_.first(); id < array_.end(); ++id) {
    if (array_.live(id) && !kept[array_.at(id)]) array_.remove(id, remove);
  }
  // Where the chain begins later than that, the first block stays the root.
  const Id root = array_.ancestor_at(floor, lowest);
  if (root != ProtoArray::kNone && root != array_.first()) {
    const Id first = array_.first();
    array_.prune(root, remove);
    summaries_.erase(summaries_.begin(), summaries_.begin() + (array_.first() - first));
  }
  stats_.blocks_pruned += removed.size() - before;
}

}  // namespace beamline::chain::lean
