// Connections and their gossip streams that come, break, cross and come again.
#include "codec/reqresp_messages.h"
#include "tests/node/hostile.h"
#include "tests/sim/replay.h"

namespace beamline::node {
namespace {

using chain::Origin;

// The negotiation of the gossip stream fell into a partition that the connection survived: it had
// no gossip for good.
TEST(NodeConnection, AGossipStreamThatWasNotNegotiatedInTimeIsOpenedAnew) {
  sim::Options options;
  options.stall_timeout = seconds(1000);
  sim::World world(202, sim::traced(options));
  SimNode maker(world, Joined::directly), follower(world, Joined::directly);
  follower.dial(maker);
  maker.start();
  follower.start();
  ASSERT_TRUE(world.run_until([&] { return maker.network().peers() == 1; }, seconds(5)));
  world.net().partition(maker.host(), follower.host());
  world.run_for(seconds(13));
  world.net().heal_all();
  maker.produce();
  world.run_for(kSlot * 20);
  EXPECT_EQ(follower.network_stats().connected, 1u);
  EXPECT_GE(follower.network_stats().gossip_reopened + maker.network_stats().gossip_reopened, 1u);
  EXPECT_EQ(follower.network().router().mesh(0).size(), 1u);
  EXPECT_GE(follower.imported(Origin::gossip), 10u);
  maker.stop_producing();
  EXPECT_TRUE(run_until_heads_equal(world, {&maker, &follower}));
}

TEST(NodeConnection, AGossipStreamThatIsResetIsOpenedAnewWithADelayThatGrows) {
  sim::World world(1, sim::traced({}));
  SimNode node(world, Joined::directly);
  node.start();
  Hostile peer(world, Hostile::Layer::connection);
  peer.connect(node);
  for (size_t streams = 1; streams <= 4; ++streams) {
    const MonoTime begin = world.now();
    ASSERT_TRUE(
        world.run_until([&] { return peer.gossip_streams().size() == streams; }, seconds(20)));
    if (streams > 1) {
      EXPECT_GE(world.now() - begin, seconds(1) * (1 << (streams - 2)));
    }
    world.run_for(milliseconds(10));
    // Subscriptions are told on each of them.
    EXPECT_FALSE(peer.received(peer.gossip_streams().back()).empty());
    peer.reset(peer.gossip_streams().back());
  }
  EXPECT_EQ(node.network_stats().gossip_reopened, 3u);
  EXPECT_FALSE(peer.closed());
}

// What was half sent on the stream before does not spoil the first frame of the next one.
TEST(NodeConnection, AGossipStreamOfAPeerThatIsOpenedAnewBeginsWithAFrame) {
  sim::World world(1, sim::traced({}));
  SimNode node(world, Joined::directly);
  node.start();
  Hostile peer(world, Hostile::Layer::connection);
  peer.connect(node);
  ASSERT_TRUE(world.run_until([&] { return peer.connected(); }, seconds(5)));
  StatusV1 status;
  status.fork_digest = sim_spec(world).digest();
  status.head_root = sim_spec(world).genesis_block_root;
  peer.say_status(status);
  const std::vector<uint8_t> half = {10, 0x0a, 2};  // 10 bytes are announced
  const std::vector<uint8_t> whole = {0};
  const auto first = peer.open("/meshsub/1.1.0", half, false);
  world.run_for(milliseconds(100));
  peer.open("/meshsub/1.1.0", whole, false);
  world.run_for(milliseconds(100));
  EXPECT_TRUE(peer.was_reset(first));
  peer.open("/meshsub/1.1.0", half, true);  // ends within a frame
  world.run_for(milliseconds(100));
  peer.open("/meshsub/1.1.0", whole, false);
  world.run_for(milliseconds(100));
  EXPECT_EQ(node.network().router().stats().bad_rpcs, 0u);
  EXPECT_EQ(node.network().router().stats().rpcs_in, 2u);
  EXPECT_FALSE(peer.closed());
}

// It has lost its old connection, which we still believe in; it is not sent away for that.
TEST(NodeConnection, APeerThatComesBackReplacesItsOldConnection) {
  sim::World world(1, sim::traced({}));
  SimNode node(world, Joined::by_inboxes);
  node.start();
  StatusV1 status;
  status.fork_digest = sim_spec(world).digest();
  status.head_root = sim_spec(world).genesis_block_root;
  Hostile before(world, Hostile::Layer::connection, 7), after(world, Hostile::Layer::connection, 7);
  for (Hostile* peer : {&before, &after}) {
    peer->connect(node);
    ASSERT_TRUE(world.run_until([&] { return peer->connected(); }, seconds(5)));
    peer->say_status(status);
    world.run_for(seconds(1));
    EXPECT_EQ(node.peers_up(), 1u);
    EXPECT_EQ(node.network().peers(), 1u);
  }
  EXPECT_TRUE(before.closed());
  EXPECT_FALSE(after.closed());
  EXPECT_EQ(node.network_stats().duplicate_peers, 1u);
  EXPECT_EQ(node.network_stats().connected, 2u);
}

TEST(NodeConnection, TwoThatDialEachOtherKeepOneConnection) {
  sim::for_each_seed(seeds(30, 300), [](uint64_t seed) {
    sim::Options options;
    options.link.latency_min = milliseconds(1);
    options.link.latency_max = milliseconds(40);
    options.schedule_delay = milliseconds(2);
    const sim::Replay replay(seed, options);
    sim::World world(seed, sim::traced(options));
    const Joined joined = seed % 2 == 0 ? Joined::directly : Joined::by_inboxes;
    SimNode a(world, joined), b(world, joined);
    a.dial(b);
    b.dial(a);
    a.start();
    b.start();
    a.produce();
    world.run_for(seconds(10));
    for (SimNode* node : {&a, &b}) {
      EXPECT_EQ(node->network().peers(), 1u) << describe(*node);
      EXPECT_EQ(node->peers_up(), 1u);
      EXPECT_LE(node->network_stats().dials, 3u);
    }
    const uint64_t dials = a.network_stats().dials + b.network_stats().dials;
    world.run_for(seconds(60));
    EXPECT_EQ(a.network_stats().dials + b.network_stats().dials, dials);
    EXPECT_EQ(world.net().connections(), 1u);
    a.stop_producing();
    EXPECT_TRUE(run_until_heads_equal(world, {&a, &b}));
    EXPECT_EQ(b.chain_stats().fetched_twice, 0u);
  });
}

TEST(NodeConnection, APeerThatIsDialledTwiceIsConnectedOnce) {
  sim::World world(1, sim::traced({}));
  SimNode a(world, Joined::directly), b(world, Joined::directly);
  b.dial(a);
  b.options().network.dial.push_back(Multiaddr::tcp(a.endpoint()));  // without its id
  a.start();
  b.start();
  world.run_for(seconds(10));
  const uint64_t dials = b.network_stats().dials;
  world.run_for(seconds(60));
  EXPECT_EQ(b.network_stats().dials, dials);
  EXPECT_EQ(world.net().connections(), 1u);
}

// A peer that sends us away each time is not asked at the first pace for ever.
TEST(NodeConnection, RedialsSlowDownUntilAPeerIsOfUse) {
  sim::World world(1, sim::traced({}));
  SimNode other_chain(world, Joined::directly), node(world, Joined::directly);
  other_chain.options().spec.genesis_validators_root.bytes.fill(1);
  node.dial(other_chain);
  other_chain.start();
  node.start();
  world.run_for(seconds(120));
  EXPECT_GE(node.network_stats().dials, 20u);
  EXPECT_LE(node.network_stats().dials, 40u);  // 4 s apart, in the end
  EXPECT_EQ(node.peers_up(), 0u);
}

TEST(NodeConnection, GoodbyesAreSaidWhenANodeLeaves) {
  for (const Joined joined : {Joined::directly, Joined::by_inboxes}) {
    sim::World world(1, sim::traced({}));
    SimNode maker(world, joined), follower(world, joined);
    follower.dial(maker);
    maker.start();
    follower.start();
    world.run_for(seconds(2));
    follower.leave();
    world.run_for(seconds(1));
    EXPECT_EQ(follower.network_stats().goodbyes_sent, 1u);
    EXPECT_EQ(maker.network_stats().goodbyes_received, 1u);
    EXPECT_EQ(maker.network().peers(), 0u);
    EXPECT_EQ(maker.peers_up(), 0u);
    EXPECT_EQ(maker.network_stats().violations, 0u);
  }
}

}  // namespace
}  // namespace beamline::node
