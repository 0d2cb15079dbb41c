// The invariants of the table under random sequences of everything that can happen to it, against
// a model.
#include <set>

#include "table_model.h"

namespace beamline::discovery {
namespace {

class TableProperty {
 public:
  explicit TableProperty(uint64_t seed)
      : rng_(seed),
        self_(random_id(rng_)),
        table_(self_, TableConfig{}, rng_, at({})),
        model_(self_) {
    model_.set_time(now_);
    // Few buckets and networks, so that all limits are met.
    const unsigned buckets[] = {255, 255, 255, 255, 255, 254, 253, 252, 251, 250, 249, 248};
    for (size_t i = 0; i < 160; ++i) {
      ids_.push_back(random_id_in_bucket(self_, buckets[rng_.below(12)], rng_));
    }
    ids_.push_back(self_);
  }

  void run(size_t steps) {
    for (size_t i = 0; i < steps; ++i) {
      step();
      if (::testing::Test::HasFatalFailure()) return;
      same_as_model();
      if (::testing::Test::HasFatalFailure()) return;
      if (i % 16 == 0) searches();
    }
  }

  const Table::Stats& stats() const { return table_.stats(); }

 private:
  NodeRecord any_record() {
    NodeRecord record = node(any_id(), any_address());
    if (rng_.chance(1, 3)) record = with_seq(record, rng_.below(4));
    // Mostly where it is known to be.
    if (const Contact* known = table_.find(record.id); known != nullptr && rng_.chance(3, 4)) {
      record.udp = known->record.udp;
    }
    return record;
  }
  NodeId any_id() { return ids_[rng_.below(ids_.size())]; }
  Endpoint any_address() {
    if (rng_.chance(1, 2)) return Endpoint::v4(0x0a000000u + uint32_t(rng_.below(200)), 30303);
    return address(static_cast<uint32_t>(rng_.below(6)), static_cast<uint8_t>(rng_.below(9)));
  }
  Endpoint address_of(const NodeId& id) {
    const Contact* known = table_.find(id);
    return known == nullptr || rng_.chance(1, 10) ? any_address() : known->record.udp;
  }

  void step() {
    const uint64_t longest = rng_.chance(1, 300) ? 60'000 : 50;
    now_ = at(now_.mono - at({}).mono + milliseconds(static_cast<int64_t>(rng_.below(longest))));
    model_.set_time(now_);
    const NodeId id = any_id();
    const Endpoint from = address_of(id);
    switch (rng_.below(10)) {
      case 0:
      case 1:
      case 2: {
        const NodeRecord record = any_record();
        EXPECT_EQ(table_.contact_proven(record, now_), model_.proven(record));
        break;
      }
      case 3: {
        const NodeRecord record = any_record();
        EXPECT_EQ(table_.heard(record, now_), model_.heard(record));
        break;
      }
      case 4: {
        const NodeRecord record = any_record();
        table_.update_record(record, now_);
        model_.update(record);
        break;
      }
      case 5:
        table_.touched(id, from, now_);
        model_.touched(id, from);
        break;
      case 6:
        table_.pong(id, from, now_);
        model_.pong(id, from);
        break;
      case 7:
        table_.ping_failed(id, now_);
        model_.ping_failed(id);
        break;
      case 8:
        poll();
        break;
      default:
        rare(id);
    }
  }

  void rare(const NodeId& id) {
    if (rng_.chance(1, 3)) {
      table_.mark_disposable(id, Failure::request);
      model_.mark(id);
      return;
    }
    if (rng_.chance(1, 2)) return;
    const uint64_t promoted = table_.stats().promoted;
    table_.prune(now_);
    EXPECT_EQ(table_.stats().promoted - promoted, model_.prune());
    const auto before = table_.stats().pruned;
    table_.prune(now_);  // idempotent
    EXPECT_EQ(table_.stats().pruned, before);
    table_.for_each([](const Contact& contact) { EXPECT_FALSE(contact.disposable); });
  }

  void poll() {
    const auto check = model_.next_check();
    const auto order = table_.poll_ping(now_, rng_);
    const bool evicts = order && order->why == PingOrder::Why::eviction;
    ASSERT_EQ(evicts, check.has_value());
    if (evicts) {
      ASSERT_EQ(order->record.id, *check);
    }
    if (!order) return;
    const Contact* contact = table_.find(order->record.id);
    ASSERT_NE(contact, nullptr);
    EXPECT_TRUE(contact->ping_pending);
    EXPECT_FALSE(contact->disposable);
    model_.ping_sent(order->record.id);
  }

  void same_as_model();
  void searches();

