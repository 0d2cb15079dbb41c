// Days of virtual time: what is live in memory stays as it is, while blocks come, become final and
// are forgotten, links break, the network splits and heals, and liars lie.
//
// Replay: BEAMLINE_SEED=<seed> test_swarm_memory
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/chain/live_bytes.h"
#include "tests/chain/swarm.h"

namespace beamline::chain {
namespace {

using testing::live_bytes;
using testing::Swarm;
using testing::SwarmOptions;

constexpr uint32_t kHours = 72;
constexpr uint32_t kWarmHours = 12;  // before them

// The mean of what is live at the end of each slot of an hour. In each hour the network is split
// once, and nothing becomes final until it heals.
double run_hour(Swarm& swarm, uint32_t slots, uint32_t split_slots) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < slots; ++i) {
    if (i == 100) swarm.split(60);
    if (i == 100 + split_slots) swarm.heal();
    swarm.run_to_end_of_slot();
    sum += live_bytes();
  }
  swarm.check();
  return static_cast<double>(sum) / slots;
}

void expect_flat(uint64_t seed, uint32_t nodes) {
  SwarmOptions options;
  options.seed = seed;
  options.nodes = nodes;
  options.liars = (nodes + 3) / 6;
  options.degree = 4;
  options.persist = false;
  // Every cache is full before the measurement begins, and more was not final at once than ever
  // will be after it: what grows then grows without a limit.
  options.limits.tree_blocks = 256;
  options.limits.store_bytes = 24 << 10;
  options.limits.invalid_blocks = 4;
  Swarm swarm(options);
  const auto slots = static_cast<uint32_t>(seconds(3600).ns / options.slot.ns);
  for (uint32_t hour = 0; hour < kWarmHours; ++hour) run_hour(swarm, slots, 80);
  const uint64_t final_before = swarm.finalized();
  double first = 0, last = 0, most = 0;
  for (uint32_t hour = 0; hour < kHours; ++hour) {
    last = run_hour(swarm, slots, 10);
    if (first == 0) first = last;
    most = std::max(most, last);
    if (std::getenv("BEAMLINE_TRACE") != nullptr) std::printf("hour %u: %.0f\n", hour, last);
  }
  std::printf(
      "BEAMLINE_SEED=%lu, %u nodes, %u h of virtual time: %.0f bytes live in the first, %.0f "
      "in the last (%+.2f %%), %.0f at most (%+.2f %%); %lu blocks, %lu epochs made final, "
      "%lu lies\n",
      seed, nodes, kHours, first, last, (last / first - 1) * 100, most, (most / first - 1) * 100,
      swarm.tally().blocks, swarm.finalized() - final_before, swarm.tally().lies);
  EXPECT_NEAR(last / first, 1.0, 0.02);
  EXPECT_LE(most / first, 1.02);
  for (uint32_t i = 0; i < nodes; ++i) {
    if (swarm.chain(i) == nullptr) continue;
    EXPECT_EQ(swarm.chain(i)->tree().size(), options.limits.tree_blocks);
  }
  EXPECT_GT((swarm.finalized() - final_before) * options.slots_per_epoch,
            uint64_t{kHours} * slots * 3 / 4);
  EXPECT_EQ(swarm.tally().honest_banned, 0u);
}

TEST(SwarmMemory, IsFlatOver72HoursOfVirtualTime) {
  const char* seed = std::getenv("BEAMLINE_SEED");
  expect_flat(seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10), 8);
  if (std::getenv("BEAMLINE_LONG") == nullptr) return;
  for (uint64_t more = 2; more < 3; ++more) expect_flat(more, 30);
}

}  // namespace
}  // namespace beamline::chain
