// Peers that break the rules at each layer: that stream or connection ends with a typed reason, or
// its peer is charged; it is counted; and an honest peer's blocks go on being followed.
#include "tests/node/hostile.h"

#include "codec/reqresp_messages.h"
#include "codec/snappy.h"
#include "codec/topic.h"
#include "gossip/rpc.h"
#include "reqresp/chunk.h"
#include "tests/sim/replay.h"

namespace beamline::node {
namespace {

using chain::Origin;
using Layer = Hostile::Layer;
using reqresp::Protocol;

// An honest maker, a node that follows it, and room for whoever comes.
class NodeHostile : public testing::TestWithParam<Joined> {
 protected:
  NodeHostile() : maker(world, GetParam()), victim(world, GetParam()) { victim.dial(maker); }
  void start() {
    maker.start();
    victim.start();
    maker.produce();
    world.run_for(kSlot * 3 + kSlot / 2);
    ASSERT_EQ(victim.head().slot, 3u);
    before_ = victim.imported(Origin::gossip);
  }
  void TearDown() override {
    // The honest peer is followed as if nothing were.
    if (!victim.running()) return;
    world.run_for(kSlot * 3);
    EXPECT_EQ(victim.head().root, maker.head().root) << describe(maker) << "\n" << describe(victim);
    EXPECT_GE(victim.imported(Origin::gossip), before_ + 3);
    EXPECT_EQ(maker.network_stats().disconnected, maker_lost_);
    EXPECT_EQ(victim.chain_stats().fetched_twice, 0u);
  }
  // Until the hostile's connection is up, or closed.
  void connect(Hostile& hostile) {
    hostile.connect(victim);
    world.run_until([&] { return hostile.connected() || hostile.closed(); }, seconds(5));
  }
  bool closes(Hostile& hostile, Duration limit = seconds(5)) {
    return world.run_until([&] { return hostile.closed(); }, limit);
  }
  StatusV1 status(const Root& head, Slot slot) const {
    StatusV1 status;
    status.fork_digest = sim_spec(world).digest();
    status.head_root = head;
    status.head_slot = slot;
    return status;
  }
  // A peer with a head that the victim does not know, and asks it for.
  std::unique_ptr<Hostile> claim(const Root& head, Protocol asked, Hostile::Answer answer) {
    auto hostile = std::make_unique<Hostile>(world, Layer::connection);
    connect(*hostile);
    hostile->answer(asked, std::move(answer));
    hostile->say_status(status(head, 3));
    world.run_for(seconds(1));
    return hostile;
  }
  std::string topic() const {
    return Topic{.digest = sim_spec(world).digest(), .kind = TopicKind::beacon_block, .subnet = 0}
        .to_text();
  }
  const libp2p::ConnectionStats& connections() { return victim.network().connection_stats(); }

  sim::World world{1, sim::traced({})};
  SimNode maker, victim;
  uint64_t maker_lost_ = 0;  // connections to the honest peer

