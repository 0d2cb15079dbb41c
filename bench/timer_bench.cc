// 100,000 timers that are armed, as a node with thousands of peers has them: one more is armed and
// taken back, and all of them fire.
#include <map>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/rng.h"
#include "loop/timer.h"

namespace beamline::bench {
namespace {

constexpr size_t kTimers = 100'000;
constexpr int64_t kSpan = 60'000'000'000;  // a minute

MonoTime random_deadline(Rng& rng, MonoTime now) { return now + Duration{rng.between(1, kSpan)}; }

struct Counted {
  static void fired(Timer& timer) { ++*static_cast<uint64_t*>(timer.owner); }
};

void BM_TimerWheelCancel(benchmark::State& state) {
  Rng rng(uint64_t{1});
  uint64_t count = 0;
  const auto timers = std::make_unique<Timer[]>(kTimers + 1);
  TimerWheel wheel(MonoTime{1});
  for (size_t i = 0; i <= kTimers; ++i) {
    timers[i].callback = Counted::fired;
    timers[i].owner = &count;
    if (i < kTimers) wheel.arm(timers[i], random_deadline(rng, MonoTime{1}));
  }
  for (auto _ : state) {
    wheel.arm(timers[kTimers], random_deadline(rng, MonoTime{1}));
    wheel.disarm(timers[kTimers]);
  }
  for (size_t i = 0; i < kTimers; ++i) wheel.disarm(timers[i]);
}
BENCHMARK(BM_TimerWheelCancel);

void BM_TimerMapCancel(benchmark::State& state) {
  Rng rng(uint64_t{1});
  std::multimap<int64_t, uint64_t> timers;
  for (size_t i = 0; i < kTimers; ++i) timers.emplace(random_deadline(rng, MonoTime{1}).ns, i);
  for (auto _ : state) timers.erase(timers.emplace(random_deadline(rng, MonoTime{1}).ns, kTimers));
}
BENCHMARK(BM_TimerMapCancel);

// An iteration is one timer that fires and is armed again, in turns of a millisecond.
void BM_TimerWheelFire(benchmark::State& state) {
  Rng rng(uint64_t{1});
  uint64_t count = 0;
  const auto timers = std::make_unique<Timer[]>(kTimers);
  MonoTime now{1};
  TimerWheel wheel(now);
  struct Again {
    TimerWheel& wheel;
    Rng& rng;
    MonoTime& now;
    uint64_t& count;
  } again{wheel, rng, now, count};
  for (size_t i = 0; i < kTimers; ++i) {
    timers[i].owner = &again;
    timers[i].callback = [](Timer& timer) {
      const auto& to = *static_cast<Again*>(timer.owner);
      ++to.count;
      to.wheel.arm(timer, random_deadline(to.rng, to.now));
    };
    wheel.arm(timers[i], random_deadline(rng, now));
  }
  for (auto _ : state) {
    for (const uint64_t before = count; count == before;) {
      now = now + milliseconds(1);
      wheel.fire(now);
    }
  }
  state.counters["fire_ns"] = benchmark::Counter(
      static_cast<double>(count) * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  for (size_t i = 0; i < kTimers; ++i) wheel.disarm(timers[i]);
}
BENCHMARK(BM_TimerWheelFire);

void BM_TimerMapFire(benchmark::State& state) {
  Rng rng(uint64_t{1});
  uint64_t count = 0;
  MonoTime now{1};
  std::multimap<int64_t, uint64_t> timers;
  for (size_t i = 0; i < kTimers; ++i) timers.emplace(random_deadline(rng, now).ns, i);
  for (auto _ : state) {
    for (const uint64_t before = count; count == before;) {
      now = now + milliseconds(1);
      while (timers.begin()->first <= now.ns) {
        ++count;
        auto node = timers.extract(timers.begin());
        node.key() = random_deadline(rng, now).ns;
        timers.insert(std::move(node));
      }
    }
  }
  state.counters["fire_ns"] = benchmark::Counter(
      static_cast<double>(count) * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_TimerMapFire);

}  // namespace
}  // namespace beamline::bench
