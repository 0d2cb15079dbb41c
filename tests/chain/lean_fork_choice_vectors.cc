// leanSpec's fork choice vectors: blocks, votes, aggregates and ticks, and the whole store after
// each.

#include <map>

#include "chain/lean/block_production.h"
#include "chain/lean/checkpoint_sync.h"
#include "chain/lean/slot_clock.h"
#include "chain/lean/store.h"
#include "tests/chain/lean_vectors.h"
#include "tests/vectors/lean_value.h"

namespace beamline::chain::lean {
namespace {

using lean_vectors::Case;
using lean_vectors::Json;
using lean_vectors::value_of;

// A prover that proves nothing: no two of its proofs are the same, as with the real one.
class NoProver : public Prover {
 public:
  Result<SharedBytes> prove(const Aggregation&) override {
    return SharedBytes::copy(as_bytes("proof " + std::to_string(++made_)));
  }

 private:
  uint64_t made_ = 0;
};

// The snapshot's fields, of our store, as the vector writes them.
class Snapshot {
 public:
  static Json of(Store& store) {
    Json json;
    json["time"] = store.time();
    json["headRoot"] = hex(store.head());
    json["safeTargetRoot"] = hex(store.safe_target().root);
    json["latestJustified"] = checkpoint(store.latest_justified());
    json["latestFinalized"] = checkpoint(store.latest_finalized());
    json["blockRoots"] = Json::array();
    json["blockWeights"] = Json::array();
    store.refresh_weights();
    std::map<Root, ProtoArray::Id> blocks;
    const ProtoArray& tree = store.tree();
    for (ProtoArray::Id id = tree.first(); id < tree.end(); ++id) blocks.emplace(tree.root(id), id);
    for (const auto& [root, id] : blocks) {
      json["blockRoots"].push_back(hex(root));
      if (tree.slot(id) <= store.latest_finalized().slot) continue;
      json["blockWeights"].push_back({{"root", hex(root)}, {"weight", tree.weight(id)}});
    }
    json["attestationSignatures"] = signatures(store.signatures());
    json["newAggregatedPayloads"] = proofs(store.pending_proofs());
    json["knownAggregatedPayloads"] = proofs(store.counted_proofs());
    return json;
  }

 private:
  static std::string hex(const Root& root) { return "0x" + to_hex(root.view()); }
  static Json checkpoint(const LeanCheckpoint& point) {
    return {{"root", hex(point.root)}, {"slot", point.slot}};
  }
  static Json signatures(const SignaturePool& pool) {
    std::map<Root, Json> sorted;
    for (const auto& [place, entry] : pool.entries()) {
      Json indices = Json::array();
      for (const auto& [validator, signature] : entry.content) indices.push_back(validator);
      sorted[entry.vote.root] = std::move(indices);
    }
    Json json = Json::array();
    for (auto& [root, indices] : sorted) {
      json.push_back({{"dataRoot", hex(root)}, {"validatorIndices", indices}});
    }
    return json;
  }
  static Json proofs(const ProofPool& pool) {
    std::map<Root, std::vector<std::vector<uint64_t>>> sorted;
    for (const auto& [place, entry] : pool.entries()) {
      auto& sets = sorted[entry.vote.root];
      for (const Proof& proof : entry.content.list) {
        auto& set = sets.emplace_back();
        proof.voters.for_each([&](ValidatorIndex index) { set.push_back(index); });
      }
      std::ranges::sort(sets);
    }
    Json json = Json::array();
    for (const auto& [root, sets] : sorted) {
      json.push_back({{"dataRoot", hex(root)}, {"participantSets", sets}});
    }
    return json;
  }
};

// One vector: a store, and beside it what a worker keeps, the states.
class Run {
 public:
  explicit Run(const Case& one) : types_(types_of(one)), transition_(types_) {}

  bool all(const Json& json);

 private:
  Status begin(const Json& json);
  Status step(const Json& json);
  Status on_block_step(const Json& json);
  Status import(const LeanBlock& block);
  Status on_attestation(const Json& json);
  Status on_aggregate(const Json& json);
  void on_tick_step(const Json& json);
  std::optional<Vote> find_vote(const Root& root, Slot last_slot);
  void gossip_of_proposer(const LeanBlock& block, const Json& step);
  void expect_produced(Store& store, const LeanBlock& block, size_t votes_of_builder);
  void check(const Json& checks);

