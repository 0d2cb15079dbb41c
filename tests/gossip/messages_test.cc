// A message's way: ids, duplicates, verdicts, one shared frame, scores, publishing.
#include "crypto/sha256.h"
#include "router_fixture.h"

namespace beamline::gossip {
namespace {

using Kind = RpcItem::Kind;
using MessagesTest = RouterTest;

TEST_F(MessagesTest, NewMessageComesOutDecompressedWithItsPhase0Id) {
  join(3);
  give(3, block_frame("a block"));
  const auto got = messages();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].topic, blocks_);
  EXPECT_EQ(got[0].from, 3u);
  EXPECT_EQ(as_text(got[0].data), "a block");
  const uint8_t domain[] = {1, 0, 0, 0};
  const Hash256 hash = sha256(domain, as_bytes("a block"));
  EXPECT_TRUE(equal(got[0].id.view(), hash.view().first(20)));
  EXPECT_EQ(router_->validating(), 1u);
}

TEST_F(MessagesTest, AltairIdBindsTheTopic) {
  router_->subscribe(exits_, now_);
  join(3);
  give(3, block_frame("an exit", kExits));
  const auto got = messages();
  ASSERT_EQ(got.size(), 1u);
  const uint8_t domain[] = {1, 0, 0, 0};
  const uint8_t size[] = {static_cast<uint8_t>(kExits.size()), 0, 0, 0, 0, 0, 0, 0};
  const Hash256 hash = sha256(domain, size, as_bytes(kExits), as_bytes("an exit"));
  EXPECT_TRUE(equal(got[0].id.view(), hash.view().first(20)));
}

TEST_F(MessagesTest, NothingIsForwardedBeforeTheVerdict) {
  join(1);
  join(2);
  give(1, block_frame("block"));
  EXPECT_TRUE(drain(2, Kind::message).empty());
  router_->verdict(messages().at(0).handle, Verdict::accept, now_);
  EXPECT_EQ(drain(2, Kind::message).size(), 1u);
  EXPECT_TRUE(drain(1, Kind::message).empty());
}

TEST_F(MessagesTest, AllReceiversShareOneFrame) {
  for (PeerIndex p = 0; p < 6; ++p) join(p);
  for (PeerIndex p = 0; p < 6; ++p) drain(p);
  block(0, "shared");
  const uint8_t* frame = nullptr;
  for (PeerIndex p = 1; p < 6; ++p) {
    const auto got = drain(p, Kind::message);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_TRUE(frame == nullptr || frame == got[0].frame);
    frame = got[0].frame;
  }
}

// The buffer in which a message was gathered is the frame that goes out.
TEST_F(MessagesTest, GatheredFrameIsForwardedWithoutAnotherCopy) {
  join(1);
  join(2);
  drain(2);
  const SharedBytes frame = block_frame("in two pieces");
  ASSERT_TRUE(router_->receive(1, frame.bytes().first(20), now_).has_value());
  ASSERT_TRUE(router_->receive(1, frame.bytes().subspan(20), now_).has_value());
  router_->verdict(messages().at(0).handle, Verdict::accept, now_);
  SharedBytes out = router_->poll_transmit(2);
  EXPECT_TRUE(equal(out, frame));
}

// The application had no room: another peer's copy is taken, judged and forwarded.
TEST_F(MessagesTest, ForgottenForWantOfRoomIsTakenFromTheNextPeer) {
  for (PeerIndex p = 1; p <= 3; ++p) join(p);
  for (PeerIndex p = 1; p <= 3; ++p) drain(p);
  block(1, "too many at once", Verdict::forget);
  EXPECT_EQ(stats().forgotten, 1u);
  EXPECT_EQ(router_->validating(), 0u);
  EXPECT_TRUE(drain(2, Kind::message).empty());
  EXPECT_EQ(router_->counters(1, blocks_).invalid, Fixed{});
  give(2, block_frame("too many at once"));
  const auto again = messages();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].from, 2u);
  EXPECT_EQ(stats().duplicates, 0u);
  router_->verdict(again[0].handle, Verdict::accept, now_);
  EXPECT_EQ(drain(3, Kind::message).size(), 1u);
  give(3, block_frame("too many at once"));
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(stats().duplicates, 1u);
}

