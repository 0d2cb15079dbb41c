#include "base/rng.h"

namespace beamline {
namespace {

TEST(Rng, KeyStreamIsChaCha20) {
  // RFC 8439 appendix A.1, test vector 1: zero key, zero nonce, counter 0.
  Rng rng(Rng::Key{});
  std::array<uint8_t, 16> out;
  rng.fill(out);
  const std::array<uint8_t, 16> expected = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
                                            0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
  EXPECT_EQ(out, expected);
}

TEST(Rng, SeedReplays) {
  Rng a(uint64_t{7}), b(uint64_t{7}), c(uint64_t{8});
  bool differs = false;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t x = a.next();
    ASSERT_EQ(x, b.next());
    differs |= x != c.next();
  }
  EXPECT_TRUE(differs);
}

TEST(Rng, BelowCoversItsRangeEvenly) {
  Rng rng(uint64_t{1});
  std::array<int, 10> seen{};
  for (int i = 0; i < 100'000; ++i) ++seen[rng.below(10)];
  for (int count : seen) EXPECT_NEAR(count, 10'000, 500);
}

TEST(Rng, BetweenReachesBothEnds) {
  Rng rng(uint64_t{1});
  bool low = false, high = false;
  for (int i = 0; i < 1000; ++i) {
    const int64_t x = rng.between(-2, 2);
    ASSERT_GE(x, -2);
    ASSERT_LE(x, 2);
    low |= x == -2;
    high |= x == 2;
  }
  EXPECT_TRUE(low && high);
}

TEST(Rng, ForkIsIndependentOfLaterDraws) {
  Rng a(uint64_t{3}), b(uint64_t{3});
  Rng child_a = a.fork(), child_b = b.fork();
  a.next();
  EXPECT_EQ(child_a.next(), child_b.next());
}

}  // namespace
}  // namespace beamline