 private:
  uint64_t before_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, NodeHostile, testing::Values(Joined::directly, Joined::by_inboxes),
                         [](const auto& joined) {
                           return joined.param == Joined::directly ? "OneReactor" : "TwoReactors";
                         });

Bytes bytes_of(std::string_view text) {
  return Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}
std::vector<uint8_t> copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

// ---- Below the streams

TEST_P(NodeHostile, multistreamGarbageEndsTheConnection) {
  start();
  Hostile hostile(world, Layer::tcp);
  connect(hostile);
  hostile.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  hostile.send(std::vector<uint8_t>(2000, 'x'));
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(connections().failed_multistream, 1u);
  EXPECT_EQ(victim.network_stats().peer_faults, 1u);
}

TEST_P(NodeHostile, multistreamSlowLorisMeetsItsDeadline) {
  start();
  Hostile hostile(world, Layer::tcp);
  connect(hostile);
  const std::string_view header = "\x13/multistream/1.0.0\n";
  const MonoTime begin = world.now();
  for (size_t i = 0; i < header.size() && !hostile.closed(); ++i) {
    hostile.send(header.substr(i, 1));
    world.run_for(seconds(1));
  }
  EXPECT_TRUE(hostile.closed());
  EXPECT_LT(world.now() - begin, seconds(13));
  EXPECT_EQ(connections().timeouts, 1u);
}

TEST_P(NodeHostile, multistreamSilenceMeetsItsDeadline) {
  start();
  Hostile hostile(world, Layer::tcp);
  connect(hostile);
  EXPECT_TRUE(closes(hostile, seconds(12)));
  EXPECT_EQ(connections().timeouts, 1u);
}

TEST_P(NodeHostile, noiseGarbageEndsTheConnection) {
  start();
  Hostile hostile(world, Layer::tcp);
  connect(hostile);
  hostile.send("\x13/multistream/1.0.0\n\x07/noise\n");
  std::vector<uint8_t> frame(258, 0x55);
  frame[0] = 1;  // 256 bytes follow
  frame[1] = 0;
  hostile.send(frame);  // a key and a payload as good as any, but
  hostile.send(frame);  // this should be sealed with what follows from it
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(connections().failed_noise, 1u);
  EXPECT_EQ(victim.network_stats().peer_faults, 1u);
}

TEST_P(NodeHostile, noiseFrameThatWasForgedEndsTheConnection) {
  start();
  Hostile hostile(world, Layer::noise);
  connect(hostile);
  std::vector<uint8_t> frame(102, 0x55);
  frame[0] = 0;
  frame[1] = 100;
  hostile.send_unsealed(frame);
  EXPECT_TRUE(closes(hostile));
  EXPECT_GE(victim.network_stats().peer_faults, 1u);
}

TEST_P(NodeHostile, muxGarbageEndsTheConnection) {
  start();
  Hostile hostile(world, Layer::noise);
  connect(hostile);
  ASSERT_TRUE(hostile.connected());
  Rng rng(7);
  std::vector<uint8_t> junk(3000);
  rng.fill(junk);
  hostile.send(junk);
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(connections().failed_muxer, 1u);
  EXPECT_EQ(victim.network_stats().peer_faults, 1u);
}

TEST_P(NodeHostile, muxStreamFloodIsRefusedAndCounted) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  for (int i = 0; i < 256; ++i) hostile.open("/nobody/has/this", {}, false);
  world.run_for(seconds(1));
  EXPECT_GT(connections().streams_failed, 200u);
  EXPECT_EQ(victim.network().peers(), 2u);
}

// ---- Connections

TEST_P(NodeHostile, ConnectionFloodIsRefusedAndCountedAndLeavesRoomForOurDials) {
  victim.options().network.max_peers = 4;
  start();
  std::vector<std::unique_ptr<Hostile>> flood;
  for (int i = 0; i < 20; ++i) {
    flood.push_back(std::make_unique<Hostile>(world, Layer::tcp));
    flood.back()->connect(victim);
  }
  world.run_for(seconds(1));
  EXPECT_EQ(victim.network_stats().refused_peers, 17u);
  // The maker is lost while they sit there: its place is kept for it.
  world.net().reset_connections(maker.host(), victim.host());
  world.run_for(milliseconds(100));
  for (int i = 0; i < 5; ++i) {
    flood.push_back(std::make_unique<Hostile>(world, Layer::tcp));
    flood.back()->connect(victim);
  }
  world.run_for(milliseconds(100));
  EXPECT_EQ(victim.network_stats().refused_peers, 22u);
  world.run_for(seconds(3));
  EXPECT_EQ(victim.network().peers(), 1u);
  maker_lost_ = 1;
}

TEST(NodeHostileAlone, APeerThatReadsNothingIsClosedAllTheSame) {
  sim::Options options;
  options.send_buffer = options.receive_buffer = 4096;
  options.stall_timeout = seconds(1000);
  sim::World world(1, sim::traced(options));
  SimNode victim(world, Joined::directly);
  victim.options().tcp.stream_queue_bytes = 8192;
  victim.start();
  victim.produce();
  world.run_for(kSlot * 65);
  Hostile hostile(world, Layer::connection);
  hostile.connect(victim);
  ASSERT_TRUE(world.run_until([&] { return hostile.connected(); }, seconds(5)));
  StatusV1 status;
  status.fork_digest = sim_spec(world).digest();
  status.head_root = sim_spec(world).genesis_block_root;
  hostile.say_status(status);
  world.run_for(milliseconds(100));
  EXPECT_EQ(victim.peers_up(), 1u);
  // An answer piles up until nothing more fits, not even a goodbye.
  const BlocksByRange all{.start_slot = 1, .count = 64, .step = 1};
  hostile.request(Protocol::blocks_by_range_v1, ssz::encode_fixed(all));
  world.run_for(microseconds(900));  // the request is through, not much of the answer
  hostile.stop_reading();
  const uint64_t turns = victim.core_reactor()->stats().turns;
  EXPECT_TRUE(world.run_until([&] { return victim.network().peers() == 0; }, seconds(120)));
  EXPECT_EQ(victim.network_stats().forced_closes, 1u);
  EXPECT_EQ(victim.peers_up(), 0u);
  // And nobody turned in circles for it meanwhile.
  EXPECT_LT(victim.core_reactor()->stats().turns - turns, 1000u);
}

// ---- Gossip

TEST_P(NodeHostile, gossipRpcThatIsMalformedEndsTheConnection) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  hostile.say_status(status(maker.head().root, maker.head().slot));
  hostile.open("/meshsub/1.1.0", bytes_of("\x05\xff\xff\xff\xff\xff"), false);
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(hostile.goodbye(), Goodbye::kFault);
  EXPECT_EQ(victim.network().router().stats().bad_rpcs, 1u);
  EXPECT_EQ(victim.network_stats().violations, 1u);
}

