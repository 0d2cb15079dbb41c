#include "codec/preset.h"

namespace beamline {
namespace {

constexpr Preset kMainnet = {
    .name = "mainnet",
    .slots_per_epoch = 32,
    .max_committees_per_slot = 64,
    .max_validators_per_committee = 2048,
    .max_proposer_slashings = 16,
    .max_attester_slashings = 2,
    .max_attestations = 128,
    .max_deposits = 16,
    .max_voluntary_exits = 16,
    .sync_committee_size = 512,
    .max_bls_to_execution_changes = 16,
    .max_withdrawals_per_payload = 16,
    .field_elements_per_blob = 4096,
    .max_blob_commitments_per_block = 4096,
    .kzg_commitment_inclusion_proof_depth = 17,
    .max_attester_slashings_electra = 1,
    .max_attestations_electra = 8,
    .max_deposit_requests_per_payload = 8192,
    .max_withdrawal_requests_per_payload = 16,
    .max_consolidation_requests_per_payload = 2,
    .field_elements_per_cell = 64,
    .number_of_columns = 128,
    .kzg_commitments_inclusion_proof_depth = 4,
};

constexpr Preset kMinimal = [] {
  Preset preset = kMainnet;
  preset.name = "minimal";
  preset.slots_per_epoch = 8;
  preset.max_committees_per_slot = 4;
  preset.sync_committee_size = 32;
  preset.max_withdrawals_per_payload = 4;
  return preset;
}();

constexpr std::string_view kForkNames[] = {"phase0", "altair",  "bellatrix", "capella",
                                           "deneb",  "electra", "fulu"};

}  // namespace

std::string_view name(Fork fork) { return kForkNames[static_cast<size_t>(fork)]; }

const Preset& Preset::mainnet() { return kMainnet; }
const Preset& Preset::minimal() { return kMinimal; }

const Preset* Preset::find(std::string_view name) {
  for (const Preset* preset : {&kMainnet, &kMinimal}) {
    if (name == preset->name) return preset;
  }
  return nullptr;
}

}  // namespace beamline
