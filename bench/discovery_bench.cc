// Table, pool and the choice of a peer, beside replicas of the reference algorithms.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "discovery/peer_choice.h"
#include "discovery/pool.h"
#include "discovery/table.h"
#include "discovery_replicas.h"

namespace beamline::discovery {
namespace {

NodeRecord any_node(Rng& rng, uint32_t i) {
  NodeRecord record;
  rng.fill(record.id.bytes);
  record.udp = Endpoint::v4(0x20000000u + (i << 8) % 0x60000000u + 1, 30303);
  record.tcp_port = 30303;
  return record;
}

double cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double now_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

// A single pick is short beside a preemption: the median of several says what it costs.
void report_median(benchmark::State& state, std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  state.counters["median"] = times[times.size() / 2];
}

// A pool is large: built once per size and kept.
Pool& pool_of(size_t size) {
  static std::vector<std::pair<size_t, std::unique_ptr<Pool>>> pools;
  for (auto& [known, pool] : pools) {
    if (known == size) return *pool;
  }
  Rng rng(size);
  auto pool = std::make_unique<Pool>(PoolConfig{.capacity = size}, rng);
  for (uint32_t i = 0; i < size; ++i) pool->insert(any_node(rng, i));
  pools.emplace_back(size, std::move(pool));
  return *pools.back().second;
}

ReplicaPool& replica_of(size_t size) {
  static std::vector<std::pair<size_t, std::unique_ptr<ReplicaPool>>> pools;
  for (auto& [known, pool] : pools) {
    if (known == size) return *pool;
  }
  Rng rng(size);
  auto pool = std::make_unique<ReplicaPool>();
  for (uint32_t i = 0; i < size; ++i) pool->insert(any_node(rng, i));
  pools.emplace_back(size, std::move(pool));
  return *pools.back().second;
}

// Whole cycles: every pick, the one that finds all tried among them.
void BM_Probe(benchmark::State& state) {
  Pool& pool = pool_of(static_cast<size_t>(state.range(0)));
  Rng rng(1);
  for (auto _ : state) benchmark::DoNotOptimize(pool.pick({}, rng));
  state.counters["bytes_per_contact"] =
      static_cast<double>(pool.memory()) / static_cast<double>(pool.size());
}
BENCHMARK(BM_Probe)->Arg(50)->Arg(10'000)->Arg(1'000'000);

// The one pick that finds all tried, alone.
void BM_ProbeAllTried(benchmark::State& state) {
  Pool& pool = pool_of(static_cast<size_t>(state.range(0)));
  Rng rng(1);
  std::vector<double> times;
  for (auto _ : state) {
    while (pool.count(Standing::eligible) > 0) pool.pick({}, rng);
    const double before = now_ns();
    benchmark::DoNotOptimize(pool.pick({}, rng));
    times.push_back(now_ns() - before);
    state.SetIterationTime(times.back() * 1e-9);
  }
  report_median(state, times);
}
BENCHMARK(BM_ProbeAllTried)->Arg(50)->Arg(10'000)->Iterations(99)->UseManualTime();
BENCHMARK(BM_ProbeAllTried)->Arg(1'000'000)->Iterations(5)->UseManualTime();

template <auto kPick>
void replica_all_tried(benchmark::State& state) {
  ReplicaPool& pool = replica_of(static_cast<size_t>(state.range(0)));
  Rng rng(1);
  std::vector<double> times;
  for (auto _ : state) {
    pool.try_all();
    const double before = now_ns();
    benchmark::DoNotOptimize((pool.*kPick)(rng));
    times.push_back(now_ns() - before);
    state.SetIterationTime(times.back() * 1e-9);
  }
  report_median(state, times);
}
void BM_ReplicaCollectAllTried(benchmark::State& state) {
  replica_all_tried<&ReplicaPool::collect_then_choose>(state);
}
void BM_ReplicaScanAllTried(benchmark::State& state) {
  replica_all_tried<&ReplicaPool::scan_forward>(state);
}
BENCHMARK(BM_ReplicaCollectAllTried)->Arg(50)->Arg(10'000)->Iterations(20)->UseManualTime();
BENCHMARK(BM_ReplicaCollectAllTried)->Arg(1'000'000)->Iterations(1)->UseManualTime();
BENCHMARK(BM_ReplicaScanAllTried)->Arg(50)->Arg(10'000)->Iterations(20)->UseManualTime();
BENCHMARK(BM_ReplicaScanAllTried)->Arg(1'000'000)->Iterations(1)->UseManualTime();

void BM_PoolInsertFull(benchmark::State& state) {
  Pool& pool = pool_of(10'000);
  Rng rng(2);
  std::vector<NodeRecord> records;
  for (uint32_t i = 0; i < 20'000; ++i) records.push_back(any_node(rng, i));
  size_t at = 0;
  for (auto _ : state) {
    pool.insert(records[at]);
    if (++at == records.size()) at = 0;
  }
}
BENCHMARK(BM_PoolInsertFull);

// 6,557 is all that the buckets can hold; fewer fill from the far buckets, as a network does.
std::unique_ptr<Table> table_of(size_t entries, Rng& rng, std::vector<NodeRecord>* kept = nullptr) {
  NodeRecord self = any_node(rng, 0);
  auto table = std::make_unique<Table>(self.id, TableConfig{}, rng, Now{});
  const size_t per_bucket = entries > 4047 ? kBucketSize + kReplacements : kBucketSize;
  uint32_t network = 0;
  for (unsigned bucket = kBuckets; bucket-- > 0 && table->size() < entries;) {
    const size_t room = bucket < 5 ? size_t{1} << bucket : per_bucket;
    while (true) {
      const auto size = table->bucket_size(bucket);
      if (size.main + size.replacements >= room || table->size() == entries) break;
      NodeRecord record = any_node(rng, ++network);
      record.id = random_id_in_bucket(self.id, bucket, rng);
      table->contact_proven(record, Now{});
      if (kept != nullptr) kept->push_back(record);
    }
  }
  return table;
}

void BM_Closest16(benchmark::State& state) {
  Rng rng(3);
  const auto entries = static_cast<size_t>(state.range(0));
  const auto table = table_of(entries, rng);
  if (table->size() != entries) state.SkipWithError("not the size that was asked for");
  std::vector<NodeId> targets(1024);
  for (NodeId& target : targets) rng.fill(target.bytes);
  // Half of them near to us, where the buckets are thin: look-ups of our own neighbours.
  for (size_t i = 0; i < targets.size(); i += 2) {
    targets[i] = random_id_in_bucket(table->self(), static_cast<unsigned>(rng.below(256)), rng);
  }
  size_t at = 0;
  std::array<const Contact*, 16> out;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table->closest(targets[at++ % 1024], Reach::all, out));
    benchmark::ClobberMemory();
  }
  state.counters["bytes_per_contact"] =
      static_cast<double>(table->memory()) / static_cast<double>(table->size());
}
BENCHMARK(BM_Closest16)->Arg(50)->Arg(272)->Arg(4047)->Arg(6557);

// A proof of a new contact: into the replacements of a full table, the oldest out.
void BM_TableInsert(benchmark::State& state) {
  Rng rng(4);
  const auto table = table_of(static_cast<size_t>(state.range(0)), rng);
  std::vector<NodeRecord> records;
  for (uint32_t i = 0; i < 4096; ++i) records.push_back(any_node(rng, 100'000 + i));
  size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table->contact_proven(records[at], Now{}));
    if (++at == records.size()) at = 0;
  }
}
BENCHMARK(BM_TableInsert)->Arg(50)->Arg(272)->Arg(4047)->Arg(6557);

// Requests come every 50 us and each wants a peer; each 100 ms a dial is picked for each of 16 free
// slots, on the same thread. Time to a chosen peer, from a request's coming: what a pick takes,
// those wait that come meanwhile. The queue is computed from measured times, nothing sleeps.
constexpr int kSlots = 16;
template <class Pick>
void choice_under_dialling(benchmark::State& state, Pick&& pick) {
  Rng rng(5);
  PeerChoice peers(PeerChoice::Config{.max_peers = 64, .in_flight_cap = 64}, rng);
  for (int i = 0; i < 50; ++i) peers.add(any_node(rng, 0).id, i % 2 == 0 ? 3 : 1);
  std::vector<double> taken;
  taken.reserve(1 << 20);
  double free_at = 0;
  double arrival = 0;
  size_t count = 0;
  for (auto _ : state) {
    arrival += 50'000;
    if (++count % 2000 == 0) {
      const double before = cpu_ns();
      for (int slot = 0; slot < kSlots; ++slot) pick();
      free_at = std::max(free_at, arrival) + cpu_ns() - before;
    }
    const double before = cpu_ns();
    const auto chosen = peers.choose(2, rng);
    const double cost = cpu_ns() - before;
    peers.answered(*chosen, microseconds(100));
    free_at = std::max(free_at, arrival) + cost;
    taken.push_back(free_at - arrival);
  }
  std::sort(taken.begin(), taken.end());
  state.counters["p50"] = taken[taken.size() / 2];
  state.counters["p99"] = taken[taken.size() * 99 / 100];
}
void BM_ChoiceAlone(benchmark::State& state) {
  choice_under_dialling(state, [] {});
}
void BM_ChoiceDialling(benchmark::State& state) {
  Pool& pool = pool_of(static_cast<size_t>(state.range(0)));
  Rng rng(6);
  choice_under_dialling(state, [&] { benchmark::DoNotOptimize(pool.pick({}, rng)); });
}
void BM_ChoiceReplicaCollect(benchmark::State& state) {
  ReplicaPool& pool = replica_of(static_cast<size_t>(state.range(0)));
  Rng rng(6);
  choice_under_dialling(state, [&] { benchmark::DoNotOptimize(pool.collect_then_choose(rng)); });
}
void BM_ChoiceReplicaScan(benchmark::State& state) {
  ReplicaPool& pool = replica_of(static_cast<size_t>(state.range(0)));
  Rng rng(6);
  pool.try_all();
  choice_under_dialling(state, [&] { benchmark::DoNotOptimize(pool.scan_forward(rng)); });
}
BENCHMARK(BM_ChoiceAlone)->Iterations(100'000);
BENCHMARK(BM_ChoiceDialling)->Arg(10'000)->Arg(1'000'000)->Iterations(100'000);
BENCHMARK(BM_ChoiceReplicaCollect)->Arg(10'000)->Iterations(100'000);
BENCHMARK(BM_ChoiceReplicaScan)->Arg(10'000)->Iterations(100'000);
BENCHMARK(BM_ChoiceReplicaCollect)->Arg(1'000'000)->Iterations(6'000);
BENCHMARK(BM_ChoiceReplicaScan)->Arg(1'000'000)->Iterations(6'000);

}  // namespace
}  // namespace beamline::discovery
