#include "tests/chain/witnessed_beacon.h"

#include "base/check.h"
#include "chain/record.h"

namespace beamline::chain::testing {

Oracle::Block WitnessedBeacon::anchor_block(const BeaconForkChoice::Anchor& anchor) {
  Oracle::Block block;
  block.root = anchor.root;
  block.slot = anchor.slot;
  const Checkpoint own{anchor.epoch, anchor.root};
  block.post = {own, own, own, own, anchor.execution, anchor.payload_hash};
  return block;
}

WitnessedBeacon::WitnessedBeacon(const BeaconConfig& config, const BeaconForkChoice::Anchor& anchor)
    : config_(config),
      policy_(config, anchor),
      oracle_(config.slots_per_epoch, anchor_block(anchor)) {
  // An epoch that began with empty slots.
  const Checkpoint own{anchor.epoch, anchor.root};
  oracle_.justified_checkpoint = oracle_.finalized_checkpoint = own;
  oracle_.unrealized_justified_checkpoint = oracle_.unrealized_finalized_checkpoint = own;
  oracle_.unrealized_justifications[anchor.root] = own;
  oracle_.slot_ms = static_cast<uint64_t>(config.slot_duration.ns / 1'000'000);
  oracle_.attestation_due_bps = config.attestation_due_bps;
  oracle_.time_ms = anchor.slot * oracle_.slot_ms;
}

void WitnessedBeacon::on_tick(WallTime wall) {
  policy_.on_tick(wall);
  const int64_t since = (wall - config_.genesis_time).ns / 1'000'000;
  if (since < 0 || static_cast<uint64_t>(since) <= oracle_.time_ms) return;
  stale_ |= static_cast<uint64_t>(since) / oracle_.slot_ms > oracle_.get_current_slot();
  oracle_.on_tick(static_cast<uint64_t>(since));
}

Status WitnessedBeacon::on_block(const Block& block) {
  // The specification knows of no verification that takes its time: the block came when it came.
  const uint64_t now = oracle_.time_ms;
  const uint64_t start = oracle_.get_current_slot() * oracle_.slot_ms;
  const int64_t arrived = (block.arrived - config_.genesis_time).ns / 1'000'000;
  oracle_.time_ms = std::clamp(static_cast<uint64_t>(std::max<int64_t>(arrived, 0)), start,
                               start + oracle_.slot_ms - 1);
  const bool taken = oracle_.on_block(block);
  oracle_.time_ms = now;
  stale_ = true;
  const Status told = policy_.on_block(block);
  BL_CHECK(told.has_value() == taken);
  BL_CHECK(policy_.justified() == oracle_.justified_checkpoint);
  BL_CHECK(policy_.finalized() == oracle_.finalized_checkpoint);
  BL_CHECK(policy_.proposer_boost_root() == oracle_.proposer_boost_root);
  return told;
}

VoteResult WitnessedBeacon::on_vote(const Vote& vote, bool in_block) {
  const auto target = oracle_.blocks.contains(vote.head_root)
                          ? oracle_.get_checkpoint_block(vote.head_root, vote.target.number)
                          : std::nullopt;
  // What was pruned is unknown here: a vote for it changes nothing, and moves away in the spec.
  const bool pruned = !policy_.contains(vote.head_root) || (target && !policy_.contains(*target));
  const VoteResult result = policy_.on_vote(vote, in_block);
  const bool applied = result == VoteResult::applied || result == VoteResult::not_newer;
  if (pruned) {
    BL_CHECK(!applied);
    return result;
  }
  BL_CHECK(oracle_.on_attestation(vote, in_block) == applied);
  stale_ = true;
  votes_ += result == VoteResult::applied;
  return result;
}

void WitnessedBeacon::on_equivocation(std::span<const ValidatorIndex> validators) {
  policy_.on_equivocation(validators);
  oracle_.on_attester_slashing({validators.begin(), validators.end()});
  stale_ = true;
}

Status WitnessedBeacon::on_justified_balances(const Checkpoint& justified,
                                              std::span<const uint64_t> balances,
                                              uint64_t total_active) {
  const Status taken = policy_.on_justified_balances(justified, balances, total_active);
  BL_CHECK(taken.has_value() == (justified == oracle_.justified_checkpoint));
  if (!taken) return taken;
  oracle_.balances.assign(balances.begin(), balances.end());
  oracle_.total_active_balance = total_active;
  stale_ = true;
  return taken;
}

Status WitnessedBeacon::on_payload(const Root& root, Execution execution,
                                   const std::optional<Hash256>& latest_valid,
                                   std::vector<Root>& removed) {
  const bool known = policy_.contains(root);
  std::set<Root> before;
  for (const auto& [there, block] : oracle_.blocks) {
    if (policy_.contains(there)) before.insert(there);
  }
  const size_t others = removed.size();
  const Status told = policy_.on_payload(root, execution, latest_valid, removed);
  if (!known) {
    BL_CHECK(!told && told.error().code == Code::not_found);
    return told;
  }
  stale_ = true;
  if (execution == Execution::valid) {
    oracle_.make_valid(root);
  } else {
    BL_CHECK(told.has_value() == oracle_.invalidate(root, latest_valid));
  }
  // The same blocks are left, and the same are gone.
  const std::set<Root> gone(removed.begin() + static_cast<std::ptrdiff_t>(others), removed.end());
  BL_CHECK(gone.size() == removed.size() - others);
  for (const Root& there : before) {
    BL_CHECK(gone.contains(there) == !oracle_.blocks.contains(there));
    BL_CHECK(gone.contains(there) == !policy_.contains(there));
    if (gone.contains(there)) continue;
    BL_CHECK(policy_.execution(there) == oracle_.blocks.at(there).post.execution);
  }
  invalidated_.insert(invalidated_.end(), gone.begin(), gone.end());
  return told;
}

void WitnessedBeacon::restore(const Checkpoint& justified, const Checkpoint& finalized,
                              std::span<const PolicyRecord> records) {
  policy_.restore(justified, finalized, records);
  const auto fits = [&](const Checkpoint& checkpoint) {
    return checkpoint.number <= oracle_.get_current_store_epoch() &&
           oracle_.blocks.contains(checkpoint.root);
  };
  if (fits(justified) && justified.number >= oracle_.justified_checkpoint.number) {
    oracle_.justified_checkpoint = justified;
  }
  if (fits(finalized)) oracle_.update_checkpoints({}, finalized);
  for (const PolicyRecord& record : records) {
    RecordReader in(record.bytes);
    const Root root = in.root();
    const uint64_t epoch = in.u64();
    BL_CHECK(in.end());
    if (epoch == UINT64_MAX) {
      oracle_.equivocating_indices.insert(record.key);
    } else {
      oracle_.latest_messages[record.key] = {epoch, root};
    }
  }
  stale_ = true;
  BL_CHECK(policy_.justified() == oracle_.justified_checkpoint);
  BL_CHECK(policy_.finalized() == oracle_.finalized_checkpoint);
}

void WitnessedBeacon::prune(std::vector<Root>& removed) {
  const size_t others = removed.size();
  policy_.prune(removed);
  oracle_.forgotten.insert(removed.begin() + static_cast<std::ptrdiff_t>(others), removed.end());
}

const Root& WitnessedBeacon::spec_head() {
  if (stale_) spec_head_ = oracle_.get_head();
  stale_ = false;
  return spec_head_;
}

ForkChoice::Head WitnessedBeacon::head() {
  const Head head = policy_.head();
  BL_CHECK(head.root == spec_head());
  return head;
}

}  // namespace beamline::chain::testing
