// The beacon chain's fork choice: LMD-GHOST from the justified checkpoint over the viable branches,
// with proposer boost, unrealised justification, equivocations and execution status. The client
// supplies post-states, verified votes, balances and the engine's word (chain/fork_choice.h).
//
// Source: consensus-specs phase0/fork-choice.md, bellatrix/fork-choice.md, sync/optimistic.md, as
// of fulu. tests/chain/beacon_oracle.h is the same, literally.
//
// head() is one pass over the tree if anything changed since, and free if not. Neither it nor the
// application of a vote allocates, but for a validator that was never seen before. Not thread safe.
#pragma once

#include "chain/fork_choice.h"
#include "chain/proto_array.h"

namespace beamline::chain {

struct Recovered;

struct BeaconConfig {
  WallTime genesis_time{};
  Duration slot_duration = seconds(12);
  uint64_t slots_per_epoch = 32;
  uint64_t proposer_score_boost = 40;  // percent of a slot's committee weight
  // A block is timely before this part of its slot, in ten-thousandths (ATTESTATION_DUE_BPS).
  uint64_t attestation_due_bps = 3333;
  uint32_t max_blocks = 1u << 17;      // that are not final
  uint32_t max_validators = 1u << 22;  // 32 bytes each, taken as they appear
  uint64_t seed = 0;                   // of the index by root
};

class BeaconForkChoice final : public ForkChoice {
 public:
  struct Anchor {
    Root root;
    Slot slot = 0;
    Epoch epoch = 0;  // of its state: justified and final from here on
    Execution execution = Execution::valid;
    Hash256 payload_hash;
  };
  struct Stats {
    uint64_t passes = 0;         // over the tree
    uint64_t votes_changed = 0;  // latest messages that moved
    uint64_t boosts = 0;
    uint64_t equivocating = 0;    // validators
    uint64_t pruned = 0;          // blocks
    uint64_t prunes_refused = 0;  // what is justified does not build on what is final
    uint64_t invalidated = 0;     // blocks
    uint64_t blocks_refused = 0;  // by what is final, by wrong checkpoints, for want of room
  };

  BeaconForkChoice(const BeaconConfig& config, const Anchor& anchor);
  // Where one begins that goes on from a store: the finalised block.
  static Anchor anchor_of(const Recovered& found, const BeaconConfig& config);

  void on_tick(WallTime wall) override;
  std::optional<WallTime> next_tick() const override;
  Status on_block(const Block& block) override;
  VoteResult on_vote(const Vote& vote, bool in_block) override;
  VoteResult check_vote(const Vote& vote) const override;
  void on_equivocation(std::span<const ValidatorIndex> validators) override;
  Status on_justified_balances(const Checkpoint& justified, std::span<const uint64_t> balances,
                               uint64_t total_active) override;
  Status on_payload(const Root& root, Execution execution,
                    const std::optional<Hash256>& latest_valid,
                    std::vector<Root>& removed) override;

  Head head() override;
  Checkpoint justified() const override { return justified_; }
  Checkpoint finalized() const override { return finalized_; }
  Checkpoint unrealized_justified() const { return unrealized_justified_; }
  Execution execution(const Root& root) const override;
  bool contains(const Root& root) const override { return array_.contains(root); }
  void prune(std::vector<Root>& removed) override;
  Slot floor() const override { return start_slot(finalized_.number); }
  // What is final stays, also where its epoch began with empty slots.
  bool may_forget(Slot slot) const override;

  // Each validator's latest message is a record; boost and balances are not. (A boost ends with its
  // slot, and restored blocks of the slot are timely as they were; the client gives balances.)
  void keep_records() override { keeps_records_ = true; }
  void take_records(std::vector<PolicyRecord>& changed) override;
  void restore(const Checkpoint& justified, const Checkpoint& finalized,
               std::span<const PolicyRecord> records) override;

  Slot current_slot() const { return slot_; }
  Root proposer_boost_root() const { return boost_root_; }
  // As of the last head().
  uint64_t weight(const Root& root) const;
  const ProtoArray& array() const { return array_; }
  const Stats& stats() const { return stats_; }

