// The client against a peer that the test plays byte by byte.
#include "reqresp/client.h"

#include "codec/snappy_frame.h"
#include "codec/uvarint.h"
#include "tests/reqresp/bytes.h"

namespace beamline::reqresp {
namespace {

using Kind = ClientEvent::Kind;
constexpr PeerHandle kPeer = 7;
constexpr ForkDigest kDigest{{1, 2, 3, 4}};

ClientLimits without_quotas() {
  ClientLimits limits;
  limits.quotas = false;
  return limits;
}

class ReqRespClient : public testing::Test {
 protected:
  std::vector<ClientEvent> events() {
    std::vector<ClientEvent> all;
    while (auto event = client_.poll_event()) all.push_back(std::move(*event));
    return all;
  }
  // "open chunk chunk end close"
  std::string kinds() {
    static constexpr const char* kNames[] = {"open", "chunk", "end", "error", "violation", "close"};
    std::string text;
    last_ = events();
    for (const ClientEvent& event : last_) {
      if (!text.empty()) text += ' ';
      text += kNames[static_cast<size_t>(event.kind)];
      if (event.kind == Kind::close_stream && event.reset) text += "(reset)";
    }
    return text;
  }
  const Error& error() {
    for (const ClientEvent& event : last_) {
      if (event.kind == Kind::error || event.kind == Kind::violation) return event.error;
    }
    ADD_FAILURE() << "no error";
    static const Error kNone;
    return kNone;
  }
  // A request whose stream is open and whose bytes are sent.
  RequestId start(Protocol protocol, uint64_t count = 1) {
    const auto id = client_.request(kPeer, protocol, valid_request(protocol, rng_, count), now());
    EXPECT_TRUE(id.has_value());
    EXPECT_EQ(kinds(), "open");
    client_.output_sent(*id, client_.output(*id).size());
    return *id;
  }
  SharedBytes chunk(Protocol protocol, size_t size) {
    return encode_chunk(info(protocol), kDigest, block_like(rng_, size));
  }
  size_t feed(RequestId id, Bytes bytes) { return client_.on_data(id, bytes, now()); }
  void pass(Duration time) {
    time_ = time_ + time;
    client_.on_time(now());
  }
  Now now() const { return at(time_); }