  Rng rng_;
  NodeId self_;
  Table table_;
  TableModel model_;
  std::vector<NodeId> ids_;
  Now now_ = at({});
};

void TableProperty::same_as_model() {
  std::set<NodeId> seen;
  std::map<unsigned, std::vector<const Contact*>> mains;
  std::map<unsigned, std::vector<const Contact*>> spares;
  std::map<uint64_t, size_t> subnets;
  size_t live = 0;
  table_.for_each([&](const Contact& contact) {
    EXPECT_TRUE(seen.insert(contact.record.id).second) << "an id stands twice";
    EXPECT_EQ(table_.find(contact.record.id), &contact) << "what iteration shows, a look-up finds";
    const unsigned index = *bucket_of(self_, contact.record.id);
    (contact.replacement ? spares : mains)[index].push_back(&contact);
    ++subnets[subnet_of(contact.record.udp)];
    live += contact.live;
    if (!contact.replacement) {
      EXPECT_GT(contact.last_pong.ns, 0) << "main without a proof";
    }
    EXPECT_FALSE(contact.live && contact.disposable);
  });
  EXPECT_FALSE(seen.contains(self_));
  EXPECT_EQ(table_.size(), seen.size());
  EXPECT_EQ(table_.live_size(), live);
  for (const auto& [subnet, count] : subnets) {
    if (subnet != 0) {
      EXPECT_LE(count, 10u);
    }
  }
  for (const auto& [index, lists] : model_.buckets()) {
    ASSERT_EQ(mains[index].size(), lists.main.size()) << "bucket " << index;
    ASSERT_EQ(spares[index].size(), lists.spare.size()) << "bucket " << index;
    const auto same = [](const Contact& ours, const TableModel::Item& theirs) {
      ASSERT_EQ(ours.record.id, theirs.id);
      EXPECT_EQ(ours.record.udp, theirs.udp);
      EXPECT_EQ(ours.live, theirs.live);
      EXPECT_EQ(ours.disposable, theirs.disposable);
      EXPECT_EQ(ours.checks, theirs.checks);
    };
    for (size_t i = 0; i < lists.main.size(); ++i) same(*mains[index][i], lists.main[i]);
    for (size_t i = 0; i < lists.spare.size(); ++i) same(*spares[index][i], lists.spare[i]);
    if (TableModel::live_spares(lists) > 0) {
      EXPECT_EQ(lists.main.size(), kBucketSize);
    }
  }
}

// Closest-k against a sort of everything.
void TableProperty::searches() {
  const NodeId target = rng_.chance(1, 4) ? self_ : rng_.chance(1, 3) ? any_id() : random_id(rng_);
  for (const Reach reach : {Reach::live, Reach::main, Reach::all}) {
    std::vector<NodeId> expected;
    table_.for_each([&](const Contact& contact) {
      if (contact.disposable || (contact.replacement && reach != Reach::all)) return;
      if (reach == Reach::live && !contact.live) return;
      expected.push_back(contact.record.id);
    });
    std::sort(expected.begin(), expected.end(),
              [&](const NodeId& a, const NodeId& b) { return closer(target, a, b); });
    std::array<const Contact*, 16> found;
    const size_t count = table_.closest(target, reach, found);
    ASSERT_EQ(count, std::min<size_t>(16, expected.size()));
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(found[i]->record.id, expected[i]) << i;
    // The same as it is told: crowded networks last, two of each.
    std::vector<NodeId> last;
    std::map<uint64_t, size_t> subnets;
    std::map<uint64_t, size_t> told_of;
    table_.for_each([&](const Contact& c) { ++subnets[subnet_of(c.record.udp)]; });
    std::erase_if(expected, [&](const NodeId& id) {
      const uint64_t subnet = subnet_of(table_.find(id)->record.udp);
      if (subnet == 0 || subnets[subnet] <= kTellPerSubnet) return false;
      last.push_back(id);
      return true;
    });
    last.resize(std::min<size_t>(last.size(), 16));
    std::erase_if(last, [&](const NodeId& id) {
      return ++told_of[subnet_of(table_.find(id)->record.udp)] > kTellPerSubnet;
    });
    expected.insert(expected.end(), last.begin(), last.end());
    const size_t told = table_.tell(target, reach, found, [](const Contact&) { return true; });
    ASSERT_EQ(told, std::min<size_t>(16, expected.size()));
    for (size_t i = 0; i < told; ++i) ASSERT_EQ(found[i]->record.id, expected[i]) << i;
  }
}

TEST(TableProperties, HoldUnderRandomOperations) {
  Table::Stats sum;
  for_seeds(40, 1000, [&](uint64_t seed) {
    TableProperty test(seed);
    test.run(600);
    const Table::Stats& stats = test.stats();
    sum.promoted += stats.promoted;
    sum.evicted += stats.evicted;
    sum.replaced += stats.replaced;
    sum.refused_subnet_bucket += stats.refused_subnet_bucket;
    sum.refused_subnet_table += stats.refused_subnet_table;
    sum.refused_room += stats.refused_room;
    sum.checks_spared += stats.checks_spared;
    sum.foreign_endpoint += stats.foreign_endpoint;
  });
  // What was not reached was not tested.
  EXPECT_GT(sum.promoted, 0u);
  EXPECT_GT(sum.evicted, 0u);
  EXPECT_GT(sum.replaced, 0u);
  EXPECT_GT(sum.refused_subnet_bucket, 0u);
  EXPECT_GT(sum.refused_subnet_table, 0u);
  EXPECT_GT(sum.refused_room, 0u);
  EXPECT_GT(sum.checks_spared, 0u);
  EXPECT_GT(sum.foreign_endpoint, 0u);
}

}  // namespace
}  // namespace beamline::discovery
