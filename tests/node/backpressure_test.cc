// Full queues between core and network: what must wait waits, nothing is lost in silence, and what
// must never be refused is not.
#include <deque>

#include "codec/reqresp_messages.h"
#include "tests/node/hostile.h"
#include "tests/sim/replay.h"

namespace beamline::node {
namespace {

using chain::Origin;

// A core that takes events, or does not.
class FakeCore final : public CorePort {
 public:
  PushResult push(chain::Event&& event) override {
    if (!room) return PushResult::full;
    events.push_back(std::move(event));
    return PushResult::ok;
  }
  bool reserve_peer_down() override {
    ++reserved;
    return true;
  }
  void push_peer_down(const chain::PeerDown& event) override {
    ASSERT_GT(reserved, 0);
    --reserved;
    events.push_back(event);
  }
  void release_peer_down() override {
    ASSERT_GT(reserved, 0);
    --reserved;
  }
  template <class Kind>
  std::vector<Kind> said() const {
    std::vector<Kind> found;
    for (const auto& event : events) {
      if (const auto* kind = std::get_if<Kind>(&event)) found.push_back(*kind);
    }
    return found;
  }

  uint32_t load() override { return fullness; }

  bool room = true;
  uint32_t fullness = 0;
  int reserved = 0;
  std::deque<chain::Event> events;
};

// A network without its core, beside a maker of blocks.
struct NodeBackpressure : testing::Test {
  NodeBackpressure()
      : maker(world, Joined::directly),
        options(sim_options(world, Joined::directly)),
        reactor(world, world.add_host(0x0a0000aa)),
        program(options, identity, Rng(6)) {}
  ~NodeBackpressure() override {
    if (!started) return;
    reactor->shutdown();
    program.on_stop(*reactor);
    EXPECT_EQ(core.reserved, 0);
  }
  void start(bool dial) {
    maker.start();
    if (dial) options.network.dial.push_back(Multiaddr::tcp(maker.endpoint(), maker.peer_id()));
    options.network.listen = world.net().endpoint(1, kPort);
    ASSERT_TRUE(program.on_start(*reactor));
    ASSERT_TRUE(program.open(core));
    started = true;
    reactor.wake();
  }
  void give_room() {
    core.room = true;
    world.run_for(milliseconds(20));
  }
  Network& network() { return *program.network(); }