  Rng rng_{1};
  Duration time_ = seconds(0);
  Client client_{without_quotas()};
  std::vector<ClientEvent> last_;
};

TEST_F(ReqRespClient, RangeAnswerArrivesInOrderAndEnds) {
  const RequestId id = start(Protocol::blocks_by_range_v2, 10);
  for (uint32_t i = 0; i < 3; ++i) {
    const SharedBytes wire = chunk(Protocol::blocks_by_range_v2, 404 + i);
    EXPECT_EQ(feed(id, wire), wire.size());
  }
  client_.on_remote_close(id, now());
  EXPECT_EQ(kinds(), "chunk chunk chunk end close");
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(last_[i].index, i);
    EXPECT_EQ(last_[i].payload.size(), 404 + i);
    EXPECT_EQ(last_[i].context, kDigest);
    EXPECT_EQ(last_[i].request, id);
  }
  EXPECT_EQ(last_[3].index, 3u);
  EXPECT_EQ(client_.size(), 0u);
  EXPECT_EQ(client_.next_deadline(), MonoTime::never());
}

TEST_F(ReqRespClient, TheLastAllowedChunkEndsTheRequestWithoutWaitingForTheClose) {
  const RequestId id = start(Protocol::status_v1);
  feed(id, encode_chunk(info(Protocol::status_v1), {}, Buffer(84)));
  EXPECT_EQ(kinds(), "chunk end");
  client_.on_remote_close(id, now());
  EXPECT_EQ(kinds(), "close");
}

TEST_F(ReqRespClient, MetadataHasNothingToWriteAndStillAnAnswer) {
  const auto id = client_.request(kPeer, Protocol::metadata_v2, {}, now());
  ASSERT_TRUE(id.has_value());
  EXPECT_TRUE(client_.output(*id).empty());
  feed(*id, encode_chunk(info(Protocol::metadata_v2), {}, Buffer(17)));
  EXPECT_EQ(kinds(), "open chunk end");
}

TEST_F(ReqRespClient, ExtraChunksAreCharged) {
  const RequestId id = start(Protocol::blocks_by_root_v1, 2);
  Buffer wire;
  for (int i = 0; i < 3; ++i) append(wire, chunk(Protocol::blocks_by_root_v1, 404));
  EXPECT_EQ(feed(id, wire), wire.size());
  EXPECT_EQ(kinds(), "chunk chunk end violation close(reset)");
  EXPECT_EQ(error().code, Code::trailing);
  EXPECT_EQ(error().fault, Fault::peer);
  EXPECT_EQ(client_.stats().violations, 1u);
}

TEST_F(ReqRespClient, OneByteAfterTheEndIsCharged) {
  const RequestId id = start(Protocol::ping_v1);
  feed(id, encode_chunk(info(Protocol::ping_v1), {}, Buffer(8)));
  EXPECT_EQ(kinds(), "chunk end");
  feed(id, Buffer{0});
  EXPECT_EQ(kinds(), "violation close(reset)");
}

TEST_F(ReqRespClient, RemoteErrorsCarryCodeAndText) {
  const struct {
    uint8_t byte;
    Code code;
    const char* meaning;
  } kCases[] = {{1, Code::remote_error, "invalid request"},
                {2, Code::remote_error, "server error"},
                {3, Code::remote_error, "resource unavailable"},
                {139, Code::rate_limited, "rate limited"},
                {77, Code::remote_error, "server error"},
                {200, Code::remote_error, "invalid request"}};
  for (const auto& expected : kCases) {
    const RequestId id = start(Protocol::blocks_by_range_v2, 10);
    feed(id, chunk(Protocol::blocks_by_range_v2, 500));
    feed(id, encode_error(expected.byte, "no such blocks"));
    client_.on_remote_close(id, now());
    EXPECT_EQ(kinds(), "chunk error close");
    EXPECT_EQ(error().code, expected.code);
    EXPECT_EQ(error().fault, Fault::network);
    EXPECT_STREQ(error().field, expected.meaning);
    EXPECT_EQ(last_[1].remote_code, expected.byte);
    EXPECT_EQ(as_text(last_[1].payload), "no such blocks");
  }
}

TEST_F(ReqRespClient, AnErrorWithoutTextCounts) {
  const RequestId id = start(Protocol::status_v1);
  feed(id, Buffer{2});
  client_.on_remote_close(id, now());
  EXPECT_EQ(kinds(), "error close");
  EXPECT_EQ(last_[0].remote_code, 2);
}

TEST_F(ReqRespClient, AnEmptyErrorTextMayBringItsStreamIdentifier) {
  const RequestId id = start(Protocol::status_v1);
  feed(id, Buffer{2, 0, 0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'});
  client_.on_remote_close(id, now());
  EXPECT_EQ(kinds(), "error close");
  EXPECT_EQ(client_.stats().violations, 0u);
}

TEST_F(ReqRespClient, DataAfterAnErrorIsCharged) {
  const RequestId id = start(Protocol::blocks_by_range_v1, 5);
  feed(id, encode_error(2, "oops"));
  feed(id, chunk(Protocol::blocks_by_range_v1, 404));
  EXPECT_EQ(kinds(), "error violation close(reset)");
}

TEST_F(ReqRespClient, NoAnswerWhereOneIsOwedIsThePeersFault) {
  for (const Protocol protocol : {Protocol::status_v1, Protocol::ping_v1, Protocol::metadata_v2}) {
    const RequestId id = start(protocol);
    client_.on_remote_close(id, now());
    EXPECT_EQ(kinds(), "error close(reset)");
    EXPECT_EQ(error().code, Code::missing);
    EXPECT_EQ(error().fault, Fault::peer);
  }
}

TEST_F(ReqRespClient, NoBlockAndNoGoodbyeAreAnswersToo) {
  for (const Protocol protocol : {Protocol::goodbye_v1, Protocol::blocks_by_root_v2}) {
    const RequestId id = start(protocol);
    client_.on_remote_close(id, now());
    EXPECT_EQ(kinds(), "end close");
  }
}

TEST_F(ReqRespClient, ACloseInsideAChunkIsATruncation) {
  const SharedBytes wire = chunk(Protocol::blocks_by_range_v2, 404);
  for (const size_t size : {size_t{1}, size_t{3}, size_t{5}, size_t{6}, wire.size() - 1}) {
    const RequestId id = start(Protocol::blocks_by_range_v2, 5);
    feed(id, wire.bytes().first(size));
    client_.on_remote_close(id, now());
    EXPECT_EQ(kinds(), "error close(reset)");
    EXPECT_EQ(error().code, Code::truncated);
    EXPECT_EQ(error().fault, Fault::peer);
  }
}

TEST_F(ReqRespClient, AResetIsTheNetworksFaultAndKeepsItsReason) {
  const RequestId id = start(Protocol::blocks_by_range_v2, 5);
  client_.on_stream_failed(id, network_error(Code::reset, "stream").error(), now());
  EXPECT_EQ(kinds(), "error close(reset)");
  EXPECT_EQ(error().code, Code::reset);
  EXPECT_EQ(error().fault, Fault::network);
}

TEST_F(ReqRespClient, GarbageIsChargedAndTheNextRequestIsServed) {
  for_seeds(200, [this](Rng& rng) {
    const RequestId id = start(Protocol::blocks_by_range_v2, 1000);
    Buffer garbage = random_bytes(rng, 4000);
    garbage[0] = 0;
    size_t taken = 0;
    while (taken < garbage.size()) {
      const size_t size = 1 + rng.below(garbage.size() - taken);
      taken += feed(id, Bytes(garbage).subspan(taken, size));
    }
    client_.on_remote_close(id, now());
    const std::string seen = kinds();
    EXPECT_NE(seen.find("error"), seen.npos) << seen;
    EXPECT_EQ(error().fault, Fault::peer);
    EXPECT_EQ(client_.size(), 0u);
  });
}

TEST_F(ReqRespClient, AtMostTwoStreamsPerProtocolAndPeerTheRestWaitsInOrder) {
  std::vector<RequestId> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(*client_.request(kPeer, Protocol::ping_v1, Buffer(8), now()));
  }
  EXPECT_EQ(kinds(), "open open");
  EXPECT_EQ(client_.waiting(), 2u);
  // Other protocols and other peers do not wait for them.
  ASSERT_TRUE(client_.request(kPeer, Protocol::status_v1, Buffer(84), now()));
  ASSERT_TRUE(client_.request(kPeer + 1, Protocol::ping_v1, Buffer(8), now()));
  EXPECT_EQ(kinds(), "open open");
  client_.output_sent(ids[1], client_.output(ids[1]).size());
  feed(ids[1], encode_chunk(info(Protocol::ping_v1), {}, Buffer(8)));
  EXPECT_EQ(kinds(), "chunk end");  // its stream is still open
  client_.on_remote_close(ids[1], now());
  EXPECT_EQ(kinds(), "close open");
  EXPECT_EQ(last_[1].request, ids[2]);
  client_.on_stream_failed(ids[0], network_error(Code::reset, "stream").error(), now());
  EXPECT_EQ(kinds(), "error close(reset) open");
  EXPECT_EQ(last_[2].request, ids[3]);
  EXPECT_EQ(client_.stats().queued, 2u);
}

TEST_F(ReqRespClient, TheQueueAndTheTableAreBounded) {
  ClientLimits limits = without_quotas();
  limits.requests = 10;
  limits.waiting_per_peer = 3;
  client_ = Client(limits);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(client_.request(kPeer, Protocol::ping_v1, Buffer(8), now()));
  }
  const auto refused = client_.request(kPeer, Protocol::ping_v1, Buffer(8), now());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::full);
  EXPECT_EQ(refused.error().fault, Fault::local);
  EXPECT_EQ(client_.stats().refused_waiting, 1u);
  for (PeerHandle peer = 100; peer < 105; ++peer) {
    EXPECT_TRUE(client_.request(peer, Protocol::ping_v1, Buffer(8), now()));
  }
  EXPECT_FALSE(client_.request(200, Protocol::ping_v1, Buffer(8), now()));
  EXPECT_EQ(client_.stats().refused_table, 1u);
  EXPECT_EQ(client_.size(), 10u);
}

