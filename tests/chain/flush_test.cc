// The flush: what is ready at the end of a turn leaves in one request, and nothing is lost.
#include <gtest/gtest.h>

#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

// Near the tip, so that no gap is to be seen: a block at slot 3 whose parent nobody has shown.
BlockInfo orphan(uint64_t number, Slot slot = 3) {
  return make_block(root_of(1'000 + number), slot, number);
}
Root parent_of(uint64_t number) { return root_of(1'000 + number); }

ChainConfig by_root_only() {
  ChainConfig config = make_config();
  config.range_sync = false;
  config.limits.cached_blocks = 2048;
  config.limits.cached_per_peer = 2048;
  config.limits.commands = 16384;
  return config;
}

TEST(Flush, ThreeHundredOrphansWithDistinctParentsAreOneRequest) {
  for (const bool range : {false, true}) {
    ChainConfig config = by_root_only();
    config.range_sync = range;
    Bench bench(config);
    bench.up(kPeerA);
    bench.up(kPeerB);
    for (uint64_t i = 0; i < 300; ++i) bench.gossip(i % 2 == 0 ? kPeerA : kPeerB, orphan(i));
    bench.turn();
    const auto requests = bench.said<RequestByRoot>();
    ASSERT_EQ(requests.size(), 1u) << "range sync " << range;
    EXPECT_EQ(requests[0].roots.size(), 300u);
    EXPECT_EQ(std::set<Root>(requests[0].roots.begin(), requests[0].roots.end()).size(), 300u);
    EXPECT_TRUE(bench.said<RequestByRange>().empty());
  }
}

TEST(Flush, OrphansWithOneCommonParentAskForOneRoot) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  for (uint64_t i = 0; i < 300; ++i) bench.gossip(kPeerA, make_block(root_of(5), 3, i));
  bench.turn();
  const auto requests = bench.said<RequestByRoot>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].roots, std::vector<Root>{root_of(5)});
}

TEST(Flush, OnlyTheExcessGoesToASecondPeer) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  bench.up(kPeerB);
  for (uint64_t i = 0; i < 1025; ++i) bench.gossip(kPeerA, orphan(i));
  bench.turn();
  const auto requests = bench.said<RequestByRoot>();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].roots.size(), 1024u);
  EXPECT_EQ(requests[1].roots.size(), 1u);
  EXPECT_NE(requests[0].peer, requests[1].peer);
}

TEST(Flush, LeavesAtOnceWhenNothingIsInFlight) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  bench.gossip(kPeerA, orphan(1));
  bench.turn();
  EXPECT_EQ(bench.said<RequestByRoot>().size(), 1u);
}

TEST(Flush, GathersWhileOneIsInFlightThenTakesTheSamePeerThenTheNext) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  bench.up(kPeerB);
  bench.gossip(kPeerA, orphan(0));
  bench.turn();
  const auto first = bench.said<RequestByRoot>();
  ASSERT_EQ(first.size(), 1u);

  bench.gossip(kPeerA, orphan(1));
  bench.turn();
  EXPECT_TRUE(bench.said<RequestByRoot>().empty());
  const MonoTime due = bench.now.mono + milliseconds(100);
  EXPECT_EQ(bench.chain.poll_timeout(), due);
  bench.pass(milliseconds(60));
  bench.gossip(kPeerB, orphan(2));
  bench.turn();
  EXPECT_TRUE(bench.said<RequestByRoot>().empty());
  EXPECT_EQ(bench.chain.poll_timeout(), due);
  bench.pass(milliseconds(40));
  bench.turn();
  const auto second = bench.said<RequestByRoot>();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].peer, first[0].peer);
  EXPECT_EQ(second[0].roots.size(), 2u);

  // Both of that peer's slots are in use: the next batch goes to the other.
  bench.gossip(kPeerA, orphan(3));
  bench.turn();
  EXPECT_TRUE(bench.said<RequestByRoot>().empty());
  bench.pass(milliseconds(100));
  bench.turn();
  const auto third = bench.said<RequestByRoot>();
  ASSERT_EQ(third.size(), 1u);
  EXPECT_NE(third[0].peer, first[0].peer);
}

TEST(Flush, WhatGatheredLeavesWhenTheRequestEnds) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  bench.gossip(kPeerA, orphan(0));
  bench.turn();
  const auto first = bench.said<RequestByRoot>();
  for (uint64_t i = 1; i < 50; ++i) {
    bench.gossip(kPeerA, orphan(i));
    bench.turn();
    EXPECT_TRUE(bench.said<RequestByRoot>().empty());
  }
  bench.end(first[0]);
  bench.turn();
  const auto second = bench.said<RequestByRoot>();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].roots.size(), 49u);  // the first one's retry waits: there is no other peer
}