  sim::World world{1, sim::traced({})};
  SimNode maker;
  NodeOptions options;
  Rng rng{5};
  const secp256k1::SecretKey identity = secp256k1::SecretKey::generate(rng);
  FakeCore core;
  sim::SimReactor reactor;
  NetworkProgram program;
  bool started = false;
};

TEST_F(NodeBackpressure, ChunksAreHeldWhileTheCoreIsFullAndNoneIsLost) {
  start(true);
  maker.produce();
  world.run_for(kSlot * 60);
  maker.stop_producing();
  ASSERT_EQ(core.said<chain::PeerUp>().size(), 1u);
  const chain::PeerHandle peer = core.said<chain::PeerUp>()[0].peer;
  const uint64_t before = network().client().stats().chunks;
  core.room = false;
  network().execute(
      chain::RequestByRange{.peer = peer, .request = 7, .start_slot = 1, .count = 60});
  reactor.wake();
  world.run_for(seconds(8));
  EXPECT_TRUE(core.said<chain::ChunkReceived>().empty());
  // One is held; the others are the client's, which took no more than its bound, or not yet ours.
  EXPECT_LE(network().stats().events_held, 2u);
  EXPECT_GT(network().client().stats().stalled_undelivered, 0u);
  EXPECT_LE(network().client().stats().chunks - before, 10u);
  // Room for a moment now and then.
  for (int i = 0; i < 1000 && core.said<chain::RequestEnded>().empty(); ++i) {
    core.room = !core.room;
    world.run_for(milliseconds(3));
  }
  const auto chunks = core.said<chain::ChunkReceived>();
  ASSERT_EQ(chunks.size(), 60u);
  for (size_t i = 0; i < chunks.size(); ++i) EXPECT_EQ(chunks[i].block.slot, i + 1);
  EXPECT_EQ(core.said<chain::RequestEnded>().size(), 1u);
  EXPECT_TRUE(core.said<chain::RequestFailed>().empty());
  core.room = true;
}

// The client's buffer is full, so the stream's receive is not armed again; what was refused is
// kept.
TEST_F(NodeBackpressure, ARefusedChunkIsKeptAndItsStreamIsNotRearmed) {
  start(true);
  maker.produce();
  world.run_for(kSlot * 100);
  maker.stop_producing();
  const chain::PeerHandle peer = core.said<chain::PeerUp>().at(0).peer;
  core.room = false;
  network().execute(
      chain::RequestByRange{.peer = peer, .request = 7, .start_slot = 1, .count = 100});
  reactor.wake();
  world.run_for(seconds(2));
  // Nothing more is taken from the stream, however long it waits.
  const uint64_t chunks = network().client().stats().chunks;
  EXPECT_GT(network().client().stats().stalled_undelivered, 0u);
  world.run_for(seconds(2));
  EXPECT_EQ(network().client().stats().chunks, chunks);
  EXPECT_LT(chunks, 100u);
  EXPECT_EQ(network().stats().events_dropped, 0u);
  core.room = true;
  world.run_for(seconds(2));
  EXPECT_EQ(core.said<chain::ChunkReceived>().size(), 100u);
  EXPECT_EQ(core.said<chain::RequestEnded>().size(), 1u);
}

TEST_F(NodeBackpressure, AboveThreeQuartersTheNoisiestPeersAreNotReceivedFrom) {
  start(true);
  maker.produce();
  world.run_for(kSlot * 40);
  EXPECT_GE(network().stats().gossip_blocks, 39u);
  Hostile quiet(world, Hostile::Layer::connection);
  quiet.connect_to(network().listening(), network().peer_id());
  ASSERT_TRUE(world.run_until([&] { return quiet.connected(); }, seconds(5)));
  StatusV1 status;
  status.fork_digest = options.spec.digest();
  status.head_root = options.spec.genesis_block_root;
  quiet.say_status(status);
  world.run_for(milliseconds(50));
  const uint64_t before = network().stats().gossip_blocks;
  core.fullness = 76;
  world.run_for(kSlot * 5);
  maker.stop_producing();
  EXPECT_EQ(network().stats().peers_slowed, 1u);
  EXPECT_LE(network().stats().gossip_blocks, before + 1);
  // Who is quiet is heard.
  const reqresp::ProtocolInfo& row = reqresp::info(reqresp::Protocol::blocks_by_root_v1);
  const auto request = reqresp::encode_request(row, std::vector<uint8_t>(32, 1));
  quiet.open(row.id, request, true);
  world.run_for(milliseconds(100));
  EXPECT_EQ(core.said<chain::IncomingByRoot>().size(), 1u);
  // Between the two marks nothing changes; below, what waited in the socket comes.
  core.fullness = 60;
  world.run_for(seconds(1));
  EXPECT_LE(network().stats().gossip_blocks, before + 1);
  core.fullness = 49;
  world.run_for(seconds(1));
  EXPECT_GE(network().stats().gossip_blocks, before + 5);
  EXPECT_EQ(network().stats().gossip_dropped, 0u);
}

TEST_F(NodeBackpressure, GossipBlocksAreForgottenAndCountedWhileTheCoreIsFull) {
  start(true);
  world.run_for(seconds(3));
  core.room = false;
  maker.produce();
  world.run_for(kSlot * 5);
  EXPECT_EQ(network().stats().gossip_dropped, 5u);
  EXPECT_EQ(network().router().stats().forgotten, 5u);
  EXPECT_EQ(network().router().validating(), 0u);
  core.room = true;
  world.run_for(kSlot * 5);
  EXPECT_EQ(network().stats().gossip_blocks, 5u);
}

TEST_F(NodeBackpressure, PeerDownIsNeverRefused) {
  start(true);
  world.run_for(seconds(1));
  const auto up = core.said<chain::PeerUp>();
  ASSERT_EQ(up.size(), 1u);
  core.room = false;
  world.net().reset_connections(0, 1);
  world.run_for(milliseconds(100));
  ASSERT_EQ(core.said<chain::PeerDown>().size(), 1u);
  EXPECT_EQ(core.said<chain::PeerDown>()[0].peer, up[0].peer);
  core.room = true;
}

// It named a ghost: the core would have kept a peer that no PeerDown ends.
TEST_F(NodeBackpressure, AHeldPeerUpDiesWithItsPeer) {
  core.room = false;
  start(true);
  world.run_for(seconds(1));
  EXPECT_GE(network().stats().events_held, 1u);
  options.network.dial.clear();
  maker.stop();
  world.run_for(milliseconds(100));
  EXPECT_GE(network().stats().events_dropped, 1u);
  give_room();
  for (const auto& event : core.events) ADD_FAILURE() << "event " << event.index();
  EXPECT_EQ(core.reserved, 0);
}

// The events of an old request waited for the core while its slot had a new one: its stream was
// never closed, and the core never heard that nobody wants the answer.
TEST_F(NodeBackpressure, ACancelledRequestIsToldThoughItsSlotIsUsedAnew) {
  start(false);
  Hostile peer(world, Hostile::Layer::connection);
  peer.connect_to(network().listening(), network().peer_id());
  ASSERT_TRUE(world.run_until([&] { return peer.connected(); }, seconds(5)));
  StatusV1 status;
  status.fork_digest = options.spec.digest();
  status.head_root = options.spec.genesis_block_root;
  peer.say_status(status);
  world.run_for(milliseconds(50));
  const reqresp::ProtocolInfo& row = reqresp::info(reqresp::Protocol::blocks_by_root_v1);
  const auto ask = [&] {
    const auto request = reqresp::encode_request(row, std::vector<uint8_t>(32, 1));
    const auto stream = peer.open(row.id, request, true);
    world.run_for(milliseconds(50));
    return stream;
  };
  const auto first = ask();
  ASSERT_EQ(core.said<chain::IncomingByRoot>().size(), 1u);
  core.room = false;
  // Something is held, so that the events of requests wait.
  network().execute(chain::RequestByRoot{.peer = {77, 1}, .request = 1, .roots = {Root{}}});
  world.run_for(milliseconds(10));
  peer.reset(first);
  world.run_for(milliseconds(50));
  ask();
  give_room();
  const auto asked = core.said<chain::IncomingByRoot>();
  const auto cancelled = core.said<chain::IncomingCancelled>();
  ASSERT_EQ(asked.size(), 2u);
  ASSERT_EQ(cancelled.size(), 1u);
  EXPECT_EQ(cancelled[0].serve, asked[0].serve);
  EXPECT_EQ(cancelled[0].peer, asked[0].peer);
}

// Their events wait for the core, also when the streams have gone: they were bounded by nothing.
TEST_F(NodeBackpressure, StreamsThatComeAndGoWhileTheCoreIsFullAreBounded) {
  start(false);
  Hostile peer(world, Hostile::Layer::connection);
  peer.connect_to(network().listening(), network().peer_id());
  ASSERT_TRUE(world.run_until([&] { return peer.connected(); }, seconds(5)));
  core.room = false;
  network().execute(chain::RequestByRoot{.peer = {77, 1}, .request = 1, .roots = {Root{}}});
  const reqresp::ProtocolInfo& row = reqresp::info(reqresp::Protocol::blocks_by_root_v1);
  const auto request = reqresp::encode_request(row, std::vector<uint8_t>(32, 1));
  for (int i = 0; i < 3000 && network().stats().refused_requests < 10; ++i) {
    const auto stream = peer.open(row.id, request, true);
    world.run_for(milliseconds(10));
    peer.reset(stream);
    world.run_for(milliseconds(10));
  }
  EXPECT_EQ(network().stats().refused_requests, 10u);
  give_room();
}

// ---- The whole, with inboxes for one message of a kind

TEST(NodeTinyInboxes, LateNodeCatchesUpAndFollows) {
  sim::for_each_seed(seeds(20, 300), [](uint64_t seed) {
    Rng rng(seed);
    sim::Options options;
    options.schedule_delay = milliseconds(static_cast<int64_t>(rng.between(0, 5)));
    options.wake_delay = milliseconds(static_cast<int64_t>(rng.between(0, 5)));
    const sim::Replay replay(seed, options);
    sim::World world(seed, sim::traced(options));
    SimNode maker(world, Joined::directly), follower(world, Joined::by_inboxes);
    follower.options().core_link = {.control_nodes = 17 + static_cast<uint32_t>(rng.below(3)),
                                    .gossip_nodes = 1,
                                    .chunk_nodes = 1 + static_cast<uint32_t>(rng.below(2))};
    follower.options().network_link_nodes = 1;
    follower.dial(maker);
    maker.start();
    maker.produce();
    world.run_for(kSlot * 40);
    follower.start();
    world.run_for(kSlot * 20);
    maker.stop_producing();
    EXPECT_TRUE(run_until_heads_equal(world, {&maker, &follower})) << describe(follower);
    EXPECT_EQ(follower.chain_stats().fetched_twice, 0u);
    EXPECT_GE(follower.imported(Origin::gossip), 15u);
    EXPECT_GT(follower.network_stats().events_held, 0u);
    EXPECT_GT(follower.core().stats().commands_requeued, 0u);
    follower.leave();
    world.run_for(milliseconds(100));
    EXPECT_EQ(follower.peers_up(), 0u);
  });
}

}  // namespace
}  // namespace beamline::node
