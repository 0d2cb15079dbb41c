// Lean's policy beside the specification's words (lean_oracle.h): whatever the chain tells the one
// is told the other, and a head, a verdict or a checkpoint that differs is a failed check. With it
// a forest of blocks, made once in a process: their states are too dear to be made for each run.
#pragma once

#include "chain/lean/fork_choice.h"
#include "tests/chain/lean_chain.h"
#include "tests/chain/lean_oracle.h"
#include "tests/chain/witness.h"

namespace beamline::chain::testing {

inline constexpr uint32_t kLeanValidators = 6;

struct LeanForest {
  lean::testing::LeanChain world{kLeanValidators};
  std::vector<Root> order;  // parents before children; genesis first
};
const LeanForest& lean_forest();

class WitnessedLean final : public Witness {
 public:
  WitnessedLean(const lean::LeanForkChoiceConfig& config, const lean::StoreBlock& anchor);

  void on_tick(WallTime wall) override;
  std::optional<WallTime> next_tick() const override { return policy_.next_tick(); }
  Status on_block(const Block& block) override;
  VoteResult on_vote(const Vote& vote, bool in_block) override;
  VoteResult check_vote(const Vote& vote) const override { return policy_.check_vote(vote); }
  Head head() override;
  Checkpoint justified() const override { return policy_.justified(); }
  Checkpoint finalized() const override { return policy_.finalized(); }
  bool contains(const Root& root) const override { return policy_.contains(root); }
  void prune(std::vector<Root>& removed) override { policy_.prune(removed); }
  Slot floor() const override { return policy_.floor(); }
  void keep_records() override { policy_.keep_records(); }
  void take_records(std::vector<PolicyRecord>& changed) override { policy_.take_records(changed); }

  void restore(const Checkpoint& justified, const Checkpoint& finalized,
               std::span<const PolicyRecord> records) override;

  const Root& spec_head() override;
  bool spec_has(const Root& root) const override { return oracle_.blocks.contains(root); }
  uint64_t votes() const override { return votes_; }

 private:
  void seed_body_votes();
  void restore_record(const PolicyRecord& record);
  void compare();

  const lean::SlotClock clock_;
  lean::LeanForkChoice policy_;
  lean::Oracle oracle_;
  std::vector<LeanAttestationData> body_votes_;  // of the last block
  uint64_t votes_ = 0;
};

}  // namespace beamline::chain::testing
