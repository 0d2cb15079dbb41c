// Catching up, in round trips of virtual time: what a gap costs.
#include <gtest/gtest.h>

#include "tests/chain/sim.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

struct Cost {
  double trips = 0;  // elapsed time in round trips of 50 ms
  uint64_t requests = 0;
  double bodies = 0;  // per block
  bool done = false;
};

// A node at genesis; peers that are `gap` blocks ahead. It learns of it from their status, or from
// one gossip block whose parent it does not know.
Cost catch_up(size_t gap, size_t peers, bool by_status, size_t block_size = 100) {
  ChainConfig config = make_config();
  Sim sim(1, config);
  sim.know(make_chain(sim.chain.head().root, 1, gap, block_size));
  for (size_t i = 0; i < peers; ++i) sim.add_peer();
  const BlockInfo tip = make_block(sim.canonical.back().root, gap + 1);
  if (by_status) {
    for (const SimPeer& peer : sim.peers) sim.status(peer);
  } else {
    sim.gossip(sim.peers[0], tip);
  }
  const MonoTime start = sim.now.mono;
  const BlockInfo& last = by_status ? sim.canonical.back() : tip;
  Cost cost;
  cost.done = sim.run(seconds(60), [&] { return sim.head_is(last); });
  cost.trips = to_seconds(sim.now.mono - start) / 0.05;
  cost.requests = sim.requests;
  cost.bodies = static_cast<double>(sim.chain.stats().fetched_bodies) / static_cast<double>(gap);
  std::printf("gap %zu, %zu peers, %s: %.1f round trips, %lu requests, %.3f bodies per block\n",
              gap, peers, by_status ? "status" : "gossip", cost.trips,
              static_cast<unsigned long>(cost.requests), cost.bodies);
  return cost;
}

TEST(Gap, Of300TakesEightRoundTripsAndEachBodyOnce) {
  for (const bool by_status : {true, false}) {
    for (const size_t peers : {size_t{1}, size_t{8}}) {
      const Cost cost = catch_up(300, peers, by_status);
      EXPECT_TRUE(cost.done);
      EXPECT_LE(cost.trips, 8);
      EXPECT_LE(cost.requests, 8u);
      EXPECT_LE(cost.bodies, 1.0);
    }
  }
}

TEST(Gap, Of872TakesSixteenRoundTripsAndEachBodyOnce) {
  for (const bool by_status : {true, false}) {
    for (const size_t peers : {size_t{1}, size_t{8}}) {
      const Cost cost = catch_up(872, peers, by_status);
      EXPECT_TRUE(cost.done);
      EXPECT_LE(cost.trips, 16);
      EXPECT_LE(cost.requests, 16u);
      EXPECT_LE(cost.bodies, 1.0);
    }
  }
}

TEST(Gap, Of10000TakesAHundredRoundTrips) {
  const Cost cost = catch_up(10'000, 1, true);
  EXPECT_TRUE(cost.done);
  EXPECT_LE(cost.trips, 100);
  EXPECT_LE(cost.bodies, 1.0);
}

TEST(Gap, LargeBlocksMakeSmallWindows) {
  const Cost cost = catch_up(400, 2, true, 500'000);
  EXPECT_TRUE(cost.done);
  EXPECT_LE(cost.bodies, 1.0);
  EXPECT_GE(cost.requests, 400u / 64);
}

TEST(Gap, OfAFewSlotsGoesByRoot) {
  Sim sim(1);
  sim.know(make_chain(sim.chain.head().root, 1, 3));
  sim.add_peer();
  const BlockInfo tip = make_block(sim.canonical.back().root, 4);
  sim.gossip(sim.peers[0], tip);
  ASSERT_TRUE(sim.run(seconds(5), [&] { return sim.head_is(tip); }));
  EXPECT_EQ(sim.chain.stats().requests_by_range, 0u);
  EXPECT_EQ(sim.imported[Origin::by_root], 3u);
  EXPECT_EQ(sim.imported[Origin::gossip], 1u);
}

TEST(Gap, OrphansByGossipMeanwhileAreNotFetched) {
  Sim sim(1);
  sim.know(make_chain(sim.chain.head().root, 1, 310));
  sim.add_peer();
  sim.add_peer();
  for (size_t i = 300; i < 310; ++i) sim.gossip(sim.peers[i % 2], sim.canonical[i]);
  ASSERT_TRUE(sim.run(seconds(10), [&] { return sim.head_is(sim.canonical.back()); }));
  EXPECT_EQ(sim.imported[Origin::gossip], 10u);
  EXPECT_EQ(sim.chain.stats().fetched_bodies, 300u);
  EXPECT_TRUE(sim.chain.idle());
}

TEST(Gap, AnswersThatAreCutShortByTheServerAreContinued) {
  Sim sim(1);
  sim.know(make_chain(sim.chain.head().root, 1, 400));
  sim.add_peer().reply_blocks = 20;
  sim.status(sim.peers[0]);
  ASSERT_TRUE(sim.run(seconds(60), [&] { return sim.head_is(sim.canonical.back()); }));
  EXPECT_EQ(sim.chain.stats().fetched_bodies, 400u);
  EXPECT_EQ(sim.chain.stats().charges, 0u);
}

TEST(Gap, SkippedSlotsAreNoFault) {
  Sim sim(1);
  std::vector<BlockInfo> sparse;
  Root parent = sim.chain.head().root;
  for (Slot slot = 1; slot < 1000; slot += slot < 300 ? 3 : 150) {
    sparse.push_back(make_block(parent, slot));
    parent = sparse.back().root;
  }
  sim.know(sparse);
  sim.add_peer();
  sim.add_peer();
  for (const SimPeer& peer : sim.peers) sim.status(peer);
  ASSERT_TRUE(sim.run(seconds(60), [&] { return sim.head_is(sim.canonical.back()); }));
  EXPECT_EQ(sim.chain.stats().charges, 0u);
  EXPECT_EQ(sim.chain.stats().fetched_twice, 0u);
}

// A tree of forks that are too deep for one answer each: by root, one step a round trip.
TEST(Gap, AForkIsWalkedByRoot) {
  Sim sim(1);
  sim.know(make_chain(sim.chain.head().root, 1, 50));
  sim.add_peer();
  sim.status(sim.peers[0]);
  ASSERT_TRUE(sim.run(seconds(10), [&] { return sim.head_is(sim.canonical.back()); }));
  const auto fork = make_chain(sim.canonical[20].root, 30, 23);  // slots 30 to 52
  for (const BlockInfo& block : fork) sim.by_root[block.root] = block;
  sim.gossip(sim.peers[0], fork.back());
  ASSERT_TRUE(sim.run(seconds(10), [&] { return sim.head_is(fork.back()); }));
  EXPECT_EQ(sim.chain.stats().fetched_bodies, 50u + 22u);
  EXPECT_EQ(sim.chain.stats().reorgs, 1u);
}

// Found by event injection: the cache was half full of orphans, a window waited for its retry, and
// what was planned below it was never asked for.
TEST(Gap, ACrowdedCacheStillFetchesWhatLiesBelowAWaitingWindow) {
  const Limits limits;
  RangeSync range(limits);
  const MonoTime now{1};
  range.plan({{20, 30}});
  RangeSync::Window* high = range.next(now, false);
  ASSERT_NE(high, nullptr);
  range.sent(*high, 1, kPeerA);
  range.again(*high, 20, now + seconds(1));
  range.plan({{5, 10}});
  RangeSync::Window* low = range.next(now, true);
  ASSERT_NE(low, nullptr);
  EXPECT_EQ(low->start, 5u);
}

}  // namespace
}  // namespace beamline::chain
