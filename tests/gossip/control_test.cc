// IHAVE, IWANT, IDONTWANT, the fanout and the message cache (gossipsub v1.0 to v1.2).
#include "router_fixture.h"

namespace beamline::gossip {
namespace {

using Kind = RpcItem::Kind;
using ControlTest = RouterTest;

TEST_F(ControlTest, IhaveOfUnseenIdsIsAskedFor) {
  join(1);
  const MessageId known = block(1, "known");
  drain(1);
  const std::vector<MessageId> ids = {known, numbered_id(1), numbered_id(2)};
  give(1, encode_ihave(as_bytes(kBlocks), ids));
  const auto got = drain(1, Kind::iwant);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].ids.size(), 2u);
  EXPECT_EQ(std::ranges::count(got[0].ids, known), 0);
}

TEST_F(ControlTest, IhaveOfATopicThatWeLeftIsIgnored) {
  join(1);
  drain(1);
  const MessageId id = numbered_id(1);
  give(1, encode_ihave(as_bytes(kExits), {&id, 1}));
  EXPECT_TRUE(drain(1, Kind::iwant).empty());
}

TEST_F(ControlTest, IhaveLimitsOfMessagesPerHeartbeat) {
  join(1);
  drain(1);
  for (uint64_t i = 0; i < 15; ++i) {
    const MessageId id = numbered_id(i);
    give(1, encode_ihave(as_bytes(kBlocks), {&id, 1}));
  }
  EXPECT_EQ(drain(1, Kind::iwant).size(), 10u);
  EXPECT_EQ(stats().ihave_excess_messages, 5u);
  beat();
  drain(1);
  const MessageId id = numbered_id(100);
  give(1, encode_ihave(as_bytes(kBlocks), {&id, 1}));
  EXPECT_EQ(drain(1, Kind::iwant).size(), 1u);
}

TEST_F(ControlTest, IhaveLimitsOfIdsPerHeartbeat) {
  join(1);
  drain(1);
  size_t asked = 0;
  for (uint64_t message = 0; message < 3; ++message) {
    std::vector<MessageId> ids;
    for (uint64_t i = 0; i < 3000; ++i) ids.push_back(numbered_id(message * 3000 + i));
    give(1, encode_ihave(as_bytes(kBlocks), ids));
    for (const Received& got : drain(1, Kind::iwant)) asked += got.ids.size();
  }
  EXPECT_EQ(asked, 5000u);
  EXPECT_EQ(stats().ihave_excess_ids, 1000u + 1u);
}

TEST_F(ControlTest, BrokenPromiseIsChargedAKeptOneIsNot) {
  join(1);
  join(2);
  const MessageId never = numbered_id(77);
  give(1, encode_ihave(as_bytes(kBlocks), {&never, 1}));
  const MessageId comes = message_id_phase0(SnappyDomain::valid, as_bytes("comes"));
  give(2, encode_ihave(as_bytes(kBlocks), {&comes, 1}));
  advance(seconds(1));
  block(1, "comes");  // from whomever
  advance(seconds(4));
  EXPECT_EQ(stats().broken_promises, 1u);
  EXPECT_GT(router_->behaviour_penalty(1), Fixed{});
  EXPECT_EQ(router_->behaviour_penalty(2), Fixed{});
}

TEST_F(ControlTest, IwantIsServedAtMostThreeTimes) {
  join(1);
  join(2);
  const MessageId id = block(1, "wanted");
  drain(2);
  for (int i = 0; i < 5; ++i) give(2, encode_iwant({&id, 1}));
  const auto got = drain(2, Kind::message);
  EXPECT_EQ(got.size(), 3u);
  EXPECT_EQ(stats().iwant_retransmissions_refused, 2u);
}

TEST_F(ControlTest, IwantOfWhatIsNotAcceptedIsNotServed) {
  join(1);
  join(2);
  drain(2);
  const MessageId ignored = block(1, "ignored", Verdict::ignore);
  const MessageId rejected = block(1, "rejected", Verdict::reject);
  give(1, block_frame("waiting"));
  const MessageId waiting = messages().at(0).id;
  for (const MessageId& id : {ignored, rejected, waiting, numbered_id(1)}) {
    give(2, encode_iwant({&id, 1}));
  }
  EXPECT_TRUE(drain(2, Kind::message).empty());
  EXPECT_EQ(stats().iwant_unknown, 4u);
}

TEST_F(ControlTest, HistoryLastsSixHeartbeats) {
  join(1);
  join(2);
  drain(2);
  const MessageId id = block(1, "old");
  beat(5);
  drain(2);
  give(2, encode_iwant({&id, 1}));
  EXPECT_EQ(drain(2, Kind::message).size(), 1u);
  beat();
  give(2, encode_iwant({&id, 1}));
  EXPECT_TRUE(drain(2, Kind::message).empty());
  EXPECT_EQ(router_->stored_messages(), 0u);
  EXPECT_EQ(router_->stored_bytes(), 0u);
}

