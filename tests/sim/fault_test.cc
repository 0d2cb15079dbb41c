// Byte streams under every fault: what arrives is what was sent, in order, without a gap.
#include <gtest/gtest.h>

#include "tests/sim/flow.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

bool is_prefix(Bytes part, Bytes whole) {
  return part.size() <= whole.size() && equal(part, whole.first(part.size()));
}

// Runs flows with these options; all must arrive whole.
void expect_whole(const std::function<Options(uint64_t)>& options_of, uint64_t seeds) {
  for_each_seed(seeds, [&](uint64_t seed) {
    const Options options = options_of(seed);
    const Replay replay(seed, options);
    World world(seed, traced(options));
    Flow flow(world, 50'000);
    ASSERT_TRUE(flow.open());
    ASSERT_TRUE(world.run_until([&] { return flow.near.done() && flow.far.done(); }, seconds(600)));
    EXPECT_EQ(flow.near.error(), 0);
    EXPECT_EQ(flow.far.error(), 0);
    EXPECT_TRUE(equal(flow.far.received(), flow.near.out()));
    EXPECT_TRUE(equal(flow.near.received(), flow.far.out()));
    flow.finish();
  });
}

TEST(SimFault, ShortReadsAndWrites) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.short_read = options.short_write = kAlways;
        return options;
      },
      20);
}

TEST(SimFault, MultishotsThatEndAndSubmissionsThatStayBehind) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.drop_more = options.partial_submit = options.accept_error = 500'000;
        options.spurious_turn = 100'000;
        return options;
      },
      20);
}

TEST(SimFault, LossAndDelayedCompletions) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.link.loss = 100'000;
        options.segment = 1000;
        options.completion_delay = options.wake_delay = options.schedule_delay = milliseconds(2);
        return options;
      },
      20);
}

TEST(SimFault, TinyQueuesAndBuffers) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.cq_capacity = 2;
        options.send_buffer = 100;
        options.receive_buffer = 150;
        options.segment = 64;
        return options;
      },
      10);
}

TEST(SimFault, Partitions) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.partition_gap = milliseconds(50);
        options.partition_length = seconds(2);
        options.link.bandwidth = 1'000'000;
        return options;
      },
      20);
}

TEST(SimFault, WhatArrivesBeforeAResetIsAPrefix) {
  uint64_t resets = 0;
  for_each_seed(40, [&](uint64_t seed) {
    Options options;
    options.reset = 20'000;
    options.segment = 1000;
    const Replay replay(seed, options);
    World world(seed, traced(options));
    Flow flow(world, 50'000);
    if (flow.open()) {
      ASSERT_TRUE(
          world.run_until([&] { return flow.near.done() && flow.far.done(); }, seconds(60)));
      EXPECT_TRUE(is_prefix(flow.far.received(), flow.near.out()));
      EXPECT_TRUE(is_prefix(flow.near.received(), flow.far.out()));
      EXPECT_EQ(flow.near.read_end() && flow.near.error() == 0,
                flow.near.received().size() == flow.far.out().size());
    }
    flow.finish();
    resets += world.net().stats().resets_injected;
  });
  EXPECT_TRUE(resets > 10 || testing::Test::HasFailure() || getenv("BEAMLINE_SEED") != nullptr);
}

// Everything at once, in a mixture of its own for each seed.
TEST(SimFault, Swarm) {
  for_each_seed(150, [](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    World world(seed, traced(options));
    Flow flow(world, 20'000);
    if (flow.open()) {
      world.run_until([&] { return flow.near.done() && flow.far.done(); }, seconds(20));
      // Safety so far; from here on liveness too.
      world.calm();
      const bool ended =
          world.run_until([&] { return flow.near.done() && flow.far.done(); }, seconds(300));
      EXPECT_TRUE(is_prefix(flow.far.received(), flow.near.out()));
      EXPECT_TRUE(is_prefix(flow.near.received(), flow.far.out()));
      // One side may be half open for ever after a stall; else both end.
      EXPECT_TRUE(ended || flow.near.error() != 0 || flow.far.error() != 0);
      if (flow.near.error() == 0 && flow.far.error() == 0) {
        EXPECT_TRUE(equal(flow.far.received(), flow.near.out()));
        EXPECT_TRUE(equal(flow.near.received(), flow.far.out()));
      }
    }
    flow.finish();
  });
}

}  // namespace
}  // namespace beamline::sim
