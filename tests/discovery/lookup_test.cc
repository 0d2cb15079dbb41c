// The iterative look-up: what it finds, when it ends, and what liars can do to it.
#include "discovery/lookup.h"

#include <algorithm>
#include <map>
#include <set>

#include "discovery/contacts.h"
#include "discovery/lookup_schedule.h"
#include "nodes.h"

namespace beamline::discovery {
namespace {

// A network in which each node knows some others, and answers with the 16 nearest of them.
class Network {
 public:
  Network(Rng& rng, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      nodes_.push_back(node(random_id(rng), address(static_cast<uint32_t>(i))));
    }
    for (const auto& record : nodes_) by_id_[record.id] = &record;
    knows_.resize(size);
    for (size_t i = 0; i < size; ++i) {
      // As a table would: the nearest, and some of everywhere.
      std::vector<const NodeRecord*> sorted;
      for (const auto& other : nodes_) sorted.push_back(&other);
      sort(sorted, nodes_[i].id);
      for (size_t k = 1; k < 24 && k < sorted.size(); ++k) knows_[i].push_back(sorted[k]);
      for (size_t k = 0; k < 40; ++k) knows_[i].push_back(&nodes_[rng.below(size)]);
    }
  }
  static void sort(std::vector<const NodeRecord*>& nodes, const NodeId& target) {
    std::sort(nodes.begin(), nodes.end(), [&](const NodeRecord* a, const NodeRecord* b) {
      return closer(target, a->id, b->id);
    });
  }
  std::vector<NodeRecord> answer(const NodeId& asked, const NodeId& target) {
    const auto index = static_cast<size_t>(by_id_.at(asked) - nodes_.data());
    auto known = knows_[index];
    sort(known, target);
    known.resize(std::min<size_t>(known.size(), 16));
    std::vector<NodeRecord> out;
    for (const auto* record : known) out.push_back(*record);
    return out;
  }
  std::vector<NodeId> closest(const NodeId& target, const std::set<NodeId>& dead, size_t count) {
    std::vector<const NodeRecord*> sorted;
    for (const auto& record : nodes_) {
      if (!dead.contains(record.id)) sorted.push_back(&record);
    }
    sort(sorted, target);
    std::vector<NodeId> out;
    for (size_t i = 0; i < std::min(count, sorted.size()); ++i) out.push_back(sorted[i]->id);
    return out;
  }
  const std::vector<NodeRecord>& nodes() const { return nodes_; }

