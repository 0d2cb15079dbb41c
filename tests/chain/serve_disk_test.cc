// What memory has forgotten is served from the store on disk: by root and by range, streamed, paid
// for, and in nobody's way.
#include <gtest/gtest.h>

#include "chain/sim_store.h"
#include "tests/chain/blocks.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

// 16 blocks in the tree, 8 bodies in memory; everything on disk.
ChainConfig small_memory(Limits limits = {}) {
  ChainConfig config = make_config();
  config.persist = true;
  config.read_store = true;
  config.limits = limits;
  config.limits.tree_blocks = 16;
  config.limits.store_bytes = 800;
  return config;
}

struct Served : Bench {
  explicit Served(size_t length, ChainConfig config = small_memory())
      : Bench(std::move(config)), blocks(make_chain(make_genesis().root, 1, length)) {
    BL_CHECK(store.open(make_genesis()));
    up(kPeerA);
    up(kPeerB);
    for (const BlockInfo& block : blocks) {
      gossip(kPeerA, block);
      step();
    }
  }
  // A turn, and the storage thread: it writes, and reads if it may.
  void step() {
    turn();
    for (const Persist& persist : chain.take_persists()) {
      ASSERT_TRUE(store.apply(persist));
      ASSERT_TRUE(store.sync());
      give(Persisted{persist.id});
    }
    for (ReadBlocks& read : chain.take_reads()) {
      looked_for += read.roots.size();
      waiting.push_back(std::move(read));
    }
    most_waiting = std::max(most_waiting, waiting.size());
    while (reads && !waiting.empty()) {
      give(store.read(waiting.front()));
      waiting.pop_front();
    }
  }
  // Runs the answer to its end; the transport takes everything.
  std::vector<RespondChunk> answer(PeerHandle peer, ServeId serve) {
    std::vector<RespondChunk> chunks;
    ended = false;
    errors.clear();
    for (int i = 0; i < 2000 && !ended && errors.empty(); ++i) {
      step();
      for (const RespondChunk& chunk : said<RespondChunk>()) {
        if (chunk.peer == peer && chunk.serve == serve) chunks.push_back(chunk);
        give(ResponseWritten{chunk.peer, chunk.serve, 1});
      }
      for (const RespondEnd& end : said<RespondEnd>()) ended = ended || end.serve == serve;
      errors = said<RespondError>();
      pass(milliseconds(1));
    }
    return chunks;
  }
  void expect_blocks(const std::vector<RespondChunk>& chunks, Slot first, size_t count) {
    ASSERT_EQ(chunks.size(), count);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(chunks[i].slot, first + i);
      EXPECT_TRUE(equal(chunks[i].signed_bytes, blocks[first + i - 1].signed_bytes)) << first + i;
    }
  }

  SimStore store;
  std::vector<BlockInfo> blocks;
  std::deque<ReadBlocks> waiting;
  bool reads = true;
  size_t looked_for = 0, most_waiting = 0;
  std::vector<RespondError> errors;
  bool ended = false;
};

TEST(ServeFromDisk, ByRootGivesWhatMemoryForgotAndLeavesOutWhatIsNowhere) {
  Served node(100);
  ASSERT_EQ(node.chain.tree().size(), 16u);
  node.give(IncomingByRoot{kPeerB,
                           3,
                           {node.blocks[99].root, node.blocks[4].root, root_of(5),
                            node.blocks[88].root, make_genesis().root, node.blocks[50].root}});
  const auto chunks = node.answer(kPeerB, 3);
  EXPECT_TRUE(node.ended);
  ASSERT_EQ(chunks.size(), 4u);
  const size_t expected[] = {100, 5, 89, 51};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(chunks[i].slot, expected[i]);
    EXPECT_TRUE(equal(chunks[i].signed_bytes, node.blocks[expected[i] - 1].signed_bytes));
  }
  EXPECT_EQ(node.chain.stats().served_from_disk, 3u);
}

