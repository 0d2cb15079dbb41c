#include "codec/fork_schedule.h"

#include "codec/hex.h"

namespace beamline {
namespace {

std::string digest_at(const ForkSchedule& schedule, Epoch epoch) {
  return to_hex(schedule.at(epoch).digest.bytes);
}

// What mainnet's clients announce.
TEST(ForkSchedule, MainnetsDigests) {
  const auto schedule = ForkSchedule::make(ChainConfig::mainnet());
  ASSERT_TRUE(schedule);
  const std::pair<Epoch, const char*> expected[] = {
      {0, "b5303f2a"},         {74239, "b5303f2a"},  {74240, "afcaaba0"},  {144896, "4a26c58b"},
      {194048, "bba4da96"},    {269568, "6a95a1a9"}, {364032, "ad532ceb"}, {411391, "ad532ceb"},
      {411392, "cc2c5cdb"},    {412671, "cc2c5cdb"}, {412672, "cb0d1acc"}, {419072, "8c9f62fe"},
      {UINT64_MAX, "8c9f62fe"}};
  for (const auto& [epoch, digest] : expected) {
    EXPECT_EQ(digest_at(*schedule, epoch), digest) << epoch;
  }
  EXPECT_EQ(schedule->periods().size(), 9u);
  for (const ForkSchedule::Period& period : schedule->periods()) {
    EXPECT_EQ(schedule->find(period.digest), &period);
  }
  EXPECT_EQ(schedule->find(ForkDigest{{1, 2, 3, 4}}), nullptr);
  EXPECT_EQ(schedule->at(415000).fork, Fork::fulu);
  EXPECT_EQ(schedule->at(415000).blobs->max_blobs_per_block, 15u);
}

TEST(ForkSchedule, RecordsTellTheNextForkAndTheNextDigest) {
  const ForkSchedule schedule = *ForkSchedule::make(ChainConfig::mainnet());
  EnrForkId id = schedule.enr_fork_id(300000);
  EXPECT_EQ(to_hex(id.fork_digest.bytes), "6a95a1a9");
  EXPECT_EQ(to_hex(id.next_fork_version), "05000000");
  EXPECT_EQ(id.next_fork_epoch, 364032u);
  // A change of the blob limit is no fork.
  id = schedule.enr_fork_id(411392);
  EXPECT_EQ(to_hex(id.next_fork_version), "06000000");
  EXPECT_EQ(id.next_fork_epoch, kFarFutureEpoch);
  EXPECT_EQ(to_hex(schedule.next_fork_digest(411392).bytes), "cb0d1acc");
  EXPECT_EQ(to_hex(schedule.next_fork_digest(300000).bytes), "ad532ceb");
  EXPECT_EQ(to_hex(schedule.next_fork_digest(500000).bytes), "00000000");
  EXPECT_EQ(ssz::encode_fixed(id).size(), 16u);
}

TEST(ForkSchedule, ForksThatBeginAtOnceLeaveTheLast) {
  ChainConfig config = ChainConfig::mainnet();
  for (auto& fork : config.forks) fork.epoch = fork.fork <= Fork::deneb ? 0 : kFarFutureEpoch;
  config.blob_schedule.clear();
  const ForkSchedule schedule = *ForkSchedule::make(config);
  ASSERT_EQ(schedule.periods().size(), 1u);
  EXPECT_EQ(schedule.at(7).fork, Fork::deneb);
  EXPECT_EQ(schedule.next(0), nullptr);
}

TEST(ForkSchedule, BadConfigurationsAreTypedErrors) {
  const auto code = [](auto change) {
    ChainConfig config = ChainConfig::mainnet();
    change(config);
    const auto made = ForkSchedule::make(config);
    EXPECT_FALSE(made);
    EXPECT_EQ(made.error().fault, Fault::local);
    return made.error().code;
  };
  using Config = ChainConfig;
  EXPECT_EQ(code([](Config& c) { c.forks.clear(); }), Code::invalid_argument);
  EXPECT_EQ(code([](Config& c) { c.forks[0].epoch = 1; }), Code::invalid_argument);
  EXPECT_EQ(code([](Config& c) { c.forks[2].epoch = 1; }), Code::invalid_argument);
  EXPECT_EQ(code([](Config& c) { c.forks[1].version = {}; }), Code::invalid_argument);
  EXPECT_EQ(code([](Config& c) { c.blob_schedule[0].epoch = 1; }), Code::unsorted);
  EXPECT_EQ(code([](Config& c) { std::swap(c.blob_schedule[0], c.blob_schedule[1]); }),
            Code::unsorted);
}

}  // namespace
}  // namespace beamline
