// Timers: a hierarchical wheel of intrusive nodes. Arming and disarming are O(1) and allocate
// nothing; a timer fires at the first turn at or after its deadline, to the nanosecond (the wheel's
// slots bound the search, not the precision).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/time.h"

namespace beamline {

class FlightRecorder;
class TimerWheel;

// A timer with a stable address, allocated by its owner. Its callback may arm it again, arm or
// disarm any other, and end its owner's life after that.
class Timer {
 public:
  using Callback = void (*)(Timer& timer);

  Timer() = default;
  Timer(Callback fn, void* context) : callback(fn), owner(context) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { BL_CHECK(!armed()); }

  bool armed() const { return place_ != kNowhere; }
  MonoTime deadline() const { return deadline_; }

  Callback callback = nullptr;
  void* owner = nullptr;
  const char* name = "timer";  // a literal, for the flight recorder

 private:
  friend class TimerWheel;
  static constexpr uint16_t kNowhere = UINT16_MAX;
  static constexpr uint16_t kDue = UINT16_MAX - 1;

  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  MonoTime deadline_;
  uint64_t order_ = 0;
  uint16_t place_ = kNowhere;  // level * 64 + slot
};

// One thread.
class TimerWheel {
 public:
  explicit TimerWheel(MonoTime start);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel() { BL_CHECK(armed_ == 0); }

  // Arms, or moves one that is armed. never() disarms. A deadline that has passed fires in the
  // next fire(), not in the one that is running.
  void arm(Timer& timer, MonoTime deadline);
  void disarm(Timer& timer);

  // No later than the earliest deadline and, but for timers that were disarmed since, exact.
  // never() when nothing is armed.
  MonoTime next_deadline() const;
  // Runs the callbacks of all that are due, in the order of deadline, then of arming. Returns how
  // many. REQUIRES: time does not go back. Each is told to the recorder, if there is one.
  size_t fire(MonoTime now, FlightRecorder* recorder = nullptr);
  uint32_t armed() const { return armed_; }

 private:
  static constexpr int kSlotShift = 20;  // a slot of level 0 is 2^20 ns, about a millisecond
  static constexpr int kBits = 6;
  static constexpr size_t kSlots = 1 << kBits;
  static constexpr size_t kLevels = 7;  // 2^(20 + 42) ns: 146 years

  struct List {
    Timer* first = nullptr;
    Timer* last = nullptr;
  };
  struct Place {
    size_t level;
    size_t slot;
    uint64_t start;  // first tick of the slot
  };

  static void append(List& list, Timer& timer);
  static void unlink(List& list, Timer& timer);
  static bool before(const Timer& a, const Timer& b);
  static Timer* merge(Timer* a, Timer* b);
  void sort_due();
  void insert(Timer& timer);
  void remove(Timer& timer);
  bool first_place(Place& place) const;
  bool collect(uint64_t now_tick, MonoTime now);
  void recompute_min(size_t level, size_t slot);

  std::array<std::array<List, kSlots>, kLevels> slots_{};
  std::array<std::array<int64_t, kSlots>, kLevels> earliest_{};
  std::array<uint64_t, kLevels> occupied_{};
  List due_;
  uint64_t tick_;  // of the last fire()
  uint64_t order_ = 0;
  uint32_t armed_ = 0;
};

}  // namespace beamline
