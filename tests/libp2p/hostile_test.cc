// A peer that has a valid identity and completes the handshake, and then says what it likes: each
// layer answers with a typed error and lets the layers and streams beside it be.
#include "codec/protobuf.h"
#include "codec/uvarint.h"
#include "libp2p/connection.h"
#include "libp2p/mplex.h"
#include "libp2p/yamux.h"
#include "tests/libp2p/pair.h"

namespace beamline::libp2p {
namespace {

using Type = Event::Type;

// The dialler's side by hand: secured, and with a muxer whose streams carry any bytes.
class RawPeer {
 public:
  explicit RawPeer(MuxerKind kind, uint64_t seed = 40)
      : us(seed, only(kind)), node(seed + 1, only(kind)) {
    victim.connection = std::make_unique<Connection>(*us.node, Role::listener, now);
    Upgrade upgrade(*node.node, Role::dialler, us.node->peer_id(), now);
    feed(upgrade.output());
    upgrade.output().clear();
    std::vector<uint8_t> answer = take();
    EXPECT_EQ(upgrade.receive(answer, now), answer.size());
    EXPECT_TRUE(upgrade.finished());
    feed(upgrade.output());
    ciphers.emplace(upgrade.take_ciphers());
    EXPECT_TRUE(victim.connection->connected());
    if (kind == MuxerKind::yamux) {
      muxer = std::make_unique<Yamux>(Role::dialler, limits, stats);
    } else {
      muxer = std::make_unique<Mplex>(Role::dialler, limits, stats);
    }
  }

