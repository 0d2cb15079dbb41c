#include "libp2p/yamux.h"

#include <set>

#include "base/rng.h"
#include "tests/libp2p/mux_bench.h"
#include "tests/libp2p/pair.h"

namespace beamline::libp2p {
namespace {

using Bench = MuxBench<Yamux>;
using Type = MuxEvent::Type;
enum : uint8_t { kData = 0, kWindowUpdate = 1, kPing = 2, kGoAway = 3 };
enum : uint16_t { kSyn = 1, kAck = 2, kFin = 4, kRst = 8 };
constexpr uint32_t kWindow = Yamux::kWindow;

std::string frame(uint8_t type, uint16_t flags, uint32_t stream, uint32_t length,
                  std::string_view body = {}) {
  std::string out{'\0', static_cast<char>(type), static_cast<char>(flags >> 8),
                  static_cast<char>(flags)};
  for (const uint32_t value : {stream, length}) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  }
  return out.append(body);
}
std::string data(uint16_t flags, uint32_t stream, std::string_view body) {
  return frame(kData, flags, stream, static_cast<uint32_t>(body.size()), body);
}
const std::string kGoAwayProtocolError = frame(kGoAway, 0, 0, 1);

TEST(Yamux, FirstFrameOfAStreamOpensItAndTheFirstAnswerAcceptsIt) {
  Bench dialler(Role::dialler);
  const StreamId stream = dialler.muxer->open().value();
  EXPECT_EQ(dialler.write(stream, "hello"), 5u);
  EXPECT_EQ(dialler.sent(), data(kSyn, 1, "hello"));
  Bench listener(Role::listener);
  ASSERT_TRUE(listener.feed(data(kSyn, 1, "hello"), 1).has_value());
  EXPECT_EQ(listener.events.front().type, Type::opened);
  EXPECT_EQ(listener.data[listener.opened.value], "hello");
  EXPECT_EQ(listener.sent(), frame(kWindowUpdate, kAck, 1, 0));
  EXPECT_EQ(listener.muxer->open().has_value(), true);
  EXPECT_EQ(listener.sent(), frame(kWindowUpdate, kSyn, 2, 0));
}

// js-libp2p acts on a data frame's FIN before it takes the data, and so loses it.
TEST(Yamux, EndIsAFrameOfItsOwn) {
  Bench bench(Role::dialler);
  const StreamId stream = bench.muxer->open().value();
  bench.write(stream, "x");
  bench.muxer->close_write(stream);
  EXPECT_EQ(bench.sent(), data(kSyn, 1, "x") + frame(kWindowUpdate, kFin, 1, 0));
  EXPECT_EQ(bench.write(stream, "late"), 0u);
}

TEST(Yamux, FlagsAreAcceptedOnDataAndWindowFrames) {
  Bench bench(Role::listener);
  ASSERT_TRUE(bench.feed(data(kSyn | kFin, 1, "all")).has_value());
  ASSERT_EQ(bench.events.size(), 3u);
  EXPECT_EQ(bench.events[0].type, Type::opened);
  EXPECT_EQ(bench.events[1].type, Type::data);
  EXPECT_EQ(bench.events[2].type, Type::remote_closed);
  ASSERT_TRUE(bench.feed(frame(kWindowUpdate, kSyn | kFin, 3, 0)).has_value());
  EXPECT_EQ(bench.events.back().type, Type::remote_closed);
  ASSERT_TRUE(bench.feed(frame(kWindowUpdate, kSyn | kRst, 5, 0)).has_value());
  EXPECT_EQ(bench.events.back().type, Type::reset);
  ASSERT_TRUE(bench.feed(data(kRst, 3, "body of a reset")).has_value());
  EXPECT_EQ(bench.events.back().type, Type::reset);
  EXPECT_EQ(bench.muxer->stream_count(), 1u);
}

TEST(Yamux, WindowFollowsConsumption) {
  Bench bench(Role::listener);
  bench.pause_opened = true;
  const std::string half(kWindow / 2, 'x');
  ASSERT_TRUE(bench.feed(data(kSyn, 1, half)).has_value());
  EXPECT_EQ(bench.sent(), frame(kWindowUpdate, kAck, 1, 0));  // nothing was consumed
  ASSERT_TRUE(bench.feed(data(0, 1, half)).has_value());
  EXPECT_EQ(bench.sent(), "");
  EXPECT_EQ(bench.muxer->held_bytes(), kWindow);
  bench.muxer->resume(bench.opened);
  bench.poll();
  EXPECT_EQ(bench.data[bench.opened.value].size(), kWindow);
  EXPECT_EQ(bench.sent(), frame(kWindowUpdate, 0, 1, kWindow));
  EXPECT_EQ(bench.muxer->held_bytes(), 0u);
}

TEST(Yamux, DataBeyondTheWindowEndsTheConnection) {
  Bench bench(Role::listener);
  bench.pause_opened = true;
  ASSERT_TRUE(bench.feed(data(kSyn, 1, std::string(kWindow, 'x'))).has_value());
  const Status status = bench.feed(data(0, 1, "y"));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::flow_control);
  EXPECT_EQ(status.error().fault, Fault::peer);
  std::vector<uint8_t> out(100);
  const size_t size = bench.muxer->poll_session(out);
  EXPECT_EQ(as_text(Bytes(out).first(size)), kGoAwayProtocolError);
}

