// How long one push takes at worst: 8 producers on 2 cores push bursts of 64, and each push is
// timed. With a mutex, who is preempted while holding it makes all others wait. Counters, in
// nanoseconds: `p999` of pushes that did not have to wake the reactor, `p50`, and `p999_wake` of
// those that did.
#include <algorithm>
#include <latch>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <time.h>

#include "base/check.h"
#include "bench/inbox_rivals.h"
#include "loop/ring.h"

namespace beamline::bench {
namespace {

constexpr uint32_t kProducers = 8;
constexpr uint32_t kEach = 64 * 400;
constexpr uint32_t kBurst = 64;
constexpr uint32_t kNodes = 4096;

uint64_t nanoseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

struct Times {
  std::vector<uint32_t> quiet, waking;
};

template <class Producer>
void produce(Producer& producer, uint32_t id, Times& times) {
  for (uint32_t number = 0; number < kEach; ++number) {
    Message message{.producer = id, .number = number, .words = {number, 2, 3}};
    for (;;) {
      const uint64_t wakes = producer.wakes();
      const uint64_t start = nanoseconds_now();
      const bool taken = producer.push(message);
      const uint64_t took = nanoseconds_now() - start;
      if (taken) {
        const auto clipped = static_cast<uint32_t>(std::min<uint64_t>(took, UINT32_MAX));
        (producer.wakes() == wakes ? times.quiet : times.waking).push_back(clipped);
        break;
      }
      std::this_thread::yield();
    }
    if (number % kBurst == kBurst - 1) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

double quantile(std::vector<uint32_t>& times, double q) {
  if (times.empty()) return 0;
  const auto at = static_cast<ptrdiff_t>(q * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + at, times.end());
  return times[static_cast<size_t>(at)];
}

template <class Queue>
void tail(benchmark::State& state) {
  auto reactor = Reactor::create(*make_ring({.max_ops = 64}));
  Times all;
  for (auto _ : state) {
    Receiver receiver(**reactor, uint64_t{kProducers} * kEach);
    Queue queue(**reactor, receiver, kNodes, kProducers);
    std::latch ready(kProducers + 1);
    std::vector<Times> times(kProducers);
    std::vector<std::thread> threads;
    for (uint32_t id = 0; id < kProducers; ++id) {
      times[id].quiet.reserve(kEach);
      times[id].waking.reserve(kEach);
      threads.emplace_back([&, id, producer = queue.make_producer()]() mutable {
        ready.arrive_and_wait();
        produce(producer, id, times[id]);
      });
    }
    ready.arrive_and_wait();
    while (!receiver.done()) (*reactor)->turn();
    for (auto& thread : threads) thread.join();
    BL_CHECK(receiver.in_order());
    for (const Times& some : times) {
      all.quiet.insert(all.quiet.end(), some.quiet.begin(), some.quiet.end());
      all.waking.insert(all.waking.end(), some.waking.begin(), some.waking.end());
    }
  }
  state.counters["p50"] = quantile(all.quiet, 0.5);
  state.counters["p999"] = quantile(all.quiet, 0.999);
  state.counters["p999_wake"] = quantile(all.waking, 0.999);
  state.counters["waking"] = static_cast<double>(all.waking.size()) /
                             static_cast<double>(all.waking.size() + all.quiet.size());
  (*reactor)->shutdown();
}

void BM_TailOurs(benchmark::State& state) { tail<OurQueue>(state); }
BENCHMARK(BM_TailOurs)->UseRealTime();
void BM_TailGoodMutex(benchmark::State& state) { tail<GoodMutexQueue>(state); }
BENCHMARK(BM_TailGoodMutex)->UseRealTime();

}  // namespace
}  // namespace beamline::bench