 private:
  std::vector<NodeRecord> nodes_;
  std::map<NodeId, const NodeRecord*> by_id_;
  std::vector<std::vector<const NodeRecord*>> knows_;
};

std::vector<NodeId> found(const Lookup& lookup) {
  std::array<NodeRecord, 16> out;
  std::vector<NodeId> ids;
  for (size_t i = 0, count = lookup.closest(out); i < count; ++i) ids.push_back(out[i].id);
  return ids;
}

// Some answer, in pieces or late, some fail, some are silent.
void run_random(uint64_t seed) {
  Rng rng(seed);
  Network network(rng, 300);
  std::set<NodeId> dead;
  const uint64_t dead_percent = rng.below(40);
  for (const auto& record : network.nodes()) {
    if (rng.chance(dead_percent, 100)) dead.insert(record.id);
  }
  const NodeId self = random_id(rng);
  const NodeId target = random_id(rng);
  Lookup lookup(self, target, {}, at({}));
  for (int i = 0; i < 8; ++i) lookup.add(network.nodes()[rng.below(300)]);
  std::set<NodeId> asked;
  std::vector<NodeId> in_flight;
  Duration clock{};
  while (!lookup.done()) {
    while (const NodeRecord* next = lookup.poll(at(clock))) {
      ASSERT_TRUE(asked.insert(next->id).second) << "asked twice";
      ASSERT_NE(next->id, self);
      in_flight.push_back(next->id);
      ASSERT_LE(in_flight.size(), 3u) << "alpha";
    }
    clock = clock + milliseconds(50);
    ASSERT_LE(clock, seconds(20)) << "it ends";
    while (auto expired = lookup.expired(at(clock))) std::erase(in_flight, *expired);
    if (in_flight.empty()) continue;
    const NodeId id = in_flight[rng.below(in_flight.size())];
    if (dead.contains(id)) {
      if (rng.chance(1, 2)) {
        lookup.failed(id, at(clock));
        std::erase(in_flight, id);
      }
      continue;
    }
    const auto nodes = network.answer(id, target);
    const size_t half = rng.below(nodes.size());
    lookup.answered(id, std::span(nodes).first(half), false, at(clock));
    lookup.answered(id, std::span(nodes).subspan(half), true, at(clock));
    std::erase(in_flight, id);
    ASSERT_EQ(lookup.in_flight(), in_flight.size());
  }
  // The tables are full of dead ones that nobody evicts, so the last of the sixteen may be missed.
  const auto result = found(lookup);
  size_t missed = 0;
  for (const NodeId& id : network.closest(target, dead, 16)) {
    missed += std::count(result.begin(), result.end(), id) == 0;
  }
  EXPECT_LE(missed, dead.empty() ? 0u : 3u);
}

TEST(LookupProperties, NeverTwiceAtMostAlphaEndsAndFindsTheClosest) {
  for_seeds(12, 300, run_random);
}

// Mana stopped after eight rounds. A chain in which each knows only the next is followed to its
// end.
TEST(LookupTest, DoesNotStopAfterEightRounds) {
  Rng rng(5);
  const NodeId target = random_id(rng);
  Lookup lookup(random_id(rng), target, {}, at({}));
  const auto step = [&](unsigned i) {
    return node(random_id_in_bucket(target, 250 - i, rng), address(i));
  };
  lookup.add(step(0));
  unsigned rounds = 0;
  while (const NodeRecord* next = lookup.poll(at({}))) {
    const NodeId asked = next->id;
    const NodeRecord nearer = step(++rounds);
    lookup.answered(asked, std::span(&nearer, rounds < 60 ? 1 : 0), true, at({}));
  }
  EXPECT_EQ(rounds, 60u);
  EXPECT_TRUE(lookup.done());
}

TEST(LookupTest, AQueryTimesOutAndTheLookupHasADeadline) {
  Rng rng(6);
  Lookup lookup(random_id(rng), random_id(rng), {}, at({}));
  for (uint32_t i = 0; i < 60; ++i) lookup.add(node(random_id(rng), address(i)));
  Duration clock{};
  for (; !lookup.done() && clock < seconds(100); clock = clock + milliseconds(100)) {
    while (lookup.poll(at(clock)) != nullptr) {
    }
    while (lookup.expired(at(clock))) {
    }
  }
  EXPECT_LE(clock, milliseconds(20'200));
  EXPECT_LE(lookup.stats().asked, 33u);
  EXPECT_TRUE(found(lookup).empty());
  EXPECT_EQ(lookup.next_deadline(), MonoTime::never());
}

TEST(LookupTest, UnsolicitedAndLateAnswersChangeNothing) {
  Rng rng(7);
  Lookup lookup(random_id(rng), random_id(rng), {}, at({}));
  const NodeRecord seed = node(random_id(rng), address(1));
  const NodeRecord other = node(random_id(rng), address(2));
  lookup.add(seed);
  lookup.answered(seed.id, std::span(&other, 1), true, at({}));  // not asked yet
  EXPECT_EQ(lookup.stats().unsolicited, 1u);
  ASSERT_EQ(lookup.poll(at({}))->id, seed.id);
  lookup.answered(other.id, std::span(&other, 1), true, at({}));  // not asked at all
  EXPECT_EQ(lookup.expired(at(seconds(2))), seed.id);
  lookup.answered(seed.id, std::span(&other, 1), true, at(seconds(2)));  // too late
  EXPECT_EQ(lookup.stats().unsolicited, 3u);
  EXPECT_TRUE(lookup.done());
}

TEST(LookupTest, AnAnswerBringsAtMostSixteenAndKnownAreBounded) {
  Rng rng(8);
  LookupConfig config;
  config.max_known = 40;
  config.max_queries = 30;
  Lookup lookup(random_id(rng), random_id(rng), config, at({}));
  uint32_t networks = 0;
  lookup.add(node(random_id(rng), address(++networks)));
  size_t asked = 0;
  while (const NodeRecord* next = lookup.poll(at({}))) {
    ++asked;
    const NodeId id = next->id;
    std::vector<NodeRecord> liar;
    for (int i = 0; i < 100; ++i) liar.push_back(node(random_id(rng), address(++networks)));
    lookup.answered(id, liar, true, at({}));
  }
  EXPECT_LE(asked, 30u);
  EXPECT_EQ(lookup.stats().refused_excess, asked * 84);
  EXPECT_GT(lookup.stats().displaced, 0u);
  EXPECT_TRUE(lookup.done());
}

// Two networks and any number of ids: they take no seat, and the honest ones are found.
TEST(LookupTest, EclipseAttackersOfTwoNetworksNeitherFillNorEndALookup) {
  Rng rng(9);
  Network network(rng, 300);
  const NodeId target = random_id(rng);
  Lookup lookup(random_id(rng), target, {}, at({}));
  const auto attacker = [&] {
    return node(random_id_in_bucket(target, unsigned(rng.below(40)), rng),
                address(5000 + uint32_t(rng.below(2)), uint8_t(1 + rng.below(8))));
  };
  std::set<NodeId> attackers;
  lookup.add(network.nodes()[0]);
  while (const NodeRecord* next = lookup.poll(at({}))) {
    const NodeId id = next->id;
    std::vector<NodeRecord> nodes;
    if (!attackers.contains(id)) nodes = network.answer(id, target);
    nodes.insert(nodes.begin(), attacker());  // every honest table holds some too
    if (attackers.contains(id)) nodes.assign(16, attacker());
    for (const auto& record : nodes) {
      if (subnet_of(record.udp) >= subnet_of(address(5000))) attackers.insert(record.id);
    }
    lookup.answered(id, nodes, true, at({}));
  }
  const auto result = found(lookup);
  ASSERT_EQ(result.size(), 16u);
  std::vector<NodeId> honest;
  for (const NodeId& id : result) {
    if (!attackers.contains(id)) honest.push_back(id);
  }
  EXPECT_EQ(honest.size(), 16u);
  EXPECT_EQ(honest, network.closest(target, {}, honest.size()));
}

TEST(LookupTest, SeedsComeFromBothListsAndThePool) {
  Rng rng(10);
  const NodeId self = random_id(rng);
  Contacts contacts(self, {}, {}, {}, rng, at({}));
  const NodeRecord unproven = node(random_id(rng), address(1));
  contacts.heard(unproven, at({}));
  Lookup lookup(self, random_id(rng), {}, at({}));
  contacts.seed(lookup);
  ASSERT_NE(lookup.poll(at({})), nullptr);
  contacts.mark_disposable(unproven.id, Failure::findnode, at({}));
  contacts.table.prune(at({}));
  Lookup second(self, random_id(rng), {}, at({}));
  contacts.seed(second);
  EXPECT_NE(second.poll(at({})), nullptr) << "the pool still knows it";
}

TEST(LookupScheduleTest, SelfFirstThenFrom500MsTo10S) {
  Rng rng(11);
  const NodeId self = random_id(rng);
  Table table(self, {}, rng, at({}));
  LookupSchedule schedule({}, at({}));
  EXPECT_EQ(schedule.poll(table, true, at({}), rng), self);
  schedule.finished(0, 0, at({}));
  std::vector<Duration> starts;
  for (Duration clock{}; clock < seconds(100); clock = clock + milliseconds(100)) {
    if (schedule.poll(table, true, at(clock), rng)) {
      starts.push_back(clock);
      schedule.finished(0, 0, at(clock));
    }
  }
  EXPECT_LT(starts.size(), 40u) << "nobody answers: less often";
  schedule.finished(5, 5, at(seconds(100)));
  size_t wanted = 0;
  size_t idle = 0;
  for (Duration clock = seconds(111); clock < seconds(131); clock = clock + milliseconds(100)) {
    if (schedule.poll(table, true, at(clock), rng)) {
      ++wanted;
      schedule.finished(5, 5, at(clock));
    }
  }
  EXPECT_GT(wanted, 20u);
  for (Duration clock = seconds(131); clock < seconds(1000); clock = clock + milliseconds(100)) {
    if (schedule.poll(table, false, at(clock), rng)) {
      ++idle;
      schedule.finished(5, 5, at(clock));
    }
  }
  EXPECT_EQ(idle, 0u) << "with enough peers only what is refreshed";
}

}  // namespace
}  // namespace beamline::discovery
