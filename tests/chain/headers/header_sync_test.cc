// The header pipeline, property by property: see the promises in chain/headers/header_sync.h.
#include "tests/chain/headers/sync_world.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

HeaderSyncConfig config_with(const std::function<void(HeaderSyncLimits&)>& change) {
  HeaderSyncConfig config;
  config.limits.full_sync_below = 0;
  change(config.limits);
  return config;
}
HeaderSyncConfig plain() {
  return config_with([](HeaderSyncLimits&) {});
}

// So slow that something can happen meanwhile.
HeaderSyncConfig paced() {
  return config_with([](HeaderSyncLimits& limits) { limits.requests_per_peer = 2; });
}

void expect_synced(const SyncWorld& world) {
  ASSERT_TRUE(world.finished.has_value());
  EXPECT_EQ(world.finished->end, HeaderSyncEnd::synced) << name(world.finished->failure);
  ASSERT_EQ(world.updates.size(), 1u);
  EXPECT_EQ(world.updates[0].hash, world.chain.hashes.back());
  EXPECT_EQ(world.updates[0].number, world.chain.head());
  EXPECT_EQ(world.requests_after_end, 0u);
  world.expect_canonical();
}

TEST(HeaderSync, HonestPeersAreAskedSideBySide) {
  SyncWorld world(1, 20'000, plain());
  for (int i = 0; i < 10; ++i) world.add_peer(HeaderManner::honest, milliseconds(100));
  world.start();
  const MonoTime start = world.now.mono;
  ASSERT_TRUE(world.run(seconds(600)));
  expect_synced(world);
  const double took = to_seconds(world.now.mono - start);
  // One peer, one request at a time: 20 round trips at the least, and the first are small.
  std::printf("20,000 headers of 10 peers at 100 ms: %.2f s\n", took);
  EXPECT_LT(took, 1.0);
  EXPECT_EQ(world.sync->stats().headers_received + 1, 20'000u);  // each once; the head by its hash
  for (const uint64_t faults : world.sync->stats().faults) EXPECT_EQ(faults, 0u);
}

TEST(HeaderSync, MemoryIsBounded) {
  SyncWorld world(2, 20'000, config_with([](HeaderSyncLimits& limits) {
                    limits.scratch_headers = 4096;
                    limits.batch_headers = 512;
                    limits.channel_batches = 3;
                    limits.stores_in_flight = 2;
                  }));
  for (int i = 0; i < 20; ++i) world.add_peer(HeaderManner::honest, milliseconds(50));
  world.batch_time = milliseconds(30);
  world.start();
  ASSERT_TRUE(world.run(seconds(600)));
  expect_synced(world);
  const HeaderSyncStats& stats = world.sync->stats();
  EXPECT_LE(stats.scratch_peak, 4096u);
  EXPECT_LE(world.channel_peak, 3u);
  std::printf("peak: %lu headers in the scratch, %lu bytes not stored yet, %zu batches\n",
              static_cast<unsigned long>(stats.scratch_peak),
              static_cast<unsigned long>(stats.bytes_peak), world.channel_peak);
}

