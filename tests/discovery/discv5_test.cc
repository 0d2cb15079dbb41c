// discv5's handshakes, sessions, requests and responses, node against node; and what the protocol's
// conformance tests ask, each by name.
#include "discovery/discv5.h"

#include "discovery/node_id.h"
#include "tests/discovery/discv5_pair.h"

namespace beamline::discv5 {
namespace {

class Discv5Test : public testing::Test {
 protected:
  size_t exchange() { return discv5::exchange({&a, &b}, now); }
  void pass(Duration time) {
    now.mono = now.mono + time;
    now.wall = now.wall + time;
    a.protocol.handle_timeout(now);
    b.protocol.handle_timeout(now);
  }
  void make_session() {
    ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
    exchange();
    ASSERT_EQ(a.pongs.size(), 1u);
  }
  Now now = start_time();
  TestNode a{1, *Endpoint::parse("127.0.0.1:9001")};
  TestNode b{2, *Endpoint::parse("127.0.0.1:9002")};
};

TEST_F(Discv5Test, PingMakesASessionWithTheRecordAndIsAnswered) {
  const auto call = a.protocol.ping(b.as_target(), now);
  ASSERT_TRUE(call);
  const Datagram random = take_one(a);
  give(b, a.endpoint, random, now);
  const Datagram whoareyou = take_one(b);
  EXPECT_EQ(whoareyou.size(), 63u);
  EXPECT_LE(whoareyou.size(), random.size());  // nothing larger than what asked for it
  give(a, b.endpoint, whoareyou, now);
  exchange();
  ASSERT_EQ(a.pongs.size(), 1u);
  EXPECT_EQ(a.pongs[0].recipient, a.endpoint);
  EXPECT_EQ(a.pongs[0].enr_seq, 1u);
  EXPECT_EQ(a.done[*call], "ok");
  EXPECT_EQ(b.records_received, 1);
  EXPECT_EQ(b.records.at(a.record.node_id()), a.record);
  EXPECT_EQ(a.sessions, 1);
  EXPECT_EQ(b.sessions, 1);
  EXPECT_EQ(b.last_ping_seq, 1u);
  EXPECT_EQ(a.protocol.calls(), 0u);
  EXPECT_EQ(a.protocol.next_deadline() > now.mono, true);
}

TEST_F(Discv5Test, ASessionServesBothWaysWithoutAnotherHandshake) {
  make_session();
  ASSERT_TRUE(b.protocol.ping(a.as_target(), now));
  EXPECT_EQ(exchange(), 2u);
  EXPECT_EQ(b.pongs.size(), 1u);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
    EXPECT_EQ(exchange(), 2u);
  }
  EXPECT_EQ(a.stats().whoareyou_accepted, 1u);
  EXPECT_EQ(a.stats().challenges_sent + b.stats().challenges_sent, 1u);
}

TEST_F(Discv5Test, HandshakeLeavesTheRecordOutWhenOursIsKnown) {
  b.records.insert_or_assign(a.record.node_id(), a.record);
  make_session();
  EXPECT_EQ(b.records_received, 0);
  EXPECT_EQ(b.stats().handshakes_accepted, 1u);
}

TEST_F(Discv5Test, HandshakeBringsTheRecordUpdateWhenAnOlderOneIsKnown) {
  b.records.insert_or_assign(a.record.node_id(), a.record);
  a.record = make_record(a.key, a.endpoint, 7);
  a.protocol.set_record(a.record);
  make_session();
  EXPECT_EQ(b.records_received, 1);
  EXPECT_EQ(b.records.at(a.record.node_id()).seq(), 7u);
}

TEST_F(Discv5Test, HandshakeResendWhoareyouIsRepeatedIdentically) {
  // Two packets of a peer without a session: it is told twice to answer the first.
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  const Datagram first = take_one(a);
  give(b, a.endpoint, first, now);
  const Datagram challenge = take_one(b);
  Datagram other = first;
  other[kMessageHead] ^= 1;
  give(b, a.endpoint, other, now);
  EXPECT_EQ(take_one(b), challenge);
  give(b, a.endpoint, first, now);
  EXPECT_EQ(take_one(b), challenge);
  EXPECT_EQ(b.stats().challenges_sent, 1u);
  EXPECT_EQ(b.stats().challenges_repeated, 2u);
  give(a, b.endpoint, challenge, now);
  give(a, b.endpoint, challenge, now);  // the second changes nothing
  EXPECT_EQ(a.stats().whoareyou_unasked, 1u);
  exchange();
  EXPECT_EQ(a.pongs.size(), 1u);
}

TEST_F(Discv5Test, AfterASecondAnotherChallengeIsMade) {
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  const Datagram first = take_one(a);
  give(b, a.endpoint, first, now);
  const Datagram challenge = take_one(b);
  pass(milliseconds(1001));
  give(b, a.endpoint, first, now);
  EXPECT_NE(take_one(b), challenge);
  EXPECT_EQ(b.stats().challenges_sent, 2u);
}

TEST_F(Discv5Test, NewChallengesAreLimitedPerNodeAndAddressAndInAll) {
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  const Datagram packet = take_one(a);
  Endpoint other = a.endpoint;
  give(b, other, packet, now);
  EXPECT_EQ(take(b).size(), 1u);
  other.set_port(1);  // the same node at the same address, another port: one a second
  give(b, other, packet, now);
  EXPECT_EQ(take(b).size(), 0u);
  EXPECT_EQ(b.stats().challenges_limited, 1u);
  // Any number of addresses: 100 a second in all.
  for (uint32_t i = 0; i < 500; ++i) {
    give(b, Endpoint::v4(0x0a000000 + i, 9), packet, now);
    take(b);
  }
  EXPECT_EQ(b.stats().challenges_sent, 100u);
  pass(seconds(2));
  give(b, Endpoint::v4(0x0b000000, 9), packet, now);
  EXPECT_EQ(take(b).size(), 1u);
}

TEST_F(Discv5Test, LargeRequestIdsAreMirroredAndLargerOnesAreRefused) {
  make_session();
  // Requests of ours have ids of 8 bytes: mirrored, as the answers show.
  EXPECT_EQ(a.done.size(), 1u);
  const auto error =
      decode_message(std::vector<uint8_t>{1, 0xcb, 0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1});
  EXPECT_EQ(error.error().code, Code::too_long);
}

TEST_F(Discv5Test, FindNodeOfZeroDistanceGivesTheRecordAlone) {
  const std::array<uint16_t, 1> zero = {0};
  ASSERT_TRUE(a.protocol.find_node(b.as_target(), zero, now));
  exchange();
  ASSERT_EQ(a.found.size(), 1u);
  EXPECT_EQ(a.found[0], b.record);
}

TEST_F(Discv5Test, FindNodeBringsAnUpdatedRecordOfThePeer) {
  make_session();
  b.record = make_record(b.key, b.endpoint, 9);
  b.protocol.set_record(b.record);
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  exchange();
  EXPECT_EQ(a.pongs.back().enr_seq, 9u);  // a newer one is there: ask for it
  const std::array<uint16_t, 1> zero = {0};
  ASSERT_TRUE(a.protocol.find_node(b.as_target(), zero, now));
  exchange();
  ASSERT_EQ(a.found.size(), 1u);
  EXPECT_EQ(a.found[0].seq(), 9u);
}

// Records of strangers with what distance they have from `from`.
std::vector<Enr> strangers(size_t count, size_t extra, std::vector<unsigned>& distances,
                           const NodeId& from) {
  std::vector<Enr> records;
  Rng rng(uint64_t{77});
  while (records.size() < count) {
    const auto key = secp256k1::SecretKey::generate(rng);
    EnrBuilder builder;
    builder.set_endpoint(Enr::Transport::udp, *Endpoint::parse("127.0.0.1:1234"));
    if (extra > 0) builder.set("zz", std::vector<uint8_t>(extra, 7));
    records.push_back(*builder.sign(key));
    distances.push_back(discovery::log_distance(from, records.back().node_id()));
  }
  return records;
}

TEST_F(Discv5Test, NodesComeInSeveralPacketsAndOnlyAtTheDistancesAsked) {
  std::vector<unsigned> distances;
  b.answers = strangers(16, 100, distances, b.record.node_id());
  const std::array<uint16_t, 3> wanted = {256, 255, 254};
  ASSERT_TRUE(a.protocol.find_node(b.as_target(), wanted, now));
  EXPECT_GT(exchange(), 5u);
  const auto matching =
      static_cast<size_t>(std::ranges::count_if(distances, [](unsigned d) { return d >= 254; }));
  EXPECT_EQ(b.asked, (std::vector<uint16_t>{256, 255, 254}));
  EXPECT_EQ(a.found.size(), matching);
  EXPECT_EQ(a.stats().nodes_wrong_distance, 16 - matching);
  EXPECT_EQ(a.ended, 1u);
  EXPECT_EQ(a.done.begin()->second, "ok");
}

TEST_F(Discv5Test, AtMostFivePacketsOfNodesAreSentAndTheRestIsCounted) {
  std::vector<unsigned> distances;
  b.answers = strangers(16, 155, distances, b.record.node_id());
  ASSERT_GT(b.answers[0].bytes().size(), 290u);
  make_session();
  const std::array<uint16_t, 1> wanted = {256};
  ASSERT_TRUE(a.protocol.find_node(b.as_target(), wanted, now));
  give(b, a.endpoint, take_one(a), now);
  const auto packets = take(b);
  EXPECT_EQ(packets.size(), 5u);
  EXPECT_GT(b.stats().results_cut, 0u);
  for (const auto& [to, datagram] : packets) EXPECT_LE(datagram.size(), kMaxPacket);
}

TEST_F(Discv5Test, TheSameRecordTwiceInNodesCountsOnce) {
  std::vector<unsigned> distances;
  b.answers = strangers(1, 0, distances, b.record.node_id());
  b.answers.push_back(b.answers[0]);
  const std::array<uint16_t, 1> wanted = {static_cast<uint16_t>(distances[0])};
  ASSERT_TRUE(a.protocol.find_node(b.as_target(), wanted, now));
  exchange();
  EXPECT_EQ(a.found.size(), 1u);
  EXPECT_EQ(a.stats().nodes_repeated, 1u);
}

TEST_F(Discv5Test, ARecordThatIsKnownIsCheckedOnceAndAnotherOfTheSameNodeAgain) {
  Rng rng(uint64_t{78});
  const auto key = secp256k1::SecretKey::generate(rng);
  const Enr first = make_record(key, b.endpoint, 4);
  const Enr next = make_record(key, b.endpoint, 5);
  a.records.emplace(first.node_id(), first);
  const unsigned at = discovery::log_distance(b.record.node_id(), first.node_id());
  const std::array<uint16_t, 1> wanted = {static_cast<uint16_t>(at)};
  const auto told = [&](const Enr& record) {
    b.answers = {record};
    EXPECT_TRUE(a.protocol.find_node(b.as_target(), wanted, now));
    exchange();
    return a.found.size();
  };
  EXPECT_EQ(told(first), 1u);
  EXPECT_EQ(a.stats().nodes_known, 1u);
  EXPECT_EQ(told(next), 2u);
  EXPECT_EQ(a.stats().nodes_known, 1u);
  // Its signature is that of another number.
  std::vector<uint8_t> forged(next.bytes().begin(), next.bytes().end());
  const auto seq = std::ranges::search(forged, std::array<uint8_t, 3>{5, 0x82, 'i'});
  ASSERT_FALSE(seq.empty());
  *seq.begin() = 6;
  EXPECT_EQ(told(*Enr::decode(forged)), 2u);
  EXPECT_EQ(a.stats().nodes_bad_record, 1u);
}

TEST_F(Discv5Test, ALostPacketOfNodesLeavesWhatCame) {
  std::vector<unsigned> distances;
  b.answers = strangers(12, 100, distances, b.record.node_id());
  make_session();
  const std::array<uint16_t, 3> wanted = {256, 255, 254};
  const auto call = a.protocol.find_node(b.as_target(), wanted, now);
  give(b, a.endpoint, take_one(a), now);
  auto packets = take(b);
  ASSERT_GT(packets.size(), 1u);
  give(a, b.endpoint, packets[0].second, now);
  const size_t some = a.found.size();
  EXPECT_EQ(a.done.count(*call), 0u);
  pass(milliseconds(701));
  EXPECT_EQ(a.done[*call], "ok");
  give(a, b.endpoint, packets[1].second, now);  // too late
  EXPECT_EQ(a.found.size(), some);
  EXPECT_EQ(a.stats().unsolicited_responses, 1u);
}

TEST_F(Discv5Test, UnsolicitedNodesAndPongsChangeNothing) {
  make_session();
  // b answers questions that a never asked: it thinks it was asked by a twin of a's.
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  const Datagram question = take_one(a);
  give(b, a.endpoint, question, now);
  const Datagram answer = take_one(b);
  pass(milliseconds(800));
  EXPECT_EQ(a.done.rbegin()->second, "timed_out");
  const size_t pongs = a.pongs.size();
  give(a, b.endpoint, answer, now);
  EXPECT_EQ(a.pongs.size(), pongs);
  EXPECT_EQ(a.stats().unsolicited_responses, 1u);
}

TEST_F(Discv5Test, TalkRequestIsAnsweredAndAnUnknownProtocolGetsAnEmptyTalkResponse) {
  ASSERT_TRUE(a.protocol.talk(b.as_target(), as_bytes("echo"), as_bytes("hello"), now));
  ASSERT_TRUE(a.protocol.talk(b.as_target(), as_bytes("none"), as_bytes("hello"), now));
  exchange();
  ASSERT_EQ(a.talks.size(), 2u);
  EXPECT_EQ(a.talks[0] + "|" + a.talks[1], "hello|");
  EXPECT_EQ(b.stats().talk_unknown, 1u);
}

TEST_F(Discv5Test, ALongTalkRequestWaitsForTheSessionThatAPingMakes) {
  const std::string text(1150, 'x');
  ASSERT_TRUE(a.protocol.talk(b.as_target(), as_bytes("echo"), as_bytes(text), now));
  exchange();
  ASSERT_EQ(a.talks.size(), 1u);
  EXPECT_EQ(a.talks[0], text);
  EXPECT_FALSE(
      a.protocol.talk(b.as_target(), as_bytes("echo"), as_bytes(std::string(1200, 'x')), now));
}

TEST_F(Discv5Test, RequestsToOnePeerShareOneHandshake) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  EXPECT_EQ(a.queue.size(), 1u);
  exchange();
  EXPECT_EQ(a.pongs.size(), 5u);
  EXPECT_EQ(b.stats().handshakes_accepted, 1u);
}

