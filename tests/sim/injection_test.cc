// Event injection from seeds; tests/fuzz/loop_fuzz.cc is the same from a fuzzer's bytes.
#include "tests/sim/injection.h"

#include <gtest/gtest.h>

#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

std::vector<uint8_t> random_bytes(Rng& rng, size_t size) {
  std::vector<uint8_t> bytes(size);
  rng.fill(bytes);
  return bytes;
}

TEST(Injection, InvariantsHoldAfterEveryStep) {
  Injection::Traffic all;
  for_each_seed(400, [&](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    Rng rng(seed);
    const auto steps = random_bytes(rng, 600);
    // Without a tape the world draws from its seed; with one, it does what the bytes say.
    const auto tape = random_bytes(rng, seed % 2 == 0 ? 0 : 4000);
    SimStage stage(seed, traced(options), tape);
    Injection injection(stage, seed, steps);
    injection.run();
    all += injection.traffic();
  });
  if (std::getenv("BEAMLINE_SEED") != nullptr || std::getenv("BEAMLINE_SEEDS") != nullptr) return;
  // The steps reach what they are there to reach.
  EXPECT_GT(all.bytes, 20'000u);
  EXPECT_GT(all.messages, 10'000u);
  EXPECT_GT(all.datagrams, 1'000u);
  EXPECT_GT(all.streams, 4'000u);
}

TEST(Injection, TheSameBytesGiveTheSameHistory) {
  for_each_seed(10, [](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    Rng rng(seed);
    const auto steps = random_bytes(rng, 400), tape = random_bytes(rng, 1000);
    std::array<uint64_t, 2> digests{};
    for (uint64_t& digest : digests) {
      SimStage stage(seed, traced(options), tape);
      Injection(stage, seed, steps).run();
      digest = stage.digest();
    }
    EXPECT_EQ(digests[0], digests[1]);
  });
}

}  // namespace
}  // namespace beamline::sim
