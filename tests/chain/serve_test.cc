// What peers ask us: by root and by range, streamed, within quotas.
#include <gtest/gtest.h>

#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

struct Served : Bench {
  explicit Served(size_t length, ChainConfig config = make_config(), size_t size = 100)
      : Bench(std::move(config)), blocks(make_chain(make_genesis().root, 1, length, size)) {
    up(kPeerA);
    up(kPeerB);
    for (const BlockInfo& block : blocks) {
      gossip(kPeerA, block);
      turn();
    }
  }
  // Runs the answer to its end; the transport takes everything.
  std::vector<RespondChunk> answer(PeerHandle peer, ServeId serve) {
    std::vector<RespondChunk> chunks;
    ended = false;
    for (int i = 0; i < 1000 && !ended; ++i) {
      turn();
      for (const RespondChunk& chunk : said<RespondChunk>()) {
        if (chunk.serve == serve) chunks.push_back(chunk);
        give(ResponseWritten{chunk.peer, chunk.serve, 1});
      }
      for (const RespondEnd& end : said<RespondEnd>()) ended = ended || end.serve == serve;
      errors = said<RespondError>();
      if (!errors.empty()) break;
      pass(milliseconds(1));
    }
    (void)peer;
    return chunks;
  }
  std::vector<BlockInfo> blocks;
  std::vector<RespondError> errors;
  bool ended = false;
};

TEST(Serve, ByRangeGivesTheHeadsChainInOrder) {
  Served node(100);
  node.gossip(kPeerA, make_block(node.blocks[49].root, 51, 9));  // a fork of slot 51
  node.turn();
  node.give(IncomingByRange{kPeerB, 7, 40, 20});
  const auto chunks = node.answer(kPeerB, 7);
  ASSERT_EQ(chunks.size(), 20u);
  EXPECT_TRUE(node.ended);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(chunks[i].slot, 40 + i);
    EXPECT_TRUE(equal(chunks[i].signed_bytes, node.blocks[39 + i].signed_bytes));
    // Shared, not copied.
    EXPECT_EQ(chunks[i].signed_bytes.data(), node.blocks[39 + i].signed_bytes.data());
  }
}

TEST(Serve, ByRangeFollowsAReorg) {
  Served node(10);
  const auto fork = make_chain(make_block(node.blocks[4].root, 6, 5).root, 7, 6, 100, 5);
  node.gossip(kPeerA, make_block(node.blocks[4].root, 6, 5));
  for (const BlockInfo& block : fork) node.gossip(kPeerA, block);
  node.turn();
  node.give(IncomingByRange{kPeerB, 1, 1, 100});
  const auto chunks = node.answer(kPeerB, 1);
  ASSERT_EQ(chunks.size(), 12u);
  EXPECT_TRUE(equal(chunks.back().signed_bytes, fork.back().signed_bytes));
  EXPECT_FALSE(equal(chunks[5].signed_bytes, node.blocks[5].signed_bytes));
}

// consensus-specs, fulu: down from the root, inclusive; also on a branch that is not the head's.
TEST(Serve, ByHeadGivesABlockAndItsAncestors) {
  Served node(200);
  const auto fork = make_chain(node.blocks[49].root, 51, 3, 100, 9);
  for (const BlockInfo& block : fork) node.gossip(kPeerA, block);
  node.turn();
  node.give(IncomingByHead{kPeerB, 1, fork.back().root, 5});
  auto chunks = node.answer(kPeerB, 1);
  ASSERT_EQ(chunks.size(), 5u);
  const std::array<const BlockInfo*, 5> expected = {&fork[2], &fork[1], &fork[0], &node.blocks[49],
                                                    &node.blocks[48]};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(equal(chunks[i].signed_bytes, expected[i]->signed_bytes)) << i;
  }
  node.give(IncomingByHead{kPeerB, 2, node.blocks[9].root, 64});  // down to genesis
  EXPECT_EQ(node.answer(kPeerB, 2).size(), 10u);
  EXPECT_TRUE(node.ended);
  node.give(IncomingByHead{kPeerB, 3, node.blocks.back().root, UINT64_MAX});
  EXPECT_EQ(node.answer(kPeerB, 3).size(), node.chain.limits().serve_by_head);
  node.give(IncomingByHead{kPeerB, 4, root_of(77), 3});
  EXPECT_TRUE(node.answer(kPeerB, 4).empty());
  EXPECT_TRUE(node.ended);
  node.give(IncomingByHead{kPeerB, 5, node.blocks[9].root, 0});
  node.answer(kPeerB, 5);
  ASSERT_EQ(node.errors.size(), 1u);
  EXPECT_EQ(node.errors[0].code, ResponseCode::invalid_request);
}

