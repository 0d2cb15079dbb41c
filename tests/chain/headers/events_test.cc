// Events of the header pipeline in any order, from seeds and from the kept corpus;
// tests/fuzz/header_pipeline_fuzz.cc is the same from a fuzzer's bytes.
#include "tests/chain/headers/events.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace beamline::chain {
namespace {

using testing::HeaderEvents;

uint64_t number_of(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(HeaderPipelineEvents, InvariantsHoldAfterEveryEventAndTheSyncEnds) {
  const uint64_t first = number_of("BEAMLINE_SEED", 1);
  const bool one = std::getenv("BEAMLINE_SEED") != nullptr;
  const uint64_t usual = std::getenv("BEAMLINE_LONG") != nullptr ? 20'000 : 500;
  const uint64_t count = number_of("BEAMLINE_SEEDS", one ? 1 : usual);
  HeaderEvents::Tally all;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    // A failed check aborts: the last line names the seed.
    std::fprintf(stderr, "\rBEAMLINE_SEED=%lu ", static_cast<unsigned long>(seed));
    Rng rng(seed);
    std::vector<uint8_t> steps(1200);
    rng.fill(steps);
    HeaderEvents events(steps);
    events.run();
    all += events.tally();
  }
  std::fprintf(stderr, "\n");
  std::printf(
      "%lu committed, %lu synced, %lu failed, %lu rewinds, %lu crashes, %lu drops, %lu "
      "moves of the head, %lu second requests\n",
      all.committed, all.synced, all.failed, all.rewinds, all.crashes, all.drops, all.moves,
      all.hedges);
  if (one || count < 100) return;
  EXPECT_GT(all.committed, 60'000u);
  EXPECT_GT(all.synced, 300u);
  EXPECT_GT(all.rewinds, 100u);
  EXPECT_GT(all.crashes, 200u);
  EXPECT_GT(all.drops, 100u);
  EXPECT_GT(all.moves, 100u);
}

TEST(HeaderPipelineEvents, TheKeptCorpus) {
  const std::filesystem::path folder =
      std::filesystem::path(BEAMLINE_SOURCE_DIR) / "tests/fuzz/seeds/header_pipeline";
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(in), {}};
    const std::vector<uint8_t> steps(text.begin(), text.end());
    HeaderEvents(steps).run();
    ++files;
  }
  EXPECT_GT(files, 0u);
}

}  // namespace
}  // namespace beamline::chain
