// Client against server through streams that cut, delay and hold back bytes at random.
#include <deque>

#include "reqresp/client.h"
#include "reqresp/server.h"
#include "tests/reqresp/bytes.h"

namespace beamline::reqresp {
namespace {

constexpr PeerHandle kServerPeer = 1;  // what the client calls the server
constexpr PeerHandle kClientPeer = 2;
constexpr ForkDigest kDigest{{9, 8, 7, 6}};

ClientLimits without_quotas() {
  ClientLimits limits;
  limits.quotas = false;
  return limits;
}

struct Stream {
  RequestId client;
  RequestId server;
  std::deque<uint8_t> to_server;
  std::deque<uint8_t> to_client;
  size_t window = 0;
  bool client_finished = false;  // wrote all, closed its side
  bool server_finished = false;
  bool server_told = false;  // of the client's close
  bool client_told = false;
  bool client_gone = false;
  bool server_gone = false;
};

// What one request came to.
struct Outcome {
  std::vector<Buffer> chunks;
  std::vector<ForkDigest> contexts;
  int ends = 0;
  int errors = 0;
  uint8_t remote_code = 0;
  Error error;
};

class Exchange {
 public:
  Exchange(Rng& rng, const ClientLimits& client, const ServerLimits& server)
      : rng_(rng), client_(client), server_(server) {}

  Client& client() { return client_; }
  Server& server() { return server_; }
  Now now() const { return at(time_); }
  std::map<RequestId, Outcome>& outcomes() { return outcomes_; }
  size_t streams() const { return streams_.size(); }

  // Called with each request that the server delivers, and when there is room again.
  std::function<void(const ServerEvent&)> serve;

  // Until nothing moves any more, deadlines within `limit` included.
  void run(Duration limit) {
    const MonoTime end = at(time_ + limit).mono;
    while (true) {
      while (step()) {
      }
      const MonoTime next = std::min(client_.next_deadline(), server_.next_deadline());
      if (next > end) return;
      time_ = std::max(time_, next - at(seconds(0)).mono);
      client_.on_time(now());
      server_.on_time(now());
    }
  }

 private:
  bool step() {
    bool moved = client_events();
    moved |= server_events();
    for (Stream& stream : streams_) moved |= move(stream);
    std::erase_if(streams_, [](const Stream& s) { return s.client_gone && s.server_gone; });
    return moved;
  }

  Stream* by_client(RequestId id) {
    const auto found = std::ranges::find(streams_, id, &Stream::client);
    return found == streams_.end() ? nullptr : &*found;
  }
  Stream* by_server(RequestId id) {
    const auto found = std::ranges::find_if(
        streams_, [id](const Stream& s) { return s.server == id && !s.server_gone; });
    return found == streams_.end() ? nullptr : &*found;
  }

  bool client_events() {
    bool any = false;
    const Error reset = network_error(Code::reset, "stream").error();
    while (auto event = client_.poll_event()) {
      any = true;
      Outcome& outcome = outcomes_[event->request];
      switch (event->kind) {
        case ClientEvent::Kind::open_stream:
          open(*event);
          break;
        case ClientEvent::Kind::chunk:
          EXPECT_EQ(event->index, outcome.chunks.size());
          EXPECT_EQ(outcome.ends + outcome.errors, 0);
          outcome.chunks.push_back(to_buffer(event->payload));
          outcome.contexts.push_back(event->context);
          break;
        case ClientEvent::Kind::end:
          ++outcome.ends;
          break;
        case ClientEvent::Kind::error:
          ++outcome.errors;
          outcome.remote_code = event->remote_code;
          outcome.error = event->error;
          break;
        case ClientEvent::Kind::violation:
          ADD_FAILURE() << to_string(event->error);
          break;
        case ClientEvent::Kind::close_stream: {
          Stream* stream = by_client(event->request);
          EXPECT_NE(stream, nullptr);
          if (stream == nullptr) break;
          stream->client_gone = true;
          if (event->reset && !stream->server_gone) {
            server_.on_stream_failed(stream->server, reset, now());
          }
          break;
        }
      }
    }
    return any;
  }

