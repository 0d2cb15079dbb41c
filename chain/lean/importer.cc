#include "chain/lean/importer.h"

#include <utility>

#include "chain/lean/checkpoint_sync.h"

namespace beamline::chain::lean {
namespace {

uint64_t memory_of(const LeanState& state) {
  return sizeof(LeanState) + state.historical_block_hashes.size() * sizeof(Root) +
         state.validators.size() * sizeof(LeanValidator) +
         state.justifications_roots.size() * sizeof(Root) + state.justified_slots.bits.size() +
         state.justifications_validators.bits.size();
}

Checkpoint checkpoint_of(const LeanCheckpoint& checkpoint) {
  return {.number = checkpoint.slot, .root = checkpoint.root};
}

chain::Vote vote_of(const LeanAttestationData& data) {
  chain::Vote vote;
  vote.slot = data.slot;
  vote.head_root = data.head.root;
  vote.head_slot = data.head.slot;
  vote.source = checkpoint_of(data.source);
  vote.target = checkpoint_of(data.target);
  vote.aggregate = true;
  return vote;
}

}  // namespace

PostState Imported::post() const {
  PostState post;
  post.justified = post.unrealized_justified = checkpoint_of(summary.justified);
  post.finalized = post.unrealized_finalized = checkpoint_of(summary.finalized);
  return post;
}

ImportVerdict Imported::event(ImportId id) const {
  ImportVerdict event;
  event.import = id;
  event.verdict = verdict;
  if (verdict != Verdict::valid) return event;
  event.post = post();
  event.votes = votes;
  return event;
}

Importer::Importer(const LeanTypes& types, Verifier* verifier, const ImporterLimits& limits)
    : types_(types), verifier_(verifier), limits_(limits), transition_(types) {
  BL_CHECK(limits.states > 0);
}

Result<StoreBlock> Importer::add_anchor(const LeanBlock& block, LeanState state) {
  if (Status status = verify_anchor(transition_, state, block); !status) {
    return std::unexpected(status.error());
  }
  return add_own(block, std::move(state));
}

Result<StoreBlock> Importer::add_own(const LeanBlock& block, LeanState post) {
  const Result<Root> root = transition_.root_of(block);
  if (!root) return std::unexpected(root.error());
  return keep(*root, block, std::move(post));
}

Imported Importer::refuse(Verdict verdict, const Error& error) {
  for (uint8_t i = 0; i < kRejections; ++i) {
    if (is(error, static_cast<Rejection>(i))) ++stats_.rejected[i];
  }
  return {.verdict = verdict, .why = error, .summary = {}, .votes = {}};
}

Imported Importer::import(const Root& root, Bytes signed_block) {
  const Result<ssz::View> view = types_.parse(types_.signed_block(), signed_block);
  if (!view) {
    ++stats_.undecodable;
    return refuse(Verdict::invalid_bytes, view.error());
  }
  LeanBlock block;
  if (Status status = ssz::decode_value(types_.block(), view->field(0).bytes(), &block); !status) {
    ++stats_.undecodable;
    return refuse(Verdict::invalid_bytes, status.error());
  }
  const Bytes proof = view->field(1).field(0).bytes();
  if (const Result<Root> hashed = transition_.root_of(block); !hashed || *hashed != root) {
    ++stats_.undecodable;
    return refuse(Verdict::invalid_bytes, bad_input(Code::mismatch, "root").error());
  }
  const auto parent = states_.find(block.parent_root);
  if (parent == states_.end()) {
    ++stats_.no_state;
    return refuse(Verdict::try_again, error_of(Rejection::unknown_parent_block));
  }
  const LeanState& before = parent->second.state;
  if (Status status = check_signers(block, before.validators.size()); !status) {
    return refuse(Verdict::invalid_block, status.error());
  }
  // Before the transition: the proof is not part of the root, so a wrong one is its sender's fault
  // and says nothing of the block.
  if (verifier_ != nullptr && !verifier_->verify_block(before, block, root, proof)) {
    ++stats_.bad_proofs;
    return refuse(Verdict::invalid_bytes, error_of(Rejection::invalid_block_proof));
  }
  Result<LeanState> post = transition_.apply(before, block, &parent->second.state_root);
  if (!post) {
    const bool ours = post.error().fault == Fault::local;
    return refuse(ours ? Verdict::try_again : Verdict::invalid_block, post.error());
  }
  Imported imported{.verdict = Verdict::valid, .why = {}, .summary = {}, .votes = {}};
  for (const LeanAggregatedAttestation& attestation : block.body.attestations) {
    imported.votes.push_back(vote_of(attestation.data));
  }
  imported.summary = keep(root, block, *std::move(post));
  ++stats_.imported;
  return imported;
}

StoreBlock Importer::keep(const Root& root, const LeanBlock& block, LeanState post) {
  const StoreBlock summary{.root = root,
                           .parent_root = block.parent_root,
                           .slot = block.slot,
                           .proposer = block.proposer_index,
                           .justified = post.latest_justified,
                           .finalized = post.latest_finalized,
                           .validators = static_cast<uint32_t>(post.validators.size())};
  const uint64_t bytes = memory_of(post);
  erase(root);
  while (!states_.empty() &&
         (states_.size() >= limits_.states || bytes_ + bytes > limits_.state_bytes)) {
    erase(Root(by_slot_.begin()->second));
    ++stats_.evicted;
  }
  by_slot_.emplace(post.slot, root);
  states_.emplace(root, Kept{std::move(post), block.state_root, bytes});
  bytes_ += bytes;
  return summary;
}

void Importer::erase(const Root& root) {
  const auto it = states_.find(root);
  if (it == states_.end()) return;
  bytes_ -= it->second.bytes;
  by_slot_.erase({it->second.state.slot, root});
  states_.erase(it);
}

void Importer::forget(std::span<const Root> roots) {
  for (const Root& root : roots) erase(root);
}

const LeanState* Importer::state(const Root& root) const {
  const auto it = states_.find(root);
  return it == states_.end() ? nullptr : &it->second.state;
}

}  // namespace beamline::chain::lean
