// Peers that send garbage, bombs and floods: each is typed, counted, charged where the protocol
// says so, and no other peer is affected.
#include "router_fixture.h"

namespace beamline::gossip {
namespace {

using Kind = RpcItem::Kind;

class HostileTest : public RouterTest {
 protected:
  void SetUp() override {
    RouterTest::SetUp();
    for (PeerIndex p = 1; p <= 3; ++p) join(p);
    for (PeerIndex p = 1; p <= 3; ++p) drain(p);
  }
  // The others still have a working mesh.
  void TearDown() override {
    block(2, "the rest goes on");
    EXPECT_EQ(drain(3, Kind::message).size(), 1u);
  }
  static constexpr PeerIndex kBad = 1;
};

TEST_F(HostileTest, GarbageRpcEndsOnlyItsStream) {
  const uint8_t garbage[] = {5, 0xff, 0xff, 0xff, 0xff, 0xff};
  const Status got = router_->receive(kBad, garbage, now_);
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().fault, Fault::peer);
  EXPECT_EQ(stats().bad_rpcs, 1u);
  Router::Failure failure;
  ASSERT_TRUE(router_->poll_failure(failure));
  EXPECT_EQ(failure.peer, kBad);
  EXPECT_EQ(failure.error, got.error());
  EXPECT_FALSE(router_->poll_failure(failure));
  EXPECT_EQ(router_->receive(kBad, block_frame("more"), now_).error().code, Code::closed);
}

TEST_F(HostileTest, OversizeRpcIsRefusedAtItsLength) {
  std::vector<uint8_t> length;
  append_uvarint(12'234'443, length);
  EXPECT_EQ(router_->receive(kBad, length, now_).error().code, Code::too_long);
  EXPECT_EQ(stats().frames_oversize, 1u);
}

TEST_F(HostileTest, StrictNoSignRejectsSignedMessages) {
  std::vector<uint8_t> message;
  protobuf::Writer writer(message);
  writer.bytes(1, as_bytes("author"));
  writer.bytes(2, snappy_compress(as_bytes("signed")));
  writer.text(4, kBlocks);
  std::vector<uint8_t> rpc;
  protobuf::Writer outer(rpc);
  outer.bytes(2, message);
  std::vector<uint8_t> frame;
  append_uvarint(rpc.size(), frame);
  frame.insert(frame.end(), rpc.begin(), rpc.end());
  give(kBad, SharedBytes::copy(frame));
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(stats().signed_messages, 1u);
  EXPECT_LT(router_->score(kBad), Fixed{});
}

TEST_F(HostileTest, MessageWithoutTopicIsDropped) {
  const uint8_t frame[] = {5, 0x12, 3, 0x12, 1, 'x'};
  give(kBad, SharedBytes::copy(frame));
  EXPECT_EQ(stats().missing_topic, 1u);
}

TEST_F(HostileTest, SnappyBombIsRefusedByItsDeclaredLength) {
  // 10 MiB and one byte declared; 4 GiB declared; 9 MiB declared by 20 bytes.
  for (uint64_t declared : {uint64_t{10'485'761}, uint64_t{UINT32_MAX}, uint64_t{9'000'000}}) {
    std::vector<uint8_t> bomb;
    append_uvarint(declared, bomb);
    bomb.resize(20, 0xfe);
    give(kBad, encode_message(as_bytes(kBlocks), bomb).frame);
  }
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(stats().oversize_payload + stats().bad_snappy, 3u);
  EXPECT_GE(stats().oversize_payload, 2u);
  EXPECT_EQ(router_->counters(kBad, blocks_).invalid, Fixed::from(3));
  EXPECT_EQ(router_->stored_bytes(), 0u);
}

TEST_F(HostileTest, InvalidSnappyIsRejectedAndCharged) {
  give(kBad, encode_message(as_bytes(kBlocks), as_bytes("\x05not snappy")).frame);
  EXPECT_EQ(stats().bad_snappy, 1u);
  EXPECT_LT(router_->score(kBad), Fixed{});
}

TEST_F(HostileTest, CompressedSizeIsBounded) {
  const SharedBytes data = SharedBytes::build(
      12'233'419, [](MutableBytes out) { std::memset(out.data(), 0, out.size()); });
  give(kBad, encode_message(as_bytes(kBlocks), data).frame);
  EXPECT_EQ(stats().oversize_compressed, 1u);
}

TEST_F(HostileTest, GraylistedPeersAreNotHeard) {
  int sent = 0;
  while (sent < 20 && router_->score(kBad) >= params_.score.graylist_threshold) {
    block(kBad, "bad " + std::to_string(sent++), Verdict::reject);
  }
  EXPECT_LT(sent, 20);
  give(kBad, block_frame("one more"));
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(stats().graylisted_rpcs, 1u);
  beat();
  EXPECT_FALSE(in_mesh(kBad));
}

// The backoff of a PRUNE is a 64-bit number of seconds of the peer's choice; adding it to a clock
// overflowed, at once (33040) or in the heartbeat that adds its slack (34219).
TEST_F(HostileTest, PruneBackoffOverflow_CVE_2026_33040) {
  for (uint64_t backoff :
       {UINT64_MAX, UINT64_MAX / 1'000'000'000, uint64_t{INT64_MAX}, uint64_t{3601}}) {
    give(kBad, prune(kBlocks, backoff));
    EXPECT_EQ(router_->backoff_until(blocks_, kBad), now_.mono + seconds(3600));
  }
  EXPECT_EQ(stats().backoffs_clamped, 4u);
}

TEST_F(HostileTest, PruneBackoffInHeartbeat_CVE_2026_34219) {
  give(kBad, prune(kBlocks, UINT64_MAX));
  now_.mono = MonoTime{INT64_MAX - seconds(3601).ns};  // the end of the clock, nearly
  give(kBad, prune(kBlocks, UINT64_MAX));
  router_->handle_timeout(now_);
  EXPECT_FALSE(in_mesh(kBad));
  EXPECT_GT(router_->backoff_until(blocks_, kBad), now_.mono);
}

TEST_F(HostileTest, SubscriptionFlood_CVE_2026_46679) {
  Params params;
  params.max_topics_per_peer = 100;
  start(params);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(router_->register_topic("/t/" + std::to_string(i), {}).has_value());
  }
  for (PeerIndex p = 1; p <= 3; ++p) join(p);
  for (PeerIndex p = 1; p <= 3; ++p) drain(p);
  // Topics that we never named cost nothing; of those that we did, a peer holds a bounded number.
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("/unknown/" + std::to_string(i));
  for (int i = 0; i < 200; ++i) names.push_back("/t/" + std::to_string(i));
  for (const std::string& name : names) give(kBad, subscription(name));
  EXPECT_EQ(router_->topics_of(kBad), 100u);
  EXPECT_EQ(stats().subscriptions_unknown, 1000u);
  EXPECT_EQ(stats().subscriptions_over_cap, 101u);
  // Nothing of it is left after a disconnect.
  router_->peer_disconnected(kBad, now_);
  for (TopicIndex topic = 0; topic < 202; ++topic) {
    EXPECT_EQ(std::ranges::count(router_->subscribers(topic), kBad), 0);
    EXPECT_EQ(std::ranges::count(router_->mesh(topic), kBad), 0);
  }
  connect(kBad);
  EXPECT_EQ(router_->topics_of(kBad), 0u);
}

TEST_F(HostileTest, SubscribeUnsubscribeFloodIsBoundedPerHeartbeat) {
  for (int i = 0; i < 3000; ++i) give(kBad, subscription(kBlocks, i % 2 == 1));
  EXPECT_EQ(stats().subscriptions_excess, 3001u - params_.max_subscription_changes);
  EXPECT_LE(router_->queued_bytes(kBad), params_.max_control_bytes);
}

TEST_F(HostileTest, GraftFloodIsBoundedAndCharged) {
  give(kBad, prune(kBlocks, 60));
  for (int i = 0; i < 5000; ++i) give(kBad, graft(kBlocks));
  EXPECT_GT(stats().graft_prune_excess + stats().graylisted_rpcs, 3000u);
  EXPECT_LT(router_->score(kBad), params_.score.gossip_threshold);
  EXPECT_LE(router_->queued_bytes(kBad), params_.max_control_bytes);
}

TEST_F(HostileTest, IwantFloodIsBounded) {
  const MessageId id = block(2, "wanted");
  drain(kBad);
  std::vector<MessageId> ids(20'000, id);
  give(kBad, encode_iwant(ids));
  EXPECT_EQ(drain(kBad, Kind::message).size(), 3u);
  EXPECT_EQ(stats().iwant_excess_ids, 1u);
  drain(3);
}

TEST_F(HostileTest, IhaveFloodOfBogusIdsGraylistsInTheEnd) {
  uint64_t n = 1'000'000;
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 10; ++i) {
      std::vector<MessageId> ids;
      for (int k = 0; k < 100; ++k) ids.push_back(numbered_id(n++));
      give(kBad, encode_ihave(as_bytes(kBlocks), ids));
    }
    drain(kBad);
    beat();
  }
  EXPECT_GT(stats().broken_promises, 0u);
  EXPECT_LT(router_->score(kBad), params_.score.graylist_threshold);
  drain(3);
}