// A data frame with SYN whose body is larger than the first window (rust-yamux panicked).
TEST(Yamux, CVE_2026_32314_SynWithDataBeyondTheWindow) {
  for (const uint32_t length : {kWindow + 1, UINT32_MAX}) {
    Bench bench(Role::listener);
    const Status status = bench.feed(frame(kData, kSyn, 1, length));
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, Code::flow_control);
    EXPECT_EQ(bench.sent(), kGoAwayProtocolError);
  }
  Bench exact(Role::listener);
  EXPECT_TRUE(exact.feed(data(kSyn, 1, std::string(kWindow, 'x'))).has_value());
}

// Window updates whose sum is over 32 bits.
TEST(Yamux, CVE_2026_31814_CreditOverflow) {
  Bench bench(Role::listener);
  ASSERT_TRUE(bench.feed(frame(kWindowUpdate, kSyn, 1, UINT32_MAX - kWindow)).has_value());
  const Status status = bench.feed(frame(kWindowUpdate, 0, 1, 1));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::flow_control);
  Bench syn(Role::listener);
  EXPECT_EQ(syn.feed(frame(kWindowUpdate, kSyn, 1, UINT32_MAX)).error().code, Code::flow_control);
}

// Streams opened, refused or reset faster than the other side reads what we answer: what waits to
// be sent is bounded (rust-yamux kept a frame for each, without end).
TEST(Yamux, CVE_2024_32984_PendingFramesAreBounded) {
  Bench bench(Role::listener);
  std::string flood;
  for (uint32_t i = 0; i < 256; ++i) flood += frame(kWindowUpdate, kSyn, 2 * i + 1, 0);
  ASSERT_TRUE(bench.feed(flood).has_value());
  EXPECT_EQ(bench.count(Type::opened), 256u);
  Status status;
  uint32_t id = 2 * 256 + 1;
  size_t refused = 0;
  for (; status && refused < 10'000; id += 2, ++refused) {
    status = bench.feed(frame(kWindowUpdate, kSyn, id, 0));
  }
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::flow_control);
  EXPECT_LE(refused, bench.limits.pending_resets + 1);
  EXPECT_LE(bench.sent().size(), (256 + bench.limits.pending_resets + 1) * Yamux::kHeaderSize);
}

TEST(Yamux, CVE_2024_32984_OpenAndResetInALoop) {
  Bench bench(Role::listener);
  for (uint32_t id = 1; id < 20'000; id += 2) {
    ASSERT_TRUE(bench.feed(frame(kWindowUpdate, kSyn, id, 0)).has_value());
    ASSERT_TRUE(bench.feed(frame(kWindowUpdate, kRst, id, 0)).has_value());
  }
  EXPECT_EQ(bench.muxer->stream_count(), 0u);
  EXPECT_EQ(bench.sent(), "");
  // The same where it is our side that resets: then the backlog ends it.
  Status status;
  for (uint32_t id = 20'001; status && id < 40'000; id += 2) {
    status = bench.feed(frame(kWindowUpdate, kSyn, id, 0));
    bench.muxer->reset(bench.opened);
  }
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::flow_control);
}

