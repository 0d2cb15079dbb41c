// The connection pool: what users of it care about, and a model under random operations.
#include "discovery/pool.h"

#include <ctime>
#include <deque>
#include <map>
#include <set>

#include "nodes.h"

namespace beamline::discovery {
namespace {

class PoolTest : public ::testing::Test {
 protected:
  std::vector<NodeId> fill(Pool& pool, size_t count) {
    std::vector<NodeId> ids;
    for (size_t i = 0; i < count; ++i) {
      ids.push_back(random_id(rng_));
      EXPECT_TRUE(pool.insert(node(ids.back(), address(static_cast<uint32_t>(i)))));
    }
    return ids;
  }
  Rng rng_{7};
};

TEST_F(PoolTest, FirstInIsFirstOutAndReinsertionIsNoOp) {
  Pool pool(PoolConfig{.capacity = 100}, rng_);
  const auto ids = fill(pool, 100);
  EXPECT_FALSE(pool.insert(node(ids[0], address(0))));  // keeps its place: still the oldest
  pool.insert(node(random_id(rng_), address(500)));
  EXPECT_EQ(pool.size(), 100u);
  EXPECT_EQ(pool.find(ids[0]), nullptr);
  EXPECT_NE(pool.find(ids[1]), nullptr);
  EXPECT_EQ(pool.stats().displaced, 1u);
}

TEST_F(PoolTest, TheEndpointFollowsTheNewestRecord) {
  Pool pool(PoolConfig{}, rng_);
  const NodeId id = random_id(rng_);
  pool.insert(with_seq(node(id, address(1)), 5));
  pool.insert(with_seq(node(id, address(2)), 4));
  pool.insert(node(id, address(3)));         // unsigned hearsay
  pool.insert_proven(node(id, address(4)));  // and a proof without a record
  EXPECT_EQ(pool.find(id)->udp, address(1));
  pool.insert(with_seq(node(id, address(6)), 6));
  EXPECT_EQ(pool.find(id)->udp, address(6));
  EXPECT_EQ(pool.size(), 1u);
}

// The reference scans all entries on the pick that finds none untried. Here no pick looks at more
// than one eligible contact: what it touches is bounded, whatever the pool holds.
TEST_F(PoolTest, AProbeOfAllTriedStartsACycleWithoutScan) {
  Pool pool(PoolConfig{}, rng_);
  const auto ids = fill(pool, 1000);
  for (int cycle = 1; cycle <= 3; ++cycle) {
    std::set<NodeId> offered;
    for (size_t i = 0; i < ids.size(); ++i) offered.insert(pool.pick(at({}), rng_)->id);
    EXPECT_EQ(offered.size(), ids.size()) << "each once per cycle";
    EXPECT_EQ(pool.count(Standing::eligible), 0u);
    EXPECT_EQ(pool.stats().cycles, static_cast<uint64_t>(cycle - 1));
    EXPECT_EQ(pool.stats().filtered, 0u);
  }
}

// Each of 200 contacts is the first of a cycle about equally often, whether it came first or last
// and whether it is new in this cycle; and cycles have different orders.
TEST_F(PoolTest, ARandomEligibleCandidateIsPickedNotTheNewestNorTheSameEachCycle) {
  constexpr size_t kContacts = 200, kRounds = 4000;
  std::map<NodeId, size_t> first;
  for (size_t round = 0; round < kRounds; ++round) {
    Pool pool(PoolConfig{}, rng_);
    std::vector<NodeId> ids;
    for (size_t i = 0; i < kContacts; ++i) {
      NodeRecord record = node(NodeId{}, address(uint32_t(i)));
      record.id.bytes[0] = uint8_t(i);
      ids.push_back(record.id);
      pool.insert(record);
    }
    ++first[pool.pick(at({}), rng_)->id];
    if (round > 0) continue;
    std::set<std::vector<NodeId>> orders;
    for (int cycle = 0; cycle < 10; ++cycle) {
      while (pool.count(Standing::eligible) > 0) pool.pick(at({}), rng_);
      std::vector<NodeId> begin;
      for (int i = 0; i < 20; ++i) begin.push_back(pool.pick(at({}), rng_)->id);
      orders.insert(begin);
    }
    EXPECT_EQ(orders.size(), 10u);
  }
  // 20 times each in the mean, standard deviation 4.5.
  EXPECT_EQ(first.size(), kContacts);
  for (const auto& [id, count] : first) {
    EXPECT_GE(count, 2u);
    EXPECT_LE(count, 45u);
  }
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The reference moves all entries to remove the oldest: a hundred times the work in a pool that is
// a hundred times larger.
TEST_F(PoolTest, RemovingTheOldestCostsTheSameInALargePool) {
  const auto cost = [&](size_t capacity) {
    Pool pool(PoolConfig{.capacity = capacity}, rng_);
    uint32_t network = 0;
    const auto insert = [&](size_t count) {
      for (size_t i = 0; i < count; ++i) pool.insert(node(random_id(rng_), address(network++)));
    };
    insert(capacity);
    const double before = cpu_seconds();
    insert(10'000);
    EXPECT_EQ(pool.stats().displaced, 10'000u);
    EXPECT_EQ(pool.size(), capacity);
    return cpu_seconds() - before;
  };
  const double small = cost(1000);
  // What else the machine does only adds to it: the best of a few.
  double large = cost(100'000);
  for (int i = 0; i < 4 && large >= 25 * small; ++i) large = std::min(large, cost(100'000));
  EXPECT_LT(large, 25 * small) << "of " << small << " s";
}

TEST_F(PoolTest, NoPermanentBlacklist) {
  PoolConfig config;
  Pool pool(config, rng_);
  const NodeId id = fill(pool, 1)[0];
  Duration time{};
  const Duration waits[] = {seconds(30), seconds(180), seconds(900), seconds(3600), seconds(3600)};
  for (const Duration wait : waits) {
    ASSERT_NE(pool.pick(at(time), rng_), nullptr);
    pool.failed(id, at(time));
    EXPECT_EQ(pool.pick(at(time + wait - milliseconds(1)), rng_), nullptr);
    time = time + wait;
  }
  ASSERT_NE(pool.pick(at(time), rng_), nullptr);
  pool.succeeded(id);
  pool.failed(id, at(time));
  EXPECT_NE(pool.pick(at(time + seconds(30)), rng_), nullptr) << "the ladder begins anew";
}

TEST_F(PoolTest, FiltersByForkAndCapability) {
  Pool pool(PoolConfig{}, rng_);
  auto record = [&](Capabilities capabilities, uint32_t fork) {
    NodeRecord made = with_seq(node(random_id(rng_), address(uint32_t(pool.size()))), 1);
    made.capabilities = capabilities;
    made.fork = fork;
    pool.insert(made);
    return made.id;
  };
  record(kCapEth, 1);
  record(kCapEth2, 1);
  const NodeId wanted = record(kCapEth2, 2);
  PoolFilter filter;
  filter.capabilities = kCapEth2;
  filter.forks = {2, 3};
  filter.fork_count = 2;
  pool.set_filter(filter);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pool.pick(at({}), rng_)->id, wanted);
  EXPECT_EQ(pool.count(Standing::filtered), 2u);
  // A newer record changes what a contact is.
  NodeRecord newer = with_seq(node(wanted, address(2)), 2);
  pool.insert(newer);
  EXPECT_EQ(pool.pick(at({}), rng_), nullptr);
  pool.set_filter({});
  std::set<NodeId> offered;
  for (int i = 0; i < 3; ++i) offered.insert(pool.pick(at({}), rng_)->id);
  EXPECT_EQ(offered.size(), 3u) << "a new filter judges all anew";
}

TEST_F(PoolTest, NodesWithoutAPortOrAnAddressAreNotDialled) {
  Pool pool(PoolConfig{}, rng_);
  NodeRecord record = node(random_id(rng_), address(1));
  record.tcp_port = 0;
  pool.insert(record);
  EXPECT_EQ(pool.pick(at({}), rng_), nullptr);
  EXPECT_FALSE(pool.insert(node(random_id(rng_), Endpoint{})));
  EXPECT_EQ(pool.stats().refused, 1u);
}

TEST_F(PoolTest, OneNetworkNeitherFillsThePoolNorPushesOthersOut) {
  Pool pool(PoolConfig{.capacity = 100}, rng_);
  const auto ids = fill(pool, 90);
  for (int i = 0; i < 1000; ++i) {
    pool.insert(node(random_id(rng_), address(7777, uint8_t(1 + i % 200))));
  }
  EXPECT_EQ(pool.size(), 100u);
  EXPECT_EQ(pool.stats().refused_subnet, 990u);
  EXPECT_NE(pool.find(ids[0]), nullptr);
}

// Random operations against sets and a deque.
class PoolProperty {
 public:
  explicit PoolProperty(uint64_t seed) : rng_(seed), pool_(PoolConfig{.capacity = 40}, rng_) {
    for (size_t i = 0; i < 60; ++i) ids_.push_back(random_id(rng_));
  }

  void run() {
    for (int i = 0; i < 3000; ++i) {
      step();
      check();
      if (::testing::Test::HasFatalFailure()) return;
    }
    EXPECT_GT(pool_.stats().cycles, 0u);
    EXPECT_GT(pool_.stats().displaced, 0u);
    EXPECT_GT(pool_.stats().woken, 0u);
  }

 private:
  struct Item {
    uint64_t seq = 0;
    bool in_use = false;
    MonoTime due{};  // 0: does not wait
    size_t failures = 0;
    uint32_t fork = 0;
  };
  bool waits(const Item& item) const { return item.due.ns != 0; }
  bool wanted(const Item& item) const { return fork_ == 0 || item.seq == 0 || item.fork == fork_; }
  bool eligible(const Item& item) const { return !item.in_use && !waits(item) && wanted(item); }

  void step() {
    now_.mono = now_.mono + milliseconds(static_cast<int64_t>(rng_.below(4000)));
    const NodeId id = ids_[rng_.below(ids_.size())];
    const auto known = items_.find(id);
    switch (rng_.below(8)) {
      case 0:
      case 1:
        insert(id);
        break;
      case 2:
        if (rng_.chance(1, 4)) {
          EXPECT_EQ(pool_.remove(id), known != items_.end());
          forget(id);
        }
        break;
      case 3:
        pool_.hold(id);
        if (known != items_.end())
          known->second = {known->second.seq, true, {}, known->second.failures, known->second.fork};
        break;
      case 4:
        pool_.release(id, now_);
        if (known != items_.end()) wait(known->second, seconds(35));
        break;
      case 5:
        pool_.failed(id, now_);
        if (known != items_.end()) {
          const Duration ladder[] = {seconds(30), seconds(180), seconds(900), seconds(3600)};
          wait(known->second, ladder[std::min<size_t>(known->second.failures++, 3)]);
        }
        break;
      default:
        pick();
    }
    if (rng_.chance(1, 100)) {
      fork_ = static_cast<uint32_t>(rng_.below(3));
      PoolFilter filter;
      filter.forks[0] = fork_;
      filter.fork_count = fork_ != 0;
      pool_.set_filter(filter);
      offered_.clear();
    }
  }

  void wait(Item& item, Duration time) {
    item.in_use = false;
    item.due = std::max(item.due, now_.mono + time);
  }

  void insert(const NodeId& id) {
    NodeRecord record = node(id, address(static_cast<uint32_t>(rng_.below(100))));
    const uint64_t seq = rng_.below(4);
    if (seq > 0) record = with_seq(record, seq);
    record.fork = static_cast<uint32_t>(1 + rng_.below(2));
    const auto known = items_.find(id);
    if (known == items_.end()) {
      EXPECT_TRUE(pool_.insert(record));
      if (order_.size() == 40) forget(order_.front());
      order_.push_back(id);
      items_[id] = {.seq = seq, .fork = record.fork};
      return;
    }
    EXPECT_FALSE(pool_.insert(record));
    if (seq <= known->second.seq) return;
    known->second.seq = seq;
    known->second.fork = record.fork;
    EXPECT_EQ(pool_.find(id)->udp, record.udp);
  }

  void forget(const NodeId id) {
    items_.erase(id);
    offered_.erase(id);
    std::erase(order_, id);
  }

  void pick() {
    for (auto& [id, item] : items_) {
      if (waits(item) && item.due <= now_.mono) item.due = {};
    }
    const uint64_t cycles = pool_.stats().cycles;
    const NodeRecord* picked = pool_.pick(now_, rng_);
    if (pool_.stats().cycles != cycles) offered_.clear();
    if (picked == nullptr) return;
    const Item& item = items_.at(picked->id);
    EXPECT_TRUE(eligible(item));
    EXPECT_TRUE(offered_.insert(picked->id).second) << "offered twice in one cycle";
  }

  void check() {
    ASSERT_EQ(pool_.size(), order_.size());
    std::deque<NodeId> seen;
    pool_.for_each([&](const NodeRecord& record) { seen.push_back(record.id); });
    ASSERT_EQ(seen, order_) << "first in, first out";
    size_t classes = 0;
    for (const Standing s : {Standing::eligible, Standing::tried, Standing::unjudged,
                             Standing::filtered, Standing::held}) {
      classes += pool_.count(s);
    }
    ASSERT_EQ(classes, pool_.size());
    for (const auto& [id, item] : items_) {
      const Standing standing = pool_.standing(id);
      if (item.in_use || (waits(item) && item.due > now_.mono)) {
        ASSERT_EQ(standing, Standing::held);
      }
      if (standing == Standing::tried) {
        ASSERT_TRUE(offered_.contains(id));
      }
    }
  }

  Rng rng_;
  Pool pool_;
  std::vector<NodeId> ids_;
  std::deque<NodeId> order_;
  std::map<NodeId, Item> items_;
  std::set<NodeId> offered_;
  uint32_t fork_ = 0;
  Now now_ = at({});
};

TEST(PoolProperties, HoldUnderRandomOperations) {
  for_seeds(20, 500, [](uint64_t seed) { PoolProperty(seed).run(); });
}

}  // namespace
}  // namespace beamline::discovery
