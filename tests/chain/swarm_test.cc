// A hundred nodes under churn, partition and twenty per cent liars.
//
// Replay: BEAMLINE_SEED=<seed> test_swarm --gtest_filter=Swarm.*
#include "tests/chain/swarm.h"

#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

namespace beamline::chain {
namespace {

using testing::Swarm;
using testing::SwarmOptions;

// All honest nodes have one head at the end of each slot from so many slots after the healing on:
// an epoch in which everybody votes on what everybody has, and two slots to fetch it.
constexpr Slot kBound = 10;

struct Outcome {
  Slot to_agree = 0;  // slots after the healing
  uint64_t digest = 0;
  uint64_t final_epochs = 0;  // that the split did not stop
  testing::SwarmTally tally;
};

Outcome run_swarm(uint64_t seed, uint32_t slots, uint32_t nodes = 100) {
  SwarmOptions options;
  options.seed = seed;
  options.nodes = nodes;
  options.liars = nodes / 5;
  Swarm swarm(options);
  Rng rng(seed + 1000);
  const auto churn = [&](uint32_t many) {
    for (uint32_t i = 0; i < many; ++i) {
      swarm.run_to_end_of_slot();
      swarm.check();
      if (std::getenv("BEAMLINE_TRACE") != nullptr) std::printf("%s\n", swarm.describe().c_str());
      for (uint64_t left = rng.below(3); left > 0; --left) {
        swarm.crash_one(seconds(rng.between(2, 60)));
      }
    }
  };
  churn(slots);
  swarm.split(static_cast<uint32_t>(rng.between(50, 80)));
  churn(slots * 2 / 3);
  swarm.heal();
  const Slot healed = swarm.slot();
  const uint64_t final_before = swarm.finalized();
  Outcome outcome;
  for (uint32_t i = 0; i < 48; ++i) {
    swarm.run_to_end_of_slot();
    swarm.check();
    if (!swarm.agree()) outcome.to_agree = swarm.slot() - healed;
    if (std::getenv("BEAMLINE_TRACE") != nullptr) std::printf("%s\n", swarm.describe().c_str());
  }
  EXPECT_LE(outcome.to_agree, kBound) << swarm.describe();
  outcome.final_epochs = swarm.finalized() - final_before;
  swarm.quiet();
  swarm.run(options.limits.total_deadline + seconds(180));
  swarm.check();
  EXPECT_TRUE(swarm.agree()) << swarm.describe();
  outcome.tally = swarm.tally();
  EXPECT_EQ(outcome.tally.honest_banned, 0u) << "an honest peer was blacklisted";
  EXPECT_EQ(swarm.open_requests(), 0u);
  EXPECT_EQ(outcome.tally.ended, outcome.tally.requests) << "every request ends";
  outcome.digest = swarm.digest();
  return outcome;
}

TEST(Swarm, HundredNodesConvergeUnderChurnPartitionAndLiars) {
  const char* given = std::getenv("BEAMLINE_SEED");
  const bool many = std::getenv("BEAMLINE_LONG") != nullptr;
  const uint64_t first = given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
  uint64_t count = many && given == nullptr ? 100 : 1;
  if (const char* text = std::getenv("BEAMLINE_SEEDS")) count = std::strtoull(text, nullptr, 10);
  uint64_t reorgs = 0, final_epochs = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("replay: BEAMLINE_SEED=" + std::to_string(seed) +
                 " test_swarm --gtest_filter=Swarm.HundredNodes*");
    const Outcome outcome = run_swarm(seed, many ? 60 : 24);
    const testing::SwarmTally& tally = outcome.tally;
    std::printf(
        "BEAMLINE_SEED=%lu: one head %lu slots after the healing, %lu epochs more final; "
        "%lu blocks, %lu imports, %lu votes, %lu requests (longest %.1f s), %lu lies, %lu "
        "crashes, %lu reorgs, %lu liars cut off, lowest honest score %d, digest %016lx\n",
        seed, outcome.to_agree, outcome.final_epochs, tally.blocks, tally.imported, tally.votes,
        tally.requests, to_seconds(tally.longest_request), tally.lies, tally.crashes, tally.reorgs,
        tally.liars_banned, tally.lowest_honest_score, outcome.digest);
    EXPECT_GT(tally.crashes, 10u);
    EXPECT_GT(tally.lies, 50u);
    EXPECT_GT(tally.liars_banned, 0u);
    reorgs += tally.reorgs;
    final_epochs += outcome.final_epochs;
    if (::testing::Test::HasFailure()) break;
  }
  if (given == nullptr) {
    EXPECT_GT(reorgs, 0u) << "the split had two chains";
    EXPECT_GE(final_epochs, 2 * count) << "finality goes on after the healing";
  }
}

TEST(Swarm, ASeedReproducesTheWholeHistory) {
  const Outcome one = run_swarm(7, 8, 40);
  const Outcome again = run_swarm(7, 8, 40);
  const Outcome other = run_swarm(8, 8, 40);
  EXPECT_EQ(one.digest, again.digest);
  EXPECT_EQ(one.tally.requests, again.tally.requests);
  EXPECT_NE(one.digest, other.digest);
}

}  // namespace
}  // namespace beamline::chain
