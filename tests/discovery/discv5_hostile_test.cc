// What a peer with a session of its own may send, written by hand: conformance cases that a correct
// peer never makes, and messages that are none.
#include "tests/discovery/discv5_pair.h"
#include "tests/discovery/hand_peer.h"

namespace beamline::discv5 {
namespace {

class Discv5Hostile : public testing::Test {
 protected:
  void SetUp() override {
    give(node, peer.endpoint, peer.stranger(), now);
    std::vector<uint8_t> ping;
    append(ping, Ping{{{1}, 1}, 1});
    say_handshake(ping, peer.record.bytes());
    ASSERT_EQ(node.protocol.sessions(), 1u);
    ASSERT_EQ(plain(), 1u);
  }
  void say_handshake(Bytes message, Bytes record) {
    give(node, peer.endpoint, peer.handshake(take_one(node), message, record), now);
  }
  // Sends it under the session.
  void say(Bytes message) { give(node, peer.endpoint, peer.message(message), now); }
  // What the node answered, opened; gives how many packets that were.
  size_t plain() {
    answers.clear();
    for (auto& [to, datagram] : take(node)) {
      EXPECT_EQ(to, peer.endpoint);
      const auto seen = peer.read(datagram);
      if (seen && seen->plain) answers.push_back(*seen->plain);
    }
    return answers.size();
  }
  template <class What>
  What answer() {
    const auto message = decode_message(answers.at(0));
    EXPECT_TRUE(message && std::holds_alternative<What>(*message));
    return message && std::holds_alternative<What>(*message) ? std::get<What>(*message) : What{};
  }