TEST_F(Discv5Test, BothSidesAtOnceEndWithASessionThatWorks) {
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  ASSERT_TRUE(b.protocol.ping(a.as_target(), now));
  const Datagram from_a = take_one(a), from_b = take_one(b);
  give(a, b.endpoint, from_b, now);
  give(b, a.endpoint, from_a, now);
  const Datagram who_a = take_one(a), who_b = take_one(b);
  give(a, b.endpoint, who_b, now);
  give(b, a.endpoint, who_a, now);
  exchange();
  EXPECT_EQ(a.pongs.size(), 1u);
  EXPECT_EQ(b.pongs.size(), 1u);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
    ASSERT_TRUE(b.protocol.ping(a.as_target(), now));
    EXPECT_EQ(exchange(), 4u);
  }
}

TEST_F(Discv5Test, APeerThatLostItsSessionIsGivenANewOneAndTheRequestIsAnswered) {
  make_session();
  TestNode reborn(2, b.endpoint, {}, 1);  // the same key, no memory
  ASSERT_TRUE(a.protocol.ping(reborn.as_target(), now));
  ASSERT_TRUE(a.protocol.ping(reborn.as_target(), now));
  discv5::exchange({&a, &reborn}, now);
  EXPECT_EQ(a.pongs.size(), 3u);
  EXPECT_EQ(reborn.stats().handshakes_accepted, 1u);
}

