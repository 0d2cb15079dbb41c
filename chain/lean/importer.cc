#include "chain/lean/importer.h"

#include <utility>

#include "chain/lean/checkpoint_sync.h"
#include "chain/lean/fork_choice.h"

namespace beamline::chain::lean {
namespace {

uint64_t memory_of(const LeanState& state) {
  return sizeof(LeanState) + state.historical_block_hashes.size() * sizeof(Root) +
         state.validators.size() * sizeof(LeanValidator) +
         state.justifications_roots.size() * sizeof(Root) + state.justified_slots.bits.size() +
         state.justifications_validators.bits.size();
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

PostState Imported::post() const { return post_state_of(summary); }

ImportVerdict Imported::event(ImportId id) const {
  ImportVerdict event;
  event.import = id;
  event.verdict = verdict;
  if (verdict != Verdict::valid) return event;
  event.post = post();
  event.votes = votes;
  event.state = state;
  return event;
}

Importer::Importer(const LeanTypes& types, Verifier* verifier, const ImporterLimits& limits)
    : types_(types), verifier_(verifier), limits_(limits), transition_(types) {
  BL_CHECK(limits.states > 1 && limits.blocks > 0);
}

Result<StoreBlock> Importer::add_anchor(const LeanBlock& block, LeanState state) {
  if (Status status = verify_anchor(transition_, state, block); !status) {
    return std::unexpected(status.error());
  }
  Result<StoreBlock> added = add_own(block, std::move(state));
  if (added) base_ = added->root;
  return added;
}

bool Importer::set_base(const Root& root) {
  if (find_state(root) == nullptr) return false;
  base_ = root;
  return true;
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
  return {.verdict = verdict, .why = error, .summary = {}, .votes = {}, .state = {}};
}

Result<LeanBlock> Importer::decode(const Root& root, Bytes signed_block, Bytes& proof) {
  const Result<ssz::View> view = types_.parse(types_.signed_block(), signed_block);
  if (!view) return std::unexpected(view.error());
  LeanBlock block;
  if (Status status = ssz::decode_value(types_.block(), view->field(0).bytes(), &block); !status) {
    return std::unexpected(status.error());
  }
  const Result<Root> hashed = transition_.root_of(block);
  if (!hashed) return std::unexpected(hashed.error());
  if (*hashed != root) return bad_input(Code::mismatch, "root");
  proof = view->field(1).field(0).bytes();
  return block;
}

Imported Importer::import(const Root& root, Bytes signed_block) {
  Bytes proof;
  const Result<LeanBlock> block = decode(root, signed_block, proof);
  if (!block) {
    ++stats_.undecodable;
    return refuse(Verdict::invalid_bytes, block.error());
  }
  const Kept* const parent = find_state(block->parent_root);
  if (parent == nullptr) {
    ++stats_.no_state;
    return refuse(Verdict::try_again, error_of(Rejection::unknown_parent_block));
  }
  const LeanState& before = parent->state;
  if (Status status = check_signers(*block, before.validators.size()); !status) {
    return refuse(Verdict::invalid_block, status.error());
  }
  // Before the transition: the proof is not part of the root, so a wrong one is its sender's fault
  // and says nothing of the block.
  if (verifier_ != nullptr && !verifier_->verify_block(before, *block, root, proof)) {
    ++stats_.bad_proofs;
    return refuse(Verdict::invalid_bytes, error_of(Rejection::invalid_block_proof));
  }
  Result<LeanState> post = transition_.apply(before, *block, &parent->state_root);
  if (!post) {
    const bool ours = post.error().fault == Fault::local;
    return refuse(ours ? Verdict::try_again : Verdict::invalid_block, post.error());
  }
  Imported imported{.verdict = Verdict::valid, .why = {}, .summary = {}, .votes = {}, .state = {}};
  for (const LeanAggregatedAttestation& attestation : block->body.attestations) {
    imported.votes.push_back(vote_of(attestation.data));
  }
  const uint64_t every = limits_.state_every;
  if (every != 0 && block->slot / every != before.slot / every) {
    imported.state = encode_state(*post);
  }
  imported.summary = keep(root, *block, *std::move(post));
  ++stats_.imported;
  return imported;
}

const Importer::Kept* Importer::find_state(const Root& root) {
  const auto it = states_.find(root);
  if (it == states_.end()) return replay(root);
  Kept& kept = it->second;
  by_use_.erase({kept.used, root});
  kept.used = ++uses_;
  by_use_.emplace(kept.used, root);
  return &kept;
}

// From the nearest ancestor whose state is here, over blocks that were imported before.
const Importer::Kept* Importer::replay(const Root& root) {
  std::vector<const LeanBlock*> path;
  Root at = root;
  for (; !states_.contains(at); at = path.back()->parent_root) {
    const auto it = blocks_.find(at);
    if (it == blocks_.end() || path.size() == limits_.replay) return nullptr;
    path.push_back(&it->second);
  }
  const Kept& from = states_.at(at);
  Result<LeanState> state = from.state;
  Root state_root = from.state_root;
  for (; !path.empty(); path.pop_back()) {
    state = transition_.apply(*state, *path.back(), &state_root);
    if (!state) return nullptr;
    state_root = path.back()->state_root;
    ++stats_.replayed;
  }
  put_state(root, state_root, *std::move(state));
  return &states_.at(root);
}

StoreBlock Importer::keep(const Root& root, const LeanBlock& block, LeanState post) {
  const StoreBlock summary{.root = root,
                           .parent_root = block.parent_root,
                           .slot = block.slot,
                           .proposer = block.proposer_index,
                           .justified = post.latest_justified,
                           .finalized = post.latest_finalized,
                           .validators = static_cast<uint32_t>(post.validators.size())};
  put_state(root, block.state_root, std::move(post));
  erase_block(root);
  if (blocks_.size() >= limits_.blocks) {
    erase_block(Root(by_slot_.begin()->second));
    ++stats_.blocks_evicted;
  }
  by_slot_.emplace(block.slot, root);
  blocks_.emplace(root, block);
  return summary;
}

void Importer::put_state(const Root& root, const Root& state_root, LeanState state) {
  const uint64_t bytes = memory_of(state);
  erase_state(root);
  while (states_.size() >= limits_.states || bytes_ + bytes > limits_.state_bytes) {
    auto oldest = by_use_.begin();
    if (oldest != by_use_.end() && oldest->second == base_) ++oldest;
    if (oldest == by_use_.end()) break;
    erase_state(Root(oldest->second));
    ++stats_.evicted;
  }
  states_.emplace(root, Kept{std::move(state), state_root, bytes, ++uses_});
  by_use_.emplace(uses_, root);
  bytes_ += bytes;
}

void Importer::erase_state(const Root& root) {
  const auto it = states_.find(root);
  if (it == states_.end()) return;
  bytes_ -= it->second.bytes;
  by_use_.erase({it->second.used, root});
  states_.erase(it);
}

void Importer::erase_block(const Root& root) {
  const auto it = blocks_.find(root);
  if (it == blocks_.end()) return;
  by_slot_.erase({it->second.slot, root});
  blocks_.erase(it);
}

void Importer::forget(std::span<const Root> roots) {
  for (const Root& root : roots) {
    erase_state(root);
    erase_block(root);
  }
}

const LeanState* Importer::state(const Root& root) const {
  const auto it = states_.find(root);
  return it == states_.end() ? nullptr : &it->second.state;
}

const LeanState* Importer::make_state(const Root& root) {
  const Kept* const kept = find_state(root);
  return kept == nullptr ? nullptr : &kept->state;
}

}  // namespace beamline::chain::lean
