// Lean's state transition (leanSpec, forks/lstar/state_transition.py): slots, the block's header,
// its attestations, and what they justify and finalise.
//
// Pure: a parent's post-state and a block give the block's post-state or a Rejection (the error's
// field names it). Signatures are checked before, by whoever has keys. Runs on a worker: its time
// is that of copying a state and of hashing what changed in it (state_hasher.h), and each limit is
// checked before memory is taken.
#pragma once

#include <span>

#include "chain/lean/rejection.h"
#include "chain/lean/state_hasher.h"
#include "codec/lean_block.h"
#include "codec/lean_types.h"

namespace beamline::chain::lean {

// A genesis state: no history, the checkpoints zero. REQUIRES: each validator's index is its place.
LeanState make_genesis(const LeanTypes& types, uint64_t genesis_time,
                       std::span<const LeanValidator> validators);

// One thread at a time: it keeps the last state's hashes, and scratch memory.
class StateTransition {
 public:
  explicit StateTransition(const LeanTypes& types) : types_(types), state_hasher_(types) {}

  // The whole of it: slots, block, and that the block commits to the state it makes.
  // `parent_state_root`: what the parent block said and a transition verified, if that is known.
  Result<LeanState> apply(const LeanState& parent, const LeanBlock& block,
                          const Root* parent_state_root = nullptr);

  // The steps. A state that a step refused is in no defined condition.
  Status process_slots(LeanState& state, Slot target, const Root* state_root = nullptr);
  Status process_block(LeanState& state, const LeanBlock& block);

  // local errors of the codec where a value breaks a limit of its type.
  Result<Root> root_of(const LeanState& state);
  Result<Root> root_of(const LeanBlock& block);
  Root root_of(const LeanBlockHeader& header);
  Root root_of(const LeanAttestationData& data);
  const LeanTypes& types() const { return types_; }

 private:
  Status process_block_header(LeanState& state, const LeanBlock& block);

  const LeanTypes& types_;
  ssz::Hasher hasher_;
  StateHasher state_hasher_;
};

// chain/lean/attestations.cc; apart, because it is the half that fork choice and block production
// share no line with. REQUIRES: state.validators is not empty.
Status process_attestations(LeanState& state,
                            const std::vector<LeanAggregatedAttestation>& attestations);

// What a block's votes and proposer must be before its proof is verified against their keys: no
// data twice, each vote of somebody, everybody in the registry. DUPLICATE_ATTESTATION_DATA,
// EMPTY_AGGREGATION_BITS, VALIDATOR_INDEX_OUT_OF_RANGE, PROPOSER_INDEX_OUT_OF_RANGE.
Status check_signers(const LeanBlock& block, uint64_t validators);

// The one who may propose in this slot. REQUIRES: validators > 0.
constexpr ValidatorIndex proposer_for(Slot slot, uint64_t validators) { return slot % validators; }

// Whether all three checkpoints of a vote lie on this chain, given by slot (zero: an empty slot).
bool lies_on_chain(const LeanAttestationData& data, std::span<const Root> history);

// Whether a slot is justified: all up to the finalised one are. Refused beyond what is tracked.
Result<bool> is_slot_justified(const ssz::Bitlist& justified, Slot finalized, Slot slot);

}  // namespace beamline::chain::lean
