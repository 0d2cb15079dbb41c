// Subscriptions, GRAFT, PRUNE and the mesh's upkeep (gossipsub v1.0 and v1.1).
#include "router_fixture.h"

namespace beamline::gossip {
namespace {

using Kind = RpcItem::Kind;
using MeshTest = RouterTest;

TEST_F(MeshTest, ConnectAnnouncesOurTopics) {
  connect(1);
  const auto got = drain(1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].kind, Kind::subscribe);
  EXPECT_EQ(got[0].topic, kBlocks);
  router_->subscribe(exits_, now_);
  const auto more = drain(1);
  ASSERT_EQ(more.size(), 1u);
  EXPECT_EQ(more[0].topic, kExits);
}

TEST_F(MeshTest, SubscriberIsGraftedWhileTheMeshIsSmall) {
  join(1);
  EXPECT_TRUE(in_mesh(1));
  EXPECT_EQ(drain(1, Kind::graft).size(), 1u);
  EXPECT_EQ(router_->subscribers(blocks_), std::vector<PeerIndex>{1});
}

TEST_F(MeshTest, JoinGraftsUpToD) {
  router_->unsubscribe(blocks_, now_);
  for (PeerIndex p = 0; p < 30; ++p) join(p);
  EXPECT_TRUE(router_->mesh(blocks_).empty());
  router_->subscribe(blocks_, now_);
  EXPECT_EQ(router_->mesh(blocks_).size(), params_.d);
}

TEST_F(MeshTest, LeavePrunesWithTheUnsubscribeBackoff) {
  join(1);
  drain(1);
  router_->unsubscribe(blocks_, now_);
  const auto got = drain(1);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].kind, Kind::prune);
  EXPECT_EQ(got[0].backoff, 10u);
  EXPECT_EQ(got[1].kind, Kind::unsubscribe);
  router_->subscribe(blocks_, now_);
  EXPECT_FALSE(in_mesh(1));  // the backoff holds for us too
  advance(seconds(12));
  EXPECT_TRUE(in_mesh(1));
}

TEST_F(MeshTest, GraftIsAcceptedFromASubscriber) {
  for (PeerIndex p = 0; p < 8; ++p) join(p);
  const PeerIndex late = 8;
  join(late);
  ASSERT_FALSE(in_mesh(late));
  drain(late);
  give(late, graft(kBlocks));
  EXPECT_TRUE(in_mesh(late));
  EXPECT_TRUE(drain(late, Kind::prune).empty());
}

TEST_F(MeshTest, GraftOfAnUnknownTopicIsNotAnswered) {
  join(1);
  drain(1);
  give(1, graft("/eth2/00000000/beacon_block/ssz_snappy"));
  give(1, graft(kExits));  // registered, but we are not subscribed
  EXPECT_TRUE(drain(1).empty());
  EXPECT_EQ(stats().grafts_unknown_topic, 2u);
}

TEST_F(MeshTest, GraftWithoutSubscriptionIsPruned) {
  connect(1);
  drain(1);
  give(1, graft(kBlocks));
  EXPECT_FALSE(in_mesh(1));
  EXPECT_EQ(drain(1, Kind::prune).size(), 1u);
  EXPECT_EQ(stats().grafts_unsubscribed, 1u);
}

TEST_F(MeshTest, FullMeshRefusesInboundAndTakesOutbound) {
  for (PeerIndex p = 0; p < 12; ++p) {
    join(p);
    give(p, graft(kBlocks));
  }
  ASSERT_EQ(router_->mesh(blocks_).size(), params_.d_high);
  join(20);
  drain(20);
  give(20, graft(kBlocks));
  EXPECT_FALSE(in_mesh(20));
  const auto got = drain(20, Kind::prune);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].backoff, 60u);
  EXPECT_EQ(stats().grafts_mesh_full, 1u);
  join(21, {Version::v1_1, true, 0});
  give(21, graft(kBlocks));
  EXPECT_TRUE(in_mesh(21));
}