  Vote vote_of(const LeanAttestationData& data) { return {transition_.root_of(data), data}; }
  StoreBlock summary_of(const LeanBlock& block, const LeanState& post) {
    return {.root = *transition_.root_of(block),
            .parent_root = block.parent_root,
            .slot = block.slot,
            .proposer = block.proposer_index,
            .justified = post.latest_justified,
            .finalized = post.latest_finalized,
            .validators = static_cast<uint32_t>(post.validators.size())};
  }

  const LeanTypes& types_;
  StateTransition transition_;
  NoProver prover_;
  std::optional<Store> store_;
  std::map<Root, LeanState> states_;
  std::map<std::string, Root> labels_;
};

Status Run::begin(const Json& json) {
  auto state = value_of<LeanState>(types_.state(), json.at("anchorState"));
  const auto block = value_of<LeanBlock>(types_.block(), json.at("anchorBlock"));
  if (Status status = verify_anchor(transition_, state, block); !status) return status;
  const StoreBlock anchor = summary_of(block, state);
  store_.emplace(anchor);
  labels_["genesis"] = anchor.root;
  states_.emplace(anchor.root, std::move(state));
  return {};
}

// The vote of this root, by trial over the blocks that there are and the slots up to now. Some
// votes that a vector's author gave to the proposer are not in the block that came of them, and the
// vector tells nothing of them but their root and who cast them.
std::optional<Vote> Run::find_vote(const Root& root, Slot last_slot) {
  std::vector<LeanCheckpoint> blocks;
  const ProtoArray& tree = store_->tree();
  for (ProtoArray::Id id = tree.first(); id < tree.end(); ++id) {
    blocks.push_back({.root = tree.root(id), .slot = tree.slot(id)});
  }
  LeanAttestationData data;
  const auto matches = [&] { return transition_.root_of(data) == root; };
  for (data.slot = last_slot + 1; data.slot-- > 0;) {
    for (const LeanCheckpoint& source : blocks) {
      for (const LeanCheckpoint& target : blocks) {
        data.source = source;
        data.head = data.target = target;
        if (matches()) return Vote{root, data};
      }
    }
  }
  return std::nullopt;
}

// The vectors' blocks were built as a proposer would: their votes came by gossip to a copy of the
// store, were aggregated, and what came of it stays in the counted pool. A vote that a vector put
// into the block without that has no proof in the snapshot.
void Run::gossip_of_proposer(const LeanBlock& block, const Json& step) {
  Store copy = *store_;
  const Interval begin = SlotClock::interval_of(block.slot);
  if (copy.time() < begin) copy.on_tick(begin, true, &prover_);
  const auto cast = [&](const Vote& vote, ValidatorIndex index) {
    const Status status = copy.check_attestation(vote.data, index);
    EXPECT_TRUE(status) << status.error().field;
    EXPECT_TRUE(copy.add_signature(vote, index, SharedBytes::copy(as_bytes("signature"))));
  };
  const Json& snapshot = step.at("storeSnapshot");
  std::vector<Root> seen;
  std::vector<Root> not_by_gossip;
  const Json& counted = snapshot.at("knownAggregatedPayloads");
  for (const Json& entry : counted) {
    if (entry.at("participantSets").empty()) {
      not_by_gossip.push_back(lean_vectors::root_of(entry.at("dataRoot")));
    }
  }
  if (!step.at("valid").get<bool>()) {  // and where no block came in, none at all
    for (const LeanAggregatedAttestation& attestation : block.body.attestations) {
      not_by_gossip.push_back(transition_.root_of(attestation.data));
    }
  }
  for (const LeanAggregatedAttestation& attestation : block.body.attestations) {
    const Vote vote = vote_of(attestation.data);
    if (std::ranges::find(seen, vote.root) != seen.end()) continue;
    if (std::ranges::find(not_by_gossip, vote.root) != not_by_gossip.end()) continue;
    seen.push_back(vote.root);
    ValidatorSet::of(attestation.aggregation_bits).for_each([&](ValidatorIndex index) {
      cast(vote, index);
    });
  }
  for (const Json& entry : counted) {
    const Root root = lean_vectors::root_of(entry.at("dataRoot"));
    const bool known = copy.counted_proofs().find(root) != nullptr ||
                       copy.pending_proofs().find(root) != nullptr ||
                       copy.signatures().find(root) != nullptr;
    if (known || entry.at("participantSets").empty()) continue;
    const std::optional<Vote> vote = find_vote(root, block.slot);
    ASSERT_TRUE(vote) << to_hex(root.view());
    for (const Json& set : entry.at("participantSets")) {
      for (const Json& index : set) cast(*vote, index.get<ValidatorIndex>());
    }
  }
  std::vector<std::pair<Vote, Proof>> made;
  for (const Aggregation& aggregation : copy.aggregations()) {
    made.emplace_back(aggregation.vote, *aggregate(prover_, aggregation));
  }
  copy.finish_aggregations(made);
  copy.accept_votes();
  expect_produced(copy, block, seen.size());
  for (const auto& [place, entry] : copy.counted_proofs().entries()) {
    for (const Proof& proof : entry.content.list) {
      EXPECT_TRUE(store_->add_counted_proof(entry.vote, proof));
    }
  }
}

// Our proposer makes the same block of the same votes.
void Run::expect_produced(Store& store, const LeanBlock& block, size_t votes_of_builder) {
  Proposal proposal{.slot = block.slot,
                    .proposer = block.proposer_index,
                    .parent_root = block.parent_root,
                    .candidates = {}};
  for (const auto& [place, entry] : store.counted_proofs().entries()) {
    if (!store.contains(entry.vote.data.head.root)) continue;
    proposal.candidates.push_back({entry.vote, entry.content.list});
  }
  const LeanState& parent = states_.at(block.parent_root);
  const Result<ProducedBlock> produced = produce_block(transition_, parent, proposal, &prover_);
  ASSERT_TRUE(produced) << produced.error().field;
  if (votes_of_builder == block.body.attestations.size()) {
    EXPECT_EQ(produced->block, block);
    return;
  }
  ASSERT_EQ(produced->block.body.attestations.size(), votes_of_builder);
  for (size_t i = 0; i < votes_of_builder; ++i) {
    EXPECT_EQ(produced->block.body.attestations[i], block.body.attestations[i]);
  }
}

Status Run::on_block_step(const Json& json) {
  const auto block = value_of<LeanBlock>(types_.block(), json.at("block"));
  if (json.at("block").contains("blockRootLabel")) {
    labels_[json.at("block").at("blockRootLabel")] = *transition_.root_of(block);
  }
  if (states_.contains(block.parent_root)) gossip_of_proposer(block, json);
  if (json.at("tickToSlot").get<bool>()) {
    store_->on_tick(SlotClock::interval_of(block.slot), true, &prover_);
  }
  return import(block);
}

Status Run::import(const LeanBlock& block) {
  const Root root = *transition_.root_of(block);
  if (store_->contains(root)) return {};
  const auto parent = states_.find(block.parent_root);
  if (parent == states_.end()) {
    StoreBlock orphan;
    orphan.root = root;
    orphan.parent_root = block.parent_root;
    orphan.slot = block.slot;
    return store_->on_block(orphan, {});
  }
  if (Status status = check_signers(block, parent->second.validators.size()); !status) {
    return status;
  }
  Result<LeanState> post = transition_.apply(parent->second, block);
  if (!post) return std::unexpected(post.error());
  std::vector<Vote> votes;
  for (const auto& attestation : block.body.attestations) {
    votes.push_back(vote_of(attestation.data));
  }
  Status status = store_->on_block(summary_of(block, *post), votes);
  if (status) states_.emplace(root, *std::move(post));
  return status;
}

Status Run::on_attestation(const Json& json) {
  const Json& attestation = json.at("attestation");
  const auto data =
      value_of<LeanAttestationData>(types_.attestation_data(), attestation.at("data"));
  const auto validator = attestation.at("validatorIndex").get<ValidatorIndex>();
  if (Status status = store_->check_attestation(data, validator); !status) return status;
  if (!json.at("isAggregator").get<bool>()) return {};
  const auto signature = lean_vectors::bytes_of(attestation.at("signature"));
  return store_->add_signature(vote_of(data), validator, SharedBytes::copy(signature));
}

Status Run::on_aggregate(const Json& json) {
  const Json& attestation = json.at("attestation");
  const auto data =
      value_of<LeanAttestationData>(types_.attestation_data(), attestation.at("data"));
  auto single = value_of<LeanSingleMessageAggregate>(*types_.find("SingleMessageAggregate"),
                                                     attestation.at("proof"));
  const ValidatorSet voters = ValidatorSet::of(single.participants);
  if (Status status = store_->check_aggregate(data, voters); !status) return status;
  Result<Proof> proof = Proof::make(single.participants, SharedBytes::copy(single.proof));
  if (!proof) return std::unexpected(proof.error());
  return store_->add_proof(vote_of(data), *proof);
}

void Run::on_tick_step(const Json& json) {
  const SlotClock clock(states_.begin()->second.config.genesis_time);
  const Interval target =
      json.contains("interval") && !json.at("interval").is_null()
          ? json.at("interval").get<Interval>()
          : clock.total_intervals(WallTime::from_unix(json.at("time").get<int64_t>()));
  store_->on_tick(target, json.at("hasProposal").get<bool>(), &prover_);
}

Status Run::step(const Json& json) {
  const std::string kind = json.at("stepType");
  if (kind == "block") return on_block_step(json);
  if (kind == "attestation") return on_attestation(json);
  if (kind == "gossipAggregatedAttestation") return on_aggregate(json);
  EXPECT_EQ(kind, "tick");
  on_tick_step(json);
  return {};
}

// What a vector's author checked besides, where the snapshot does not say it.
void Run::check(const Json& checks) {
  const auto slot_is = [&](const char* key, Slot slot) {
    EXPECT_EQ(slot, checks.value(key, slot)) << key;
  };
  const auto label_is = [&](const char* key, const Root& root) {
    if (!checks.contains(key)) return;
    EXPECT_EQ(root, labels_.at(checks.at(key))) << key;
  };
  const LeanCheckpoint target = store_->attestation_target();
  slot_is("headSlot", store_->head_slot());
  slot_is("safeTargetSlot", store_->safe_target().slot);
  slot_is("attestationTargetSlot", target.slot);
  label_is("attestationTargetRootLabel", target.root);
  label_is("headRootLabel", store_->head());
  label_is("safeTargetRootLabel", store_->safe_target().root);
  label_is("latestJustifiedRootLabel", store_->latest_justified().root);
  label_is("latestFinalizedRootLabel", store_->latest_finalized().root);
  for (const Json& label : checks.value("labelsInStore", Json::array())) {
    EXPECT_TRUE(store_->contains(labels_.at(label))) << label;
  }
}

// How a step ended: as told?
bool ends_as_told(const Status& status, const Json& json) {
  const std::string told = json.value("rejectionReason", std::string());
  const std::string reason = status ? "" : status.error().field;
  EXPECT_EQ(reason, told);
  return reason == told;
}

bool Run::all(const Json& json) {
  const Status status = begin(json);
  if (!ends_as_told(status, json)) return false;
  bool good = true;
  size_t number = 0;
  for (const Json& one : json.at("steps")) {
    SCOPED_TRACE("step " + std::to_string(number++) + " " + one.at("stepType").get<std::string>());
    good &= ends_as_told(step(one), one);
    const Json snapshot = Snapshot::of(*store_);
    for (const auto& [key, value] : one.at("storeSnapshot").items()) {
      EXPECT_EQ(snapshot.value(key, Json()), value) << key;
      good &= snapshot.value(key, Json()) == value;
    }
    check(one.value("checks", Json::object()));
  }
  return good;
}

}  // namespace

bool run_fork_choice(const Case& one) { return Run(one).all(one.json); }

}  // namespace beamline::chain::lean
