// The two clocks. Deadlines use the monotonic one, slots the wall clock; each has a type of its
// own, so that one cannot be taken for the other. Nothing outside loop/ reads a clock: the time is
// a parameter, `Now`.
#pragma once

#include <compare>
#include <cstdint>

namespace beamline {

// A signed span of time in nanoseconds.
struct Duration {
  int64_t ns = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
  friend constexpr Duration operator*(Duration a, int64_t k) { return {a.ns * k}; }
  friend constexpr Duration operator*(int64_t k, Duration a) { return {a.ns * k}; }
  friend constexpr Duration operator/(Duration a, int64_t k) { return {a.ns / k}; }
};

constexpr Duration nanoseconds(int64_t n) { return {n}; }
constexpr Duration microseconds(int64_t n) { return {n * 1'000}; }
constexpr Duration milliseconds(int64_t n) { return {n * 1'000'000}; }
constexpr Duration seconds(int64_t n) { return {n * 1'000'000'000}; }
constexpr double to_seconds(Duration d) { return static_cast<double>(d.ns) * 1e-9; }

// A point of the monotonic clock: nanoseconds since an arbitrary start, never going back.
struct MonoTime {
  int64_t ns = 0;
  static constexpr MonoTime never() { return {INT64_MAX}; }
  friend constexpr auto operator<=>(MonoTime, MonoTime) = default;
  // Saturates at never(), so that "now + a limit that is off" is no special case.
  friend constexpr MonoTime operator+(MonoTime t, Duration d) {
    int64_t sum = 0;
    return __builtin_add_overflow(t.ns, d.ns, &sum) ? never() : MonoTime{sum};
  }
  friend constexpr Duration operator-(MonoTime a, MonoTime b) { return {a.ns - b.ns}; }
};

// A point of the wall clock: nanoseconds since the Unix epoch. It can be stepped, either way.
struct WallTime {
  int64_t ns = 0;
  friend constexpr auto operator<=>(WallTime, WallTime) = default;
  friend constexpr WallTime operator+(WallTime t, Duration d) { return {t.ns + d.ns}; }
  friend constexpr Duration operator-(WallTime a, WallTime b) { return {a.ns - b.ns}; }
  static constexpr WallTime from_unix(int64_t s) { return {s * 1'000'000'000}; }
};

// Both clocks, read together once per turn of a reactor.
struct Now {
  MonoTime mono;
  WallTime wall;
};

}  // namespace beamline