TEST_F(HostileTest, PeerThatDoesNotReadHasABoundedQueue) {
  Params params;
  params.max_queue_bytes = 100'000;
  start(params);
  for (PeerIndex p = 1; p <= 3; ++p) join(p);
  std::string payload(1000, 0);
  for (int i = 0; i < 1000; ++i) {
    rng_.fill(MutableBytes(reinterpret_cast<uint8_t*>(payload.data()), payload.size()));
    block(2, payload);
    drain(3);
  }
  EXPECT_GT(stats().dropped_forwards, 800u);
  EXPECT_LE(router_->queued_bytes(kBad), 100'000u + params_.max_control_bytes);
}

TEST_F(HostileTest, ValidationTableIsBoundedAndADroppedMessageMayComeAgain) {
  Params params;
  params.max_validating = 10;
  start(params);
  for (PeerIndex p = 1; p <= 3; ++p) join(p);
  for (int i = 0; i < 20; ++i) give(kBad, block_frame("block " + std::to_string(i)));
  EXPECT_EQ(stats().validation_full, 10u);
  for (const Message& message : messages()) router_->verdict(message.handle, Verdict::accept, now_);
  give(kBad, block_frame("block 19"));
  EXPECT_EQ(messages().size(), 1u);
  advance(seconds(31));
  drain(3);
}

// One message whose verdict does not come, and a stream of others that are judged at once.
TEST_F(HostileTest, ASlowVerdictDoesNotHoldUpTheBookkeeping) {
  Params params;
  params.max_validating = 10;
  start(params);
  for (PeerIndex p = 1; p <= 3; ++p) join(p);
  give(kBad, block_frame("slow"));
  ASSERT_EQ(messages().size(), 1u);
  for (int i = 0; i < 200; ++i) block(2, "block " + std::to_string(i), Verdict::ignore);
  EXPECT_EQ(router_->validating(), 1u);
  advance(seconds(31));
  EXPECT_EQ(stats().validation_timeouts, 1u);
  EXPECT_EQ(router_->validating(), 0u);
  drain(3);
}

TEST_F(HostileTest, PartialFramesAreBoundedInTimeAndBytes) {
  Params params;
  params.max_partial_bytes = 1 << 20;
  start(params);
  for (PeerIndex p = 1; p <= 3; ++p) join(p);
  std::vector<uint8_t> half;
  append_uvarint(12'000'000, half);
  half.resize(400'000);
  ASSERT_TRUE(router_->receive(kBad, half, now_).has_value());
  half.resize(1'100'000);
  EXPECT_EQ(router_->receive(kBad, Bytes(half).subspan(400'000), now_).error().code, Code::full);
  EXPECT_EQ(stats().frames_over_budget, 1u);
  join(4);
  ASSERT_TRUE(router_->receive(4, Bytes(half).first(10), now_).has_value());
  Router::Failure failure;
  while (router_->poll_failure(failure)) {
  }
  advance(seconds(62));
  ASSERT_TRUE(router_->poll_failure(failure));
  EXPECT_EQ(failure.peer, 4u);
  EXPECT_EQ(failure.error.code, Code::timed_out);
  drain(3);
}

TEST_F(HostileTest, PeerExchangeIsIgnored) {
  std::vector<uint8_t> frame;
  const uint8_t records[] = {0x1a, 8, 0x22, 6, 0x12, 4, 0x0a, 2, 1, 2};
  append_uvarint(sizeof(records), frame);
  frame.insert(frame.end(), std::begin(records), std::end(records));
  give(kBad, SharedBytes::copy(frame));
  EXPECT_EQ(stats().px_ignored, 1u);
}

TEST_F(HostileTest, TinySeenCacheDoesNotConfuseMessagesInValidation) {
  Params params;
  params.max_seen = 2;
  start(params);
  for (PeerIndex p = 1; p <= 3; ++p) join(p);
  for (int i = 0; i < 5; ++i) give(kBad, block_frame("block " + std::to_string(i)));
  const auto got = messages();
  ASSERT_EQ(got.size(), 5u);
  const uint8_t other_bytes[] = {7, 0 << 2, 'b', 5 << 2, 'l', 'o', 'c', 'k', ' ', '0'};
  give(3, encode_message(as_bytes(kBlocks), other_bytes).frame);
  EXPECT_TRUE(messages().empty());  // its id left the seen cache, but it is still here
  for (const Message& message : got) router_->verdict(message.handle, Verdict::accept, now_);
  drain(3);
}

SharedBytes random_frame(Rng& random) {
  const std::string_view topic = random.chance(3, 4) ? kBlocks : kExits;
  std::vector<MessageId> ids;
  for (uint64_t i = random.below(30); i > 0; --i) ids.push_back(numbered_id(random.below(30)));
  switch (random.below(8)) {
    case 0:
      return subscription(topic, random.chance(3, 4));
    case 1:
      return graft(topic);
    case 2:
      return prune(topic, random.next() >> random.below(64));
    case 3:
      return encode_ihave(as_bytes(topic), ids);
    case 4:
      return encode_iwant(ids);
    case 5:
      return encode_idontwant(ids);
    default:
      return block_frame("message " + std::to_string(random.below(400)), topic);
  }
}

// Random frames of every kind, mutated, in random cuts, from peers that come and go.
TEST_F(HostileTest, PropertyRandomTrafficKeepsTheInvariants) {
  const uint64_t seed = 424242;
  Rng random(seed);
  for (int step = 0; step < 30'000; ++step) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed << " step " << step);
    const auto peer = static_cast<PeerIndex>(10 + random.below(40));
    if (!router_->connected(peer)) {
      connect(peer, {static_cast<Version>(random.below(3)), random.chance(1, 3), random.below(50)});
    }
    const SharedBytes frame = random_frame(random);
    std::vector<uint8_t> bytes(frame.data(), frame.data() + frame.size());
    if (random.chance(1, 50))
      bytes[random.below(bytes.size())] = static_cast<uint8_t>(random.next());
    const size_t cut = random.below(bytes.size() + 1);
    const bool ok = router_->receive(peer, Bytes(bytes).first(cut), now_).has_value() &&
                    router_->receive(peer, Bytes(bytes).subspan(cut), now_).has_value();
    if (!ok || random.chance(1, 300)) router_->peer_disconnected(peer, now_);
    Message message;
    while (router_->poll_message(message)) {
      if (random.chance(9, 10)) {
        router_->verdict(message.handle,
                         static_cast<Verdict>(random.below(20) == 0 ? 2 : random.below(2)), now_);
      }
    }
    if (random.chance(1, 20)) beat();
    if (random.chance(1, 3000)) router_->subscribe(exits_, now_);
    if (random.chance(1, 3000)) router_->unsubscribe(exits_, now_);
    for (TopicIndex t : {blocks_, exits_}) {
      for (PeerIndex member : router_->mesh(t)) {
        ASSERT_TRUE(router_->connected(member));
        ASSERT_EQ(std::ranges::count(router_->subscribers(t), member), 1);
        ASSERT_EQ(std::ranges::count(router_->mesh(t), member), 1);
      }
      ASSERT_TRUE(router_->subscribed(t) || router_->mesh(t).empty());
    }
    if (random.chance(1, 4)) {
      for (const Received& got : drain(peer)) ASSERT_LE(got.backoff, 60u);
    }
  }
  advance(seconds(40));
  EXPECT_EQ(router_->validating(), 0u);
  EXPECT_EQ(router_->stored_messages(), 0u);
  EXPECT_EQ(router_->stored_bytes(), 0u);
  for (PeerIndex peer = 10; peer < 50; ++peer) router_->peer_disconnected(peer, now_);
  drain(3);
}

}  // namespace
}  // namespace beamline::gossip
