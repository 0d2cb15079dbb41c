#include "libp2p/mplex.h"

#include <set>

#include "base/rng.h"
#include "codec/uvarint.h"
#include "tests/libp2p/mux_bench.h"
#include "tests/libp2p/pair.h"

namespace beamline::libp2p {
namespace {

using Bench = MuxBench<Mplex>;
using Type = MuxEvent::Type;
enum : uint8_t {
  kOpen = 0,
  kMessageReceiver = 1,
  kMessageInitiator = 2,
  kCloseReceiver = 3,
  kCloseInitiator = 4,
  kResetReceiver = 5,
  kResetInitiator = 6,
};

std::string varint(uint64_t value) {
  std::vector<uint8_t> out;
  append_uvarint(value, out);
  return std::string(as_text(out));
}
std::string frame(uint64_t id, uint8_t flag, std::string_view body = {}) {
  return varint(id << 3 | flag) + varint(body.size()) + std::string(body);
}

TEST(Mplex, SidesNumberTheirStreamsIndependently) {
  Bench bench(Role::dialler);
  const StreamId ours = bench.muxer->open().value();
  bench.write(ours, "ours");
  EXPECT_EQ(bench.sent(), frame(0, kOpen) + frame(0, kMessageInitiator, "ours"));
  ASSERT_TRUE(bench
                  .feed(frame(0, kOpen, "a name") + frame(0, kMessageInitiator, "theirs") +
                            frame(0, kMessageReceiver, "answer"),
                        1)
                  .has_value());
  EXPECT_NE(bench.opened, ours);
  EXPECT_EQ(bench.data[bench.opened.value], "theirs");
  EXPECT_EQ(bench.data[ours.value], "answer");
  bench.write(bench.opened, "reply");
  EXPECT_EQ(bench.sent(), frame(0, kMessageReceiver, "reply"));
}

// Lodestar 1.5.1 refused an answer of several chunks in one frame
// (SSZ_SNAPPY_ERROR_TOO_MUCH_BYTES_READ).
TEST(Mplex, LodestarNeedsAFrameForEachChunk) {
  Bench bench(Role::dialler);
  const StreamId stream = bench.muxer->open().value();
  bench.write(stream, "chunk 1");
  bench.write(stream, "chunk 2");
  EXPECT_EQ(bench.sent(), frame(0, kOpen) + frame(0, kMessageInitiator, "chunk 1") +
                              frame(0, kMessageInitiator, "chunk 2"));
}

TEST(Mplex, ClosesAreHalfAndResetsAreWhole) {
  Bench bench(Role::listener);
  ASSERT_TRUE(bench
                  .feed(frame(7, kOpen, "7") + frame(7, kMessageInitiator, "request") +
                        frame(7, kCloseInitiator))
                  .has_value());
  EXPECT_EQ(bench.events.back().type, Type::remote_closed);
  EXPECT_EQ(bench.write(bench.opened, "response"), 8u);
  bench.muxer->close_write(bench.opened);
  EXPECT_EQ(bench.sent(), frame(7, kMessageReceiver, "response") + frame(7, kCloseReceiver));
  EXPECT_EQ(bench.muxer->stream_count(), 0u);
  ASSERT_TRUE(bench.feed(frame(8, kOpen, "8") + frame(8, kResetInitiator)).has_value());
  EXPECT_EQ(bench.events.back().type, Type::reset);
  EXPECT_EQ(bench.events.back().error.code, Code::reset);
  EXPECT_EQ(bench.muxer->stream_count(), 0u);
  ASSERT_TRUE(bench.feed(frame(9, kOpen, "9")).has_value());
  bench.muxer->reset(bench.opened);
  EXPECT_EQ(bench.sent(), frame(9, kResetReceiver));
  const StreamId ours = bench.muxer->open().value();
  bench.sent();
  bench.muxer->reset(ours);
  EXPECT_EQ(bench.sent(), frame(0, kResetInitiator));
}

TEST(Mplex, PausedStreamIsResetOverItsBoundAndTheOthersGoOn) {
  Bench bench(Role::listener);
  bench.pause_opened = true;
  ASSERT_TRUE(bench.feed(frame(0, kOpen)).has_value());
  const StreamId paused = bench.opened;
  bench.pause_opened = false;
  ASSERT_TRUE(bench.feed(frame(1, kOpen)).has_value());
  const std::string piece(256 * 1024, 'x');
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(bench.feed(frame(0, kMessageInitiator, piece), 9000));
  EXPECT_EQ(bench.count(Type::reset), 0u);  // 1 MiB exactly
  EXPECT_EQ(bench.muxer->held_bytes(), 1024u * 1024);
  ASSERT_TRUE(bench.feed(frame(0, kMessageInitiator, piece), 9000).has_value());
  ASSERT_EQ(bench.count(Type::reset), 1u);
  EXPECT_EQ(bench.events.back().stream, paused);
  EXPECT_EQ(bench.events.back().error.code, Code::flow_control);
  EXPECT_EQ(bench.muxer->held_bytes(), 0u);
  EXPECT_EQ(bench.sent(), frame(0, kResetReceiver));
  ASSERT_TRUE(bench.feed(frame(1, kMessageInitiator, "fine")).has_value());
  EXPECT_EQ(bench.data[bench.opened.value], "fine");
}

TEST(Mplex, ErrorsOfTheConnectionAreTyped) {
  const auto error = [](std::string_view bytes) {
    Bench bench(Role::listener);
    const Status status = bench.feed(bytes, 1);
    return status ? Code::io_error : status.error().code;
  };
  EXPECT_EQ(error(varint(2) + varint(Mplex::kMaxFrame + 1)), Code::too_long);
  EXPECT_EQ(error(varint(2) + varint(Mplex::kMaxFrame)), Code::io_error);
  EXPECT_EQ(error(std::string(10, '\xff')), Code::too_long);
  EXPECT_EQ(error(varint(2) + "\xff\xff\xff\xff\x01"), Code::too_long);
  EXPECT_EQ(error(std::string("\x82\x00", 2)), Code::non_canonical);
  EXPECT_EQ(error(frame(1, 7)), Code::bad_encoding);
  EXPECT_EQ(error(frame(1, kOpen) + frame(1, kOpen)), Code::duplicate);
}

TEST(Mplex, FramesForUnknownStreamsAreDrained) {
  Bench bench(Role::listener);
  ASSERT_TRUE(bench
                  .feed(frame(5, kMessageInitiator, "nobody") + frame(5, kCloseInitiator) +
                        frame(5, kResetReceiver) + frame(6, kOpen) +
                        frame(6, kMessageInitiator, "somebody"))
                  .has_value());
  EXPECT_EQ(bench.data[bench.opened.value], "somebody");
  EXPECT_EQ(bench.stats.unknown_stream, 3u);
  EXPECT_EQ(bench.sent(), "");
}

TEST(Mplex, FloodOfStreamsIsRefusedAndWhatWaitsIsBounded) {
  Bench bench(Role::listener);
  Status status;
  uint64_t id = 0;
  while (status && id < 10'000) status = bench.feed(frame(id++, kOpen, "name"));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::flow_control);
  EXPECT_EQ(bench.count(Type::opened), bench.limits.inbound_streams);
  EXPECT_EQ(bench.stats.streams_refused, bench.limits.pending_resets + 1);
}

TEST(Mplex, LargestFrameIsHandedOutAsItArrives) {
  Bench bench(Role::listener);
  const std::string big(Mplex::kMaxFrame, 'b');
  ASSERT_TRUE(bench.feed(frame(0, kOpen) + frame(0, kMessageInitiator, big), 1400).has_value());
  EXPECT_TRUE(bench.data[bench.opened.value] == big);
  EXPECT_EQ(bench.muxer->held_bytes(), 0u);
}

TEST(Mplex, Property) {
  for (uint64_t round = 0; round < 30; ++round) {
    const uint64_t seed = test_seed(700 + round);
    SCOPED_TRACE("BEAMLINE_SEED=" + std::to_string(seed));
    run_mux_property<Mplex>(seed);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Mplex, RandomFramesKeepTheLimits) {
  for (uint64_t round = 0; round < 300; ++round) {
    const uint64_t seed = test_seed(2500 + round);
    SCOPED_TRACE("BEAMLINE_SEED=" + std::to_string(seed));
    Rng rng(seed);
    Bench bench(Role::listener);
    Status status;
    for (int i = 0; i < 500 && status; ++i) {
      status = bench.feed(frame(rng.below(300), static_cast<uint8_t>(rng.below(7)),
                                std::string(rng.below(2000), 'x')),
                          1 + rng.below(900));
      if (bench.opened && rng.chance(1, 4)) bench.write(bench.opened, "answer");
      if (bench.opened && rng.chance(1, 5)) bench.muxer->pause(bench.opened);
      if (bench.opened && rng.chance(1, 9)) bench.muxer->reset(bench.opened);
      if (rng.chance(1, 5)) bench.sent(64 + rng.below(300));
      EXPECT_LE(bench.muxer->stream_count(), bench.limits.inbound_streams);
      EXPECT_LE(bench.muxer->held_bytes(), bench.limits.held_bytes);
    }
    if (!status) {
      EXPECT_EQ(status.error().fault, Fault::peer);
    }
  }
}

}  // namespace
}  // namespace beamline::libp2p
