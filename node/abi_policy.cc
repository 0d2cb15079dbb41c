#include "node/abi_policy.h"

#include "chain/beacon_fork_choice.h"
#include "chain/lean/checkpoint_sync.h"

namespace beamline::node::abi {
namespace {

using chain::lean::LeanForkChoice;

uint64_t index_seed() { return Rng::from_system().next(); }

int32_t make_beacon(const bl_core_options& options, const BlockFormat& format,
                    const chain::ChainConfig& config, ChosenPolicy& chosen) {
  if (format.lean() || options.anchor_state_size > 0) return BL_INVALID_ARGUMENT;
  if (options.anchor_execution >= BL_EXECUTION_INVALID) return BL_INVALID_ARGUMENT;
  const Preset& preset = format.beacon_preset();
  const Epoch of_block = epoch_of(preset, config.anchor.slot);
  const Epoch epoch = options.anchor_epoch == 0 ? of_block : options.anchor_epoch;
  if (epoch < of_block || epoch > UINT32_MAX) return BL_INVALID_ARGUMENT;
  chain::BeaconConfig beacon;
  beacon.genesis_time = config.genesis_time;
  beacon.slot_duration = config.slot_duration;
  beacon.slots_per_epoch = preset.slots_per_epoch;
  beacon.seed = index_seed();
  const chain::BeaconForkChoice::Anchor anchor{
      .root = config.anchor.root,
      .slot = config.anchor.slot,
      .epoch = epoch,
      .execution = static_cast<chain::Execution>(options.anchor_execution),
      .payload_hash = root_of(options.anchor_payload_hash)};
  chosen.policy = std::make_unique<BeaconPolicy>(beacon, anchor);
  return BL_OK;
}

// The anchor's block: from its bytes, or that of a genesis state, whose body is empty.
Result<LeanBlock> anchor_block(const LeanTypes& types, const LeanState& state, const Root& root,
                               Bytes signed_block) {
  LeanBlock block;
  if (signed_block.empty()) {
    const LeanBlockHeader& header = state.latest_block_header;
    block.slot = header.slot;
    block.proposer_index = header.proposer_index;
    block.parent_root = header.parent_root;
    block.state_root = root;
    return block;
  }
  const auto view = types.parse(types.signed_block(), signed_block);
  if (!view) return std::unexpected(view.error());
  const Status decoded = ssz::decode_value(types.block(), view->field(0).bytes(), &block);
  if (!decoded) return std::unexpected(decoded.error());
  return block;
}

// What the host says of the anchor and of time says the same as its state, or nothing.
bool agrees(const bl_core_options& options, const LeanState& state,
            const chain::lean::StoreBlock& anchor) {
  constexpr uint64_t kMaxSeconds = INT64_MAX / 1'000'000'000 / 2;
  const uint64_t genesis = state.config.genesis_time;
  if (genesis > kMaxSeconds) return false;
  const Root root = root_of(options.anchor_root);
  return (root.is_zero() || root == anchor.root) &&
         (options.anchor_slot == 0 || options.anchor_slot == anchor.slot) &&
         (options.genesis_time_ms == 0 || options.genesis_time_ms == genesis * 1000);
}

int32_t make_lean(const bl_core_options& options, const BlockFormat& format, BlockClient& host,
                  chain::ChainConfig& config, ChosenPolicy& chosen) {
  const bool callbacks = options.import == BL_IMPORT_WORKERS && options.import_block == nullptr &&
                         options.import_block_result == nullptr;
  if (!format.lean() || !callbacks || options.anchor_state == nullptr ||
      config.slot_duration != chain::lean::kSlot) {
    return BL_INVALID_ARGUMENT;
  }
  const LeanTypes& types = format.lean_types();
  auto state = chain::lean::decode_checkpoint_state(
      types, Bytes(options.anchor_state, options.anchor_state_size));
  if (!state) return BL_MALFORMED;
  chain::lean::StateTransition transition(types);
  const auto state_root = transition.root_of(*state);
  if (!state_root) return BL_MALFORMED;
  const auto block =
      anchor_block(types, *state, *state_root, Bytes(options.anchor_bytes, options.anchor_size));
  if (!block) return BL_MALFORMED;
  const auto root = transition.root_of(*block);
  const LeanBlockHeader header = chain::lean::anchor_header(*state, *state_root);
  // Also whether a block that was not given had a body.
  if (!root || *root != transition.root_of(header)) return BL_INVALID_ARGUMENT;
  const uint64_t genesis_time = state->config.genesis_time;
  chain::lean::StoreBlock summary;
  summary.root = *root;
  summary.slot = block->slot;
  if (!agrees(options, *state, summary)) return BL_INVALID_ARGUMENT;
  const chain::lean::LeanForkChoiceConfig lean{.genesis_time = genesis_time, .seed = index_seed()};
  auto made = std::make_unique<LeanPolicy>(types, host, lean);
  if (!made->set_anchor(*block, std::move(*state))) return BL_INVALID_ARGUMENT;
  config.anchor.root = *root;
  config.genesis_time = WallTime{} + seconds(static_cast<int64_t>(genesis_time));
  chosen.client = made.get();
  chosen.policy = std::move(made);
  return BL_OK;
}

}  // namespace

int32_t choose_policy(const bl_core_options& options, const BlockFormat& format, BlockClient& host,
                      chain::ChainConfig& config, ChosenPolicy& chosen) {
  switch (options.fork_choice) {
    case BL_FORK_CHOICE_HIGHEST_SLOT:
      return BL_OK;
    case BL_FORK_CHOICE_BEACON:
      return make_beacon(options, format, config, chosen);
    case BL_FORK_CHOICE_LEAN:
      return make_lean(options, format, host, config, chosen);
    default:
      return BL_INVALID_ARGUMENT;
  }
}

}  // namespace beamline::node::abi
