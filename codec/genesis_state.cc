#include "codec/genesis_state.h"

#include <array>

#include "codec/beacon_block.h"
#include "codec/reqresp_messages.h"
#include "codec/ssz.h"

namespace beamline {
namespace {

using ssz::Field;
using ssz::kBytes32;
using ssz::kBytes4;
using ssz::kBytes48;
using ssz::kUint64;
using ssz::Type;

// The state's own lengths, by preset (presets/{mainnet,minimal}/phase0.yaml).
struct StateLimits {
  uint64_t slots_per_historical_root;
  uint64_t epochs_per_historical_vector;
  uint64_t epochs_per_slashings_vector;
  uint64_t epochs_per_eth1_voting_period;
};
constexpr StateLimits kMainnet = {8192, 65'536, 8192, 64};
constexpr StateLimits kMinimal = {64, 64, 64, 4};
constexpr uint64_t kHistoricalRootsLimit = uint64_t{1} << 24;
constexpr uint64_t kValidatorRegistryLimit = uint64_t{1} << 40;

constexpr size_t kLatestBlockHeader = 4;  // the field's place

// The types of one state, which point at each other.
struct StateTypes {
  StateTypes(const BeaconTypes& types, const StateLimits& limits);
  StateTypes(const StateTypes&) = delete;

  std::array<Field, 3> fork_fields = {Field{"previous_version", &kBytes4},
                                      Field{"current_version", &kBytes4}, Field{"epoch", &kUint64}};
  std::array<Field, 8> validator_fields = {Field{"pubkey", &kBytes48},
                                           Field{"withdrawal_credentials", &kBytes32},
                                           Field{"effective_balance", &kUint64},
                                           Field{"slashed", &ssz::kBoolean},
                                           Field{"activation_eligibility_epoch", &kUint64},
                                           Field{"activation_epoch", &kUint64},
                                           Field{"exit_epoch", &kUint64},
                                           Field{"withdrawable_epoch", &kUint64}};
  std::array<Field, 4> pending_fields;
  std::array<Field, 21> state_fields;
  Type fork, validator, aggregation_bits, pending, block_roots, historical_roots, votes, validators,
      balances, mixes, slashings, attestations, justification_bits, state;
};

StateTypes::StateTypes(const BeaconTypes& types, const StateLimits& limits) {
  const Preset& preset = types.preset();
  const Type& eth1 = *types.find("Eth1Data", Fork::phase0);
  const Type& data = *types.find("AttestationData", Fork::phase0);
  const Type& checkpoint = Checkpoint::ssz_type();
  fork = ssz::container("fork", fork_fields);
  validator = ssz::container("validator", validator_fields);
  aggregation_bits = ssz::bitlist("aggregation_bits", preset.max_validators_per_committee);
  pending_fields = {Field{"aggregation_bits", &aggregation_bits}, Field{"data", &data},
                    Field{"inclusion_delay", &kUint64}, Field{"proposer_index", &kUint64}};
  pending = ssz::container("pending_attestation", pending_fields);
  block_roots = ssz::vector_of("roots", kBytes32, limits.slots_per_historical_root);
  historical_roots = ssz::list_of("historical_roots", kBytes32, kHistoricalRootsLimit);
  votes = ssz::list_of("eth1_data_votes", eth1,
                       limits.epochs_per_eth1_voting_period * preset.slots_per_epoch);
  validators = ssz::list_of("validators", validator, kValidatorRegistryLimit);
  balances = ssz::list_of("balances", kUint64, kValidatorRegistryLimit);
  mixes = ssz::vector_of("randao_mixes", kBytes32, limits.epochs_per_historical_vector);
  slashings = ssz::vector_of("slashings", kUint64, limits.epochs_per_slashings_vector);
  attestations =
      ssz::list_of("epoch_attestations", pending, preset.max_attestations * preset.slots_per_epoch);
  justification_bits = ssz::bitvector("justification_bits", 4);
  state_fields = {Field{"genesis_time", &kUint64},
                  Field{"genesis_validators_root", &kBytes32},
                  Field{"slot", &kUint64},
                  Field{"fork", &fork},
                  Field{"latest_block_header", &BeaconBlockHeader::ssz_type()},
                  Field{"block_roots", &block_roots},
                  Field{"state_roots", &block_roots},
                  Field{"historical_roots", &historical_roots},
                  Field{"eth1_data", &eth1},
                  Field{"eth1_data_votes", &votes},
                  Field{"eth1_deposit_index", &kUint64},
                  Field{"validators", &validators},
                  Field{"balances", &balances},
                  Field{"randao_mixes", &mixes},
                  Field{"slashings", &slashings},
                  Field{"previous_epoch_attestations", &attestations},
                  Field{"current_epoch_attestations", &attestations},
                  Field{"justification_bits", &justification_bits},
                  Field{"previous_justified_checkpoint", &checkpoint},
                  Field{"current_justified_checkpoint", &checkpoint},
                  Field{"finalized_checkpoint", &checkpoint}};
  state = ssz::container("state", state_fields);
}

}  // namespace

Result<Root> genesis_block_root(const BeaconTypes& types, Bytes state) {
  const bool minimal = &types.preset() == &Preset::minimal();
  const StateTypes state_types(types, minimal ? kMinimal : kMainnet);
  const auto view = ssz::View::parse(state_types.state, state);
  if (!view) return std::unexpected(view.error());
  if (view->field(2).as_uint() != 0) return bad_input(Code::mismatch, "slot");
  auto header = ssz::decode<BeaconBlockHeader>(view->field(kLatestBlockHeader).bytes());
  if (!header) return std::unexpected(header.error());
  ssz::Hasher hasher;
  if (header->state_root.is_zero()) header->state_root = hasher.hash_tree_root(*view);
  return ssz::hash_tree_root(*header, hasher);
}

}  // namespace beamline
