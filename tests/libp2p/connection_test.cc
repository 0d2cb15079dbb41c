#include "libp2p/connection.h"

#include "tests/libp2p/pair.h"

namespace beamline::libp2p {
namespace {

using Type = Event::Type;

struct Setup {
  MuxerKind muxer;
  bool early;
};

class ConnectionTest : public testing::TestWithParam<Setup> {
 protected:
  LocalNodeConfig config() const { return only(GetParam().muxer, GetParam().early); }
};

INSTANTIATE_TEST_SUITE_P(
    Muxers, ConnectionTest,
    testing::Values(Setup{MuxerKind::yamux, true}, Setup{MuxerKind::yamux, false},
                    Setup{MuxerKind::mplex, true}, Setup{MuxerKind::mplex, false}),
    [](const auto& param) {
      return std::string(param.param.muxer == MuxerKind::yamux ? "yamux" : "mplex") +
             (param.param.early ? "_early" : "_selected");
    });

TEST_P(ConnectionTest, BothSidesConnectAndKnowEachOther) {
  Pair pair(1, config());
  pair.run();
  for (const Side* side : {&pair.dialler, &pair.listener}) {
    EXPECT_EQ(side->events.at(0).type, Type::connected);
    EXPECT_EQ(side->count(Type::identified), 1u);
    EXPECT_EQ(side->agent, "beamline");
    EXPECT_EQ(side->connection->muxer(), GetParam().muxer);
    EXPECT_EQ(side->connection->poll_timeout(), MonoTime::never());
    EXPECT_EQ(side->connection->stream_count(), 0u);  // identify's are gone
  }
  EXPECT_EQ(pair.dialler.connection->remote_peer(), pair.node_b.node->peer_id());
  EXPECT_EQ(pair.listener.connection->remote_peer(), pair.node_a.node->peer_id());
  EXPECT_EQ(pair.node_a.node->stats().early_muxers, GetParam().early ? 1u : 0u);
}

TEST_P(ConnectionTest, StreamsCarryDataBothWaysInAnyFragmentation) {
  for (uint64_t round = 0; round < 8; ++round) {
    const uint64_t seed = test_seed(100 + round);
    SCOPED_TRACE("BEAMLINE_SEED=" + std::to_string(seed));
    Pair pair(seed, config());
    pair.on_event = [&](Side& side, const Event& event) {
      if (event.type == Type::stream_data && event.protocol == pair.node_a.echo &&
          &side == &pair.listener) {
        EXPECT_EQ(side.connection->write(event.stream, event.data), event.data.size());
      }
      if (event.type == Type::stream_remote_closed) side.connection->close_write(event.stream);
    };
    pair.run();
    std::vector<std::pair<StreamId, std::string>> sent;
    for (uint64_t i = 0; i < 6; ++i) {
      sent.emplace_back(pair.open(pair.dialler, pair.node_a.echo), "");
      pair.step();
    }
    for (uint64_t i = 0; i < 30; ++i) {
      auto& [stream, all] = sent[pair.rng_.below(sent.size())];
      const std::string text = test_bytes(pair.rng_.below(20'000), seed * 100 + i);
      ASSERT_EQ(pair.dialler.connection->write(stream, as_bytes(text)), text.size());
      all += text;
      pair.run();
    }
    for (auto& [stream, all] : sent) pair.dialler.connection->close_write(stream);
    pair.run();
    for (auto& [stream, all] : sent) EXPECT_TRUE(pair.dialler.data[stream.value] == all);
    EXPECT_EQ(pair.dialler.count(Type::stream_negotiated), 6u);
    EXPECT_EQ(pair.dialler.count(Type::stream_remote_closed), 6u);
    EXPECT_EQ(pair.listener.count(Type::stream_remote_closed), 6u);
    EXPECT_EQ(pair.dialler.connection->stream_count(), 0u);
    EXPECT_EQ(pair.listener.connection->stream_count(), 0u);
  }
}

TEST_P(ConnectionTest, RequestTravelsWithItsProposal) {
  Pair pair(2, config());
  pair.run();
  const StreamId stream = pair.open(pair.dialler, pair.node_a.sink);
  EXPECT_EQ(pair.dialler.connection->write(stream, as_bytes("request")), 7u);
  pair.dialler.connection->close_write(stream);
  pair.transmit(pair.dialler);  // one packet, before any answer
  while (pair.deliver(pair.dialler, pair.listener)) {
  }
  EXPECT_EQ(pair.listener.data[pair.listener.inbound().value], "request");
  // js-libp2p resets streams whose end comes before the negotiation is done.
  EXPECT_EQ(pair.listener.count(Type::stream_remote_closed), 0u);
  pair.run();
  EXPECT_EQ(pair.listener.count(Type::stream_remote_closed), 1u);
  EXPECT_EQ(pair.listener.events.back().protocol, pair.node_b.sink);
}

TEST_P(ConnectionTest, FirstProposalThatTheOtherSideServesWins) {
  Pair pair(3, config());
  pair.run();
  const std::array proposals{pair.node_a.absent, pair.node_a.sink, pair.node_a.echo};
  const Result<StreamId> stream = pair.dialler.connection->open(pair.now, proposals);
  ASSERT_TRUE(stream.has_value());
  EXPECT_EQ(pair.dialler.connection->write(*stream, as_bytes("early")), 0u);
  pair.run();
  ASSERT_EQ(pair.dialler.count(Type::stream_negotiated), 1u);
  EXPECT_EQ(pair.dialler.events.back().protocol, pair.node_a.sink);
  EXPECT_EQ(pair.dialler.connection->protocol(*stream), pair.node_a.sink);
  EXPECT_EQ(pair.listener.events.back().type, Type::stream_opened);
}

TEST_P(ConnectionTest, ProtocolThatNobodyServesResetsThatStreamOnly) {
  Pair pair(4, config());
  pair.run();
  const StreamId good = pair.open(pair.dialler, pair.node_a.sink);
  const StreamId bad = pair.open(pair.dialler, pair.node_a.absent);
  pair.run();
  const Seen* reset = pair.dialler.last(Type::stream_reset);
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->stream, bad);
  EXPECT_EQ(reset->error.code, Code::unsupported);
  EXPECT_EQ(reset->error.fault, Fault::peer);
  EXPECT_EQ(pair.dialler.connection->write(good, as_bytes("still here")), 10u);
  pair.run();
  EXPECT_EQ(pair.listener.data[pair.listener.inbound().value], "still here");
  EXPECT_EQ(pair.listener.count(Type::stream_opened), 1u);
  EXPECT_EQ(pair.node_a.node->stats().streams_failed, 1u);
}

TEST_P(ConnectionTest, ResetReachesTheOtherSideAndMakesTheIdStale) {
  Pair pair(5, config());
  pair.run();
  const StreamId stream = pair.open(pair.dialler, pair.node_a.sink);
  pair.run();
  pair.dialler.connection->reset(stream);
  EXPECT_EQ(pair.dialler.connection->write(stream, as_bytes("late")), 0u);
  pair.run();
  ASSERT_EQ(pair.listener.count(Type::stream_reset), 1u);
  EXPECT_EQ(pair.listener.events.back().error.code, Code::reset);
  EXPECT_EQ(pair.dialler.count(Type::stream_reset), 0u);
  // The slot is used again, by another id.
  const StreamId next = pair.open(pair.dialler, pair.node_a.sink);
  EXPECT_EQ(next.slot(), stream.slot());
  EXPECT_NE(next, stream);
  pair.dialler.connection->reset(stream);  // stale: nothing happens
  EXPECT_EQ(pair.dialler.connection->write(next, as_bytes("on")), 2u);
}

TEST_P(ConnectionTest, LargeMessageGoesThroughBackpressure) {
  Pair pair(6, config());
  pair.run();
  const StreamId stream = pair.open(pair.dialler, pair.node_a.sink);
  pair.run();
  const std::string text = test_bytes(3'000'000, 6);
  const size_t first = pair.dialler.connection->write(stream, as_bytes(text));
  EXPECT_EQ(first, MuxLimits{}.send_bytes);
  EXPECT_EQ(pair.dialler.connection->write(stream, as_bytes("more")), 0u);
  pair.run();
  EXPECT_GE(pair.dialler.count(Type::stream_writable), 1u);
  pair.write_all(pair.dialler, stream, std::string_view(text).substr(first));
  EXPECT_TRUE(pair.listener.data[pair.listener.inbound().value] == text);
}

TEST_P(ConnectionTest, SharedBytesAreNotCopiedUntilTheyAreFramed) {
  Pair pair(7, config());
  pair.run();
  const StreamId stream = pair.open(pair.dialler, pair.node_a.sink);
  pair.run();
  const SharedBytes block = SharedBytes::copy(as_bytes(test_bytes(100'000, 7)));
  EXPECT_EQ(pair.dialler.connection->write(stream, block), block.size());
  EXPECT_EQ(block.use_count(), 2u);
  EXPECT_EQ(pair.dialler.connection->queued(stream), block.size());
  pair.run();
  EXPECT_EQ(block.use_count(), 1u);
  EXPECT_EQ(pair.listener.data[pair.listener.inbound().value], as_text(block));
}

TEST_P(ConnectionTest, PausedStreamHoldsItsDataAndTheOthersGoOn) {
  Pair pair(8, config());
  pair.on_event = [](Side& side, const Event& event) {
    if (event.type == Type::stream_opened) side.connection->pause(event.stream);
  };
  pair.run();
  const StreamId paused = pair.open(pair.dialler, pair.node_a.sink);
  const std::string text = test_bytes(200'000, 8);
  pair.write_all(pair.dialler, paused, text);
  const StreamId held = pair.listener.inbound();
  EXPECT_EQ(pair.listener.data[held.value], "");
  pair.on_event = nullptr;
  const StreamId other = pair.open(pair.dialler, pair.node_a.sink);
  pair.write_all(pair.dialler, other, "passes");
  EXPECT_EQ(pair.listener.data[pair.listener.inbound().value], "passes");
  pair.dialler.connection->close_write(paused);
  pair.run();
  EXPECT_EQ(pair.listener.count(Type::stream_remote_closed), 0u);  // not before its data
  pair.listener.connection->resume(held);
  pair.poll(pair.listener);
  pair.run();
  EXPECT_TRUE(pair.listener.data[held.value] == text);
  EXPECT_EQ(pair.listener.events.back().type, Type::stream_remote_closed);
}

TEST_P(ConnectionTest, CloseInOrderIsToldByTheTransport) {
  Pair pair(9, config());
  pair.run();
  const StreamId stream = pair.open(pair.dialler, pair.node_a.sink);
  pair.dialler.connection->write(stream, as_bytes("last words"));
  pair.dialler.connection->close();
  EXPECT_FALSE(pair.dialler.connection->finished());
  pair.run();
  EXPECT_TRUE(pair.dialler.connection->finished());
  EXPECT_EQ(pair.listener.data[pair.listener.inbound().value], "last words");
  const std::array proposals{pair.node_a.sink};
  EXPECT_FALSE(pair.dialler.connection->open(pair.now, proposals).has_value());
  if (GetParam().muxer == MuxerKind::yamux) {
    const Result<StreamId> refused = pair.listener.connection->open(pair.now, proposals);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::refused);
  }
  pair.listener.connection->transport_closed({"tcp", 0, Code::closed, Fault::network});
  pair.poll(pair.listener);
  EXPECT_EQ(pair.listener.closed().code, Code::closed);
  EXPECT_FALSE(pair.listener.connection->wants_transmit());
  EXPECT_FALSE(pair.listener.connection->receive(pair.now, {}).has_value());
}

TEST_P(ConnectionTest, InboundStreamsOverTheCapAreResetAndCounted) {
  LocalNodeConfig small = config();
  small.limits.mux.inbound_streams = 4;
  Pair pair(10, config(), small);
  pair.run();
  for (int i = 0; i < 6; ++i) {
    pair.open(pair.dialler, pair.node_a.sink);
    pair.run();
  }
  EXPECT_EQ(pair.listener.count(Type::stream_opened), 4u);
  EXPECT_EQ(pair.dialler.count(Type::stream_reset), 2u);
  EXPECT_EQ(pair.node_b.node->stats().mux.streams_refused, 2u);
  EXPECT_EQ(pair.listener.count(Type::closed), 0u);
}

TEST_P(ConnectionTest, OutboundStreamsHaveACap) {
  LocalNodeConfig small = config();
  small.limits.mux.outbound_streams = 2;
  Pair pair(11, small);
  pair.run();
  pair.open(pair.dialler, pair.node_a.sink);
  pair.open(pair.dialler, pair.node_a.sink);
  const std::array proposals{pair.node_a.sink};
  const Result<StreamId> third = pair.dialler.connection->open(pair.now, proposals);
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code, Code::full);
  EXPECT_EQ(third.error().fault, Fault::local);
}

TEST_P(ConnectionTest, StreamThatNeverNegotiatesTimesOutAlone) {
  Pair pair(12, config());
  pair.run();
  const StreamId good = pair.open(pair.dialler, pair.node_a.sink);
  pair.run();
  const StreamId slow = pair.open(pair.dialler, pair.node_a.echo);
  while (pair.transmit(pair.dialler)) {
  }
  pair.dialler.wire.clear();  // the wire loses it: for the stream, silence
  EXPECT_EQ(pair.dialler.connection->poll_timeout(), pair.now.mono + seconds(10));
  pair.advance(seconds(10));
  ASSERT_EQ(pair.dialler.events.back().type, Type::stream_reset);
  EXPECT_EQ(pair.dialler.events.back().stream, slow);
  EXPECT_EQ(pair.dialler.events.back().error.code, Code::timed_out);
  EXPECT_EQ(pair.node_a.node->stats().streams_timed_out, 1u);
  EXPECT_GT(pair.dialler.connection->write(good, as_bytes("x")), 0u);
  EXPECT_EQ(pair.dialler.connection->poll_timeout(), MonoTime::never());
}

TEST_P(ConnectionTest, FlippedBitEndsTheConnection) {
  Pair pair(13, config());
  pair.run();
  const StreamId stream = pair.open(pair.dialler, pair.node_a.sink);
  pair.dialler.connection->write(stream, as_bytes("payload"));
  pair.transmit(pair.dialler);
  pair.dialler.wire[pair.dialler.wire.size() / 2] ^= 1;
  pair.run();
  EXPECT_EQ(pair.listener.closed().code, Code::decrypt_failed);
  EXPECT_EQ(pair.listener.closed().fault, Fault::peer);
  EXPECT_EQ(pair.node_b.node->stats().failed_noise, 1u);
  EXPECT_TRUE(pair.listener.connection->finished());
}

// --- The upgrade ---------------------------------------------------------------------------------

TEST(ConnectionUpgrade, DiallersPreferenceDecidesTheMuxer) {
  for (const bool early : {true, false}) {
    LocalNodeConfig a;
    LocalNodeConfig b;
    a.muxers = {MuxerKind::mplex, MuxerKind::yamux};
    b.muxers = {MuxerKind::yamux, MuxerKind::mplex};
    a.early_muxer = early;
    Pair pair(20, a, b);
    pair.run();
    EXPECT_EQ(pair.dialler.connection->muxer(), MuxerKind::mplex);
    EXPECT_EQ(pair.listener.connection->muxer(), MuxerKind::mplex);
    EXPECT_EQ(pair.node_b.node->stats().early_muxers, early ? 1u : 0u);
  }
}

TEST(ConnectionUpgrade, NoCommonMuxerFails) {
  for (const bool early : {true, false}) {
    Pair pair(21, only(MuxerKind::yamux, early), only(MuxerKind::mplex, early));
    pair.run();
    EXPECT_EQ(pair.dialler.closed().code, Code::unsupported);
    EXPECT_EQ(pair.dialler.count(Type::connected), 0u);
  }
}

TEST(ConnectionUpgrade, WrongPeerIsNotToldWhoWeAre) {
  Pair pair(22);
  Rng rng(uint64_t{5});
  const PeerId someone = PeerId::from_public_key(secp256k1::SecretKey::generate(rng).public_key());
  pair.dialler.connection =
      std::make_unique<Connection>(*pair.node_a.node, Role::dialler, pair.now, someone);
  pair.run();
  EXPECT_EQ(pair.dialler.closed().code, Code::mismatch);
  EXPECT_STREQ(pair.dialler.closed().field, "noise.peer_id");
  EXPECT_TRUE(pair.listener.connection->remote_peer().empty());
  EXPECT_EQ(pair.node_a.node->stats().failed_noise, 1u);
}

TEST(ConnectionUpgrade, AnyPeerIsAcceptedWhenNoneIsExpected) {
  Pair pair(23, {}, {}, false);
  pair.run();
  EXPECT_EQ(pair.dialler.connection->remote_peer(), pair.node_b.node->peer_id());
}

TEST(ConnectionUpgrade, SilenceMeetsADeadlineInEachPhase) {
  {
    Pair pair(24);  // nothing ever arrives
    EXPECT_EQ(pair.listener.connection->poll_timeout(), pair.now.mono + seconds(10));
    pair.advance(seconds(10));
    EXPECT_EQ(pair.listener.closed().code, Code::timed_out);
    EXPECT_STREQ(pair.listener.closed().field, "multistream");
    EXPECT_EQ(pair.node_b.node->stats().timeouts, 1u);
  }
  {
    Pair pair(25);  // slow loris: a byte every 2 s does not move the deadline
    pair.transmit(pair.dialler);
    for (int i = 0; i < 5; ++i) {
      pair.feed(pair.listener, {pair.dialler.wire[static_cast<size_t>(i)]});
      pair.advance(seconds(2));
    }
    EXPECT_EQ(pair.listener.closed().code, Code::timed_out);
  }
  {
    Pair pair(26);  // multistream is done, Noise is not
    pair.transmit(pair.dialler);
    std::vector<uint8_t> part(pair.dialler.wire.begin(), pair.dialler.wire.begin() + 40);
    pair.feed(pair.listener, part);
    pair.advance(seconds(11));
    EXPECT_EQ(pair.listener.closed().code, Code::timed_out);
    EXPECT_STREQ(pair.listener.closed().field, "noise");
  }
  {
    Pair pair(27, only(MuxerKind::yamux, false));  // secured, but no muxer is ever chosen
    for (int i = 0; i < 1000 && pair.listener.connection->remote_peer().empty(); ++i) {
      pair.transmit(pair.dialler);
      if (!pair.deliver(pair.dialler, pair.listener)) {
        pair.transmit(pair.listener);
        pair.deliver(pair.listener, pair.dialler);
      }
    }
    ASSERT_FALSE(pair.listener.connection->remote_peer().empty());
    ASSERT_FALSE(pair.listener.connection->connected());
    pair.advance(seconds(11));
    EXPECT_EQ(pair.listener.closed().code, Code::timed_out);
    EXPECT_STREQ(pair.listener.closed().field, "multistream.muxer");
  }
}

TEST(ConnectionUpgrade, GarbageInEachPhaseIsATypedError) {
  for (uint64_t round = 0; round < 200; ++round) {
    const uint64_t seed = test_seed(3000 + round);
    SCOPED_TRACE("BEAMLINE_SEED=" + std::to_string(seed));
    Pair pair(seed, only(round % 2 == 0 ? MuxerKind::yamux : MuxerKind::mplex, round % 3 == 0));
    const uint64_t steps = pair.rng_.below(12);
    for (uint64_t i = 0; i < steps; ++i) pair.step();
    const std::string junk = test_bytes(1 + pair.rng_.below(3000), seed);
    Side& victim = pair.rng_.chance(1, 2) ? pair.dialler : pair.listener;
    pair.feed(victim, {junk.begin(), junk.end()});
    pair.run();
    pair.advance(seconds(60));
    pair.run();
    pair.advance(seconds(60));
    // Junk may look like the start of a long frame: then only the transport's end shows it.
    if (victim.count(Type::closed) == 0) {
      victim.connection->transport_closed({"tcp", 0, Code::closed, Fault::network});
      pair.poll(victim);
    }
    EXPECT_EQ(victim.count(Type::closed), 1u);
    EXPECT_NE(victim.closed().fault, Fault::local);
    EXPECT_TRUE(victim.connection->finished());
  }
}

TEST(ConnectionUpgrade, EveryTruncationEndsWithoutAWord) {
  for (size_t keep = 0; keep < 400; keep += 7) {
    Pair pair(28);
    size_t left = keep;
    for (int i = 0; i < 50 && left > 0; ++i) {
      pair.transmit(pair.dialler);
      pair.transmit(pair.listener);
      while (left > 0 && !pair.dialler.wire.empty()) {
        pair.feed(pair.listener, {pair.dialler.wire.front()});
        pair.dialler.wire.pop_front();
        --left;
      }
      pair.deliver(pair.listener, pair.dialler);
    }
    pair.listener.connection->transport_closed({"tcp", 0, Code::reset, Fault::network});
    pair.poll(pair.listener);
    EXPECT_EQ(pair.listener.closed().code, Code::reset);
    EXPECT_EQ(pair.listener.connection->poll_timeout(), MonoTime::never());
  }
}

TEST(ConnectionUpgrade, OversizeHandshakeFrameIsRefusedBeforeItArrives) {
  Pair pair(29);
  std::vector<uint8_t> bytes;
  const ProtocolTable table = [] {
    ProtocolTable t;
    t.add("/noise", true);
    return t;
  }();
  const std::array proposals{ProtocolId{0}};
  (void)MultistreamSelect::dialler(table, proposals, bytes);
  bytes.insert(bytes.end(), {0xff, 0xff});
  pair.feed(pair.listener, bytes);
  EXPECT_EQ(pair.listener.closed().code, Code::too_long);
  EXPECT_STREQ(pair.listener.closed().field, "noise.handshake");
}

TEST(ConnectionUpgrade, EmptyNoiseFrameIsAnError) {
  Pair pair(30);
  pair.run();
  pair.feed(pair.listener, {0x00});
  EXPECT_EQ(pair.listener.count(Type::closed), 0u);
  pair.feed(pair.listener, {0x00});
  EXPECT_EQ(pair.listener.closed().code, Code::truncated);
}

TEST(ConnectionUpgrade, CallsBeforeConnectedAreLocalErrors) {
  Pair pair(31);
  const std::array proposals{pair.node_a.sink};
  const Result<StreamId> early = pair.dialler.connection->open(pair.now, proposals);
  ASSERT_FALSE(early.has_value());
  EXPECT_EQ(early.error().fault, Fault::local);
  EXPECT_EQ(pair.dialler.connection->write(StreamId{65536}, as_bytes("x")), 0u);
  pair.dialler.connection->reset(StreamId{65536});
  pair.dialler.connection->pause(StreamId{65536});
  pair.dialler.connection->close();
  pair.poll(pair.dialler);
  EXPECT_EQ(pair.dialler.closed().code, Code::cancelled);
  EXPECT_TRUE(pair.dialler.connection->finished());
}

}  // namespace
}  // namespace beamline::libp2p