TEST_F(ReqRespClient, RequestsThatAProtocolDoesNotHaveAreRefused) {
  for (const auto& [protocol, body] :
       {std::pair{Protocol::status_v1, Buffer(83)}, std::pair{Protocol::metadata_v1, Buffer(1)},
        std::pair{Protocol::blocks_by_root_v2, Buffer(33)},
        std::pair{Protocol::blocks_by_root_v2, Buffer()},
        std::pair{Protocol::blocks_by_range_v2, range_request(1, 0)}}) {
    const auto refused = client_.request(kPeer, protocol, body, now());
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
  }
  EXPECT_EQ(client_.size(), 0u);
}

TEST_F(ReqRespClient, RootsAreAskedForNoFasterThanPeersPutUpWith) {
  ClientLimits limits;
  limits.quota_wait = seconds(1000);
  client_ = Client(limits);
  const auto ask = [this](uint64_t roots) {
    return client_.request(kPeer, Protocol::blocks_by_root_v1,
                           valid_request(Protocol::blocks_by_root_v1, rng_, roots), now());
  };
  EXPECT_EQ(request_limit(info(Protocol::blocks_by_root_v1)), 96u);
  const auto refused = ask(97);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::invalid_argument);

  // The peer's own count, as Lodestar keeps it: 128 roots in 10 seconds, else we are banned. It
  // sees each request up to a second late.
  TokenBucket peer({.per_second = 12'800, .burst = 128'000});
  Duration arrived = seconds(0);
  uint64_t asked = 0;
  for (int i = 0; i < 30; ++i) ask(1 + rng_.below(96));
  for (int turn = 0; turn < 1000 && client_.size() > 0; ++turn) {
    for (const ClientEvent& event : events()) {
      if (event.kind != Kind::open_stream) continue;
      arrived = std::max(arrived, time_ + milliseconds(static_cast<int64_t>(rng_.below(1000))));
      const auto roots = static_cast<int64_t>(client_.output(event.request).size() / 32);
      EXPECT_TRUE(peer.holds(roots * 1000, at(arrived).mono)) << arrived.ns << " " << roots;
      peer.charge(roots * 1000, at(arrived).mono);
      asked += static_cast<uint64_t>(roots);
      client_.output_sent(event.request, client_.output(event.request).size());
      client_.on_remote_close(event.request, now());
    }
    if (client_.next_deadline() == MonoTime::never()) continue;
    time_ = std::max(time_, client_.next_deadline() - at(seconds(0)).mono);
    client_.on_time(now());
  }
  EXPECT_EQ(client_.size(), 0u);
  EXPECT_GT(client_.stats().waited_quota, 0u);
  EXPECT_LT(to_seconds(time_), static_cast<double>(asked) / 128 * 11 + 1);
}

