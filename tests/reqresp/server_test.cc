// The server against a peer that the test plays byte by byte.
#include "reqresp/server.h"

#include "codec/snappy_frame.h"
#include "codec/uvarint.h"
#include "tests/reqresp/bytes.h"

namespace beamline::reqresp {
namespace {

using Kind = ServerEvent::Kind;
constexpr PeerHandle kPeer = 7;

class ReqRespServer : public testing::Test {
 protected:
  // "request flush finish close"
  std::string kinds() {
    static constexpr const char* kNames[] = {"request", "writable", "cancelled", "violation",
                                             "flush",   "finish",   "close"};
    std::string text;
    last_.clear();
    while (auto event = server_->poll_event()) {
      if (!text.empty()) text += ' ';
      text += kNames[static_cast<size_t>(event->kind)];
      if (event->kind == Kind::close_stream && event->reset) text += "(reset)";
      last_.push_back(std::move(*event));
    }
    return text;
  }
  Error error() {
    for (const ServerEvent& event : last_) {
      if (event.kind == Kind::violation || event.kind == Kind::cancelled) return event.error;
    }
    ADD_FAILURE() << "no error";
    return {};
  }
  void limit(const ServerLimits& limits) { server_.emplace(limits); }
  // A whole request, with the peer's close.
  RequestId ask(Protocol protocol, uint64_t count = 1, PeerHandle peer = kPeer) {
    const auto id = server_->on_stream(peer, protocol, now());
    EXPECT_TRUE(id.has_value());
    const SharedBytes wire = encode_request(info(protocol), valid_request(protocol, rng_, count));
    server_->on_data(*id, wire, now());
    server_->on_remote_close(*id, now());
    return *id;
  }
  // Everything that may be written now.
  Buffer drain(RequestId id) {
    Buffer all;
    while (true) {
      const Bytes out = server_->output(id);
      if (out.empty()) return all;
      append(all, out);
      server_->output_sent(id, out.size(), now());
    }
  }
  // The one chunk in `wire`.
  Chunk only_chunk(Protocol protocol, Bytes wire) {
    ChunkReader reader(info(protocol));
    const auto taken = reader.read(wire);
    EXPECT_TRUE(taken.has_value() && *taken == wire.size() && reader.has_chunk());
    return reader.take();
  }
  Status respond(RequestId id, size_t size) {
    return server_->respond_chunk(id, {{1, 2, 3, 4}}, random_bytes(rng_, size), now());
  }
  void pass(Duration time) {
    time_ = time_ + time;
    server_->on_time(now());
  }
  Now now() const { return at(time_); }

