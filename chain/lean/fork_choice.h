// Lean's policy for the chain core: the Store behind the interface of chain/fork_choice.h.
//
// A checkpoint's number is its slot. Votes come with their head's slot, and with the proof or
// signature (chain::Vote). An attestation of one validator has no weight of its own in lean: an
// aggregator keeps it until interval 2 and makes it part of a proof; others only pass it on. Proofs
// count from the next acceptance on (intervals 0 and 4).
#pragma once

#include <map>

#include "chain/fork_choice.h"
#include "chain/lean/slot_clock.h"
#include "chain/lean/store.h"
#include "chain/lean/transition.h"

namespace beamline::chain {
struct StoredBlock;
}

namespace beamline::chain::lean {

struct LeanForkChoiceConfig {
  uint64_t genesis_time = 0;  // seconds
  bool aggregator = false;
  StoreLimits limits{};
  uint64_t seed = 0;  // of the index by root
};

// Lean numbers its checkpoints by slot.
inline LeanCheckpoint checkpoint_of(const Checkpoint& checkpoint) {
  return {.root = checkpoint.root, .slot = checkpoint.number};
}
inline Checkpoint checkpoint_of(const LeanCheckpoint& checkpoint) {
  return {.number = checkpoint.slot, .root = checkpoint.root};
}

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

  // Each proof is a record, until its vote can count no more; an aggregator's signatures, which
  // live for a slot, are not.
  void keep_records() override { keeps_records_ = true; }
  void take_records(std::vector<PolicyRecord>& changed) override;
  void restore(const Checkpoint& justified, const Checkpoint& finalized,
               std::span<const PolicyRecord> records) override;
  uint64_t records() const { return records_.size(); }

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
  // lean/restart.cc
  struct Record {
    Slot head_slot = 0;  // of the vote
    size_t size = 0;
  };
  void note(const Vote& vote, const Proof& proof);
  void forget_record(std::map<uint64_t, Record>::iterator record);
  bool restore_record(const PolicyRecord& record);

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
  bool keeps_records_ = false;
  std::map<uint64_t, Record> records_;  // that the store has, or is about to be told
  uint64_t next_record_ = 0;
  uint64_t record_bytes_ = 0;
  const StoreLimits limits_;
  std::vector<PolicyRecord> changed_;
};

// Where a fork choice begins that goes on from a store, or a store from a fork choice.
StoreBlock store_block_of(const StoredBlock& stored, uint32_t validators);
PostState post_state_of(const StoreBlock& block);

}  // namespace beamline::chain::lean