// Offered by IHAVE it is asked for again; and it stays seen for its whole time from then on.
TEST_F(MessagesTest, ForgottenIsAskedForAgainAndSeenAnewForItsWholeTime) {
  Params params;
  params.seen_ttl = seconds(100);
  start(params);
  for (PeerIndex p = 1; p <= 2; ++p) join(p);
  const MessageId id = block(1, "again", Verdict::forget);
  advance(seconds(60));
  for (PeerIndex p = 1; p <= 2; ++p) drain(p);
  give(2, encode_ihave(as_bytes(kBlocks), {&id, 1}));
  const auto asked = drain(2, Kind::iwant);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].ids, std::vector{id});
  give(2, block_frame("again"));
  ASSERT_EQ(messages().size(), 1u);
  advance(seconds(60));  // the first time is over, the second is not
  give(1, block_frame("again"));
  EXPECT_TRUE(messages().empty());
  advance(seconds(60));
  give(1, block_frame("again"));
  EXPECT_EQ(messages().size(), 1u);
}

TEST_F(MessagesTest, IgnoreForwardsNothingAndChargesNobody) {
  join(1);
  join(2);
  drain(2);
  block(1, "ignored", Verdict::ignore);
  EXPECT_TRUE(drain(2, Kind::message).empty());
  EXPECT_EQ(router_->counters(1, blocks_).invalid, Fixed{});
  EXPECT_EQ(router_->counters(1, blocks_).first, Fixed{});
  EXPECT_EQ(stats().ignored, 1u);
}

TEST_F(MessagesTest, RejectChargesEveryoneWhoSentIt) {
  join(1);
  join(2);
  join(3);
  give(1, block_frame("bad"));
  give(2, block_frame("bad"));
  router_->verdict(messages().at(0).handle, Verdict::reject, now_);
  give(3, block_frame("bad"));  // after the verdict
  for (PeerIndex p = 1; p <= 3; ++p) {
    EXPECT_EQ(router_->counters(p, blocks_).invalid, Fixed::from(1)) << p;
    EXPECT_LT(router_->score(p), Fixed{}) << p;
  }
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(router_->stored_bytes(), 0u);
}

TEST_F(MessagesTest, DuplicatesAreToldOnceAndNotSentBack) {
  for (PeerIndex p = 1; p <= 3; ++p) join(p);
  for (PeerIndex p = 1; p <= 3; ++p) drain(p);
  give(1, block_frame("block"));
  give(2, block_frame("block"));
  give(1, block_frame("block"));
  const auto got = messages();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(stats().duplicates, 2u);
  EXPECT_EQ(stats().duplicates_by_bytes, 2u);
  router_->verdict(got[0].handle, Verdict::accept, now_);
  EXPECT_TRUE(drain(1, Kind::message).empty());
  EXPECT_TRUE(drain(2, Kind::message).empty());
  EXPECT_EQ(drain(3, Kind::message).size(), 1u);
}

// The same payload, compressed differently: other bytes, the same id.
TEST_F(MessagesTest, DuplicateByIdWhenTheBytesDiffer) {
  join(1);
  join(2);
  block(1, "abcd");
  const uint8_t literal_in_two[] = {4, 1 << 2, 'a', 'b', 1 << 2, 'c', 'd'};
  give(2, encode_message(as_bytes(kBlocks), literal_in_two).frame);
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(stats().duplicates, 1u);
  EXPECT_EQ(stats().duplicates_by_bytes, 0u);
}

TEST_F(MessagesTest, SeenLastsLongerThanTheHistory) {
  join(1);
  block(1, "once");
  advance(seconds(60));
  give(1, block_frame("once"));
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(stats().duplicates, 1u);
  advance(seconds(768));
  give(1, block_frame("once"));
  EXPECT_EQ(messages().size(), 1u);
}

TEST_F(MessagesTest, DeliveriesAreCredited) {
  join(1);
  join(2);
  join(3);
  give(1, block_frame("block"));
  give(2, block_frame("block"));
  router_->verdict(messages().at(0).handle, Verdict::accept, now_);
  advance(seconds(1));
  give(3, block_frame("block"));  // within the window
  EXPECT_EQ(router_->counters(1, blocks_).first, Fixed::from(1));
  EXPECT_EQ(router_->counters(1, blocks_).mesh, Fixed::from(1));
  EXPECT_EQ(router_->counters(2, blocks_).first, Fixed{});
  EXPECT_EQ(router_->counters(2, blocks_).mesh, Fixed::from(1));
  EXPECT_EQ(router_->counters(3, blocks_).mesh, Fixed::from(1));
  give(3, block_frame("block"));
  EXPECT_EQ(router_->counters(3, blocks_).mesh, Fixed::from(1));  // counted once
}

