// What the core promises its producers: order, room by class, and that nothing is lost in silence.
// The sentences of the design's paragraph on backpressure each have a test (those on our own
// network's streams: backpressure_test.cc).
#include <array>
#include <thread>

#include "node/core.h"
#include "tests/node/abi_host.h"
#include "tests/threads.h"

namespace beamline::node::testing {
namespace {

// A core that takes no events: its commands wait for a host that does not take them.
struct Stuck {
  static constexpr uint32_t kCapacity = 64;
  static bl_core_options options(uint32_t progress_timeout_ms) {
    bl_core_options options = default_options();
    options.command_capacity = kCapacity;
    options.progress_timeout_ms = progress_timeout_ms;
    return options;
  }
  static bl_producer_options limits() {
    auto limits = sized<bl_producer_options>();
    limits.chunk_events = 1;
    limits.vote_events = 8;
    limits.gossip_events = 8;
    limits.control_events = 64;
    return limits;
  }
  explicit Stuck(uint32_t progress_timeout_ms = 0)
      : host(options(progress_timeout_ms), &producer_limits) {
    EXPECT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
    EXPECT_EQ(host.gossip(1, name('X'), name('P'), 2), BL_OK);
    EXPECT_TRUE(host.until_said(BL_COMMAND_REQUEST_BY_ROOT, 1));
    request = host.last(BL_COMMAND_REQUEST_BY_ROOT).command.id;
  }
  // A block that is known is answered with one command; nobody takes them. Once the core keeps as
  // many as it may, it takes no event: whatever the machine does, until the host takes commands.
  void clog() {
    auto many = sized<bl_producer_options>();
    many.gossip_events = 64;
    bl_producer* other = nullptr;
    ASSERT_EQ(bl_producer_create(host.core, &many, &other), BL_OK);
    const auto push = [&] {
      const int32_t result =
          host.give(bl_push_gossip_block, 1'000 + clogged, name('X'), name('P'), 2, other);
      if (result == BL_OK) {
        ++clogged;
      } else {
        rest();
      }
      return result;
    };
    const uint64_t before = host.stats().events;
    const uint64_t enough = host.said.size() + kCapacity + Core::kOutboxLimit;
    while (host.stats().commands < enough) ASSERT_NE(push(), BL_CLOSED);
    while (clogged - (host.stats().events - before) < many.gossip_events) {
      ASSERT_NE(push(), BL_CLOSED);
    }
    EXPECT_EQ(push(), BL_FULL);
    bl_producer_destroy(other);
    EXPECT_GT(host.stats().commands_waited, 0u);
  }
  int32_t chunk() { return host.give(bl_push_chunk_block, request, name('P'), name('A'), 1); }
  int32_t vote(uint64_t message) {
    auto vote = sized<bl_vote>();
    vote.sender = host.peer;
    vote.message = message;
    vote.slot = 1;
    vote.head_root = name('A');
    vote.target.root = name('A');
    const uint64_t validator = 5;
    vote.validators = &validator;
    vote.validator_count = 1;
    return bl_push_gossip_vote(host.producer, &vote);
  }

  const bl_producer_options producer_limits = limits();
  AbiHost host;
  uint64_t request = 0;
  size_t clogged = 0;
};

TEST(AbiBackpressure, VotesAreRefusedAndCounted) {
  Stuck stuck;
  stuck.clog();
  uint64_t taken = 0;
  while (stuck.vote(100 + taken) == BL_OK) ++taken;
  EXPECT_EQ(taken, 8u);
  EXPECT_EQ(stuck.vote(99), BL_FULL);
  EXPECT_EQ(stuck.host.producer_stats().full_vote, 2u);
}

TEST(AbiBackpressure, GossipBlocksUseReservedNodesThatAFloodOfVotesDoesNotTake) {
  Stuck stuck;
  stuck.clog();
  while (stuck.vote(7) == BL_OK) {
  }
  EXPECT_EQ(stuck.host.gossip(50, name('G'), name('A'), 3), BL_OK);
  EXPECT_EQ(stuck.chunk(), BL_OK);
  EXPECT_EQ(bl_push_tick(stuck.host.producer, 1), BL_OK);
  EXPECT_TRUE(stuck.host.until([&] { return stuck.host.stats().head_slot == 3; }));
}

TEST(AbiBackpressure, ARefusedChunkStaysWithTheCallerAndItsRootsStayPending) {
  Stuck stuck;
  stuck.clog();
  ASSERT_EQ(stuck.host.give(bl_push_chunk_block, stuck.request + 1'000, name('Y'), name('A'), 1),
            BL_OK);
  ASSERT_EQ(stuck.chunk(), BL_FULL);
  ASSERT_EQ(stuck.chunk(), BL_FULL);
  EXPECT_EQ(stuck.host.producer_stats().full_chunk, 2u);
  EXPECT_EQ(stuck.host.stats().pending, 1u);
  EXPECT_EQ(stuck.host.stats().in_flight, 1u);
  // The host takes its commands; the very same bytes go in, and the request was not asked twice.
  ASSERT_TRUE(stuck.host.until([&] { return stuck.host.stats().late_chunks == 1; }));
  ASSERT_EQ(stuck.chunk(), BL_OK);
  ASSERT_EQ(bl_request_ended(stuck.host.producer, stuck.host.peer, stuck.request), BL_OK);
  ASSERT_TRUE(stuck.host.until_said(BL_COMMAND_IMPORTED, 2));
  EXPECT_EQ(stuck.host.count(BL_COMMAND_REQUEST_BY_ROOT), 1u);
  EXPECT_EQ(stuck.host.count(BL_COMMAND_CANCEL_REQUEST), 0u);
}

// The host never retries, and never says that the request failed.
TEST(AbiBackpressure, TheDeadlineEndsARequestWhoseChunkWasRefused) {
  Stuck stuck(400);
  stuck.clog();
  ASSERT_EQ(stuck.host.give(bl_push_chunk_block, stuck.request + 1'000, name('Y'), name('A'), 1),
            BL_OK);
  ASSERT_EQ(stuck.chunk(), BL_FULL);
  ASSERT_TRUE(stuck.host.until_said(BL_COMMAND_CANCEL_REQUEST, 1));
  // (On a slow machine the request after it may have come to its deadline too.)
  EXPECT_TRUE(std::ranges::any_of(stuck.host.said, [&](const Said& one) {
    return one.command.kind == BL_COMMAND_CANCEL_REQUEST && one.command.id == stuck.request;
  }));
  ASSERT_TRUE(stuck.host.until_said(BL_COMMAND_REQUEST_BY_ROOT, 2));
  EXPECT_TRUE(same(stuck.host.last(BL_COMMAND_REQUEST_BY_ROOT).roots[0], name('P')));
}

TEST(AbiBackpressure, OnlyTheFailureOrTheDeadlineEndsARequestWhoseChunkWasRefused) {
  Stuck stuck;
  stuck.clog();
  ASSERT_EQ(stuck.host.give(bl_push_chunk_block, stuck.request + 1'000, name('Y'), name('A'), 1),
            BL_OK);
  ASSERT_EQ(stuck.chunk(), BL_FULL);
  ASSERT_EQ(
      bl_request_failed(stuck.host.producer, stuck.host.peer, stuck.request, BL_FAILED_CONNECTION),
      BL_OK);
  // Asked again, since the root is still wanted.
  ASSERT_TRUE(stuck.host.until_said(BL_COMMAND_REQUEST_BY_ROOT, 2));
  const Said again = stuck.host.last(BL_COMMAND_REQUEST_BY_ROOT);
  ASSERT_EQ(again.roots.size(), 1u);
  EXPECT_TRUE(same(again.roots[0], name('P')));
  EXPECT_NE(again.command.id, stuck.request);
}

TEST(AbiBackpressure, NothingIsDroppedSilently) {
  Stuck stuck;
  stuck.clog();
  size_t votes = 0, blocks = 0;
  while (stuck.vote(100 + votes) == BL_OK) ++votes;
  while (stuck.host.gossip(200 + blocks, name('X'), name('P'), 2) == BL_OK) ++blocks;
  EXPECT_EQ(votes, 8u);
  EXPECT_EQ(blocks, 8u);
  // One verdict for each that was taken, and the first block's.
  const size_t all = 1 + stuck.clogged + votes + blocks;
  ASSERT_TRUE(stuck.host.until_said(BL_COMMAND_GOSSIP_VERDICT, all));
  stuck.host.take();
  EXPECT_EQ(stuck.host.count(BL_COMMAND_GOSSIP_VERDICT), all);
  EXPECT_EQ(stuck.host.producer_stats().full_vote, 1u);
  EXPECT_EQ(stuck.host.producer_stats().full_gossip, 1u);
}

TEST(AbiBackpressure, PeerDownIsNeverFullThroughTheProducerOfItsUp) {
  Stuck stuck;
  stuck.clog();
  while (bl_push_tick(stuck.host.producer, 1) == BL_OK) {
  }
  ASSERT_EQ(bl_push_tick(stuck.host.producer, 1), BL_FULL);
  EXPECT_EQ(bl_push_peer_down(stuck.host.producer, stuck.host.peer), BL_OK);
  EXPECT_TRUE(stuck.host.until([&] { return stuck.host.stats().peers == 0; }));
}

// Across producers: what a thread pushed before another one pushes the end runs before it.
TEST(AbiOrder, PeerDownRunsAfterAllThatWasPushedBeforeItAndEndsItsGeneration) {
  AbiHost host;
  for (uint32_t round = 1; round <= 10; ++round) {
    host.peer.generation = round;
    host.said.clear();
    ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
    std::thread other([&] {
      bl_producer* producer = nullptr;
      ASSERT_EQ(bl_producer_create(host.core, nullptr, &producer), BL_OK);
      for (uint32_t i = 0; i < 200; ++i) {
        ASSERT_EQ(host.give(bl_push_gossip_block, i, name('B', round * 1000 + i), name('?', round),
                            3, producer),
                  BL_OK);
      }
      bl_producer_destroy(producer);
    });
    other.join();
    ASSERT_EQ(bl_push_peer_down(host.producer, host.peer), BL_OK);
    const uint64_t stale = host.stats().stale_events;
    ASSERT_EQ(host.gossip(500, name('L', round), name('A'), 3), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_GOSSIP_VERDICT, 201));
    for (const Said& one : host.said) {
      if (one.command.kind != BL_COMMAND_GOSSIP_VERDICT) continue;
      EXPECT_EQ(one.reason == "unknown_peer", one.command.id == 500) << one.command.id;
    }
    EXPECT_EQ(host.stats().stale_events, stale + 1);
  }
}

// Four threads take turns; each pushes the child of what the one before it pushed. Out of order,
// one of them would be an orphan.
TEST(AbiOrder, PushesOfFourThreadsAreAppliedInTheOrderInWhichTheyReturned) {
  AbiHost host;
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  constexpr uint32_t kThreads = 4, kBlocks = kTsan ? 60 : 200;
  std::atomic<uint32_t> turn{1};
  std::array<std::thread, kThreads> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads[t] = std::thread([&, t] {
      bl_producer* producer = nullptr;
      ASSERT_EQ(bl_producer_create(host.core, nullptr, &producer), BL_OK);
      for (uint32_t i = 1 + t; i <= kBlocks; i += kThreads) {
        for (uint32_t now = turn.load(); now != i; now = turn.load()) turn.wait(now);
        const bl_root parent = i == 1 ? name('A') : name('B', i - 1);
        EXPECT_EQ(host.give(bl_push_gossip_block, i, name('B', i), parent, i, producer), BL_OK);
        turn.store(i + 1);
        turn.notify_all();
      }
      bl_producer_destroy(producer);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, kBlocks));
  EXPECT_EQ(host.count(BL_COMMAND_REQUEST_BY_ROOT), 0u);
  for (const Said& one : host.said) EXPECT_NE(one.reason, "parent_unknown");
}

// The core takes nothing, and yet the caller learns what its bytes are worth.
TEST(AbiOrder, BytesAreDecodedOnTheCallingThreadNotOnTheCores) {
  Stuck stuck;
  stuck.clog();
  const uint64_t events = stuck.host.stats().events;
  constexpr std::string_view kTopic = "/eth2/01020304/beacon_block/ssz_snappy";
  const std::vector<uint8_t> garbage(100, 0xff);
  auto gossip = sized<bl_gossip>();
  gossip.sender = stuck.host.peer;
  gossip.topic = kTopic.data();
  gossip.topic_size = kTopic.size();
  gossip.payload = {garbage.data(), garbage.size(), nullptr, nullptr};
  auto chunk = sized<bl_chunk>();
  chunk.peer = stuck.host.peer;
  chunk.request = stuck.request;
  chunk.payload = gossip.payload;
  for (const uint32_t encoding : {uint32_t{BL_ENCODING_DEFAULT}, uint32_t{BL_ENCODING_SSZ}}) {
    gossip.encoding = chunk.encoding = encoding;
    EXPECT_EQ(bl_push_gossip(stuck.host.producer, &gossip), BL_MALFORMED);
    EXPECT_EQ(bl_push_chunk(stuck.host.producer, &chunk), BL_MALFORMED);
  }
  EXPECT_EQ(stuck.host.producer_stats().malformed, 4u);
  EXPECT_EQ(stuck.host.stats().events, events);
}

TEST(AbiOrder, ChunkEndAndErrorOfARequestShareAQueue) {
  AbiHost host;
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  for (uint32_t round = 1; round <= 20; ++round) {
    host.said.clear();
    ASSERT_EQ(host.gossip(round, name('X', round), name('P', round), 2 * round), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_REQUEST_BY_ROOT, 1));
    const uint64_t request = host.last(BL_COMMAND_REQUEST_BY_ROOT).command.id;
    const uint64_t late = host.stats().late_chunks;
    ASSERT_EQ(host.give(bl_push_chunk_block, request, name('P', round), name('A'), 2 * round - 1),
              BL_OK);
    if (round % 2 == 0) {
      ASSERT_EQ(bl_request_ended(host.producer, host.peer, request), BL_OK);
    } else {
      ASSERT_EQ(bl_request_failed(host.producer, host.peer, request, BL_FAILED_REMOTE), BL_OK);
    }
    ASSERT_EQ(host.give(bl_push_chunk_block, request, name('Z', round), name('A'), 1), BL_OK);
    ASSERT_TRUE(host.until_said(BL_COMMAND_IMPORTED, 2));
    // The chunk before the end counts, the one after it does not.
    while (host.stats().late_chunks == late) rest();
    EXPECT_EQ(host.stats().late_chunks, late + 1);
  }
}

// Each block waits for no more votes than their producers have nodes, so the time of the test is
// bounded by counts, on a slow machine too.
TEST(AbiOrder, BlocksAndControlAreNotStarvedByVotesOfFourThreads) {
  AbiHost host;
  ASSERT_EQ(bl_push_peer_up(host.producer, host.peer), BL_OK);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> taken{0};
  std::array<std::thread, 4> flood;
  for (auto& thread : flood) {
    thread = std::thread([&] {
      auto limits = sized<bl_producer_options>();
      limits.vote_events = 64;
      bl_producer* producer = nullptr;
      ASSERT_EQ(bl_producer_create(host.core, &limits, &producer), BL_OK);
      auto vote = sized<bl_vote>();
      const uint64_t validator = 5;
      vote.head_root = name('A');
      vote.validators = &validator;
      vote.validator_count = 1;
      vote.sender = host.peer;
      while (!stop.load()) {
        if (bl_push_gossip_vote(producer, &vote) == BL_OK) {
          taken.fetch_add(1, std::memory_order_relaxed);
        } else {
          rest();
        }
      }
      bl_producer_destroy(producer);
    });
  }
  // More than their nodes: the flood is on, and the core takes it.
  ASSERT_TRUE(host.until([&] { return taken > 4 * 64; }));
  for (uint32_t i = 1; i <= 50; ++i) {
    ASSERT_EQ(host.gossip(i, name('B', i), i == 1 ? name('A') : name('B', i - 1), i), BL_OK);
    EXPECT_TRUE(host.until([&] {
      host.said.clear();
      return host.stats().head_slot == i;
    }));
  }
  stop = true;
  for (auto& thread : flood) thread.join();
  EXPECT_EQ(host.producer_stats().full_gossip + host.producer_stats().full_control, 0u);
}

}  // namespace
}  // namespace beamline::node::testing
