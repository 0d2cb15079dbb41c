// The compile-time constants of the consensus specs' presets, as data: one program speaks all.
// (consensus-specs presets/{mainnet,minimal}/{phase0..fulu}.yaml)
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
  // altair
  uint64_t sync_committee_size;
  // capella
  uint64_t max_bls_to_execution_changes;
  uint64_t max_withdrawals_per_payload;
  // deneb
  uint64_t field_elements_per_blob;
  uint64_t max_blob_commitments_per_block;
  uint64_t kzg_commitment_inclusion_proof_depth;
  // electra
  uint64_t max_attester_slashings_electra;
  uint64_t max_attestations_electra;
  uint64_t max_deposit_requests_per_payload;
  uint64_t max_withdrawal_requests_per_payload;
  uint64_t max_consolidation_requests_per_payload;
  // fulu
  uint64_t field_elements_per_cell;
  uint64_t number_of_columns;
  uint64_t kzg_commitments_inclusion_proof_depth;

  static const Preset& mainnet();
  static const Preset& minimal();
  // "mainnet" or "minimal"; null for others.
  static const Preset* find(std::string_view name);
};

constexpr Epoch epoch_of(const Preset& preset, Slot slot) { return slot / preset.slots_per_epoch; }

// Forks in their order.
enum class Fork : uint8_t { phase0, altair, bellatrix, capella, deneb, electra, fulu };
inline constexpr Fork kLastFork = Fork::fulu;
// "deneb".
std::string_view name(Fork fork);

}  // namespace beamline