TEST_F(MeshTest, HeartbeatPrunesToDAndKeepsTheBestAndTheOutbound) {
  for (PeerIndex p = 0; p < 20; ++p) {
    join(p, {Version::v1_1, p >= 12, 0});
    give(p, graft(kBlocks));
  }
  for (PeerIndex p = 0; p < 4; ++p) block(p, "block of " + std::to_string(p));  // P2
  ASSERT_EQ(router_->mesh(blocks_).size(), 20u);
  beat();
  EXPECT_EQ(router_->mesh(blocks_).size(), params_.d);
  size_t outbound = 0;
  for (PeerIndex p : router_->mesh(blocks_)) outbound += p >= 12;
  EXPECT_GE(outbound, params_.d_out);
  for (PeerIndex p = 0; p < 4; ++p) EXPECT_TRUE(in_mesh(p)) << p;
  EXPECT_EQ(stats().prunes_out, 12u);
}

TEST_F(MeshTest, HeartbeatFillsTheOutboundQuota) {
  for (PeerIndex p = 0; p < 8; ++p) {
    join(p);
    give(p, graft(kBlocks));
  }
  join(30, {Version::v1_1, true, 0});
  join(31, {Version::v1_1, true, 0});
  ASSERT_FALSE(in_mesh(30));
  beat();
  EXPECT_TRUE(in_mesh(30));
  EXPECT_TRUE(in_mesh(31));
}

TEST_F(MeshTest, HeartbeatDropsNegativeScores) {
  join(1);
  join(2);
  block(1, "bad", Verdict::reject);
  EXPECT_LT(router_->score(1), Fixed{});
  beat();
  EXPECT_FALSE(in_mesh(1));
  EXPECT_TRUE(in_mesh(2));
  drain(1);
  give(1, graft(kBlocks));
  EXPECT_FALSE(in_mesh(1));
}

TEST_F(MeshTest, PruneSetsTheBackoffAndWeWaitItOut) {
  join(1);
  give(1, prune(kBlocks, 30));
  EXPECT_FALSE(in_mesh(1));
  EXPECT_EQ(router_->backoff_until(blocks_, 1), now_.mono + seconds(30));
  drain(1);
  advance(seconds(30));
  EXPECT_FALSE(in_mesh(1));  // one heartbeat of slack
  advance(seconds(2));
  EXPECT_TRUE(in_mesh(1));
  EXPECT_EQ(drain(1, Kind::graft).size(), 1u);
}

TEST_F(MeshTest, PruneWithoutBackoffMeansSixtySeconds) {
  join(1, {Version::v1_0, false, 0});
  give(1, prune(kBlocks, 0));
  EXPECT_EQ(router_->backoff_until(blocks_, 1), now_.mono + seconds(60));
}

TEST_F(MeshTest, ABackoffIsNeverShortened) {
  join(1);
  give(1, prune(kBlocks, 600));
  give(1, prune(kBlocks, 1));
  EXPECT_EQ(router_->backoff_until(blocks_, 1), now_.mono + seconds(600));
}

TEST_F(MeshTest, GraftInBackoffIsChargedRefreshedAndPruned) {
  join(1);
  give(1, prune(kBlocks, 60));
  drain(1);
  advance(seconds(20));
  drain(1);
  give(1, graft(kBlocks));
  EXPECT_FALSE(in_mesh(1));
  EXPECT_EQ(stats().grafts_in_backoff, 1u);
  EXPECT_EQ(stats().grafts_flood, 0u);
  EXPECT_GE(router_->behaviour_penalty(1), Fixed::ratio(99, 100));
  EXPECT_EQ(router_->backoff_until(blocks_, 1), now_.mono + seconds(60));
  const auto got = drain(1, Kind::prune);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].backoff, 60u);
}

TEST_F(MeshTest, GraftFloodIsChargedTwice) {
  join(1);
  give(1, prune(kBlocks, 60));
  advance(seconds(5));
  give(1, graft(kBlocks));
  EXPECT_EQ(stats().grafts_flood, 1u);
  EXPECT_GE(router_->behaviour_penalty(1), Fixed::ratio(19, 10));
}

TEST_F(MeshTest, UnsubscribeOfAPeerTakesItFromTheMesh) {
  join(1);
  give(1, subscription(kBlocks, false));
  EXPECT_FALSE(in_mesh(1));
  EXPECT_TRUE(router_->subscribers(blocks_).empty());
  EXPECT_EQ(router_->topics_of(1), 0u);
}

TEST_F(MeshTest, DisconnectForgetsThePeer) {
  join(1);
  router_->peer_disconnected(1, now_);
  EXPECT_TRUE(router_->mesh(blocks_).empty());
  EXPECT_TRUE(router_->subscribers(blocks_).empty());
  EXPECT_FALSE(router_->connected(1));
  EXPECT_TRUE(router_->poll_transmit(1).empty());
  router_->peer_disconnected(1, now_);
  EXPECT_EQ(router_->receive(1, graft(kBlocks), now_).error().code, Code::not_found);
}

