// Events of the header pipeline in any order, from seeds and from the kept corpus;
// tests/fuzz/header_pipeline_fuzz.cc is the same from a fuzzer's bytes.
#include "tests/chain/headers/events.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/chain/seeds.h"

namespace beamline::chain {
namespace {

using testing::HeaderEvents;

TEST(HeaderPipelineEvents, InvariantsHoldAfterEveryEventAndTheSyncEnds) {
  const testing::Seeds seeds = testing::seeds_of(500, 20'000);
  HeaderEvents::Tally all;
  testing::for_each_seed(seeds, 1200, [&](Bytes steps) {
    HeaderEvents events(steps);
    events.run();
    all += events.tally();
  });
  std::printf(
      "%lu committed, %lu synced, %lu failed, %lu rewinds, %lu crashes, %lu drops, %lu "
      "moves of the head, %lu second requests\n",
      all.committed, all.synced, all.failed, all.rewinds, all.crashes, all.drops, all.moves,
      all.hedges);
  if (seeds.one || seeds.count < 100) return;
  EXPECT_GT(all.committed, 40'000u);
  EXPECT_GT(all.synced, 300u);
  EXPECT_GT(all.rewinds, 100u);
  EXPECT_GT(all.crashes, 200u);
  EXPECT_GT(all.drops, 100u);
  EXPECT_GT(all.moves, 100u);
}

// The head moved while stored headers were taken back, and the new one was near: what was left to
// the full sync began above headers that were going.
TEST(HeaderPipelineEvents, TheSwitchToFullSyncWaitsForWhatIsTakenBack) {
  testing::for_each_seed({.first = 1294, .count = 1}, 1200, [](Bytes steps) {
    HeaderEvents events(steps);
    events.run();
    EXPECT_GT(events.tally().rewinds, 0u);
  });
}

// One reorg too many, while the channel was full: what waited for it was announced behind the end.
TEST(HeaderPipelineEvents, NothingFollowsAFailure) {
  testing::for_each_seed({.first = 17832, .count = 1}, 1200, [](Bytes steps) {
    HeaderEvents events(steps);
    events.run();
    EXPECT_EQ(events.tally().synced, 1u);  // the next run
  });
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