  Now now = start_time();
  TestNode node{1, *Endpoint::parse("127.0.0.1:9001")};
  HandPeer peer{2, *Endpoint::parse("127.0.0.1:9002"), node.key.public_key()};
  std::vector<std::vector<uint8_t>> answers;
};

TEST_F(Discv5Hostile, LargeRequestIdsAreMirroredAndLargerOnesGetNoAnswer) {
  std::vector<uint8_t> ping;
  const RequestId large{{0xff, 1, 2, 3, 4, 5, 6, 7}, 8};
  append(ping, Ping{large, 1});
  say(ping);
  ASSERT_EQ(plain(), 1u);
  EXPECT_EQ(answer<Pong>().id, large);
  EXPECT_EQ(answer<Pong>().recipient, peer.endpoint);
  // Nine bytes.
  say(std::vector<uint8_t>{1, 0xcb, 0x89, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1});
  EXPECT_EQ(plain(), 0u);
  EXPECT_EQ(node.stats().malformed, 1u);
}

// However many newer ones came: by its count, or, where a peer's nonces are random, because there
// is a new key after so many that all are remembered.
TEST_F(Discv5Hostile, ReplayedPacketsOfAnyAgeChangeNothing) {
  std::vector<uint8_t> ping;
  append(ping, Ping{{{1}, 1}, 1});
  for (const bool counts : {true, false}) {
    HandPeer other(counts ? 3 : 4, *Endpoint::parse(counts ? "127.0.0.1:3" : "127.0.0.1:4"),
                   node.key.public_key());
    other.counts = counts;
    const auto greet = [&] {
      give(node, other.endpoint, other.handshake(take_one(node), ping, other.record.bytes()), now);
    };
    give(node, other.endpoint, other.stranger(), now);
    greet();
    std::vector<Datagram> sent;
    for (size_t round = 0; round < 2500; ++round) {
      now.mono = now.mono + milliseconds(2);
      sent.push_back(other.message(ping));
      give(node, other.endpoint, sent.back(), now);
      auto answers_now = take(node);
      if (answers_now.size() == 1 && answers_now[0].second.size() == kWhoareyouSize) {
        give(node, other.endpoint, other.handshake(answers_now[0].second, ping, {}), now);
        take(node);
      }
    }
    const Stats before = node.stats();
    EXPECT_EQ(before.handshakes_accepted, counts ? 2u : 5u) << "and one of each peer before";
    size_t answered = 0;
    for (const Datagram& packet : sent) {
      give(node, other.endpoint, packet, now);
      for (const auto& [to, datagram] : take(node)) answered += datagram.size() > kWhoareyouSize;
    }
    EXPECT_EQ(node.stats().pings, before.pings);
    EXPECT_EQ(answered, 0u);
    EXPECT_GT(node.stats().replayed, before.replayed);
  }
}

TEST_F(Discv5Hostile, AnEmptyRequestIdIsMirrored) {
  std::vector<uint8_t> ping;
  append(ping, Ping{RequestId{}, 1});
  say(ping);
  ASSERT_EQ(plain(), 1u);
  EXPECT_EQ(answer<Pong>().id.size, 0u);
}

TEST_F(Discv5Hostile, ZeroDistanceGivesOneRecordAndUnknownDistancesNone) {
  std::vector<uint8_t> find;
  const std::array<uint16_t, 1> zero = {0};
  append_find_node(find, {{9}, 1}, zero);
  say(find);
  ASSERT_EQ(plain(), 1u);
  auto nodes = answer<Nodes>();
  EXPECT_EQ(nodes.total, 1u);
  EXPECT_TRUE(equal(nodes.records.next("record")->encoding, node.record.bytes()));
  EXPECT_TRUE(nodes.records.at_end());
  find.clear();
  const std::array<uint16_t, 2> far = {257, 65535};
  append_find_node(find, {{9}, 1}, far);
  say(find);
  ASSERT_EQ(plain(), 1u);
  EXPECT_TRUE(answer<Nodes>().records.at_end());
}

TEST_F(Discv5Hostile, UnsolicitedNodesPongAndTalkResponseChangeNothing) {
  std::vector<uint8_t> message;
  append_nodes(message, {{1}, 1}, 1, peer.record.bytes());
  say(message);
  message.clear();
  append(message, Pong{{{1}, 1}, 99, peer.endpoint});
  say(message);
  message.clear();
  append(message, TalkResponse{{{0x80, 0, 0, 0, 0, 0, 0, 0}, 8}, {}});
  say(message);
  EXPECT_EQ(plain(), 0u);
  EXPECT_EQ(node.stats().unsolicited_responses, 3u);
  EXPECT_TRUE(node.found.empty() && node.pongs.empty() && node.talks.empty());
}

TEST_F(Discv5Hostile, MessagesOfUnknownTypesAreCountedAndNotAnswered) {
  for (const uint8_t type : std::initializer_list<uint8_t>{0, 7, 8, 9, 10, 255}) {
    say(std::vector<uint8_t>{type, 0xc1, 1});
  }
  say({});
  EXPECT_EQ(plain(), 0u);
  EXPECT_EQ(node.stats().unsupported_messages, 6u);
  EXPECT_EQ(node.stats().malformed, 1u);
  EXPECT_EQ(node.protocol.sessions(), 1u);
}

TEST_F(Discv5Hostile, EveryCutOfEveryMessageIsRefused) {
  std::vector<std::vector<uint8_t>> messages(4);
  append(messages[0], Ping{{{1, 2}, 2}, 300});
  append(messages[1], TalkRequest{{{1}, 1}, as_bytes("echo"), as_bytes("hello")});
  const std::array<uint16_t, 3> distances = {1, 200, 256};
  append_find_node(messages[2], {{1}, 1}, distances);
  append(messages[3], Pong{{{1}, 1}, 1, peer.endpoint});
  size_t said = 0;
  for (const auto& message : messages) {
    for (size_t size = 0; size < message.size(); ++size, ++said) {
      say(Bytes(message).first(size));
    }
  }
  EXPECT_EQ(plain(), 0u);
  EXPECT_EQ(node.stats().malformed + node.stats().unsupported_messages, said);
}

TEST_F(Discv5Hostile, NodesThatLieAreRefusedByReason) {
  discovery::NodeRecord to = discovery::record_of(peer.record);
  const std::array<uint16_t, 1> wanted = {1};  // nobody has that distance
  ASSERT_TRUE(node.protocol.find_node(to, wanted, now));
  const auto asked = peer.read(take_one(node));
  ASSERT_TRUE(asked && asked->plain);
  const RequestId id = std::get<FindNode>(*decode_message(*asked->plain)).id;
  std::vector<uint8_t> items;
  for (int i = 0; i < 2; ++i) {
    items.insert(items.end(), peer.record.bytes().begin(), peer.record.bytes().end());
  }
  items.push_back(0x01);  // no record at all
  std::vector<uint8_t> message;
  append_nodes(message, id, UINT64_MAX, items);
  for (int i = 0; i < 9; ++i) say(message);  // a total beyond reason: five are taken
  EXPECT_EQ(node.stats().nodes_wrong_distance, 10u);
  EXPECT_EQ(node.stats().nodes_bad_record, 5u);
  EXPECT_EQ(node.stats().unsolicited_responses, 4u);
  EXPECT_TRUE(node.found.empty());
  EXPECT_EQ(node.ended, 1u);
}

TEST_F(Discv5Hostile, ASecondWhoareyouForOneRequestIsNotAnswered) {
  ASSERT_TRUE(node.protocol.ping(discovery::record_of(peer.record), now));
  const auto sent = peer.read(take_one(node));
  ASSERT_TRUE(sent);
  give(node, peer.endpoint, peer.whoareyou(sent->nonce, 0), now);
  EXPECT_EQ(take(node).size(), 1u);  // the handshake
  give(node, peer.endpoint, peer.whoareyou(sent->nonce, 0), now);
  EXPECT_TRUE(take(node).empty());
  EXPECT_EQ(node.stats().whoareyou_unasked, 1u);
}

TEST_F(Discv5Hostile, ARecordThatDoesNotCheckEndsNoHandshake) {
  HandPeer other(3, *Endpoint::parse("127.0.0.1:9003"), node.key.public_key());
  give(node, other.endpoint, other.stranger(), now);
  const Datagram challenge = take_one(node);
  std::vector<uint8_t> bad(other.record.bytes().begin(), other.record.bytes().end());
  bad.back() ^= 1;
  give(node, other.endpoint, other.handshake(challenge, {}, bad), now);
  give(node, other.endpoint, other.handshake(challenge, {}, {}), now);  // we know none
  EXPECT_EQ(node.stats().handshakes_failed, 2u);
  EXPECT_EQ(node.protocol.sessions(), 1u);
  give(node, other.endpoint, other.handshake(challenge, {}, other.record.bytes()), now);
  EXPECT_EQ(node.protocol.sessions(), 2u);
}

}  // namespace
}  // namespace beamline::discv5
