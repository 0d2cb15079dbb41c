#include "rlpx/session.h"

#include "tests/crypto/test_hex.h"
#include "tests/rlpx/eip8.h"
#include "tests/rlpx/raw_peer.h"

namespace beamline::rlpx {
namespace {

using secp256k1::SecretKey;

constexpr MonoTime kStart{1'000'000'000};
constexpr Capability kEth[] = {{"eth", 68, 17}};
// As they stand in the options: neither in order nor all shared.
constexpr Capability kMany[] = {{"zzz", 1, 3},   {"eth", 68, 17}, {"snap", 1, 8},
                                {"eth", 69, 18}, {"aaa", 7, 2},   {"eth", 70, 18}};

struct Message {
  size_t capability = 0;
  uint8_t id = 0;
  std::vector<uint8_t> payload;
};

// Two sessions and the wire between them.
struct Pair {
  explicit Pair(uint64_t seed, std::span<const Capability> of_a = kEth,
                std::span<const Capability> of_b = kEth)
      : rng(seed),
        key_a(SecretKey::generate(rng)),
        key_b(SecretKey::generate(rng)),
        options_a{.key = &key_a, .capabilities = of_a},
        options_b{.key = &key_b, .capabilities = of_b},
        a(Session::initiator(options_a, key_b.public_key(), rng, kStart)),
        b(Session::recipient(options_b, rng, kStart)) {}

  // Moves what one has to write to the other, in pieces of at most `piece`.
  bool move(Session& from, Session& to, std::vector<Message>& messages, size_t piece) {
    if (from.has_work()) from.advance(now);
    std::vector<uint8_t> bytes = to_vector(from.output());
    from.wrote(bytes.size(), now);
    MutableBytes rest(bytes);
    while (!rest.empty()) {
      MutableBytes input = rest.first(std::min(rest.size(), piece));
      rest = rest.subspan(input.size());
      while (!input.empty()) {
        const Event event = to.receive(input, now);
        if (event.kind == Event::Kind::message) {
          messages.push_back({event.capability, event.id, to_vector(event.payload)});
        }
        if (event.kind == Event::Kind::ready) ++ready;
        if (event.kind == Event::Kind::closed) ++closed;
      }
    }
    return !bytes.empty() || from.has_work();
  }
  void run(size_t piece = SIZE_MAX) {
    for (bool moved = true; moved;) {
      moved = move(a, b, at_b, piece);
      moved = move(b, a, at_a, piece) || moved;
    }
  }

  Rng rng;
  SecretKey key_a, key_b;
  SessionOptions options_a, options_b;
  MonoTime now = kStart;
  Session a, b;
  std::vector<Message> at_a, at_b;
  int ready = 0;
  int closed = 0;
};

TEST(RlpxSession, BecomesReadyAndCarriesMessagesBothWays) {
  Pair pair(1);
  pair.run();
  ASSERT_TRUE(pair.a.ready() && pair.b.ready());
  EXPECT_EQ(pair.ready, 2);
  EXPECT_EQ(*pair.b.remote(), pair.key_a.public_key());
  EXPECT_EQ(pair.a.hello().client_id, "beamline");
  for (size_t size : std::initializer_list<size_t>{0, 1, 100, 70'000, 10u << 20}) {
    std::vector<uint8_t> payload(size);
    pair.rng.fill(payload);
    ASSERT_TRUE(pair.a.send(0, 16, payload, pair.now)) << size;
    ASSERT_TRUE(pair.b.send(0, 0, payload, pair.now)) << size;
    pair.run(50'000);
    ASSERT_EQ(pair.at_b.back().payload, payload);
    ASSERT_EQ(pair.at_b.back().id, 16);
    ASSERT_EQ(pair.at_a.back().payload, payload);
    ASSERT_EQ(pair.at_a.back().id, 0);
  }
  EXPECT_EQ(pair.a.stats().frames_out, 1 + 5u);
  EXPECT_EQ(pair.a.stats().bytes_out, pair.b.stats().bytes_in);
}

// ---- Large messages, in slices

TEST(RlpxSession, ALargeMessageIsSlicedAndWhatIsSentBehindItWaits) {
  for (const uint64_t version : {4u, 5u}) {  // without snappy, and with it
    SCOPED_TRACE(version);
    Pair pair(7);
    pair.options_a.version = version;
    pair.run();
    constexpr size_t kSizes[] = {kSliceSize - 15,      kSliceSize, kSliceSize + 1, 100, 3'000'017,
                                 4 * kSliceSize - 100, 0,          10u << 20};
    std::vector<std::vector<uint8_t>> sent;
    for (const size_t size : kSizes) {
      std::vector<uint8_t>& payload = sent.emplace_back(size);
      pair.rng.fill(MutableBytes(payload).first(size / 2));  // half of it compresses
      ASSERT_TRUE(pair.a.send(0, static_cast<uint8_t>(sent.size()), payload, pair.now));
    }
    EXPECT_EQ(pair.a.stats().sliced, 4u);
    // One step goes over a slice, and no more is sealed ahead than a slice over the bound.
    size_t most = 0;
    for (size_t steps = 0; pair.at_b.size() < sent.size(); ++steps) {
      ASSERT_LT(steps, 1000u);
      if (pair.a.has_work()) {
        EXPECT_LE(pair.a.advance(pair.now), kSliceSize);
      }
      most = std::max(most, pair.a.output().size());
      if (steps % 3 == 0) pair.move(pair.a, pair.b, pair.at_b, 70'000);
    }
    EXPECT_LE(most, (1u << 20) + 2 * kSliceSize);
    for (size_t i = 0; i < sent.size(); ++i) {
      EXPECT_EQ(pair.at_b[i].id, i + 1);
      ASSERT_TRUE(pair.at_b[i].payload == sent[i]) << i;
    }
    EXPECT_EQ(pair.a.queued(), 0u);
  }
}

TEST(RlpxSession, APeerThatReadsNothingHasAtMostSomeOfALargeMessageSealed) {
  Pair pair(8);
  pair.run();
  std::vector<uint8_t> payload(10u << 20);
  pair.rng.fill(payload);
  ASSERT_TRUE(pair.a.send(0, 1, payload, pair.now));
  ASSERT_TRUE(pair.a.send(0, 1, payload, pair.now));
  EXPECT_EQ(pair.a.send(0, 1, payload, pair.now).error().code, Code::full);
  EXPECT_EQ(pair.a.stats().refused_full, 1u);
  while (pair.a.has_work()) pair.a.advance(pair.now);
  EXPECT_LE(pair.a.output().size(), (1u << 20) + 2 * kSliceSize);
  EXPECT_GT(pair.a.queued(), 20u << 20);
  EXPECT_EQ(pair.a.on_deadline(pair.now + seconds(19)).kind, Event::Kind::none);
  EXPECT_EQ(pair.a.on_deadline(pair.now + seconds(21)).kind, Event::Kind::closed);
  EXPECT_EQ(pair.a.queued(), pair.a.output().size());
}

// Before its first byte is out the peer is told; amid a frame nothing can be said.
TEST(RlpxSession, ADisconnectBesideALargeMessageIsSaidUnlessTheFrameIsUnderWay) {
  for (const bool begun : {false, true}) {
    Pair pair(9);
    pair.run();
    std::vector<uint8_t> payload(3u << 20);
    pair.rng.fill(payload);
    ASSERT_TRUE(pair.a.send(0, 1, payload, pair.now));
    while (begun && pair.a.output().empty()) pair.a.advance(pair.now);
    pair.a.disconnect(DisconnectReason::quitting, pair.now);
    EXPECT_FALSE(pair.a.has_work());
    pair.run();
    EXPECT_EQ(pair.b.is_closed(), !begun);
    EXPECT_EQ(pair.a.stats().cut_short, begun ? 1u : 0u);
    EXPECT_EQ(pair.at_b.size(), 0u);
  }
}

TEST(RlpxSession, PiecesOfAnySizeGiveTheSameMessages) {
  for (const size_t piece : std::initializer_list<size_t>{1, 2, 7, 31, 32, 33, 47, 48, 49, 1000}) {
    Pair pair(2);
    pair.run(piece);
    ASSERT_TRUE(pair.a.ready() && pair.b.ready()) << piece;
    std::vector<std::vector<uint8_t>> sent;
    for (size_t i = 0; i < 30; ++i) {  // several frames in one write
      sent.emplace_back(pair.rng.below(300));
      pair.rng.fill(sent.back());
      ASSERT_TRUE(pair.a.send(0, 2, sent.back(), pair.now));
    }
    pair.run(piece);
    ASSERT_EQ(pair.at_b.size(), sent.size());
    for (size_t i = 0; i < sent.size(); ++i) ASSERT_EQ(pair.at_b[i].payload, sent[i]);
  }
}

TEST(RlpxSession, APeerOfVersionFourIsSpokenToWithoutSnappy) {
  Pair pair(18);
  pair.options_b.version = 4;
  pair.run();
  const uint64_t before = pair.a.stats().bytes_out;
  const std::vector<uint8_t> payload(1000);  // snappy would leave 50 bytes of it
  ASSERT_TRUE(pair.a.send(0, 1, payload, pair.now));
  EXPECT_EQ(pair.a.stats().bytes_out - before, frame_size(1001));
  ASSERT_TRUE(pair.b.send(0, 1, payload, pair.now));
  pair.run();
  EXPECT_EQ(pair.at_b.back().payload, payload);
  EXPECT_EQ(pair.at_a.back().payload, payload);
}

TEST(RlpxSession, WholeFramesAreDecryptedWhereTheyArrived) {
  Pair pair(3);
  pair.run();
  const uint64_t before = pair.b.stats().copied_in;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(pair.a.send(0, 1, std::vector<uint8_t>(500), pair.now));
  }
  pair.run();
  EXPECT_EQ(pair.at_b.size(), 10u);
  EXPECT_EQ(pair.b.stats().copied_in, before);
}

TEST(RlpxSession, SeveralCapabilitiesHaveTheirOwnIds) {
  Pair pair(4, kMany, kMany);
  pair.run();
  ASSERT_TRUE(pair.a.ready());
  // aaa/7 at 16, eth/70 at 18 (its other versions are not shared), snap/1 at 36, zzz/1 at 44.
  for (size_t i = 0; i < std::size(kMany); ++i) {
    const bool older = i == 1 || i == 3;
    EXPECT_EQ(pair.a.shares(i), !older);
    const auto status = pair.a.send(i, 1, as_bytes("x"), pair.now);
    EXPECT_EQ(status.has_value(), !older);
    if (!status) {
      EXPECT_EQ(status.error().code, Code::unsupported);
      continue;
    }
    pair.run();
    EXPECT_EQ(pair.at_b.back().capability, i);
    EXPECT_EQ(pair.at_b.back().id, 1);
  }
}

TEST(RlpxSession, OffsetsAreAlphabeticalAndOfTheHighestSharedVersion) {
  Rng rng(uint64_t{5});
  const SecretKey key = SecretKey::generate(rng);
  const SessionOptions options{.key = &key, .capabilities = kMany};
  RawPeer peer(6, options);
  Hello hello = peer.hello();
  hello.capabilities = {{"snap", 1}, {"eth", 69}, {"eth", 68}, {"eth", 71}, {"les", 4}, {"zzz", 2}};
  ASSERT_EQ(peer.send_hello(hello).kind, Event::Kind::ready);
  Event event = peer.send(16 + 17, as_bytes("last of eth/69"));
  ASSERT_EQ(event.kind, Event::Kind::message);
  EXPECT_EQ(event.capability, 3u);
  EXPECT_EQ(event.id, 17);
  event = peer.send(16 + 18, as_bytes("first of snap/1"));
  ASSERT_EQ(event.kind, Event::Kind::message);
  EXPECT_EQ(event.capability, 2u);
  EXPECT_EQ(event.id, 0);
  EXPECT_EQ(peer.send(16 + 18 + 8, as_bytes("nobody's")).kind, Event::Kind::closed);
  EXPECT_EQ(peer.session.closed().reason, DisconnectReason::breach_of_protocol);
}

TEST(RlpxSession, NoSharedCapabilityIsAUselessPeer) {
  constexpr Capability kOther[] = {{"eth", 67, 17}};
  Pair pair(7, kEth, kOther);
  pair.run();
  EXPECT_EQ(pair.closed, 2);
  // Each finds out by itself, or is told.
  EXPECT_EQ(pair.a.closed().reason, DisconnectReason::useless_peer);
  EXPECT_EQ(pair.b.closed().reason, DisconnectReason::useless_peer);
}

TEST(RlpxSession, DisconnectReasonsArriveAsAListOrABareByte) {
  Rng rng(uint64_t{8});
  const SecretKey key = SecretKey::generate(rng);
  const SessionOptions options{.key = &key, .capabilities = kEth};
  for (const auto& [text, reason] : {std::pair{"c104", DisconnectReason::too_many_peers},
                                     {"04", DisconnectReason::too_many_peers},
                                     {"c0", DisconnectReason::requested},
                                     {"c180", DisconnectReason::requested},
                                     {"00", DisconnectReason::requested},
                                     {"80", DisconnectReason::requested},
                                     {"c100", DisconnectReason::requested},
                                     {"c110", DisconnectReason::subprotocol_error},
                                     {"8155", DisconnectReason::breach_of_protocol},
                                     {"", DisconnectReason::requested}}) {
    for (const bool compress : {true, false}) {
      RawPeer peer(9, options);
      ASSERT_EQ(peer.send_hello(peer.hello()).kind, Event::Kind::ready);
      ASSERT_EQ(peer.send(1, unhex(text), compress).kind, Event::Kind::closed);
      EXPECT_TRUE(peer.session.closed().by_peer);
      EXPECT_EQ(peer.session.closed().reason, reason) << text;
      EXPECT_EQ(peer.session.closed().why.code, Code::remote_error);
    }
    RawPeer early(10, options);  // instead of Hello
    ASSERT_EQ(early.send(1, unhex(text), false).kind, Event::Kind::closed);
    EXPECT_EQ(early.session.closed().reason, reason) << text;
  }
}

TEST(RlpxSession, OurDisconnectReachesThePeerBehindWhatWasSent) {
  Pair pair(11);
  pair.run();
  ASSERT_TRUE(pair.a.send(0, 1, as_bytes("last words"), pair.now));
  pair.a.disconnect(DisconnectReason::quitting, pair.now);
  EXPECT_TRUE(pair.a.is_closed());
  EXPECT_EQ(pair.a.send(0, 1, {}, pair.now).error().code, Code::closed);
  pair.run();
  ASSERT_EQ(pair.at_b.size(), 1u);
  EXPECT_TRUE(pair.b.is_closed());
  EXPECT_TRUE(pair.b.closed().by_peer);
  EXPECT_EQ(pair.b.closed().reason, DisconnectReason::quitting);
  EXPECT_EQ(pair.a.closed().why.code, Code::cancelled);
}

TEST(RlpxSession, PingsAreAnsweredAndSilenceIsAsked) {
  Pair pair(12);
  pair.run();
  const MonoTime due = pair.a.deadline();
  EXPECT_EQ(due, kStart + seconds(15));
  pair.now = due;
  EXPECT_EQ(pair.a.on_deadline(due).kind, Event::Kind::none);
  EXPECT_EQ(pair.a.stats().pings_out, 1u);
  EXPECT_GT(pair.a.deadline(), due);
  pair.run();
  EXPECT_EQ(pair.b.stats().pings_in, 1u);
  EXPECT_EQ(pair.a.stats().pongs_in, 1u);
  EXPECT_EQ(pair.a.deadline(), due + seconds(15));
}

TEST(RlpxSession, ASilentPeerIsDroppedAfterThirtySeconds) {
  Pair pair(13);
  pair.run();
  Event event;
  MonoTime due;
  for (int i = 0; i < 10 && event.kind == Event::Kind::none; ++i) {
    due = pair.a.deadline();
    event = pair.a.on_deadline(due);
    pair.a.wrote(pair.a.output().size(), due);  // into the void
  }
  EXPECT_EQ(event.kind, Event::Kind::closed);
  EXPECT_EQ(due, kStart + seconds(30));
  EXPECT_EQ(pair.a.closed().reason, DisconnectReason::ping_timeout);
  EXPECT_EQ(pair.a.closed().why.code, Code::timed_out);
  EXPECT_STREQ(pair.a.closed().why.field, "rlpx.idle");
  EXPECT_EQ(pair.a.deadline(), MonoTime::never());
}

TEST(RlpxSession, APeerThatReadsNothingIsDroppedAfterTwentySeconds) {
  Pair pair(14);
  pair.run();
  ASSERT_TRUE(pair.a.send(0, 1, std::vector<uint8_t>(1000), kStart + seconds(1)));
  // It goes on talking, so it is not idle.
  pair.now = kStart + seconds(20);
  ASSERT_TRUE(pair.b.send(0, 1, {}, pair.now));
  pair.move(pair.b, pair.a, pair.at_a, SIZE_MAX);
  EXPECT_EQ(pair.a.deadline(), kStart + seconds(21));
  EXPECT_EQ(pair.a.on_deadline(kStart + seconds(21)).kind, Event::Kind::closed);
  EXPECT_STREQ(pair.a.closed().why.field, "rlpx.write");
}

TEST(RlpxSession, HandshakeAndHelloHaveOneDeadline) {
  for (const bool handshake : {true, false}) {
    Pair pair(15);
    pair.now = kStart + seconds(4);
    if (handshake) {
      pair.move(pair.a, pair.b, pair.at_b, 100);
      pair.move(pair.b, pair.a, pair.at_a, 800);
    }
    EXPECT_EQ(pair.b.deadline(), kStart + seconds(5));
    EXPECT_EQ(pair.b.on_deadline(kStart + seconds(5) + nanoseconds(-1)).kind, Event::Kind::none);
    EXPECT_EQ(pair.b.on_deadline(kStart + seconds(5)).kind, Event::Kind::closed);
    EXPECT_STREQ(pair.b.closed().why.field, handshake ? "rlpx.hello" : "rlpx.handshake");
    EXPECT_EQ(pair.b.closed().why.fault, Fault::network);
  }
}

TEST(RlpxSession, AFullQueueRefusesAndCounts) {
  Pair pair(16);
  pair.options_a.max_queue = 3000;
  pair.run();
  const std::vector<uint8_t> payload(1000);
  ASSERT_TRUE(pair.a.send(0, 1, payload, pair.now));
  Status status;
  while ((status = pair.a.send(0, 1, payload, pair.now))) {
  }
  EXPECT_EQ(status.error().code, Code::full);
  EXPECT_LE(pair.a.output().size(), 3000u);
  EXPECT_EQ(pair.a.stats().refused_full, 1u);
  pair.run();
  EXPECT_TRUE(pair.a.send(0, 1, payload, pair.now));
  EXPECT_EQ(pair.a.send(0, 1, std::vector<uint8_t>((10u << 20) + 1), pair.now).error().code,
            Code::too_long);
}

// What a hostile peer can say once its frames are good.
class RlpxHostile : public testing::Test {
 protected:
  void expect_breach(const Event& event, RawPeer& peer, Code code) {
    ASSERT_EQ(event.kind, Event::Kind::closed);
    EXPECT_FALSE(peer.session.closed().by_peer);
    EXPECT_EQ(peer.session.closed().reason, DisconnectReason::breach_of_protocol);
    EXPECT_EQ(peer.session.closed().why.code, code) << to_string(peer.session.closed().why);
    EXPECT_EQ(peer.session.closed().why.fault, Fault::peer);
  }
  RawPeer ready(uint64_t seed) {
    RawPeer peer(seed, options_);
    EXPECT_EQ(peer.send_hello(peer.hello()).kind, Event::Kind::ready);
    EXPECT_TRUE(peer.next());  // its Hello
    return peer;
  }

  Rng rng_{uint64_t{20}};
  const SecretKey key_ = SecretKey::generate(rng_);
  const SessionOptions options_{.key = &key_, .capabilities = kEth};
};

TEST_F(RlpxHostile, TheReasonIsSaidBeforeTheEnd) {
  RawPeer peer = ready(21);
  expect_breach(peer.send(0xf0, as_bytes("what")), peer, Code::unsupported);
  const auto message = peer.next();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->first, 1);
  EXPECT_EQ(*decode_disconnect(*snappy_uncompress(message->second, 100)),
            DisconnectReason::breach_of_protocol);
}

TEST_F(RlpxHostile, MessagesBeforeHelloAndASecondHello) {
  RawPeer early(22, options_);
  expect_breach(early.send(16, {}, false), early, Code::unexpected);
  RawPeer twice = ready(23);
  expect_breach(twice.send(0, as_bytes("x")), twice, Code::unexpected);
}

TEST_F(RlpxHostile, IdentitiesThatAreNot) {
  RawPeer other(24, options_);
  Hello hello = other.hello();
  hello.id = node_id(key_.public_key());
  ASSERT_EQ(other.send_hello(hello).kind, Event::Kind::closed);
  EXPECT_EQ(other.session.closed().reason, DisconnectReason::unexpected_identity);
  RawPeer null(25, options_);
  hello.id = {};
  ASSERT_EQ(null.send_hello(hello).kind, Event::Kind::closed);
  EXPECT_EQ(null.session.closed().reason, DisconnectReason::null_identity);
  // Ourselves.
  Session a = Session::initiator(options_, key_.public_key(), rng_, kStart);
  Session b = Session::recipient(options_, rng_, kStart);
  std::vector<uint8_t> bytes = to_vector(a.output());
  MutableBytes input(bytes);
  ASSERT_EQ(b.receive(input, kStart).kind, Event::Kind::closed);
  EXPECT_EQ(b.closed().reason, DisconnectReason::self);
}

TEST_F(RlpxHostile, BombsAndLengthsOverTheLimitAreRefusedByTheirHeader) {
  RawPeer bomb = ready(26);
  std::vector<uint8_t> data = {16 + 3, 0x81, 0x80, 0x80, 0x05};  // declares 10 MiB and a byte
  data.resize(100, 0);
  expect_breach(bomb.send_data(data), bomb, Code::too_long);
  EXPECT_EQ(bomb.session.stats().refused_size, 1u);
  RawPeer dense = ready(27);
  data = {16 + 3, 0x80, 0x80, 0x80, 0x05};  // 10 MiB in a hundred bytes: no block can
  data.resize(100, 0);
  expect_breach(dense.send_data(data), dense, Code::out_of_range);
  RawPeer early(28, options_);
  std::vector<uint8_t> header = early.frame(std::vector<uint8_t>(100'000));
  header.resize(kFrameHeaderSize);  // before Hello: 2 KiB
  expect_breach(early.give(header), early, Code::too_long);
  RawPeer large = ready(29);
  header = large.frame(std::vector<uint8_t>(kMaxFrameData));
  header.resize(kFrameHeaderSize);
  expect_breach(large.give(header), large, Code::too_long);
  RawPeer base = ready(30);
  expect_breach(base.send(2, std::vector<uint8_t>(kMaxBaseMessage + 1)), base, Code::too_long);
}

TEST_F(RlpxHostile, GarbageInsideGoodFrames) {
  for (const char* text : {"00", "82ffff", "8101", "81", "f0"}) {  // ids
    RawPeer peer = ready(31);
    const Event event = peer.send_data(unhex(text));
    ASSERT_EQ(event.kind, Event::Kind::closed) << text;
    EXPECT_EQ(peer.session.closed().why.fault, Fault::peer);
  }
  RawPeer peer = ready(32);
  expect_breach(peer.send(16, unhex("05ff00"), false), peer, Code::bad_encoding);
  for (const char* text : {"", "80", "c0", "c105", "c205c0"}) {
    RawPeer hello(33, options_);
    const Event event = hello.send(0, unhex(text), false);
    ASSERT_EQ(event.kind, Event::Kind::closed) << text;
    EXPECT_EQ(hello.session.closed().reason, DisconnectReason::breach_of_protocol);
  }
}

TEST_F(RlpxHostile, AFloodOfPingsIsAnsweredAFewTimes) {
  RawPeer peer = ready(34);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(peer.send(2, unhex("c0")).kind, Event::Kind::none);
  EXPECT_EQ(peer.session.stats().pings_in, 1000u);
  EXPECT_EQ(peer.session.stats().pongs_dropped, 1000u - 8);
  EXPECT_LT(peer.session.output().size(), 8 * 100u);
  EXPECT_TRUE(peer.next());  // it reads
  ASSERT_EQ(peer.send(2, unhex("c0")).kind, Event::Kind::none);
  EXPECT_EQ(peer.session.stats().pongs_dropped, 1000u - 8);
}

TEST_F(RlpxHostile, UnknownMessagesOfTheBaseAreIgnored) {
  RawPeer peer = ready(35);
  for (uint8_t id = 4; id < 16; ++id) {
    EXPECT_EQ(peer.send(id, as_bytes("?")).kind, Event::Kind::none);
  }
  EXPECT_EQ(peer.session.stats().ignored, 12u);
}

TEST_F(RlpxHostile, TricklingBytesIsNoSignOfLife) {
  RawPeer peer = ready(36);
  const std::vector<uint8_t> frame = peer.frame(std::vector<uint8_t>(5000));
  for (size_t i = 0; i < 31; ++i) {
    peer.now = peer.now + seconds(1);
    peer.give({frame[i]});
    peer.session.wrote(peer.session.output().size(), peer.now);
    if (peer.now < peer.session.deadline()) continue;
    if (peer.session.on_deadline(peer.now).kind == Event::Kind::closed) break;
  }
  EXPECT_TRUE(peer.session.is_closed());
  EXPECT_STREQ(peer.session.closed().why.field, "rlpx.idle");
}

TEST_F(RlpxHostile, RandomBytesInPlaceOfFramesEndTheSession) {
  const uint64_t seed = 37;
  Rng rng(seed);
  for (int i = 0; i < 50; ++i) {
    RawPeer peer = ready(38);
    std::vector<uint8_t> noise(kFrameHeaderSize + rng.below(200));
    rng.fill(noise);
    expect_breach(peer.give(noise), peer, Code::bad_checksum);
  }
}

TEST(RlpxHello, Eip8HelloOfAnotherVersion) {
  const auto hello = Hello::decode(unhex(kHello));
  ASSERT_TRUE(hello) << to_string(hello.error());
  EXPECT_EQ(hello->version, 55u);
  EXPECT_EQ(hello->client_id, "kneth/v0.91/plan9");
  const std::vector<Hello::Offer> offers = {{"eth", 61}, {"mork", 22}};
  EXPECT_EQ(hello->capabilities, offers);
  EXPECT_EQ(hello->id[0], 0xfd);
}

TEST(RlpxHello, ComesBackAndTruncationsAreTypedErrors) {
  Hello hello;
  hello.client_id = "test/1";
  hello.capabilities = {{"eth", 68}, {"snap", 1}};
  hello.listen_port = 30303;
  hello.id.fill(7);
  std::vector<uint8_t> bytes;
  hello.encode(bytes);
  EXPECT_EQ(*Hello::decode(bytes), hello);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Hello::decode(Bytes(bytes).first(size))) << size;
  }
  hello.client_id.assign(3000, 'x');
  bytes.clear();
  hello.encode(bytes);
  EXPECT_EQ(Hello::decode(bytes).error().code, Code::too_long);
}

}  // namespace
}  // namespace beamline::rlpx
