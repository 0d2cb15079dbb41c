// Streams whose users do anything at any time: write, stop reading, shut down, close, both sides at
// once, while connections are reset and completions come late.
#include <memory>

#include <gtest/gtest.h>

#include "loop/sim/reactor.h"
#include "loop/tcp.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

constexpr uint16_t kPort = 9000;

// Does something at random whenever it is called.
class Restless final : public StreamHandler {
 public:
  explicit Restless(Rng rng) : rng_(std::move(rng)) {}
  void start(TcpStream& on) {
    stream = &on;
    act();
  }
  void on_connected(TcpStream&) override { act(); }
  void on_data(TcpStream&, Lease lease) override {
    EXPECT_FALSE(lease.empty());
    EXPECT_FALSE(closed_by_us_);  // nothing is delivered after close()
    EXPECT_FALSE(ended_);
    act();
    act();
  }
  void on_end(TcpStream&) override {
    EXPECT_FALSE(ended_);
    ended_ = true;
    act();
  }
  void on_writable(TcpStream&) override { act(); }
  void on_closed(TcpStream&, const Error&) override {
    EXPECT_NE(stream, nullptr);
    stream = nullptr;
  }
  void act() {
    if (stream == nullptr) return;
    switch (rng_.below(14)) {
      case 0:
        stream->shutdown_write();
        break;
      case 1:
        stream->close_after_flush();
        closed_by_us_ = true;
        break;
      case 2:
        if (rng_.chance(1, 2)) break;
        stream->close();
        closed_by_us_ = true;
        break;
      case 3:
        stream->pause();
        break;
      case 4:
      case 5:
        stream->resume();
        break;
      case 6:
        stream->write(SharedBytes::copy(as_bytes("shared")));
        break;
      case 7: {
        const MutableBytes space = stream->write_space(10);
        if (!space.empty()) stream->commit(rng_.below(11));
        break;
      }
      default: {
        std::vector<uint8_t> bytes(rng_.below(400));
        stream->write(Bytes(bytes));
      }
    }
  }
  TcpStream* stream = nullptr;  // until it is closed

 private:
  Rng rng_;
  bool closed_by_us_ = false;
  bool ended_ = false;
};

class RestlessListener final : public ListenerHandler {
 public:
  explicit RestlessListener(Rng rng) : rng_(std::move(rng)) {}
  StreamHandler* on_accept(TcpStream& stream) override {
    if (rng_.chance(1, 10)) return nullptr;
    handlers.push_back(std::make_unique<Restless>(rng_.fork()));
    handlers.back()->stream = &stream;
    return handlers.back().get();
  }
  std::vector<std::unique_ptr<Restless>> handlers;

 private:
  Rng rng_;
};

TcpOptions small() {
  TcpOptions options;
  options.max_streams = 8;
  options.buffer_count = 4;
  options.buffer_size = 64;
  options.write_chunks = 16;
  options.write_chunk_size = 128;
  options.write_nodes = 24;
  options.send_batches = 2;
  options.stream_queue_bytes = 512;
  options.flush_timeout = seconds(2);
  return options;
}

struct Churn {
  Churn(uint64_t seed, const Options& options)
      : world(seed, traced(options)),
        rng(world.fork_rng()),
        listening(world.fork_rng()),
        server(world, world.add_host(0x0a000001), reactor_options(rng)),
        client(world, world.add_host(0x0a000002), reactor_options(rng)),
        server_tcp(*Tcp::create(*server, small())),
        client_tcp(*Tcp::create(*client, small())) {
    EXPECT_TRUE(server_tcp->listen(server.endpoint(kPort), listening).has_value());
  }
  // A turn may see few completions, so that their order over turns varies.
  static ReactorOptions reactor_options(Rng& rng) {
    ReactorOptions options;
    options.events = static_cast<uint32_t>(rng.between(1, 8));
    return options;
  }
  void connect_one() {
    auto handler = std::make_unique<Restless>(rng.fork());
    const Result<TcpStream*> stream =
        client_tcp->connect(server.endpoint(kPort), *handler, seconds(3));
    if (!stream) {
      EXPECT_EQ(stream.error().code, Code::full);
      return;
    }
    handler->start(**stream);
    handlers.push_back(std::move(handler));
    client.wake();
  }
  // Some act without being asked, between two turns.
  void nudge() {
    for (const auto* side : {&handlers, &listening.handlers}) {
      for (const auto& handler : *side) {
        if (rng.chance(1, 2)) handler->act();
      }
    }
    client.wake();
    server.wake();
  }
  void close_all() {
    for (const auto& handler : handlers) {
      if (handler->stream != nullptr) handler->stream->close();
    }
    for (const auto& handler : listening.handlers) {
      if (handler->stream != nullptr) handler->stream->close();
    }
    client.wake();
    server.wake();
  }