TEST_F(MessagesTest, StaleVerdictsOnlyCount) {
  join(1);
  give(1, block_frame("block"));
  const MessageHandle handle = messages().at(0).handle;
  router_->verdict(handle, Verdict::accept, now_);
  router_->verdict(handle, Verdict::reject, now_);
  router_->verdict(MessageHandle{}, Verdict::reject, now_);
  router_->verdict(MessageHandle{12345, 0}, Verdict::reject, now_);
  EXPECT_EQ(stats().stale_verdicts, 3u);
  EXPECT_EQ(router_->counters(1, blocks_).invalid, Fixed{});
}

TEST_F(MessagesTest, NoVerdictInTimeCountsAsIgnore) {
  join(1);
  join(2);
  drain(2);
  give(1, block_frame("slow"));
  const MessageHandle handle = messages().at(0).handle;
  advance(seconds(31));
  EXPECT_EQ(stats().validation_timeouts, 1u);
  EXPECT_EQ(router_->validating(), 0u);
  router_->verdict(handle, Verdict::accept, now_);
  EXPECT_EQ(stats().stale_verdicts, 1u);
  EXPECT_TRUE(drain(2, Kind::message).empty());
}

TEST_F(MessagesTest, SenderThatLeftIsNotNamedNorCharged) {
  join(1);
  give(1, block_frame("bad"));
  router_->peer_disconnected(1, now_);
  connect(1);  // the index again, another peer
  const auto got = messages();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].from, kNoPeer);
  router_->verdict(got[0].handle, Verdict::reject, now_);
  EXPECT_EQ(router_->counters(1, blocks_).invalid, Fixed{});
}

TEST_F(MessagesTest, UnsubscribedTopicsAreDropped) {
  join(1);
  give(1, block_frame("exit", kExits));
  give(1, block_frame("exit", "/eth2/00000000/voluntary_exit/ssz_snappy"));
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(stats().unknown_topic, 2u);
}

TEST_F(MessagesTest, FloodPublishReachesEverySubscriber) {
  for (PeerIndex p = 0; p < 20; ++p) join(p);
  connect(30);
  for (PeerIndex p = 0; p < 20; ++p) drain(p);
  drain(30);
  const auto made = router_->publish(blocks_, as_bytes("ours"), now_);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->peers, 20u);
  for (PeerIndex p = 0; p < 20; ++p) {
    const auto got = drain(p, Kind::message);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].topic, kBlocks);
  }
  EXPECT_TRUE(drain(30, Kind::message).empty());
  // It comes back, and can be asked for.
  give(1, block_frame("ours"));
  EXPECT_TRUE(messages().empty());
  give(2, encode_iwant({&made->id, 1}));
  EXPECT_EQ(drain(2, Kind::message).size(), 1u);
}

TEST_F(MessagesTest, PublishErrors) {
  EXPECT_EQ(router_->publish(blocks_, as_bytes("x"), now_)->peers, 0u);
  EXPECT_EQ(router_->publish(blocks_, as_bytes("x"), now_).error().code, Code::duplicate);
  const std::string huge(10'485'761, 'x');
  EXPECT_EQ(router_->publish(blocks_, as_bytes(huge), now_).error().code, Code::too_long);
}

TEST_F(MessagesTest, LowScoresGetNeitherOurMessagesNorGossip) {
  for (PeerIndex p = 0; p < 12; ++p) join(p);
  router_->set_application_score(11, Fixed::from(-9000), now_);
  EXPECT_EQ(router_->publish(blocks_, as_bytes("ours"), now_)->peers, 11u);
  beat();
  EXPECT_TRUE(drain(11, Kind::ihave).empty());
  const MessageId id = numbered_id(5);
  give(11, encode_ihave(as_bytes(kBlocks), {&id, 1}));
  give(11, encode_iwant({&id, 1}));
  EXPECT_EQ(stats().ihave_low_score, 1u);
  EXPECT_EQ(stats().iwant_low_score, 1u);
}

TEST_F(MessagesTest, ReadyNamesEachPeerOnceUntilItIsDrained) {
  join(1);
  join(2);
  PeerIndex peer = kNoPeer;
  std::vector<PeerIndex> ready;
  while (router_->poll_ready(peer)) ready.push_back(peer);
  EXPECT_EQ(ready, (std::vector<PeerIndex>{1, 2}));
  ASSERT_TRUE(router_->publish(blocks_, as_bytes("x"), now_).has_value());
  EXPECT_FALSE(router_->poll_ready(peer));  // both still have what they were named for
  drain(1);
  ASSERT_TRUE(router_->publish(blocks_, as_bytes("y"), now_).has_value());
  ASSERT_TRUE(router_->poll_ready(peer));
  EXPECT_EQ(peer, 1u);
  EXPECT_FALSE(router_->poll_ready(peer));
}

}  // namespace
}  // namespace beamline::gossip
