#include "chain/pending_parents.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {

bool has(const std::vector<PeerHandle>& peers, PeerHandle peer) {
  return std::find(peers.begin(), peers.end(), peer) != peers.end();
}

PendingRoot* PendingParents::want(const Want& want, MonoTime now) {
  auto it = roots_.find(want.root);
  if (it == roots_.end()) {
    if (roots_.size() >= limits_.pending_roots) return nullptr;
    PendingRoot root;
    root.root = want.root;
    root.wanted_as = want.wanted_as;
    root.signal_slot = want.signal_slot;
    root.top_slot = want.top_slot;
    root.depth = want.depth;
    root.attempts = want.attempts;
    root.sequence = next_sequence_++;
    root.ready_at = now;
    it = roots_.emplace(want.root, std::move(root)).first;
    waiting_.emplace(now, it->second.sequence, want.root);
  }
  PendingRoot& root = it->second;
  // A parent that is wanted stays so, whoever's head it is besides.
  if (want.wanted_as == WantedAs::parent) root.wanted_as = WantedAs::parent;
  root.signal_slot = std::min(root.signal_slot, want.signal_slot);
  root.top_slot = std::min(root.top_slot, want.top_slot);
  root.depth = std::min(root.depth, want.depth);
  if (want.claimant) claim(root, *want.claimant);
  ++version_;
  return &root;
}

void PendingParents::claim(PendingRoot& root, PeerHandle peer) {
  if (has(root.claimants, peer) || root.claimants.size() >= kMaxClaimants) return;
  root.claimants.push_back(peer);
}

PendingRoot* PendingParents::find(const Root& root) {
  const auto it = roots_.find(root);
  return it == roots_.end() ? nullptr : &it->second;
}

const PendingRoot* PendingParents::find(const Root& root) const {
  const auto it = roots_.find(root);
  return it == roots_.end() ? nullptr : &it->second;
}

void PendingParents::leave_waiting(PendingRoot& root) {
  if (root.state != PendingRoot::State::waiting) return;
  waiting_.erase({root.ready_at, root.sequence, root.root});
}

void PendingParents::erase(const Root& root) {
  const auto it = roots_.find(root);
  BL_CHECK(it != roots_.end());
  leave_waiting(it->second);
  roots_.erase(it);
  ++version_;
}

void PendingParents::mark_in_flight(PendingRoot& root, RequestId request) {
  leave_waiting(root);
  root.state = PendingRoot::State::in_flight;
  root.request = request;
}

void PendingParents::hold_for_range(PendingRoot& root) {
  leave_waiting(root);
  root.state = PendingRoot::State::by_range;
}

void PendingParents::release(PendingRoot& root, MonoTime ready_at) {
  leave_waiting(root);
  root.state = PendingRoot::State::waiting;
  root.ready_at = ready_at;
  waiting_.emplace(ready_at, root.sequence, root.root);
  ++version_;
}

void PendingParents::failed(PendingRoot& root, PeerHandle peer, bool others, MonoTime now) {
  ++root.attempts;
  if (!has(root.tried, peer) && root.tried.size() < limits_.peers) root.tried.push_back(peer);
  if (root.attempts == 1 && others) {
    release(root, now);
    return;
  }
  Duration delay = limits_.retry_first;
  for (uint32_t i = 2; i < root.attempts && delay < limits_.retry_last; ++i) delay = delay * 2;
  release(root, now + std::min(delay, limits_.retry_last));
}

std::vector<PendingRoot*> PendingParents::ready(MonoTime now) {
  std::vector<PendingRoot*> roots;
  for (const auto& [at, sequence, root] : waiting_) {
    if (at > now) break;
    roots.push_back(find(root));
  }
  return roots;
}

std::vector<PendingRoot*> PendingParents::by_top_slot() {
  std::vector<PendingRoot*> roots;
  for (auto& [key, root] : roots_) {
    const bool data = root.wanted_as == WantedAs::data;
    if (root.state != PendingRoot::State::in_flight && !data) roots.push_back(&root);
  }
  std::sort(roots.begin(), roots.end(), [](const PendingRoot* a, const PendingRoot* b) {
    return std::pair(a->top_slot, a->sequence) < std::pair(b->top_slot, b->sequence);
  });
  return roots;
}

}  // namespace beamline::chain
