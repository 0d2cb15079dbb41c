// How long one push takes at worst: 8 producers on 2 cores push bursts of 64, and each push is
// timed. With a mutex, who is preempted while holding it makes all others wait. Counters, in
// nanoseconds: `p999` of pushes that did not have to wake the reactor, `p50`, and `p999_wake` of
// those that did.
//
// Between bursts a producer yields. (Where it sleeps for 20 us instead, eight timers interrupt one
// push in a few hundred for some 12 us in a virtual machine, whatever the queue: BM_TailSleep.)
//
// With more threads than cores a producer is also preempted in the middle of a push for no fault of
// the queue. `p999_ran` leaves out the pushes in which the scheduler took the core away (an
// involuntary context switch; waiting for a lock is a voluntary one); `preempted` is their share.
#include <algorithm>
#include <latch>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <time.h>

#include "base/check.h"
#include "bench/inbox_rivals.h"
#include "loop/ring.h"

namespace beamline::bench {
namespace {

constexpr uint32_t kProducers = 8;
constexpr uint32_t kEach = 64 * 1000;
constexpr uint32_t kBurst = 64;
constexpr uint32_t kNodes = 4096;
// Pushes of each producer before the clock runs: by then all memory of the queue has been touched,
// which is a page fault that the first push to a page pays.
constexpr uint32_t kWarm = 64 * 150;

uint64_t nanoseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

struct Times {
  std::vector<uint32_t> ran, preempted, waking;
};

// How often the scheduler took the core from this thread. Asked before a burst, and after a push
// that was slow enough to hold a context switch; the time between pushes is next to nothing.
constexpr uint64_t kSlow = 2000;
long preemptions() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

template <class Producer>
void produce(Producer& producer, uint32_t id, Duration pause, Times& times) {
  long switches = preemptions();
  for (uint32_t number = 0; number < kWarm + kEach; ++number) {
    Message message{.producer = id, .number = number, .words = {number, 2, 3}};
    for (;;) {
      const uint64_t wakes = producer.wakes();
      const uint64_t start = nanoseconds_now();
      const bool taken = producer.push(message);
      const uint64_t took = nanoseconds_now() - start;
      if (taken) {
        const auto clipped = static_cast<uint32_t>(std::min<uint64_t>(took, UINT32_MAX));
        const long before = switches;
        if (took >= kSlow) switches = preemptions();
        if (number < kWarm) break;
        (producer.wakes() != wakes ? times.waking
         : switches != before      ? times.preempted
                                   : times.ran)
            .push_back(clipped);
        break;
      }
      std::this_thread::yield();
    }
    if (number % kBurst != kBurst - 1) continue;
    if (pause > Duration{}) {
      std::this_thread::sleep_for(std::chrono::nanoseconds(pause.ns));
    } else {
      std::this_thread::yield();
    }
    switches = preemptions();
  }
}

double quantile(std::vector<uint32_t>& times, double q) {
  if (times.empty()) return 0;
  const auto at = static_cast<ptrdiff_t>(q * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + at, times.end());
  return times[static_cast<size_t>(at)];
}

void append(std::vector<uint32_t>& to, const std::vector<uint32_t>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <class Queue>
void tail(benchmark::State& state, Duration pause) {
  auto reactor = Reactor::create(*make_ring({.max_ops = 64}));
  Times all;
  for (auto _ : state) {
    Receiver receiver(**reactor, uint64_t{kProducers} * (kWarm + kEach));
    Queue queue(**reactor, receiver, kNodes, kProducers);
    std::latch ready(kProducers + 1);
    std::vector<Times> times(kProducers);
    std::vector<std::thread> threads;
    for (uint32_t id = 0; id < kProducers; ++id) {
      for (auto* each : {&times[id].ran, &times[id].preempted, &times[id].waking}) {
        each->reserve(kEach);
      }
      threads.emplace_back([&, id, producer = queue.make_producer()]() mutable {
        ready.arrive_and_wait();
        produce(producer, id, pause, times[id]);
      });
    }
    ready.arrive_and_wait();
    while (!receiver.done()) (*reactor)->turn();
    for (auto& thread : threads) thread.join();
    BL_CHECK(receiver.in_order());
    for (const Times& some : times) {
      append(all.ran, some.ran);
      append(all.preempted, some.preempted);
      append(all.waking, some.waking);
    }
  }
  std::vector<uint32_t> quiet = all.ran;
  append(quiet, all.preempted);
  const double pushes = static_cast<double>(quiet.size() + all.waking.size());
  state.counters["preempted"] = static_cast<double>(all.preempted.size()) / pushes;
  state.counters["waking"] = static_cast<double>(all.waking.size()) / pushes;
  state.counters["p50"] = quantile(quiet, 0.5);
  state.counters["p999"] = quantile(quiet, 0.999);
  state.counters["p999_ran"] = quantile(all.ran, 0.999);
  state.counters["p999_wake"] = quantile(all.waking, 0.999);
  (*reactor)->shutdown();
}

void BM_TailOurs(benchmark::State& state) { tail<OurQueue>(state, {}); }
void BM_TailGoodMutex(benchmark::State& state) { tail<GoodMutexQueue>(state, {}); }
void BM_TailSleepOurs(benchmark::State& state) { tail<OurQueue>(state, microseconds(20)); }
void BM_TailSleepGoodMutex(benchmark::State& s) { tail<GoodMutexQueue>(s, microseconds(20)); }
BENCHMARK(BM_TailOurs)->UseRealTime();
BENCHMARK(BM_TailGoodMutex)->UseRealTime();
BENCHMARK(BM_TailSleepOurs)->UseRealTime();
BENCHMARK(BM_TailSleepGoodMutex)->UseRealTime();

}  // namespace
}  // namespace beamline::bench
