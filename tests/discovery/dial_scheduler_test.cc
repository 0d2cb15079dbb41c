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

// It connects, shakes hands, and gives nothing: each time it waits longer, up to an hour, and is
// tried again for ever.
TEST_F(DialSchedulerTest, ATarpitsBackoffGrowsToItsCapAndAUsefulAnswerResetsIt) {
  const NodeId id = fill(1)[0].id;
  Duration time{};
  const auto connects_after = [&](Duration wait) {
    EXPECT_EQ(dials(time + wait - milliseconds(1)).size(), 0u) << to_seconds(wait);
    time = time + wait + config_.pick_interval;
    ASSERT_EQ(dials(time).size(), 1u) << to_seconds(wait);
    ASSERT_EQ(dial_.connected_outbound(id, at(time)), Admission::accept);
  };
  const auto fails = [&](bool useful) {
    time = time + seconds(20);  // connected
    if (useful) dial_.useful(id);
    dial_.failed(id, at(time));
    while (dial_.poll_drop()) {
    }
  };
  ASSERT_EQ(dials(time).size(), 1u);
  ASSERT_EQ(dial_.connected_outbound(id, at(time)), Admission::accept);
  fails(false);
  for (const int64_t wait : {30, 180, 900, 3600, 3600, 3600}) {
    connects_after(seconds(wait));
    fails(false);
  }
  connects_after(seconds(3600));
  fails(true);
  connects_after(seconds(30));
  fails(false);
  // To leave politely is no failure, and no excuse either; to stay long without a fault is one.
  connects_after(seconds(180));
  dial_.disconnected(id, at(time));
  EXPECT_EQ(pool_.failures(id), 2u);
  connects_after(seconds(35));
  time = time + config_.steady;
  dial_.disconnected(id, at(time));
  EXPECT_EQ(pool_.failures(id), 0u);
}

// Whatever fails, and however often: within the cap it is dialled again, and one useful answer
// wipes out what was before.
TEST_F(DialSchedulerTest, NoBackoffIsAPermanentBlacklist) {
  const uint64_t seed = 7;
  SCOPED_TRACE(seed);
  Rng rng(seed);
  const auto nodes = fill(8);
  NodeRecord mine = fresh();
  dial_.add_static(mine);
  std::map<NodeId, Duration> last;
  Duration time{};
  uint64_t failures = 0;
  for (int i = 0; i < 20'000; ++i) {
    time = time + seconds(5);
    for (const NodeId& id : dials(time)) {
      const Duration cap = id == mine.id ? config_.static_backoff_max : seconds(3600);
      EXPECT_LE(time - last[id], cap + seconds(60));
      last[id] = time;
      if (rng.chance(1, 2)) {
        dial_.dial_failed(id, at(time));
      } else if (dial_.connected_outbound(id, at(time)) == Admission::accept) {
        if (rng.chance(1, 20)) dial_.useful(id);
        dial_.failed(id, at(time));
        while (dial_.poll_drop()) {
        }
      }
      ++failures;
    }
  }
  EXPECT_EQ(last.size(), 9u);
  for (const auto& [id, when] : last) EXPECT_GT(when + seconds(3700), time);
  EXPECT_GT(failures, 400u);
}

TEST_F(DialSchedulerTest, AStaticPeersBackoffDoublesToItsCap) {
  const NodeRecord mine = fresh();
  dial_.add_static(mine);
  Duration time{};
  ASSERT_EQ(dials(time).size(), 1u);
  for (const int64_t wait : {30, 60, 120, 240, 300, 300}) {
    dial_.dial_failed(mine.id, at(time));
    const Duration due = std::max(seconds(wait), config_.history);
    EXPECT_EQ(dials(time + due - milliseconds(1)).size(), 0u) << wait;
    time = time + due + config_.pick_interval;
    ASSERT_EQ(dials(time).size(), 1u) << wait;
  }
  ASSERT_EQ(dial_.connected_outbound(mine.id, at(time)), Admission::accept);
  dial_.useful(mine.id);
  dial_.failed(mine.id, at(time));
  EXPECT_EQ(dials(time + seconds(36)).size(), 1u);
}

