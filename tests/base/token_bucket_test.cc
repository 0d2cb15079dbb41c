#include "base/token_bucket.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace beamline {
namespace {

MonoTime mono(Duration since_start) { return MonoTime{1} + since_start; }

TEST(TokenBucket, ABurstIsFreeAndADebtIsWaitedFor) {
  TokenBucket bucket({.per_second = 1000, .burst = 5000});
  EXPECT_TRUE(bucket.ready(mono(seconds(0))));
  bucket.charge(4999, mono(seconds(0)));
  EXPECT_TRUE(bucket.ready(mono(seconds(0))));
  bucket.charge(2001, mono(seconds(0)));  // 2000 in debt
  EXPECT_FALSE(bucket.ready(mono(seconds(0))));
  const MonoTime when = bucket.ready_at(mono(seconds(0)));
  EXPECT_NEAR(to_seconds(when - mono(seconds(0))), 2.0, 1e-3);
  EXPECT_FALSE(bucket.ready(when + nanoseconds(-1)));
  EXPECT_TRUE(bucket.ready(when));
  EXPECT_EQ(bucket.ready_at(when), when);
}

TEST(TokenBucket, IdleTimeIsNotSavedBeyondTheBurst) {
  TokenBucket bucket({.per_second = 10, .burst = 10});
  bucket.charge(1, mono(seconds(0)));
  bucket.charge(20, mono(seconds(3600)));
  EXPECT_NEAR(to_seconds(bucket.ready_at(mono(seconds(3600))) - mono(seconds(3600))), 1.0, 1e-3);
}

TEST(TokenBucket, HoldsIsWithoutDebt) {
  TokenBucket bucket({.per_second = 1000, .burst = 5000});
  EXPECT_TRUE(bucket.holds(5000, mono(seconds(0))));
  bucket.charge(4000, mono(seconds(0)));
  EXPECT_TRUE(bucket.holds(1000, mono(seconds(0))));
  EXPECT_FALSE(bucket.holds(1001, mono(seconds(0))));
  EXPECT_EQ(bucket.holds_at(3000, mono(seconds(0))), mono(seconds(2)));
  // More than the burst needs a full bucket.
  EXPECT_EQ(bucket.holds_at(9000, mono(seconds(0))), mono(seconds(4)));
}

TEST(TokenBucket, LongRunRateIsTheRate) {
  TokenBucket bucket({.per_second = 1 << 20, .burst = 4 << 20});
  Rng rng(3);
  Duration now = seconds(0);
  int64_t sent = 0;
  while (now < seconds(60)) {
    const MonoTime when = bucket.ready_at(mono(now));
    now = when - mono(seconds(0));
    const auto size = static_cast<int64_t>(rng.below(2 << 20));
    bucket.charge(size, when);
    sent += size;
  }
  EXPECT_NEAR(static_cast<double>(sent), 64.0 * (1 << 20), 3.0 * (1 << 20));
}

}  // namespace
}  // namespace beamline