// A token bucket for each peer, and one for all: many peers get no more than a few.
TEST(Serve, AllPeersTogetherHaveATokenBucket) {
  ChainConfig config = make_config();
  config.limits.serve_burst_all = 100;
  config.limits.serve_rate_all = 50;
  Served node(150, config);
  node.give(IncomingByRange{kPeerA, 1, 1, 150});
  node.give(IncomingByRange{kPeerB, 1, 1, 150});
  const MonoTime start = node.now.mono;
  size_t sent = 0;
  std::set<PeerHandle> ended;
  std::set<PeerHandle> served_at_once;
  for (int turns = 0; turns < 100'000 && ended.size() < 2; ++turns) {
    node.turn();
    for (const RespondChunk& chunk : node.said<RespondChunk>()) {
      ++sent;
      if (node.now.mono == start) served_at_once.insert(chunk.peer);
      node.give(ResponseWritten{chunk.peer, chunk.serve, 1});
    }
    for (const RespondEnd& end : node.said<RespondEnd>()) ended.insert(end.peer);
    const double elapsed = to_seconds(node.now.mono - start);
    ASSERT_LE(static_cast<double>(sent), 100 + 50 * elapsed + 1);
    const MonoTime next = node.chain.poll_timeout();
    if (next > node.now.mono && next != MonoTime::never()) node.pass(next - node.now.mono);
  }
  EXPECT_EQ(sent, 300u);
  EXPECT_EQ(served_at_once.size(), 2u);
  EXPECT_NEAR(to_seconds(node.now.mono - start), 4, 0.1);
  EXPECT_GT(node.chain.stats().serves_throttled, 0u);
}

TEST(Serve, ByRootSkipsWhatIsNotHereAndKeepsTheOrder) {
  Served node(10);
  node.give(IncomingByRoot{
      kPeerB, 3, {node.blocks[7].root, root_of(5), node.blocks[2].root, make_genesis().root}});
  const auto chunks = node.answer(kPeerB, 3);
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].slot, 8u);
  EXPECT_EQ(chunks[1].slot, 3u);
}

TEST(Serve, RequestsThatTheProtocolForbidsAreErrorsAndCharged) {
  Served node(3);
  node.give(IncomingByRange{kPeerB, 1, 0, 0});
  node.give(IncomingByRange{kPeerB, 2, 0, 1025});
  node.give(IncomingByRoot{kPeerB, 3, {}});
  node.turn();
  const auto errors = node.said<RespondError>();
  ASSERT_EQ(errors.size(), 3u);
  for (const RespondError& error : errors) EXPECT_EQ(error.code, ResponseCode::invalid_request);
  EXPECT_EQ(node.chain.peers().find(kPeerB)->score, 40);
  // The end of the slot numbers is no special case.
  node.give(IncomingByRange{kPeerB, 4, UINT64_MAX - 3, 1024});
  EXPECT_TRUE(node.answer(kPeerB, 4).empty());
  EXPECT_TRUE(node.ended);
}

