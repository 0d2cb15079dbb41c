#include "chain/beacon_fork_choice.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {
namespace {
constexpr auto kNone = ProtoArray::kNone;
}  // namespace

BeaconForkChoice::BeaconForkChoice(const BeaconConfig& config, const Anchor& anchor)
    : config_(config), array_(config.max_blocks, config.seed), slot_(anchor.slot) {
  BL_CHECK(config.slots_per_epoch > 0 && config.slot_duration > Duration{});
  BL_CHECK(anchor.epoch <= UINT32_MAX);
  epoch_ = epoch_of(slot_);
  justified_ = finalized_ = Checkpoint{anchor.epoch, anchor.root};
  unrealized_justified_ = unrealized_finalized_ = justified_;
  PostState post;
  post.justified = post.unrealized_justified = post.unrealized_finalized = justified_;
  post.execution = anchor.execution;
  post.payload_hash = anchor.payload_hash;
  justified_id_ = add_node(anchor.root, anchor.slot, kNone, post);
}

BeaconForkChoice::Id BeaconForkChoice::add_node(const Root& root, Slot slot, Id parent,
                                                const PostState& post) {
  const Id id = array_.add(root, slot, parent);
  Source source;
  source.epoch = static_cast<uint32_t>(epoch_of(slot));
  source.justified = static_cast<uint32_t>(post.justified.number);
  source.unrealized = static_cast<uint32_t>(post.unrealized_justified.number);
  source.on_final = true;
  sources_.push_back(source);
  Info info;
  info.unrealized_justified = post.unrealized_justified;
  info.unrealized_finalized = post.unrealized_finalized;
  info.payload_hash = post.payload_hash;
  info.execution = post.execution;
  infos_.push_back(info);
  BL_CHECK(id != kNone && infos_.size() == array_.size());
  return id;
}

Slot BeaconForkChoice::start_slot(Epoch epoch) const {
  return epoch > UINT64_MAX / config_.slots_per_epoch ? UINT64_MAX
                                                      : epoch * config_.slots_per_epoch;
}

// ---- Time.

// on_tick_per_slot(), for all slots that passed at once: the second time it would change nothing.
void BeaconForkChoice::on_tick(WallTime wall) {
  const int64_t since = (wall - config_.genesis_time).ns;
  const Slot slot = since <= 0 ? 0 : static_cast<Slot>(since / config_.slot_duration.ns);
  if (slot <= slot_) return;
  slot_ = slot;
  clear_boost();
  if (epoch_of(slot) == epoch_) return;
  epoch_ = epoch_of(slot);
  stale_ = true;  // the voting sources of the last epoch's blocks are pulled up
  update_checkpoints(unrealized_justified_, unrealized_finalized_);
}

std::optional<WallTime> BeaconForkChoice::next_tick() const {
  return config_.genesis_time + config_.slot_duration * static_cast<int64_t>(slot_ + 1);
}

// ---- Blocks.

// The checkpoint block of an epoch on the branch of a block that is not here yet; kNone: itself, or
// it lies before the root.
BeaconForkChoice::Id BeaconForkChoice::checkpoint_block(const Block& block, Id parent,
                                                        Epoch epoch) const {
  return block.slot <= start_slot(epoch) ? kNone : array_.ancestor_at(parent, start_slot(epoch));
}

// Would we take this checkpoint, and is it then of the block's own branch?
bool BeaconForkChoice::holds(const Checkpoint& checkpoint, const Checkpoint& ours,
                             const Block& block, Id parent) const {
  if (checkpoint.number <= ours.number) return true;
  if (block.slot <= start_slot(checkpoint.number)) return checkpoint.root == block.root;
  const Id id = checkpoint_block(block, parent, checkpoint.number);
  return id != kNone && array_.root(id) == checkpoint.root;
}

bool BeaconForkChoice::builds_on_final(Id parent, Slot slot) const {
  if (slot <= start_slot(finalized_.number)) return false;
  return on_final(parent);
}

Status BeaconForkChoice::check_block(const Block& block, Id parent) const {
  if (parent == kNone) return local_error(Code::not_found, "parent_root");
  if (array_.contains(block.root)) return local_error(Code::duplicate, "root");
  if (block.slot <= array_.slot(parent)) return local_error(Code::mismatch, "slot");
  if (block.slot > slot_) return local_error(Code::unexpected, "slot");
  if (!builds_on_final(parent, block.slot)) return local_error(Code::refused, "finalized");
  const PostState& post = block.post;
  // No state justifies an epoch that is still to come; and epochs are kept in 32 bits.
  if (std::max(post.justified.number, post.unrealized_justified.number) > epoch_ ||
      epoch_ > UINT32_MAX) {
    return local_error(Code::out_of_range, "justified");
  }
  if (post.execution == Execution::invalid) return local_error(Code::refused, "execution");
  if (!holds(post.justified, justified_, block, parent) ||
      !holds(post.unrealized_justified, unrealized_justified_, block, parent)) {
    return local_error(Code::mismatch, "justified");
  }
  if (!holds(post.finalized, finalized_, block, parent) ||
      !holds(post.unrealized_finalized, unrealized_finalized_, block, parent)) {
    return local_error(Code::mismatch, "finalized");
  }
  if (array_.full()) return local_error(Code::full, "blocks");
  return {};
}

