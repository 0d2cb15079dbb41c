// Starting from a state that somebody else finalised (leanSpec, node/sync/checkpoint_sync.py, and
// forks/lstar/fork_choice.py, create_store): is it one that fork choice can start from?
#pragma once

#include "chain/lean/transition.h"

namespace beamline::chain::lean {

// Decodes a checkpoint state and checks it: its SSZ (also that each validator's index is its
// place), that it has validators and no more than the registry holds. What it says about the chain
// is believed: who gave it is trusted. Errors: those of the codec; EMPTY_VALIDATOR_REGISTRY;
// INCONSISTENT_STATE where its votes are no multiple of its validators.
Result<LeanState> decode_checkpoint_state(const LeanTypes& types, Bytes bytes);
// The same of a state that is decoded.
Status verify_checkpoint_state(const LeanState& state);

// The block that an anchor state's header stands for, but for its body: with the state root in,
// its root is the block's. For an anchor whose block is not at hand.
LeanBlockHeader anchor_header(const LeanState& state, const Root& state_root);

// That a block commits to this state: ANCHOR_STATE_ROOT_MISMATCH.
Status verify_anchor(StateTransition& transition, const LeanState& state, const LeanBlock& block);

}  // namespace beamline::chain::lean