  World world;
  Rng rng;
  RestlessListener listening;
  std::vector<std::unique_ptr<Restless>> handlers;
  SimReactor server, client;
  std::unique_ptr<Tcp> server_tcp, client_tcp;
};

void churn_and_count(uint64_t seed) {
  Options options = Options::swarm(seed);
  options.reset *= 10;
  const Replay replay(seed, options);
  Churn churn(seed, options);
  for (int i = 0; i < 60; ++i) {
    churn.connect_one();
    churn.world.run_for(Duration{churn.rng.between(0, 20'000'000)});
    churn.nudge();
  }
  churn.world.calm();
  churn.world.run_for(seconds(10));
  // Connections may still be coming out of the listener's queue: close until there are none.
  for (int i = 0; i < 20; ++i) {
    churn.close_all();
    churn.world.run_for(seconds(1));
  }
  EXPECT_EQ(churn.client_tcp->streams(), 0u);
  EXPECT_EQ(churn.server_tcp->streams(), 0u);
  EXPECT_EQ(churn.client.backend().in_flight(), 0u);
  EXPECT_EQ(churn.client.backend().open_sockets(), 0u);
  EXPECT_EQ(churn.client_tcp->buffers().leased(), 0u);
  for (const auto& handler : churn.handlers) EXPECT_EQ(handler->stream, nullptr);
  // Every stream can be had again, and all of the send memory.
  churn.handlers.clear();
  std::vector<std::unique_ptr<Restless>> all;
  for (uint32_t i = 0; i < small().max_streams; ++i) {
    all.push_back(std::make_unique<Restless>(churn.rng.fork()));
    const auto stream =
        churn.client_tcp->connect(churn.server.endpoint(kPort), *all.back(), seconds(3));
    ASSERT_TRUE(stream.has_value()) << "stream " << i;
    all.back()->stream = *stream;
    const std::vector<uint8_t> quarter(small().write_chunk_size * 2);
    EXPECT_EQ((*stream)->write(Bytes(quarter)), WriteResult::ok) << "stream " << i;
  }
  churn.client->shutdown();
  churn.server->shutdown();
}

TEST(SimChurn, NoStreamBufferOrChunkIsLost) { for_each_seed(150, churn_and_count); }

// A stream was freed while it stood in the list of those to flush: seven were left of eight.
TEST(SimChurn, AStreamThatIsFreedWhileItWaitsToFlushIsNotLost) { churn_and_count(1659); }

// A receive that finds no buffer may say so after the last buffer has come back.
TEST(SimChurn, AReceiveWithoutABufferGoesOnThoughAllBuffersAreBack) {
  class Sink final : public StreamHandler, public ListenerHandler {
   public:
    StreamHandler* on_accept(TcpStream&) override { return this; }
    void on_data(TcpStream&, Lease lease) override { received += lease.size(); }
    void on_end(TcpStream& stream) override { stream.close(); }
    void on_closed(TcpStream&, const Error&) override {}
    size_t received = 0;
  };
  World world(1);
  ReactorOptions one_event;
  one_event.events = 1;  // each completion in a turn of its own
  SimReactor server(world, world.add_host(0x0a000001), one_event);
  SimReactor client(world, world.add_host(0x0a000002));
  TcpOptions two_buffers = small();
  two_buffers.buffer_count = 2;
  const std::unique_ptr<Tcp> server_tcp = *Tcp::create(*server, two_buffers);
  const std::unique_ptr<Tcp> client_tcp = *Tcp::create(*client);
  Sink sink, source;
  ASSERT_TRUE(server_tcp->listen(server.endpoint(kPort), sink).has_value());
  TcpStream* stream = *client_tcp->connect(server.endpoint(kPort), source, seconds(3));
  const std::vector<uint8_t> bytes(1000);
  EXPECT_EQ(stream->write(Bytes(bytes)), WriteResult::ok);
  EXPECT_TRUE(world.run_until([&] { return sink.received == 1000; }, seconds(10)));
  EXPECT_GE(server_tcp->stats().starved, 1u);
  client->shutdown();
  server->shutdown();
}

}  // namespace
}  // namespace beamline::sim