TEST_F(DialSchedulerTest, WhoDialsUsMeanwhileIsNotConnectedTwice) {
  const auto nodes = fill(1);
  dials({});
  EXPECT_EQ(dial_.connected_inbound(nodes[0].id, at({})), Admission::accept);
  EXPECT_EQ(dial_.pending(), 0u);
  EXPECT_EQ(dial_.connected_outbound(nodes[0].id, at({})),
            self_ > nodes[0].id ? Admission::replace : Admission::duplicate);
  EXPECT_EQ(dial_.peers(), 1u);
  EXPECT_EQ(dials(milliseconds(100)).size(), 0u);
  EXPECT_EQ(dial_.connected_inbound(self_, at({})), Admission::self);
}

// ---- Two that dial each other at once

// A's dial is connection 0, B's is 1; each side's scheduler is told as node/eth_finder.cc does.
// What happens next is chosen from outside, so that a search can go through all orders.
class CrossedDials {
 public:
  // `refuses`: B is as geth is. It keeps the first and says Disconnect in place of Hello.
  CrossedDials(bool larger_dials_first, bool refuses)
      : refuses_(refuses), pool_a_(PoolConfig{}, rng_), pool_b_(PoolConfig{}, rng_) {
    NodeRecord a = node(random_id(rng_), address(1)), b = node(random_id(rng_), address(2));
    if ((a.id > b.id) != larger_dials_first) std::swap(a, b);
    id_[0] = a.id;
    id_[1] = b.id;
    pool_a_.insert(b);
    pool_b_.insert(a);
    side_[0].emplace(a.id, DialConfig{}, pool_a_, rng_);
    side_[1].emplace(b.id, DialConfig{}, pool_b_, rng_);
    EXPECT_TRUE(side_[0]->poll(at({}), rng_).has_value());
    if (!refuses_) {
      EXPECT_TRUE(side_[1]->poll(at({}), rng_).has_value());
    }
  }
  // What can happen: a Status arrives on a connection at a side, or, behind it, a Disconnect.
  std::vector<int> events() const {
    std::vector<int> out;
    for (int side = 0; side < 2; ++side) {
      for (int link = 0; link < 2; ++link) {
        const Link& one = links_[link];
        if (one.closed[side]) continue;
        const bool told = one.ready[side] || one.refused;
        if (!told || (one.said[1 - side] && !one.heard[side])) out.push_back(2 * side + link);
      }
    }
    return out;
  }
  void happen(int event) {
    const int side = event / 2, link = event % 2;
    Link& one = links_[link];
    if (!one.ready[side] && !one.refused) return ready(side, link);
    one.heard[side] = one.closed[side] = true;
    DialScheduler& scheduler = *side_[side];
    if (one.up[side]) {
      one.up[side] = false;
      scheduler.disconnected(id_[1 - side], at({}));
    } else if (one.refused && link == side) {
      scheduler.dial_refused(id_[1 - side], at({}));
    }
  }
  // One connection, the same on both sides, and its direction is known to both.
  void expect_one(const std::string& order) const {
    const bool first = links_[0].up[0];
    EXPECT_NE(first, links_[1].up[0]) << order;
    for (int link = 0; link < 2; ++link) {
      EXPECT_EQ(links_[link].up[0], links_[link].up[1]) << order;
    }
    EXPECT_EQ(side_[0]->outbound(), first ? 1u : 0u) << order;
    EXPECT_EQ(side_[0]->inbound(), first ? 0u : 1u) << order;
    if (refuses_) return;
    EXPECT_EQ(first, id_[0] > id_[1]) << order;
    EXPECT_EQ(side_[1]->peers(), 1u) << order;
    EXPECT_EQ(pool_a_.failures(id_[1]) + pool_b_.failures(id_[0]), 0u) << order;
  }

