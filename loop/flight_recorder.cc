#include "loop/flight_recorder.h"

#include <cstdio>

#include <unistd.h>

#include "base/check.h"

namespace beamline {

constinit thread_local const FlightRecorder* current_flight = nullptr;

namespace {

CheckHook hook_before = nullptr;

void on_check(const char* message) {
  if (current_flight != nullptr) current_flight->dump(STDERR_FILENO);
  if (hook_before != nullptr) hook_before(message);
}

void put(int fd, const char* text, int size) {
  [[maybe_unused]] const ssize_t written = ::write(fd, text, static_cast<size_t>(size));
}

}  // namespace

void dump_flight_on_check() {
  const CheckHook before = set_check_hook(on_check);
  if (before != on_check) hook_before = before;
}

int64_t FlightRecorder::microseconds_of(uint64_t ticks) const {
  const auto rate_ticks = static_cast<double>(turn_ticks_ - born_ticks_);
  const auto rate_ns = static_cast<double>((turn_start_ - born_).ns);
  if (rate_ticks <= 0 || rate_ns <= 0) return 0;
  return static_cast<int64_t>(static_cast<double>(ticks) / rate_ticks * rate_ns * 1e-3);
}

void FlightRecorder::dump(int fd) const {
  char line[256];
  const uint64_t kept = turns_ < kTurns ? turns_ : kTurns - 1;
  put(fd, line,
      std::snprintf(line, sizeof line, "flight recorder: the last %llu of %llu turns\n",
                    static_cast<unsigned long long>(kept),
                    static_cast<unsigned long long>(turns_)));
  const MonoTime last = turn_start_;
  TurnTotals before;
  for (uint64_t back = kept; back > 0; --back) {
    const TurnRecord& turn = past(back - 1);
    // What stands before the oldest is not known.
    const TurnTotals& from = back == kept && kept == turns_ ? TurnTotals{} : before;
    const auto count = [](uint64_t now, uint64_t then) {
      return static_cast<unsigned long long>(now - then);
    };
    const int size = std::snprintf(
        line, sizeof line,
        "turn %llu at -%lld us: %lld us; %llu completions, %llu posted, %llu messages, %llu "
        "timers; longest %s, %lld us\n",
        static_cast<unsigned long long>(turns_ - back),
        static_cast<long long>((last - turn.start).ns / 1000),
        static_cast<long long>(microseconds_of(turn.ticks)),
        count(turn.totals.completions, from.completions), count(turn.totals.posted, from.posted),
        count(turn.totals.messages, from.messages), count(turn.totals.timers, from.timers),
        turn.longest, static_cast<long long>(microseconds_of(turn.longest_ticks)));
    if (back != kept || kept == turns_) put(fd, line, size);
    before = turn.totals;
  }
  const TurnRecord& open = records_[turns_ % kTurns];
  put(fd, line,
      std::snprintf(line, sizeof line, "turn %llu is not over; longest so far: %s\n",
                    static_cast<unsigned long long>(turns_), open.longest));
}

}  // namespace beamline