TEST_F(ReqRespClient, AQuotaThatIsFarAwayIsRefusedAtOnce) {
  client_ = Client(ClientLimits{});
  const auto ask = [this](PeerHandle peer, uint64_t roots) {
    const auto id = client_.request(peer, Protocol::blocks_by_root_v1,
                                    valid_request(Protocol::blocks_by_root_v1, rng_, roots), now());
    return id ? Code::cancelled : id.error().code;
  };
  EXPECT_EQ(ask(kPeer, 96), Code::cancelled);
  EXPECT_EQ(ask(kPeer, 96), Code::rate_limited);
  EXPECT_EQ(client_.stats().refused_quota, 1u);
  EXPECT_EQ(ask(kPeer, 5), Code::cancelled);  // half a second away
  EXPECT_EQ(client_.waiting(), 1u);
  EXPECT_EQ(ask(kPeer + 1, 96), Code::cancelled);
  events();
  pass(milliseconds(500));
  EXPECT_EQ(kinds(), "open");
  pass(seconds(8));
  EXPECT_EQ(ask(kPeer, 90), Code::cancelled);
}

TEST_F(ReqRespClient, ASilentPeerTimesOut) {
  start(Protocol::status_v1);
  pass(seconds(10) - nanoseconds(1));
  EXPECT_EQ(kinds(), "");
  EXPECT_EQ(client_.next_deadline(), at(seconds(10)).mono);
  pass(nanoseconds(1));
  EXPECT_EQ(kinds(), "error close(reset)");
  EXPECT_EQ(error().code, Code::timed_out);
  EXPECT_EQ(error().fault, Fault::network);
  EXPECT_EQ(client_.stats().timeouts_first_byte, 1u);
}

