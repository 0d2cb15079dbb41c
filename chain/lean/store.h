// Lean's fork choice (leanSpec, forks/lstar/fork_choice.py, timeline.py, validator_duties.py): the
// block tree with its votes, the head from the latest justified block, the safe target, and what
// finality says of the head's chain.
//
// Sans-IO and deterministic; one owner. It knows of a block what its post-state says (a summary
// that a worker computed) and never the state; signatures and proofs are verified by the caller
// between a check_*() and the add_*() that follows.
//
//   gossip   check_attestation / check_aggregate -> verify -> add_signature / add_proof (pending)
//   block    transition on a worker              -> on_block
//   time     on_tick: at interval 0 (with a proposal) and 4 pending votes begin to count, at 2 an
//            aggregator proves, at 3 the safe target moves
//
// latest_finalized() is what the head's chain says: with another head it may go back, so nothing is
// removed at once; see prune(). Copies are whole and independent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "chain/lean/rejection.h"
#include "chain/lean/vote_pool.h"
#include "chain/proto_array.h"

namespace beamline::chain::lean {

struct StoreLimits {
  uint32_t blocks = kHistoricalRootsLimit;
  uint32_t votes = 4096;  // in each pool
  uint32_t proofs_per_vote = 64;
  uint64_t proof_bytes = 256u << 20;  // in each pool
  uint64_t signature_bytes = 64u << 20;
  uint64_t kept_slots = 3600;  // below the finalised slot, before a block may be pruned
};

struct StoreStats {
  uint64_t blocks = 0;
  uint64_t blocks_refused = 0;  // no room
  uint64_t blocks_pruned = 0;
  uint64_t signatures = 0;
  uint64_t proofs = 0;
  uint64_t votes_refused = 0;  // no room in a pool
  uint64_t votes_evicted = 0;  // of the counted pool, to make room
  uint64_t votes_pruned = 0;   // their head is no longer above the finalised block
  uint64_t head_changes = 0;
  uint64_t reorgs = 0;  // the new head does not build on the old one
  uint64_t finalized_went_back = 0;
  uint64_t intervals_skipped = 0;  // by a jump of the clock, with nothing to do in them
  uint64_t proofs_failed = 0;      // the prover could not
};

// A block, as fork choice needs it: its header, and from its post-state the checkpoints and how
// many validators there are.
struct StoreBlock {
  Root root;
  Root parent_root;
  Slot slot = 0;
  ValidatorIndex proposer = 0;
  LeanCheckpoint justified;
  LeanCheckpoint finalized;
  uint32_t validators = 0;
};

// What a proposer builds on, and the votes that it may put into the block.
struct Proposal {
  struct Candidate {
    Vote vote;
    std::vector<Proof> proofs;
  };
  Slot slot = 0;
  ValidatorIndex proposer = 0;
  Root parent_root;
  std::vector<Candidate> candidates;  // in the order of the pool
};

class Store {
 public:
  // Starts from a trusted block, which is justified and finalised by that.
  // REQUIRES: anchor.validators <= kValidatorRegistryLimit.
  explicit Store(const StoreBlock& anchor, const StoreLimits& limits = {}, uint64_t seed = 0);

  // Moves the clock, interval by interval; one that is not ahead changes nothing. Only the last
  // interval has a proposal. With a prover this node aggregates; the aggregates of all intervals
  // are appended to `aggregates`, for publishing. After a jump the intervals between, in which
  // nothing can happen, are skipped.
  void on_tick(Interval target, bool has_proposal, Prover* prover = nullptr,
               std::vector<std::pair<Vote, Proof>>* aggregates = nullptr);

  // A verified block. A block that is here is taken again without effect. `votes`: its body's, in
  // their order, each once; they count only with a proof. Refused: UNKNOWN_PARENT_BLOCK;
  // FORKS_OFF_BELOW_FLOOR;  // INCONSISTENT_STATE (a summary that its branch contradicts);
  // Code::full.
  Status on_block(const StoreBlock& block, std::span<const Vote> votes);

  // The votes of the last block's body where they were not given with it.
  void seed_votes(std::span<const Vote> votes);

  // The laws of time and topology, and that the validator is known. Signatures are not looked at.
  Status check_data(const LeanAttestationData& data) const;
  Status check_attestation(const LeanAttestationData& data, ValidatorIndex validator) const;
  Status check_aggregate(const LeanAttestationData& data, const ValidatorSet& voters) const;

  // REQUIRES of all three: the check passed on this store, and signature or proof are good.
  // Of a second signature of a validator for the same vote the first is kept. Code::full.
  Status add_signature(const Vote& vote, ValidatorIndex validator, const SharedBytes& signature);
  Status add_proof(const Vote& vote, const Proof& proof);
  // Counts at once, from the next look for the head on.
  Status add_counted_proof(const Vote& vote, const Proof& proof);

