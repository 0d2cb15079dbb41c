// Lean's state as an owned value: what a state transition works on. Encode, decode and root go
// through the types of LeanTypes: ssz::decode_value(types.state(), bytes, &state).
//
// A state that arrives is decoded into an arena, `LeanState state(&arena)` and decode_value() with
// it: one block for all of its lists. A copy of it is on the heap and outlives the arena.
#pragma once

#include <array>
#include <cstdint>
#include <memory_resource>
#include <vector>

#include "codec/root.h"
#include "codec/ssz.h"

namespace beamline {

struct LeanCheckpoint {
  Root root;
  Slot slot = 0;
  friend bool operator==(const LeanCheckpoint&, const LeanCheckpoint&) = default;
};

struct LeanBlockHeader {
  Slot slot = 0;
  ValidatorIndex proposer_index = 0;
  Root parent_root;
  Root state_root;
  Root body_root;
  friend bool operator==(const LeanBlockHeader&, const LeanBlockHeader&) = default;
};

using LeanPublicKey = std::array<uint8_t, 52>;

struct LeanValidator {
  LeanPublicKey attestation_public_key{};
  LeanPublicKey proposal_public_key{};
  ValidatorIndex index = 0;
  friend bool operator==(const LeanValidator&, const LeanValidator&) = default;
};

struct LeanConfig {
  uint64_t genesis_time = 0;
  friend bool operator==(const LeanConfig&, const LeanConfig&) = default;
};

struct LeanState {
  LeanState() = default;
  explicit LeanState(std::pmr::memory_resource* memory)
      : historical_block_hashes(memory),
        justified_slots{std::pmr::vector<uint8_t>(memory)},
        validators(memory),
        justifications_roots(memory),
        justifications_validators{std::pmr::vector<uint8_t>(memory)} {}

  LeanConfig config;
  Slot slot = 0;
  LeanBlockHeader latest_block_header;
  LeanCheckpoint latest_justified;
  LeanCheckpoint latest_finalized;
  std::pmr::vector<Root> historical_block_hashes;
  ssz::Bitlist justified_slots;
  std::pmr::vector<LeanValidator> validators;
  std::pmr::vector<Root> justifications_roots;
  ssz::Bitlist justifications_validators;
  friend bool operator==(const LeanState&, const LeanState&) = default;
};

}  // namespace beamline