TEST_F(ReqRespClient, ALargeLiveTransferOutlivesTheProgressDeadline) {
  const RequestId id = start(Protocol::blocks_by_range_v2, 100);
  for (int i = 0; i < 11; ++i) {
    pass(seconds(9));
    feed(id, chunk(Protocol::blocks_by_range_v2, 500));
    EXPECT_EQ(kinds(), "chunk");
  }
  pass(seconds(10));
  EXPECT_EQ(kinds(), "error close(reset)");
  EXPECT_STREQ(error().field, "progress");
}

TEST_F(ReqRespClient, DrippingBytesAreNoProgress) {
  const RequestId id = start(Protocol::blocks_by_range_v2, 100);
  const SharedBytes wire = chunk(Protocol::blocks_by_range_v2, 50'000);
  for (size_t i = 0; i < 10; ++i) {
    feed(id, wire.bytes().subspan(i, 1));
    pass(seconds(1));
  }
  EXPECT_EQ(kinds(), "error close(reset)");
  EXPECT_EQ(client_.stats().timeouts_progress, 1u);
}

TEST_F(ReqRespClient, TheTotalDeadlineEndsAnEndlessAnswer) {
  const RequestId id = start(Protocol::blocks_by_range_v2, 1000);
  std::string seen;
  for (int i = 0; i < 30 && seen.find("error") == seen.npos; ++i) {
    feed(id, chunk(Protocol::blocks_by_range_v2, 500));
    pass(seconds(5));
    seen = kinds();
  }
  EXPECT_EQ(seen, "chunk error close(reset)");
  EXPECT_STREQ(error().field, "total");
  EXPECT_EQ(time_, seconds(120));
}

TEST_F(ReqRespClient, APeerThatDoesNotCloseIsResetWithoutBlame) {
  const RequestId id = start(Protocol::ping_v1);
  feed(id, encode_chunk(info(Protocol::ping_v1), {}, Buffer(8)));
  EXPECT_EQ(kinds(), "chunk end");
  pass(seconds(5));
  EXPECT_EQ(kinds(), "close(reset)");
  EXPECT_EQ(client_.stats().timeouts_linger, 1u);
}

TEST_F(ReqRespClient, PauseTakesNothingAndStopsTheClock) {
  const RequestId id = start(Protocol::blocks_by_range_v2, 100);
  const SharedBytes wire = chunk(Protocol::blocks_by_range_v2, 500);
  client_.pause(id, now());
  EXPECT_TRUE(client_.stalled(id));
  EXPECT_EQ(feed(id, wire), 0u);
  EXPECT_EQ(client_.next_deadline(), MonoTime::never());
  pass(seconds(3600));
  EXPECT_EQ(kinds(), "");
  client_.resume(id, now());
  EXPECT_FALSE(client_.stalled(id));
  EXPECT_EQ(feed(id, wire), wire.size());
  EXPECT_EQ(kinds(), "chunk");
  pass(seconds(10));
  EXPECT_EQ(kinds(), "error close(reset)");
}

TEST_F(ReqRespClient, ChunksThatNobodyPollsStopTheStream) {
  const RequestId id = start(Protocol::blocks_by_range_v2, 100);
  Buffer wire;
  for (int i = 0; i < 20; ++i) append(wire, chunk(Protocol::blocks_by_range_v2, 404));
  size_t taken = feed(id, wire);
  EXPECT_LT(taken, wire.size());
  EXPECT_TRUE(client_.stalled(id));
  EXPECT_EQ(client_.stats().chunks, ClientLimits{}.undelivered_chunks);
  pass(seconds(10));  // not the peer's fault
  size_t chunks = 0;
  while (true) {
    for (const ClientEvent& event : events()) chunks += event.kind == Kind::chunk;
    if (taken == wire.size()) break;
    taken += feed(id, Bytes(wire).subspan(taken));
  }
  EXPECT_EQ(chunks, 20u);
}

TEST_F(ReqRespClient, CancelSaysNothingMore) {
  const RequestId id = start(Protocol::blocks_by_range_v2, 100);
  feed(id, chunk(Protocol::blocks_by_range_v2, 404));
  client_.cancel(id, now());
  EXPECT_EQ(kinds(), "close(reset)");
  // What was on its way is dropped, and blames nobody.
  const SharedBytes late = chunk(Protocol::blocks_by_range_v2, 404);
  EXPECT_EQ(feed(id, late), late.size());
  client_.on_remote_close(id, now());
  EXPECT_EQ(kinds(), "");
  EXPECT_EQ(client_.size(), 0u);
}

TEST_F(ReqRespClient, APeerThatGoesFreesEverythingOfIt) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client_.request(kPeer, Protocol::ping_v1, Buffer(8), now()));
  }
  const RequestId other = *client_.request(kPeer + 1, Protocol::ping_v1, Buffer(8), now());
  events();
  client_.on_peer_gone(kPeer, now());
  int errors = 0;
  int closes = 0;
  for (const ClientEvent& event : events()) {
    EXPECT_EQ(event.peer, kPeer);
    errors += event.kind == Kind::error;
    closes += event.kind == Kind::close_stream;
    EXPECT_NE(event.kind, Kind::open_stream);
  }
  EXPECT_EQ(errors, 5);
  EXPECT_EQ(closes, 2);  // the other three never had a stream
  EXPECT_EQ(client_.size(), 1u);
  EXPECT_EQ(client_.waiting(), 0u);
  EXPECT_FALSE(client_.output(other).empty());
}

TEST_F(ReqRespClient, AnOldIdNamesNobody) {
  const RequestId old = start(Protocol::ping_v1);
  client_.cancel(old, now());
  EXPECT_EQ(kinds(), "close(reset)");
  const RequestId fresh = start(Protocol::ping_v1);
  EXPECT_EQ(fresh.slot, old.slot);
  EXPECT_NE(fresh, old);
  client_.cancel(old, now());
  client_.on_stream_failed(old, network_error(Code::reset, "stream").error(), now());
  client_.pause(old, now());
  EXPECT_EQ(kinds(), "");
  EXPECT_EQ(client_.size(), 1u);
}

}  // namespace
}  // namespace beamline::reqresp