TEST(HeaderSync, TheFirstBatchIsAnnouncedLongBeforeTheLast) {
  SyncWorld world(3, 30'000, plain());
  for (int i = 0; i < 1; ++i) world.add_peer(HeaderManner::honest, milliseconds(100));
  world.start();
  const MonoTime start = world.now.mono;
  ASSERT_TRUE(world.run(seconds(600)));
  expect_synced(world);
  const Duration whole = world.last_batch - start;
  EXPECT_LT((world.first_batch - start) * 2, whole);
}

TEST(HeaderSync, AStateDownloadThatTakesItsTimeHoldsBackTheEndAndNothingElse) {
  const auto run = [](Duration batch_time) {
    SyncWorld world(3, 20'000, plain());
    for (int i = 0; i < 2; ++i) world.add_peer(HeaderManner::honest, milliseconds(200));
    world.batch_time = batch_time;
    world.start();
    const MonoTime start = world.now.mono;
    Duration stored{};
    EXPECT_TRUE(world.run(seconds(600), [&] {
      if (stored == Duration{} && !world.heads.empty()) stored = world.now.mono - start;
      return false;
    }));
    expect_synced(world);
    return std::pair(to_seconds(stored), to_seconds(world.now.mono - start));
  };
  const auto [head_fast, end_fast] = run(milliseconds(1));
  const auto [head_slow, end_slow] = run(milliseconds(500));
  EXPECT_EQ(head_fast, head_slow);
  EXPECT_LT(end_fast, head_fast + 0.1);
  EXPECT_GT(end_slow, end_fast + 1);
}

// ---- Liars

class HeaderLiars : public ::testing::TestWithParam<HeaderManner> {};

TEST_P(HeaderLiars, AreFoundAndTheSyncEnds) {
  SyncWorld world(4, 6'000, plain());
  world.add_peer(GetParam(), milliseconds(20));  // the fastest
  for (int i = 0; i < 6; ++i) world.add_peer(HeaderManner::honest, milliseconds(80));
  world.start();
  const MonoTime start = world.now.mono;
  ASSERT_TRUE(world.run(seconds(600)));
  const Duration took = world.now.mono - start;
  expect_synced(world);
  EXPECT_EQ(world.dropped(HeaderManner::honest), 0u);
  // Who only is of no use is charged, and goes if there is time for it.
  const bool lies = GetParam() == HeaderManner::garbage || GetParam() == HeaderManner::broken ||
                    GetParam() == HeaderManner::forging;
  if (lies) {
    EXPECT_EQ(world.dropped(GetParam()), 1u);
  }
  uint64_t charges = 0;
  for (const uint64_t faults : world.sync->stats().faults) charges += faults;
  // Another peer is asked for what a stalling one owes, long before its time is over.
  const bool harmless = GetParam() == HeaderManner::slow || GetParam() == HeaderManner::stalling;
  EXPECT_EQ(charges > 0, !harmless);
  EXPECT_LT(took, world.config.limits.timeout_first);
}
INSTANTIATE_TEST_SUITE_P(Manners, HeaderLiars,
                         ::testing::Values(HeaderManner::slow, HeaderManner::stalling,
                                           HeaderManner::empty, HeaderManner::garbage,
                                           HeaderManner::broken, HeaderManner::forging,
                                           HeaderManner::failing));

// It would keep its place, and nobody would be looked for.
TEST(HeaderSync, APeerThatAnswersNoProbeGoesAfterThreeAndOneThatLacksTheHeadStays) {
  SyncWorld world(5, 100, plain());
  world.add_peer(HeaderManner::mute, milliseconds(20));
  world.add_peer(HeaderManner::honest, milliseconds(20));
  world.start();
  world.sync->move_head(world.now, Hash256{{1}});  // which nobody has
  world.run(seconds(60));
  EXPECT_EQ(world.dropped(HeaderManner::mute), 1u);
  EXPECT_EQ(world.dropped(HeaderManner::honest), 0u);
  EXPECT_EQ(world.sync->stats().faults[static_cast<size_t>(HeaderFault::stalled)], 3u);
}

// With time for it, who stalls is charged and goes.
TEST(HeaderSync, AStallingPeerIsDroppedAndHoldsNobodyUp) {
  const auto run = [](HeaderManner manner, size_t dropped) {
    SyncWorld world(4, 16'000, config_with([](HeaderSyncLimits& limits) {
                      limits.timeout_first = milliseconds(500);
                      limits.requests_per_peer = 2;
                      limits.request_first = limits.request_max = 64;
                    }));
    world.add_peer(manner, milliseconds(20));
    for (int i = 0; i < 6; ++i) world.add_peer(HeaderManner::honest, milliseconds(200));
    world.start();
    const MonoTime start = world.now.mono;
    EXPECT_TRUE(world.run(seconds(600)));
    expect_synced(world);
    EXPECT_EQ(world.dropped(manner), dropped);
    EXPECT_LE(world.sync->stats().hedges * 64, 16'000u / 10);
    return to_seconds(world.now.mono - start);
  };
  const double without = run(HeaderManner::failing, 1);  // gone at once
  const double with = run(HeaderManner::stalling, 1);
  std::printf("16,000 headers of six peers: %.2f s; beside one that stalls: %.2f s\n", without,
              with);
  EXPECT_LT(with, without * 1.1);
}

// ---- Slow links

uint64_t faults_of(const SyncWorld& world) {
  uint64_t faults = 0;
  for (const uint64_t count : world.sync->stats().faults) faults += count;
  return faults;
}

// The first requests are made for 100 kbit/s.
TEST(HeaderSync, APeerOnASlowLinkIsMeasuredAndNeverCharged) {
  for (const int64_t bits : {128'000, 240'000, 1'000'000, 8'000'000}) {
    SCOPED_TRACE(bits);
    SyncWorld world(20, 5000, plain());
    world.add_peer(HeaderManner::honest, milliseconds(300));
    world.peers[0].bandwidth = bits / 8;
    world.start();
    const MonoTime start = world.now.mono;
    ASSERT_TRUE(world.run(seconds(3000)));
    expect_synced(world);
    EXPECT_EQ(faults_of(world), 0u);
    EXPECT_EQ(world.sync->stats().late_answers, 0u);
    // The link is kept busy.
    const double bytes = 5000.0 * static_cast<double>(world.chain.encodings.back().size());
    const double least = bytes / static_cast<double>(bits / 8);
    const double took = to_seconds(world.now.mono - start);
    std::printf("5,000 headers at %ld kbit/s and 300 ms: %.1f s, of which the bytes are %.1f s\n",
                static_cast<long>(bits / 1000), took, least);
    EXPECT_LT(took, 1.05 * least + 4);
  }
}

// What a fast peer leaves undone is cut to what a slow one can carry.
TEST(HeaderSync, APeerOnASlowLinkIsNotGivenAFastOnesRanges) {
  SyncWorld world(21, 8000, plain());
  world.add_peer(HeaderManner::honest, milliseconds(300));
  world.peers[0].bandwidth = 30'000;
  const PeerHandle fast = world.add_peer(HeaderManner::honest, milliseconds(20));
  world.start();
  world.run(seconds(600), [&] { return world.sync->tip().number >= 2000; });
  world.peers[fast.index].dropped = true;
  world.sync->peer_down(world.now, fast);
  ASSERT_TRUE(world.run(seconds(3000)));
  expect_synced(world);
  EXPECT_EQ(faults_of(world), 0u);
}

// It answers within every deadline, and gives next to nothing.
TEST(HeaderSync, ATarpitIsDroppedWithinTheWindowAndHoldsNobodyUp) {
  SyncWorld world(22, 4000, plain());
  world.add_peer(HeaderManner::tarpit, milliseconds(20));
  world.start();
  ASSERT_FALSE(world.run(seconds(60), [&] { return world.peers[0].dropped; }));
  const Duration held = world.now.mono - world.first_batch;
  std::printf("a tarpit alone is dropped after %.1f s\n", to_seconds(held));
  EXPECT_LE(held, world.config.limits.rate_window + world.config.limits.timeout_first);
  EXPECT_EQ(world.sync->stats().faults[static_cast<size_t>(HeaderFault::stalled)], 1u);
  const MonoTime start = world.now.mono;
  for (int i = 0; i < 3; ++i) world.add_peer(HeaderManner::honest, milliseconds(50));
  world.add_peer(HeaderManner::tarpit, milliseconds(10));
  ASSERT_TRUE(world.run(seconds(600)));
  expect_synced(world);
  EXPECT_LT(world.now.mono - start, seconds(5));
}

// ---- Many requests in flight at one peer

HeaderSyncConfig eight_at_once() {
  return config_with([](HeaderSyncLimits& limits) {
    limits.requests_per_peer = limits.requests_per_new_peer = 8;
  });
}

// They wait for each other there: the eighth is no later than the first.
TEST(HeaderSync, EightRequestsInFlightAtASlowPeerAreNotLateWhileItAnswers) {
  SyncWorld world(31, 40'000, eight_at_once());
  world.add_peer(HeaderManner::honest, milliseconds(1));
  world.peers[0].bandwidth = 6'000'000;  // 0.1 s an answer: the last of eight comes after 0.8 s
  world.start();
  EXPECT_TRUE(world.run(seconds(600)));
  expect_synced(world);
  for (const uint64_t faults : world.sync->stats().faults) EXPECT_EQ(faults, 0u);
}

// One pause, however many requests wait for its end, is one strike.
TEST(HeaderSync, APauseWithEightRequestsInFlightIsOneStrikeAndTheSyncEnds) {
  SyncWorld world(32, 40'000, eight_at_once());
  world.add_peer(HeaderManner::honest, milliseconds(1));
  world.peers[0].bandwidth = 100'000'000;
  world.start();
  world.run(seconds(600), [&] { return world.sync->stats().headers_received >= 10'000; });
  world.peers[0].link_free = world.now.mono + milliseconds(1500);
  EXPECT_TRUE(world.run(seconds(600)));
  expect_synced(world);
  EXPECT_EQ(world.sync->stats().faults[static_cast<size_t>(HeaderFault::stalled)], 1u);
  EXPECT_EQ(world.dropped(HeaderManner::honest), 0u);
}

TEST(HeaderSync, APeerWithoutTheHeadIsNotAskedForMore) {
  SyncWorld world(5, 3000, plain());
  world.start();
  const PeerHandle behind{77, 1};
  world.sync->peer_up(world.now, behind);
  world.sync->end_of_turn(world.now);
  auto probe = world.sync->poll_command();
  ASSERT_TRUE(probe.has_value());
  const auto& request = std::get<RequestHeaders>(*probe);
  EXPECT_EQ(request.hash, world.chain.hashes.back());
  const std::vector<uint8_t> none{0xc0};
  world.sync->answered(world.now, behind, request.request, SharedBytes::copy(none));
  world.sync->end_of_turn(world.now);
  EXPECT_FALSE(world.sync->poll_command().has_value());
}

TEST(HeaderSync, UnsolicitedAndLateAnswersChangeNothing) {
  SyncWorld world(6, 100, plain());
  const PeerHandle peer = world.add_peer(HeaderManner::honest, milliseconds(10));
  world.start();
  const std::vector<uint8_t> bytes{0xc1, 0x80};
  world.sync->answered(world.now, peer, 999, SharedBytes::copy(bytes));
  world.sync->answered(world.now, {5, 5}, 1, SharedBytes::copy(bytes));
  EXPECT_EQ(world.sync->stats().late_answers, 2u);
  ASSERT_TRUE(world.run(seconds(60)));
  expect_synced(world);
}

// ---- Ends

TEST(HeaderSync, AShortWayIsLeftToFullSync) {
  HeaderSyncConfig config;
  SyncWorld world(7, 9'000, config);
  world.add_peer(HeaderManner::honest, milliseconds(10));
  world.start();
  ASSERT_TRUE(world.run(seconds(60)));
  EXPECT_EQ(world.finished->end, HeaderSyncEnd::switch_to_full_sync);
  EXPECT_EQ(world.finished->from, 1u);
  EXPECT_TRUE(world.updates.empty());
  EXPECT_EQ(world.sync->stats().requests, 1u);  // the probe
}

TEST(HeaderSync, AnAbortIsNeverSyncedAndTakesNothingBack) {
  SyncWorld world(8, 20'000, plain());
  for (int i = 0; i < 4; ++i) world.add_peer(HeaderManner::honest, milliseconds(50));
  world.start();
  world.run(seconds(60), [&] { return world.sync->durable_next() > 5000; });
  const uint64_t before = world.log->checkpointed();
  world.sync->abort(world.now);
  ASSERT_TRUE(world.run(seconds(60)));
  EXPECT_EQ(world.finished->end, HeaderSyncEnd::failed);
  EXPECT_EQ(world.finished->failure, HeaderSyncFailure::aborted);
  EXPECT_TRUE(world.updates.empty());
  EXPECT_GE(world.log->checkpointed(), before);
  EXPECT_EQ(world.requests_after_end, 0u);
  const uint64_t counted = world.sync->stats().events_after_end;
  world.sync->peer_up(world.now, {50, 1});
  world.sync->move_head(world.now, Hash256{});
  world.sync->end_of_turn(world.now);
  EXPECT_FALSE(world.sync->poll_command().has_value());
  EXPECT_EQ(world.sync->stats().events_after_end, counted + 2);
}

TEST(HeaderSync, WithoutPeersItFailsAndDoesNotHang) {
  SyncWorld world(9, 100, plain());
  world.start();
  ASSERT_TRUE(world.run(seconds(1000)));
  EXPECT_EQ(world.finished->end, HeaderSyncEnd::failed);
  EXPECT_EQ(world.finished->failure, HeaderSyncFailure::no_peers);
}

TEST(HeaderSync, AStoreThatFailsIsAFailedSync) {
  SyncWorld world(10, 20'000, plain());
  world.add_peer(HeaderManner::honest, milliseconds(10));
  world.start();
  world.disk.fail_after(8);
  ASSERT_TRUE(world.run(seconds(60)));
  EXPECT_EQ(world.finished->failure, HeaderSyncFailure::storage);
  EXPECT_TRUE(world.updates.empty());
}

// ---- Reorgs and moves of the head

TEST(HeaderSync, TheHeadMovesOn) {
  SyncWorld world(11, 30'000, paced());
  for (int i = 0; i < 2; ++i) world.add_peer(HeaderManner::honest, milliseconds(50));
  world.start();
  for (int move = 0; move < 4; ++move) {
    const uint64_t until = world.sync->tip().number + 2000;
    ASSERT_FALSE(world.run(seconds(60), [&] { return world.sync->tip().number >= until; }));
    world.reorg(world.chain.head(), 500);
  }
  ASSERT_TRUE(world.run(seconds(600)));
  expect_synced(world);
  EXPECT_EQ(world.sync->stats().walk_backs, 0u);
  EXPECT_EQ(world.dropped(HeaderManner::honest), 0u);
}

TEST(HeaderSync, AReorgIsWalkedBackByWhatIsHere) {
  SyncWorld world(12, 10'000, paced());
  for (int i = 0; i < 4; ++i) world.add_peer(HeaderManner::honest, milliseconds(50));
  world.start();
  world.run(seconds(60), [&] { return world.sync->tip().number >= 8000; });
  world.reorg(world.sync->tip().number - 700, 5000);
  ASSERT_TRUE(world.run(seconds(600)));
  expect_synced(world);
  EXPECT_GE(world.sync->stats().walk_backs, 1u);
  EXPECT_LE(world.sync->stats().walk_backs, 5u);
  EXPECT_EQ(world.dropped(HeaderManner::honest), 0u);
}

TEST(HeaderSync, ASixthReorgFailsTheSync) {
  SyncWorld world(13, 24'000, paced());
  for (int i = 0; i < 2; ++i) world.add_peer(HeaderManner::honest, milliseconds(50));
  world.start();
  for (int reorgs = 0; reorgs < 8 && !world.finished; ++reorgs) {
    const uint64_t until = world.sync->tip().number + 1500;
    world.run(seconds(60), [&] { return world.sync->tip().number >= until; });
    if (world.finished) break;
    const uint64_t tip = world.sync->tip().number;
    world.reorg(tip - 10, world.chain.head() + 10 - tip);
  }
  ASSERT_TRUE(world.run(seconds(600)));
  EXPECT_EQ(world.finished->end, HeaderSyncEnd::failed);
  EXPECT_EQ(world.finished->failure, HeaderSyncFailure::reorg);
  EXPECT_EQ(world.sync->stats().walk_backs, 6u);
  EXPECT_TRUE(world.updates.empty());
}

// What is stored is of a branch that nobody has any more, from far below the last checkpoint on.
TEST(HeaderSync, AnAncestorBelowTheLastCheckpointIsSyncedFrom) {
  SyncWorld world(14, 6000, plain());
  for (int i = 0; i < 3; ++i) world.add_peer(HeaderManner::honest, milliseconds(50));
  world.start();
  ASSERT_TRUE(world.run(seconds(60)));
  ASSERT_EQ(world.log->checkpointed(), 6001u);
  world.chain = world.chain.fork(world.config.forks, 5500, 2000, 99);
  world.restart();
  ASSERT_TRUE(world.run(seconds(600)));
  expect_synced(world);
}

TEST(HeaderSync, AHeadBelowWhatIsStoredTakesTheRestBack) {
  SyncWorld world(15, 3000, plain());
  world.add_peer(HeaderManner::honest, milliseconds(20));
  world.start();
  ASSERT_TRUE(world.run(seconds(60)));
  world.chain = world.chain.fork(world.config.forks, 2000, 0, 1);
  world.restart();
  ASSERT_TRUE(world.run(seconds(60)));
  expect_synced(world);
}

// ---- Crashes

TEST(HeaderSync, ACrashAtAnyStepGoesOnWithoutAGap) {
  uint64_t resumed = 0;
  for (uint64_t step = 1; step < 60; ++step) {
    SCOPED_TRACE(step);
    SyncWorld world(step, 3000, config_with([](HeaderSyncLimits& limits) {
                      limits.batch_headers = 100;
                      limits.request_first = limits.request_max = 60;
                    }));
    for (int i = 0; i < 3; ++i) world.add_peer(HeaderManner::honest, milliseconds(20));
    world.start();
    const uint64_t stop = world.turns + step;
    if (world.run(seconds(60), [&] { return world.turns >= stop; }) || world.finished) break;
    const uint64_t acknowledged = world.log->checkpointed();
    world.restart();
    EXPECT_GE(world.log->next(), acknowledged);
    if (world.log->next() > 1) ++resumed;
    ASSERT_TRUE(world.run(seconds(60)));
    expect_synced(world);
  }
  EXPECT_GT(resumed, 10u);
}

// ---- Everything at once

struct Weather {
  uint64_t length = 0;
  size_t peers = 0;
};

void run_weather(uint64_t seed, const Weather& weather) {
  SCOPED_TRACE("replay: BEAMLINE_SEED=" + std::to_string(seed));
  Rng rng(seed);
  SyncWorld world(seed, weather.length,
                  config_with([](HeaderSyncLimits& limits) { limits.batch_headers = 512; }));
  for (size_t i = 0; i < weather.peers; ++i) {
    HeaderManner manner = HeaderManner::honest;
    if (rng.chance(5, 100)) manner = HeaderManner::stalling;
    if (rng.chance(2, 100)) manner = HeaderManner::forging;
    if (rng.chance(2, 100)) manner = static_cast<HeaderManner>(1 + rng.below(7));
    if (i < 3) manner = HeaderManner::honest;
    world.add_peer(manner, milliseconds(20 + static_cast<int64_t>(rng.below(280))));
  }
  world.start();
  const uint64_t events = 1 + rng.below(4);
  uint64_t reorgs = 0;
  for (uint64_t i = 0; i < events && !world.finished; ++i) {
    const uint64_t stop = world.turns + 5 + rng.below(60);
    if (world.run(seconds(600), [&] { return world.turns >= stop; }) || world.finished) break;
    switch (rng.below(3)) {
      case 0:
        world.restart();
        break;
      case 1:
        world.reorg(world.chain.head(), 1 + rng.below(200));
        break;
      default:
        if (world.sync->tip().number < 200 || ++reorgs > 2) break;
        world.reorg(world.sync->tip().number - rng.below(100), 300 + rng.below(300));
        break;
    }
  }
  ASSERT_TRUE(world.run(seconds(3000)));
  expect_synced(world);
  EXPECT_EQ(world.dropped(HeaderManner::honest), 0u);
}

TEST(HeaderSync, LiarsStallsReorgsMovesAndCrashesAtOnce) {
  const char* set = std::getenv("BEAMLINE_SEED");
  const uint64_t first = set != nullptr ? std::strtoull(set, nullptr, 10) : 1;
  const bool soak = std::getenv("BEAMLINE_LONG") != nullptr;
  for (uint64_t seed = first; seed < first + (set != nullptr ? 1 : soak ? 400 : 10); ++seed) {
    run_weather(seed, {.length = 4000 + 100 * (seed % 30), .peers = 10 + seed % 20});
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace beamline::chain