 private:
  struct Link {
    bool ready[2] = {}, up[2] = {}, said[2] = {}, heard[2] = {}, closed[2] = {};
    bool refused = false;  // by B, before its Status
  };
  void close(int side, int link) {
    links_[link].said[side] = links_[link].closed[side] = true;
    links_[link].up[side] = false;
  }
  void ready(int side, int link) {
    Link& one = links_[link];
    one.ready[side] = true;
    if (side == 1 && refuses_) {
      one.up[1] = !links_[1 - link].up[1];
      if (one.up[1]) return;
      one.refused = one.said[1] = one.closed[1] = true;
      return;
    }
    // Its Status comes before whatever it says next; of one that refuses, once it has decided.
    const NodeId& other = id_[1 - side];
    const Admission admission = side == link ? side_[side]->connected_outbound(other, at({}))
                                             : side_[side]->connected_inbound(other, at({}));
    if (admission == Admission::replace) close(side, 1 - link);
    if (admission == Admission::accept || admission == Admission::replace) {
      one.up[side] = true;
    } else {
      close(side, link);
    }
  }
  const bool refuses_;
  Rng rng_{11};
  NodeId id_[2];
  Pool pool_a_, pool_b_;
  std::optional<DialScheduler> side_[2];
  Link links_[2];
};

// Replays `order`, and goes on in every way there is. Gives how many orders there are.
size_t every_order(bool larger_first, bool refuses, std::vector<int>& order) {
  CrossedDials dials(larger_first, refuses);
  std::string text;
  for (const int event : order) {
    dials.happen(event);
    text += std::to_string(event) + " ";
  }
  size_t ends = 0;
  for (const int event : dials.events()) {
    // Whoever refuses has decided before the other side hears anything.
    if (refuses && event < 2 && std::ranges::count(order, 2 + event) == 0) continue;
    order.push_back(event);
    ends += every_order(larger_first, refuses, order);
    order.pop_back();
  }
  if (ends > 0) return ends;
  dials.expect_one(text);
  return 1;
}

TEST(DialCrossing, TwoThatDialEachOtherAtOnceKeepTheSameConnectionInEveryOrder) {
  for (const bool larger_first : {false, true}) {
    std::vector<int> order;
    const size_t orders = every_order(larger_first, false, order);
    std::printf("%zu orders\n", orders);
    EXPECT_GE(orders, 24u);
  }
}

TEST(DialCrossing, BesideAPeerThatRefusesTheSecondByItselfTheFirstStands) {
  for (const bool larger_first : {false, true}) {
    std::vector<int> order;
    EXPECT_GE(every_order(larger_first, true, order), 6u);
  }
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
        if (dial_.connected_inbound(id, at(clock_)) <= Admission::replace) {
          connected_.insert(id);
          if (pending_.erase(id) > 0) beside_.insert(id);
        }
        break;
      case 2: {
        // A dial that it came in beside goes on.
        const bool goes_on = connected_.contains(id) && beside_.contains(id) &&
                             dialled_[id] + seconds(15) > clock_ && pending_.size() < 4;
        dial_.disconnected(id, at(clock_));
        if (connected_.erase(id) > 0) beside_.erase(id);
        if (goes_on) pending_.insert(id);
        break;
      }
      case 3:
        dial_.failed(id, at(clock_));
        if (connected_.erase(id) > 0) beside_.erase(id);
        break;
      case 4:
        dial_.dial_failed(id, at(clock_));
        pending_.erase(id);
        beside_.erase(id);
        break;
      case 5:
        if (beside_.erase(id) > 0) {
          EXPECT_EQ(dial_.connected_outbound(id, at(clock_)), Admission::duplicate)
              << "ours is the least id";
        } else if (pending_.contains(id)) {
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
  std::set<NodeId> beside_;  // dials beside an inbound connection
  std::map<NodeId, Duration> dialled_;
  uint64_t skipped_ = 0;
  Duration clock_{};
};

TEST(DialSchedulerProperties, HoldAndNeverStagnate) {
  for_seeds(20, 400, [](uint64_t seed) { DialProperty(seed).run(); });
}

}  // namespace
}  // namespace beamline::discovery
