// What catching up costs, in virtual time over simulated peers: requests, round trips of 50 ms, and
// bodies for each block. The counters follow from the seed and do not depend on the machine.
#include <cstdint>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "tests/chain/sim.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

constexpr double kRoundTrip = 0.05;

struct Cost {
  double trips = 0;
  double requests = 0;
  double bodies = 0;  // per block of the gap
  double virtual_ms = 0;
};

void report(benchmark::State& state, const Cost& cost) {
  state.counters["trips"] = cost.trips;
  state.counters["requests"] = cost.requests;
  state.counters["bodies"] = cost.bodies;
  state.counters["virtual_ms"] = cost.virtual_ms;
}

// A node at genesis hears one block whose chain of `gap` ancestors it does not have.
Cost catch_up(size_t gap, size_t peers, const ChainConfig& config) {
  Sim sim(1, config);
  sim.know(make_chain(sim.chain.tree().head().root, 1, gap));
  for (size_t i = 0; i < peers; ++i) sim.add_peer();
  const BlockInfo tip = make_block(sim.canonical.back().root, gap + 1);
  sim.gossip(sim.peers[0], tip);
  const MonoTime start = sim.now.mono;
  BL_CHECK(sim.run(seconds(3600), [&] { return sim.chain.tree().contains(tip.root); }));
  const double elapsed = to_seconds(sim.now.mono - start);
  return {elapsed / kRoundTrip, static_cast<double>(sim.requests),
          static_cast<double>(sim.chain.stats().fetched_bodies) / static_cast<double>(gap),
          elapsed * 1000};
}

void BM_Gap(benchmark::State& state) {
  Cost cost;
  for (auto _ : state) {
    cost = catch_up(static_cast<size_t>(state.range(0)), static_cast<size_t>(state.range(1)),
                    make_config());
  }
  report(state, cost);
}
BENCHMARK(BM_Gap)
    ->ArgsProduct({{1, 10, 300, 872, 10'000}, {1, 8}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

// The same chain held to what clients do today: one parent a request, walked by root.
void BM_GapOneParentARequest(benchmark::State& state) {
  ChainConfig config = make_config();
  config.range_sync = false;
  config.limits.roots_per_request = 1;
  config.limits.depth = 20'000;
  config.limits.cached_blocks = 20'000;
  config.limits.commands = 1u << 18;
  Cost cost;
  for (auto _ : state) {
    cost =
        catch_up(static_cast<size_t>(state.range(0)), static_cast<size_t>(state.range(1)), config);
  }
  report(state, cost);
}
BENCHMARK(BM_GapOneParentARequest)
    ->ArgsProduct({{1, 10, 300, 872, 10'000}, {1, 8}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

// `orphans` with a missing parent each, in one turn; range sync is off.
void BM_Batch(benchmark::State& state) {
  ChainConfig config = make_config();
  config.range_sync = false;
  const auto orphans = static_cast<size_t>(state.range(0));
  Cost cost;
  for (auto _ : state) {
    Sim sim(1, config);
    sim.add_peer();
    const Root anchor = sim.chain.tree().head().root;
    std::vector<BlockInfo> tips;
    for (size_t i = 0; i < orphans; ++i) {
      const BlockInfo parent = make_block(anchor, 1, i + 1);
      sim.know({parent});
      tips.push_back(make_block(parent.root, 2, i + 1));
    }
    for (const BlockInfo& tip : tips) sim.gossip(sim.peers[0], tip);
    const MonoTime start = sim.now.mono;
    BL_CHECK(sim.run(seconds(60), [&] { return sim.chain.idle(); }));
    for (const BlockInfo& tip : tips) BL_CHECK(sim.chain.tree().contains(tip.root));
    const double elapsed = to_seconds(sim.now.mono - start);
    cost = {elapsed / kRoundTrip, static_cast<double>(sim.requests),
            static_cast<double>(sim.chain.stats().fetched_bodies) / static_cast<double>(orphans),
            elapsed * 1000};
  }
  report(state, cost);
}
BENCHMARK(BM_Batch)->Arg(300)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace beamline::chain
