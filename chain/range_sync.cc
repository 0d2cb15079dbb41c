#include "chain/range_sync.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {

Slot RangeSync::lowest() const {
  Slot slot = UINT64_MAX;
  if (!segments_.empty()) slot = segments_.begin()->first;
  if (!windows_.empty()) slot = std::min(slot, windows_.begin()->first);
  return slot;
}

void RangeSync::plan(const std::vector<Segment>& segments) {
  if (segments.empty()) return;
  BL_CHECK(!covers(segments.back().last));
  if (settled_) round_floor_ = segments.front().from - 1;
  settled_ = false;
  for (const auto& [from, last] : segments) {
    BL_CHECK(from <= last);
    segments_.emplace(from, last);
  }
}

void RangeSync::trim(Slot reached) {
  while (!segments_.empty() && segments_.begin()->first <= reached) {
    const Slot last = segments_.begin()->second;
    segments_.erase(segments_.begin());
    ++version_;
    if (last > reached) segments_.emplace(reached + 1, last);
  }
  for (auto it = windows_.begin(); it != windows_.end() && it->first <= reached;) {
    Window& window = it->second;
    if (window.request != 0) {
      ++it;
      continue;
    }
    Window rest = std::move(window);
    it = windows_.erase(it);
    ++version_;
    if (rest.last <= reached) continue;
    rest.start = reached + 1;
    it = std::next(windows_.emplace(rest.start, std::move(rest)).first);
  }
}

RangeSync::Window* RangeSync::next(MonoTime now, bool crowded) {
  if (!active() || in_flight_ >= limits_.windows_in_flight) return nullptr;
  const Slot low = lowest();
  for (auto& [start, window] : windows_) {
    // (Below it there may be a segment that was planned later: that one is next.)
    if (crowded && start != low) break;
    if (window.request == 0 && window.ready_at <= now) return &window;
  }
  if (segments_.empty()) return nullptr;
  const auto [start, last] = *segments_.begin();
  if (start - low >= std::max(limits_.range_ahead, window_slots()) || (crowded && start != low))
    return nullptr;
  const Slot end = std::min(last, start + window_slots() - 1);
  segments_.erase(segments_.begin());
  if (end < last) segments_.emplace(end + 1, last);
  Window window;
  window.start = start;
  window.last = end;
  window.ready_at = now;
  return &windows_.emplace(start, std::move(window)).first->second;
}

void RangeSync::sent(Window& window, RequestId request, PeerHandle peer) {
  BL_CHECK(window.request == 0);
  window.request = request;
  window.tried.push_back(peer);
  ++in_flight_;
}

RangeSync::Window* RangeSync::of_request(RequestId request) {
  for (auto& [start, window] : windows_) {
    if (window.request == request) return &window;
  }
  return nullptr;
}

void RangeSync::complete(Window& window) {
  if (window.request != 0) --in_flight_;
  windows_.erase(window.start);
  ++version_;
}

void RangeSync::again(Window& window, Slot start, MonoTime ready_at) {
  BL_CHECK(window.request != 0 && start >= window.start);
  if (start > window.last) {
    complete(window);
    return;
  }
  --in_flight_;
  window.request = 0;
  window.ready_at = ready_at;
  if (start == window.start) return;
  Window rest = std::move(window);
  windows_.erase(rest.start);
  rest.start = start;
  rest.empty_by.clear();
  windows_.emplace(start, std::move(rest));
}

void RangeSync::settle(Slot reached, MonoTime now) {
  if (settled_ || active()) return;
  settled_ = true;
  if (reached > round_floor_) {
    delay_ = limits_.retry_first;
    plan_at_ = now;
    return;
  }
  plan_at_ = now + delay_;
  delay_ = std::min(delay_ * 2, limits_.retry_last);
}

void RangeSync::observe(uint64_t blocks, uint64_t bytes) {
  empty_streak_ = blocks > 0 ? 0 : std::min(empty_streak_ + 1, 8u);
  blocks_seen_ += blocks;
  bytes_seen_ += bytes;
  if (blocks_seen_ > 1024) {
    blocks_seen_ /= 2;
    bytes_seen_ /= 2;
  }
}

uint64_t RangeSync::window_slots() const {
  uint64_t slots = limits_.window_slots;
  if (blocks_seen_ >= 16) {
    const uint64_t mean = std::max<uint64_t>(bytes_seen_ / blocks_seen_, 1);
    slots = std::clamp<uint64_t>(limits_.window_bytes / mean, 4, limits_.window_slots_max);
  }
  return std::min<uint64_t>(slots << empty_streak_, std::max(slots, limits_.range_slots));
}

MonoTime RangeSync::next_ready() const {
  MonoTime next = MonoTime::never();
  for (const auto& [start, window] : windows_) {
    if (window.request == 0) next = std::min(next, window.ready_at);
  }
  return next;
}

}  // namespace beamline::chain