  // What the victim sends, as it is.
  std::vector<uint8_t> take() {
    std::vector<uint8_t> out(100'000);
    out.resize(victim.connection->poll_transmit(out));
    return out;
  }
  void feed(std::vector<uint8_t> bytes) {
    if (!victim.connection->receive(now, bytes)) return;
    Event event;
    while (victim.connection->poll_event(event)) {
      victim.events.push_back({event.type, event.stream, event.protocol, event.error});
      if (event.type == Type::stream_data) {
        victim.data[event.stream.value].append(as_text(event.data));
      }
      if (event.type == Type::identified) {
        victim.agent = std::string(victim.connection->identify().agent_version);
      }
    }
  }
  // A sealed frame of any plain text.
  void send_plain(std::string_view text) {
    std::vector<uint8_t> frame(2 + text.size() + kNoiseTagSize);
    std::memcpy(frame.data() + 2, text.data(), text.size());
    ciphers->send.seal(MutableBytes(frame).subspan(2));
    frame[0] = static_cast<uint8_t>((frame.size() - 2) >> 8);
    frame[1] = static_cast<uint8_t>(frame.size() - 2);
    feed(frame);
  }
  StreamId open_with(std::string_view bytes) {
    const StreamId stream = muxer->open().value();
    send(stream, bytes);
    return stream;
  }
  void send(StreamId stream, std::string_view bytes) {
    EXPECT_EQ(muxer->write(stream, SharedBytes::copy(as_bytes(bytes))), bytes.size());
    flush();
  }
  void flush() {
    std::vector<uint8_t> out(60'000);
    while (const size_t size = muxer->poll_transmit(out)) {
      send_plain(as_text(Bytes(out).first(size)));
    }
  }
  // Reads what the victim sent into the muxer; gives the streams that it reset.
  size_t receive() {
    std::vector<uint8_t> wire = take();
    size_t resets = 0;
    for (size_t at = 0; at < wire.size();) {
      const size_t size = static_cast<size_t>(wire[at]) << 8 | wire[at + 1];
      Bytes plain = ciphers->receive.open(MutableBytes(wire).subspan(at + 2, size)).value();
      at += 2 + size;
      for (;;) {
        MuxEvent event;
        const Result<size_t> taken = muxer->receive(plain, event);
        if (!taken) return resets;
        plain = plain.subspan(*taken);
        resets += event.type == MuxEvent::Type::reset;
        if (event.type == MuxEvent::Type::data) answered[event.stream.value] += as_text(event.data);
        if (event.type == MuxEvent::Type::none) break;
      }
    }
    return resets;
  }

  Now now{{0}, {0}};
  TestNode us;
  TestNode node;
  Side victim;
  MuxLimits limits;
  MuxStats stats;
  std::optional<NoiseCiphers> ciphers;
  std::unique_ptr<Muxer> muxer;
  std::map<uint32_t, std::string> answered;
};

std::string proposal(std::string_view protocol) {
  std::string out = "\x13/multistream/1.0.0\n";
  out.push_back(static_cast<char>(protocol.size() + 1));
  return out.append(protocol).append("\n");
}

class HostilePeer : public testing::TestWithParam<MuxerKind> {};
INSTANTIATE_TEST_SUITE_P(Muxers, HostilePeer, testing::Values(MuxerKind::yamux, MuxerKind::mplex),
                         [](const auto& param) {
                           return param.param == MuxerKind::yamux ? "yamux" : "mplex";
                         });

TEST_P(HostilePeer, GarbageOnAStreamResetsItAlone) {
  RawPeer peer(GetParam());
  const StreamId good = peer.open_with(proposal("/sink/1.0.0"));
  const std::string junk[] = {"GET / HTTP/1.1\r\n" + std::string(100, 'h'),
                              std::string(2000, '\xff'), std::string(50, '\0'),
                              "\x13/multistream/9.0.0\n", "\x13/multistream/1.0.0\n\x81\x08"};
  peer.receive();
  for (const std::string& bytes : junk) {
    peer.open_with(bytes);
    EXPECT_EQ(peer.receive(), 1u);
  }
  EXPECT_EQ(peer.us.node->stats().streams_failed, std::size(junk));
  EXPECT_EQ(peer.victim.count(Type::stream_opened), 1u);
  EXPECT_EQ(peer.victim.count(Type::closed), 0u);
  peer.send(good, "still here");
  EXPECT_EQ(peer.victim.data[peer.victim.inbound().value], "still here");
}

TEST_P(HostilePeer, GarbageForTheMuxerEndsTheConnectionWithATypedError) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    RawPeer peer(GetParam(), 100 + 2 * seed);
    // mplex has no magic: some garbage is a header of a large frame for nobody.
    for (int i = 0; i < 500 && peer.victim.count(Type::closed) == 0; ++i) {
      peer.send_plain(test_bytes(30'000, seed * 1000 + static_cast<uint64_t>(i)));
    }
    ASSERT_EQ(peer.victim.count(Type::closed), 1u);
    EXPECT_EQ(peer.victim.closed().fault, Fault::peer);
    EXPECT_EQ(peer.us.node->stats().failed_muxer, 1u);
    peer.take();
    EXPECT_TRUE(peer.victim.connection->finished());
    EXPECT_FALSE(peer.victim.connection->receive(peer.now, {}).has_value());
  }
}

TEST(HostileYamux, GoAwayIsSentBeforeTheEnd) {
  RawPeer peer(MuxerKind::yamux);
  peer.take();
  peer.send_plain(std::string("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 12));
  EXPECT_EQ(peer.victim.closed().code, Code::bad_version);
  std::vector<uint8_t> wire = peer.take();
  ASSERT_EQ(wire.size(), 2 + Yamux::kHeaderSize + kNoiseTagSize);
}

TEST_P(HostilePeer, StreamThatStallsInItsNegotiationIsReset) {
  RawPeer peer(GetParam());
  peer.open_with("\x13/multi");
  peer.receive();
  peer.now.mono = peer.now.mono + seconds(10);
  EXPECT_LE(peer.victim.connection->poll_timeout(), peer.now.mono);
  peer.victim.connection->handle_timeout(peer.now);
  peer.feed({});
  EXPECT_EQ(peer.us.node->stats().streams_timed_out, 2u);  // and identify, which was never answered
  EXPECT_EQ(peer.victim.count(Type::closed), 0u);
  EXPECT_EQ(peer.victim.connection->stream_count(), 0u);
  EXPECT_EQ(peer.victim.connection->poll_timeout(), MonoTime::never());
}

TEST_P(HostilePeer, StreamOfEndlessProposalsIsReset) {
  RawPeer peer(GetParam());
  std::string proposals = "\x13/multistream/1.0.0\n";
  for (int i = 0; i < 100; ++i) proposals += "\x03/x\n";
  peer.open_with(proposals);
  EXPECT_EQ(peer.us.node->stats().streams_failed, 1u);
  EXPECT_EQ(peer.victim.count(Type::closed), 0u);
}

TEST_P(HostilePeer, OpensMoreStreamsThanTheCap) {
  RawPeer peer(GetParam());
  peer.limits.outbound_streams = 400;
  peer.limits.inbound_streams = 100;
  for (int i = 0; i < 300; ++i) {
    peer.open_with(proposal("/sink/1.0.0"));
    peer.receive();
  }
  EXPECT_EQ(peer.victim.count(Type::stream_opened), 256u);
  EXPECT_EQ(peer.us.node->stats().mux.streams_refused, 44u);
  EXPECT_EQ(peer.victim.count(Type::closed), 0u);
}

TEST_P(HostilePeer, IdentifyIsBoundedAndTypedInBothDirections) {
  std::vector<uint8_t> wrong_key;
  Rng rng(uint64_t{1});
  const auto key = encode_identity_key(secp256k1::SecretKey::generate(rng).public_key());
  protobuf::Writer(wrong_key).bytes(1, key);
  std::string framed(1, static_cast<char>(wrong_key.size()));
  framed.append(as_text(wrong_key));
  const std::string pushes[] = {"\xff\xff\x7f", std::string("\x00", 1), framed,
                                "\x05\xff\xff\xff\xff\xff"};
  size_t failed = 0;
  for (const std::string& bytes : pushes) {
    RawPeer peer(GetParam(), 60 + 2 * failed++);
    peer.open_with(proposal(kIdentifyPushProtocol) + bytes);
    EXPECT_EQ(peer.us.node->stats().identify_failed, 1u);
    EXPECT_EQ(peer.victim.count(Type::identified), 0u);
    EXPECT_EQ(peer.victim.count(Type::closed), 0u);
  }
}

TEST_P(HostilePeer, IdentifyPushIsAccepted) {
  RawPeer peer(GetParam());
  std::vector<uint8_t> message;
  protobuf::Writer(message).text(6, "pushed/1");
  std::string bytes = proposal(kIdentifyPushProtocol);
  bytes.push_back(static_cast<char>(message.size()));
  peer.open_with(bytes + std::string(as_text(message)));
  EXPECT_EQ(peer.victim.count(Type::identified), 1u);
  EXPECT_EQ(peer.victim.agent, "pushed/1");
}

TEST_P(HostilePeer, IdentifyTellsTheAddressWeSeeAndWhatWeServe) {
  RawPeer peer(GetParam());
  const StreamId stream = peer.open_with(proposal(kIdentifyProtocol));
  peer.receive();
  std::string answer = peer.answered[stream.value];
  answer.erase(0, proposal(kIdentifyProtocol).size());
  IdentifyReader reader;
  ASSERT_TRUE(reader.receive(as_bytes(answer)).has_value());
  ASSERT_TRUE(reader.complete());
  const Result<Identify> identify = decode_identify(reader.message());
  ASSERT_TRUE(identify.has_value());
  EXPECT_TRUE(identify->supports("/echo/1.0.0"));
  EXPECT_TRUE(identify->supports(kIdentifyProtocol));
  EXPECT_FALSE(identify->supports("/absent/1.0.0"));
  EXPECT_EQ(identify->agent_version, "beamline");
}

TEST_P(HostilePeer, EmptyFramesChangeNothing) {
  RawPeer peer(GetParam());
  for (int i = 0; i < 100; ++i) peer.send_plain("");
  peer.open_with(proposal("/sink/1.0.0") + "x");
  EXPECT_EQ(peer.victim.data[peer.victim.inbound().value], "x");
}

// What came with the last bytes of a negotiation belongs to a stream that the host may pause or
// reset when it hears of it.
TEST_P(HostilePeer, DataBehindTheNegotiationObeysPauseAndReset) {
  RawPeer peer(GetParam());
  Connection& connection = *peer.victim.connection;
  const auto deliver = [&](auto&& on_opened) {
    std::string got;
    const StreamId stream = peer.muxer->open().value();
    const std::string bytes = proposal("/sink/1.0.0") + "behind";
    peer.muxer->write(stream, SharedBytes::copy(as_bytes(bytes)));
    std::vector<uint8_t> out(1000);
    const size_t size = peer.muxer->poll_transmit(MutableBytes(out).subspan(2, 900));
    peer.ciphers->send.seal(MutableBytes(out).subspan(2, size + kNoiseTagSize));
    out.resize(2 + size + kNoiseTagSize);
    out[0] = static_cast<uint8_t>((out.size() - 2) >> 8);
    out[1] = static_cast<uint8_t>(out.size() - 2);
    EXPECT_TRUE(connection.receive(peer.now, out).has_value());
    Event event;
    StreamId opened;
    while (connection.poll_event(event)) {
      if (event.type == Type::stream_opened) {
        opened = event.stream;
        on_opened(opened);
      }
      if (event.type == Type::stream_data) got += as_text(event.data);
    }
    return std::pair(opened, got);
  };
  const auto [paused, nothing] = deliver([&](StreamId stream) { connection.pause(stream); });
  EXPECT_EQ(nothing, "");
  connection.resume(paused);
  peer.feed({});
  EXPECT_EQ(peer.victim.data[paused.value], "behind");
  const auto [reset, none] = deliver([&](StreamId stream) { connection.reset(stream); });
  EXPECT_EQ(none, "");
  const auto [plain, all] = deliver([](StreamId) {});
  EXPECT_EQ(all, "behind");
}

}  // namespace
}  // namespace beamline::libp2p
