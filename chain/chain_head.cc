// What the fork choice is told, and what follows when it moves: the head, the checkpoints, and what
// they leave behind.
#include <algorithm>

#include "chain/chain.h"

namespace beamline::chain {

Status Chain::tell_block(const CachedBlock& cached, const PostState& post) {
  ForkChoice::Block block;
  block.root = cached.block.root;
  block.parent_root = cached.block.parent_root;
  block.slot = cached.block.slot;
  block.proposer = cached.block.proposer;
  block.arrived = cached.arrived;
  block.post = post;
  const Status told = fork_choice_->on_block(block);
  if (!told) ++stats_.fork_choice_refused;
  return told;
}

void Chain::on(const Now&, JustifiedBalances&& event) {
  const Status taken =
      fork_choice_->on_justified_balances(event.justified, event.balances, event.total_active);
  if (!taken) ++stats_.fork_choice_refused;
}

void Chain::on(const Now&, Equivocation&& event) {
  fork_choice_->on_equivocation(event.validators);
}

void Chain::on(const Now&, PayloadVerdict&& event) {
  removed_.clear();
  const Status taken =
      fork_choice_->on_payload(event.root, event.execution, event.latest_valid, removed_);
  if (!taken) {
    ++stats_.fork_choice_refused;
    if (taken.error().code == Code::invalid_argument) commands_.push(JustifiedInvalid{event.root});
    return;
  }
  if (removed_.empty()) return;
  for (const Root& root : removed_) invalid_.add_root(root, InvalidCache::Why::payload);
  // The head moves first: it may be among them.
  const std::vector<Root> removed = std::move(removed_);
  update_head();
  forget(removed, GossipReason::invalid_payload);
}

// Once a turn: one pass over the tree for all that came in.
void Chain::update_head() {
  const BlockTree::Tip before = tree_.head();
  const ForkChoice::Head head = fork_choice_->head();
  if (head.root != before.root) {
    stage_head({head.root, head.slot});
    tree_.set_head(head.root);
    say_head(before);
  }
  say_checkpoints();
}

void Chain::say_head(const BlockTree::Tip& before) {
  const BlockTree::Tip head = tree_.head();
  const BlockTree::Node* node = tree_.find(head.root);
  // The usual case needs no walk: the new head is a child of the old one.
  const bool reorg = node->parent_root != before.root && !tree_.is_ancestor(before.root, head.root);
  ++stats_.head_changes;
  if (reorg) ++stats_.reorgs;
  commands_.push(HeadChanged{head.root, head.slot, before.root, reorg});
}

void Chain::say_checkpoints() {
  const Checkpoint justified = fork_choice_->justified();
  if (justified != justified_) {
    justified_ = justified;
    if (config_.persist) staged_.justified = justified;
    ++stats_.justified_changes;
    commands_.push(JustifiedChanged{justified});
  }
  const Checkpoint finalized = fork_choice_->finalized();
  if (finalized == finalized_) return;
  finalized_ = finalized;
  if (config_.persist) staged_.finalized = finalized;
  ++stats_.finalized_changes;
  commands_.push(FinalizedChanged{finalized});
  forget_final();
  stage_old_states();
}

void Chain::forget_final() {
  removed_.clear();
  fork_choice_->prune(removed_);
  const std::vector<Root> removed = std::move(removed_);
  forget(removed, GossipReason::dropped);
  // Orphans at or below it can never connect.
  std::vector<Root> low;
  for (const auto& [root, cached] : cache_.blocks()) {
    if (cached.state == State::orphan && cached.block.slot <= floor()) low.push_back(root);
  }
  for (const Root& root : low) {
    if (cache_.contains(root)) drop_waiting(root, GossipReason::dropped);
  }
  std::vector<Root> wanted;
  for (const auto& [root, pending] : pending_.roots()) {
    if (pending.top_slot <= floor()) wanted.push_back(root);
  }
  for (const Root& root : wanted) {
    if (pending_.find(root) != nullptr) give_up(root, GiveUp::below_anchor);
  }
}

// Blocks that the fork choice let go. Those of the head's chain stay, to be served.
void Chain::forget(const std::vector<Root>& removed, GossipReason reason) {
  for (const Root& root : removed) {
    for (const Root& child : cache_.children(root)) drop_waiting(child, reason);
    if (!tree_.contains(root) || tree_.is_canonical(root)) continue;
    tree_.erase(root);
    store_->erase(root);
    if (config_.persist) staged_.erased.push_back(root);
  }
}

// Drops a cached block and what builds on it, but for those that are with the client or about to
// be: they are dropped when they come back (import_ready(), finish_import()).
void Chain::drop_waiting(Root root, GossipReason reason) {
  const State state = cache_.find(root)->state;
  if (state == State::importing || state == State::delayed) return;
  if (state == State::data) {
    give_up(root, GiveUp::orphan_gone);
    return;
  }
  ++stats_.dropped_final;
  drop_descendants(root, reason, stats_.dropped_final);
  drop(root, reason);
}

Slot Chain::floor() const { return std::max(tree_.floor(), fork_choice_->floor()); }

MonoTime Chain::fork_choice_deadline(const Now& now) const {
  const std::optional<WallTime> next = fork_choice_->next_tick();
  if (!next) return MonoTime::never();
  return now.mono + std::max(*next - now.wall, Duration{});
}

}  // namespace beamline::chain