TEST_F(ControlTest, GossipGoesOutsideTheMeshForThreeHeartbeats) {
  for (PeerIndex p = 0; p < 8; ++p) {
    join(p, {Version::v1_1, true, 0});
    give(p, graft(kBlocks));
  }
  for (PeerIndex p = 8; p < 18; ++p) join(p);
  ASSERT_EQ(router_->mesh(blocks_).size(), 8u);
  const MessageId id = block(0, "gossiped");
  for (int round = 1; round <= 4; ++round) {
    beat();
    size_t told = 0;
    for (PeerIndex p = 0; p < 18; ++p) {
      const auto got = drain(p, Kind::ihave);
      if (!got.empty()) {
        EXPECT_GE(p, 8u);
        EXPECT_EQ(got[0].ids, std::vector<MessageId>{id});
        ++told;
      }
    }
    EXPECT_EQ(told, round <= 3 ? params_.d_lazy : 0u) << round;
  }
}

TEST_F(ControlTest, GossipFactorTellsAQuarterOfMany) {
  for (PeerIndex p = 0; p < 8; ++p) join(p, {Version::v1_1, true, 0});
  for (PeerIndex p = 8; p < 108; ++p) join(p);
  block(0, "gossiped");
  beat();
  const size_t outside = 108 - router_->mesh(blocks_).size();
  EXPECT_EQ(stats().ihave_out, outside / 4);
}

TEST_F(ControlTest, IdontwantIsSentForLargeMessagesToMeshPeersOfOneTwo) {
  join(1);
  join(2);
  join(3, {Version::v1_1, false, 0});
  for (PeerIndex p = 1; p <= 3; ++p) drain(p);
  std::string large(4000, 0);
  rng_.fill(MutableBytes(reinterpret_cast<uint8_t*>(large.data()), large.size()));
  give(1, block_frame(large));  // before any verdict
  EXPECT_TRUE(drain(1, Kind::idontwant).empty());
  EXPECT_EQ(drain(2, Kind::idontwant).size(), 1u);
  EXPECT_TRUE(drain(3, Kind::idontwant).empty());
  give(1, block_frame("small"));
  EXPECT_TRUE(drain(2, Kind::idontwant).empty());
}

TEST_F(ControlTest, IdontwantSuppressesTheForwardForThreeHeartbeats) {
  join(1);
  join(2);
  drain(2);
  const MessageId soon = message_id_phase0(SnappyDomain::valid, as_bytes("soon"));
  give(2, encode_idontwant({&soon, 1}));
  beat(2);
  block(1, "soon");
  EXPECT_TRUE(drain(2, Kind::message).empty());
  EXPECT_EQ(stats().suppressed_by_idontwant, 1u);
  const MessageId late = message_id_phase0(SnappyDomain::valid, as_bytes("late"));
  give(2, encode_idontwant({&late, 1}));
  beat(4);
  block(1, "late");
  EXPECT_EQ(drain(2, Kind::message).size(), 1u);
}

TEST_F(ControlTest, IdontwantFloodIsBounded) {
  join(1);
  join(2);
  drain(2);
  std::vector<MessageId> ids;
  for (uint64_t i = 0; i < 3000; ++i) ids.push_back(numbered_id(i));
  give(2, encode_idontwant(ids));
  EXPECT_EQ(stats().idontwant_excess, 1u);
  for (int i = 0; i < 20; ++i) give(2, encode_idontwant({ids.data(), 1}));
  EXPECT_EQ(stats().idontwant_excess, 21u);  // each of them: by ids, then by messages
  block(1, "others go on");
  EXPECT_EQ(drain(2, Kind::message).size(), 1u);
}

TEST_F(ControlTest, FanoutIsUsedWhenFloodPublishIsOffAndEndsAfterAMinute) {
  Params params;
  params.flood_publish = false;
  start(params);
  for (PeerIndex p = 0; p < 20; ++p) {
    connect(p);
    give(p, subscription(kExits));
    drain(p);
  }
  ASSERT_EQ(router_->publish(exits_, as_bytes("exit"), now_)->peers, params_.d);
  const std::vector<PeerIndex> fanout = router_->fanout(exits_);
  EXPECT_EQ(fanout.size(), params_.d);
  ASSERT_TRUE(router_->publish(exits_, as_bytes("second"), now_).has_value());
  EXPECT_EQ(router_->fanout(exits_), fanout);
  // A peer that leaves is replaced.
  router_->peer_disconnected(fanout[0], now_);
  beat();
  EXPECT_EQ(router_->fanout(exits_).size(), params_.d);
  advance(seconds(60));
  EXPECT_TRUE(router_->fanout(exits_).empty());
}

TEST_F(ControlTest, FanoutBecomesTheMeshOnSubscribe) {
  Params params;
  params.flood_publish = false;
  start(params);
  for (PeerIndex p = 0; p < 20; ++p) {
    connect(p);
    give(p, subscription(kExits));
  }
  ASSERT_TRUE(router_->publish(exits_, as_bytes("exit"), now_).has_value());
  const std::vector<PeerIndex> fanout = router_->fanout(exits_);
  router_->subscribe(exits_, now_);
  EXPECT_EQ(router_->mesh(exits_), fanout);
  EXPECT_TRUE(router_->fanout(exits_).empty());
}

TEST_F(ControlTest, ExtensionsAreIgnored) {
  join(1);
  const uint8_t extensions[] = {4, 0x1a, 2, 0x32, 0};
  give(1, SharedBytes::copy(extensions));
  EXPECT_EQ(stats().extensions_ignored, 1u);
}

}  // namespace
}  // namespace beamline::gossip
