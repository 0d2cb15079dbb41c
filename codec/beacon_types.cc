#include "codec/beacon_types.h"

#include "codec/beacon_block.h"
#include "codec/reqresp_messages.h"

namespace beamline {

using ssz::Field;
using ssz::Type;

// Fields in the specification's order. The types point at each other: this stays where it is.
struct BeaconTypes::Phase0 {
  explicit Phase0(const Preset& preset);

  Field eth1_data_fields[3] = {{"deposit_root", &ssz::kBytes32},
                               {"deposit_count", &ssz::kUint64},
                               {"block_hash", &ssz::kBytes32}};
  Type eth1_data = ssz::container("eth1_data", eth1_data_fields);

  Field signed_header_fields[2] = {{"message", &BeaconBlockHeader::ssz_type()},
                                   {"signature", &ssz::kBytes96}};
  Type signed_header = ssz::container("signed_header", signed_header_fields);
  Field proposer_slashing_fields[2] = {{"signed_header_1", &signed_header},
                                       {"signed_header_2", &signed_header}};
  Type proposer_slashing = ssz::container("proposer_slashing", proposer_slashing_fields);

  Field attestation_data_fields[5] = {{"slot", &ssz::kUint64},
                                      {"index", &ssz::kUint64},
                                      {"beacon_block_root", &ssz::kBytes32},
                                      {"source", &Checkpoint::ssz_type()},
                                      {"target", &Checkpoint::ssz_type()}};
  Type attestation_data = ssz::container("attestation_data", attestation_data_fields);

  Type attesting_indices;
  Field indexed_attestation_fields[3] = {{"attesting_indices", &attesting_indices},
                                         {"data", &attestation_data},
                                         {"signature", &ssz::kBytes96}};
  Type indexed_attestation;
  Field attester_slashing_fields[2] = {{"attestation_1", &indexed_attestation},
                                       {"attestation_2", &indexed_attestation}};
  Type attester_slashing;

  Type aggregation_bits;
  Field attestation_fields[3] = {{"aggregation_bits", &aggregation_bits},
                                 {"data", &attestation_data},
                                 {"signature", &ssz::kBytes96}};
  Type attestation;

  Field deposit_data_fields[4] = {{"pubkey", &ssz::kBytes48},
                                  {"withdrawal_credentials", &ssz::kBytes32},
                                  {"amount", &ssz::kUint64},
                                  {"signature", &ssz::kBytes96}};
  Type deposit_data = ssz::container("deposit_data", deposit_data_fields);
  // DEPOSIT_CONTRACT_TREE_DEPTH + 1.
  Type deposit_proof = ssz::vector_of("proof", ssz::kBytes32, 33);
  Field deposit_fields[2] = {{"proof", &deposit_proof}, {"data", &deposit_data}};
  Type deposit = ssz::container("deposit", deposit_fields);

  Field voluntary_exit_fields[2] = {{"epoch", &ssz::kUint64}, {"validator_index", &ssz::kUint64}};
  Type voluntary_exit = ssz::container("voluntary_exit", voluntary_exit_fields);
  Field signed_exit_fields[2] = {{"message", &voluntary_exit}, {"signature", &ssz::kBytes96}};
  Type signed_exit = ssz::container("signed_voluntary_exit", signed_exit_fields);

  Type proposer_slashings, attester_slashings, attestations, deposits, voluntary_exits;
  Field body_fields[8] = {{"randao_reveal", &ssz::kBytes96},
                          {"eth1_data", &eth1_data},
                          {"graffiti", &ssz::kBytes32},
                          {"proposer_slashings", &proposer_slashings},
                          {"attester_slashings", &attester_slashings},
                          {"attestations", &attestations},
                          {"deposits", &deposits},
                          {"voluntary_exits", &voluntary_exits}};
  Type body;
  Field block_fields[5] = {{"slot", &ssz::kUint64},
                           {"proposer_index", &ssz::kUint64},
                           {"parent_root", &ssz::kBytes32},
                           {"state_root", &ssz::kBytes32},
                           {"body", &body}};
  Type block;
  Field signed_block_fields[2] = {{"message", &block}, {"signature", &ssz::kBytes96}};
  Type signed_block;
};

BeaconTypes::Phase0::Phase0(const Preset& preset) {
  attesting_indices =
      ssz::list_of("attesting_indices", ssz::kUint64, preset.max_validators_per_committee);
  indexed_attestation = ssz::container("indexed_attestation", indexed_attestation_fields);
  attester_slashing = ssz::container("attester_slashing", attester_slashing_fields);
  aggregation_bits = ssz::bitlist("aggregation_bits", preset.max_validators_per_committee);
  attestation = ssz::container("attestation", attestation_fields);
  proposer_slashings =
      ssz::list_of("proposer_slashings", proposer_slashing, preset.max_proposer_slashings);
  attester_slashings =
      ssz::list_of("attester_slashings", attester_slashing, preset.max_attester_slashings);
  attestations = ssz::list_of("attestations", attestation, preset.max_attestations);
  deposits = ssz::list_of("deposits", deposit, preset.max_deposits);
  voluntary_exits = ssz::list_of("voluntary_exits", signed_exit, preset.max_voluntary_exits);
  body = ssz::container("body", body_fields);
  block = ssz::container("message", block_fields);
  signed_block = ssz::container("signed_beacon_block", signed_block_fields);
}

BeaconTypes::BeaconTypes(const Preset& preset)
    : preset_(&preset), phase0_(std::make_unique<Phase0>(preset)) {}
BeaconTypes::~BeaconTypes() = default;

const ssz::Type& BeaconTypes::signed_beacon_block(Fork fork) const {
  BL_CHECK(supports(fork));
  return phase0_->signed_block;
}

const ssz::Type& BeaconTypes::beacon_block(Fork fork) const {
  BL_CHECK(supports(fork));
  return phase0_->block;
}

const ssz::Type& BeaconTypes::beacon_block_body(Fork fork) const {
  BL_CHECK(supports(fork));
  return phase0_->body;
}

const ssz::Type& BeaconTypes::attestation() const { return phase0_->attestation; }

}  // namespace beamline