TEST(ServeFromDisk, ARangeGoesAcrossTheSeamOfDiskAndMemoryInOrder) {
  Served node(100);
  node.give(IncomingByRange{kPeerB, 1, 1, 100});
  node.expect_blocks(node.answer(kPeerB, 1), 1, 100);
  EXPECT_TRUE(node.ended);
  EXPECT_EQ(node.chain.stats().served_from_disk, 92u);
  // All of it on one side, from the first slot, and beyond the end.
  node.give(IncomingByRange{kPeerB, 2, 10, 20});
  node.expect_blocks(node.answer(kPeerB, 2), 10, 20);
  node.give(IncomingByRange{kPeerB, 3, 95, 500});
  node.expect_blocks(node.answer(kPeerB, 3), 95, 6);
  node.give(IncomingByRange{kPeerB, 4, 0, 5});  // the anchor is known by its root alone
  node.expect_blocks(node.answer(kPeerB, 4), 1, 4);
}

TEST(ServeFromDisk, ByHeadGoesOnBelowWhatMemoryHas) {
  Served node(200);
  const auto expect_down = [&](ServeId serve, const Root& head, uint64_t count, Slot from,
                               Slot to) {
    node.give(IncomingByHead{kPeerB, serve, head, count});
    const auto chunks = node.answer(kPeerB, serve);
    EXPECT_TRUE(node.ended);
    ASSERT_EQ(chunks.size(), from + 1 - to);
    for (size_t i = 0; i < chunks.size(); ++i) {
      EXPECT_EQ(chunks[i].slot, from - i);
      EXPECT_TRUE(equal(chunks[i].signed_bytes, node.blocks[from - i - 1].signed_bytes));
    }
  };
  // Across both seams: eight bodies in memory, sixteen blocks in the tree.
  expect_down(1, node.blocks[199].root, 60, 200, 141);
  EXPECT_EQ(node.chain.stats().served_from_disk, 52u);
  expect_down(2, node.blocks[199].root, UINT64_MAX, 200, 73);  // MAX_REQUEST_BLOCKS_DENEB of them
  expect_down(3, node.blocks[49].root, 20, 50, 31);            // all of it archived
  expect_down(4, node.blocks[9].root, 100, 10, 1);  // the anchor is known by its root alone
  expect_down(5, node.blocks[49].root, 1, 50, 50);
  // Of an unknown block nothing, and it costs one look.
  const size_t looked = node.looked_for;
  node.give(IncomingByHead{kPeerB, 6, root_of(777), 100});
  EXPECT_TRUE(node.answer(kPeerB, 6).empty());
  EXPECT_TRUE(node.ended);
  EXPECT_EQ(node.looked_for, looked + 1);
  EXPECT_EQ(node.chain.stats().serves_broken, 0u);
}

TEST(ServeFromDisk, ByHeadEndsWhereTheDiskFailsOrGivesAnotherBlock) {
  Served node(100);
  node.reads = false;
  node.give(IncomingByHead{kPeerB, 1, node.blocks[49].root, 40});
  node.step();
  ASSERT_EQ(node.waiting.size(), 1u);
  BlocksRead read = node.store.read(node.waiting.front());
  ASSERT_GT(read.blocks.size(), 10u);
  read.blocks.erase(read.blocks.begin() + 7);
  node.waiting.clear();
  node.give(std::move(read));
  EXPECT_EQ(node.answer(kPeerB, 1).size(), 7u);
  EXPECT_TRUE(node.ended);
  EXPECT_EQ(node.chain.stats().serves_broken, 1u);
  node.reads = true;
  node.store.fail_reads(5);
  node.give(IncomingByHead{kPeerB, 2, node.blocks[49].root, 40});
  node.answer(kPeerB, 2);
  ASSERT_EQ(node.errors.size(), 1u);
  EXPECT_EQ(node.errors[0].code, ResponseCode::server_error);
  EXPECT_EQ(node.chain.serves(), 0u);
}