TEST_P(NodeHostile, gossipFrameOverTheLimitEndsTheConnection) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  hostile.say_status(status(maker.head().root, maker.head().slot));
  hostile.open("/meshsub/1.1.0", bytes_of("\xff\xff\xff\xff\x7f"), false);
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(victim.network().router().stats().frames_oversize, 1u);
}

SharedBytes gossip_frame(const std::string& topic, Bytes payload) {
  std::vector<uint8_t> compressed(snappy_max_compressed(payload.size()));
  compressed.resize(snappy_compress_into(payload, compressed));
  return gossip::encode_message(bytes_of(topic), compressed).frame;
}

TEST_P(NodeHostile, gossipBlockThatDoesNotDecodeIsRejectedAndCharged) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  hostile.say_status(status(maker.head().root, maker.head().slot));
  // It must be counted under its peer while it is connected: one below the limit.
  const auto& network = victim.network();
  for (uint8_t i = 1; i < victim.options().network.max_violations; ++i) {
    hostile.open("/meshsub/1.1.0", gossip_frame(topic(), std::vector<uint8_t>(200, i)), false);
    world.run_for(milliseconds(100));
    EXPECT_EQ(network.stats().gossip_undecodable, i);
  }
  EXPECT_EQ(network.router().stats().rejected, victim.options().network.max_violations - 1);
  bool charged = false;
  for (gossip::PeerIndex peer = 0; peer < 4; ++peer) {
    charged |= network.router().counters(peer, 0).invalid > gossip::Fixed{};
  }
  EXPECT_TRUE(charged);
  EXPECT_FALSE(hostile.closed());
  hostile.open("/meshsub/1.1.0", gossip_frame(topic(), std::vector<uint8_t>(200, 0)), false);
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(hostile.goodbye(), Goodbye::kFault);
}

// Whoever is the first to send each block, and never says a status, could take it from us.
TEST_P(NodeHostile, gossipBlockOfAPeerWithoutStatusWaitsForIt) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  const chain::BlockInfo block = make_block(victim.log().back().parent_root, 3, 78);
  hostile.open("/meshsub/1.1.0", gossip_frame(topic(), block.signed_bytes), false);
  world.run_for(milliseconds(200));
  const uint64_t taken = victim.network().router().stats().messages_new;
  EXPECT_EQ(victim.network().router().stats().ignored, 0u);
  EXPECT_FALSE(victim.chain().tree().contains(block.root));
  hostile.say_status(status(maker.head().root, maker.head().slot));
  world.run_for(milliseconds(200));
  EXPECT_EQ(victim.network().router().stats().messages_new, taken + 1);
  EXPECT_TRUE(victim.chain().tree().contains(block.root));
}

