#include "codec/lean_types.h"

#include <cstddef>
#include <deque>
#include <vector>

#include "codec/lean_block.h"
#include "codec/lean_state.h"

namespace beamline {

using ssz::Field;
using ssz::kBytes32;
using ssz::kUint64;
using ssz::Type;

namespace {

constexpr LeanPreset kProd = {
    .name = "prod",
    .historical_roots_limit = 1 << 18,
    .validator_registry_limit = 1 << 12,
    .max_request_blocks = 1 << 10,
    .max_proof_size = 512 << 10,
    .log_lifetime = 32,
    .dimension = 46,
    .parameter_length = 5,
    .randomness_length = 7,
    .digest_length = 8,
};

constexpr LeanPreset kTest = [] {
  LeanPreset preset = kProd;
  preset.name = "test";
  preset.log_lifetime = 8;
  preset.dimension = 4;
  return preset;
}();

}  // namespace

const LeanPreset& LeanPreset::prod() { return kProd; }
const LeanPreset& LeanPreset::test() { return kTest; }

const LeanPreset* LeanPreset::find(std::string_view name) {
  for (const LeanPreset* preset : {&kProd, &kTest}) {
    if (name == preset->name) return preset;
  }
  return nullptr;
}

// Where the types stay: they point at each other. Fields stand in the specification's order.
struct LeanTypes::Impl {
  using Fields = std::vector<Field>;

  const Type& keep(Type type) { return types.emplace_back(type); }
  const Type& list(const char* name, const Type& element, uint64_t limit,
                   const ssz::ListOps* ops = nullptr) {
    return keep(ssz::list_of(name, element, limit, ops));
  }
  const Type& container(const char* name, const Fields& of, size_t value_size = 0) {
    return keep(ssz::container(name, fields.emplace_back(of), value_size));
  }
  const Type& declare(std::string_view name, const Type& type) {
    entries.push_back({name, &type});
    return type;
  }
  const Type* find(std::string_view name) const {
    for (const Entry& entry : entries) {
      if (entry.name == name) return entry.type;
    }
    return nullptr;
  }
  const Type& get(std::string_view name) const {
    const Type* const type = find(name);
    BL_CHECK(type != nullptr);
    return *type;
  }

  void declare_signatures(const LeanPreset& preset);
  void declare_attestations(const LeanPreset& preset);
  void declare_blocks(const LeanPreset& preset);
  void declare_state(const LeanPreset& preset);

