// Dialling: slots, ratio, static and trusted peers, throttle, history; and that it never stops.
#include "discovery/dial_scheduler.h"

#include <algorithm>
#include <map>
#include <set>

#include "nodes.h"

namespace beamline::discovery {
namespace {

class DialSchedulerTest : public ::testing::Test {
 protected:
  explicit DialSchedulerTest(DialConfig config = {}) : config_(config) {}
  NodeRecord fresh() { return node(random_id(rng_), address(++networks_)); }
  std::vector<NodeRecord> fill(size_t count) {
    std::vector<NodeRecord> made;
    for (size_t i = 0; i < count; ++i) {
      made.push_back(fresh());
      pool_.insert(made.back());
    }
    return made;
  }
  std::vector<NodeId> dials(Duration time) {
    std::vector<NodeId> out;
    while (auto order = dial_.poll(at(time), rng_)) out.push_back(order->record.id);
    return out;
  }

  Rng rng_{3};
  DialConfig config_;
  NodeId self_ = random_id(rng_);
  uint32_t networks_ = 0;
  Pool pool_{PoolConfig{}, rng_};
  DialScheduler dial_{self_, config_, pool_, rng_};
};

TEST_F(DialSchedulerTest, APickPerFreeSlotEach100MsUpToMaxPending) {
  fill(100);
  EXPECT_EQ(dial_.dialled_target(), 16u);  // 50 peers, one of three
  EXPECT_EQ(dials({}).size(), 15u);        // max_pending
  EXPECT_EQ(dials(milliseconds(50)).size(), 0u);
  EXPECT_EQ(dial_.next_deadline(), at(milliseconds(100)).mono);
}

TEST_F(DialSchedulerTest, OutboundStopsAtItsShare) {
  fill(100);
  for (int t = 0; t < 20; ++t) {
    for (const NodeId& id : dials(milliseconds(100 * t))) {
      EXPECT_EQ(dial_.connected_outbound(id, at(milliseconds(100 * t))), Admission::accept);
    }
  }
  EXPECT_EQ(dial_.outbound(), 16u);
  EXPECT_EQ(dial_.pending(), 0u);
}

TEST_F(DialSchedulerTest, ASilentCandidateDoesNotKeepASlotForItsTimeout) {
  DialConfig config;
  config.max_peers = 3;  // one of them dialled
  Pool pool(PoolConfig{}, rng_);
  DialScheduler dial(self_, config, pool, rng_);
  for (int i = 0; i < 20; ++i) pool.insert(fresh());
  size_t count = 0;
  for (int t = 0; t < 50; ++t) {
    while (dial.poll(at(milliseconds(100 * t)), rng_)) ++count;
  }
  EXPECT_EQ(count, 5u) << "another each second beside it";
}

TEST_F(DialSchedulerTest, ADialEndsAfterItsTimeoutAndTheCandidateBacksOff) {
  const auto nodes = fill(1);
  ASSERT_EQ(dials({}).size(), 1u);
  dials(seconds(15));
  EXPECT_EQ(dial_.poll_drop(), nodes[0].id);
  EXPECT_FALSE(dial_.poll_drop().has_value());
  EXPECT_EQ(dial_.stats().timed_out, 1u);
  EXPECT_EQ(dial_.connected_outbound(nodes[0].id, at(seconds(15))), Admission::duplicate);
  EXPECT_EQ(dials(seconds(44)).size(), 0u);
  EXPECT_EQ(dials(seconds(46)).size(), 1u);
}

TEST_F(DialSchedulerTest, RedialHistoryOf35Seconds) {
  const auto nodes = fill(1);
  dials({});
  dial_.connected_outbound(nodes[0].id, at({}));
  dial_.disconnected(nodes[0].id, at(seconds(1)));
  pool_.remove(nodes[0].id);  // and the pool forgot about it
  pool_.insert(nodes[0]);
  EXPECT_EQ(dials(seconds(20)).size(), 0u);
  EXPECT_GT(dial_.stats().skipped_history, 0u);
  EXPECT_EQ(dials(seconds(56)).size(), 1u);
}

TEST_F(DialSchedulerTest, StaticPeersComeFirstAndAgain) {
  fill(100);
  const NodeRecord mine = fresh();
  EXPECT_TRUE(dial_.add_static(mine));
  EXPECT_EQ(dials({}).front(), mine.id);
  dial_.dial_failed(mine.id, at(seconds(1)));
  EXPECT_EQ(std::ranges::count(dials(seconds(30)), mine.id), 0);
  EXPECT_EQ(std::ranges::count(dials(seconds(36)), mine.id), 1);
}

TEST_F(DialSchedulerTest, TrustedPeersStandAboveTheLimits) {
  const NodeId trusted = random_id(rng_);
  dial_.add_trusted(trusted);
  for (int i = 0; i < 34; ++i) {
    EXPECT_EQ(dial_.connected_inbound(random_id(rng_), at({})), Admission::accept);
  }
  EXPECT_EQ(dial_.connected_inbound(random_id(rng_), at({})), Admission::too_many);
  EXPECT_EQ(dial_.connected_inbound(trusted, at({})), Admission::accept);
  EXPECT_EQ(dial_.connected_inbound(trusted, at({})), Admission::duplicate);
  EXPECT_EQ(dial_.peers(), 35u);
  dial_.failed(trusted, at({}));
  EXPECT_TRUE(dial_.is_connected(trusted)) << "a trusted one is not dropped for a timeout";
}

TEST_F(DialSchedulerTest, InboundThrottlePerAddress) {
  EXPECT_EQ(dial_.admit(address(1, 1, 1000), at({})), Admission::accept);
  EXPECT_EQ(dial_.admit(address(1, 1, 2000), at(seconds(29))), Admission::throttled);
  EXPECT_EQ(dial_.admit(address(1, 2, 2000), at(seconds(29))), Admission::accept);
  EXPECT_EQ(dial_.admit(address(1, 1, 3000), at(seconds(30))), Admission::accept);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(dial_.admit(Endpoint::loopback(1000), at({})), Admission::accept) << "LAN exempt";
  }
}

TEST_F(DialSchedulerTest, ARequestTimeoutDropsThePeerAndFillsItsPlace) {
  const auto nodes = fill(2);
  const auto first = dials({});
  ASSERT_EQ(first.size(), 2u);
  dial_.connected_outbound(first[0], at({}));
  dial_.failed(first[0], at(seconds(5)));
  EXPECT_EQ(dial_.poll_drop(), first[0]);
  EXPECT_FALSE(dial_.is_connected(first[0]));
  EXPECT_EQ(pool_.standing(first[0]), Standing::held);
  EXPECT_EQ(pool_.failures(first[0]), 1u);
}

TEST_F(DialSchedulerTest, WhoDialsUsMeanwhileIsNotConnectedTwice) {
  const auto nodes = fill(1);
  dials({});
  EXPECT_EQ(dial_.connected_inbound(nodes[0].id, at({})), Admission::accept);
  EXPECT_EQ(dial_.pending(), 0u);
  EXPECT_EQ(dial_.connected_outbound(nodes[0].id, at({})), Admission::duplicate);
  EXPECT_EQ(dials(milliseconds(100)).size(), 0u);
  EXPECT_EQ(dial_.connected_inbound(self_, at({})), Admission::self);
}

// Random connects, failures and silence: the invariants of the header, and no stagnation: with a
// free slot and a candidate that waits for nothing, a dial happens within an interval.
class DialProperty {
 public:
  explicit DialProperty(uint64_t seed)
      : rng_(seed),
        pool_(PoolConfig{.capacity = 64}, rng_),
        dial_(NodeId{}, config(), pool_, rng_) {}

