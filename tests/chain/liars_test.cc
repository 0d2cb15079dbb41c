// Peers that answer wrongly: they are charged, what they owed is asked elsewhere, nothing is lost,
// and honest roots are never condemned.
#include <gtest/gtest.h>

#include "tests/chain/sim.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

// One liar, asked first because it is alone; an honest peer joins later.
void check_liar(Manner manner, bool by_range, bool charged) {
  ChainConfig config = make_config();
  config.range_sync = by_range;
  config.import = ChainConfig::Import::ask;
  Sim sim(1, config);
  const Root genesis = sim.chain.head().root;
  std::vector<BlockInfo> last;
  if (by_range) {
    sim.know(make_chain(genesis, 1, 100));
    last.push_back(sim.canonical.back());
  } else {
    for (uint64_t i = 0; i < 30; ++i) {
      const BlockInfo parent = make_block(genesis, 1, i);
      sim.by_root[parent.root] = parent;
      last.push_back(make_block(parent.root, 2, i));
    }
    sim.canonical = last;
  }
  sim.add_peer(manner);
  sim.add_peer(manner);
  for (size_t i = 0; i < 2; ++i) {
    if (by_range) sim.status(sim.peers[i]);
  }
  if (!by_range) {
    for (const BlockInfo& block : last) sim.gossip(sim.peers[0], block);
  }
  sim.at(milliseconds(200), [&] {
    sim.add_peer();
    if (by_range) sim.status(sim.peers[2]);
  });
  const bool done = sim.run(seconds(120), [&] {
    return std::all_of(last.begin(), last.end(), [&](const BlockInfo& block) {
      return sim.chain.tree().contains(block.root);
    });
  });
  const int manner_number = static_cast<int>(manner);
  EXPECT_TRUE(done) << "manner " << manner_number << ", by range " << by_range;
  const int32_t lowest = std::min(sim.lowest_score.emplace(sim.peers[0].handle, 100).first->second,
                                  sim.lowest_score.emplace(sim.peers[1].handle, 100).first->second);
  EXPECT_EQ(lowest < 100, charged) << "manner " << manner_number << ", by range " << by_range;
  const bool honest_left = sim.peers.size() > 2 && sim.peers[2].disconnected;
  EXPECT_FALSE(honest_left);
  for (const auto& [root, count] : sim.bodies) EXPECT_EQ(count, 1u);
}

TEST(Liars, ByRootAreChargedAndTheRestIsAskedElsewhere) {
  for (const Manner manner : {Manner::silent, Manner::empty, Manner::wrong_root, Manner::duplicate,
                              Manner::too_many, Manner::forged}) {
    check_liar(manner, false, true);
  }
}

TEST(Liars, ByRangeAreChargedAndTheRestIsAskedElsewhere) {
  for (const Manner manner : {Manner::silent, Manner::empty, Manner::wrong_root, Manner::duplicate,
                              Manner::too_many, Manner::out_of_order, Manner::forged}) {
    check_liar(manner, true, true);
  }
}

// A stream that breaks, and a server that sends less, break no rule.
TEST(Liars, BrokenAndShortAnswersCostNothingButTime) {
  check_liar(Manner::cuts, false, false);
  check_liar(Manner::cuts, true, false);
  check_liar(Manner::omits, true, false);
}

TEST(Liars, OnlyWhoClaimedARootOwesIt) {
  Bench bench;
  bench.up(kPeerA);
  bench.up(kPeerB);
  // B sends orphans whose parents nobody has; A is asked too, and has done nothing wrong.
  for (uint64_t round = 0; round < 20; ++round) {
    bench.gossip(kPeerB, make_block(root_of(500 + round), 3, round));
    bench.run(milliseconds(500));
    for (const RequestByRoot& request : bench.said<RequestByRoot>()) bench.end(request);
    for (const DisconnectPeer& leave : bench.said<DisconnectPeer>()) {
      EXPECT_EQ(leave.peer, kPeerB);
    }
  }
  EXPECT_EQ(bench.chain.peers().find(kPeerA)->score, 100);
  EXPECT_LT(bench.chain.peers().find(kPeerB)->score, 100);
}

TEST(Liars, AChunkOfADeadRequestOrAnOldGenerationIsDroppedAndCounted) {
  Bench bench;
  bench.up(kPeerA);
  const BlockInfo parent = make_block(make_genesis().root, 1);
  bench.gossip(kPeerA, make_block(parent.root, 2));
  bench.turn();
  const auto requests = bench.said<RequestByRoot>();
  bench.give(PeerDown{kPeerA});
  bench.up({0, 2});
  bench.chunk(requests[0], parent);  // of generation 1
  bench.give(ChunkReceived{{0, 2}, requests[0].request, parent});
  bench.give(PeerDown{kPeerA});
  bench.turn();
  EXPECT_EQ(bench.chain.peers().size(), 1u);
  EXPECT_EQ(bench.chain.stats().late_chunks, 2u);
  EXPECT_EQ(bench.chain.stats().stale_events, 2u);
  EXPECT_EQ(bench.chain.stats().fetched_bodies, 0u);
}

TEST(Liars, AScoreOfZeroDisconnectsAndNothingMoreIsAsked) {
  Bench bench;
  bench.up(kPeerA);
  for (uint64_t i = 0; i < 5; ++i) {
    bench.gossip(kPeerA, make_block(make_genesis().root, 5, i));
    bench.turn();
    bench.gossip(kPeerA, make_block(make_block(make_genesis().root, 5, i).root, 4, i));
    bench.turn();
  }
  ASSERT_EQ(bench.said<DisconnectPeer>().size(), 1u);
  EXPECT_EQ(bench.said<DisconnectPeer>()[0].reason, DisconnectReason::low_score);
  bench.gossip(kPeerA, make_block(root_of(1), 7));
  bench.turn();
  EXPECT_TRUE(bench.said<RequestByRoot>().empty());
}

// A status that promises what does not exist is asked for a while, and charged.
TEST(Liars, APromisedHeadThatNobodyServesIsGivenUp) {
  Bench bench;
  bench.up(kPeerA);
  bench.give(PeerStatus{kPeerA, {}, 0, root_of(9), 50'000});
  size_t requests = 0;
  for (int i = 0; i < 1200; ++i) {
    bench.turn();
    for (const RequestByRoot& request : bench.said<RequestByRoot>()) {
      ++requests;
      bench.end(request);
    }
    for (const RequestByRange& request : bench.said<RequestByRange>()) {
      ++requests;
      bench.end(request);
    }
    bench.pass(milliseconds(50));
  }
  EXPECT_TRUE(bench.chain.idle());
  EXPECT_LT(bench.chain.peers().find(kPeerA)->score, 100);
  EXPECT_LE(requests, 120u);
}

}  // namespace
}  // namespace beamline::chain