TEST(Flush, OrphansOneMillisecondApartAreEightRequestsAtMost) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  std::vector<std::pair<MonoTime, RequestByRoot>> in_flight;
  size_t requests = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    if (i < 300) bench.gossip(kPeerA, orphan(i));
    while (!in_flight.empty() && in_flight.front().first <= bench.now.mono) {
      const RequestByRoot request = in_flight.front().second;
      in_flight.erase(in_flight.begin());
      bench.end(request);
    }
    bench.turn();
    for (const RequestByRoot& request : bench.said<RequestByRoot>()) {
      // An unanswered root's retries are not what is counted here.
      bool fresh = false;
      for (const Root& root : request.roots) {
        fresh = fresh || bench.chain.pending().find(root)->attempts == 0;
      }
      requests += fresh ? 1 : 0;
      in_flight.emplace_back(bench.now.mono + milliseconds(50), request);
    }
    bench.pass(milliseconds(1));
  }
  EXPECT_LE(requests, 8u);
  EXPECT_EQ(bench.chain.pending().size(), 300u);
}

TEST(Flush, WithoutAPeerRootsWaitForOne) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  bench.gossip(kPeerA, orphan(1));
  bench.gossip(kPeerA, orphan(2));
  bench.give(PeerDown{kPeerA});
  bench.run(seconds(60));
  EXPECT_TRUE(bench.said<RequestByRoot>().empty());
  EXPECT_EQ(bench.chain.pending().size(), 2u);
  EXPECT_EQ(bench.chain.pending().find(parent_of(1))->attempts, 0u);
  bench.up(kPeerB);
  bench.turn();
  const auto requests = bench.said<RequestByRoot>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].roots.size(), 2u);
  EXPECT_EQ(requests[0].peer, kPeerB);
}

TEST(Flush, TheFullRequestTableLosesNoRoot) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  for (uint64_t i = 0; i < 3; ++i) {
    bench.gossip(kPeerA, orphan(i));
    bench.turn();
    bench.pass(milliseconds(100));
    bench.turn();
  }
  EXPECT_EQ(bench.chain.requests().size(), 2u);
  EXPECT_EQ(bench.chain.pending().size(), 3u);
  EXPECT_EQ(bench.chain.pending().find(parent_of(2))->state, PendingRoot::State::waiting);
}

TEST(Flush, ASecondPeerIsAskedOnlyForWhatTheFirstFailedOn) {
  Bench bench(by_root_only());
  bench.up(kPeerA);
  bench.up(kPeerB);
  std::vector<BlockInfo> parents;
  for (uint64_t i = 0; i < 10; ++i) {
    parents.push_back(make_block(root_of(0), 1, i));
    bench.gossip(kPeerA, make_block(parents.back().root, 3, i));
  }
  bench.turn();
  const auto first = bench.said<RequestByRoot>();
  ASSERT_EQ(first.size(), 1u);
  for (uint64_t i = 0; i < 7; ++i) bench.chunk(first[0], parents[i]);
  bench.end(first[0]);
  bench.turn();
  const auto second = bench.said<RequestByRoot>();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_NE(second[0].peer, first[0].peer);
  EXPECT_EQ(second[0].roots.size(), 3u);
  EXPECT_EQ(bench.chain.stats().imported, 14u);
}

TEST(Flush, AnUnservedRootIsNotRetriedInAStorm) {
  ChainConfig config = by_root_only();
  config.limits.attempts_per_root = 1'000'000;
  Bench bench(config);
  bench.up(kPeerA);
  bench.up(kPeerB);
  bench.gossip(kPeerA, orphan(1));
  size_t requests = 0;
  const MonoTime end = bench.now.mono + seconds(60);
  while (bench.now.mono < end) {
    bench.turn();
    for (const RequestByRoot& request : bench.said<RequestByRoot>()) {
      ++requests;
      bench.end(request);  // at once, and empty
    }
    bench.pass(milliseconds(1));
  }
  EXPECT_GE(requests, 10u);
  EXPECT_LE(requests, 24u);  // one at once, then 250 ms doubling to 4 s
}

TEST(Flush, GivesUpOnlyWithAReason) {
  ChainConfig config = by_root_only();
  config.limits.attempts_per_root = 3;
  Bench bench(config);
  bench.up(kPeerA);
  bench.gossip(kPeerA, orphan(1));
  for (int i = 0; i < 10; ++i) {
    bench.run(seconds(5));
    for (const RequestByRoot& request : bench.said<RequestByRoot>()) {
      if (bench.chain.requests().size() > 0) bench.end(request);
    }
  }
  EXPECT_EQ(bench.chain.pending().size(), 0u);
  EXPECT_EQ(bench.chain.cache().size(), 0u);
  EXPECT_EQ(bench.chain.stats().given_up_attempts, 1u);
  EXPECT_EQ(bench.chain.stats().dropped_with_root, 1u);
}

}  // namespace
}  // namespace beamline::chain
