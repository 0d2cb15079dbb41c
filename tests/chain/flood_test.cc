// Floods: memory is bounded, and honest blocks get through.
#include <gtest/gtest.h>

#include "tests/chain/sim.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

TEST(Flood, RandomOrphansFromOnePeerTakeItsShareOnly) {
  Bench bench;
  bench.up(kPeerA);
  bench.up(kPeerB);
  Rng rng(7);
  for (uint64_t i = 0; i < 20'000; ++i) {
    bench.gossip(kPeerA, make_block(root_of(rng.next()), 1 + rng.below(90'000), i, 1000));
    if (i % 100 == 0) {
      bench.turn();
      bench.pass(milliseconds(1));
    }
    ASSERT_LE(bench.chain.cache().size(), bench.chain.limits().cached_per_peer);
    ASSERT_LE(bench.chain.pending().size(), bench.chain.limits().cached_per_peer);
  }
  EXPECT_GT(bench.chain.stats().cache_refused, 19'000u);
  // An honest orphan still finds room.
  const BlockInfo parent = make_block(make_genesis().root, 1);
  bench.gossip(kPeerB, make_block(parent.root, 2));
  EXPECT_NE(bench.chain.pending().find(parent.root), nullptr);
}

TEST(Flood, RandomOrphansFromManyPeersStayWithinAllLimits) {
  ChainConfig config = make_config();
  config.limits.cached_bytes = 600'000;
  Bench bench(config);
  for (uint32_t i = 0; i < 20; ++i) bench.up({i, 1});
  Rng rng(8);
  Root chained = root_of(1);
  for (uint64_t i = 0; i < 30'000; ++i) {
    const PeerHandle peer{static_cast<uint32_t>(rng.below(20)), 1};
    // Lone orphans and chains of them.
    const Root parent = rng.chance(1, 2) ? root_of(rng.next()) : chained;
    const BlockInfo block = make_block(parent, 1 + i * 3, i, 200 + rng.below(2000));
    if (rng.chance(1, 2)) chained = block.root;
    bench.gossip(peer, block);
    ASSERT_LE(bench.chain.cache().size(), config.limits.cached_blocks);
    ASSERT_LE(bench.chain.cache().bytes(), config.limits.cached_bytes);
    ASSERT_LE(bench.chain.pending().size(), config.limits.cached_blocks);
    if (i % 50 == 0) {
      bench.turn();
      for (const RequestByRoot& request : bench.said<RequestByRoot>()) bench.end(request);
      for (const RequestByRange& request : bench.said<RequestByRange>()) bench.end(request);
      bench.pass(milliseconds(20));
    }
  }
  EXPECT_GT(bench.chain.stats().cache_evicted + bench.chain.stats().cache_refused, 10'000u);
  for (const auto& [root, cached] : bench.chain.cache().blocks()) {
    const Root& parent = cached.block.parent_root;
    EXPECT_TRUE(bench.chain.cache().contains(parent) || bench.chain.tree().contains(parent) ||
                bench.chain.pending().find(parent) != nullptr);
  }
}

// The cache is full of what nobody can connect, and a node catches up all the same.
TEST(Flood, CatchingUpUnderAFloodOfOrphansImportsAll) {
  Sim sim(3);
  sim.know(make_chain(sim.chain.head().root, 1, 300));
  for (int i = 0; i < 6; ++i) sim.add_peer();
  uint64_t salt = 0;
  for (int tick = 0; tick < 200; ++tick) {
    sim.at(milliseconds(tick), [&] {
      for (int i = 0; i < 20; ++i) {
        const SimPeer& attacker = sim.peers[2 + sim.rng.below(4)];
        sim.gossip(attacker, make_block(root_of(sim.rng.next()), 1 + sim.rng.below(400), ++salt));
      }
    });
  }
  sim.at(milliseconds(50), [&] {
    sim.status(sim.peers[0]);
    sim.status(sim.peers[1]);
  });
  ASSERT_TRUE(sim.run(seconds(60), [&] { return sim.head_is(sim.canonical.back()); }));
  std::printf("caught up after %.0f ms, %lu requests, %lu bodies\n",
              to_seconds(sim.now.mono - MonoTime{1'000'000'000}) * 1000,
              static_cast<unsigned long>(sim.requests),
              static_cast<unsigned long>(sim.chain.stats().fetched_bodies));
  EXPECT_LE(sim.chain.stats().fetched_bodies, 300u);
  EXPECT_GE(sim.chain.peers().find(sim.peers[0].handle)->score, 100);
}

}  // namespace
}  // namespace beamline::chain
