// Gaps: which wanted roots a range brings sooner than a walk from child to parent, which windows
// are asked of whom, and what their answers are worth.
#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "chain/chain.h"

namespace beamline::chain {
namespace {

constexpr uint32_t kWindowAttempts = 8;
// So many peers have to say that a window is empty, if there are so many.
constexpr size_t kEmptyAnswers = 3;

// Orphans that follow each other at most so many slots apart are one run: no block is looked for
// between them.
constexpr Slot kLongestSkip = 8;
// No more runs than this are left out of a range: it is not cut to pieces by what anyone can send.
constexpr size_t kRunsLeftOut = 16;

struct Run {
  Slot first = 0;
  Slot last = 0;
  Root tail;
};

// The cached orphans of these slots as runs, the longest ones, by rising slot.
std::vector<Run> orphan_runs(const BlockCache& cache, Slot from, Slot last) {
  std::vector<const BlockInfo*> orphans;
  for (const auto& [root, cached] : cache.blocks()) {
    const Slot slot = cached.block.slot;
    if (slot >= from && slot <= last) orphans.push_back(&cached.block);
  }
  std::sort(orphans.begin(), orphans.end(), [](const BlockInfo* a, const BlockInfo* b) {
    return std::pair(a->slot, a->root) < std::pair(b->slot, b->root);
  });
  std::vector<Run> runs;
  std::map<Root, size_t> by_tail;
  for (const BlockInfo* orphan : orphans) {
    const auto it = by_tail.find(orphan->parent_root);
    if (it == by_tail.end() || orphan->slot - runs[it->second].last > kLongestSkip) {
      by_tail.emplace(orphan->root, runs.size());
      runs.push_back({orphan->slot, orphan->slot, orphan->root});
      continue;
    }
    const size_t index = it->second;
    runs[index].last = orphan->slot;
    by_tail.erase(it);
    by_tail.emplace(orphan->root, index);
  }
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
    return std::tuple(b.last - b.first, a.first, a.tail) <
           std::tuple(a.last - a.first, b.first, b.tail);
  });
  if (runs.size() > kRunsLeftOut) runs.resize(kRunsLeftOut);
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
    return std::pair(a.first, a.tail) < std::pair(b.first, b.tail);
  });
  return runs;
}

std::vector<RangeSync::Segment> missing_segments(const BlockCache& cache, Slot from, Slot last) {
  std::vector<RangeSync::Segment> segments;
  for (const Run& run : orphan_runs(cache, from, last)) {
    if (run.first > from) segments.push_back({from, run.first - 1});
    from = std::max(from, run.last + 1);
  }
  if (from <= last) segments.push_back({from, last});
  return segments;
}

bool claims(const Peer& peer, Slot slot) { return peer.status && peer.status->head_slot >= slot; }

}  // namespace

// ---- Planning.

// A window at or below a root will bring it: the root waits. Once those windows are complete it
// leaves by root, or, if the chain got further meanwhile, by one more range.
void Chain::route_pending(const Now& now) {
  const Slot high = reached();
  range_.trim(high);
  range_.settle(high, now.mono);
  const bool same = routed_pending_ == pending_.version() && routed_range_ == range_.version() &&
                    routed_reached_ == high;
  if (same || !config_.range_sync) return;
  const std::vector<PendingRoot*> roots = pending_.by_top_slot();
  if (peers_.size() > 0 && range_.may_plan(now.mono)) plan_range(roots);
  for (PendingRoot* root : roots) {
    const bool held = root->state == PendingRoot::State::by_range;
    const bool covered = range_.covers(root->top_slot);
    if (covered && !held) pending_.hold_for_range(*root);
    if (!covered && held) pending_.release(*root, std::max(now.mono, root->ready_at));
  }
  routed_pending_ = pending_.version();
  routed_range_ = range_.version();
  routed_reached_ = high;
}

bool Chain::wants_range(const PendingRoot& root, Slot from) const {
  const bool gap =
      root.signal_slot >= from && root.signal_slot - (from - 1) > config_.limits.range_gap;
  return gap && root.top_slot >= from && !range_.covers(root.top_slot) && root.range_floor < from;
}

