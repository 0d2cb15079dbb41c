// What of the beacon policy outlives a restart: where it begins, and each validator's latest
// message as a record: the root that it voted for (zero: no longer here) and the epoch.
#include "base/check.h"
#include "chain/beacon_fork_choice.h"
#include "chain/record.h"
#include "chain/store.h"

namespace beamline::chain {
namespace {

constexpr uint64_t kEquivocated = UINT64_MAX;  // in place of an epoch

}  // namespace

BeaconForkChoice::Anchor BeaconForkChoice::anchor_of(const Recovered& found,
                                                     const BeaconConfig& config) {
  const StoredBlock& stored = found.final_block();
  Anchor anchor;
  anchor.root = stored.block.root;
  anchor.slot = stored.block.slot;
  const bool is_final = stored.block.root == found.finalized.root;
  anchor.epoch = is_final ? found.finalized.number : stored.block.slot / config.slots_per_epoch;
  // What is final was valid.
  anchor.execution =
      stored.post.execution == Execution::optimistic ? Execution::valid : stored.post.execution;
  anchor.payload_hash = stored.post.payload_hash;
  return anchor;
}

bool BeaconForkChoice::may_forget(Slot slot) const {
  const Id id = array_.find(finalized_.root);
  return slot < floor() && (id == ProtoArray::kNone || slot < array_.slot(id));
}

void BeaconForkChoice::note_changed(ValidatorIndex validator) {
  if (validator >= is_noted_.size()) is_noted_.resize(messages_.size());
  if (is_noted_[validator]) return;
  is_noted_[validator] = true;
  noted_.push_back(static_cast<uint32_t>(validator));
}

void BeaconForkChoice::take_records(std::vector<PolicyRecord>& changed) {
  changed.reserve(changed.size() + noted_.size());
  for (const uint32_t validator : noted_) {
    is_noted_[validator] = false;
    const Message& message = messages_[validator];
    RecordWriter out;
    out.root(array_.live(message.node) ? array_.root(message.node) : Root{});
    const bool equivocated = message.epoch_plus_one == Message::kEquivocating;
    out.u64(equivocated ? kEquivocated : uint64_t{message.epoch_plus_one} - 1);
    changed.push_back({validator, SharedBytes::copy(out.out)});
  }
  noted_.clear();
}

void BeaconForkChoice::restore(const Checkpoint& justified, const Checkpoint& finalized,
                               std::span<const PolicyRecord> records) {
  const auto fits_tree = [&](const Checkpoint& checkpoint) {
    return checkpoint.number <= epoch_ && array_.contains(checkpoint.root);
  };
  if (fits_tree(justified)) {
    update_checkpoints(justified, finalized_);
    // Of two for one epoch, which only votes that contradict each other make, the first one stays.
    if (justified.number == justified_.number && justified.root != justified_.root) {
      justified_ = justified;
      justified_id_ = array_.find(justified.root);
      stale_ = true;
    }
  }
  if (fits_tree(finalized)) update_checkpoints(justified_, finalized);
  for (const PolicyRecord& record : records) {
    RecordReader in(record.bytes);
    const Root root = in.root();
    const uint64_t epoch = in.u64();
    const bool fits = epoch == kEquivocated || epoch < Message::kEquivocating - 1;
    if (!in.end() || !fits || record.key >= config_.max_validators) continue;
    grow_to(record.key);
    Message& message = messages_[record.key];
    if (message.epoch_plus_one == Message::kEquivocating) continue;
    array_.take_weight(message.node, message.balance);
    if (epoch == kEquivocated) {
      message.node = ProtoArray::kNone;
      message.epoch_plus_one = Message::kEquivocating;
      continue;
    }
    message.node = array_.find(root);
    message.epoch_plus_one = static_cast<uint32_t>(epoch) + 1;
    array_.add_weight(message.node, message.balance);
  }
}

}  // namespace beamline::chain
