// A million headers over the simulated network, in virtual time, beside the replica of the
// reference's policy on the same peers: 20 to 300 ms away, one in twenty stalling or none. Both see
// round trips and nothing else; ours checks and stores what comes, the replica counts it.
#include <benchmark/benchmark.h>

#include "base/check.h"
#include "bench/header_replica.h"
#include "tests/chain/headers/sync_world.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

constexpr uint64_t kHeaders = 1'000'000;

void BM_SimulatedSync(benchmark::State& state) {
  Rng rng(uint64_t{7});
  const auto count = static_cast<size_t>(state.range(0));
  const bool stalls = state.range(1) != 0;
  std::vector<bench::ReplicaPeer> peers(count);
  for (size_t i = 0; i < count; ++i) {
    peers[i] = {milliseconds(20 + static_cast<int64_t>(rng.below(281))), stalls && i % 20 == 5};
  }
  for (auto _ : state) {
    HeaderSyncConfig config;
    SyncWorld world(1, kHeaders, std::move(config));
    for (const auto& [round_trip, stalling] : peers) {
      world.add_peer(stalling ? HeaderManner::stalling : HeaderManner::honest, round_trip);
    }
    world.start();
    const MonoTime start = world.now.mono;
    BL_CHECK(world.run(seconds(36'000)));
    BL_CHECK(world.finished->end == HeaderSyncEnd::synced);
    const double ours = to_seconds(world.now.mono - start);
    const bench::ReplicaResult replica = bench::run_replica(kHeaders, peers);
    const double theirs = to_seconds(replica.took);
    state.counters["virtual_seconds"] = ours;
    state.counters["replica_seconds"] = theirs;
    state.counters["replica_over_ours"] = theirs / ours;
    state.counters["requests"] = static_cast<double>(world.sync->stats().requests);
    state.counters["replica_requests"] = static_cast<double>(replica.requests);
    state.counters["replica_timeouts"] = static_cast<double>(replica.timeouts);
  }
}
BENCHMARK(BM_SimulatedSync)
    ->ArgsProduct({{10, 30, 100}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kSecond);

}  // namespace
}  // namespace beamline::chain