// The tree forgets, and the head moves on, while the answer is on its way.
TEST(ServeFromDisk, ARangeIsWholeWhenTheSeamMovesMeanwhile) {
  Served node(100);
  const auto more = make_chain(node.blocks.back().root, 101, 40);
  node.give(IncomingByRange{kPeerB, 1, 70, 31});
  std::vector<RespondChunk> chunks;
  for (const BlockInfo& block : more) {
    node.gossip(kPeerA, block);
    node.step();
    for (const RespondChunk& chunk : node.said<RespondChunk>()) {
      chunks.push_back(chunk);
      if (chunks.size() % 3 == 0) node.give(ResponseWritten{chunk.peer, chunk.serve, 3});
    }
  }
  for (int i = 0; i < 20; ++i) {
    node.give(ResponseWritten{kPeerB, 1, 16});
    node.step();
    for (const RespondChunk& chunk : node.said<RespondChunk>()) chunks.push_back(chunk);
  }
  node.expect_blocks(chunks, 70, 31);
  EXPECT_EQ(node.chain.head().slot, 140u);
}

TEST(ServeFromDisk, ABlockThatIsNotTheParentOfTheNextEndsTheRange) {
  Served node(100);
  node.reads = false;
  node.give(IncomingByRange{kPeerB, 1, 20, 40});
  node.step();
  ASSERT_EQ(node.waiting.size(), 1u);
  BlocksRead read = node.store.read(node.waiting.front());
  ASSERT_GT(read.blocks.size(), 10u);
  read.blocks.erase(read.blocks.begin() + 7);
  node.waiting.clear();
  node.give(std::move(read));
  node.expect_blocks(node.answer(kPeerB, 1), 20, 7);
  EXPECT_TRUE(node.ended);
  EXPECT_EQ(node.chain.stats().serves_broken, 1u);
  // The same at the seam.
  node.give(IncomingByRange{kPeerB, 2, 80, 10});
  node.step();
  ASSERT_EQ(node.waiting.size(), 1u);
  read = node.store.read(node.waiting.front());
  ASSERT_FALSE(read.blocks.empty());
  read.blocks.pop_back();
  const size_t left = read.blocks.size();
  node.reads = true;
  ASSERT_GT(left, 0u);
  node.waiting.clear();
  node.give(std::move(read));
  node.expect_blocks(node.answer(kPeerB, 2), 80, left);
  EXPECT_EQ(node.chain.stats().serves_broken, 2u);
}

TEST(ServeFromDisk, ADiskThatFailsEndsTheAnswerWithAServerError) {
  Served node(100);
  node.give(IncomingByRange{kPeerB, 1, 1, 100});
  node.step();
  node.step();
  EXPECT_EQ(node.said<RespondChunk>().size(), 16u);
  node.store.fail_reads(5);
  node.give(ResponseWritten{kPeerB, 1, 16});
  node.answer(kPeerB, 1);
  ASSERT_EQ(node.errors.size(), 1u);
  EXPECT_EQ(node.errors[0].code, ResponseCode::server_error);
  EXPECT_EQ(node.errors[0].serve, 1u);
  EXPECT_EQ(node.chain.stats().reads_failed, 1u);
  EXPECT_EQ(node.chain.serves(), 0u);
  EXPECT_EQ(node.chain.peers().find(kPeerB)->score, 100);
  node.give(IncomingByRoot{kPeerB, 2, {node.blocks[3].root}});
  node.answer(kPeerB, 2);
  ASSERT_EQ(node.errors.size(), 1u);
  // What is in memory is served meanwhile, and the rest again when the disk works.
  node.give(IncomingByRoot{kPeerB, 3, {node.blocks[98].root}});
  EXPECT_EQ(node.answer(kPeerB, 3).size(), 1u);
  node.store.heal();
  node.give(IncomingByRoot{kPeerB, 4, {node.blocks[3].root}});
  EXPECT_EQ(node.answer(kPeerB, 4).size(), 1u);
}

