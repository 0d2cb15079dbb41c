#include "gossip/score.h"

namespace beamline::gossip {
namespace {

struct ScoreTest : ::testing::Test {
  Fixed total(MonoTime now = {}) const { return score.total(params, topics, now); }
  ScoreParams params;
  TopicScoreParams topic;
  const TopicScoreParams* topics[1] = {&topic};
  PeerScore score;
};

TEST(ScoreFixed, SaturatesInsteadOfWrapping) {
  const Fixed huge = Fixed::from(INT64_MAX);
  EXPECT_EQ(huge + huge, huge);
  EXPECT_GT(huge * huge, Fixed{});
  EXPECT_LT(huge * Fixed::from(-2), Fixed{});
  EXPECT_EQ(Fixed::ratio(1, 2) * Fixed::from(10), Fixed::from(5));
}

TEST_F(ScoreTest, P1GrowsWithTimeInMeshUpToItsCap) {
  score.grafted(0, {});
  const Fixed early = total(MonoTime{} + seconds(60));
  const Fixed later = total(MonoTime{} + seconds(1200));
  EXPECT_GT(early, Fixed{});
  EXPECT_GT(later, early);
  EXPECT_EQ(total(MonoTime{} + seconds(36'000)), total(MonoTime{} + seconds(72'000)));
  score.pruned(0, topic, {});
  EXPECT_EQ(total(MonoTime{} + seconds(60)), Fixed{});
}

TEST_F(ScoreTest, P2IsCappedAndDecays) {
  for (int i = 0; i < 100; ++i) score.delivered_first(0, topic);
  EXPECT_EQ(score.counters(0).first, topic.first_cap);
  const Fixed before = total();
  score.decay(params, topics);
  EXPECT_LT(total(), before);
  for (int i = 0; i < 5000; ++i) score.decay(params, topics);
  EXPECT_EQ(total(), Fixed{});
}

TEST_F(ScoreTest, P3ChargesAMeshPeerThatDoesNotDeliverAndStaysAfterThePrune) {
  topic.mesh_threshold = Fixed::from(4);
  topic.mesh_weight = Fixed::from(-10);
  topic.failure_weight = Fixed::from(-10);
  topic.mesh_time_weight = {};
  score.grafted(0, {});
  const MonoTime before = MonoTime{} + seconds(100);
  const MonoTime after = MonoTime{} + seconds(400);
  EXPECT_EQ(total(before), Fixed{});
  EXPECT_EQ(total(after), Fixed::from(-80));  // 4 squared, weight 10, topic weight a half
  score.pruned(0, topic, after);
  EXPECT_EQ(total(after), Fixed::from(-80));  // P3b
}

TEST_F(ScoreTest, P4IsTheSquareOfInvalidMessages) {
  score.delivered_invalid(0);
  const int64_t one = total().whole();
  EXPECT_LT(one, 0);
  score.delivered_invalid(0);
  EXPECT_NEAR(static_cast<double>(total().whole()), static_cast<double>(4 * one), 4);
}

TEST_F(ScoreTest, P7CountsOnlyBeyondItsThreshold) {
  score.penalize(6);
  EXPECT_EQ(total(), Fixed{});
  score.penalize(10);
  EXPECT_LT(total(), Fixed::from(-1500));
  for (int i = 0; i < 500; ++i) score.decay(params, topics);
  EXPECT_EQ(total(), Fixed{});
}

TEST_F(ScoreTest, PositiveTopicScoresAreCapped) {
  topic.first_cap = Fixed::from(1'000'000);
  for (int i = 0; i < 1000; ++i) score.delivered_first(0, topic);
  EXPECT_EQ(total(), params.topic_cap);
  score.set_application(Fixed::from(-1000));
  EXPECT_EQ(total(), params.topic_cap + Fixed::from(-1000));
}

}  // namespace
}  // namespace beamline::gossip
