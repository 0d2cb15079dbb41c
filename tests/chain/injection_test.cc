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

TEST(ChainInjection, InvariantsHoldAfterEveryEventAndTheHeadIsReached) {
  const uint64_t first = number_of("BEAMLINE_SEED", 1);
  const bool one = std::getenv("BEAMLINE_SEED") != nullptr;
  const uint64_t usual = std::getenv("BEAMLINE_LONG") != nullptr ? 5000 : 250;
  const uint64_t count = number_of("BEAMLINE_SEEDS", one ? 1 : usual);
  Injection::Tally all;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    // A failed check aborts: the last line names the seed.
    std::fprintf(stderr, "\rBEAMLINE_SEED=%lu ", static_cast<unsigned long>(seed));
    Rng rng(seed);
    std::vector<uint8_t> steps(1500);
    rng.fill(steps);
    Injection injection(steps);
    injection.run();
    all += injection.tally();
  }
  std::fprintf(stderr, "\n");
  if (one || count < 100) return;
  EXPECT_GT(all.imported, 2'000u);
  EXPECT_GT(all.requests, 2'000u);
  EXPECT_GT(all.chunks, 1'000u);
  EXPECT_GT(all.verdicts, 5'000u);
  EXPECT_GT(all.crashes, 100u);
  EXPECT_GT(all.reorgs, 50u);
}

}  // namespace
}  // namespace beamline::chain