TEST_F(Discv5Test, APeerAtSeveralAddressesHasASessionForEach) {
  make_session();
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  const Datagram packet = take_one(a);
  const Endpoint other = *Endpoint::parse("127.0.0.9:9001");
  give(b, other, packet, now);  // sealed with good keys, from elsewhere: they are not good there
  const auto out = take(b);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].first, other);
  EXPECT_EQ(out[0].second.size(), 63u);
  EXPECT_EQ(b.stats().pings, 1u);
}

TEST_F(Discv5Test, ReplayedPacketsChangeNothing) {
  make_session();
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  const Datagram packet = take_one(a);
  give(b, a.endpoint, packet, now);
  EXPECT_EQ(take(b).size(), 1u);
  give(b, a.endpoint, packet, now);
  EXPECT_EQ(take(b).size(), 0u);
  EXPECT_EQ(b.stats().replayed, 1u);
}

TEST_F(Discv5Test, ReplayedHandshakesChangeNothing) {
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  give(b, a.endpoint, take_one(a), now);
  give(a, b.endpoint, take_one(b), now);
  const Datagram handshake = take_one(a);
  give(b, a.endpoint, handshake, now);
  EXPECT_EQ(take(b).size(), 1u);
  give(b, a.endpoint, handshake, now);
  EXPECT_EQ(take(b).size(), 0u);
  EXPECT_EQ(b.stats().handshakes_unasked, 1u);
  EXPECT_EQ(b.protocol.sessions(), 1u);
}