  Rng rng_{1};
  Duration time_ = seconds(0);
  std::optional<Server> server_{ServerLimits{}};
  std::vector<ServerEvent> last_;
};

TEST_F(ReqRespServer, ARequestIsDeliveredWithItsBodyAtThePeersClose) {
  const auto id = server_->on_stream(kPeer, Protocol::blocks_by_range_v2, now());
  const Buffer body = range_request(5, 64);
  const SharedBytes wire = encode_request(info(Protocol::blocks_by_range_v2), body);
  for (size_t i = 0; i < wire.size(); ++i) {
    server_->on_data(*id, wire.bytes().subspan(i, 1), now());
    EXPECT_FALSE(server_->has_events());
  }
  server_->on_remote_close(*id, now());
  EXPECT_EQ(kinds(), "request");
  EXPECT_EQ(last_[0].request, *id);
  EXPECT_EQ(last_[0].peer, kPeer);
  EXPECT_EQ(last_[0].allowed, 64u);
  EXPECT_TRUE(equal(last_[0].body, body));
}

TEST_F(ReqRespServer, AnswersChunkByChunkAndCloses) {
  const RequestId id = ask(Protocol::status_v1);
  EXPECT_EQ(kinds(), "request");
  ASSERT_TRUE(respond(id, 84).has_value());
  EXPECT_EQ(kinds(), "flush");
  const Chunk chunk = only_chunk(Protocol::status_v1, drain(id));
  EXPECT_EQ(chunk.payload.size(), 84u);
  ASSERT_TRUE(server_->respond_end(id, now()).has_value());
  EXPECT_EQ(kinds(), "finish close");
  EXPECT_EQ(server_->size(), 0u);
  EXPECT_EQ(server_->queued_bytes(), 0u);
  EXPECT_EQ(server_->next_deadline(), MonoTime::never());
}

TEST_F(ReqRespServer, MetadataDoesNotWaitForThePeersClose) {
  const auto id = server_->on_stream(kPeer, Protocol::metadata_v2, now());
  EXPECT_EQ(kinds(), "request");
  EXPECT_TRUE(last_[0].body.empty());
  ASSERT_TRUE(respond(*id, 17).has_value());
  ASSERT_TRUE(server_->respond_end(*id, now()).has_value());
  drain(*id);
  EXPECT_EQ(kinds(), "flush finish");
  server_->on_remote_close(*id, now());
  EXPECT_EQ(kinds(), "close");
}

TEST_F(ReqRespServer, MetadataWithABodyIsCharged) {
  const auto id = server_->on_stream(kPeer, Protocol::metadata_v1, now());
  server_->on_data(*id, Buffer{0}, now());
  EXPECT_EQ(kinds(), "request violation cancelled close(reset)");
  EXPECT_EQ(error().code, Code::trailing);
  EXPECT_EQ(respond(*id, 16).error().code, Code::not_found);
}

TEST_F(ReqRespServer, AnErrorEndsTheAnswer) {
  const RequestId id = ask(Protocol::blocks_by_range_v2, 10);
  ASSERT_TRUE(respond(id, 500).has_value());
  ASSERT_TRUE(server_->respond_error(id, ResultCode::resource_unavailable, "pruned", now()));
  EXPECT_EQ(respond(id, 500).error().code, Code::not_found);
  const Buffer wire = drain(id);
  EXPECT_EQ(kinds(), "request flush finish close");
  ChunkReader reader(info(Protocol::blocks_by_range_v2));
  const size_t first = *reader.read(wire);
  EXPECT_EQ(reader.take().result, 0);
  EXPECT_EQ(*reader.read(Bytes(wire).subspan(first)), wire.size() - first);
  const Chunk last = reader.take();
  EXPECT_EQ(last.result, 3);
  EXPECT_EQ(as_text(last.payload), "pruned");
}

// What an invalid request of `wire` (and the close, if told) is answered with, and charged as.
TEST_F(ReqRespServer, InvalidRequestsAreAnsweredAsSuchAndCharged) {
  Buffer trailing = to_buffer(encode_request(info(Protocol::ping_v1), Buffer(8)));
  trailing.push_back(0);
  Buffer checksum = to_buffer(encode_request(info(Protocol::ping_v1), Buffer(8)));
  checksum[1 + 10 + 4] ^= 1;
  Buffer short_length{7};
  append_snappy_frames(Buffer(7), short_length);
  const SharedBytes whole = encode_request(info(Protocol::ping_v1), Buffer(8));
  const struct {
    Buffer wire;
    Code code;
  } kCases[] = {
      {trailing, Code::trailing},
      {checksum, Code::bad_checksum},
      {Buffer{9}, Code::too_long},
      {Buffer(11, 0xff), Code::too_long},
      {short_length, Code::out_of_range},
      {Buffer{}, Code::truncated},
      {to_buffer(whole.bytes().first(whole.size() - 1)), Code::truncated},
      {Buffer{8, 'g', 'a', 'r', 'b', 'a', 'g', 'e', '!', '!', '!'}, Code::bad_encoding},
  };
  for (const auto& expected : kCases) {
    SCOPED_TRACE(name(expected.code));
    const auto id = server_->on_stream(kPeer, Protocol::ping_v1, now());
    server_->on_data(*id, expected.wire, now());
    const bool refused = server_->has_events();
    if (refused) server_->on_data(*id, expected.wire, now());  // more of it changes nothing
    server_->on_remote_close(*id, now());
    EXPECT_EQ(kinds(), "violation flush");
    EXPECT_EQ(error().code, expected.code);
    EXPECT_EQ(error().fault, Fault::peer);
    EXPECT_EQ(only_chunk(Protocol::ping_v1, drain(*id)).result, 1);
    EXPECT_EQ(kinds(), "finish close");
  }
  EXPECT_EQ(server_->size(), 0u);
}

TEST_F(ReqRespServer, GarbageNeverReachesTheApplication) {
  for_seeds(300, [this](Rng& rng) {
    const Protocol protocol = protocols()[rng.below(kProtocolCount)].protocol;
    const auto id = server_->on_stream(kPeer, protocol, now());
    ASSERT_TRUE(id.has_value());
    server_->on_data(*id, random_bytes(rng, 1 + rng.below(200)), now());
    server_->on_remote_close(*id, now());
    drain(*id);
    const std::string seen = kinds();
    EXPECT_NE(seen.find("violation"), seen.npos) << seen;
    EXPECT_EQ(server_->size(), 0u);
    pass(seconds(1));
  });
}

TEST_F(ReqRespServer, ASlowRequestIsResetAfter15Seconds) {
  const auto id = server_->on_stream(kPeer, Protocol::status_v1, now());
  const SharedBytes wire = encode_request(info(Protocol::status_v1), Buffer(84));
  for (size_t i = 0; i < 14; ++i) {
    pass(seconds(1));
    server_->on_data(*id, wire.bytes().subspan(i, 1), now());
  }
  EXPECT_EQ(server_->next_deadline(), at(seconds(15)).mono);
  pass(seconds(1));
  EXPECT_EQ(kinds(), "violation close(reset)");
  EXPECT_EQ(error().code, Code::timed_out);
  EXPECT_EQ(server_->stats().timeouts_read, 1u);
}

TEST_F(ReqRespServer, APeerThatTakesNothingIsReset) {
  const RequestId id = ask(Protocol::blocks_by_range_v2, 10);
  ASSERT_TRUE(respond(id, 500).has_value());
  pass(seconds(14));
  server_->output_sent(id, 10, now());
  pass(seconds(14));
  EXPECT_EQ(kinds(), "request flush");
  pass(seconds(1));
  EXPECT_EQ(kinds(), "cancelled close(reset)");
  EXPECT_EQ(error().code, Code::timed_out);
  EXPECT_EQ(server_->stats().timeouts_write, 1u);
  EXPECT_EQ(server_->queued_bytes(), 0u);
}

TEST_F(ReqRespServer, AnApplicationThatForgetsIsAnsweredFor) {
  const RequestId id = ask(Protocol::blocks_by_range_v2, 10);
  EXPECT_EQ(kinds(), "request");
  pass(seconds(30));
  EXPECT_EQ(kinds(), "cancelled flush");
  EXPECT_EQ(error().fault, Fault::local);
  EXPECT_EQ(only_chunk(Protocol::blocks_by_range_v2, drain(id)).result, 2);
  EXPECT_EQ(kinds(), "finish close");
}

TEST_F(ReqRespServer, APeerThatNeverClosesIsResetInTheEnd) {
  const auto id = server_->on_stream(kPeer, Protocol::metadata_v1, now());
  ASSERT_TRUE(respond(*id, 16).has_value());
  ASSERT_TRUE(server_->respond_end(*id, now()).has_value());
  drain(*id);
  kinds();
  pass(seconds(5));
  EXPECT_EQ(kinds(), "close(reset)");
}

TEST_F(ReqRespServer, AFullQueueSaysFullThenWritable) {
  ServerLimits limits;
  limits.queued_bytes = 20'000;
  limit(limits);
  const RequestId id = ask(Protocol::blocks_by_range_v2, 1000);
  int taken = 0;
  Status status;
  while ((status = respond(id, 3000)).has_value()) ++taken;
  EXPECT_EQ(status.error().code, Code::full);
  EXPECT_EQ(status.error().fault, Fault::local);
  EXPECT_EQ(taken, 6);
  EXPECT_EQ(server_->stats().full_stream, 1u);
  kinds();
  // Room is offered once, when half of it is free.
  server_->output_sent(id, server_->output(id).size(), now());
  EXPECT_EQ(kinds(), "");
  drain(id);
  EXPECT_EQ(kinds(), "writable");
  EXPECT_TRUE(respond(id, 3000).has_value());
}

TEST_F(ReqRespServer, AChunkOverTheQueuesLimitIsTakenWhenNothingWaits) {
  ServerLimits limits;
  limits.queued_bytes = 1000;
  limit(limits);
  const RequestId id = ask(Protocol::blocks_by_range_v2, 1000);
  EXPECT_TRUE(respond(id, 50'000).has_value());
  EXPECT_EQ(respond(id, 500).error().code, Code::full);
  drain(id);
  EXPECT_TRUE(respond(id, 50'000).has_value());
}

TEST_F(ReqRespServer, TheCommonQueueIsBoundedAndIsOfferedToAll) {
  ServerLimits limits;
  limits.queued_bytes_total = 100'000;
  limit(limits);
  std::vector<RequestId> ids;
  for (PeerHandle peer = 1; peer <= 3; ++peer) {
    ids.push_back(ask(Protocol::blocks_by_range_v2, 100, peer));
  }
  ASSERT_TRUE(respond(ids[0], 90'000).has_value());
  EXPECT_EQ(respond(ids[1], 20'000).error().code, Code::full);
  EXPECT_EQ(respond(ids[2], 20'000).error().code, Code::full);
  EXPECT_EQ(server_->stats().full_total, 2u);
  kinds();
  server_->on_peer_gone(1, now());
  EXPECT_EQ(kinds(), "cancelled close(reset) writable writable");
  EXPECT_TRUE(respond(ids[1], 20'000).has_value());
}

TEST_F(ReqRespServer, WhatAnAnswerCannotHoldIsRefused) {
  const RequestId id = ask(Protocol::blocks_by_range_v1, 2);
  EXPECT_EQ(respond(id, 403).error().code, Code::invalid_argument);
  EXPECT_EQ(respond(id, 157'757).error().code, Code::invalid_argument);
  EXPECT_TRUE(respond(id, 404).has_value());
  EXPECT_TRUE(respond(id, 404).has_value());
  EXPECT_EQ(respond(id, 404).error().code, Code::invalid_argument);
  EXPECT_EQ(server_->respond_end({99, 99}, now()).error().code, Code::not_found);
}

TEST_F(ReqRespServer, TwoRequestsOfAPeerAndProtocolAreWorkedOnAtOnce) {
  std::vector<RequestId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(ask(Protocol::blocks_by_range_v2, 10));
  EXPECT_EQ(kinds(), "request request");
  EXPECT_EQ(server_->stats().waited_concurrency, 2u);
  ask(Protocol::ping_v1);
  EXPECT_EQ(kinds(), "request");
  ASSERT_TRUE(server_->respond_end(ids[1], now()).has_value());
  EXPECT_EQ(kinds(), "finish close request");
  EXPECT_EQ(last_[2].request, ids[2]);
  server_->on_stream_failed(ids[0], network_error(Code::reset, "stream").error(), now());
  EXPECT_EQ(kinds(), "cancelled close(reset) request");
  EXPECT_EQ(last_[2].request, ids[3]);
}

TEST_F(ReqRespServer, StreamsAreBoundedPerPeerAndInAll) {
  ServerLimits limits;
  limits.streams = 5;
  limits.streams_per_peer = 3;
  limits.peers = 3;
  limit(limits);
  const auto open = [this](PeerHandle peer) {
    return server_->on_stream(peer, Protocol::ping_v1, now());
  };
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(open(1));
  EXPECT_EQ(open(1).error().code, Code::full);
  EXPECT_EQ(server_->stats().refused_peer_streams, 1u);
  EXPECT_TRUE(open(2));
  EXPECT_TRUE(open(3));
  EXPECT_EQ(open(2).error().code, Code::full);
  EXPECT_EQ(server_->stats().refused_streams, 1u);
  server_->on_peer_gone(1, now());
  EXPECT_TRUE(open(4));
  EXPECT_EQ(open(5).error().code, Code::full);
  EXPECT_EQ(server_->stats().refused_peers, 1u);
}

TEST_F(ReqRespServer, AGreedyPeerIsSlowedDownAndGetsNoError) {
  ServerLimits limits;
  limits.peer_rate = {.per_second = 100'000, .burst = 200'000};
  limit(limits);
  const RequestId id = ask(Protocol::blocks_by_range_v2, 1000);
  kinds();
  size_t written = 0;
  const auto serve = [&] {
    while (true) {
      while (respond(id, 10'000).has_value()) {
      }
      const size_t size = drain(id).size();
      if (size == 0) return;
      written += size;
    }
  };
  serve();
  EXPECT_NEAR(static_cast<double>(written), 200'000, 70'000);  // the burst, less the request's cost
  while (time_ < seconds(20)) {
    const MonoTime next = server_->next_deadline();
    ASSERT_LT(next, MonoTime::never());
    time_ = next - at(seconds(0)).mono;
    server_->on_time(now());
    serve();
  }
  EXPECT_NEAR(static_cast<double>(written), 100'000 * 20 + 200'000, 100'000);
  EXPECT_EQ(server_->stats().errors_sent, 0u);
  EXPECT_GT(server_->stats().waited_peer_rate, 10u);
  // Somebody else is served at once.
  const RequestId other = ask(Protocol::ping_v1, 1, kPeer + 1);
  ASSERT_TRUE(respond(other, 8).has_value());
  EXPECT_FALSE(drain(other).empty());
}

TEST_F(ReqRespServer, AFloodOfSmallRequestsIsDeliveredAtTheRateOfItsCost) {
  ServerLimits limits;
  limits.request_cost = 1000;
  limits.peer_rate = {.per_second = 10'000, .burst = 10'000};
  limit(limits);
  // As many pings as the peer manages in 10 seconds, each answered at once.
  uint64_t answered = 0;
  for (int i = 0; i < 1000; ++i) {
    pass(milliseconds(10));
    if (server_->size() < 8) ask(Protocol::ping_v1);
    kinds();
    for (const ServerEvent& event : std::exchange(last_, {})) {
      if (event.kind == Kind::flush) drain(event.request);
      if (event.kind != Kind::request) continue;
      ASSERT_TRUE(respond(event.request, 8).has_value());
      ASSERT_TRUE(server_->respond_end(event.request, now()).has_value());
      ++answered;
    }
  }
  // 10 of the burst and 10 a second.
  EXPECT_LE(answered, 115u);
  EXPECT_GE(answered, 100u);
}

TEST_F(ReqRespServer, APeerThatGoesFreesEverythingOfIt) {
  const RequestId id = ask(Protocol::blocks_by_range_v2, 10);
  ASSERT_TRUE(respond(id, 5000).has_value());
  for (int i = 0; i < 3; ++i) ask(Protocol::blocks_by_range_v2, 10);
  ASSERT_TRUE(server_->on_stream(kPeer, Protocol::ping_v1, now()));
  kinds();
  server_->on_peer_gone(kPeer, now());
  kinds();
  int closed = 0;
  for (const ServerEvent& event : last_) {
    EXPECT_NE(event.kind, Kind::request);
    closed += event.kind == Kind::close_stream;
  }
  EXPECT_EQ(closed, 5);
  EXPECT_EQ(server_->size(), 0u);
  EXPECT_EQ(server_->peers(), 0u);
  EXPECT_EQ(server_->queued_bytes(), 0u);
  EXPECT_EQ(server_->next_deadline(), MonoTime::never());
  EXPECT_EQ(respond(id, 5000).error().code, Code::not_found);
}

}  // namespace
}  // namespace beamline::reqresp