  std::deque<Type> types;
  std::deque<Fields> fields;
  std::vector<Entry> entries;
};

void LeanTypes::Impl::declare_signatures(const LeanPreset& preset) {
  const Type& element = declare("Fp", keep(ssz::uint_below("Fp", 4, kKoalaBearOrder)));
  const Type& digest = keep(ssz::vector_of("digest", element, preset.digest_length));
  const Type& parameter = keep(ssz::vector_of("parameter", element, preset.parameter_length));
  const Type& rho = keep(ssz::vector_of("rho", element, preset.randomness_length));
  // A layer of a bottom tree, 2^(log_lifetime / 2) leaves wide, with room for padding.
  const uint64_t layer_limit = uint64_t{2} << (preset.log_lifetime / 2);
  const Type siblings = ssz::list_of("siblings", digest, layer_limit);
  declare("PublicKey", container("public_key", {{"root", &digest}, {"parameter", &parameter}}));
  declare("HashTreeOpening", container("hash_tree_opening", {{"siblings", &keep(siblings)}}));
  declare("HashTreeLayer",
          container("hash_tree_layer",
                    {{"start_index", &kUint64}, {"nodes", &list("nodes", digest, layer_limit)}}));
  const Type& path =
      container("path", {{"siblings", &keep(ssz::exactly(siblings, preset.log_lifetime))}});
  const Type& hashes =
      keep(ssz::exactly(ssz::list_of("hashes", digest, layer_limit), preset.dimension));
  declare("Signature", keep(ssz::fixed_in_place(container(
                           "signature", {{"path", &path}, {"rho", &rho}, {"hashes", &hashes}}))));
}

void LeanTypes::Impl::declare_attestations(const LeanPreset& preset) {
  const Type& checkpoint =
      declare("Checkpoint", container("checkpoint",
                                      {{"root", &kBytes32, offsetof(LeanCheckpoint, root)},
                                       {"slot", &kUint64, offsetof(LeanCheckpoint, slot)}},
                                      sizeof(LeanCheckpoint)));
  const Type& data = declare(
      "AttestationData", container("data",
                                   {{"slot", &kUint64, offsetof(LeanAttestationData, slot)},
                                    {"head", &checkpoint, offsetof(LeanAttestationData, head)},
                                    {"target", &checkpoint, offsetof(LeanAttestationData, target)},
                                    {"source", &checkpoint, offsetof(LeanAttestationData, source)}},
                                   sizeof(LeanAttestationData)));
  declare("Attestation",
          container("attestation", {{"validator_index", &kUint64}, {"data", &data}}));
  declare("SignedAttestation", container("signed_attestation", {{"validator_index", &kUint64},
                                                                {"data", &data},
                                                                {"signature", &get("Signature")}}));
  const Type& bits = declare(
      "AggregationBits", keep(ssz::bitlist("aggregation_bits", preset.validator_registry_limit)));
  using Aggregated = LeanAggregatedAttestation;
  declare("AggregatedAttestation",
          container("aggregated_attestation",
                    {{"aggregation_bits", &bits, offsetof(Aggregated, aggregation_bits)},
                     {"data", &data, offsetof(Aggregated, data)}},
                    sizeof(Aggregated)));
  const Type& proof = declare("ByteList512KiB", list("proof", ssz::kUint8, preset.max_proof_size,
                                                     &ssz::list_ops<uint8_t>()));
  using Single = LeanSingleMessageAggregate;
  const Type& single = declare("SingleMessageAggregate",
                               container("single_message_aggregate",
                                         {{"participants", &bits, offsetof(Single, participants)},
                                          {"proof", &proof, offsetof(Single, proof)}},
                                         sizeof(Single)));
  declare("MultiMessageAggregate", container("multi_message_aggregate", {{"proof", &proof}}));
  declare("SignedAggregatedAttestation",
          container("signed_aggregated_attestation", {{"data", &data}, {"proof", &single}}));
}

void LeanTypes::Impl::declare_blocks(const LeanPreset& preset) {
  declare("BlockHeader",
          container("block_header",
                    {{"slot", &kUint64, offsetof(LeanBlockHeader, slot)},
                     {"proposer_index", &kUint64, offsetof(LeanBlockHeader, proposer_index)},
                     {"parent_root", &kBytes32, offsetof(LeanBlockHeader, parent_root)},
                     {"state_root", &kBytes32, offsetof(LeanBlockHeader, state_root)},
                     {"body_root", &kBytes32, offsetof(LeanBlockHeader, body_root)}},
                    sizeof(LeanBlockHeader)));
  const Type& attestations =
      list("attestations", get("AggregatedAttestation"), preset.validator_registry_limit,
           &ssz::list_ops<LeanAggregatedAttestation>());
  const Type& body = declare(
      "BlockBody",
      container("body", {{"attestations", &attestations, offsetof(LeanBlockBody, attestations)}},
                sizeof(LeanBlockBody)));
  const Type& block =
      declare("Block", container("block",
                                 {{"slot", &kUint64, offsetof(LeanBlock, slot)},
                                  {"proposer_index", &kUint64, offsetof(LeanBlock, proposer_index)},
                                  {"parent_root", &kBytes32, offsetof(LeanBlock, parent_root)},
                                  {"state_root", &kBytes32, offsetof(LeanBlock, state_root)},
                                  {"body", &body, offsetof(LeanBlock, body)}},
                                 sizeof(LeanBlock)));
  declare("SignedBlock",
          container("signed_block", {{"block", &block}, {"proof", &get("MultiMessageAggregate")}}));
  const Type& roots = list("roots", kBytes32, preset.max_request_blocks);
  declare("BlocksByRootRequest", container("blocks_by_root", {{"roots", &roots}}));
  declare("BlocksByRangeRequest",
          container("blocks_by_range", {{"start_slot", &kUint64}, {"count", &kUint64}}));
  declare("Status",
          container("status", {{"finalized", &get("Checkpoint")}, {"head", &get("Checkpoint")}}));
}

void LeanTypes::Impl::declare_state(const LeanPreset& preset) {
  const Type& config =
      declare("Config",
              container("config", {{"genesis_time", &kUint64, offsetof(LeanConfig, genesis_time)}},
                        sizeof(LeanConfig)));
  const Type& key = keep(ssz::vector_of("Bytes52", ssz::kUint8, sizeof(LeanPublicKey)));
  const Type& validator = declare(
      "Validator",
      container("validator",
                {{"attestation_public_key", &key, offsetof(LeanValidator, attestation_public_key)},
                 {"proposal_public_key", &key, offsetof(LeanValidator, proposal_public_key)},
                 {"index", &kUint64, offsetof(LeanValidator, index)}},
                sizeof(LeanValidator)));
  const Type& validators =
      declare("Validators", list("validators", validator, preset.validator_registry_limit,
                                 &ssz::arena_list_ops<LeanValidator>()));
  const uint64_t roots = preset.historical_roots_limit;
  const Type& history =
      list("historical_block_hashes", kBytes32, roots, &ssz::arena_list_ops<Root>());
  const Type& justified = keep(ssz::bitlist("justified_slots", roots));
  const Type& justifications =
      list("justifications_roots", kBytes32, roots, &ssz::arena_list_ops<Root>());
  const Type& votes =
      keep(ssz::bitlist("justifications_validators", roots * preset.validator_registry_limit));
  const Type& checkpoint = get("Checkpoint");
  declare(
      "State",
      container(
          "state",
          {{"config", &config, offsetof(LeanState, config)},
           {"slot", &kUint64, offsetof(LeanState, slot)},
           {"latest_block_header", &get("BlockHeader"), offsetof(LeanState, latest_block_header)},
           {"latest_justified", &checkpoint, offsetof(LeanState, latest_justified)},
           {"latest_finalized", &checkpoint, offsetof(LeanState, latest_finalized)},
           {"historical_block_hashes", &history, offsetof(LeanState, historical_block_hashes)},
           {"justified_slots", &justified, offsetof(LeanState, justified_slots)},
           {"validators", &validators, offsetof(LeanState, validators)},
           {"justifications_roots", &justifications, offsetof(LeanState, justifications_roots)},
           {"justifications_validators", &votes, offsetof(LeanState, justifications_validators)}},
          sizeof(LeanState)));
}

LeanTypes::LeanTypes(const LeanPreset& preset) : preset_(&preset), impl_(std::make_unique<Impl>()) {
  impl_->declare_signatures(preset);
  impl_->declare_attestations(preset);
  impl_->declare_blocks(preset);
  impl_->declare_state(preset);
  signed_block_ = &impl_->get("SignedBlock");
  signed_attestation_ = &impl_->get("SignedAttestation");
  signed_aggregate_ = &impl_->get("SignedAggregatedAttestation");
  state_ = &impl_->get("State");
  block_ = &impl_->get("Block");
  block_body_ = &impl_->get("BlockBody");
  block_header_ = &impl_->get("BlockHeader");
  attestation_data_ = &impl_->get("AttestationData");
  validators_ = &impl_->get("Validators");
}
LeanTypes::~LeanTypes() = default;

const Type* LeanTypes::find(std::string_view name) const { return impl_->find(name); }
std::span<const LeanTypes::Entry> LeanTypes::all() const { return impl_->entries; }

Result<ssz::View> LeanTypes::parse(const Type& type, Bytes bytes) const {
  constexpr size_t kValidatorsField = 7;
  constexpr size_t kIndexField = 2;
  const Result<ssz::View> view = ssz::View::parse(type, bytes);
  if (!view || (&type != state_ && &type != validators_)) return view;
  const ssz::View validators = &type == state_ ? view->field(kValidatorsField) : *view;
  for (size_t i = 0; i < validators.size(); ++i) {
    const ssz::View index = validators.at(i).field(kIndexField);
    if (index.as_uint() != i) {
      return bad_input(Code::mismatch, "index",
                       static_cast<size_t>(index.bytes().data() - bytes.data()));
    }
  }
  return view;
}

}  // namespace beamline