TEST_F(Discv5Test, SpoofedWhoareyouAndHandshakesAreCounted) {
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  give(b, a.endpoint, take_one(a), now);
  const Datagram whoareyou = take_one(b);
  give(a, Endpoint::loopback(1), whoareyou, now);  // from another place
  EXPECT_EQ(a.stats().whoareyou_unasked, 1u);
  give(a, b.endpoint, whoareyou, now);
  Datagram handshake = take_one(a);
  for (int i = 0; i < 3; ++i) {
    handshake.back() ^= 1;  // the tag
    give(b, a.endpoint, handshake, now);
    handshake.back() ^= 1;
  }
  EXPECT_EQ(b.stats().handshakes_failed, 3u);
  EXPECT_EQ(b.protocol.sessions(), 0u);
  give(b, a.endpoint, handshake, now);  // the true one still counts
  EXPECT_EQ(b.protocol.sessions(), 1u);
}

TEST_F(Discv5Test, AChallengeBearsFourFailuresAndNoMore) {
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  give(b, a.endpoint, take_one(a), now);
  give(a, b.endpoint, take_one(b), now);
  Datagram handshake = take_one(a);
  handshake.back() ^= 1;
  for (int i = 0; i < 10; ++i) give(b, a.endpoint, handshake, now);
  EXPECT_EQ(b.stats().handshakes_failed, 4u);
  EXPECT_EQ(b.stats().handshakes_unasked, 6u);
  EXPECT_TRUE(take(b).empty());
}