  // For an aggregator whose prover runs elsewhere, at interval 2: what there is to prove, and later
  // what came of it, which takes the place of all pending proofs.
  std::vector<Aggregation> aggregations() const;
  void finish_aggregations(std::span<const std::pair<Vote, Proof>> aggregates);

  // The steps of on_tick. accept_votes() also looks for the head.
  void accept_votes();
  void update_safe_target();
  void update_head();

  Interval time() const { return time_; }
  const Root& head() const { return array_.root(head_); }
  Slot head_slot() const { return array_.slot(head_); }
  // The last one that was set; its block may be pruned by now.
  const LeanCheckpoint& safe_target() const { return safe_target_; }
  const LeanCheckpoint& latest_justified() const { return latest_justified_; }
  const LeanCheckpoint& latest_finalized() const { return latest_finalized_; }
  bool contains(const Root& root) const { return array_.contains(root); }
  // Nothing if it is not here.
  std::optional<StoreBlock> block(const Root& root) const;
  const ProtoArray& tree() const { return array_; }

  // What a validator should vote for now: at most three blocks below the head while the safe target
  // lags, at a justifiable slot.
  LeanCheckpoint attestation_target() const;
  LeanAttestationData attestation_data(Slot slot) const;
  // Moves the clock to the slot, counts all pending votes, and says what to build. WRONG_PROPOSER.
  Result<Proposal> prepare_proposal(Slot slot, ValidatorIndex proposer);

  // The votes on or above each block, as they count now; the head is not looked for.
  uint64_t weight(const Root& root);
  void refresh_weights();

  // Removes what no head can come to again, and appends the roots: what does not build on the
  // finalised block's ancestor `kept_slots` below it, and the past that no state above names any
  // more. What is finalised now and then goes back is still here.
  void prune(std::vector<Root>& removed);
  // A block on a parent below this slot is refused (FORKS_OFF_BELOW_FLOOR); 0 until something was
  // pruned.
  Slot floor() const { return floor_.slot; }
  // The block at it; zero until then.
  const Root& floor_root() const { return floor_.root; }

  const SignaturePool& signatures() const { return signatures_; }
  const ProofPool& pending_proofs() const { return new_proofs_; }
  const ProofPool& counted_proofs() const { return known_proofs_; }
  const StoreStats& stats() const { return stats_; }

 private:
  using Id = ProtoArray::Id;
  struct Summary {
    Root parent_root;
    ValidatorIndex proposer = 0;
    LeanCheckpoint justified;
    LeanCheckpoint finalized;
    uint32_t validators = 0;
  };
  // Validators whose latest vote is for a node. In a list of them no validator counts twice; a node
  // may.
  struct Support {
    Id node = ProtoArray::kNone;
    uint32_t validators = 0;
    friend bool operator==(const Support&, const Support&) = default;
  };
  struct Ranked {
    Slot slot = 0;
    int64_t place = 0;
    const ProofPool::Entry* entry = nullptr;
  };

  const Summary& summary(Id id) const { return summaries_[array_.at(id)]; }
  Id known(const Root& root) const { return array_.find(root); }
  bool is_ancestor(const LeanCheckpoint& ancestor, const LeanCheckpoint& descendant) const;
  void tick_interval(bool has_proposal, Prover* prover,
                     std::vector<std::pair<Vote, Proof>>* aggregates);
  void run_prover(Prover& prover, std::vector<std::pair<Vote, Proof>>* aggregates);
  void count_votes(const ProofPool& pool, std::vector<Support>& support);
  void update_finalized();
  void prune_votes();
  bool is_stale(const LeanAttestationData& data) const;
  void remember_cut_heads(const std::vector<bool>& kept);
  void forget_cut_heads();
  void lead_with(std::span<const Vote> votes);
  void make_room_for_counted(size_t votes);
  bool put(ProofPool& pool, const Vote& vote, const Proof& proof, uint64_t& bytes);
  void count_bytes();

  StoreLimits limits_;
  StoreStats stats_;
  Interval time_ = 0;
  ProtoArray array_;
  std::vector<Summary> summaries_;  // by array_.at(id)
  Id head_ = 0;
  LeanCheckpoint safe_target_;
  LeanCheckpoint floor_;
  // Of votes that are kept, whose head was pruned: where its branch left what is kept.
  std::map<Root, LeanCheckpoint> cut_heads_;
  LeanCheckpoint latest_justified_;
  LeanCheckpoint latest_finalized_;
  SignaturePool signatures_;
  ProofPool new_proofs_;
  ProofPool known_proofs_;
  uint64_t signature_bytes_ = 0;
  uint64_t new_bytes_ = 0;
  uint64_t known_bytes_ = 0;
  std::vector<Support> applied_;  // what the weights in array_ stand for
  std::vector<Support> scratch_;
  std::vector<Ranked> ranked_;  // scratch of count_votes()
  ProtoArray::Count count_;
};

}  // namespace beamline::chain::lean