TEST(Serve, OlderThanWhatIsKeptIsUnavailable) {
  ChainConfig config = make_config();
  config.limits.tree_blocks = 50;
  Served node(100, config);
  EXPECT_EQ(node.chain.tree().size(), 50u);
  EXPECT_EQ(node.chain.stats().tree_pruned, 51u);
  node.give(IncomingByRange{kPeerB, 1, 10, 5});
  node.answer(kPeerB, 1);
  ASSERT_EQ(node.errors.size(), 1u);
  EXPECT_EQ(node.errors[0].code, ResponseCode::resource_unavailable);
  EXPECT_EQ(node.chain.peers().find(kPeerB)->score, 100);
  node.give(IncomingByRange{kPeerB, 2, 51, 50});
  EXPECT_EQ(node.answer(kPeerB, 2).size(), 50u);
}

TEST(Serve, ATransportThatDoesNotDrainGetsAWindowOnly) {
  Served node(100);
  node.give(IncomingByRange{kPeerB, 1, 1, 100});
  size_t chunks = 0;
  for (int i = 0; i < 50; ++i) {
    node.run(milliseconds(100));
    chunks += node.said<RespondChunk>().size();
  }
  EXPECT_EQ(chunks, node.chain.limits().serve_window);
  node.give(ResponseWritten{kPeerB, 1, 5});
  node.turn();
  EXPECT_EQ(node.said<RespondChunk>().size(), 5u);
  node.give(IncomingCancelled{kPeerB, 1});
  node.give(ResponseWritten{kPeerB, 1, 5});
  node.turn();
  EXPECT_TRUE(node.said<RespondChunk>().empty());
  EXPECT_EQ(node.chain.peers().find(kPeerB)->serves, 0u);
}

TEST(Serve, APeerHasTwoRequestsAtOnceAndOthersAreNotHeldUp) {
  Served node(60);
  for (ServeId serve = 1; serve <= 3; ++serve) node.give(IncomingByRange{kPeerB, serve, 1, 60});
  node.give(IncomingByRange{kPeerA, 1, 1, 2});
  node.turn();
  ASSERT_EQ(node.said<RespondError>().size(), 1u);
  EXPECT_EQ(node.said<RespondError>()[0].code, ResponseCode::resource_unavailable);
  EXPECT_EQ(node.chain.stats().serves_refused, 1u);
  size_t for_a = 0;
  for (const RespondChunk& chunk : node.said<RespondChunk>()) for_a += chunk.peer == kPeerA;
  EXPECT_EQ(for_a, 2u);
  node.give(PeerDown{kPeerB});
  node.turn();
  EXPECT_TRUE(node.said<RespondChunk>().empty());
}

TEST(Serve, AnAnswerIsBoundedByBytes) {
  ChainConfig config = make_config();
  config.limits.serve_bytes = 10'000;
  Served node(30, config, 3'000);
  node.give(IncomingByRange{kPeerB, 1, 1, 30});
  EXPECT_EQ(node.answer(kPeerB, 1).size(), 3u);
  EXPECT_TRUE(node.ended);
  EXPECT_EQ(node.chain.stats().serves_cut, 1u);
}

TEST(Serve, TheStoreForgetsTheLowestSlotsBeyondItsBytes) {
  MemoryStore store(1000);
  const auto blocks = make_chain(make_genesis().root, 1, 20, 100);
  for (const BlockInfo& block : blocks) store.put(block);
  EXPECT_EQ(store.size(), 10u);
  EXPECT_EQ(store.bytes(), 1000u);
  EXPECT_EQ(store.evicted(), 10u);
  EXPECT_FALSE(store.get(blocks[9].root).has_value());
  EXPECT_EQ(store.get(blocks[10].root)->slot, 11u);
  store.put(make_block(root_of(1), 100, 0, 2000));
  EXPECT_EQ(store.size(), 10u);
}

}  // namespace
}  // namespace beamline::chain
