// Why lean's rules refuse an input: leanSpec's RejectionReason (forks/lstar/errors.py), by the same
// names, so that a vector, a log line and a counter say the same word.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace beamline::chain::lean {

enum class Rejection : uint8_t {
  // Blocks.
  block_slot_not_in_future,
  block_older_than_latest_header,
  block_slot_mismatch,
  parent_root_mismatch,
  state_root_mismatch,
  unknown_parent_block,
  proposer_index_out_of_range,
  empty_validator_registry,
  wrong_proposer,
  too_many_attestation_data,
  duplicate_attestation_data,
  empty_aggregation_bits,
  // Votes.
  unknown_source_block,
  unknown_target_block,
  unknown_head_block,
  source_after_target,
  head_older_than_target,
  source_slot_mismatch,
  target_slot_mismatch,
  head_slot_mismatch,
  source_not_ancestor_of_target,
  target_not_ancestor_of_head,
  attestation_too_far_in_future,
  attestation_slot_before_head,
  validator_not_in_state,
  validator_index_out_of_range,
  justified_slot_out_of_range,
  // Signatures, the anchor.
  invalid_signature,
  invalid_block_proof,
  anchor_state_root_mismatch,
  // Ours, where leanSpec runs into the limit of a type: a slot that is so far from its parent that
  // the state cannot hold the slots between.
  history_too_long,
  // Ours: a block that leaves the chain further below the finalised block than blocks are kept.
  forks_off_below_floor,
  // Ours: a state whose parts disagree, which no transition makes.
  inconsistent_state,
};
inline constexpr uint8_t kRejections = static_cast<uint8_t>(Rejection::inconsistent_state) + 1;

// "UNKNOWN_PARENT_BLOCK".
const char* name(Rejection rejection);
// The error: its field is name(rejection). Fault::local where the sender may be honest and the
// input good later (an unknown block, a slot that has not begun), Fault::peer else.
Error error_of(Rejection rejection);
inline std::unexpected<Error> reject(Rejection rejection) {
  return std::unexpected(error_of(rejection));
}
// Whether an error is this rejection.
bool is(const Error& error, Rejection rejection);

}  // namespace beamline::chain::lean