TEST_F(MeshTest, ScoreAndBackoffOutliveTheConnection) {
  join(1, {Version::v1_1, false, 0xabcdef});
  block(1, "bad", Verdict::reject);
  give(1, prune(kBlocks, 600));
  const MonoTime until = router_->backoff_until(blocks_, 1);
  router_->peer_disconnected(1, now_);
  EXPECT_EQ(router_->backoff_until(blocks_, 1), MonoTime{});
  connect(2, {Version::v1_1, false, 0xabcdef});
  EXPECT_LT(router_->score(2), Fixed{});
  EXPECT_EQ(router_->backoff_until(blocks_, 2), until);
  connect(3, {Version::v1_1, false, 0x123456});
  EXPECT_EQ(router_->score(3), Fixed{});
}

TEST_F(MeshTest, OpportunisticGraftTakesPeersAboveTheMedian) {
  for (PeerIndex p = 0; p < 8; ++p) {
    join(p, {Version::v1_1, true, 0});
    give(p, graft(kBlocks));
  }
  for (PeerIndex p = 8; p < 12; ++p) {
    join(p);
    router_->set_application_score(p, Fixed::from(20), now_);
  }
  ASSERT_FALSE(in_mesh(8));
  beat(61);
  EXPECT_EQ(stats().opportunistic_grafts, 2u);
  EXPECT_EQ(router_->mesh(blocks_).size(), 10u);
}

TEST_F(MeshTest, RestartedOutputAnnouncesEverythingAgain) {
  join(1);
  PeerIndex peer = kNoPeer;
  while (router_->poll_ready(peer)) {
  }
  router_->restart_output(1);
  ASSERT_TRUE(router_->poll_ready(peer));
  const auto got = drain(1);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].kind, Kind::subscribe);
  EXPECT_EQ(got[1].kind, Kind::graft);
  EXPECT_TRUE(in_mesh(1));
}

TEST_F(MeshTest, RestartedInputForgetsHalfAFrameButTheFailureIsTold) {
  join(1);
  const SharedBytes frame = block_frame("block");
  ASSERT_TRUE(router_->receive(1, frame.bytes().first(5), now_).has_value());
  router_->restart_input(1);
  give(1, frame);
  const uint8_t garbage[] = {2, 0xff, 0xff};
  ASSERT_FALSE(router_->receive(1, garbage, now_).has_value());
  router_->restart_input(1);
  Router::Failure failure;
  ASSERT_TRUE(router_->poll_failure(failure));
  EXPECT_EQ(failure.peer, 1u);
  EXPECT_FALSE(router_->poll_failure(failure));
  give(1, frame);
  EXPECT_EQ(router_->validating(), 1u);
}

TEST_F(MeshTest, RegistrationErrors) {
  EXPECT_EQ(router_->register_topic(kBlocks, {}).error().code, Code::duplicate);
  EXPECT_EQ(router_->register_topic(std::string(300, 'a'), {}).error().code, Code::too_long);
  Params params;
  params.max_topics = 2;
  start(params);
  EXPECT_EQ(router_->register_topic("one more", {}).error().code, Code::full);
  EXPECT_EQ(router_->peer_connected(1 << 20, {}, now_).error().code, Code::out_of_range);
  connect(1);
  EXPECT_EQ(router_->peer_connected(1, {}, now_).error().code, Code::duplicate);
}

TEST_F(MeshTest, HeartbeatKeepsItsPaceAndSkipsWhatWasMissed) {
  const MonoTime first = router_->poll_timeout();
  EXPECT_LE(first, now_.mono + params_.heartbeat + nanoseconds(1));
  now_.mono = first + params_.heartbeat * 5 + milliseconds(1);
  router_->handle_timeout(now_);
  EXPECT_EQ(stats().heartbeats, 1u);
  EXPECT_EQ(stats().heartbeats_skipped, 5u);
  EXPECT_EQ(router_->poll_timeout(), first + params_.heartbeat * 6);
  router_->handle_timeout(now_);
  EXPECT_EQ(stats().heartbeats, 1u);
}

}  // namespace
}  // namespace beamline::gossip