// A disk that never answers: gossip is imported, memory is served, and nothing grows.
TEST(ServeFromDisk, ReadsHoldNeitherGossipNorOtherAnswersUp) {
  Limits limits;
  limits.serves = 100;
  Served node(100, small_memory(limits));
  node.reads = false;
  for (uint32_t index = 10; index < 40; ++index) {
    const PeerHandle peer{index, 1};
    node.up(peer);
    node.give(IncomingByRange{peer, 1, 1, 100});
    node.give(IncomingByRoot{peer, 2, {node.blocks[9].root}});
  }
  for (const BlockInfo& block : make_chain(node.blocks.back().root, 101, 20)) {
    node.gossip(kPeerA, block);
    node.step();
    EXPECT_EQ(node.chain.head().root, block.root);
  }
  EXPECT_EQ(node.most_waiting, node.chain.limits().reads_in_flight);
  node.give(IncomingByRoot{kPeerB, 1, {node.chain.head().root}});
  EXPECT_EQ(node.answer(kPeerB, 1).size(), 1u);
  EXPECT_GT(node.chain.stats().reads_waited, 0u);
  // The disk answers at last: everyone gets theirs, in turns.
  node.reads = true;
  size_t chunks = 0;
  for (int i = 0; i < 3000 && node.chain.serves() > 0; ++i) {
    node.step();
    for (const RespondChunk& chunk : node.said<RespondChunk>()) {
      ++chunks;
      node.give(ResponseWritten{chunk.peer, chunk.serve, 1});
    }
    node.pass(milliseconds(10));
  }
  EXPECT_EQ(chunks, 30u * 101);
}