TEST_F(Discv5Test, ARecordOfSomeoneElseInTheHandshakeIsRefused) {
  TestNode thief(3, *Endpoint::parse("127.0.0.1:9003"));
  thief.protocol.set_record(a.record);  // says that it is a, but signs with its own key
  ASSERT_TRUE(thief.protocol.ping(b.as_target(), now));
  discv5::exchange({&thief, &b}, now);
  EXPECT_EQ(b.protocol.sessions(), 0u);
  EXPECT_EQ(b.stats().handshakes_failed, 1u);
}

TEST_F(Discv5Test, TimeoutsAre700MsForAResponseAndASecondForAHandshake) {
  const auto call = a.protocol.ping(b.as_target(), now);
  EXPECT_EQ(a.protocol.next_deadline() - now.mono, milliseconds(700));
  give(b, a.endpoint, take_one(a), now);
  pass(milliseconds(600));
  give(a, b.endpoint, take_one(b), now);
  take(a);  // the handshake is lost
  pass(milliseconds(999));
  EXPECT_EQ(a.done.count(*call), 0u);
  pass(milliseconds(2));
  EXPECT_EQ(a.done[*call], "timed_out");
  EXPECT_EQ(a.protocol.sessions(), 0u);  // keys that nobody used
}

TEST_F(Discv5Test, CallsAreBoundedAndEachEndsOnce) {
  Limits limits;
  limits.calls = 4;
  TestNode c(5, *Endpoint::parse("127.0.0.1:9005"), limits);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(c.protocol.ping(b.as_target(), now));
  EXPECT_EQ(c.protocol.ping(a.as_target(), now).error().code, Code::full);
  EXPECT_EQ(c.stats().calls_refused, 1u);
  now.mono = now.mono + seconds(5);
  c.protocol.handle_timeout(now);
  EXPECT_EQ(c.ended, 4u);
  EXPECT_EQ(c.done.size(), 4u);
  EXPECT_EQ(c.protocol.next_deadline(), MonoTime::never());
}

