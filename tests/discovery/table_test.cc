// The Kademlia table, a behaviour at a time; each defect of the reference systems by its name.
#include "discovery/table.h"

#include <set>

#include "discovery/contacts.h"
#include "nodes.h"

namespace beamline::discovery {
namespace {

class TableTest : public ::testing::Test {
 protected:
  static constexpr unsigned kBucket = 255;

  NodeRecord fresh(unsigned bucket = kBucket) {
    return node(random_id_in_bucket(self_, bucket, rng_), address(++networks_));
  }
  std::vector<NodeRecord> fill(size_t count) {
    std::vector<NodeRecord> made;
    for (size_t i = 0; i < count; ++i) {
      made.push_back(fresh());
      table_.contact_proven(made.back(), at(clock_ = clock_ + seconds(2)));
    }
    return made;
  }
  std::vector<NodeId> main_list(unsigned bucket = kBucket) {
    std::vector<NodeId> ids;
    table_.for_each([&](const Contact& contact) {
      const bool here = *bucket_of(self_, contact.record.id) == bucket;
      if (here && !contact.replacement) ids.push_back(contact.record.id);
    });
    return ids;
  }
  // All pings that the table wants within `time`; none is answered.
  std::vector<PingOrder> pings(Duration time) {
    std::vector<PingOrder> orders;
    for (const Duration end = clock_ + time; clock_ <= end; clock_ = clock_ + milliseconds(100)) {
      while (auto order = table_.poll_ping(at(clock_), rng_)) orders.push_back(*order);
    }
    return orders;
  }

