// What a cached block costs beyond its bytes, and what importing costs; once with mimalloc and once
// with libc's allocator, as two programs.
#include <cstdio>
#include <memory>

#include <benchmark/benchmark.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "bench/resident.h"
#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;
using bench::resident_bytes;

ChainConfig config_for(uint32_t blocks) {
  ChainConfig config = make_config();
  config.range_sync = false;
  config.limits.cached_blocks = config.limits.cached_per_peer = blocks;
  config.limits.cached_bytes = UINT64_MAX;
  config.limits.depth = UINT32_MAX;
  config.limits.commands = 16 * blocks;
  return config;
}

// Orphans in a row, whose first parent is missing.
void BM_CachedBlock(benchmark::State& state) {
  constexpr uint32_t kBlocks = 50'000;
  constexpr size_t kBody = 1024;
  double each = 0;
  for (auto _ : state) {
    const auto blocks = make_chain(root_of(1), 10, kBlocks, kBody);
    const double before = resident_bytes();
    Bench bench(config_for(kBlocks));
    bench.up(kPeerA);
    for (const BlockInfo& block : blocks) bench.gossip(kPeerA, block);
    BL_CHECK(bench.chain.cache().size() == kBlocks);
    each = (resident_bytes() - before) / kBlocks;
  }
  state.counters["bytes_each"] = each;
}
BENCHMARK(BM_CachedBlock)->Iterations(1)->Unit(benchmark::kMillisecond);

// Blocks of 64 KiB, made, imported and pruned: what an allocator is asked for in a long life.
void BM_ImportAndPrune(benchmark::State& state) {
  constexpr size_t kBody = 64 * 1024;
  double resident = 0;
  for (auto _ : state) {
    ChainConfig config = make_config();
    config.limits.store_bytes = 16u << 20;
    config.limits.tree_blocks = 4096;
    Bench bench(config);
    bench.up(kPeerA);
    Root parent = config.anchor.root;
    for (Slot slot = 1; slot <= 10'000; ++slot) {
      const BlockInfo block = make_block(parent, slot, slot, kBody - slot % 4096);
      bench.gossip(kPeerA, block);
      bench.turn();
      parent = block.root;
    }
    BL_CHECK(bench.chain.tree().contains(parent));
    resident = resident_bytes();
  }
  state.counters["resident"] = resident;
}
BENCHMARK(BM_ImportAndPrune)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace beamline::chain
