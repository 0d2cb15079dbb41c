#include "chain/lean/fork_choice.h"

#include <algorithm>

namespace beamline::chain::lean {

LeanForkChoice::LeanForkChoice(const LeanTypes& types, const LeanForkChoiceConfig& config,
                               const StoreBlock& anchor)
    : hasher_(types),
      clock_(config.genesis_time),
      aggregator_(config.aggregator),
      validators_(anchor.validators),
      store_(anchor, config.limits, config.seed),
      limits_(config.limits) {}

void LeanForkChoice::on_tick(WallTime wall) {
  const Interval target = clock_.total_intervals(wall);
  if (target <= store_.time()) return;
  flush_body_votes();
  // Did the second interval of some slot begin?
  constexpr Interval kAggregation = 2;
  const auto begun = [](Interval time) {
    return (time + kIntervalsPerSlot - kAggregation) / kIntervalsPerSlot;
  };
  aggregation_due_ |= aggregator_ && begun(target) != begun(store_.time());
  const bool proposes = proposal_slot_ && SlotClock::interval_of(*proposal_slot_) == target;
  store_.on_tick(target, proposes);
}

std::optional<WallTime> LeanForkChoice::next_tick() const {
  return clock_.begin_of(store_.time() + 1);
}

Status LeanForkChoice::on_block(const Block& block) {
  flush_body_votes();
  return store_.on_block({.root = block.root,
                          .parent_root = block.parent_root,
                          .slot = block.slot,
                          .proposer = block.proposer,
                          .justified = checkpoint_of(block.post.justified),
                          .finalized = checkpoint_of(block.post.finalized),
                          .validators = validators_},
                         {});
}

LeanAttestationData LeanForkChoice::data_of(const chain::Vote& vote) {
  return {.slot = vote.slot,
          .head = {.root = vote.head_root, .slot = vote.head_slot},
          .target = checkpoint_of(vote.target),
          .source = checkpoint_of(vote.source)};
}

VoteResult LeanForkChoice::refused(const Error& error, const LeanAttestationData& data) const {
  if (is(error, Rejection::unknown_head_block)) return VoteResult::unknown_block;
  if (is(error, Rejection::attestation_too_far_in_future)) return VoteResult::too_early;
  // The head is here but not the source or the target: they lie before our anchor or what was
  // pruned, or else on no chain of this head.
  const bool unknown =
      is(error, Rejection::unknown_source_block) || is(error, Rejection::unknown_target_block);
  if (!unknown) return VoteResult::inconsistent;
  if (!store_.contains(data.head.root)) return VoteResult::unknown_block;
  const Slot first = store_.tree().slot(store_.tree().first());
  const Slot missing = store_.contains(data.source.root) ? data.target.slot : data.source.slot;
  return missing < first ? VoteResult::too_late : VoteResult::inconsistent;
}

VoteResult LeanForkChoice::judge(const chain::Vote& vote, ValidatorSet& voters) const {
  for (const ValidatorIndex validator : vote.validators) {
    if (validator >= validators_) return VoteResult::inconsistent;
    voters.insert(validator);
  }
  if (voters.empty() || (!vote.aggregate && vote.validators.size() != 1)) {
    return VoteResult::inconsistent;
  }
  const LeanAttestationData data = data_of(vote);
  const Status status = store_.check_aggregate(data, voters);
  return status ? VoteResult::applied : refused(status.error(), data);
}

VoteResult LeanForkChoice::check_vote(const chain::Vote& vote) const {
  ValidatorSet voters;
  const VoteResult result = judge(vote, voters);
  if (result != VoteResult::applied) return result;
  // Here already? Then its proof need not be verified again.
  const Root root = hasher_.root_of(data_of(vote));
  if (!vote.aggregate) {
    const SignaturePool::Entry* const entry = store_.signatures().find(root);
    const bool known = entry != nullptr && entry->content.contains(vote.validators.front());
    return known ? VoteResult::not_newer : VoteResult::applied;
  }
  for (const ProofPool* pool : {&store_.pending_proofs(), &store_.counted_proofs()}) {
    const ProofPool::Entry* const entry = pool->find(root);
    if (entry == nullptr) continue;
    const bool known = std::ranges::any_of(
        entry->content.list, [&](const Proof& proof) { return proof.voters == voters; });
    if (known) return VoteResult::not_newer;
  }
  return VoteResult::applied;
}

VoteResult LeanForkChoice::on_vote(const chain::Vote& vote, bool in_block) {
  const LeanAttestationData data = data_of(vote);
  if (in_block) {
    body_votes_.push_back({hasher_.root_of(data), data});
    return VoteResult::applied;
  }
  flush_body_votes();
  ValidatorSet voters;
  if (const VoteResult result = judge(vote, voters); result != VoteResult::applied) return result;
  if (!vote.aggregate && !aggregator_) return VoteResult::applied;  // for others to aggregate
  const Vote keyed{hasher_.root_of(data), data};
  Status status;
  if (vote.aggregate) {
    Result<Proof> proof = Proof::make(voters.to_bitlist(), vote.proof);
    if (!proof) return VoteResult::inconsistent;
    status = store_.add_proof(keyed, *proof);
    if (status) note(keyed, *proof);
  } else {
    status = store_.add_signature(keyed, vote.validators.front(), vote.proof);
  }
  return status ? VoteResult::applied : VoteResult::too_many;
}

void LeanForkChoice::flush_body_votes() {
  if (body_votes_.empty()) return;
  store_.seed_votes(body_votes_);
  body_votes_.clear();
}

ForkChoice::Head LeanForkChoice::head() {
  flush_body_votes();
  return {.root = store_.head(), .slot = store_.head_slot()};
}
Checkpoint LeanForkChoice::justified() const { return checkpoint_of(store_.latest_justified()); }
Checkpoint LeanForkChoice::finalized() const { return checkpoint_of(store_.latest_finalized()); }

Result<Proposal> LeanForkChoice::prepare_proposal(Slot slot, ValidatorIndex proposer) {
  flush_body_votes();
  return store_.prepare_proposal(slot, proposer);
}

LeanAttestationData LeanForkChoice::attestation_data(Slot slot) {
  flush_body_votes();
  return store_.attestation_data(slot);
}

std::vector<Aggregation> LeanForkChoice::take_aggregations() {
  aggregation_due_ = false;
  flush_body_votes();
  return store_.aggregations();
}

void LeanForkChoice::finish_aggregations(std::span<const std::pair<Vote, Proof>> aggregates) {
  store_.finish_aggregations(aggregates);
  for (const auto& [vote, proof] : aggregates) note(vote, proof);
}

}  // namespace beamline::chain::lean
