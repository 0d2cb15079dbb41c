// What of lean's policy outlives a restart besides its blocks: the proofs of votes, as records
// under numbers that rise, with the interval in which each came.
#include <algorithm>

#include "chain/lean/checkpoint_sync.h"
#include "chain/lean/fork_choice.h"
#include "chain/lean/importer.h"
#include "chain/record.h"
#include "chain/store.h"

namespace beamline::chain::lean {
namespace {

// How often votes were accepted up to this interval: at the last of each slot.
uint64_t acceptances(Interval time) { return (time + 1) / kIntervalsPerSlot; }

}  // namespace

StoreBlock store_block_of(const StoredBlock& stored, uint32_t validators) {
  return {.root = stored.block.root,
          .parent_root = stored.block.parent_root,
          .slot = stored.block.slot,
          .proposer = stored.block.proposer,
          .justified = checkpoint_of(stored.post.justified),
          .finalized = checkpoint_of(stored.post.finalized),
          .validators = validators};
}

PostState post_state_of(const StoreBlock& block) {
  PostState post;
  post.justified = post.unrealized_justified = checkpoint_of(block.justified);
  post.finalized = post.unrealized_finalized = checkpoint_of(block.finalized);
  return post;
}

void LeanForkChoice::note(const Vote& vote, const Proof& proof) {
  if (!keeps_records_) return;
  RecordWriter out;
  out.u64(store_.time());
  out.u64(vote.data.slot);
  for (const LeanCheckpoint& point : {vote.data.head, vote.data.target, vote.data.source}) {
    out.checkpoint(checkpoint_of(point));
  }
  out.u32(proof.participants.length);
  out.sized(proof.participants.bits);
  out.bytes(proof.bytes);
  // As in the pools: the oldest go.
  while (!records_.empty() && (records_.size() >= limits_.votes ||
                               record_bytes_ + out.out.size() > limits_.proof_bytes)) {
    forget_record(records_.begin());
  }
  records_.emplace(next_record_, Record{vote.data.head.slot, out.out.size()});
  record_bytes_ += out.out.size();
  changed_.push_back({next_record_++, SharedBytes::copy(out.out)});
}

void LeanForkChoice::forget_record(std::map<uint64_t, Record>::iterator record) {
  record_bytes_ -= record->second.size;
  changed_.push_back({record->first, {}});
  records_.erase(record);
}

void LeanForkChoice::take_records(std::vector<PolicyRecord>& changed) {
  const Slot final_slot = store_.latest_finalized().slot;
  for (auto it = records_.begin(); it != records_.end();) {
    const auto record = it++;
    if (record->second.head_slot <= final_slot) forget_record(record);
  }
  changed.insert(changed.end(), std::make_move_iterator(changed_.begin()),
                 std::make_move_iterator(changed_.end()));
  changed_.clear();
}

// The justified and the finalised block follow from the blocks.
void LeanForkChoice::restore(const Checkpoint&, const Checkpoint&,
                             std::span<const PolicyRecord> records) {
  for (const PolicyRecord& record : records) {
    next_record_ = std::max(next_record_, record.key + 1);
    if (!restore_record(record)) changed_.push_back({record.key, {}});
  }
  store_.update_head();
}

// What had been accepted, or would have been by now, counts at once; the rest is pending.
bool LeanForkChoice::restore_record(const PolicyRecord& record) {
  RecordReader in(record.bytes);
  const Interval added = in.u64();
  LeanAttestationData data;
  data.slot = in.u64();
  data.head = checkpoint_of(in.checkpoint());
  data.target = checkpoint_of(in.checkpoint());
  data.source = checkpoint_of(in.checkpoint());
  ssz::Bitlist participants;
  participants.length = in.u32();
  const Bytes bits = in.sized();
  participants.bits.assign(bits.begin(), bits.end());
  const SharedBytes bytes = SharedBytes::copy(in.rest());
  if (!in.end()) return false;
  const Result<Proof> proof = Proof::make(std::move(participants), bytes);
  if (!proof || !store_.check_aggregate(data, proof->voters)) return false;
  const Vote vote{hasher_.root_of(data), data};
  const bool counts = acceptances(store_.time()) > acceptances(added);
  const Status put =
      counts ? store_.add_counted_proof(vote, *proof) : store_.add_proof(vote, *proof);
  if (!put) return false;
  records_.emplace(record.key, Record{data.head.slot, record.bytes.size()});
  record_bytes_ += record.bytes.size();
  return true;
}

// ---- The worker's side

SharedBytes Importer::encode_state(const LeanState& state) {
  std::vector<uint8_t> bytes;
  if (!ssz::encode_value(types_.state(), &state, bytes)) return {};
  ++stats_.states_given;
  return SharedBytes::copy(bytes);
}

Result<uint32_t> Importer::restore(const Recovered& found, chain::Store& store, Slot floor) {
  BL_CHECK(states_.empty() && blocks_.empty());
  restore_block(found.anchor);
  for (const StoredBlock& stored : found.blocks) restore_block(stored);
  // The newest last, so that they stay when there is no room for all.
  std::vector<const StoredBlock*> wanted;
  for (auto it = found.blocks.rbegin(); it != found.blocks.rend(); ++it) {
    if (it->has_state) wanted.push_back(&*it);
  }
  if (found.anchor.has_state) wanted.push_back(&found.anchor);
  const auto base = std::ranges::find_if(
      wanted, [&](const StoredBlock* stored) { return stored->block.slot <= floor; });
  if (base != wanted.end()) wanted.erase(base + 1, wanted.end());
  uint32_t validators = 0;
  for (auto it = wanted.rbegin(); it != wanted.rend(); ++it) {
    const Root& root = (*it)->block.root;
    const Result<bool> done = restore_state(root, store);
    if (!done) return std::unexpected(done.error());
    if (!*done) continue;
    if (base_.is_zero()) base_ = root;
    validators = static_cast<uint32_t>(states_.at(root).state.validators.size());
  }
  if (states_.empty()) return local_error(Code::not_found, "state");
  return validators;
}

// Only its block without the proof; one that does not decode is not here, and neither are states
// that would be made by it.
void Importer::restore_block(const StoredBlock& stored) {
  Bytes proof;
  if (stored.block.signed_bytes.empty() || blocks_.size() >= limits_.blocks) return;
  Result<LeanBlock> block = decode(stored.block.root, stored.block.signed_bytes, proof);
  if (!block) return;
  by_slot_.emplace(block->slot, stored.block.root);
  blocks_.emplace(stored.block.root, *std::move(block));
}

// False: it is not there.
Result<bool> Importer::restore_state(const Root& root, chain::Store& store) {
  const auto bytes = store.state(root);
  if (!bytes) return std::unexpected(bytes.error());
  if (!*bytes) return false;
  Result<LeanState> state = decode_checkpoint_state(types_, **bytes);
  if (!state) return std::unexpected(state.error());
  const Result<Root> state_root = transition_.root_of(*state);
  if (!state_root) return std::unexpected(state_root.error());
  ++stats_.states_restored;
  put_state(root, *state_root, *std::move(state));
  return true;
}

}  // namespace beamline::chain::lean