Status BeaconForkChoice::on_block(const Block& block) {
  const Id parent = array_.find(block.parent_root);
  if (const Status checked = check_block(block, parent); !checked) {
    ++stats_.blocks_refused;
    return checked;
  }
  // The head before this block decides on its boost.
  const bool boost = boost_root_.is_zero() && is_timely(block) &&
                     same_dependent_root(array_.find(head().root), parent, block.slot);
  const PostState& post = block.post;
  const Id id = add_node(block.root, block.slot, parent, post);
  if (post.execution == Execution::valid) {
    for (Id above = parent; above != kNone; above = array_.parent(above)) {
      if (info(above).execution != Execution::optimistic) break;
      info(above).execution = Execution::valid;
    }
  }
  if (boost) set_boost(block.root, id);
  update_checkpoints(post.justified, post.finalized);
  update_unrealized(post.unrealized_justified, post.unrealized_finalized);
  if (epoch_of(block.slot) < current_epoch()) {
    update_checkpoints(post.unrealized_justified, post.unrealized_finalized);
  }
  return {};
}

// ---- Proposer boost.

bool BeaconForkChoice::is_timely(const Block& block) const {
  if (block.slot != slot_) return false;
  constexpr int64_t kMs = 1'000'000;
  const Duration start = config_.slot_duration * static_cast<int64_t>(slot_);
  const int64_t into = (block.arrived - (config_.genesis_time + start)).ns / kMs;
  const int64_t slot_ms = config_.slot_duration.ns / kMs;
  return into < static_cast<int64_t>(config_.attestation_due_bps) * slot_ms / 10'000;
}

// Does the block's proposer come from the same shuffling as the head's?
bool BeaconForkChoice::same_dependent_root(Id head, Id parent, Slot block_slot) const {
  const Epoch epoch = current_epoch();
  const Slot slot = epoch <= 1 ? 0 : start_slot(epoch - 1) - 1;
  BL_CHECK(head != kNone && block_slot > slot);
  // Both before the root: then it is the root's, for both.
  return array_.ancestor_at(head, slot) == array_.ancestor_at(parent, slot);
}

void BeaconForkChoice::set_boost(const Root& root, Id id) {
  boost_root_ = root;
  boost_id_ = id;
  array_.add_weight(id, boost_amount_);
  ++stats_.boosts;
}

void BeaconForkChoice::clear_boost() {
  array_.take_weight(boost_id_, boost_amount_);
  boost_id_ = kNone;
  boost_root_ = Root{};
}

// ---- Checkpoints.

void BeaconForkChoice::update_checkpoints(const Checkpoint& justified,
                                          const Checkpoint& finalized) {
  if (justified.number > justified_.number) {
    justified_ = justified;
    justified_id_ = array_.find(justified.root);
    BL_CHECK(justified_id_ != kNone);
    stale_ = true;
  }
  if (finalized.number > finalized_.number) {
    finalized_ = finalized;
    mark_final();
    stale_ = true;
  }
}

void BeaconForkChoice::update_unrealized(const Checkpoint& justified, const Checkpoint& finalized) {
  if (justified.number > unrealized_justified_.number) unrealized_justified_ = justified;
  if (finalized.number > unrealized_finalized_.number) unrealized_finalized_ = finalized;
}

// After the branch that had the highest went: the highest of what is left.
void BeaconForkChoice::recompute_unrealized() {
  if (!array_.contains(unrealized_justified_.root)) unrealized_justified_ = justified_;
  if (!array_.contains(unrealized_finalized_.root)) unrealized_finalized_ = finalized_;
  for (Id id = array_.first(); id != array_.end(); ++id) {
    if (!array_.live(id) || !on_final(id)) continue;
    update_unrealized(info(id).unrealized_justified, info(id).unrealized_finalized);
  }
}

void BeaconForkChoice::mark_final() {
  const Id final_id = array_.find(finalized_.root);
  const Slot start = start_slot(finalized_.number);
  for (Id id = array_.first(); id != array_.end(); ++id) {
    if (!array_.live(id)) continue;
    const Id parent = array_.parent(id);
    sources_[array_.at(id)].on_final =
        id == final_id || (array_.slot(id) > start && parent != kNone && on_final(parent));
  }
}

