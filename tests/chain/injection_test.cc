// Event injection from seeds; tests/fuzz/chain_fuzz.cc is the same from a fuzzer's bytes.
#include "tests/chain/injection.h"

#include <gtest/gtest.h>

#include "tests/chain/seeds.h"

namespace beamline::chain {
namespace {

using testing::Injection;

Injection::Tally run_seeds(Injection::Policy policy, uint64_t few, uint64_t many) {
  const testing::Seeds seeds = testing::seeds_of(few, many);
  Injection::Tally all;
  testing::for_each_seed(seeds, 1500, [&](Bytes steps) {
    Injection injection(steps, policy);
    injection.run();
    all += injection.tally();
  });
  std::printf(
      "%lu seeds: %lu imports, %lu requests, %lu chunks, %lu sidecars (%lu wrong, %lu verdicts), "
      "%lu verdicts, %lu "
      "votes (%lu applied), %lu times final (%lu back), %lu crashes, %lu reorgs, %lu payloads (%lu "
      "blocks "
      "invalidated, %lu times the justified one)\n",
      seeds.count, all.imported, all.requests, all.chunks, all.sidecars, all.wrong_data,
      all.data_verdicts, all.verdicts, all.votes, all.applied, all.finalized, all.went_back,
      all.crashes, all.reorgs, all.payloads, all.invalidated, all.justified_invalid);
  if (seeds.one || seeds.count < few) return {};
  return all;
}

TEST(ChainInjection, InvariantsHoldAfterEveryEventAndTheHeadIsReached) {
  const Injection::Tally all = run_seeds(Injection::Policy::highest_slot, 250, 5000);
  if (all.imported == 0) return;
  EXPECT_GT(all.imported, 2'000u);
  EXPECT_GT(all.requests, 2'000u);
  EXPECT_GT(all.chunks, 1'000u);
  EXPECT_GT(all.verdicts, 5'000u);
  EXPECT_GT(all.crashes, 100u);
  EXPECT_GT(all.reorgs, 50u);
  EXPECT_GT(all.sidecars, 1'000u);
  EXPECT_GT(all.wrong_data, 50u);
}

TEST(ChainInjection, BeaconsHeadIsTheSpecificationsAfterEveryEventWithVotes) {
  const Injection::Tally all = run_seeds(Injection::Policy::beacon, 400, 10'000);
  if (all.imported == 0) return;
  EXPECT_GT(all.imported, 1'000u);
  EXPECT_GT(all.votes, 1'000u);
  EXPECT_GT(all.applied, 500u);
  EXPECT_GT(all.finalized, 40u);
  EXPECT_GT(all.reorgs, 50u);
  EXPECT_GT(all.sidecars, 1'000u);
  EXPECT_GT(all.wrong_data, 50u);
  EXPECT_GT(all.crashes, 100u);
  EXPECT_GT(all.payloads, 500u);
  EXPECT_GT(all.invalidated, 100u);
}

TEST(ChainInjection, LeansHeadIsTheSpecificationsAfterEveryEventWithVotesAndFinalityThatGoesBack) {
  const Injection::Tally all = run_seeds(Injection::Policy::lean, 120, 5'000);
  if (all.imported == 0) return;
  EXPECT_GT(all.imported, 1'000u);
  EXPECT_GT(all.votes, 1'000u);
  EXPECT_GT(all.applied, 500u);
  EXPECT_GT(all.finalized, 20u);
  EXPECT_GT(all.went_back, 2u);
  EXPECT_GT(all.crashes, 30u);
  EXPECT_GT(all.reorgs, 50u);
  EXPECT_GT(all.sidecars, 1'000u);
}

}  // namespace
}  // namespace beamline::chain
