#include "chain/snapshot.h"

#include <algorithm>
#include <iterator>

#include "chain/chain.h"

namespace beamline::chain {
namespace {

void copy_tree(const BlockTree& tree, const SnapshotLimits& limits, Snapshot& out) {
  const auto& by_slot = tree.by_slot();
  const size_t count = std::min<size_t>(by_slot.size(), limits.tree_blocks);
  out.tree.clear();
  out.tree.reserve(count);
  for (auto it = std::prev(by_slot.end(), static_cast<std::ptrdiff_t>(count)); it != by_slot.end();
       ++it) {
    const BlockTree::Node& node = *tree.find(it->second);
    out.tree.push_back({it->second, node.parent_root, node.slot, node.proposer});
  }
  out.tree_blocks = by_slot.size();
  out.tree_floor = tree.floor();
}

void copy_peers(const PeerTable& peers, const Limits& limits, Snapshot& out) {
  out.peers.clear();
  out.peers.reserve(peers.size());
  for (const auto& [index, peer] : peers.all()) {
    Snapshot::PeerView view;
    view.peer = peer.handle;
    view.score = peer.score;
    view.conducts = peer.conducts;
    const uint32_t useful = peer.conducts[static_cast<size_t>(Conduct::useful)];
    int64_t charges = 0;
    for (const uint32_t count : peer.conducts) charges += count;
    charges -= useful;
    view.rewards = int64_t{useful} * limits.score_reward;
    view.penalties = -charges * limits.score_penalty;
    view.last_reason = peer.last_reason;
    view.last_change = peer.last_change;
    view.requests_in_flight = peer.in_flight;
    view.serves = peer.serves;
    view.leaving = peer.leaving;
    view.has_status = peer.status.has_value();
    if (peer.status) {
      view.head = {peer.status->head_root, peer.status->head_slot};
      view.finalized = {peer.status->finalized_root, peer.status->finalized_slot};
    }
    out.peers.push_back(view);
  }
}

Snapshot::Queues count_queues(const Chain& chain) {
  using State = CachedBlock::State;
  const BlockCache& cache = chain.cache();
  Snapshot::Queues queues;
  queues.cached_blocks = cache.size();
  queues.cached_bytes = cache.bytes();
  queues.orphans = cache.count(State::orphan);
  queues.connected = cache.count(State::connected);
  queues.ready = cache.count(State::ready);
  queues.importing = cache.count(State::importing);
  queues.data = cache.count(State::data);
  queues.delayed = cache.count(State::delayed);
  queues.future_blocks = chain.future_blocks();
  for (const auto& [root, wanted] : chain.pending().roots()) {
    ++queues.pending_roots;
    if (wanted.state == PendingRoot::State::in_flight) ++queues.pending_in_flight;
    if (wanted.state == PendingRoot::State::by_range) ++queues.pending_by_range;
  }
  queues.requests_by_root = chain.requests().by_root();
  queues.requests_by_range = chain.requests().by_range();
  queues.serves = chain.serves();
  queues.commands = chain.commands();
  return queues;
}

}  // namespace

void take_snapshot(Chain& chain, const Now& now, const SnapshotLimits& limits, Snapshot& out) {
  out.at = now;
  out.current_slot = chain.current_slot(now.wall);
  const BlockTree::Tip tip = chain.head();
  out.head = {tip.root, tip.slot};
  out.justified = chain.fork_choice().justified();
  out.finalized = chain.fork_choice().finalized();
  copy_tree(chain.tree(), limits, out);
  copy_peers(chain.peers(), chain.limits(), out);
  out.queues = count_queues(chain);
  out.stats = chain.stats();
}

}  // namespace beamline::chain