void BeaconForkChoice::prune(std::vector<Root>& removed) {
  const Id root = array_.find(finalized_.root);
  const Id start = array_.find(unrealized_justified_.root);
  const Id final_start = array_.find(unrealized_finalized_.root);
  // Checkpoints that contradict each other: nothing is certain enough to be thrown away.
  if (root == kNone || start == kNone || final_start == kNone || !on_final(justified_id_) ||
      !on_final(start) || !on_final(final_start)) {
    ++stats_.prunes_refused;
    return;
  }
  const auto gone = [&](Id id) {
    removed.push_back(array_.root(id));
    ++stats_.pruned;
  };
  const Id before = array_.first();
  array_.prune(root, gone);
  infos_.erase(infos_.begin(), infos_.begin() + (array_.first() - before));
  sources_.erase(sources_.begin(), sources_.begin() + (array_.first() - before));
  // Built on it, and yet another block is the checkpoint's there.
  for (Id id = array_.first(); id != array_.end(); ++id) {
    if (array_.live(id) && !on_final(id)) array_.remove(id, gone);
  }
}

// ---- The head.

ForkChoice::Head BeaconForkChoice::head() {
  if (stale_ || array_.changed()) {
    array_.update([this](Id id) { return is_viable(id); });
    stale_ = false;
    ++stats_.passes;
  }
  const Id id = array_.best_descendant(justified_id_);
  return {array_.root(id), array_.slot(id)};
}

uint64_t BeaconForkChoice::weight(const Root& root) const {
  const Id id = array_.find(root);
  return id == kNone ? 0 : array_.weight(id);
}

// ---- Votes.

VoteResult BeaconForkChoice::judge(const Vote& vote, bool in_block, Id* node) const {
  if (vote.validators.empty()) return VoteResult::inconsistent;
  const Epoch epoch = vote.target.number;
  if (epoch != epoch_of(vote.slot)) return VoteResult::inconsistent;
  if (epoch > current_epoch()) return VoteResult::too_early;
  if (!in_block && epoch + 1 < current_epoch()) return VoteResult::too_late;
  const Id head = array_.find(vote.head_root);
  if (head == kNone) return VoteResult::unknown_block;
  if (array_.slot(head) > vote.slot) return VoteResult::inconsistent;
  const Id target = array_.ancestor_at(head, start_slot(epoch));
  if (target == kNone) return VoteResult::too_late;
  if (array_.root(target) != vote.target.root) return VoteResult::inconsistent;
  if (slot_ <= vote.slot) return VoteResult::too_early;
  *node = head;
  return VoteResult::applied;
}

VoteResult BeaconForkChoice::check_vote(const Vote& vote) const {
  Id node = kNone;
  const VoteResult judged = judge(vote, false, &node);
  if (judged != VoteResult::applied && judged != VoteResult::too_early) return judged;
  bool newer = false;
  for (const ValidatorIndex validator : vote.validators) {
    if (validator >= config_.max_validators) return VoteResult::too_many;
    newer |=
        validator >= messages_.size() || messages_[validator].epoch_plus_one <= vote.target.number;
  }
  return newer ? judged : VoteResult::not_newer;
}

VoteResult BeaconForkChoice::on_vote(const Vote& vote, bool in_block) {
  Id node = kNone;
  const VoteResult judged = judge(vote, in_block, &node);
  if (judged != VoteResult::applied) return judged;
  bool beyond = false;
  ValidatorIndex highest = 0;
  for (const ValidatorIndex validator : vote.validators) {
    if (validator >= config_.max_validators) {
      beyond = true;
    } else {
      highest = std::max(highest, validator);
    }
  }
  grow_to(highest);
  const size_t moved = move_votes(vote.validators, node, vote.target.number);
  stats_.votes_changed += moved;
  if (moved != 0) return VoteResult::applied;
  return beyond ? VoteResult::too_many : VoteResult::not_newer;
}

