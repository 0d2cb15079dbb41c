#include "loop/sim/world.h"

#include <gtest/gtest.h>

#include "loop/sim/network.h"
#include "tests/sim/raw.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

TEST(SimWorld, ThingsHappenInTheOrderOfTheirTimes) {
  World world(1);
  std::vector<int> order;
  world.after(milliseconds(3), [&] { order.push_back(3); });
  world.after(milliseconds(1), [&] {
    order.push_back(1);
    world.after(milliseconds(1), [&] { order.push_back(2); });
  });
  const MonoTime start = world.now();
  EXPECT_TRUE(world.run_until_idle(seconds(1)));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(world.now() - start, milliseconds(3));
  world.run_for(seconds(5));
  EXPECT_EQ(world.now() - start, milliseconds(5003));
  EXPECT_FALSE(world.step());
}

TEST(SimWorld, TheSeedDecidesTheOrderOfWhatIsSimultaneous) {
  const auto order = [](uint64_t seed) {
    World world(seed);
    std::string seen;
    for (char c = 'a'; c <= 'z'; ++c) world.after(seconds(1), [&seen, c] { seen += c; });
    EXPECT_TRUE(world.run_until_idle(seconds(2)));
    return seen;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(SimWorld, RunUntilStopsAtThePredicateOrTheLimit) {
  World world(1);
  int ticks = 0;
  std::function<void()> tick = [&] {
    ++ticks;
    world.after(milliseconds(10), [&] { tick(); });
  };
  tick();
  EXPECT_TRUE(world.run_until([&] { return ticks == 5; }, seconds(1)));
  EXPECT_EQ(ticks, 5);
  const MonoTime before = world.now();
  EXPECT_FALSE(world.run_until([&] { return ticks == 1000; }, seconds(1)));
  EXPECT_EQ(world.now() - before, seconds(1));
  EXPECT_FALSE(world.run_until_idle(seconds(1)));
}

TEST(SimWorld, WallClocksStepAndSkewAndMonotonicTimeDoesNot) {
  World world(1);
  const HostId a = world.add_host(0x0a000001);
  const HostId b = world.add_host(0x0a000002);
  EXPECT_EQ(world.now(a).wall, WallTime::from_unix(1'800'000'000));
  world.step_wall(a, seconds(-3600));
  world.skew_wall(b, 100);  // gains 100 us a second
  const MonoTime mono = world.now(a).mono;
  world.run_for(seconds(10'000));
  EXPECT_EQ(world.now(a).wall, WallTime::from_unix(1'800'000'000 - 3600 + 10'000));
  EXPECT_EQ(world.now(b).wall, WallTime::from_unix(1'800'000'000 + 10'001));
  EXPECT_EQ(world.now(a).mono - mono, seconds(10'000));
  EXPECT_EQ(world.now(b).mono, world.now(a).mono);
  world.skew_wall(b, -500'000);  // half the speed
  world.run_for(seconds(10));
  EXPECT_EQ(world.now(b).wall, WallTime::from_unix(1'800'000'000 + 10'006));
}

TEST(SimWorld, ATurnComesWithAWakeOrTheDeadlineAndNotWithoutAReason) {
  World world(1);
  Raw raw(world, world.add_host(0x0a000001));
  world.run_for(seconds(1));
  EXPECT_EQ(raw.turns, 1u);  // the first
  raw.deadline = world.now() + seconds(2);
  raw.kick();
  raw.kick();  // one wake for both
  world.run_for(seconds(1));
  EXPECT_EQ(raw.turns, 2u);
  EXPECT_EQ(raw.backend.stats().wakes, 1u);
  world.at(raw.deadline, [&] { raw.deadline = MonoTime::never(); });
  world.run_for(seconds(10));
  EXPECT_GE(raw.turns, 3u);
  EXPECT_LE(raw.turns, 4u);
}

TEST(SimWorld, AWakerOutlivesItsBackend) {
  World world(1);
  std::shared_ptr<Waker> waker;
  {
    Raw raw(world, world.add_host(0x0a000001));
    waker = raw.backend.waker();
    waker->wake();
  }
  waker->wake();
  EXPECT_TRUE(world.run_until_idle(seconds(1)));
}

TEST(SimWorld, TurnsMayComeLateAndForNoReason) {
  Options options;
  options.spurious_turn = kAlways;
  options.schedule_delay = milliseconds(1);
  World world(7, options);
  Raw raw(world, world.add_host(0x0a000001));
  world.run_for(seconds(1));
  EXPECT_GT(raw.turns, 500u);
  EXPECT_LT(raw.turns, 100'000u);
}

TEST(SimWorld, AnEnterFromOutsideBlocksUntilSomethingHappens) {
  World world(1);
  SimBackend backend(world, world.add_host(0x0a000001));
  const MonoTime start = world.now();
  backend.enter(start + seconds(3));
  EXPECT_EQ(world.now() - start, seconds(3));
  world.after(seconds(1), [waker = backend.waker()] { waker->wake(); });
  backend.enter(MonoTime::never());
  EXPECT_EQ(world.now() - start, seconds(4));
}

TEST(SimWorldDeathTest, AReactorThatNobodyCanWakeIsALostWakeUp) {
  World world(1);
  SimBackend backend(world, world.add_host(0x0a000001));
  EXPECT_DEATH(backend.enter(MonoTime::never()), "deadline");
}

}  // namespace
}  // namespace beamline::sim
