// The story of the mutex: the chain under a flood, called under one mutex or through the inbox.
// Counters: `tick_p50`, `tick_p99`, `tick_max`: how late a tick was handled, ns; `events`: blocks
// verified and imported, a second; `served`: chunks of answers, a second; `push_p50`, `push_p99`:
// how long a thread took to hand a block over, ns.
#include <algorithm>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "bench/chain_flood.h"

namespace beamline::bench {
namespace {

double quantile(std::vector<int64_t>& times, double q) {
  BL_CHECK(!times.empty());
  const auto at = static_cast<ptrdiff_t>(q * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + at, times.end());
  return static_cast<double>(times[static_cast<size_t>(at)]);
}

uint32_t peers_of(const benchmark::State& state) { return static_cast<uint32_t>(state.range(0)); }

template <class Run>
void flood(benchmark::State& state, Run run) {
  FloodResult result;
  for (auto _ : state) {
    Flood load;
    result = run(load);
  }
  state.counters["tick_p50"] = quantile(result.late_ns, 0.5);
  state.counters["tick_p99"] = quantile(result.late_ns, 0.99);
  state.counters["tick_max"] = quantile(result.late_ns, 1);
  state.counters["events"] = static_cast<double>(result.imported) / result.seconds;
  state.counters["served"] = static_cast<double>(result.served) / result.seconds;
  state.counters["push_p50"] = quantile(result.push_ns, 0.5);
  state.counters["push_p99"] = quantile(result.push_ns, 0.99);
}

void BM_FloodInbox(benchmark::State& state) {
  flood(state, [&](Flood& load) { return flood_inbox(load, peers_of(state)); });
}
void BM_FloodWide(benchmark::State& state) {
  flood(state, [&](Flood& load) { return flood_wide(load, peers_of(state), Lock::barging); });
}
void BM_FloodWideFair(benchmark::State& state) {
  flood(state, [&](Flood& load) { return flood_wide(load, peers_of(state), Lock::fair); });
}
void BM_FloodNarrow(benchmark::State& state) {
  flood(state, [&](Flood& load) { return flood_narrow(load, peers_of(state)); });
}
BENCHMARK(BM_FloodInbox)->Arg(0)->Arg(8)->Iterations(1);
BENCHMARK(BM_FloodWide)->Arg(0)->Arg(8)->Iterations(1);
BENCHMARK(BM_FloodWideFair)->Arg(0)->Arg(8)->Iterations(1);
BENCHMARK(BM_FloodNarrow)->Arg(0)->Arg(8)->Iterations(1);

}  // namespace
}  // namespace beamline::bench
