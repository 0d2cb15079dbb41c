// discv4's endpoint proofs, requests and responses; and the cases of the protocol's conformance
// tests, each by name.
#include "discovery/discv4.h"

#include "crypto/keccak.h"
#include "tests/discovery/discv4_pair.h"

namespace beamline::discv4 {
namespace {

class Discv4Test : public testing::Test {
 protected:
  using Sent = std::vector<std::pair<Endpoint, Datagram>>;

  uint64_t soon() const { return static_cast<uint64_t>(now.wall.ns / 1'000'000'000) + 20; }
  uint64_t past() const { return static_cast<uint64_t>(now.wall.ns / 1'000'000'000) - 1; }
  void pass(Duration time) {
    now.mono = now.mono + time;
    now.wall = now.wall + time;
    node.protocol.handle_timeout(now);
    other.protocol.handle_timeout(now);
  }
  Sent say(const Datagram& datagram, const Endpoint& from) {
    node.protocol.receive(from, datagram, now);
    return take(node);
  }
  Sent say(const Datagram& datagram) { return say(datagram, here); }
  Ping ping(uint64_t expiration = 0) {
    return {4, {here, 30303}, {node.endpoint, 0}, expiration == 0 ? soon() : expiration, {}};
  }
  // The endpoint proof, both ways, with the peer at `where`.
  void bond(const Endpoint& where) {
    const Sent sent = say(peer.write(ping()), where);
    const auto back = find<Ping>(sent);
    ASSERT_TRUE(back);
    say(peer.write(Pong{{node.endpoint, 0}, back->second, soon(), {}}), where);
    ASSERT_TRUE(node.protocol.is_bonded(id(), where, now));
  }
  NodeId id() const { return node_id_of(peer.key.public_key()); }
  FindNode find_self() { return {raw_key(peer.key.public_key()), soon()}; }

  Now now = start_time();
  const Endpoint here = at("127.0.0.5:30303");
  TestNode node{1, at("127.0.0.1:9001")};
  TestNode other{2, at("127.0.0.1:9002")};
  BarePeer peer{3};
};

TEST_F(Discv4Test, BasicPingIsAnsweredWithAPongAndAPing) {
  const Sent sent = say(peer.write(ping()));
  EXPECT_EQ(types(sent), (std::multiset<int>{Ping::kType, Pong::kType}));
  const auto pong = find<Pong>(sent);
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->first.ping_hash, peer.last_hash);
  EXPECT_EQ(pong->first.to.udp, here);
  EXPECT_EQ(pong->first.enr_seq, 1u);
  for (const auto& [to, datagram] : sent) EXPECT_EQ(to, here);
}

TEST_F(Discv4Test, PingWrongToAndWrongFromAreAnswered) {
  Ping wrong = ping();
  wrong.to.udp = at("192.0.2.1:1");
  EXPECT_TRUE(find<Pong>(say(peer.write(wrong))));
  wrong = ping();
  wrong.from.udp = at("192.0.2.1:1");
  const Sent sent = say(peer.write(wrong));
  ASSERT_TRUE(find<Pong>(sent));
  for (const auto& [to, datagram] : sent) EXPECT_EQ(to, here);  // where it came from
}

TEST_F(Discv4Test, PingOfAnotherVersionWithExtraItemsAndTrailingDataIsAnswered) {
  std::vector<uint8_t> data;
  Ping strange = ping();
  strange.version = 555;
  strange.enr_seq = 3;
  append(data, strange);
  ASSERT_LT(data[0], 0xf7);
  data[0] = static_cast<uint8_t>(data[0] + 3);
  for (const int more : {0x01, 0xc1, 0x05, 0xaa, 0xbb}) data.push_back(static_cast<uint8_t>(more));
  EXPECT_TRUE(find<Pong>(say(peer.write_data(Ping::kType, data))));
}

TEST_F(Discv4Test, PingWithAPastExpirationIsDropped) {
  EXPECT_TRUE(say(peer.write(ping(past()))).empty());
  EXPECT_TRUE(say(peer.write(ping(UINT64_MAX))).empty());
  EXPECT_EQ(node.stats().expired, 2u);
  EXPECT_EQ(node.protocol.calls(), 0u);
}

TEST_F(Discv4Test, PacketsOfAnUnknownTypeAreDropped) {
  EXPECT_TRUE(say(peer.write_data(66, std::vector<uint8_t>{0xc0})).empty());
  EXPECT_EQ(node.stats().unknown_type, 1u);
}

TEST_F(Discv4Test, BondThenPingWithAWrongFromIsAnsweredWithoutAnotherPing) {
  bond(here);
  Ping wrong = ping();
  wrong.from.udp = at("192.0.2.1:1");
  EXPECT_EQ(types(say(peer.write(wrong))), (std::multiset<int>{Pong::kType}));
}

TEST_F(Discv4Test, FindNodeWithoutEndpointProofIsNotAnswered) {
  EXPECT_TRUE(say(peer.write(find_self())).empty());
  EXPECT_EQ(node.stats().find_nodes_unproven, 1u);
  say(peer.write(ping()));  // it pings, but never answers our ping
  EXPECT_TRUE(say(peer.write(find_self())).empty());
}

TEST_F(Discv4Test, BondThenFindNodeIsAnsweredInPacketsOfTwelveAndFour) {
  bond(here);
  for (uint64_t i = 0; i < 20; ++i) {
    TestNode some(100 + i, Endpoint::v4(0x7f000100 + static_cast<uint32_t>(i), 1000));
    node.answers.push_back(some.as_target());
  }
  const Sent sent = say(peer.write(find_self()));
  ASSERT_EQ(sent.size(), 2u);
  size_t count = 0;
  for (const auto& [to, datagram] : sent) {
    EXPECT_LE(datagram.size(), kMaxPacket);
    auto neighbors = std::get<Neighbors>(read_packet(datagram)->message);
    size_t here_count = 0;
    for (; !neighbors.nodes.at_end(); ++here_count) ASSERT_TRUE(read_neighbor(neighbors.nodes));
    EXPECT_EQ(here_count, count == 0 ? 12u : 4u);
    count += here_count;
  }
  EXPECT_EQ(node.last_target, id());
}

TEST_F(Discv4Test, FindNodeWithAPastExpirationIsDropped) {
  bond(here);
  FindNode late = find_self();
  late.expiration = past();
  EXPECT_TRUE(say(peer.write(late)).empty());
}

TEST_F(Discv4Test, BondThenAnotherEndpointHasNoProofThere) {
  bond(here);
  // The amplification attack: who proved an address asks with another one as the sender.
  EXPECT_TRUE(say(peer.write(find_self()), at("127.0.0.6:30303")).empty());
  EXPECT_TRUE(say(peer.write(EnrRequest{soon()}), at("127.0.0.6:30303")).empty());
  EXPECT_EQ(node.stats().find_nodes_unproven + node.stats().enr_requests_unproven, 2u);
  // Another port of the same address is behind the same proof; the reply goes to that port.
  const Endpoint port = at("127.0.0.5:4");
  FindNode again = find_self();
  again.expiration += 1;
  const Sent sent = say(peer.write(again), port);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].first, port);
}

TEST_F(Discv4Test, PongWithAWrongPingHashOrFromAnotherAddressOrKeyProvesNothing) {
  const auto back = find<Ping>(say(peer.write(ping())));
  ASSERT_TRUE(back);
  Hash256 wrong = back->second;
  wrong.bytes[31] ^= 1;
  say(peer.write(Pong{{node.endpoint, 0}, wrong, soon(), {}}));
  EXPECT_FALSE(node.protocol.is_bonded(id(), here, now));
  const Datagram pong = peer.write(Pong{{node.endpoint, 0}, back->second, soon(), {}});
  say(pong, at("127.0.0.6:30303"));
  EXPECT_FALSE(node.protocol.is_bonded(id(), here, now));
  EXPECT_FALSE(node.protocol.is_bonded(id(), at("127.0.0.6:30303"), now));
  BarePeer thief{9};
  say(thief.write(Pong{{node.endpoint, 0}, back->second, soon(), {}}));
  EXPECT_FALSE(node.protocol.is_bonded(node_id_of(thief.key.public_key()), here, now));
  EXPECT_EQ(node.stats().unsolicited_pongs, 3u);
  EXPECT_TRUE(node.bonded.empty());
}

TEST_F(Discv4Test, UnsolicitedNeighborsAndPongsAndRecordsChangeNothing) {
  bond(here);
  std::vector<uint8_t> items, data;
  append_neighbor(items, {at("127.0.0.7:1"), 1}, raw_key(other.record.public_key()));
  append_neighbors(data, items, soon());
  EXPECT_TRUE(say(peer.write_data(Neighbors::kType, data)).empty());
  EXPECT_TRUE(say(peer.write(Pong{{node.endpoint, 0}, Hash256{{1}}, soon(), {}})).empty());
  EXPECT_TRUE(say(peer.write(EnrResponse{Hash256{{1}}, other.record.bytes()})).empty());
  EXPECT_EQ(node.stats().unsolicited_neighbors, 1u);
  EXPECT_EQ(node.stats().unsolicited_pongs, 1u);
  EXPECT_EQ(node.stats().unsolicited_enr, 1u);
  EXPECT_TRUE(node.found.empty());
  EXPECT_TRUE(node.records.empty());
}

TEST_F(Discv4Test, EnrRequestIsAnsweredWithTheRecordOnceBonded) {
  EXPECT_TRUE(say(peer.write(EnrRequest{soon()})).empty());
  bond(here);
  const Datagram request = peer.write(EnrRequest{soon() + 1});
  const auto sent = say(request);
  const auto response = find<EnrResponse>(sent);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->first.request_hash, peer.last_hash);
  EXPECT_TRUE(equal(response->first.record, node.record.bytes()));
}

TEST_F(Discv4Test, ReplayedPacketsFromAnotherPlaceChangeNothing) {
  bond(here);
  const Datagram request = peer.write(find_self());
  EXPECT_EQ(say(request).size(), 1u);
  EXPECT_TRUE(say(request).empty());
  const Datagram greeting = peer.write(ping(soon() + 3));
  EXPECT_EQ(say(greeting).size(), 1u);
  EXPECT_EQ(say(greeting).size(), 1u);  // its own second ping
  EXPECT_TRUE(say(greeting, at("192.0.2.9:9")).empty());
  EXPECT_EQ(node.stats().replayed, 2u);
}

TEST_F(Discv4Test, ABondEndsAfterTwelveHours) {
  bond(here);
  pass(seconds(12 * 3600 - 1));
  EXPECT_EQ(say(peer.write(find_self())).size(), 1u);
  pass(seconds(2));
  EXPECT_TRUE(say(peer.write(find_self())).empty());
}

TEST_F(Discv4Test, StrangersCauseABoundedNumberOfPings) {
  Limits limits;
  limits.pings_back = 8;
  TestNode small(4, at("127.0.0.1:9004"), limits);
  size_t pings = 0;
  for (uint32_t i = 0; i < 50; ++i) {
    BarePeer stranger{1000 + i};
    small.protocol.receive(Endpoint::v4(0x0a000000 + i, 1), stranger.write(ping()), now);
    for (const int type : types(take(small))) pings += type == Ping::kType ? 1 : 0;
  }
  EXPECT_EQ(pings, 8u);
  EXPECT_EQ(small.stats().pings_back_limited, 42u);
  EXPECT_EQ(small.protocol.bonds(), 0u);
  // And one stranger causes one, however often it pings.
  TestNode fresh(5, at("127.0.0.1:9005"));
  for (uint64_t i = 0; i < 10; ++i) fresh.protocol.receive(here, peer.write(ping(soon() + i)), now);
  EXPECT_EQ(fresh.stats().pings_back, 1u);
}

// What a spoofed sender can have sent to somebody else: the two packets that the specification
// makes us say to a ping, eight times a second, and nothing to what asks for more.
TEST_F(Discv4Test, NoAmplificationAtAnAddressThatProvedNothing) {
  const Endpoint victim = at("192.0.2.7:30303");
  size_t sent = 0, got = 0, packets = 0;
  const auto spoof = [&](const Datagram& datagram) {
    sent += datagram.size();
    node.protocol.receive(victim, datagram, now);
    for (const auto& [to, reply] : take(node)) {
      ++packets;
      got += reply.size();
    }
  };
  BarePeer attacker{2000};
  const Datagram shortest = attacker.write(Ping{4, {}, {}, soon(), {}});
  spoof(shortest);
  EXPECT_EQ(packets, 2u);
  EXPECT_LE(got, 3 * sent);
  for (uint64_t i = 1; i < 1000; ++i) {
    // Each with another key or another time, so that none is a replay.
    BarePeer one{3000 + i / 2};
    spoof(one.write(Ping{4, {}, {}, soon() + i % 2, {}}));
    spoof(one.write(find_self()));
    spoof(one.write(EnrRequest{soon()}));
  }
  EXPECT_LE(packets, 16u);
  EXPECT_LT(got, sent / 50) << "less comes out than went in";
  EXPECT_EQ(node.stats().pings_limited, 992u);
  EXPECT_EQ(node.protocol.bonds(), 0u);
  // Others are not kept from us by that.
  EXPECT_EQ(say(attacker.write(ping()), at("198.51.100.4:30303")).size(), 2u);
  pass(seconds(1));
  EXPECT_EQ(say(attacker.write(ping(soon() + 5)), victim).size(), 2u);
}

TEST_F(Discv4Test, NodesBondAndFindAndAskForRecords) {
  const auto bonding = node.protocol.ping(other.as_target(), now);
  ASSERT_TRUE(bonding);
  exchange({&node, &other}, now);
  EXPECT_EQ(node.done[*bonding], "ok");
  EXPECT_TRUE(node.protocol.is_bonded(other.record.node_id(), other.endpoint, now));
  EXPECT_TRUE(other.protocol.is_bonded(node.record.node_id(), node.endpoint, now));
  ASSERT_EQ(node.bonded.size(), 1u);
  EXPECT_EQ(node.bonded[0].tcp_port, other.endpoint.port());
  EXPECT_EQ(node.last_seq, 1u);
  EXPECT_EQ(node.last_claimed, node.endpoint);

  const auto enr = node.protocol.request_enr(other.as_target(), now);
  exchange({&node, &other}, now);
  EXPECT_EQ(node.done[*enr], "ok");
  ASSERT_EQ(node.records.size(), 1u);
  EXPECT_EQ(node.records[0], other.record);

  TestNode third(7, at("127.0.0.1:9007"));
  other.answers = {third.as_target()};
  const auto finding =
      node.protocol.find_node(other.as_target(), raw_key(third.record.public_key()), now);
  EXPECT_EQ(exchange({&node, &other}, now), 2u);  // proven both ways: no ping before
  pass(milliseconds(101));
  EXPECT_EQ(node.done[*finding], "ok");
  ASSERT_EQ(node.found.size(), 1u);
  EXPECT_EQ(node.found[0].id, third.record.node_id());
  EXPECT_EQ(node.found[0].udp, third.endpoint);
}

TEST_F(Discv4Test, FindNodeToAStrangerProvesBothEndpointsFirst) {
  const auto call = node.protocol.find_node(other.as_target(), RawKey{}, now);
  ASSERT_TRUE(call);
  exchange({&node, &other}, now);
  EXPECT_EQ(other.stats().find_nodes, 1u);
  EXPECT_EQ(other.stats().find_nodes_unproven, 0u);
  pass(milliseconds(101));
  EXPECT_EQ(node.done[*call], "ok");  // an answer without nodes
}

TEST_F(Discv4Test, SeveralFindNodesToOneNodeGetAnAnswerEach) {
  TestNode third(7, at("127.0.0.1:9007"));
  other.answers = {third.as_target()};
  for (uint8_t i = 0; i < 3; ++i) {
    RawKey target{};
    target[0] = i;
    ASSERT_TRUE(node.protocol.find_node(other.as_target(), target, now));
  }
  for (int i = 0; i < 4; ++i) {
    exchange({&node, &other}, now);
    pass(milliseconds(101));
  }
  EXPECT_EQ(node.found.size(), 3u);
  EXPECT_EQ(node.done.size(), 3u);
  for (const auto& [call, outcome] : node.done) EXPECT_EQ(outcome, "ok");
}

TEST_F(Discv4Test, TwoPingsOfOneSecondAreBothAnswered) {
  ASSERT_TRUE(node.protocol.ping(other.as_target(), now));
  ASSERT_TRUE(node.protocol.ping(other.as_target(), now));
  exchange({&node, &other}, now);
  ASSERT_TRUE(node.protocol.ping(other.as_target(), now));
  exchange({&node, &other}, now);
  EXPECT_EQ(node.done.size(), 3u);
  for (const auto& [call, outcome] : node.done) EXPECT_EQ(outcome, "ok");
}

TEST_F(Discv4Test, SilenceIsATimeoutAfterHalfASecond) {
  const auto call = node.protocol.ping(other.as_target(), now);
  take(node);
  pass(milliseconds(499));
  EXPECT_TRUE(node.done.empty());
  pass(milliseconds(2));
  EXPECT_EQ(node.done[*call], "timed_out");
  EXPECT_EQ(node.protocol.calls(), 0u);
  EXPECT_EQ(node.protocol.next_deadline(), MonoTime::never());
}

TEST_F(Discv4Test, NeighborsWithUnusableOrRelayedPrivateAddressesAreLeftOut) {
  TestNode far(8, at("203.0.113.5:30303"));
  ASSERT_TRUE(node.protocol.find_node(far.as_target(), RawKey{}, now));
  exchange({&node, &far}, now);
  for (const char* bad :
       {"127.0.0.1:1", "192.168.0.1:1", "224.0.0.1:1", "0.0.0.0:1", "8.8.8.8:0"}) {
    TestNode told(20, at(bad));
    far.answers.push_back(told.as_target());
  }
  TestNode good(21, at("203.0.113.99:1"));
  far.answers.push_back(good.as_target());
  pass(milliseconds(101));
  ASSERT_TRUE(node.protocol.find_node(far.as_target(), RawKey{1}, now));
  exchange({&node, &far}, now);
  ASSERT_EQ(node.found.size(), 1u);
  EXPECT_EQ(node.found[0].udp, good.endpoint);
  EXPECT_EQ(node.stats().neighbors_bad, 5u);
}

TEST_F(Discv4Test, NoChangedByteIsTakenAndGarbageIsCounted) {
  const Datagram good = peer.write(ping());
  for (size_t i = 0; i < good.size(); ++i) {
    Datagram bad = good;
    bad[i] ^= 0x10;
    EXPECT_TRUE(say(bad).empty()) << i;
  }
  EXPECT_EQ(node.stats().malformed + node.stats().unknown_type, good.size());
  EXPECT_EQ(node.protocol.calls(), 0u);
}

TEST_F(Discv4Test, ARecordOfSomeoneElseIsRefused) {
  ASSERT_TRUE(node.protocol.ping(other.as_target(), now));
  exchange({&node, &other}, now);
  other.protocol.set_record(node.record);
  const auto call = node.protocol.request_enr(other.as_target(), now);
  exchange({&node, &other}, now);
  EXPECT_EQ(node.done[*call], "mismatch");
  EXPECT_TRUE(node.records.empty());
}

}  // namespace
}  // namespace beamline::discv4
