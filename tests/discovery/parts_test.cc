// The smaller parts: distances, addresses, voting, the choice of a peer, the node database.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include <unistd.h>

#include "codec/enr.h"
#include "discovery/address_vote.h"
#include "discovery/expiring_set.h"
#include "discovery/ip_limits.h"
#include "discovery/node_db.h"
#include "discovery/node_db_file.h"
#include "discovery/peer_choice.h"
#include "nodes.h"

namespace beamline::discovery {
namespace {

TEST(NodeIdTest, BucketIs255MinusTheCommonPrefix) {
  NodeId self;
  NodeId id;
  EXPECT_FALSE(bucket_of(self, id).has_value());
  id.bytes[31] = 1;
  EXPECT_EQ(bucket_of(self, id), 0u);
  EXPECT_EQ(log_distance(self, id), 1u);
  id.bytes[0] = 0x80;
  EXPECT_EQ(bucket_of(self, id), 255u);
  Rng rng(1);
  for (unsigned bucket = 0; bucket < 256; ++bucket) {
    EXPECT_EQ(bucket_of(self, random_id_in_bucket(self, bucket, rng)), bucket);
    self = random_id(rng);
  }
}

TEST(IpLimitsTest, NetworksAndScopes) {
  const auto parse = [](const char* text) { return *Endpoint::parse(text); };
  EXPECT_EQ(subnet_of(parse("1.2.3.4:1")), subnet_of(parse("1.2.3.255:9")));
  EXPECT_NE(subnet_of(parse("1.2.3.4:1")), subnet_of(parse("1.2.4.4:1")));
  EXPECT_EQ(subnet_of(parse("[2001:db8:1:2::1]:1")), subnet_of(parse("[2001:db8:1:ff::9]:1")));
  EXPECT_NE(subnet_of(parse("[2001:db8:1::1]:1")), subnet_of(parse("[2001:db8:2::1]:1")));
  EXPECT_EQ(subnet_of(parse("[::ffff:1.2.3.4]:1")), subnet_of(parse("1.2.3.4:1")));
  for (const char* lan : {"127.0.0.1:1", "10.1.1.1:1", "172.31.0.1:1", "192.168.3.4:1",
                          "169.254.1.1:1", "[::1]:1", "[fe80::1]:1", "[fd00::1]:1"}) {
    EXPECT_TRUE(is_lan(parse(lan))) << lan;
    EXPECT_EQ(subnet_of(parse(lan)), 0u) << lan;
  }
  EXPECT_FALSE(is_lan(parse("172.32.0.1:1")));
  EXPECT_TRUE(relay_allowed(parse("127.0.0.1:1"), parse("127.0.0.1:2")));
  EXPECT_TRUE(relay_allowed(parse("10.0.0.1:1"), parse("8.8.8.8:2")));
  EXPECT_FALSE(relay_allowed(parse("8.8.8.8:1"), parse("10.0.0.1:2")));
  EXPECT_FALSE(relay_allowed(parse("10.0.0.1:1"), parse("127.0.0.1:2")));
}

TEST(IpLimitsTest, CountsFollowRandomAddsAndRemoves) {
  for_seeds(5, 100, [](uint64_t seed) {
    Rng rng(seed);
    SubnetCounts counts(rng);
    std::map<uint64_t, size_t> model;
    for (int i = 0; i < 3000; ++i) {
      const uint64_t subnet = 1 + rng.below(60);
      if (rng.chance(1, 2)) {
        counts.add(subnet);
        ++model[subnet];
      } else if (model[subnet] > 0) {
        counts.remove(subnet);
        --model[subnet];
      }
      ASSERT_EQ(counts.count(subnet), model[subnet]);
    }
    for (const auto& [subnet, count] : model) ASSERT_EQ(counts.count(subnet), count);
  });
}

TEST(ExpiringSetTest, FollowsAModelAndStaysBounded) {
  for_seeds(5, 100, [](uint64_t seed) {
    Rng rng(seed);
    ExpiringSet set(32, seconds(10), rng);
    std::map<uint64_t, Duration> model;
    Duration clock{};
    for (int i = 0; i < 3000; ++i) {
      clock = clock + milliseconds(static_cast<int64_t>(rng.below(1000)));
      const uint64_t key = 1 + rng.below(50);
      if (rng.chance(1, 3)) {
        set.add(key, at(clock));
        model[key] = clock;
      }
      ASSERT_LE(set.size(), 32u);
      const bool there = model.contains(key) && model[key] + seconds(10) > clock;
      if (set.displaced() == 0) {
        ASSERT_EQ(set.contains(key, at(clock)), there);
      }
    }
  });
  Rng rng(1);
  ExpiringSet set(4, seconds(10), rng);
  for (uint64_t key = 1; key <= 6; ++key) set.add(key, at({}));
  EXPECT_EQ(set.displaced(), 2u);
  EXPECT_FALSE(set.contains(2, at({})));
  EXPECT_TRUE(set.contains(3, at({})));
}

TEST(AddressVoteTest, AMajorityOfNetworksDecides) {
  AddressVote vote;
  const Endpoint ours = address(1, 7, 9000);
  const Endpoint lie = address(2, 7, 9000);
  for (uint32_t i = 0; i < 9; ++i) vote.vote(address(100 + i), ours, at({}));
  EXPECT_FALSE(vote.address(at({})).has_value()) << "too few";
  for (uint8_t host = 1; host < 200; ++host) vote.vote(address(50, host), lie, at({}));
  EXPECT_EQ(vote.voters(), 10u) << "one network, one vote";
  EXPECT_EQ(vote.poll_change(at({})), ours);
  EXPECT_FALSE(vote.poll_change(at({})).has_value()) << "once per change";
  for (uint32_t i = 0; i < 9; ++i) vote.vote(address(200 + i), lie, at({}));
  EXPECT_EQ(vote.address(at({})), lie);
  EXPECT_FALSE(vote.address(at(seconds(300))).has_value()) << "old votes do not count";
}

TEST(AddressVoteTest, BadClaimsAreCountedAndVotersBounded) {
  AddressVote vote;
  vote.vote(address(1), Endpoint::loopback(9), at({}));
  vote.vote(address(1), *Endpoint::parse("0.0.0.0:9"), at({}));
  EXPECT_EQ(vote.stats().refused_scope, 1u);
  EXPECT_EQ(vote.stats().refused_unusable, 1u);
  for (uint32_t i = 0; i < 500; ++i) vote.vote(address(i), address(9), at({}));
  EXPECT_EQ(vote.voters(), 128u);
  // Two nodes of one LAN are two voters.
  AddressVote lan;
  for (uint16_t port = 1; port <= 10; ++port) {
    lan.vote(Endpoint::loopback(port), Endpoint::loopback(30303), at({}));
  }
  EXPECT_EQ(lan.address(at({})), Endpoint::loopback(30303));
}

class PeerChoiceTest : public ::testing::Test {
 protected:
  static constexpr Services kBlocks = 1, kState = 2;
  Rng rng_{4};
  PeerChoice peers_{PeerChoice::Config{.max_peers = 8, .in_flight_cap = 4}, rng_};
  NodeId add(Services services) {
    const NodeId id = random_id(rng_);
    EXPECT_TRUE(peers_.add(id, services));
    return id;
  }
};

// ethrex #6474: the idle peer won, though it could not serve the request.
TEST_F(PeerChoiceTest, AnIdleIncapablePeerIsNeverChosen) {
  add(kBlocks);
  const NodeId capable = add(kBlocks | kState);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(peers_.choose(kState, rng_), capable);
  EXPECT_FALSE(peers_.choose(kState, rng_).has_value()) << "its cap, not the idle other";
  EXPECT_EQ(peers_.stats().all_busy, 1u);
  EXPECT_FALSE(peers_.choose(4, rng_).has_value());
  EXPECT_EQ(peers_.stats().none_capable, 1u);
}

TEST_F(PeerChoiceTest, LoadThenFailuresThenTime) {
  const NodeId a = add(kBlocks);
  const NodeId b = add(kBlocks);
  const NodeId first = *peers_.choose(kBlocks, rng_);
  EXPECT_NE(peers_.choose(kBlocks, rng_), first) << "the less loaded";
  peers_.answered(a, milliseconds(50));
  peers_.answered(b, milliseconds(10));
  EXPECT_EQ(peers_.choose(kBlocks, rng_), b) << "the faster";
  peers_.failed(b);
  EXPECT_EQ(peers_.choose(kBlocks, rng_), a) << "the one that does not fail";
  const NodeId excluded[] = {b};
  EXPECT_EQ(peers_.choose(kBlocks, excluded, rng_), a);
  const NodeId both[] = {a, b};
  EXPECT_FALSE(peers_.choose(kBlocks, both, rng_).has_value());
}

TEST_F(PeerChoiceTest, InFlightIsCappedAndCountedUnderRandomUse) {
  for_seeds(5, 100, [](uint64_t seed) {
    Rng rng(seed);
    PeerChoice peers(PeerChoice::Config{.max_peers = 8, .in_flight_cap = 4}, rng);
    std::map<NodeId, size_t> model;
    std::vector<NodeId> ids;
    for (int i = 0; i < 12; ++i) ids.push_back(random_id(rng));
    for (int i = 0; i < 3000; ++i) {
      const NodeId id = ids[rng.below(ids.size())];
      switch (rng.below(6)) {
        case 0:
          if (peers.add(id, kBlocks)) model[id] = 0;
          break;
        case 1:
          peers.remove(id);
          model.erase(id);
          break;
        case 2:
          if (model.contains(id) && model[id] > 0) {
            --model[id];
            rng.chance(1, 2) ? peers.answered(id, milliseconds(5)) : peers.failed(id);
          }
          break;
        default:
          if (const auto chosen = peers.choose(kBlocks, rng)) {
            for (const auto& [other, load] : model) ASSERT_LE(model[*chosen], load);
            ASSERT_LE(++model[*chosen], 4u);
          }
      }
      ASSERT_EQ(peers.size(), model.size());
      for (const auto& [other, load] : model) ASSERT_EQ(peers.in_flight(other), load);
    }
  });
}

class NodeDbTest : public ::testing::Test {
 protected:
  NodeRecord signed_node(uint32_t network) {
    const auto key = secp256k1::SecretKey::generate(rng_);
    const auto enr = EnrBuilder().set_endpoint(Enr::Transport::udp, address(network)).sign(key);
    return record_of(*enr);
  }
  Rng rng_{5};
  NodeDb db_{NodeDb::Config{}, rng_};
};

TEST_F(NodeDbTest, SeedsSurviveARestart) {
  for (uint32_t i = 0; i < 40; ++i) db_.store(signed_node(i), at({}));
  const NodeRecord plain = node(random_id(rng_), *Endpoint::parse("[2001:db8::1]:30303"));
  db_.store(plain, at({}));
  const auto bytes = db_.encode();
  NodeDb again(NodeDb::Config{.seeds = 100}, rng_);
  ASSERT_TRUE(again.decode(bytes, at({})).has_value());
  EXPECT_EQ(again.size(), 41u);
  EXPECT_EQ(again.encode(), bytes);
  const auto seeds = again.seeds(at({}), rng_);
  ASSERT_EQ(seeds.size(), 41u);
  const auto same = std::ranges::find(seeds, plain.id, &NodeRecord::id);
  ASSERT_NE(same, seeds.end());
  EXPECT_EQ(same->udp, plain.udp);
  EXPECT_EQ(db_.seeds(at({}), rng_).size(), 30u);
}

TEST_F(NodeDbTest, OldNodesAreNoSeeds) {
  db_.store(node(random_id(rng_), address(1)), at({}));
  EXPECT_EQ(db_.seeds(at(seconds(5 * 86'400)), rng_).size(), 1u);
  EXPECT_EQ(db_.seeds(at(seconds(5 * 86'400 + 1)), rng_).size(), 0u);
  db_.expire(at(seconds(5 * 86'400 + 1)));
  EXPECT_EQ(db_.size(), 0u);
}

TEST_F(NodeDbTest, TheLongestWithoutAPongGoesFirst) {
  NodeDb db(NodeDb::Config{.capacity = 3}, rng_);
  std::vector<NodeRecord> nodes;
  for (uint32_t i = 0; i < 3; ++i) {
    nodes.push_back(node(random_id(rng_), address(i)));
    db.store(nodes.back(), at(seconds(i)));
  }
  db.store(nodes[0], at(seconds(5)));
  db.store(node(random_id(rng_), address(9)), at(seconds(6)));
  const auto seeds = db.seeds(at(seconds(6)), rng_);
  EXPECT_EQ(seeds.size(), 3u);
  EXPECT_EQ(std::ranges::count(seeds, nodes[0].id, &NodeRecord::id), 1);
  EXPECT_EQ(std::ranges::count(seeds, nodes[1].id, &NodeRecord::id), 0);
}

TEST_F(NodeDbTest, AnyDamageIsAnErrorAndChangesNothing) {
  for (uint32_t i = 0; i < 3; ++i) db_.store(signed_node(i), at({}));
  const auto good = db_.encode();
  for (size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= static_cast<uint8_t>(1 + rng_.below(255));
    ASSERT_FALSE(db_.decode(bad, at({})).has_value()) << i;
    ASSERT_FALSE(db_.decode(Bytes(good).first(i), at({})).has_value()) << i;
  }
  auto longer = good;
  longer.push_back(0);
  EXPECT_FALSE(db_.decode(longer, at({})).has_value());
  auto version = good;
  version[4] = 2;
  EXPECT_EQ(db_.decode(version, at({})).error().code, Code::bad_version);
  auto crc = good;
  crc.back() ^= 1;
  EXPECT_EQ(db_.decode(crc, at({})).error().code, Code::bad_checksum);
  EXPECT_EQ(db_.size(), 3u);
}

TEST_F(NodeDbTest, TheFileIsReplacedWhole) {
  const std::string path = ::testing::TempDir() + "node_db_" + std::to_string(::getpid()) + ".bin";
  EXPECT_EQ(read_node_db(path + ".none").error().code, Code::not_found);
  db_.store(signed_node(1), at({}));
  ASSERT_TRUE(write_node_db(path, db_.encode()).has_value());
  db_.store(signed_node(2), at({}));
  ASSERT_TRUE(write_node_db(path, db_.encode()).has_value());
  const auto bytes = read_node_db(path);
  ASSERT_TRUE(bytes.has_value());
  EXPECT_EQ(*bytes, db_.encode());
  EXPECT_FALSE(read_node_db(path + ".new").has_value());
  EXPECT_FALSE(write_node_db("/nonexistent-folder/db", *bytes).has_value());
  std::remove(path.c_str());
}

}  // namespace
}  // namespace beamline::discovery