// Of a block and a last straw that arrive in one turn, the straw is looked at first. The block is
// judged all the same: else whoever is the first to send each block could take it from us.
TEST_P(NodeHostile, gossipBlockOfAPeerThatIsSentAwayInTheSameTurnIsJudged) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  hostile.say_status(status(maker.head().root, maker.head().slot));
  const auto& by_root = reqresp::info(Protocol::blocks_by_root_v1).id;
  const std::vector<uint8_t> garbage(40, 0xff);
  for (uint32_t i = 1; i < victim.options().network.max_violations; ++i) {
    hostile.open(by_root, garbage, true);
    world.run_for(milliseconds(100));
  }
  ASSERT_FALSE(hostile.closed());
  const chain::BlockInfo block = make_block(victim.log().back().parent_root, 3, 77);
  hostile.open("/meshsub/1.1.0", gossip_frame(topic(), block.signed_bytes), false);
  hostile.open(by_root, garbage, true);
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(hostile.goodbye(), Goodbye::kFault);
  EXPECT_TRUE(victim.chain().tree().contains(block.root));
  EXPECT_EQ(victim.network().router().stats().ignored, 0u);
}

// ---- Answers to our requests

std::vector<uint8_t> chunk_of(Bytes ssz, Protocol protocol = Protocol::blocks_by_root_v1) {
  return copy(reqresp::encode_chunk(reqresp::info(protocol), {}, ssz));
}

// Whatever the answer is: the request fails for the peer's fault, and its peer is charged for it.
struct BadAnswer {
  const char* name;
  std::vector<uint8_t> wire;
};

std::vector<BadAnswer> bad_answers() {
  const std::vector<uint8_t> garbage(500, 0x77);
  std::vector<uint8_t> bad_crc = chunk_of(garbage);
  bad_crc[bad_crc.size() - 1] ^= 1;
  std::vector<uint8_t> cut = chunk_of(make_block({}, 2).signed_bytes);
  cut.resize(cut.size() - 7);
  const std::vector<uint8_t> longer = {0, 0xff, 0xff, 0xff, 0xff, 0x7f};
  return {{"bad_checksum", bad_crc},
          {"undecodable_block", chunk_of(garbage)},
          {"truncated", cut},
          {"length_over_the_bound", longer},
          {"length_under_the_bound", {0, 1, 0xff}},
          {"block_that_was_not_asked_for", chunk_of(make_block({}, 2, 99).signed_bytes)}};
}

TEST_P(NodeHostile, chunkOfEachBadKindIsChargedAndTheNextPeerAsked) {
  start();
  uint64_t charges = 0;
  for (const BadAnswer& bad : bad_answers()) {
    SCOPED_TRACE(bad.name);
    Root head;
    head.bytes.fill(static_cast<uint8_t>(bad.name[3]));
    const auto hostile = claim(head, Protocol::blocks_by_root_v1, [&](Bytes) { return bad.wire; });
    EXPECT_GE(hostile->requests(), 1u);
    EXPECT_GT(victim.chain_stats().charges, charges);
    charges = victim.chain_stats().charges;
    hostile->stop();
    world.run_for(seconds(1));
  }
  EXPECT_EQ(victim.chain_stats().imported, victim.imported(Origin::gossip) +
                                               victim.imported(Origin::by_root) +
                                               victim.imported(Origin::by_range));
  EXPECT_EQ(victim.network().peers(), 1u);
}

TEST_P(NodeHostile, chunkThatNeverComesMeetsItsDeadline) {
  start();
  Root head;
  head.bytes.fill(9);
  auto hostile = claim(head, Protocol::status_v1, nullptr);
  EXPECT_GE(hostile->requests(), 1u);
  world.run_for(seconds(12));
  EXPECT_GT(victim.chain_stats().progress_timeouts, 0u);
  hostile->stop();
}

