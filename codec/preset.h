// The compile-time constants of the consensus specs' presets, as data: one program speaks all.
// (consensus-specs presets/{mainnet,minimal}/phase0.yaml)
#pragma once

#include <cstdint>
#include <string_view>

#include "codec/root.h"

namespace beamline {

struct Preset {
  const char* name;
  uint64_t slots_per_epoch;
  uint64_t max_committees_per_slot;
  uint64_t max_validators_per_committee;
  uint64_t max_proposer_slashings;
  uint64_t max_attester_slashings;
  uint64_t max_attestations;
  uint64_t max_deposits;
  uint64_t max_voluntary_exits;

  static const Preset& mainnet();
  static const Preset& minimal();
  // "mainnet" or "minimal"; null for others.
  static const Preset* find(std::string_view name);
};

constexpr Epoch epoch_of(const Preset& preset, Slot slot) { return slot / preset.slots_per_epoch; }

// Forks in their order. Containers of a fork not listed in BeaconTypes::supports are not there yet.
enum class Fork : uint8_t { phase0, altair, bellatrix, capella, deneb, electra, fulu };

}  // namespace beamline
