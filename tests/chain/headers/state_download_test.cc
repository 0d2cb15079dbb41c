// The state download beside the header sync: when it starts, what it waits for, and how long both
// take together.
#include "tests/chain/headers/sync_world.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

Duration duration_of(double in_seconds) {
  return milliseconds(static_cast<int64_t>(in_seconds * 1000));
}

// What takes about 3 s, with small requests.
constexpr uint64_t kLength = 14'000;
constexpr size_t kPeers = 5;

struct Timing {
  double headers = 0;  // alone
  double whole = 0;    // of both
  std::optional<SyncWorld> world;
  MonoTime start{};
};

// `whole` of the state: nothing for the headers alone.
void run_beside(Timing& timing, uint64_t length, size_t peers, std::optional<Duration> whole) {
  HeaderSyncConfig config;
  config.limits.full_sync_below = 0;
  if (length == kLength) {
    config.limits.requests_per_peer = 2;
    config.limits.request_first = 24;
    config.limits.request_max = 128;
  }
  SyncWorld& world = timing.world.emplace(21, length, config);
  Rng rng(uint64_t{5});
  for (size_t i = 0; i < peers; ++i) {
    world.add_peer(HeaderManner::honest, milliseconds(20 + static_cast<int64_t>(rng.below(281))));
  }
  // A megabyte and a half a second from each.
  world.per_header = microseconds(400);
  if (whole) world.state.emplace(*whole);
  world.start();
  timing.start = world.now.mono;
  ASSERT_TRUE(world.run(seconds(100'000)));
  ASSERT_TRUE(world.finished.has_value());
  EXPECT_EQ(world.finished->end, HeaderSyncEnd::synced);
  EXPECT_EQ(world.updates.size(), 1u);
  timing.whole = to_seconds(world.finished_at - timing.start);
  timing.headers = to_seconds(world.head_at - timing.start);
}

Timing beside(Duration whole) {
  Timing timing;
  run_beside(timing, kLength, kPeers, whole);
  return timing;
}

void expect_overlap(const Timing& timing) {
  const SyncWorld& world = *timing.world;
  const StateDouble& state = *world.state;
  ASSERT_TRUE(state.started.has_value() && state.done.has_value());
  // After the first batch, at once; before the last.
  EXPECT_EQ(*state.started, world.first_batch);
  EXPECT_LT(*state.started, world.last_batch);
  EXPECT_LT((world.first_batch - timing.start) * 10, world.last_batch - timing.start);
  EXPECT_EQ(state.pivots, 1u);
  EXPECT_TRUE(world.channel.empty());
  world.expect_canonical();
}

TEST(StateDownload, StartsAfterTheFirstBatchAndBeforeTheLast) {
  for (const int64_t whole : {1, 5, 20}) {
    SCOPED_TRACE(whole);
    expect_overlap(beside(seconds(whole)));
  }
}

TEST(StateDownload, ThatIsReadyBeforeTheHeadersWaitsForThePivotAlone) {
  const Timing timing = beside(seconds(1));
  expect_overlap(timing);
  const StateDouble& state = *timing.world->state;
  // Nothing but healing is left when the headers are there; and nothing waited before.
  for (const char* name : {"account ranges", "account insertion", "storage ranges",
                           "storage insertion", "bytecodes"}) {
    EXPECT_LT(*state.phase(name).ended, timing.world->head_at) << name;
    EXPECT_EQ(*state.phase(name).begun, *state.started + seconds(1) * state.phase(name).from / 1000)
        << name;
  }
  EXPECT_EQ(*state.pivot_at, timing.world->head_at);
  EXPECT_EQ(*state.phase("state healing").begun, timing.world->head_at);
}

TEST(StateDownload, ThatIsReadyWithTheHeaders) {
  Timing alone;
  run_beside(alone, kLength, kPeers, std::nullopt);
  const Timing timing = beside(duration_of(alone.headers));
  expect_overlap(timing);
  EXPECT_LE(timing.whole, alone.headers * 1.05);
}

TEST(StateDownload, ThatIsReadyAfterTheHeadersHoldsBackTheForkChoiceAlone) {
  const Timing timing = beside(seconds(20));
  expect_overlap(timing);
  const SyncWorld& world = *timing.world;
  // The head was said long before, so the pivot was chosen when the ranges were there.
  EXPECT_LT(timing.headers, 8);
  EXPECT_EQ(*world.state->pivot_at, *world.state->phase("storage insertion").ended);
  EXPECT_EQ(world.finished_at, *world.state->done);
}

TEST(StateDownload, ChoosesThePivotAnewWhenItIsTakenBack) {
  HeaderSyncConfig config;
  config.limits.full_sync_below = 0;
  config.limits.requests_per_peer = 2;
  SyncWorld world(22, 12'000, config);
  for (int i = 0; i < 4; ++i) world.add_peer(HeaderManner::honest, milliseconds(50));
  world.state.emplace(seconds(40));
  world.start();
  ASSERT_FALSE(world.run(seconds(600), [&] { return world.state->pivot_at.has_value(); }));
  world.reorg(11'500, 900);
  ASSERT_TRUE(world.run(seconds(600)));
  ASSERT_EQ(world.finished->end, HeaderSyncEnd::synced);
  EXPECT_EQ(world.state->pivots, 2u);
  EXPECT_EQ(world.heads.size(), 2u);
  EXPECT_EQ(world.updates.size(), 1u);
  EXPECT_EQ(world.updates[0].number, 12'400u);
  world.expect_canonical();
}

// Headers and state side by side take no longer than the longer of them, and five hundredths.
TEST(StateDownload, ParallelTotalBesideTheSequentialPipeline) {
  const bool soak = at_size();
  const uint64_t length = soak ? 1'000'000 : kLength;
  for (const size_t peers : soak ? std::vector<size_t>{10, 30, 100} : std::vector<size_t>{kPeers}) {
    Timing alone;
    run_beside(alone, length, peers, std::nullopt);
    for (const double share : {0.3, 1.0, 3.0}) {
      const double state = alone.headers * share;
      Timing both;
      run_beside(both, length, peers, duration_of(state));
      const double longer = std::max(alone.headers, state);
      std::printf(
          "%lu headers of %zu peers %.2f s, state %.2f s: sequential %.2f s, parallel "
          "%.2f s, %.3f of the longer\n",
          static_cast<unsigned long>(length), peers, alone.headers, state, alone.headers + state,
          both.whole, both.whole / longer);
      EXPECT_LE(both.whole, 1.05 * longer);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace beamline::chain
