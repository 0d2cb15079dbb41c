// What a reactor did in its last turns, and for how long: kept always, because it costs a time
// stamp per callback, and written out when a check fails.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace beamline {

// The processor's time stamp, which counts at a steady rate whatever its clock does.
inline uint64_t read_ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
#error "a steady counter of this processor"
#endif
}

// How much was done; running totals of the reactor.
struct TurnTotals {
  uint64_t completions = 0;
  uint64_t posted = 0;
  uint64_t messages = 0;
  uint64_t timers = 0;
};

struct TurnRecord {
  MonoTime start;
  uint64_t ticks = 0;            // of the turn, without the wait at its end
  uint64_t longest_ticks = 0;    // of its longest callback
  const char* longest = "none";  // the callback's name
  TurnTotals totals;             // at its end
};

// One thread.
class FlightRecorder {
 public:
  static constexpr size_t kTurns = 1024;

  explicit FlightRecorder(MonoTime now) : born_(now), born_ticks_(read_ticks()) {}

  void begin_turn(MonoTime start) {
    TurnRecord& record = current();
    record.start = turn_start_ = start;
    record.longest_ticks = 0;
    record.longest = "none";
    last_ticks_ = turn_ticks_ = read_ticks();
  }
  // After each callback (or batch of them), with its name, a literal.
  void ran(const char* name) {
    const uint64_t ticks = read_ticks();
    const uint64_t took = ticks - last_ticks_;
    last_ticks_ = ticks;
    TurnRecord& record = current();
    if (took > record.longest_ticks) {
      record.longest_ticks = took;
      record.longest = name;
    }
  }
  // From the turn's beginning to what ran last.
  uint64_t turn_ticks() const { return last_ticks_ - turn_ticks_; }
  // REQUIRES: nothing worth a stamp since the last one.
  const TurnRecord& end_turn(const TurnTotals& totals) {
    TurnRecord& record = current();
    record.ticks = turn_ticks();
    record.totals = totals;
    ++turns_;
    return record;
  }

  uint64_t turns() const { return turns_; }
  // Of the turn before the current one for 0, and so on. REQUIRES: back < kTurns, back < turns().
  const TurnRecord& past(size_t back) const { return records_[(turns_ - 1 - back) % kTurns]; }
  // By the rate from the recorder's birth to the beginning of the last turn.
  int64_t microseconds_of(uint64_t ticks) const;
  // Oldest first, a line each, then the turn that is not over. Neither allocates nor locks.
  void dump(int fd) const;

 private:
  TurnRecord& current() { return records_[turns_ % kTurns]; }

  std::array<TurnRecord, kTurns> records_{};
  uint64_t turns_ = 0;
  MonoTime turn_start_;
  uint64_t turn_ticks_ = 0;
  uint64_t last_ticks_ = 0;
  const MonoTime born_;
  const uint64_t born_ticks_;
};

// The recorder of the reactor that is in a turn on this thread; null between turns.
extern thread_local const FlightRecorder* current_flight;

// From now on a failed check writes current_flight to stderr before it aborts. The hook that was
// there before runs too. Call once, at start-up.
void dump_flight_on_check();

}  // namespace beamline
