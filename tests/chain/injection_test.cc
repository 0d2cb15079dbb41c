// Event injection from seeds; tests/fuzz/chain_fuzz.cc is the same from a fuzzer's bytes.
#include "tests/chain/injection.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace beamline::chain {
namespace {

using testing::Injection;

uint64_t number_of(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Injection::Tally run_seeds(Injection::Policy policy, uint64_t few, uint64_t many) {
  const uint64_t first = number_of("BEAMLINE_SEED", 1);
  const bool one = std::getenv("BEAMLINE_SEED") != nullptr;
  const uint64_t usual = std::getenv("BEAMLINE_LONG") != nullptr ? many : few;
  const uint64_t count = number_of("BEAMLINE_SEEDS", one ? 1 : usual);
  Injection::Tally all;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    // A failed check aborts: the last line names the seed.
    std::fprintf(stderr, "\rBEAMLINE_SEED=%lu ", static_cast<unsigned long>(seed));
    Rng rng(seed);
    std::vector<uint8_t> steps(1500);
    rng.fill(steps);
    Injection injection(steps, policy);
    injection.run();
    all += injection.tally();
  }
  std::fprintf(stderr, "\n");
  std::printf(
      "%lu seeds: %lu imports, %lu requests, %lu chunks, %lu sidecars, %lu verdicts, %lu "
      "votes (%lu applied), %lu times final, %lu crashes, %lu reorgs\n",
      count, all.imported, all.requests, all.chunks, all.sidecars, all.verdicts, all.votes,
      all.applied, all.finalized, all.crashes, all.reorgs);
  if (one || count < few) return {};
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
  EXPECT_GT(all.sidecars, 100u);
}

TEST(ChainInjection, BeaconsHeadIsTheSpecificationsAfterEveryEventWithVotes) {
  const Injection::Tally all = run_seeds(Injection::Policy::beacon, 100, 5000);
  if (all.imported == 0) return;
  EXPECT_GT(all.imported, 1'000u);
  EXPECT_GT(all.votes, 1'000u);
  EXPECT_GT(all.applied, 500u);
  EXPECT_GT(all.finalized, 50u);
  EXPECT_GT(all.reorgs, 50u);
  EXPECT_GT(all.sidecars, 100u);
}

}  // namespace
}  // namespace beamline::chain
