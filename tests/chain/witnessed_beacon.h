// Beacon's policy beside the specification's words (beacon_oracle.h): whatever the chain tells the
// one is told the other, and a head, a verdict or a checkpoint that differs is a failed check.
#pragma once

#include "chain/beacon_fork_choice.h"
#include "tests/chain/beacon_oracle.h"
#include "tests/chain/witness.h"

namespace beamline::chain::testing {

class WitnessedBeacon final : public Witness {
 public:
  WitnessedBeacon(const BeaconConfig& config, const BeaconForkChoice::Anchor& anchor);

  void on_tick(WallTime wall) override;
  std::optional<WallTime> next_tick() const override { return policy_.next_tick(); }
  Status on_block(const Block& block) override;
  VoteResult on_vote(const Vote& vote, bool in_block) override;
  VoteResult check_vote(const Vote& vote) const override { return policy_.check_vote(vote); }
  void on_equivocation(std::span<const ValidatorIndex> validators) override;
  Status on_justified_balances(const Checkpoint& justified, std::span<const uint64_t> balances,
                               uint64_t total_active) override;
  Status on_payload(const Root& root, Execution execution,
                    const std::optional<Hash256>& latest_valid,
                    std::vector<Root>& removed) override;
  // A restart: the specification's store with the same blocks, checkpoints and latest messages.
  void restore(const Checkpoint& justified, const Checkpoint& finalized,
               std::span<const PolicyRecord> records) override;
  Head head() override;
  Checkpoint justified() const override { return policy_.justified(); }
  Checkpoint finalized() const override { return policy_.finalized(); }
  Execution execution(const Root& root) const override { return policy_.execution(root); }
  bool contains(const Root& root) const override { return policy_.contains(root); }
  void prune(std::vector<Root>& removed) override;
  Slot floor() const override { return policy_.floor(); }
  bool may_forget(Slot slot) const override { return policy_.may_forget(slot); }
  void keep_records() override { policy_.keep_records(); }
  void take_records(std::vector<PolicyRecord>& changed) override { policy_.take_records(changed); }

  const Root& spec_head() override;
  bool spec_has(const Root& root) const override { return oracle_.blocks.contains(root); }
  std::vector<Root> take_invalidated() override { return std::exchange(invalidated_, {}); }
  uint64_t votes() const override { return votes_; }

 private:
  static Oracle::Block anchor_block(const BeaconForkChoice::Anchor& anchor);

  const BeaconConfig config_;
  BeaconForkChoice policy_;
  Oracle oracle_;
  Root spec_head_;
  bool stale_ = true;
  uint64_t votes_ = 0;
  std::vector<Root> invalidated_;
};

}  // namespace beamline::chain::testing
