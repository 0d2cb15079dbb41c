// Slots and intervals of a lean chain (leanSpec, node/chain/clock.py): 4 s slots of five intervals
// of 800 ms. The wall clock is a parameter.
#pragma once

#include "base/time.h"
#include "chain/lean/config.h"

namespace beamline::chain::lean {

// A value. Times before genesis are slot 0, interval 0.
class SlotClock {
 public:
  // `genesis_time` in seconds since the Unix epoch; one that int64_t nanoseconds cannot hold is as
  // far as they go.
  explicit SlotClock(uint64_t genesis_time);

  Slot current_slot(WallTime wall) const { return since(wall) / kMillisecondsPerSlot; }
  // Within the slot: 0 to 4.
  Interval current_interval(WallTime wall) const {
    return since(wall) % kMillisecondsPerSlot / kMillisecondsPerInterval;
  }
  // Since genesis.
  Interval total_intervals(WallTime wall) const { return since(wall) / kMillisecondsPerInterval; }
  // To the next boundary, never zero: a whole interval at a boundary; to genesis before it.
  Duration until_next_interval(WallTime wall) const;

  // When an interval since genesis begins; as late as a WallTime can say where it is beyond that.
  WallTime begin_of(Interval interval) const;

  // A slot's first interval; saturates.
  static constexpr Interval interval_of(Slot slot) {
    return slot > UINT64_MAX / kIntervalsPerSlot ? UINT64_MAX : slot * kIntervalsPerSlot;
  }

 private:
  // Milliseconds since genesis.
  uint64_t since(WallTime wall) const;
  WallTime genesis_;
};

}  // namespace beamline::chain::lean
