#include "chain/lean/transition.h"

#include <utility>

#include "chain/lean/config.h"

namespace beamline::chain::lean {
namespace {

// Makes the flags long enough for this slot; new ones are not set. REQUIRES: the length that it
// takes is within the limit of the type.
void extend_to_slot(ssz::Bitlist& justified, Slot finalized, Slot slot) {
  if (slot <= finalized) return;
  const auto length = static_cast<size_t>(slot - finalized);
  if (length <= justified.length) return;
  justified.bits.resize((length + 7) / 8, 0);
  justified.length = length;
}

}  // namespace

LeanState make_genesis(const LeanTypes& types, uint64_t genesis_time,
                       std::span<const LeanValidator> validators) {
  ssz::Hasher hasher;
  const LeanBlockBody body;
  LeanState state;
  state.config.genesis_time = genesis_time;
  state.latest_block_header.body_root = *ssz::root_of_value(types.block_body(), &body, hasher);
  state.validators.assign(validators.begin(), validators.end());
  return state;
}

Result<Root> StateTransition::root_of(const LeanState& state) {
  return state_hasher_.root_of(state, hasher_);
}
Result<Root> StateTransition::root_of(const LeanBlock& block) {
  return ssz::root_of_value(types_.block(), &block, hasher_);
}
Root StateTransition::root_of(const LeanBlockHeader& header) {
  return *ssz::root_of_value(types_.block_header(), &header, hasher_);
}
Root StateTransition::root_of(const LeanAttestationData& data) {
  return *ssz::root_of_value(types_.attestation_data(), &data, hasher_);
}

Result<LeanState> StateTransition::apply(const LeanState& parent, const LeanBlock& block,
                                         const Root* parent_state_root) {
  LeanState state = parent;
  if (Status status = process_slots(state, block.slot, parent_state_root); !status) {
    return std::unexpected(status.error());
  }
  if (Status status = process_block(state, block); !status) {
    return std::unexpected(status.error());
  }
  const Result<Root> root = root_of(state);
  if (!root) return std::unexpected(root.error());
  if (*root != block.state_root) return reject(Rejection::state_root_mismatch);
  return state;
}

Status StateTransition::process_slots(LeanState& state, Slot target, const Root* state_root) {
  if (state.slot >= target) return reject(Rejection::block_slot_not_in_future);
  // The header's state root is filled in the first slot after its block; later ones change nothing
  // but the number.
  if (state.latest_block_header.state_root.is_zero()) {
    if (state_root != nullptr) {
      state.latest_block_header.state_root = *state_root;
    } else {
      const Result<Root> root = root_of(state);
      if (!root) return std::unexpected(root.error());
      state.latest_block_header.state_root = *root;
    }
  }
  state.slot = target;
  return {};
}

Status StateTransition::process_block(LeanState& state, const LeanBlock& block) {
  if (Status status = process_block_header(state, block); !status) return status;
  return process_attestations(state, block.body.attestations);
}

Status StateTransition::process_block_header(LeanState& state, const LeanBlock& block) {
  const LeanBlockHeader parent = state.latest_block_header;
  if (block.slot != state.slot) return reject(Rejection::block_slot_mismatch);
  if (block.slot <= parent.slot) return reject(Rejection::block_older_than_latest_header);
  if (state.validators.empty()) return reject(Rejection::empty_validator_registry);
  if (block.proposer_index != proposer_for(state.slot, state.validators.size())) {
    return reject(Rejection::wrong_proposer);
  }
  const Root parent_root = root_of(parent);
  if (block.parent_root != parent_root) return reject(Rejection::parent_root_mismatch);

  // Room in the history and the flags, before anything grows.
  const uint64_t step = block.slot - parent.slot;
  const size_t known = state.historical_block_hashes.size();
  if (known > kHistoricalRootsLimit || step > kHistoricalRootsLimit - known) {
    return reject(Rejection::history_too_long);
  }
  // The first block after genesis makes it justified and finalised.
  if (parent.slot == 0) {
    state.latest_justified = {.root = parent_root, .slot = 0};
    state.latest_finalized = {.root = parent_root, .slot = 0};
  }
  const Slot finalized = state.latest_finalized.slot;
  if (block.slot > finalized && block.slot - finalized > kHistoricalRootsLimit) {
    return reject(Rejection::history_too_long);
  }

  const Result<Root> body_root = ssz::root_of_value(types_.block_body(), &block.body, hasher_);
  if (!body_root) return std::unexpected(body_root.error());

  state.historical_block_hashes.reserve(known + static_cast<size_t>(step));
  state.historical_block_hashes.push_back(parent_root);
  state.historical_block_hashes.resize(known + static_cast<size_t>(step));
  extend_to_slot(state.justified_slots, finalized, block.slot - 1);
  state.latest_block_header = {.slot = block.slot,
                               .proposer_index = block.proposer_index,
                               .parent_root = block.parent_root,
                               .state_root = {},
                               .body_root = *body_root};
  return {};
}

}  // namespace beamline::chain::lean
