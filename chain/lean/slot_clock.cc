#include "chain/lean/slot_clock.h"

#include <algorithm>

namespace beamline::chain::lean {
namespace {

constexpr int64_t kPerMillisecond = 1'000'000;

// Rounded towards the past, also before the epoch.
int64_t milliseconds_of(WallTime wall) {
  const int64_t whole = wall.ns / kPerMillisecond;
  return wall.ns % kPerMillisecond < 0 ? whole - 1 : whole;
}

}  // namespace

SlotClock::SlotClock(uint64_t genesis_time)
    : genesis_(WallTime::from_unix(
          static_cast<int64_t>(std::min<uint64_t>(genesis_time, INT64_MAX / 1'000'000'000)))) {}

uint64_t SlotClock::since(WallTime wall) const {
  const int64_t now = milliseconds_of(wall);
  const int64_t genesis = milliseconds_of(genesis_);
  return now < genesis ? 0 : static_cast<uint64_t>(now) - static_cast<uint64_t>(genesis);
}

WallTime SlotClock::begin_of(Interval interval) const {
  const auto left = static_cast<uint64_t>(INT64_MAX - std::max<int64_t>(genesis_.ns, 0));
  const auto step = static_cast<uint64_t>(kInterval.ns);
  if (interval > left / step) return {INT64_MAX};
  return genesis_ + nanoseconds(static_cast<int64_t>(interval * step));
}

Duration SlotClock::until_next_interval(WallTime wall) const {
  const int64_t now = milliseconds_of(wall);
  const int64_t genesis = milliseconds_of(genesis_);
  if (now < genesis) {
    return milliseconds(std::min(genesis - now, INT64_MAX / kPerMillisecond));
  }
  const auto into = static_cast<int64_t>(since(wall) % kMillisecondsPerInterval);
  return kInterval - milliseconds(into);
}

}  // namespace beamline::chain::lean
