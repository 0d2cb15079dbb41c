// A node that crashes, at any step, begins with the same head as one that never did and was told
// what had been acknowledged: the beacon policy with its votes, and lean's with its states.
#include <gtest/gtest.h>

#include "chain/sim_store.h"
#include "tests/chain/restart_world.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

uint64_t seeds(uint64_t few, uint64_t many) {
  return std::getenv("BEAMLINE_LONG") == nullptr ? few : many;
}

struct Tally {
  uint64_t crashes = 0, lost = 0, records = 0, epochs_final = 0;
};

// A run of so many slots, and after the last of its steps a crash; `rng` decides what was written,
// and what of that was synced.
void run_and_crash(uint64_t seed, uint64_t steps, Tally& tally) {
  RestartWorld world(seed);
  Rng rng(seed * 1000 + steps);
  SimStore store;
  ASSERT_TRUE(store.open(world.genesis()));
  Now now{MonoTime{1'000'000'000}, WallTime::from_unix(1)};
  RestartNode node(world, now, std::nullopt);
  Written written;
  for (uint64_t step = 0; step < steps; ++step) {
    const Slot slot = 1 + step;
    const Duration into = milliseconds(static_cast<int64_t>(rng.below(1000)));
    now.wall = WallTime::from_unix(static_cast<int64_t>(slot)) + into;
    now.mono = now.mono + seconds(1);
    for (Event& event : world.step(slot)) node.give(now, std::move(event));
    node.turn(now);
    ASSERT_NO_FATAL_FAILURE(written.some(node, store, rng, now, [&](const Persist& persist) {
      tally.records += persist.records.size();
    }));
  }
  store.crash(rng);
  ++tally.crashes;
  auto found = store.open(world.genesis());
  ASSERT_TRUE(found) << to_string(found.error());
  const PersistId last = found->last;
  EXPECT_GE(last, written.acknowledged);
  EXPECT_LE(last, written.applied);
  tally.lost += written.applied - last;
  // It comes back at once, or some slots later.
  now.wall = now.wall + seconds(static_cast<int64_t>(rng.below(6)));
  RestartNode restarted(world, now, std::move(*found));
  RestartNode never_crashed(world, node.calls, last, now);
  expect_same(restarted, never_crashed);
  tally.epochs_final += restarted.policy->finalized().number;
}

TEST(RestartFromStore, TheBeaconHeadAfterACrashAtEachStepIsThatOfANodeThatNeverCrashed) {
  Tally tally;
  for (uint64_t seed = 1; seed <= seeds(12, 400); ++seed) {
    for (uint64_t steps = 1; steps <= 60; ++steps) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", crash after step " + std::to_string(steps));
      run_and_crash(seed, steps, tally);
      if (HasFailure()) return;
    }
  }
  std::printf("%lu crashes, %lu Persists lost, %lu votes stored, %lu epochs final\n",
              static_cast<unsigned long>(tally.crashes), static_cast<unsigned long>(tally.lost),
              static_cast<unsigned long>(tally.records),
              static_cast<unsigned long>(tally.epochs_final));
  EXPECT_GT(tally.lost, 0u);
  EXPECT_GT(tally.epochs_final, tally.crashes);
}

}  // namespace
}  // namespace beamline::chain