TEST(ServeFromDisk, WhatIsLookedForIsPaidForHereOrNot) {
  Limits limits;
  limits.serve_burst = 64;
  limits.serve_rate = 32;
  Served node(100, small_memory(limits));
  const size_t before = node.looked_for;
  std::vector<Root> nowhere;
  for (uint64_t i = 0; i < 1000; ++i) nowhere.push_back(root_of(50'000 + i));
  node.give(IncomingByRoot{kPeerB, 1, std::move(nowhere)});
  const MonoTime start = node.now.mono;
  bool ended = false;
  for (int turns = 0; turns < 10'000 && !ended; ++turns) {
    node.step();
    ended = !node.said<RespondEnd>().empty();
    const double elapsed = to_seconds(node.now.mono - start);
    ASSERT_LE(static_cast<double>(node.looked_for - before), 64 + 16 + 32 * elapsed);
    const MonoTime next = node.chain.poll_timeout();
    if (next > node.now.mono && next != MonoTime::never()) node.pass(next - node.now.mono);
  }
  EXPECT_TRUE(ended);
  EXPECT_EQ(node.looked_for - before, 1000u);
  EXPECT_GT(to_seconds(node.now.mono - start), 25);
}

TEST(ServeFromDisk, APeerThatGoesWhileItsBlocksAreReadIsForgotten) {
  Served node(100);
  node.reads = false;
  node.give(IncomingByRange{kPeerB, 1, 1, 100});
  node.give(IncomingByRoot{kPeerA, 1, {node.blocks[3].root}});
  node.step();
  ASSERT_EQ(node.waiting.size(), 2u);
  node.give(PeerDown{kPeerB});
  node.give(IncomingCancelled{kPeerA, 1});
  EXPECT_EQ(node.chain.serves(), 0u);
  const uint64_t stale = node.chain.stats().stale_events;
  node.reads = true;
  node.step();
  EXPECT_TRUE(node.waiting.empty());
  node.turn();
  EXPECT_TRUE(node.said<RespondChunk>().empty());
  EXPECT_EQ(node.chain.stats().stale_events, stale);
  node.give(BlocksRead{77, {}, 0, 0, std::nullopt});  // nobody asked
  EXPECT_EQ(node.chain.stats().stale_events, stale + 1);
  // The places are free again.
  for (ServeId serve = 2; serve < 12; ++serve) {
    node.give(IncomingByRoot{kPeerA, serve, {node.blocks[serve].root}});
    EXPECT_EQ(node.answer(kPeerA, serve).size(), 1u);
  }
}

TEST(ServeFromDisk, OlderThanTheArchiveIsUnavailable) {
  Limits limits;
  limits.archive_slots = 50;
  Served node(100, small_memory(limits));
  node.give(IncomingByRange{kPeerB, 1, 20, 5});
  node.answer(kPeerB, 1);
  ASSERT_EQ(node.errors.size(), 1u);
  EXPECT_EQ(node.errors[0].code, ResponseCode::resource_unavailable);
  node.give(IncomingByRange{kPeerB, 2, 52, 49});
  node.expect_blocks(node.answer(kPeerB, 2), 52, 49);
  EXPECT_LE(node.store.archived(), 50u);
}

// From a restart, in which no body was loaded, another node gets the whole chain by range.
TEST(ServeFromDisk, ANodeThatComesLateSyncsFromARestartedOne) {
  Served node(200);
  Rng rng(1);
  node.store.crash(rng);
  auto found = node.store.open(make_genesis());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->oldest, 0u);
  for (StoredBlock& stored : found->blocks) stored.block.signed_bytes = {};
  ChainConfig config = small_memory();
  config.anchor = found->anchor.block;
  Served server(0, config);
  server.store = node.store;
  server.blocks = node.blocks;
  Chain restarted(config);
  ASSERT_TRUE(restarted.restore(server.now, std::move(*found)));
  Bench late;
  late.up(kPeerA);
  ASSERT_TRUE(restarted.handle(server.now, PeerUp{kPeerB}));
  late.give(PeerStatus{kPeerA, {}, 0, node.blocks.back().root, 200});
  std::map<ServeId, RequestId> asked;
  ServeId serves = 0;
  for (int i = 0; i < 3000 && late.chain.head().slot < 200; ++i) {
    late.turn();
    for (const RequestByRange& request : late.said<RequestByRange>()) {
      asked[++serves] = request.request;
      ASSERT_TRUE(restarted.handle(
          server.now, IncomingByRange{kPeerB, serves, request.start_slot, request.count}));
    }
    for (const RequestByRoot& request : late.said<RequestByRoot>()) {
      asked[++serves] = request.request;
      ASSERT_TRUE(restarted.handle(server.now, IncomingByRoot{kPeerB, serves, request.roots}));
    }
    restarted.end_of_turn(server.now);
    for (const ReadBlocks& read : restarted.take_reads()) {
      ASSERT_TRUE(restarted.handle(server.now, server.store.read(read)));
    }
    while (auto command = restarted.poll_command()) {
      if (const auto* chunk = std::get_if<RespondChunk>(&*command)) {
        const Slot slot = chunk->slot;
        late.give(ChunkReceived{kPeerA, asked[chunk->serve], node.blocks[slot - 1]});
        ASSERT_TRUE(restarted.handle(server.now, ResponseWritten{kPeerB, chunk->serve, 1}));
      }
      if (const auto* end = std::get_if<RespondEnd>(&*command)) {
        late.give(RequestEnded{kPeerA, asked[end->serve]});
      }
      EXPECT_FALSE(std::holds_alternative<RespondError>(*command));
    }
    late.pass(milliseconds(5));
    server.pass(milliseconds(5));
  }
  EXPECT_EQ(late.chain.head().root, node.blocks.back().root);
  EXPECT_EQ(late.chain.stats().fetched_twice, 0u);
  // (The anchor's body came with it.)
  EXPECT_EQ(restarted.stats().served_from_disk, 199u);
}

}  // namespace
}  // namespace beamline::chain
