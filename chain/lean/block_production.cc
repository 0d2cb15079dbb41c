#include "chain/lean/block_production.h"

#include <algorithm>

#include "chain/lean/justifiability.h"

namespace beamline::chain::lean {
namespace {

// Rounds of choosing: a vote needs a justified source, and votes justify.
class Builder {
 public:
  Builder(StateTransition& transition, const LeanState& advanced, const Proposal& proposal)
      : transition_(transition), advanced_(advanced), proposal_(proposal) {
    for (size_t i = 0; i < proposal.candidates.size(); ++i) {
      in_order_.push_back({proposal.candidates[i].vote.data.target.slot, i});
    }
    std::ranges::sort(in_order_);
  }

  Status choose(const LeanState& parent);
  // The candidates that were chosen, in that order, those without a proof left out; and their
  // proofs.
  struct Choice {
    const Vote* vote;
    std::vector<const Proof*> proofs;
  };
  const std::vector<Choice>& choices() const { return choices_; }
  LeanBlock block_of(std::vector<LeanAggregatedAttestation> attestations) const;

 private:
  Result<bool> is_eligible(const LeanAttestationData& data) const;
  Result<bool> pass();

  StateTransition& transition_;
  const LeanState& advanced_;
  const Proposal& proposal_;
  std::vector<std::pair<Slot, size_t>> in_order_;  // of the target; place in the proposal
  std::vector<const Proposal::Candidate*> used_;
  std::vector<Choice> choices_;
  // The chain as this block will see it.
  std::pmr::vector<Root> history_;
  LeanCheckpoint justified_;
  Slot finalized_ = 0;
  ssz::Bitlist flags_;
};

LeanBlock Builder::block_of(std::vector<LeanAggregatedAttestation> attestations) const {
  return {.slot = proposal_.slot,
          .proposer_index = proposal_.proposer,
          .parent_root = proposal_.parent_root,
          .state_root = {},
          .body = {.attestations = std::move(attestations)}};
}

Result<bool> Builder::is_eligible(const LeanAttestationData& data) const {
  if (data.source.slot != justified_.slot || !lies_on_chain(data, history_)) return false;
  const Result<bool> source = is_slot_justified(flags_, finalized_, data.source.slot);
  if (!source || !*source) return source;
  // A vote for genesis itself justifies nothing, but it has weight for the head.
  if (data.source.slot == 0 && data.target.slot == 0) return true;
  const Result<bool> target = is_slot_justified(flags_, finalized_, data.target.slot);
  if (!target) return target;
  return !*target;
}

// Goes over all candidates once. Whether it took one.
Result<bool> Builder::pass() {
  bool found = false;
  for (const auto& [slot, place] : in_order_) {
    const Proposal::Candidate* const candidate = &proposal_.candidates[place];
    if (used_.size() >= kMaxAttestationsData) break;
    if (std::ranges::find(used_, candidate) != used_.end()) continue;
    const Result<bool> eligible = is_eligible(candidate->vote.data);
    if (!eligible) return eligible;
    if (!*eligible) continue;
    used_.push_back(candidate);
    found = true;
    Choice choice{.vote = &candidate->vote, .proofs = {}};
    ValidatorSet covered;
    select_proofs(candidate->proofs, choice.proofs, covered);
    if (!choice.proofs.empty()) choices_.push_back(std::move(choice));
  }
  return found;
}

Status Builder::choose(const LeanState& parent) {
  // The header of genesis makes its block justified; the state before does not say so yet.
  const LeanBlockHeader& header = parent.latest_block_header;
  justified_ = header.slot == 0 ? LeanCheckpoint{.root = proposal_.parent_root, .slot = 0}
                                : parent.latest_justified;
  finalized_ = parent.latest_finalized.slot;
  // A trial block without votes brings the history and the flags to this slot.
  LeanState trial = advanced_;
  if (Status status = transition_.process_block(trial, block_of({})); !status) return status;
  history_ = std::move(trial.historical_block_hashes);
  flags_ = trial.justified_slots;

  for (;;) {
    const Result<bool> found = pass();
    if (!found) return std::unexpected(found.error());
    if (!*found) return {};
    std::vector<LeanAggregatedAttestation> attestations;
    for (const Choice& choice : choices_) {
      for (const Proof* proof : choice.proofs) {
        attestations.push_back({proof->participants, choice.vote->data});
      }
    }
    trial = advanced_;
    const Status status = transition_.process_block(trial, block_of(std::move(attestations)));
    if (!status) return status;
    if (trial.latest_justified == justified_ && trial.latest_finalized.slot == finalized_) {
      return {};
    }
    justified_ = trial.latest_justified;
    finalized_ = trial.latest_finalized.slot;
    flags_ = trial.justified_slots;
  }
}

Result<Proof> merge(const Builder::Choice& choice, Prover* prover) {
  if (choice.proofs.size() == 1 || prover == nullptr) return *choice.proofs.front();
  Aggregation aggregation{.vote = *choice.vote, .children = {}, .signatures = {}};
  for (const Proof* proof : choice.proofs) aggregation.children.push_back(*proof);
  return aggregate(*prover, aggregation);
}

}  // namespace

Result<ProducedBlock> produce_block(StateTransition& transition, const LeanState& parent,
                                    const Proposal& proposal, Prover* prover) {
  LeanState advanced = parent;
  if (Status status = transition.process_slots(advanced, proposal.slot); !status) {
    return std::unexpected(status.error());
  }
  Builder builder(transition, advanced, proposal);
  if (Status status = builder.choose(parent); !status) return std::unexpected(status.error());

  ProducedBlock produced;
  std::vector<LeanAggregatedAttestation> attestations;
  for (const Builder::Choice& choice : builder.choices()) {
    Result<Proof> proof = merge(choice, prover);
    if (!proof) return std::unexpected(proof.error());
    attestations.push_back({proof->participants, choice.vote->data});
    produced.proofs.push_back(*std::move(proof));
  }
  produced.block = builder.block_of(std::move(attestations));
  produced.post = std::move(advanced);
  if (Status status = transition.process_block(produced.post, produced.block); !status) {
    return std::unexpected(status.error());
  }
  const Result<Root> root = transition.root_of(produced.post);
  if (!root) return std::unexpected(root.error());
  produced.block.state_root = *root;
  return produced;
}

}  // namespace beamline::chain::lean