// The validators of a vote move to one node, and many of them from one: their weights are summed
// up first, since each change of a node's weight waits for the one before. They are anywhere in the
// table, which is larger than a cache: who comes later is fetched already. Returns how many moved.
size_t BeaconForkChoice::move_votes(std::span<const ValidatorIndex> validators, Id node,
                                    Epoch epoch) {
  constexpr size_t kAhead = 16;
  const std::span<Message> messages = messages_;
  const auto epoch_plus_one = static_cast<uint32_t>(epoch) + 1;
  size_t moved = 0;
  uint64_t added = 0;
  uint64_t taken = 0;
  Id from = kNone;
  for (size_t i = 0; i < validators.size(); ++i) {
    const ValidatorIndex later = i + kAhead < validators.size() ? validators[i + kAhead] : 0;
    if (later < messages.size()) __builtin_prefetch(&messages[later], 1);
    const ValidatorIndex validator = validators[i];
    if (validator >= messages.size()) continue;  // beyond the limit
    Message& message = messages[validator];
    if (epoch_plus_one <= message.epoch_plus_one) continue;
    if (message.node != from) {
      array_.take_weight(from, taken);
      from = message.node;
      taken = 0;
    }
    taken += message.balance;
    added += message.balance;
    message.node = node;
    message.epoch_plus_one = epoch_plus_one;
    note(validator);
    ++moved;
  }
  array_.take_weight(from, taken);
  array_.add_weight(node, added);
  return moved;
}

void BeaconForkChoice::grow_to(ValidatorIndex validator) {
  if (validator >= messages_.size()) messages_.resize(validator + 1);
}

void BeaconForkChoice::on_equivocation(std::span<const ValidatorIndex> validators) {
  for (const ValidatorIndex validator : validators) {
    if (validator >= config_.max_validators) continue;
    grow_to(validator);
    Message& message = messages_[validator];
    if (message.epoch_plus_one == Message::kEquivocating) continue;
    array_.take_weight(message.node, message.balance);
    message.node = kNone;
    message.epoch_plus_one = Message::kEquivocating;
    note(validator);
    ++stats_.equivocating;
  }
}

Status BeaconForkChoice::on_justified_balances(const Checkpoint& justified,
                                               std::span<const uint64_t> balances,
                                               uint64_t total_active) {
  if (justified != justified_) return local_error(Code::not_found, "justified");
  if (balances.size() > config_.max_validators) return local_error(Code::too_long, "balances");
  if (balances.size() > messages_.size()) messages_.resize(balances.size());
  for (size_t i = 0; i < messages_.size(); ++i) {
    const uint64_t balance = i < balances.size() ? balances[i] : 0;
    Message& message = messages_[i];
    if (balance == message.balance) continue;
    array_.take_weight(message.node, message.balance);
    array_.add_weight(message.node, balance);
    message.balance = balance;
  }
  array_.take_weight(boost_id_, boost_amount_);
  boost_amount_ = total_active / config_.slots_per_epoch * config_.proposer_score_boost / 100;
  array_.add_weight(boost_id_, boost_amount_);
  return {};
}

// ---- Execution.

Execution BeaconForkChoice::execution(const Root& root) const {
  const Id id = array_.find(root);
  return id == kNone ? Execution::invalid : info(id).execution;
}

// The lowest block of this branch that the engine's word condemns: sync/optimistic.md, "How to
// apply latestValidHash".
BeaconForkChoice::Id BeaconForkChoice::first_invalid(
    Id id, const std::optional<Hash256>& latest_valid) const {
  if (!latest_valid) return id;
  Id lowest = id;
  for (Id above = array_.parent(id); above != kNone; above = array_.parent(above)) {
    const Info& node = info(above);
    const bool valid_here = !latest_valid->is_zero() && node.payload_hash == *latest_valid;
    const bool before_payloads = latest_valid->is_zero() && node.execution == Execution::none;
    if (valid_here || before_payloads) return lowest;
    if (node.execution != Execution::optimistic) return id;  // contradicts what was said before
    lowest = above;
  }
  // None of the branch is valid, down to what is final. (A name that is not here may be of
  // anything.)
  return latest_valid->is_zero() ? lowest : id;
}

Status BeaconForkChoice::on_payload(const Root& root, Execution execution,
                                    const std::optional<Hash256>& latest_valid,
                                    std::vector<Root>& removed) {
  const Id id = array_.find(root);
  if (id == kNone) return local_error(Code::not_found, "root");
  if (execution == Execution::valid) {
    for (Id at = id; at != kNone; at = array_.parent(at)) {
      if (info(at).execution != Execution::optimistic) break;
      info(at).execution = Execution::valid;
    }
    return {};
  }
  if (execution != Execution::invalid) return {};
  if (info(id).execution != Execution::optimistic) return local_error(Code::mismatch, "execution");
  return invalidate(first_invalid(id, latest_valid), removed);
}

Status BeaconForkChoice::invalidate(Id id, std::vector<Root>& removed) {
  if (array_.is_ancestor(id, justified_id_)) {
    return local_error(Code::invalid_argument, "justified");
  }
  array_.remove(id, [&](Id gone) {
    removed.push_back(array_.root(gone));
    ++stats_.invalidated;
  });
  recompute_unrealized();
  return {};
}

}  // namespace beamline::chain
