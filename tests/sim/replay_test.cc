// A seed and its options reproduce a run bit for bit.
#include "tests/sim/replay.h"

#include <gtest/gtest.h>

#include "tests/sim/flow.h"

namespace beamline::sim {
namespace {

struct History {
  uint64_t digest;
  uint64_t steps;
  std::vector<uint8_t> received;
  friend bool operator==(const History&, const History&) = default;
};

History run(uint64_t seed, const Options& options) {
  World world(seed, options);
  Flow flow(world, 20'000);
  flow.open();
  world.run_until([&] { return flow.near.done() && flow.far.done(); }, seconds(20));
  flow.finish();
  const Bytes received = flow.far.received();
  return {world.digest(), world.steps(), {received.begin(), received.end()}};
}

TEST(SimReplay, TheSameSeedGivesTheSameHistory) {
  for_each_seed(20, [](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    EXPECT_EQ(run(seed, options), run(seed, options));
  });
}

TEST(SimReplay, AnotherSeedOrOtherOptionsGiveAnotherHistory) {
  const Options options = Options::swarm(1);
  Options other = options;
  other.short_read = options.short_read == 0 ? 1000 : 0;
  EXPECT_NE(run(1, options).digest, run(2, options).digest);
  EXPECT_NE(run(1, options).digest, run(1, other).digest);
}

TEST(SimReplay, SwarmOptionsAreTheSeedsAndDiffer) {
  EXPECT_EQ(to_string(Options::swarm(3)), to_string(Options::swarm(3)));
  EXPECT_NE(to_string(Options::swarm(3)), to_string(Options::swarm(4)));
  EXPECT_EQ(to_string(Options{}), "defaults");
  int with_resets = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) with_resets += Options::swarm(seed).reset != 0;
  EXPECT_GT(with_resets, 30);
  EXPECT_LT(with_resets, 70);
}

TEST(SimReplayDeathTest, AFailedCheckPrintsTheCommandThatReplaysIt) {
  EXPECT_DEATH(
      {
        const Replay replay(4711, Options{});
        BL_CHECK(1 + 1 == 3);
      },
      "1 \\+ 1 == 3\nreplay: BEAMLINE_SEED=4711 .*test_sim "
      "--gtest_filter=SimReplayDeathTest.AFailedCheckPrintsTheCommandThatReplaysIt\n"
      "options: defaults");
}

}  // namespace
}  // namespace beamline::sim
