// A lean chain that a test makes: validators, blocks with votes, and their bytes as on the wire.
#pragma once

#include <map>
#include <string>

#include "chain/lean/block_production.h"
#include "chain/lean/checkpoint_sync.h"
#include "chain/lean/importer.h"

namespace beamline::chain::lean::testing {

inline const LeanTypes& types() {
  static const LeanTypes kTypes(LeanPreset::test());
  return kTypes;
}

// Proves nothing; no two of its proofs are the same.
class NoProver : public Prover {
 public:
  Result<SharedBytes> prove(const Aggregation&) override {
    return SharedBytes::copy(as_bytes("proof " + std::to_string(++made_)));
  }

 private:
  uint64_t made_ = 0;
};

inline std::vector<LeanValidator> make_validators(size_t count) {
  std::vector<LeanValidator> validators(count);
  for (size_t i = 0; i < count; ++i) {
    validators[i].index = i;
    validators[i].attestation_public_key.fill(static_cast<uint8_t>(i + 1));
    validators[i].proposal_public_key.fill(static_cast<uint8_t>(i + 101));
  }
  return validators;
}

struct MadeBlock {
  Root root;
  LeanBlock block;
  LeanState post;
  SharedBytes bytes;  // of the SignedBlock; its proof is "proof"
};

inline chain::Vote vote_of(const LeanAttestationData& data) {
  chain::Vote vote;
  vote.slot = data.slot;
  vote.head_root = data.head.root;
  vote.head_slot = data.head.slot;
  vote.target = {data.target.slot, data.target.root};
  vote.source = {data.source.slot, data.source.root};
  return vote;
}

// Every block ever made, and its state.
class LeanChain {
 public:
  explicit LeanChain(size_t validators, uint64_t genesis_time = 0) {
    LeanState state = make_genesis(types(), genesis_time, make_validators(validators));
    LeanBlock block;
    block.state_root = *transition.root_of(state);
    genesis = keep(std::move(block), std::move(state));
  }

  const MadeBlock& at(const Root& root) const { return blocks_.at(root); }
  bool has(const Root& root) const { return blocks_.contains(root); }
  BlockInfo info(const Root& root) const {
    const MadeBlock& made = at(root);
    BlockInfo block;
    block.root = root;
    block.parent_root = made.block.parent_root;
    block.slot = made.block.slot;
    block.proposer = made.block.proposer_index;
    block.signed_bytes = made.bytes;
    return block;
  }
  // A block in this slot, with votes of these validators for `data`.
  Root add(const Root& parent, Slot slot, std::vector<LeanAggregatedAttestation> votes = {}) {
    LeanState state = at(parent).post;
    LeanBlock block;
    block.slot = slot;
    block.proposer_index = proposer_for(slot, state.validators.size());
    block.parent_root = parent;
    block.body.attestations = std::move(votes);
    BL_CHECK(transition.process_slots(state, slot));
    BL_CHECK(transition.process_block(state, block));
    block.state_root = *transition.root_of(state);
    return keep(std::move(block), std::move(state));
  }
  LeanCheckpoint checkpoint(const Root& root) const {
    return {.root = root, .slot = at(root).block.slot};
  }
  // As an honest validator votes that has `head`, and takes it for the target too.
  LeanAttestationData vote_for(const Root& head, Slot slot) const {
    LeanCheckpoint source = at(head).post.latest_justified;
    if (source.root.is_zero()) source.root = head;
    return {.slot = slot, .head = checkpoint(head), .target = checkpoint(head), .source = source};
  }
  static LeanAggregatedAttestation cast(const LeanAttestationData& data, size_t voters) {
    LeanAggregatedAttestation attestation{ssz::Bitlist::of_length(voters), data};
    for (size_t i = 0; i < voters; ++i) attestation.aggregation_bits.set(i, true);
    return attestation;
  }
  StoreBlock summary(const Root& root) const {
    const MadeBlock& made = at(root);
    return {.root = root,
            .parent_root = made.block.parent_root,
            .slot = made.block.slot,
            .proposer = made.block.proposer_index,
            .justified = made.post.latest_justified,
            .finalized = made.post.latest_finalized,
            .validators = static_cast<uint32_t>(made.post.validators.size())};
  }
  Vote keyed(const LeanAttestationData& data) { return {transition.root_of(data), data}; }

  // A SignedBlock: the offsets of block and proof, the block, and the proof's own offset and bytes.
  static SharedBytes sign(const LeanBlock& block, Bytes proof) {
    std::vector<uint8_t> encoded;
    BL_CHECK(ssz::encode_value(types().block(), &block, encoded));
    std::vector<uint8_t> bytes;
    const auto offset = [&](size_t value) {
      for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
    };
    offset(8);
    offset(8 + encoded.size());
    bytes.insert(bytes.end(), encoded.begin(), encoded.end());
    offset(4);
    bytes.insert(bytes.end(), proof.begin(), proof.end());
    return SharedBytes::copy(bytes);
  }

  StateTransition transition{types()};
  Root genesis;

 private:
  Root keep(LeanBlock block, LeanState state) {
    const Root root = *transition.root_of(block);
    SharedBytes bytes = sign(block, as_bytes("proof"));
    blocks_[root] = {root, std::move(block), std::move(state), std::move(bytes)};
    return root;
  }

  std::map<Root, MadeBlock> blocks_;
};

}  // namespace beamline::chain::lean::testing