  void open(const ClientEvent& event) {
    const auto id = server_.on_stream(kClientPeer, event.protocol, now());
    if (!id) {
      Stream refused;
      refused.client = event.request;
      refused.server_gone = true;
      streams_.push_back(refused);
      client_.on_stream_failed(event.request, network_error(Code::reset, "stream").error(), now());
      return;
    }
    Stream stream;
    stream.client = event.request;
    stream.server = *id;
    stream.window = 1 + rng_.below(100'000);
    streams_.push_back(std::move(stream));
  }

  bool server_events() {
    bool any = false;
    while (auto event = server_.poll_event()) {
      any = true;
      Stream* stream = by_server(event->request);
      switch (event->kind) {
        case ServerEvent::Kind::request:
        case ServerEvent::Kind::writable:
          serve(*event);
          break;
        case ServerEvent::Kind::finish:
          if (stream != nullptr) stream->server_finished = true;
          break;
        case ServerEvent::Kind::close_stream:
          if (stream == nullptr) break;
          stream->server_gone = true;
          if (event->reset && !stream->client_gone) {
            client_.on_stream_failed(stream->client, network_error(Code::reset, "stream").error(),
                                     now());
          }
          break;
        case ServerEvent::Kind::violation:
          ADD_FAILURE() << to_string(event->error);
          break;
        case ServerEvent::Kind::cancelled:
        case ServerEvent::Kind::flush:
          break;
      }
    }
    return any;
  }

  size_t some(size_t most) { return most == 0 ? 0 : 1 + rng_.below(most); }

  bool move(Stream& stream) {
    bool moved = false;
    // Client to server.
    if (!stream.client_gone && !stream.client_finished) {
      const Bytes out = client_.output(stream.client);
      const size_t size = some(std::min<size_t>(out.size(), 300));
      for (const uint8_t byte : out.first(size)) stream.to_server.push_back(byte);
      client_.output_sent(stream.client, size);
      stream.client_finished = size == out.size();
      moved = true;
    }
    if (!stream.server_gone && !stream.to_server.empty()) {
      server_.on_data(stream.server, take(stream.to_server, 300), now());
      moved = true;
    }
    if (stream.client_finished && stream.to_server.empty() && !stream.server_told &&
        !stream.server_gone) {
      stream.server_told = true;
      server_.on_remote_close(stream.server, now());
      moved = true;
    }
    // Server to client.
    if (!stream.server_gone) {
      const Bytes out = server_.output(stream.server);
      const size_t room = stream.window - std::min(stream.window, stream.to_client.size());
      const size_t size = some(std::min(out.size(), room));
      for (const uint8_t byte : out.first(size)) stream.to_client.push_back(byte);
      server_.output_sent(stream.server, size, now());
      moved |= size > 0;
    }
    if (!stream.client_gone && !stream.to_client.empty() && !client_.stalled(stream.client)) {
      const Buffer piece = peek(stream.to_client, 20'000);
      const size_t taken = client_.on_data(stream.client, piece, now());
      stream.to_client.erase(stream.to_client.begin(),
                             stream.to_client.begin() + static_cast<ptrdiff_t>(taken));
      moved |= taken > 0;
    }
    if (stream.server_finished && stream.to_client.empty() && !stream.client_told &&
        !stream.client_gone) {
      stream.client_told = true;
      client_.on_remote_close(stream.client, now());
      moved = true;
    }
    return moved;
  }

  Buffer peek(const std::deque<uint8_t>& from, size_t most) {
    const auto size = static_cast<ptrdiff_t>(some(std::min(from.size(), most)));
    return {from.begin(), from.begin() + size};
  }
  Buffer take(std::deque<uint8_t>& from, size_t most) {
    Buffer piece = peek(from, most);
    from.erase(from.begin(), from.begin() + static_cast<ptrdiff_t>(piece.size()));
    return piece;
  }

  Rng& rng_;
  Duration time_ = seconds(0);
  Client client_;
  Server server_;
  std::deque<Stream> streams_;
  std::map<RequestId, Outcome> outcomes_;
};

// Serves what the test expects: `answers[body]`, chunk by chunk, as the queue has room.
class Application {
 public:
  explicit Application(Exchange& exchange) : exchange_(exchange) {
    exchange.serve = [this](const ServerEvent& event) { serve(event); };
  }

  using Key = std::pair<Protocol, Buffer>;
  std::map<Key, std::vector<Buffer>> answers;
  uint64_t fulls = 0;

 private:
  void serve(const ServerEvent& event) {
    if (event.kind == ServerEvent::Kind::request) {
      open_[event.request] = {{event.protocol, to_buffer(event.body)}, 0};
    }
    auto& [key, next] = open_.at(event.request);
    const std::vector<Buffer>& answer = answers.at(key);
    while (next < answer.size()) {
      const Status status =
          exchange_.server().respond_chunk(event.request, kDigest, answer[next], exchange_.now());
      if (!status) {
        EXPECT_EQ(status.error().code, Code::full);
        ++fulls;
        return;
      }
      ++next;
    }
    EXPECT_TRUE(exchange_.server().respond_end(event.request, exchange_.now()).has_value());
  }

  Exchange& exchange_;
  std::map<RequestId, std::pair<Key, size_t>> open_;
};

TEST(ReqRespExchange, EveryChunkOfEveryRequestArrivesOnceInOrder) {
  for_seeds(25, [](Rng& rng) {
    ServerLimits server;
    server.queued_bytes = 60'000;
    Exchange exchange(rng, without_quotas(), server);
    Application application(exchange);
    std::map<RequestId, Application::Key> requests;
    for (int i = 0; i < 12; ++i) {
      const Protocol protocol = protocols()[rng.below(kProtocolCount)].protocol;
      const ProtocolInfo& row = info(protocol);
      const uint64_t count = 1 + rng.below(40);
      const Buffer body = valid_request(protocol, rng, count);
      const auto id = exchange.client().request(kServerPeer, protocol, body, exchange.now());
      ASSERT_TRUE(id.has_value());
      const Application::Key key{protocol, body};
      requests[*id] = key;
      if (application.answers.contains(key)) continue;
      const uint64_t chunks = row.max_chunks == 1 ? 1 : rng.below(count + 1);
      for (uint64_t k = 0; k < chunks; ++k) {
        const size_t spread = std::min<size_t>(row.chunk_max - row.chunk_min, 40'000);
        application.answers[key].push_back(
            block_like(rng, row.chunk_min + (spread == 0 ? 0 : rng.below(spread))));
      }
      if (chunks == 0) application.answers[key] = {};
    }
    exchange.run(seconds(0));
    for (const auto& [id, key] : requests) {
      const Outcome& outcome = exchange.outcomes().at(id);
      EXPECT_EQ(outcome.errors, 0) << to_string(outcome.error);
      EXPECT_EQ(outcome.ends, 1);
      EXPECT_EQ(outcome.chunks, application.answers.at(key));
    }
    EXPECT_EQ(exchange.client().size(), 0u);
    EXPECT_EQ(exchange.server().size(), 0u);
    EXPECT_EQ(exchange.streams(), 0u);
    EXPECT_EQ(exchange.server().queued_bytes(), 0u);
  });
}

TEST(ReqRespExchange, AThousandBlocksPassASlowBucketAndASmallQueue) {
  Rng rng(1);
  ServerLimits server;
  server.queued_bytes = 50'000;
  server.peer_rate = {.per_second = 2'000'000, .burst = 500'000};
  Exchange exchange(rng, without_quotas(), server);
  Application application(exchange);
  const Buffer body = range_request(0, 1024);
  const Application::Key key{Protocol::blocks_by_range_v2, body};
  for (int i = 0; i < 1024; ++i) application.answers[key].push_back(block_like(rng, 10'000));
  const auto id =
      exchange.client().request(kServerPeer, Protocol::blocks_by_range_v2, body, exchange.now());
  exchange.run(seconds(60));
  const Outcome& outcome = exchange.outcomes().at(*id);
  EXPECT_EQ(outcome.ends, 1) << to_string(outcome.error);
  EXPECT_EQ(outcome.chunks, application.answers.at(key));
  EXPECT_EQ(outcome.contexts.front(), kDigest);
  EXPECT_GT(application.fulls, 10u);
  EXPECT_GT(exchange.server().stats().waited_peer_rate, 10u);
}

TEST(ReqRespExchange, APausedClientHoldsTheServerBackWithinItsQueue) {
  Rng rng(2);
  ServerLimits server;
  server.queued_bytes = 30'000;
  server.write = seconds(3600);
  Exchange exchange(rng, without_quotas(), server);
  Application application(exchange);
  const Buffer body = range_request(0, 500);
  const Application::Key key{Protocol::blocks_by_range_v1, body};
  for (int i = 0; i < 500; ++i) application.answers[key].push_back(random_bytes(rng, 5000));
  const auto id =
      exchange.client().request(kServerPeer, Protocol::blocks_by_range_v1, body, exchange.now());
  exchange.client().pause(*id, exchange.now());
  exchange.run(seconds(600));
  EXPECT_TRUE(exchange.outcomes()[*id].chunks.empty());
  EXPECT_EQ(exchange.outcomes()[*id].errors, 0);
  EXPECT_LE(exchange.server().queued_bytes(), 30'000u);
  EXPECT_LE(exchange.server().stats().chunks, 40u);
  exchange.client().resume(*id, exchange.now());
  exchange.run(seconds(60));
  EXPECT_EQ(exchange.outcomes()[*id].chunks, application.answers.at(key));
  EXPECT_EQ(exchange.outcomes()[*id].ends, 1);
}

TEST(ReqRespExchange, AnErrorOfTheServerReachesTheApplicationOfTheClient) {
  Rng rng(3);
  Exchange exchange(rng, without_quotas(), {});
  exchange.serve = [&](const ServerEvent& event) {
    EXPECT_TRUE(exchange.server()
                    .respond_error(event.request, ResultCode::resource_unavailable, "pruned",
                                   exchange.now())
                    .has_value());
  };
  const auto id = exchange.client().request(kServerPeer, Protocol::blocks_by_range_v2,
                                            range_request(1, 5), exchange.now());
  exchange.run(seconds(0));
  const Outcome& outcome = exchange.outcomes().at(*id);
  EXPECT_EQ(outcome.errors, 1);
  EXPECT_EQ(outcome.ends, 0);
  EXPECT_EQ(outcome.remote_code, 3);
  EXPECT_EQ(exchange.streams(), 0u);
}

TEST(ReqRespExchange, ARunReplaysFromItsSeed) {
  const auto run = [](uint64_t seed) {
    Rng rng(seed);
    Exchange exchange(rng, without_quotas(), {});
    Application application(exchange);
    const Buffer body = range_request(0, 30);
    const Application::Key key{Protocol::blocks_by_range_v2, body};
    for (int i = 0; i < 30; ++i) application.answers[key].push_back(block_like(rng, 3000));
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(exchange.client().request(kServerPeer, Protocol::blocks_by_range_v2, body,
                                            exchange.now()));
    }
    exchange.run(seconds(0));
    return std::pair(rng.next(), exchange.client().stats().payload_bytes);
  };
  EXPECT_EQ(run(11), run(11));
  EXPECT_NE(run(11).first, run(12).first);
}

}  // namespace
}  // namespace beamline::reqresp
