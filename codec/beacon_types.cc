#include "codec/beacon_types.h"

#include <array>
#include <deque>
#include <vector>

#include "codec/beacon_block.h"
#include "codec/reqresp_messages.h"

namespace beamline {

using ssz::Field;
using ssz::kBytes32;
using ssz::kBytes48;
using ssz::kBytes96;
using ssz::kUint64;
using ssz::Type;

namespace {

// DEPOSIT_CONTRACT_TREE_DEPTH + 1.
constexpr uint64_t kDepositProofLength = 33;
constexpr uint64_t kLogsBloomSize = 256;
constexpr uint64_t kMaxExtraData = 32;
constexpr uint64_t kMaxTransactionSize = 1 << 30;
constexpr uint64_t kMaxTransactions = 1 << 20;
constexpr uint64_t kBytesPerFieldElement = 32;
constexpr uint64_t kSyncCommitteeSubnets = 4;
constexpr size_t kForkCount = static_cast<size_t>(kLastFork) + 1;

}  // namespace

// Where the types stay: they point at each other. Fields stand in the specification's order.
struct BeaconTypes::Impl {
  using Fields = std::vector<Field>;

  explicit Impl(const Preset& p) : preset(p) {
    declare_operations();
    declare_altair();
    declare_attestations(Fork::phase0, p.max_validators_per_committee, nullptr);
    declare_attestations(Fork::electra, p.max_validators_per_committee * p.max_committees_per_slot,
                         &keep(ssz::bitvector("committee_bits", p.max_committees_per_slot)));
    declare_payloads();
    declare_requests();
    for (size_t fork = 0; fork < kForkCount; ++fork) declare_block(static_cast<Fork>(fork));
    declare_sidecars();
  }

  const Type& keep(Type type) { return types.emplace_back(type); }
  const Type& list(const char* name, const Type& element, uint64_t limit) {
    return keep(ssz::list_of(name, element, limit));
  }
  const Type& bytes(const char* name, uint64_t size) {
    return keep(ssz::vector_of(name, ssz::kUint8, size));
  }
  const Type& container(const char* name, const Fields& of) {
    return keep(ssz::container(name, fields.emplace_back(of)));
  }
  // One that goes over the wire or is looked up by name.
  const Type& declare(std::string_view name, Fork since, const Type& type) {
    entries.push_back({name, since, &type});
    return type;
  }
  const Type& signed_of(const char* name, const Type& message) {
    return container(name, {{"message", &message}, {"signature", &kBytes96}});
  }

  void declare_operations();
  void declare_attestations(Fork since, uint64_t limit, const Type* committee_bits);
  void declare_altair();
  void declare_payloads();
  void declare_payload(Fork since, const char* name, const Fields& of);
  void declare_requests();
  void declare_block(Fork fork);
  void declare_sidecars();

  const Type& get(std::string_view name, Fork fork) const {
    const Type* type = find(name, fork);
    BL_CHECK(type != nullptr);
    return *type;
  }
  // The form of the latest fork up to this one.
  const Type* find(std::string_view name, Fork fork) const {
    const Entry* best = nullptr;
    for (const Entry& entry : entries) {
      if (entry.name != name || entry.since > fork) continue;
      if (best == nullptr || entry.since >= best->since) best = &entry;
    }
    return best == nullptr ? nullptr : best->type;
  }

  const Preset& preset;
  std::deque<Type> types;
  std::deque<Fields> fields;
  std::vector<Entry> entries;

