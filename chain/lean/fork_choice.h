// Lean's policy for the chain core: the Store behind the interface of chain/fork_choice.h.
//
// A checkpoint's number is its slot. Votes come with their head's slot, and with the proof or
// signature (chain::Vote). An attestation of one validator has no weight of its own in lean: an
// aggregator keeps it until interval 2 and makes it part of a proof; others only pass it on. Proofs
// count from the next acceptance on (intervals 0 and 4).
#pragma once

#include "chain/fork_choice.h"
#include "chain/lean/slot_clock.h"
#include "chain/lean/store.h"
#include "chain/lean/transition.h"

namespace beamline::chain::lean {

struct LeanForkChoiceConfig {
  uint64_t genesis_time = 0;  // seconds
  bool aggregator = false;
  StoreLimits limits{};
  uint64_t seed = 0;  // of the index by root
};

class LeanForkChoice final : public ForkChoice {
 public:
  // Starts from a trusted block. The registry never changes in lean: the anchor's number of
  // validators holds for all blocks. `types` must outlive it.
  LeanForkChoice(const LeanTypes& types, const LeanForkChoiceConfig& config,
                 const StoreBlock& anchor);

  void on_tick(WallTime wall) override;
  std::optional<WallTime> next_tick() const override;
  Status on_block(const Block& block) override;
  VoteResult on_vote(const chain::Vote& vote, bool in_block) override;
  VoteResult check_vote(const chain::Vote& vote) const override;

  Head head() override;
  Checkpoint justified() const override;
  Checkpoint finalized() const override;
  bool contains(const Root& root) const override { return store_.contains(root); }
  void prune(std::vector<Root>& removed) override { store_.prune(removed); }
  Slot floor() const override { return store_.floor(); }

  // A validator of ours proposes in this slot: its first interval accepts votes.
  void expect_proposal(Slot slot) { proposal_slot_ = slot; }
  // What a proposer builds (see block_production.h), and what a validator votes for.
  Result<Proposal> prepare_proposal(Slot slot, ValidatorIndex proposer);
  LeanAttestationData attestation_data(Slot slot);

  // An aggregator: interval 2 of a slot has begun since this was last asked for; what there is to
  // prove then. The prover runs elsewhere; its results come by finish_aggregations().
  bool aggregation_due() const { return aggregation_due_; }
  std::vector<Aggregation> take_aggregations();
  void finish_aggregations(std::span<const std::pair<Vote, Proof>> aggregates);

  const Store& store() const { return store_; }

 private:
  static LeanAttestationData data_of(const chain::Vote& vote);
  VoteResult judge(const chain::Vote& vote, ValidatorSet& voters) const;
  VoteResult refused(const Error& error, const LeanAttestationData& data) const;
  // Votes of a block's body are told one by one after the block, but belong together.
  void flush_body_votes();

  mutable StateTransition hasher_;  // its scratch memory
  const SlotClock clock_;
  const bool aggregator_;
  const uint32_t validators_;
  Store store_;
  std::vector<Vote> body_votes_;
  std::optional<Slot> proposal_slot_;
  bool aggregation_due_ = false;
};

}  // namespace beamline::chain::lean