  void run() {
    for (int i = 0; i < 3000; ++i) {
      clock_ = clock_ + milliseconds(100);
      step();
      polls();
      check();
      if (::testing::Test::HasFatalFailure()) return;
    }
    EXPECT_GT(dial_.stats().connected_out, 0u);
    EXPECT_GT(dial_.stats().timed_out, 0u);
  }

 private:
  static DialConfig config() {
    DialConfig made;
    made.max_peers = 12;
    made.dial_ratio = 2;
    made.max_pending = 4;
    return made;
  }
  void step() {
    const NodeId id = ids_.empty() ? random_id(rng_) : ids_[rng_.below(ids_.size())];
    switch (rng_.below(8)) {
      case 0:
        ids_.push_back(random_id(rng_));
        pool_.insert(node(ids_.back(), address(static_cast<uint32_t>(ids_.size()))));
        break;
      case 1:
        if (dial_.connected_inbound(id, at(clock_)) == Admission::accept) {
          connected_.insert(id);
          pending_.erase(id);
        }
        break;
      case 2:
        dial_.disconnected(id, at(clock_));
        connected_.erase(id);
        break;
      case 3:
        dial_.failed(id, at(clock_));
        connected_.erase(id);
        break;
      case 4:
        dial_.dial_failed(id, at(clock_));
        pending_.erase(id);
        break;
      case 5:
        if (pending_.contains(id)) {
          if (dial_.connected_outbound(id, at(clock_)) == Admission::accept) connected_.insert(id);
          pending_.erase(id);
        }
        break;
      default:
        break;
    }
  }
  void polls() {
    const bool candidate = pool_.count(Standing::eligible) + pool_.count(Standing::tried) > 0;
    const bool slot = dial_.outbound() + dial_.pending() < dial_.dialled_target() &&
                      dial_.pending() < 4 && dial_.peers() + dial_.pending() < 12;
    size_t made = 0;
    while (auto order = dial_.poll(at(clock_), rng_)) {
      ++made;
      EXPECT_FALSE(connected_.contains(order->record.id));
      EXPECT_TRUE(pending_.insert(order->record.id).second);
      auto& last = dialled_[order->record.id];
      if (last.ns != 0) {
        EXPECT_GE(clock_ - last, seconds(35));
      }
      last = clock_;
    }
    while (auto dropped = dial_.poll_drop()) {
      pending_.erase(*dropped);
      connected_.erase(*dropped);
    }
    const auto& stats = dial_.stats();
    const uint64_t skipped = stats.skipped_history + stats.skipped_connected;
    if (candidate && slot && skipped == skipped_) {
      EXPECT_GT(made, 0u) << "stagnation";
    }
    skipped_ = skipped;
  }
  void check() {
    ASSERT_EQ(dial_.pending(), pending_.size());
    ASSERT_EQ(dial_.peers(), connected_.size());
    ASSERT_LE(dial_.pending(), 4u);
    ASSERT_LE(dial_.outbound(), dial_.dialled_target());
    ASSERT_LE(dial_.peers(), 12u);
  }

  Rng rng_;
  Pool pool_;
  DialScheduler dial_;
  std::vector<NodeId> ids_;
  std::set<NodeId> pending_, connected_;
  std::map<NodeId, Duration> dialled_;
  uint64_t skipped_ = 0;
  Duration clock_{};
};

TEST(DialSchedulerProperties, HoldAndNeverStagnate) {
  for_seeds(20, 400, [](uint64_t seed) { DialProperty(seed).run(); });
}

}  // namespace
}  // namespace beamline::discovery