TEST_F(Discv5Test, SessionCacheKeepsTheMostRecentlyUsed) {
  Limits limits;
  limits.sessions.sessions = 4;
  TestNode hub(9, *Endpoint::parse("127.0.0.1:9009"), limits);
  std::vector<std::unique_ptr<TestNode>> many;
  for (uint64_t i = 0; i < 8; ++i) {
    many.push_back(std::make_unique<TestNode>(100 + i, Endpoint::loopback(uint16_t(10000 + i))));
    ASSERT_TRUE(many.back()->protocol.ping(hub.as_target(), now));
    discv5::exchange({&hub, many.back().get()}, now);
    ASSERT_TRUE(many.front()->protocol.ping(hub.as_target(), now));  // stays in use
    discv5::exchange({&hub, many.front().get()}, now);
  }
  EXPECT_EQ(hub.protocol.sessions(), 4u);
  EXPECT_EQ(hub.protocol.session_stats().evicted, 4u);
  EXPECT_EQ(hub.stats().handshakes_accepted, 8u);
}

TEST_F(Discv5Test, FindNodeIsLimitedPerSession) {
  make_session();
  const std::array<uint16_t, 1> wanted = {256};
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(a.protocol.find_node(b.as_target(), wanted, now));
    exchange();
  }
  EXPECT_EQ(b.stats().find_nodes_limited, 200u - 64u);
}

TEST_F(Discv5Test, OurOwnIdAsSenderIsRefused) {
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  Datagram packet = take_one(a);
  // The same packet, masked for a: it claims to come from a.
  Unmasker unmasker(b.record.node_id());
  ASSERT_TRUE(unmasker.read(packet));
  packet.resize(kMaxPacket);
  mask(packet, kMessageHead, a.record.node_id());
  packet.resize(kMessageHead + 20);
  give(a, b.endpoint, packet, now);
  EXPECT_EQ(a.stats().own_id, 1u);
  EXPECT_TRUE(take(a).empty());
}

TEST_F(Discv5Test, NoChangedByteOfASessionsPacketIsTakenAndNoReplyIsLarger) {
  make_session();
  ASSERT_TRUE(a.protocol.ping(b.as_target(), now));
  const Datagram packet = take_one(a);
  const uint64_t pings = b.stats().pings;
  for (size_t i = 0; i < packet.size(); ++i) {
    Datagram changed = packet;
    changed[i] ^= 0x40;
    give(b, a.endpoint, changed, now);
    for (const auto& [to, reply] : take(b)) EXPECT_LE(reply.size(), packet.size());
  }
  EXPECT_EQ(b.stats().pings, pings);
  EXPECT_EQ(b.protocol.sessions(), 1u);
  give(b, a.endpoint, packet, now);
  EXPECT_EQ(b.stats().pings, pings + 1);
}

}  // namespace
}  // namespace beamline::discv5