TEST_P(NodeHostile, blockOfARangeThatDoesNotLinkIsCharged) {
  start();
  // A head far up: the gap is asked for by range, and answered with blocks of another chain.
  world.run_for(kSlot * 9);
  auto hostile = std::make_unique<Hostile>(world, Layer::connection);
  connect(*hostile);
  Root head;
  head.bytes.fill(9);
  hostile->answer(Protocol::blocks_by_root_v1,
                  [&](Bytes) { return chunk_of(make_block(head, 10, 1).signed_bytes); });
  hostile->answer(Protocol::blocks_by_range_v1, [&](Bytes) {
    std::vector<uint8_t> wire;
    for (Slot slot = 5; slot < 8; ++slot) {
      const auto chunk = chunk_of(make_block(head, slot, slot).signed_bytes);
      wire.insert(wire.end(), chunk.begin(), chunk.end());
    }
    return wire;
  });
  hostile->say_status(status(make_block(head, 10, 1).root, 10));
  world.run_for(seconds(20));
  EXPECT_GE(hostile->requests(), 2u);
  EXPECT_GT(victim.chain_stats().charges, 0u);
  hostile->stop();
  world.run_for(seconds(1));
}

// ---- Requests to us

TEST_P(NodeHostile, RequestsThatAreNotAllowedAreAnsweredAsSuchAndCharged) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  const reqresp::ProtocolInfo& by_root = reqresp::info(Protocol::blocks_by_root_v1);
  // Before the status.
  hostile.request(Protocol::blocks_by_root_v1, std::vector<uint8_t>(32, 1));
  world.run_for(milliseconds(100));
  EXPECT_EQ(victim.network_stats().requests_too_early, 1u);
  hostile.say_status(status(maker.head().root, maker.head().slot));
  world.run_for(milliseconds(100));
  // A count of zero.
  hostile.request(Protocol::blocks_by_range_v1,
                  ssz::encode_fixed(BlocksByRange{.start_slot = 1, .count = 0, .step = 1}));
  world.run_for(milliseconds(100));
  EXPECT_EQ(victim.chain_stats().serves_invalid, 1u);
  EXPECT_EQ(victim.chain_stats().charges, 1u);
  // Garbage, a length over the bound, a body cut off, and something behind a whole one.
  std::vector<uint8_t> trailing = copy(reqresp::encode_request(by_root, std::vector<uint8_t>(32)));
  trailing.push_back(1);
  const std::vector<std::vector<uint8_t>> bodies = {
      std::vector<uint8_t>(40, 0xff), {0xff, 0xff, 0x7f}, {32, 0xff, 6}, trailing};
  for (const auto& body : bodies) {
    const auto stream = hostile.open(by_root.id, body, true);
    world.run_for(milliseconds(100));
    ASSERT_FALSE(hostile.received(stream).empty());
    EXPECT_EQ(hostile.received(stream)[0], 1);  // invalid request
  }
  EXPECT_EQ(victim.network_stats().violations, bodies.size());
  EXPECT_FALSE(hostile.closed());
  for (size_t i = bodies.size(); i < victim.options().network.max_violations; ++i) {
    hostile.open(by_root.id, bodies[0], true);
  }
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(hostile.goodbye(), Goodbye::kFault);
}

TEST_P(NodeHostile, RequestThatDripsInMeetsItsDeadline) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  const auto stream =
      hostile.open(reqresp::info(Protocol::blocks_by_root_v1).id, std::vector<uint8_t>{32}, false);
  world.run_for(seconds(17));
  EXPECT_TRUE(hostile.was_reset(stream));
  EXPECT_EQ(victim.network().server().stats().timeouts_read, 1u);
  EXPECT_EQ(victim.network_stats().requests_too_slow, 1u);
}

TEST_P(NodeHostile, StatusOfAnotherChainIsSentAway) {
  start();
  Hostile hostile(world, Layer::connection);
  connect(hostile);
  StatusV1 other = status({}, 0);
  other.fork_digest.bytes[0] ^= 1;
  hostile.say_status(other);
  EXPECT_TRUE(closes(hostile));
  EXPECT_EQ(hostile.goodbye(), Goodbye::kIrrelevantNetwork);
}

}  // namespace
}  // namespace beamline::node
