#include "node/policy.h"

#include "chain/lean/checkpoint_sync.h"

namespace beamline::node {

using chain::BeaconForkChoice;
using chain::lean::LeanForkChoice;
using chain::lean::StoreBlock;

chain::StoreAnchor BeaconPolicy::anchor(const chain::BlockInfo& trusted) const {
  chain::StoreAnchor made(trusted);
  if (trusted.root != anchor_.root) made.block = {};
  made.block.root = anchor_.root;
  made.block.slot = anchor_.slot;
  chain::PostState& post = made.post;
  post.justified = post.finalized = {anchor_.epoch, anchor_.root};
  post.unrealized_justified = post.unrealized_finalized = post.justified;
  post.execution = anchor_.execution;
  post.payload_hash = anchor_.payload_hash;
  made.checkpoint = anchor_.epoch;
  return made;
}

Result<std::unique_ptr<chain::ForkChoice>> BeaconPolicy::begin() {
  return std::make_unique<BeaconForkChoice>(config_, anchor_);
}

Result<std::unique_ptr<chain::ForkChoice>> BeaconPolicy::resume(const chain::Recovered& found,
                                                                chain::Store&) {
  return std::make_unique<BeaconForkChoice>(config_, BeaconForkChoice::anchor_of(found, config_));
}

LeanPolicy::LeanPolicy(const LeanTypes& types, BlockClient& host,
                       const chain::lean::LeanForkChoiceConfig& config,
                       const chain::lean::ImporterLimits& limits)
    : types_(types), host_(host), config_(config), importer_(types, nullptr, limits) {}

Result<StoreBlock> LeanPolicy::set_anchor(const LeanBlock& block, LeanState state) {
  chain::lean::StateTransition& transition = importer_.transition();
  if (Status fits = chain::lean::verify_anchor(transition, state, block); !fits) {
    return std::unexpected(fits.error());
  }
  const Result<Root> root = transition.root_of(block);
  if (!root) return std::unexpected(root.error());
  anchor_ = {.root = *root,
             .parent_root = block.parent_root,
             .slot = block.slot,
             .proposer = block.proposer_index,
             .justified = state.latest_justified,
             .finalized = state.latest_finalized,
             .validators = static_cast<uint32_t>(state.validators.size())};
  anchor_block_ = block;
  anchor_state_ = std::move(state);
  return anchor_;
}

chain::StoreAnchor LeanPolicy::anchor(const chain::BlockInfo& trusted) const {
  BL_CHECK(anchor_state_);
  chain::StoreAnchor made(trusted);
  if (trusted.root != anchor_.root) made.block = {};
  made.block.root = anchor_.root;
  made.block.parent_root = anchor_.parent_root;
  made.block.slot = anchor_.slot;
  made.block.proposer = anchor_.proposer;
  made.post = chain::lean::post_state_of(anchor_);
  std::vector<uint8_t> state;
  if (ssz::encode_value(types_.state(), &*anchor_state_, state)) {
    made.state = SharedBytes::copy(state);
  }
  made.checkpoint = anchor_.slot;
  return made;
}

std::unique_ptr<chain::ForkChoice> LeanPolicy::make(const StoreBlock& start) {
  anchor_state_.reset();
  auto made = std::make_unique<LeanForkChoice>(types_, config_, start);
  fork_choice_ = made.get();
  return made;
}

Result<std::unique_ptr<chain::ForkChoice>> LeanPolicy::begin() {
  BL_CHECK(anchor_state_);
  const auto added = importer_.add_anchor(anchor_block_, *std::move(anchor_state_));
  if (!added) return std::unexpected(added.error());
  return make(*added);
}

// States are wanted down to the fork choice's floor.
Result<std::unique_ptr<chain::ForkChoice>> LeanPolicy::resume(const chain::Recovered& found,
                                                              chain::Store& store) {
  const Slot final_slot = found.finalized.number;
  const Slot floor = final_slot - std::min(final_slot, config_.limits.kept_slots);
  const Result<uint32_t> validators = importer_.restore(found, store, floor);
  if (!validators) return std::unexpected(validators.error());
  return make(chain::lean::store_block_of(found.anchor, *validators));
}

void LeanPolicy::end_of_turn() {
  const Root& floor = fork_choice_->store().floor_root();
  if (floor == last_floor_) return;
  last_floor_ = floor;
  floor_.write(floor);
}

chain::ImportVerdict LeanPolicy::import(const chain::BlockInfo& block, chain::Origin) {
  const std::lock_guard lock(mutex_);
  const Root floor = floor_.read();
  if (!floor.is_zero() && floor != base_ && importer_.set_base(floor)) base_ = floor;
  return importer_.import(block.root, block.signed_bytes).event(0);
}

}  // namespace beamline::node