 private:
  using Id = ProtoArray::Id;
  // Of a node, beside the array: what the pass reads, in 16 bytes...
  struct Source {
    uint32_t epoch = 0;      // of the block
    uint32_t justified = 0;  // of its own post-state
    uint32_t unrealized = 0;
    bool on_final = false;  // what is final is its checkpoint block
  };
  // ...and the rest.
  struct Info {
    Checkpoint unrealized_justified;
    Checkpoint unrealized_finalized;
    Hash256 payload_hash;
    Execution execution = Execution::none;
  };
  // Of a validator: what it voted for last, and what that weighs: together, since committees are
  // shuffled and each of their members is a cache line.
  struct Message {
    static constexpr uint32_t kEquivocating = UINT32_MAX;
    Id node = ProtoArray::kNone;
    uint32_t epoch_plus_one = 0;  // 0: none yet
    uint64_t balance = 0;
  };

  Epoch epoch_of(Slot slot) const { return slot / config_.slots_per_epoch; }
  Slot start_slot(Epoch epoch) const;
  Epoch current_epoch() const { return epoch_; }
  Info& info(Id id) { return infos_[array_.at(id)]; }
  const Info& info(Id id) const { return infos_[array_.at(id)]; }
  bool on_final(Id id) const { return sources_[array_.at(id)].on_final; }
  // The conditions of filter_block_tree() for a leaf.
  bool is_viable(Id id) const {
    const Source& source = sources_[array_.at(id)];
    const Epoch voting = epoch_ > source.epoch ? source.unrealized : source.justified;
    const bool justified =
        justified_.number == 0 || voting == justified_.number || voting + 2 >= epoch_;
    return justified && (finalized_.number == 0 || source.on_final);
  }

  Status check_block(const Block& block, Id parent) const;
  bool holds(const Checkpoint& checkpoint, const Checkpoint& ours, const Block& block,
             Id parent) const;
  Id checkpoint_block(const Block& block, Id parent, Epoch epoch) const;
  bool is_timely(const Block& block) const;
  bool same_dependent_root(Id head, Id parent, Slot block_slot) const;
  Id add_node(const Root& root, Slot slot, Id parent, const PostState& post);
  void set_boost(const Root& root, Id id);
  void clear_boost();
  void update_checkpoints(const Checkpoint& justified, const Checkpoint& finalized);
  void update_unrealized(const Checkpoint& justified, const Checkpoint& finalized);
  void recompute_unrealized();
  bool builds_on_final(Id parent, Slot slot) const;
  void mark_final();
  VoteResult judge(const Vote& vote, bool in_block, Id* node) const;
  size_t move_votes(std::span<const ValidatorIndex> validators, Id node, Epoch epoch);
  void grow_to(ValidatorIndex validator);
  void note(ValidatorIndex validator) {
    if (keeps_records_) note_changed(validator);
  }
  void note_changed(ValidatorIndex validator);
  Id first_invalid(Id id, const std::optional<Hash256>& latest_valid) const;
  Status invalidate(Id id, std::vector<Root>& removed);

  const BeaconConfig config_;
  ProtoArray array_;
  std::vector<Source> sources_;    // by array_.at()
  std::vector<Info> infos_;        // likewise
  std::vector<Message> messages_;  // by validator
  bool keeps_records_ = false;
  std::vector<bool> is_noted_;  // by validator
  std::vector<uint32_t> noted_;
  uint64_t boost_amount_ = 0;

  Slot slot_ = 0;
  Epoch epoch_ = 0;
  Checkpoint justified_;
  Checkpoint finalized_;
  Checkpoint unrealized_justified_;
  Checkpoint unrealized_finalized_;
  Id justified_id_ = ProtoArray::kNone;
  Root boost_root_;
  Id boost_id_ = ProtoArray::kNone;  // who has the amount now
  bool stale_ = true;                // viability changed since the last pass
  Stats stats_;
};

}  // namespace beamline::chain
