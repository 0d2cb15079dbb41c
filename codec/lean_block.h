// Lean's blocks and votes as owned values: what fork choice, the state transition and block
// production work on. Encode, decode and root go through the types of LeanTypes, as with the state.
#pragma once

#include <vector>

#include "codec/lean_state.h"

namespace beamline {

struct LeanAttestationData {
  Slot slot = 0;
  LeanCheckpoint head;
  LeanCheckpoint target;
  LeanCheckpoint source;
  friend bool operator==(const LeanAttestationData&, const LeanAttestationData&) = default;
};

struct LeanAggregatedAttestation {
  ssz::Bitlist aggregation_bits;
  LeanAttestationData data;
  friend bool operator==(const LeanAggregatedAttestation&,
                         const LeanAggregatedAttestation&) = default;
};

struct LeanBlockBody {
  std::vector<LeanAggregatedAttestation> attestations;
  friend bool operator==(const LeanBlockBody&, const LeanBlockBody&) = default;
};

struct LeanBlock {
  Slot slot = 0;
  ValidatorIndex proposer_index = 0;
  Root parent_root;
  Root state_root;
  LeanBlockBody body;
  friend bool operator==(const LeanBlock&, const LeanBlock&) = default;
};

// The proof of many validators for one message (SingleMessageAggregate).
struct LeanSingleMessageAggregate {
  ssz::Bitlist participants;
  std::vector<uint8_t> proof;
  friend bool operator==(const LeanSingleMessageAggregate&,
                         const LeanSingleMessageAggregate&) = default;
};

}  // namespace beamline