// From what we have up to the highest wanted root, without what waits in the cache.
void Chain::plan_range(const std::vector<PendingRoot*>& roots) {
  const Slot from = reached() + 1;
  Slot last = 0;
  for (const PendingRoot* root : roots) {
    if (wants_range(*root, from)) last = std::max(last, root->top_slot);
  }
  if (last == 0 || by_root_in_flight_above(from)) return;
  range_.plan(missing_segments(cache_, from, last));
  for (PendingRoot* root : roots) {
    if (root->top_slot >= from && root->top_slot <= last) root->range_floor = from;
  }
}

// What is on its way by root would come a second time by range.
bool Chain::by_root_in_flight_above(Slot slot) const {
  const auto& roots = pending_.roots();
  return std::any_of(roots.begin(), roots.end(), [&](const auto& entry) {
    return entry.second.state == PendingRoot::State::in_flight &&
           entry.second.wanted_as != WantedAs::data && entry.second.top_slot >= slot;
  });
}

// ---- Windows.

void Chain::send_windows(const Now& now) {
  while (commands_.room() && peers_.any_available(now.mono)) {
    RangeSync::Window* window = range_.next(now.mono, cache_.crowded());
    if (window == nullptr) return;
    Peer* peer = choose_for(now, *window);
    if (peer == nullptr) return;
    const uint64_t count = window->last - window->start + 1;
    const Request& request = requests_.add_by_range(peer->handle, window->start, count, now.mono);
    range_.sent(*window, request.id, peer->handle);
    ++peer->in_flight;
    ++stats_.requests_by_range;
    stats_.slots_requested += count;
    commands_.push(RequestByRange{peer->handle, request.id, window->start, count});
  }
}

Peer* Chain::choose_for(const Now& now, RangeSync::Window& window) {
  const auto& all = peers_.all();
  const bool untried = std::any_of(all.begin(), all.end(), [&](const auto& entry) {
    return !entry.second.leaving && !has(window.tried, entry.second.handle);
  });
  if (!untried) window.tried.clear();
  const Peer* best = nullptr;
  const auto rank = [&](const Peer& peer) {
    return std::tuple(claims(peer, window.start), peer.score,
                      -static_cast<int64_t>(peer.in_flight));
  };
  for (const auto& [index, peer] : all) {
    if (!peers_.available(peer, now.mono) || has(window.tried, peer.handle)) continue;
    if (best == nullptr || rank(peer) > rank(*best)) best = &peer;
  }
  return best == nullptr ? nullptr : peers_.find(best->handle);
}

// In order and not empty: complete; if it was cut, the next window does not join, and that gap is
// a range of its own. Empty: somebody else is asked, because a range that is truly empty costs
// nothing, and one that is not shows who withheld it. Broken: what came counts, the rest is asked
// of another.
void Chain::end_window(const Now& now, const Request& request, const Ending& ending) {
  RangeSync::Window* window = range_.of_request(request.id);
  BL_CHECK(window != nullptr);
  range_.observe(request.received, request.bytes);
  const auto& all = peers_.all();
  const bool untried = std::any_of(all.begin(), all.end(), [&](const auto& entry) {
    return !entry.second.leaving && !has(window->tried, entry.second.handle);
  });
  if (ending.in_order() && request.received > 0) {
    for (const PeerHandle empty : window->empty_by) charge(empty, Conduct::withheld);
    range_.complete(*window);
    return;
  }
  if (ending.in_order()) {
    const Peer* peer = peers_.find(request.peer);
    if (peer != nullptr && claims(*peer, window->last)) window->empty_by.push_back(request.peer);
    const bool more = untried && window->tried.size() < kEmptyAnswers;
    more ? range_.again(*window, window->start, now.mono) : range_.complete(*window);
    return;
  }
  if (ending.was_sent()) ++window->attempts;
  if (window->attempts >= kWindowAttempts) {
    range_.complete(*window);
    return;
  }
  Duration delay = config_.limits.retry_first;
  for (uint32_t i = 2; i < window->attempts && delay < config_.limits.retry_last; ++i) {
    delay = delay * 2;
  }
  const bool at_once = untried && window->attempts == 1;
  const Slot start = request.received > 0 ? request.last_slot + 1 : window->start;
  range_.again(*window, start, at_once ? now.mono : now.mono + delay);
}

}  // namespace beamline::chain