TEST(Yamux, PingsAreAnsweredOnceForAll) {
  Bench bench(Role::listener);
  for (uint32_t i = 0; i < 1000; ++i) ASSERT_TRUE(bench.feed(frame(kPing, kSyn, 0, i)));
  EXPECT_EQ(bench.sent(), frame(kPing, kAck, 0, 999));
  EXPECT_EQ(bench.stats.pings_coalesced, 999u);
  ASSERT_TRUE(bench.feed(frame(kPing, kAck, 0, 5)).has_value());  // we asked nothing
  EXPECT_EQ(bench.sent(), "");
}

TEST(Yamux, DataForAnUnknownStreamIsDrainedWithoutAWord) {
  Bench bench(Role::listener);
  ASSERT_TRUE(bench.feed(data(0, 77, "nobody") + data(kSyn, 1, "somebody"), 5).has_value());
  EXPECT_EQ(bench.data[bench.opened.value], "somebody");
  EXPECT_EQ(bench.sent(), frame(kWindowUpdate, kAck, 1, 0));
  EXPECT_EQ(bench.stats.unknown_stream, 1u);
  EXPECT_EQ(bench.stats.bytes_drained, 6u);
}

TEST(Yamux, DataAfterTheEndIsDrained) {
  Bench bench(Role::listener);
  ASSERT_TRUE(bench.feed(data(kSyn | kFin, 1, "all") + data(0, 1, "more")).has_value());
  EXPECT_EQ(bench.data[bench.opened.value], "all");
  EXPECT_EQ(bench.count(Type::remote_closed), 1u);
}

TEST(Yamux, ProtocolErrorsAreTypedAndSayGoAway) {
  const auto error = [](std::string_view bytes) {
    Bench bench(Role::listener);
    const Status status = bench.feed(bytes);
    EXPECT_FALSE(status.has_value());
    EXPECT_EQ(bench.sent(), kGoAwayProtocolError);
    return status ? Code::io_error : status.error().code;
  };
  std::string version = frame(kPing, kSyn, 0, 0);
  version[0] = 1;
  EXPECT_EQ(error(version), Code::bad_version);
  EXPECT_EQ(error(frame(4, 0, 0, 0)), Code::bad_encoding);
  EXPECT_EQ(error(frame(kData, kSyn, 0, 0)), Code::unexpected);
  EXPECT_EQ(error(frame(kWindowUpdate, 0, 0, 0)), Code::unexpected);
  EXPECT_EQ(error(frame(kPing, kSyn, 1, 0)), Code::unexpected);
  EXPECT_EQ(error(frame(kWindowUpdate, kSyn, 2, 0)), Code::unexpected);  // our side's ids
}

TEST(Yamux, StreamOpenedTwiceIsAnError) {
  Bench bench(Role::listener);
  ASSERT_TRUE(bench.feed(frame(kWindowUpdate, kSyn, 1, 0)).has_value());
  EXPECT_EQ(bench.feed(frame(kWindowUpdate, kSyn, 1, 0)).error().code, Code::duplicate);
}

TEST(Yamux, GoAway) {
  Bench bench(Role::dialler);
  ASSERT_TRUE(bench.feed(frame(kGoAway, 0, 0, 0)).has_value());
  EXPECT_EQ(bench.muxer->open().error().code, Code::refused);
  const Status status = bench.feed(frame(kGoAway, 0, 0, 2));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::remote_error);
  EXPECT_EQ(status.error().offset, 2u);
}

TEST(Yamux, SendingStopsAtTheWindowAndGoesOnWithIt) {
  Bench bench(Role::dialler);
  const StreamId stream = bench.muxer->open().value();
  const std::string text(kWindow, 'x');
  EXPECT_EQ(bench.write(stream, text), kWindow);
  EXPECT_EQ(bench.sent(1 << 20), data(kSyn, 1, text));
  EXPECT_EQ(bench.write(stream, "more"), 4u);
  EXPECT_FALSE(bench.muxer->wants_transmit());
  ASSERT_TRUE(bench.feed(frame(kWindowUpdate, kAck, 1, 3)).has_value());
  EXPECT_EQ(bench.sent(), data(0, 1, "mor"));
  ASSERT_TRUE(bench.feed(frame(kWindowUpdate, 0, 1, 100)).has_value());
  EXPECT_EQ(bench.sent(), data(0, 1, "e"));
}

