#include "discovery/lookup_schedule.h"

#include <algorithm>

namespace beamline::discovery {

std::optional<NodeId> LookupSchedule::poll(Table& table, bool wanted, Now now, Rng& rng) {
  if (running_ >= config_.max_at_once) return std::nullopt;
  std::optional<NodeId> target;
  if (now.mono >= next_refresh_) {
    next_refresh_ = now.mono + config_.refresh;
    target = table.self();
  } else if (target = table.poll_refresh(now, rng); !target && wanted && now.mono >= next_) {
    interval_ = std::clamp(interval_, config_.shortest, config_.longest);
    next_ = now.mono + interval_;
    NodeId random;
    rng.fill(random.bytes);
    target = random;
  }
  if (target) ++running_;
  return target;
}

void LookupSchedule::finished(size_t answered, size_t fresh, Now now) {
  if (running_ > 0) --running_;
  if (answered == 0) next_refresh_ = std::min(next_refresh_, now.mono + config_.longest);
  interval_ = fresh == 0 ? std::clamp(interval_ * 2, config_.shortest, config_.longest)
                         : std::max(config_.shortest, interval_ / 2);
}

MonoTime LookupSchedule::next_deadline(const Table& table, bool wanted) const {
  if (running_ >= config_.max_at_once) return MonoTime::never();
  MonoTime next = std::min(next_refresh_, table.next_refresh());
  if (wanted) next = std::min(next, next_);
  return next;
}

}  // namespace beamline::discovery