  Rng rng_{1};
  NodeId self_ = random_id(rng_);
  uint32_t networks_ = 0;
  Duration clock_{};
  Table table_{self_, TableConfig{}, rng_, at({})};
};

TEST_F(TableTest, ABucketHoldsSixteenAndTenReplacements) {
  fill(30);
  EXPECT_EQ(table_.main_size(), kBucketSize);
  EXPECT_EQ(table_.replacement_size(), kReplacements);
  EXPECT_EQ(table_.stats().replaced, 4u);
}

TEST_F(TableTest, AllThatTheBucketsCanHold) {
  for (unsigned bucket = 0; bucket < kBuckets; ++bucket) {
    const size_t ids = bucket < 5 ? size_t{1} << bucket : 26;
    std::set<NodeId> made;
    while (made.size() < ids) {
      const NodeRecord record = fresh(bucket);
      if (made.insert(record.id).second) table_.contact_proven(record, at({}));
    }
  }
  EXPECT_EQ(table_.main_size(), 4047u);
  EXPECT_EQ(table_.replacement_size(), 2510u);
}

TEST_F(TableTest, AValidPacketMovesItsSenderToTheTail) {
  const auto nodes = fill(3);
  EXPECT_TRUE(table_.touched(nodes[0].id, nodes[0].udp, at(seconds(9))));
  EXPECT_EQ(main_list(), (std::vector{nodes[1].id, nodes[2].id, nodes[0].id}));
  EXPECT_FALSE(table_.touched(nodes[1].id, address(999), at(seconds(10)))) << "another endpoint";
  EXPECT_EQ(main_list().front(), nodes[1].id);
  EXPECT_EQ(table_.stats().foreign_endpoint, 1u);
}

// Mana: refreshing a contact that was not the head stored it twice.
TEST_F(TableTest, RefreshingAContactDoesNotDuplicateIt) {
  const auto nodes = fill(16);
  for (const auto& record : nodes) table_.contact_proven(record, at(seconds(60)));
  EXPECT_EQ(table_.size(), 16u);
}

TEST_F(TableTest, ANewcomerToAFullBucketCausesOnePingOfTheLeastRecentlySeen) {
  const auto nodes = fill(16);
  const NodeRecord newcomer = fresh();
  EXPECT_EQ(table_.contact_proven(newcomer, at(clock_)), Inserted::replacement);
  const auto order = table_.poll_ping(at(clock_), rng_);
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(order->record.id, nodes[0].id);
  EXPECT_EQ(order->why, PingOrder::Why::eviction);
  table_.contact_proven(fresh(), at(clock_));
  while (auto more = table_.poll_ping(at(clock_), rng_)) {
    EXPECT_NE(more->why, PingOrder::Why::eviction) << "one at a time";
  }
}

// Everybody's oldest contacts are the same few nodes: a ping of them for each stranger that anybody
// meets made up three of four pings while a network formed.
TEST_F(TableTest, ANewcomerCausesNoPingOfWhoWasSeenJustNow) {
  const auto nodes = fill(16);
  for (const auto& record : nodes) {
    table_.touched(record.id, record.udp, at(clock_));
    table_.pong(record.id, record.udp, at(clock_));
  }
  const auto evictions = [&] {
    EXPECT_EQ(table_.contact_proven(fresh(), at(clock_)), Inserted::replacement);
    size_t count = 0;
    while (const auto order = table_.poll_ping(at(clock_), rng_)) {
      count += order->why == PingOrder::Why::eviction;
    }
    return count;
  };
  for (int i = 0; i < 100; ++i) EXPECT_EQ(evictions(), 0u);
  EXPECT_EQ(table_.stats().checks_spared, 100u);
  clock_ = clock_ + seconds(30);
  EXPECT_EQ(evictions(), 1u);
}

TEST_F(TableTest, NoPongEvictsAndTheNewestLiveReplacementTakesTheTail) {
  const auto nodes = fill(19);
  const auto order = table_.poll_ping(at(clock_), rng_);
  ASSERT_EQ(order->record.id, nodes[0].id);
  table_.ping_failed(nodes[0].id, at(clock_));
  EXPECT_EQ(table_.find(nodes[0].id), nullptr);
  EXPECT_EQ(main_list().back(), nodes[18].id);
  EXPECT_EQ(table_.replacement_size(), 2u);
}

TEST_F(TableTest, APongKeepsTheOldestAtTheTail) {
  const auto nodes = fill(17);
  ASSERT_EQ(table_.poll_ping(at(clock_), rng_)->record.id, nodes[0].id);
  table_.pong(nodes[0].id, nodes[0].udp, at(clock_));
  EXPECT_EQ(main_list().back(), nodes[0].id);
  EXPECT_TRUE(table_.find(nodes[16].id)->replacement);
}

// ethrex: a main-only get_mut lost what happened to a contact among the replacements.
TEST_F(TableTest, PhantomContactIsAbsentEachMutationReachesAReplacement) {
  const auto nodes = fill(17);
  const NodeId id = nodes[16].id;
  table_.set_knows_us(id, true);
  table_.ping_sent(id, at(seconds(100)));
  table_.findnode_sent(id, at(seconds(101)));
  for (int i = 0; i < 4; ++i) table_.findnode_failed(id);
  const Contact* contact = table_.find(id);
  ASSERT_NE(contact, nullptr);
  EXPECT_TRUE(contact->replacement);
  EXPECT_TRUE(contact->knows_us);
  EXPECT_TRUE(contact->ping_pending);
  EXPECT_EQ(contact->last_findnode, at(seconds(101)).mono);
  EXPECT_EQ(contact->findnode_failures, 4);
  bool seen = false;
  table_.for_each([&](const Contact& c) { seen |= c.record.id == id && c.knows_us; });
  EXPECT_TRUE(seen) << "iteration shows the same object";
  table_.findnode_failed(id);
  EXPECT_TRUE(table_.find(id)->disposable);
  table_.prune(at(seconds(102)));
  EXPECT_EQ(table_.find(id), nullptr);
}

// ethrex: a missed pong never made a contact disposable; silent ones were pinged for ever.
TEST_F(TableTest, AMissedPongMakesAContactDisposable) {
  const NodeRecord silent = fill(1)[0];
  EXPECT_FALSE(table_.find(silent.id)->disposable);
  size_t missed = 0;
  while (table_.find(silent.id) != nullptr && missed < 100) {
    for (const PingOrder& order : pings(seconds(1))) {
      ++missed;
      table_.ping_failed(order.record.id, at(clock_));
    }
    table_.tick(at(clock_));
  }
  EXPECT_EQ(table_.find(silent.id), nullptr);
  EXPECT_EQ(missed, 1u);
}

TEST_F(TableTest, AMissedPongOfAProvenContactDividesItsChecks) {
  const NodeRecord good = fill(1)[0];
  for (int i = 0; i < 8; ++i) table_.pong(good.id, good.udp, at(clock_));
  EXPECT_EQ(table_.find(good.id)->checks, 9u);
  for (const uint32_t left : {3u, 1u, 0u}) {
    table_.ping_sent(good.id, at(clock_));
    table_.ping_failed(good.id, at(clock_));
    EXPECT_EQ(table_.find(good.id)->checks, left);
    EXPECT_FALSE(table_.find(good.id)->live) << "not told to others until it answers";
  }
  EXPECT_TRUE(table_.find(good.id)->disposable);
}

TEST_F(TableTest, AMissedFindnodeIsNotToldUntilItAnswersAPing) {
  const NodeRecord record = fill(1)[0];
  table_.pong(record.id, record.udp, at(clock_));
  table_.findnode_failed(record.id);
  std::array<const Contact*, 16> out;
  EXPECT_EQ(table_.closest(record.id, Reach::live, out), 0u);
  const auto orders = pings(seconds(4));
  ASSERT_FALSE(orders.empty()) << "asked soon: the fast list";
  table_.pong(record.id, record.udp, at(clock_));
  EXPECT_EQ(table_.closest(record.id, Reach::live, out), 1u);
}

TEST_F(TableTest, CrowdedNetworksAreToldLast) {
  fill(10);
  for (uint8_t host = 1; host <= 8; ++host) {
    const NodeId id = random_id_in_bucket(self_, 254 - host, rng_);
    table_.contact_proven(node(id, address(9999, host)), at(clock_));
  }
  std::array<const Contact*, 16> out;
  const auto any = [](const Contact&) { return true; };
  ASSERT_EQ(table_.tell(self_, Reach::live, out, any), 12u) << "two of the eight";
  for (size_t i = 0; i < 10; ++i)
    EXPECT_NE(subnet_of(out[i]->record.udp), subnet_of(address(9999)));
  EXPECT_EQ(table_.closest(self_, Reach::live, out), 16u);
}

TEST_F(TableTest, APingWithoutAnOutcomeCountsAsFailed) {
  const NodeRecord record = fill(1)[0];
  table_.ping_sent(record.id, at(clock_));
  table_.tick(at(clock_ + seconds(11)));
  EXPECT_EQ(table_.find(record.id), nullptr);
  EXPECT_EQ(table_.stats().pings_failed, 1u);
}

// Mana: an expired pong was dropped, and the candidate that waited for it was not inserted.
TEST_F(TableTest, AnExpiredPongInsertsTheCandidateThatWaitedForIt) {
  const auto nodes = fill(17);
  ASSERT_EQ(table_.poll_ping(at(clock_), rng_)->record.id, nodes[0].id);
  EXPECT_TRUE(table_.find(nodes[16].id)->replacement);
  table_.tick(at(clock_ + seconds(11)));  // no outcome of the ping ever came
  EXPECT_EQ(table_.find(nodes[0].id), nullptr);
  EXPECT_FALSE(table_.find(nodes[16].id)->replacement);
  EXPECT_EQ(main_list().back(), nodes[16].id);
}

// ethrex: promotion did not look whether the replacement lives.
TEST_F(TableTest, PromotionTakesLiveReplacementsOnlyAndChecksThemSoon) {
  const auto nodes = fill(18);
  table_.heard(fresh(), at(clock_));  // newest, but unproven
  table_.ping_sent(nodes[17].id, at(clock_));
  table_.ping_failed(nodes[17].id, at(clock_));  // newest proven one, dead since
  table_.mark_disposable(nodes[3].id, Failure::request);
  table_.prune(at(clock_));
  EXPECT_EQ(main_list().back(), nodes[16].id);
  EXPECT_EQ(table_.find(nodes[16].id)->checks, 1u) << "one missed pong is enough";
  EXPECT_EQ(table_.stats().promoted, 1u);
}

TEST_F(TableTest, PruneRunsEveryFiveSecondsWhateverElseHappens) {
  const auto nodes = fill(20);
  clock_ = seconds(100);
  table_.tick(at(clock_));
  table_.mark_disposable(nodes[0].id, Failure::dial);
  table_.mark_disposable(nodes[18].id, Failure::handshake);
  table_.tick(at(clock_ + milliseconds(4999)));
  EXPECT_EQ(table_.size(), 20u);
  EXPECT_LE(table_.next_deadline(), at(clock_ + seconds(5)).mono);
  table_.tick(at(clock_ + seconds(5)));
  EXPECT_EQ(table_.size(), 18u);
  EXPECT_EQ(table_.main_size(), 16u);
  EXPECT_EQ(table_.stats().pruned, 2u);
}

TEST_F(TableTest, HearsayIsPingedBeforeMainAndNeverTold) {
  const NodeRecord told = fresh();
  EXPECT_EQ(table_.heard(told, at(clock_)), Inserted::replacement);
  std::array<const Contact*, 16> out;
  EXPECT_EQ(table_.closest(told.id, Reach::live, out), 0u);
  EXPECT_EQ(table_.closest(told.id, Reach::main, out), 0u);
  EXPECT_EQ(table_.closest(told.id, Reach::all, out), 1u) << "a seed of look-ups all the same";
  const auto order = table_.poll_ping(at(clock_), rng_);
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(order->why, PingOrder::Why::candidate);
  table_.pong(told.id, told.udp, at(clock_));
  EXPECT_FALSE(table_.find(told.id)->replacement);
  EXPECT_EQ(table_.closest(told.id, Reach::live, out), 1u);
}

TEST_F(TableTest, HearsayNeverDisplacesAContactThatAnswers) {
  const auto nodes = fill(26);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(table_.heard(fresh(), at(clock_)), Inserted::no_room);
  for (const auto& record : nodes) EXPECT_NE(table_.find(record.id), nullptr);
  EXPECT_EQ(table_.stats().refused_room, 100u);
}

TEST_F(TableTest, HearsayDoesNotMoveAKnownEndpoint) {
  const NodeRecord record = fill(1)[0];
  table_.heard(node(record.id, address(777)), at(clock_));
  EXPECT_EQ(table_.find(record.id)->record.udp, record.udp);
  EXPECT_TRUE(table_.find(record.id)->live);
}

TEST_F(TableTest, ARecordUpdateThatMovesTheEndpointHasToBeProvenAgain) {
  const NodeRecord record = fill(1)[0];
  EXPECT_TRUE(table_.update_record(with_seq(node(record.id, record.udp), 1), at(clock_)));
  EXPECT_TRUE(table_.find(record.id)->live);
  EXPECT_TRUE(table_.update_record(with_seq(node(record.id, address(88)), 2), at(clock_)));
  EXPECT_TRUE(table_.find(record.id)->replacement);
  EXPECT_FALSE(table_.update_record(with_seq(node(record.id, address(89)), 1), at(clock_)));
  const auto order = table_.poll_ping(at(clock_), rng_);
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(order->record.udp, address(88));
  table_.pong(record.id, record.udp, at(clock_));  // the old endpoint proves nothing
  EXPECT_FALSE(table_.find(record.id)->live);
  table_.pong(record.id, address(88), at(clock_));
  EXPECT_FALSE(table_.find(record.id)->replacement);
}

// The reference has no IP limits: one host fills a table.
TEST_F(TableTest, IpLimitsTwoPerNetworkAndBucketTenPerTable) {
  size_t in = 0;
  for (unsigned bucket = 255; bucket > 235; --bucket) {
    for (uint8_t host = 1; host <= 5; ++host) {
      const NodeRecord record = node(random_id_in_bucket(self_, bucket, rng_), address(5, host));
      in += table_.contact_proven(record, at({})) == Inserted::main;
      in += table_.heard(record, at({})) == Inserted::replacement;
    }
  }
  EXPECT_EQ(in, 10u);
  EXPECT_EQ(table_.bucket_size(255).main, 2u);
  EXPECT_GT(table_.stats().refused_subnet_bucket, 0u);
  EXPECT_GT(table_.stats().refused_subnet_table, 0u);
  // Loopback and LAN are exempt.
  for (int i = 0; i < 16; ++i) {
    const NodeId id = random_id_in_bucket(self_, 254, rng_);
    table_.contact_proven(node(id, Endpoint::loopback(uint16_t(9000 + i))), at({}));
  }
  EXPECT_EQ(table_.bucket_size(254).main, 16u);
}

TEST_F(TableTest, ANetworkHoldsAtMostItsShareOfALargerTable) {
  for (uint8_t host = 1; host <= 10; ++host) {
    const NodeId id = random_id_in_bucket(self_, 240u - host, rng_);
    EXPECT_EQ(table_.contact_proven(node(id, address(9999, host)), at({})), Inserted::main);
  }
  for (int i = 0; i < 90; ++i) table_.contact_proven(fresh(255 - unsigned(i % 9)), at({}));
  ASSERT_EQ(table_.size(), 100u);
  table_.tick(at(seconds(10)));
  EXPECT_LE(table_.size() - 90, table_.size() / kShare) << "what was more than that goes";
  EXPECT_EQ(table_.stats().over_share, 100 - table_.size());
  const NodeRecord another = node(random_id_in_bucket(self_, 200, rng_), address(9999, 99));
  EXPECT_EQ(table_.contact_proven(another, at(seconds(11))), Inserted::subnet_full);
}

TEST_F(TableTest, ARemovedContactGivesItsPlaceInTheNetworkBack) {
  const NodeRecord a = node(random_id_in_bucket(self_, 255, rng_), address(5, 1));
  const NodeRecord b = node(random_id_in_bucket(self_, 255, rng_), address(5, 2));
  const NodeRecord c = node(random_id_in_bucket(self_, 255, rng_), address(5, 3));
  table_.contact_proven(a, at({}));
  table_.contact_proven(b, at({}));
  EXPECT_EQ(table_.contact_proven(c, at({})), Inserted::subnet_full);
  table_.mark_disposable(a.id, Failure::ping);
  table_.prune(at({}));
  EXPECT_EQ(table_.contact_proven(c, at({})), Inserted::main);
}

TEST_F(TableTest, SelfAndUnusableAddressesAreRefused) {
  EXPECT_EQ(table_.contact_proven(node(self_, address(1)), at({})), Inserted::self);
  EXPECT_EQ(table_.heard(node(self_, address(1)), at({})), Inserted::self);
  const NodeId id = random_id(rng_);
  for (const char* text :
       {"0.0.0.0:1", "224.0.0.1:30303", "255.255.255.255:9", "[::]:9", "1.2.3.4:0"}) {
    EXPECT_EQ(table_.heard(node(id, *Endpoint::parse(text)), at({})), Inserted::unusable) << text;
  }
  EXPECT_EQ(table_.heard(node(id, Endpoint{}), at({})), Inserted::unusable);
}

TEST_F(TableTest, ABucketUntouchedForAnHourIsRefreshedOnce) {
  fill(1);
  table_.contact_proven(fresh(252), at(seconds(3000)));
  std::set<unsigned> refreshed;
  for (Duration time = seconds(3700); time < seconds(3790); time = time + seconds(10)) {
    const auto target = table_.poll_refresh(at(time), rng_);
    if (target) refreshed.insert(*bucket_of(self_, *target));
    EXPECT_FALSE(table_.poll_refresh(at(time), rng_).has_value()) << "one at a time";
  }
  EXPECT_EQ(refreshed, (std::set<unsigned>{255, 254, 253})) << "252 was touched; none below";
  EXPECT_FALSE(table_.poll_refresh(at(seconds(3800)), rng_).has_value());
  EXPECT_EQ(bucket_of(self_, *table_.poll_refresh(at(seconds(6600)), rng_)), 252u);
}

// An id that an attacker made up near to ours had all buckets between it and us looked up, each
// hour and all at once: 81 messages a second in the simulation of 10,000 nodes.
TEST_F(TableTest, AMadeUpNeighbourDoesNotCauseARefreshOfAllBuckets) {
  for (const unsigned bucket : {255u, 254u, 253u, 250u}) {
    table_.contact_proven(fresh(bucket), at({}));
  }
  table_.contact_proven(fresh(20), at({}));
  std::set<unsigned> refreshed;
  size_t count = 0;
  for (Duration time = seconds(3600); time < seconds(7100); time = time + seconds(1)) {
    const auto target = table_.poll_refresh(at(time), rng_);
    if (!target) continue;
    ++count;
    refreshed.insert(*bucket_of(self_, *target));
  }
  EXPECT_EQ(refreshed, (std::set<unsigned>{255, 254, 253, 252, 251, 250}));
  EXPECT_EQ(count, 6u);
}

TEST_F(TableTest, RevalidationHasAFastAndASlowList) {
  const auto nodes = fill(10);
  const auto answer_all = [&](Duration time) {
    size_t count = 0;
    for (const Duration end = clock_ + time; clock_ < end; clock_ = clock_ + milliseconds(100)) {
      while (auto order = table_.poll_ping(at(clock_), rng_)) {
        ++count;
        table_.pong(order->record.id, order->record.udp, at(clock_));
      }
    }
    return count;
  };
  answer_all(seconds(60));  // new ones: one in 1.5 s
  for (const auto& record : nodes) EXPECT_GT(table_.find(record.id)->checks, 1u);
  const size_t slow = answer_all(seconds(600));
  EXPECT_GT(slow, 80u) << "then one in 4.5 s";
  EXPECT_LT(slow, 200u);
}

// By one random draw a contact out of 160 is asked each 12 minutes in the mean, whoever else has
// just been heard of; a third of those that fell silent were still told to others after that.
TEST_F(TableTest, RevalidationAsksWhoWasNotSeenForLong) {
  std::vector<NodeRecord> nodes;
  for (unsigned i = 0; i < 160; ++i) {
    nodes.push_back(fresh(255 - i / 16));
    table_.contact_proven(nodes.back(), at(clock_));
    table_.pong(nodes.back().id, nodes.back().udp, at(clock_));  // of the slow list
  }
  Duration longest{};
  for (size_t asked = 0; asked < 3 * nodes.size();) {
    clock_ = clock_ + milliseconds(500);
    while (const auto order = table_.poll_ping(at(clock_), rng_)) {
      ++asked;
      const Contact* const contact = table_.find(order->record.id);
      longest = std::max(longest, at(clock_).mono - contact->last_seen);
      table_.pong(order->record.id, order->record.udp, at(clock_));
    }
  }
  for (const auto& record : nodes) {
    longest = std::max(longest, at(clock_).mono - table_.find(record.id)->last_seen);
  }
  EXPECT_LT(to_seconds(longest), 1900) << "one draw: 2,287";
}

TEST_F(TableTest, PingsPerTimeAreBoundedWhateverIsHeard) {
  for (int i = 0; i < 5000; ++i) table_.heard(fresh(255 - unsigned(i % 8)), at(clock_));
  EXPECT_LE(pings(seconds(10)).size(), 10u * 10u + 1u);
}

TEST_F(TableTest, ContactsAtADistance) {
  fill(17);
  table_.contact_proven(fresh(250), at(clock_));
  std::array<const Contact*, 32> out;
  EXPECT_EQ(table_.at_distance(256, Reach::live, out), 16u);
  EXPECT_EQ(table_.at_distance(256, Reach::all, out), 17u);
  EXPECT_EQ(table_.at_distance(251, Reach::live, out), 1u);
  EXPECT_EQ(table_.at_distance(0, Reach::all, out), 0u);
  EXPECT_EQ(table_.at_distance(257, Reach::all, out), 0u);
}

// Mana sorted neighbours by the length of the common prefix.
TEST_F(TableTest, ClosestAreSortedByXorNotByPrefix) {
  fill(16);
  for (int i = 0; i < 20; ++i) {
    const NodeId target = random_id(rng_);
    std::array<const Contact*, 16> out;
    const size_t count = table_.closest(target, Reach::live, out);
    for (size_t k = 1; k < count; ++k) {
      EXPECT_TRUE(closer(target, out[k - 1]->record.id, out[k]->record.id));
    }
  }
}

// The reference scans the whole table and copies it.
TEST_F(TableTest, ClosestLooksAtAFewBucketsNotAtTheWholeTable) {
  for (unsigned bucket = 100; bucket < kBuckets; ++bucket) {
    for (int i = 0; i < 16; ++i) table_.contact_proven(fresh(bucket), at({}));
  }
  ASSERT_EQ(table_.size(), 156u * 16);
  size_t most = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto bucket = static_cast<unsigned>(rng_.below(256));
    const NodeId target = random_id_in_bucket(self_, bucket, rng_);
    size_t looked = 0;
    std::array<const Contact*, 16> out;
    const auto count = table_.closest_if(target, Reach::all, out, [&](const Contact&) {
      ++looked;
      return true;
    });
    ASSERT_EQ(count, 16u);
    most = std::max(most, looked);
  }
  EXPECT_LE(most, 32u);
}

TEST_F(TableTest, DialChoiceOffersReplacements) {
  const auto nodes = fill(20);
  std::set<NodeId> offered;
  for (int i = 0; i < 1000; ++i) {
    offered.insert(table_.pick(Reach::all, rng_, [](const Contact&) { return true; })->record.id);
  }
  EXPECT_EQ(offered.size(), 20u);
}

TEST_F(TableTest, MarkDisposableIsAPublicInputOfEveryProtocol) {
  Contacts contacts(self_, {}, {}, {}, rng_, at({}));
  const NodeRecord record = fresh();
  contacts.contact_proven(record, at({}));
  contacts.mark_disposable(record.id, Failure::request, at({}));
  contacts.table.tick(at(seconds(5)));
  EXPECT_EQ(contacts.table.find(record.id), nullptr);
  EXPECT_NE(contacts.pool.find(record.id), nullptr) << "no permanent blacklist";
  EXPECT_EQ(contacts.pool.pick(at({}), rng_), nullptr);
  EXPECT_NE(contacts.pool.pick(at(seconds(30)), rng_), nullptr);
  EXPECT_EQ(contacts.contact_proven(record, at(seconds(31))), Inserted::main);
}

}  // namespace
}  // namespace beamline::discovery