TEST(Yamux, StreamsTakeTurns) {
  Bench bench(Role::dialler);
  const StreamId a = bench.muxer->open().value();
  const StreamId b = bench.muxer->open().value();
  bench.write(a, std::string(5000, 'a'));
  bench.write(b, std::string(5000, 'b'));
  std::vector<uint8_t> out(1012);
  ASSERT_EQ(bench.muxer->poll_transmit(out), 1012u);
  EXPECT_EQ(out[7], 1);
  ASSERT_EQ(bench.muxer->poll_transmit(out), 1012u);
  EXPECT_EQ(out[7], 3);
}

TEST(Yamux, AllPausedStreamsTogetherAreBounded) {
  MuxLimits limits;
  limits.held_bytes = 3 * kWindow / 2;
  Bench bench(Role::listener, limits);
  bench.pause_opened = true;
  const std::string window(kWindow, 'x');
  ASSERT_TRUE(bench.feed(data(kSyn, 1, window) + data(kSyn, 3, window)).has_value());
  EXPECT_EQ(bench.count(Type::reset), 1u);
  EXPECT_EQ(bench.events.back().error.code, Code::flow_control);
  EXPECT_EQ(bench.stats.overflows, 1u);
  EXPECT_LE(bench.muxer->held_bytes(), limits.held_bytes);
  EXPECT_EQ(bench.muxer->stream_count(), 1u);
}

TEST(Yamux, ConsumerThatResetsWithinAFrameLosesOnlyThatStream) {
  Bench bench(Role::listener);
  ASSERT_TRUE(bench.feed(data(kSyn, 1, "0123456789").substr(0, 15)).has_value());
  EXPECT_EQ(bench.data[bench.opened.value], "012");
  bench.muxer->reset(bench.opened);
  ASSERT_TRUE(bench.feed("3456789" + data(kSyn, 3, "next")).has_value());
  EXPECT_EQ(bench.data[bench.opened.value], "next");
  EXPECT_EQ(bench.sent(), frame(kWindowUpdate, kRst, 1, 0) + frame(kWindowUpdate, kAck, 3, 0));
}

TEST(Yamux, Property) {
  for (uint64_t round = 0; round < 30; ++round) {
    const uint64_t seed = test_seed(500 + round);
    SCOPED_TRACE("BEAMLINE_SEED=" + std::to_string(seed));
    run_mux_property<Yamux>(seed);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Yamux, GarbageNeverPassesUnnoticedForLong) {
  for (uint64_t round = 0; round < 500; ++round) {
    const uint64_t seed = test_seed(900 + round);
    SCOPED_TRACE("BEAMLINE_SEED=" + std::to_string(seed));
    Bench bench(Role::listener);
    const Status status = bench.feed(test_bytes(2000, seed), 1 + seed % 97);
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().fault, Fault::peer);
  }
}

// Valid frame headers with random fields: whatever comes, limits hold and errors are typed.
TEST(Yamux, RandomFramesKeepTheLimits) {
  for (uint64_t round = 0; round < 300; ++round) {
    const uint64_t seed = test_seed(2000 + round);
    SCOPED_TRACE("BEAMLINE_SEED=" + std::to_string(seed));
    Rng rng(seed);
    Bench bench(Role::listener);
    Status status;
    for (int i = 0; i < 500 && status; ++i) {
      const auto type = static_cast<uint8_t>(rng.below(3));
      const auto flags = static_cast<uint16_t>(rng.chance(1, 3) ? rng.below(16) : 0);
      const auto stream = static_cast<uint32_t>(type == kPing ? 0 : 1 + 2 * rng.below(300));
      const auto length = static_cast<uint32_t>(rng.below(rng.chance(1, 50) ? 1 << 30 : 2000));
      status = type == kData ? bench.feed(data(flags, stream, std::string(length % 3000, 'x')), 700)
                             : bench.feed(frame(type, flags, stream, length));
      if (bench.opened && rng.chance(1, 4)) bench.write(bench.opened, "answer");
      if (bench.opened && rng.chance(1, 9)) bench.muxer->reset(bench.opened);
      if (rng.chance(1, 5)) bench.sent(64 + rng.below(300));
      EXPECT_LE(bench.muxer->stream_count(), bench.limits.inbound_streams);
    }
    if (!status) {
      EXPECT_EQ(status.error().fault, Fault::peer);
    }
  }
}

}  // namespace
}  // namespace beamline::libp2p
