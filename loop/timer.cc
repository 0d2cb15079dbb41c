#include "loop/timer.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "loop/flight_recorder.h"

namespace beamline {
namespace {
uint64_t tick_of(MonoTime t, int shift) {
  return t.ns <= 0 ? 0 : static_cast<uint64_t>(t.ns) >> shift;
}
}  // namespace

TimerWheel::TimerWheel(MonoTime start) : tick_(tick_of(start, kSlotShift)) {
  for (auto& level : earliest_) level.fill(INT64_MAX);
}

void TimerWheel::append(List& list, Timer& timer) {
  timer.next_ = nullptr;
  timer.previous_ = list.last;
  (list.last == nullptr ? list.first : list.last->next_) = &timer;
  list.last = &timer;
}

void TimerWheel::unlink(List& list, Timer& timer) {
  (timer.previous_ == nullptr ? list.first : timer.previous_->next_) = timer.next_;
  (timer.next_ == nullptr ? list.last : timer.next_->previous_) = timer.previous_;
}

// The level is the highest group of bits in which the deadline's tick differs from the current one:
// so every timer of a level comes before every timer of the level above.
void TimerWheel::insert(Timer& timer) {
  const uint64_t tick = std::max(tick_of(timer.deadline_, kSlotShift), tick_);
  const auto high_bit = static_cast<size_t>(63 - std::countl_zero((tick ^ tick_) | 1));
  const size_t level = std::min(high_bit / kBits, kLevels - 1);
  const size_t slot = (tick >> (level * kBits)) & (kSlots - 1);
  append(slots_[level][slot], timer);
  occupied_[level] |= uint64_t{1} << slot;
  earliest_[level][slot] = std::min(earliest_[level][slot], timer.deadline_.ns);
  timer.place_ = static_cast<uint16_t>(level * kSlots + slot);
}

void TimerWheel::remove(Timer& timer) {
  if (timer.place_ == Timer::kDue) {
    unlink(due_, timer);
  } else {
    const size_t level = timer.place_ / kSlots;
    const size_t slot = timer.place_ % kSlots;
    List& list = slots_[level][slot];
    unlink(list, timer);
    if (list.first == nullptr) {
      occupied_[level] &= ~(uint64_t{1} << slot);
      earliest_[level][slot] = INT64_MAX;
    }
  }
  timer.place_ = Timer::kNowhere;
}

void TimerWheel::arm(Timer& timer, MonoTime deadline) {
  if (timer.armed()) disarm(timer);
  if (deadline == MonoTime::never()) return;
  timer.deadline_ = deadline;
  timer.order_ = order_++;
  insert(timer);
  ++armed_;
}

void TimerWheel::disarm(Timer& timer) {
  if (!timer.armed()) return;
  remove(timer);
  --armed_;
}

bool TimerWheel::first_place(Place& place) const {
  for (size_t level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    const auto slot = static_cast<size_t>(std::countr_zero(occupied_[level]));
    const size_t shift = level * kBits;
    const uint64_t block = tick_ >> (shift + kBits) << (shift + kBits);
    place = {level, slot, block | static_cast<uint64_t>(slot) << shift};
    return true;
  }
  return false;
}

MonoTime TimerWheel::next_deadline() const {
  if (armed_ == 0) return MonoTime::never();
  Place place;
  return first_place(place) ? MonoTime{earliest_[place.level][place.slot]} : MonoTime::never();
}

void TimerWheel::recompute_min(size_t level, size_t slot) {
  int64_t earliest = INT64_MAX;
  for (const Timer* t = slots_[level][slot].first; t != nullptr; t = t->next_) {
    earliest = std::min(earliest, t->deadline_.ns);
  }
  earliest_[level][slot] = earliest;
}

// Handles the first occupied slot that begins by now: its timers become due or move down a level.
// False when there is none left.
bool TimerWheel::collect(uint64_t now_tick, MonoTime now) {
  Place place;
  if (!first_place(place) || place.start > now_tick) return false;
  if (place.level > 0) tick_ = place.start;
  Timer* timer = slots_[place.level][place.slot].first;
  bool moved = false;
  while (timer != nullptr) {
    Timer* next = timer->next_;
    if (timer->deadline_ <= now) {
      remove(*timer);
      append(due_, *timer);
      timer->place_ = Timer::kDue;
      moved = true;
    } else if (place.level > 0) {
      remove(*timer);
      insert(*timer);
      moved = true;
    }
    timer = next;
  }
  // What is left lies later in the slot of now.
  if (slots_[place.level][place.slot].first != nullptr) {
    if (earliest_[place.level][place.slot] <= now.ns) recompute_min(place.level, place.slot);
    return false;
  }
  return moved;
}

bool TimerWheel::before(const Timer& a, const Timer& b) {
  return a.deadline_ != b.deadline_ ? a.deadline_ < b.deadline_ : a.order_ < b.order_;
}

Timer* TimerWheel::merge(Timer* a, Timer* b) {
  Timer* first = nullptr;
  Timer** at = &first;
  while (a != nullptr && b != nullptr) {
    Timer*& smaller = before(*b, *a) ? b : a;
    *at = smaller;
    at = &smaller->next_;
    smaller = smaller->next_;
  }
  *at = a != nullptr ? a : b;
  return first;
}

// Merge sort, bottom up: bins[i] holds a sorted run of 2^i timers.
void TimerWheel::sort_due() {
  if (due_.first == due_.last) return;
  std::array<Timer*, 33> bins{};
  while (due_.first != nullptr) {
    Timer* run = due_.first;
    due_.first = run->next_;
    run->next_ = nullptr;
    size_t bin = 0;
    for (; bins[bin] != nullptr; ++bin) run = merge(std::exchange(bins[bin], nullptr), run);
    bins[bin] = run;
  }
  Timer* sorted = nullptr;
  for (Timer* run : bins) {
    if (run != nullptr) sorted = sorted == nullptr ? run : merge(run, sorted);
  }
  due_ = {};
  while (sorted != nullptr) {
    Timer* timer = sorted;
    sorted = timer->next_;
    append(due_, *timer);
  }
}

size_t TimerWheel::fire(MonoTime now, FlightRecorder* recorder) {
  const uint64_t now_tick = tick_of(now, kSlotShift);
  BL_CHECK(now_tick >= tick_);
  if (armed_ == 0) {
    tick_ = now_tick;
    return 0;
  }
  while (collect(now_tick, now)) {
  }
  tick_ = now_tick;
  sort_due();
  size_t fired = 0;
  while (due_.first != nullptr) {
    Timer& timer = *due_.first;
    unlink(due_, timer);
    timer.place_ = Timer::kNowhere;
    --armed_;
    ++fired;
    const char* name = timer.name;  // the callback may end its life
    timer.callback(timer);
    if (recorder != nullptr) recorder->ran(name);
  }
  return fired;
}

}  // namespace beamline