  const Type& address = bytes("Bytes20", 20);
  // By fork, for those that are asked for often.
  std::array<const Type*, kForkCount> signed_blocks{}, blocks{}, bodies{};
};

void BeaconTypes::Impl::declare_operations() {
  const Fork since = Fork::phase0;
  declare("BeaconBlockHeader", since, BeaconBlockHeader::ssz_type());
  declare("Checkpoint", since, Checkpoint::ssz_type());
  declare("Eth1Data", since,
          container("eth1_data", {{"deposit_root", &kBytes32},
                                  {"deposit_count", &kUint64},
                                  {"block_hash", &kBytes32}}));
  const Type& header = declare("SignedBeaconBlockHeader", since,
                               signed_of("signed_header", BeaconBlockHeader::ssz_type()));
  declare(
      "ProposerSlashing", since,
      container("proposer_slashing", {{"signed_header_1", &header}, {"signed_header_2", &header}}));
  declare("AttestationData", since,
          container("attestation_data", {{"slot", &kUint64},
                                         {"index", &kUint64},
                                         {"beacon_block_root", &kBytes32},
                                         {"source", &Checkpoint::ssz_type()},
                                         {"target", &Checkpoint::ssz_type()}}));
  const Type& deposit_data = container("deposit_data", {{"pubkey", &kBytes48},
                                                        {"withdrawal_credentials", &kBytes32},
                                                        {"amount", &kUint64},
                                                        {"signature", &kBytes96}});
  declare("DepositData", since, deposit_data);
  const Type& proof = keep(ssz::vector_of("proof", kBytes32, kDepositProofLength));
  declare("Deposit", since, container("deposit", {{"proof", &proof}, {"data", &deposit_data}}));
  const Type& voluntary_exit =
      container("voluntary_exit", {{"epoch", &kUint64}, {"validator_index", &kUint64}});
  declare("VoluntaryExit", since, voluntary_exit);
  declare("SignedVoluntaryExit", since, signed_of("signed_voluntary_exit", voluntary_exit));
}

// Electra moved the committees of a slot into one attestation.
void BeaconTypes::Impl::declare_attestations(Fork since, uint64_t limit,
                                             const Type* committee_bits) {
  const Type& data = get("AttestationData", since);
  const Type& indices = list("attesting_indices", kUint64, limit);
  const Type& indexed =
      container("indexed_attestation",
                {{"attesting_indices", &indices}, {"data", &data}, {"signature", &kBytes96}});
  declare("IndexedAttestation", since, indexed);
  declare(
      "AttesterSlashing", since,
      container("attester_slashing", {{"attestation_1", &indexed}, {"attestation_2", &indexed}}));
  const Type& bits = keep(ssz::bitlist("aggregation_bits", limit));
  Fields of = {{"aggregation_bits", &bits}, {"data", &data}, {"signature", &kBytes96}};
  if (committee_bits != nullptr) of.push_back({"committee_bits", committee_bits});
  const Type& attestation = declare("Attestation", since, container("attestation", of));
  const Type& aggregate = container("aggregate_and_proof", {{"aggregator_index", &kUint64},
                                                            {"aggregate", &attestation},
                                                            {"selection_proof", &kBytes96}});
  declare("AggregateAndProof", since, aggregate);
  declare("SignedAggregateAndProof", since, signed_of("signed_aggregate_and_proof", aggregate));
  if (committee_bits == nullptr) return;
  declare("SingleAttestation", since,
          container("single_attestation", {{"committee_index", &kUint64},
                                           {"attester_index", &kUint64},
                                           {"data", &data},
                                           {"signature", &kBytes96}}));
}

void BeaconTypes::Impl::declare_altair() {
  const Fork since = Fork::altair;
  const uint64_t size = preset.sync_committee_size;
  const Type& bits = keep(ssz::bitvector("sync_committee_bits", size));
  declare("SyncAggregate", since,
          container("sync_aggregate",
                    {{"sync_committee_bits", &bits}, {"sync_committee_signature", &kBytes96}}));
  declare("SyncCommitteeMessage", since,
          container("sync_committee_message", {{"slot", &kUint64},
                                               {"beacon_block_root", &kBytes32},
                                               {"validator_index", &kUint64},
                                               {"signature", &kBytes96}}));
  const Type& subnet = keep(ssz::bitvector("aggregation_bits", size / kSyncCommitteeSubnets));
  const Type& contribution = container("contribution", {{"slot", &kUint64},
                                                        {"beacon_block_root", &kBytes32},
                                                        {"subcommittee_index", &kUint64},
                                                        {"aggregation_bits", &subnet},
                                                        {"signature", &kBytes96}});
  declare("SyncCommitteeContribution", since, contribution);
  const Type& proof = container("contribution_and_proof", {{"aggregator_index", &kUint64},
                                                           {"contribution", &contribution},
                                                           {"selection_proof", &kBytes96}});
  declare("ContributionAndProof", since, proof);
  declare("SignedContributionAndProof", since, signed_of("signed_contribution_and_proof", proof));
}

// A payload, and its header, in which roots stand for the lists.
void BeaconTypes::Impl::declare_payload(Fork since, const char* name, const Fields& of) {
  declare("ExecutionPayload", since, container(name, of));
  Fields header = of;
  for (Field& field : header) {
    if (std::string_view(field.name) == "transactions") field = {"transactions_root", &kBytes32};
    if (std::string_view(field.name) == "withdrawals") field = {"withdrawals_root", &kBytes32};
  }
  declare("ExecutionPayloadHeader", since, container("execution_payload_header", header));
}

void BeaconTypes::Impl::declare_payloads() {
  const Type& transaction = list("transaction", ssz::kUint8, kMaxTransactionSize);
  const Type& transactions = list("transactions", transaction, kMaxTransactions);
  const Type& bloom = bytes("logs_bloom", kLogsBloomSize);
  const Type& extra_data = list("extra_data", ssz::kUint8, kMaxExtraData);
  const Type& withdrawal = container("withdrawal", {{"index", &kUint64},
                                                    {"validator_index", &kUint64},
                                                    {"address", &address},
                                                    {"amount", &kUint64}});
  declare("Withdrawal", Fork::capella, withdrawal);
  Fields of = {{"parent_hash", &kBytes32},  {"fee_recipient", &address},
               {"state_root", &kBytes32},   {"receipts_root", &kBytes32},
               {"logs_bloom", &bloom},      {"prev_randao", &kBytes32},
               {"block_number", &kUint64},  {"gas_limit", &kUint64},
               {"gas_used", &kUint64},      {"timestamp", &kUint64},
               {"extra_data", &extra_data}, {"base_fee_per_gas", &ssz::kUint256},
               {"block_hash", &kBytes32},   {"transactions", &transactions}};
  declare_payload(Fork::bellatrix, "execution_payload", of);
  of.push_back(
      {"withdrawals", &list("withdrawals", withdrawal, preset.max_withdrawals_per_payload)});
  declare_payload(Fork::capella, "execution_payload", of);
  of.push_back({"blob_gas_used", &kUint64});
  of.push_back({"excess_blob_gas", &kUint64});
  declare_payload(Fork::deneb, "execution_payload", of);
  const Type& change = container("bls_to_execution_change", {{"validator_index", &kUint64},
                                                             {"from_bls_pubkey", &kBytes48},
                                                             {"to_execution_address", &address}});
  declare("BLSToExecutionChange", Fork::capella, change);
  declare("SignedBLSToExecutionChange", Fork::capella,
          signed_of("signed_bls_to_execution_change", change));
}

void BeaconTypes::Impl::declare_requests() {
  const Fork since = Fork::electra;
  const Type& deposit = container("deposit_request", {{"pubkey", &kBytes48},
                                                      {"withdrawal_credentials", &kBytes32},
                                                      {"amount", &kUint64},
                                                      {"signature", &kBytes96},
                                                      {"index", &kUint64}});
  const Type& withdrawal = container(
      "withdrawal_request",
      {{"source_address", &address}, {"validator_pubkey", &kBytes48}, {"amount", &kUint64}});
  const Type& consolidation = container(
      "consolidation_request",
      {{"source_address", &address}, {"source_pubkey", &kBytes48}, {"target_pubkey", &kBytes48}});
  declare("DepositRequest", since, deposit);
  declare("WithdrawalRequest", since, withdrawal);
  declare("ConsolidationRequest", since, consolidation);
  const Type& deposits = list("deposits", deposit, preset.max_deposit_requests_per_payload);
  const Type& withdrawals =
      list("withdrawals", withdrawal, preset.max_withdrawal_requests_per_payload);
  const Type& consolidations =
      list("consolidations", consolidation, preset.max_consolidation_requests_per_payload);
  declare("ExecutionRequests", since,
          container("execution_requests", {{"deposits", &deposits},
                                           {"withdrawals", &withdrawals},
                                           {"consolidations", &consolidations}}));
}

void BeaconTypes::Impl::declare_block(Fork fork) {
  const bool electra = fork >= Fork::electra;
  const auto list_at = [&](const char* name, std::string_view element, uint64_t limit) {
    return Field{name, &list(name, get(element, fork), limit)};
  };
  Fields of = {
      {"randao_reveal", &kBytes96},
      {"eth1_data", &get("Eth1Data", fork)},
      {"graffiti", &kBytes32},
      list_at("proposer_slashings", "ProposerSlashing", preset.max_proposer_slashings),
      list_at("attester_slashings", "AttesterSlashing",
              electra ? preset.max_attester_slashings_electra : preset.max_attester_slashings),
      list_at("attestations", "Attestation",
              electra ? preset.max_attestations_electra : preset.max_attestations),
      list_at("deposits", "Deposit", preset.max_deposits),
      list_at("voluntary_exits", "SignedVoluntaryExit", preset.max_voluntary_exits)};
  if (fork >= Fork::altair) of.push_back({"sync_aggregate", &get("SyncAggregate", fork)});
  if (fork >= Fork::bellatrix) of.push_back({"execution_payload", &get("ExecutionPayload", fork)});
  if (fork >= Fork::capella) {
    of.push_back(list_at("bls_to_execution_changes", "SignedBLSToExecutionChange",
                         preset.max_bls_to_execution_changes));
  }
  if (fork >= Fork::deneb) {
    of.push_back({"blob_kzg_commitments",
                  &list("blob_kzg_commitments", kBytes48, preset.max_blob_commitments_per_block)});
  }
  if (electra) of.push_back({"execution_requests", &get("ExecutionRequests", fork)});
  const Type& body = declare("BeaconBlockBody", fork, container("body", of));
  const Type& block = declare("BeaconBlock", fork,
                              container("message", {{"slot", &kUint64},
                                                    {"proposer_index", &kUint64},
                                                    {"parent_root", &kBytes32},
                                                    {"state_root", &kBytes32},
                                                    {"body", &body}}));
  const auto index = static_cast<size_t>(fork);
  bodies[index] = &body;
  blocks[index] = &block;
  signed_blocks[index] =
      &declare("SignedBeaconBlock", fork, signed_of("signed_beacon_block", block));
}

void BeaconTypes::Impl::declare_sidecars() {
  const Type& header = get("SignedBeaconBlockHeader", Fork::phase0);
  const uint64_t limit = preset.max_blob_commitments_per_block;
  const Type& blob = bytes("blob", preset.field_elements_per_blob * kBytesPerFieldElement);
  const Type& blob_proof = keep(ssz::vector_of("kzg_commitment_inclusion_proof", kBytes32,
                                               preset.kzg_commitment_inclusion_proof_depth));
  declare("BlobSidecar", Fork::deneb,
          container("blob_sidecar", {{"index", &kUint64},
                                     {"blob", &blob},
                                     {"kzg_commitment", &kBytes48},
                                     {"kzg_proof", &kBytes48},
                                     {"signed_block_header", &header},
                                     {"kzg_commitment_inclusion_proof", &blob_proof}}));
  declare("BlobIdentifier", Fork::deneb,
          container("blob_identifier", {{"block_root", &kBytes32}, {"index", &kUint64}}));
  const Type& cell = bytes("cell", preset.field_elements_per_cell * kBytesPerFieldElement);
  const Type& column_proof = keep(ssz::vector_of("kzg_commitments_inclusion_proof", kBytes32,
                                                 preset.kzg_commitments_inclusion_proof_depth));
  declare("DataColumnSidecar", Fork::fulu,
          container("data_column_sidecar",
                    {{"index", &kUint64},
                     {"column", &list("column", cell, limit)},
                     {"kzg_commitments", &list("kzg_commitments", kBytes48, limit)},
                     {"kzg_proofs", &list("kzg_proofs", kBytes48, limit)},
                     {"signed_block_header", &header},
                     {"kzg_commitments_inclusion_proof", &column_proof}}));
  const Type& columns = list("columns", kUint64, preset.number_of_columns);
  declare("DataColumnsByRootIdentifier", Fork::fulu,
          container("data_columns_by_root_identifier",
                    {{"block_root", &kBytes32}, {"columns", &columns}}));
  declare("DataColumnSidecarsByRangeRequest", Fork::fulu,
          container("data_column_sidecars_by_range",
                    {{"start_slot", &kUint64}, {"count", &kUint64}, {"columns", &columns}}));
}

BeaconTypes::BeaconTypes(const Preset& preset)
    : preset_(&preset), impl_(std::make_unique<Impl>(preset)) {}
BeaconTypes::~BeaconTypes() = default;

const Type* BeaconTypes::find(std::string_view name, Fork fork) const {
  return supports(fork) ? impl_->find(name, fork) : nullptr;
}

std::span<const BeaconTypes::Entry> BeaconTypes::all() const { return impl_->entries; }

const Type& BeaconTypes::signed_beacon_block(Fork fork) const {
  BL_CHECK(supports(fork));
  return *impl_->signed_blocks[static_cast<size_t>(fork)];
}

const Type& BeaconTypes::beacon_block(Fork fork) const {
  BL_CHECK(supports(fork));
  return *impl_->blocks[static_cast<size_t>(fork)];
}

const Type& BeaconTypes::beacon_block_body(Fork fork) const {
  BL_CHECK(supports(fork));
  return *impl_->bodies[static_cast<size_t>(fork)];
}

const Type& BeaconTypes::attestation(Fork fork) const { return impl_->get("Attestation", fork); }

const Type& BeaconTypes::signed_aggregate_and_proof(Fork fork) const {
  return impl_->get("SignedAggregateAndProof", fork);
}

const Type& BeaconTypes::subnet_attestation(Fork fork) const {
  return impl_->get(fork >= Fork::electra ? "SingleAttestation" : "Attestation", fork);
}

const Type& BeaconTypes::blob_sidecar() const { return impl_->get("BlobSidecar", Fork::deneb); }

const Type& BeaconTypes::data_column_sidecar() const {
  return impl_->get("DataColumnSidecar", Fork::fulu);
}

}  // namespace beamline
