// The reactor, listeners and streams that ship, on the simulated backend: an echo server and its
// clients, through every fault. The object files are those that run on the ring.
#include <memory>

#include <gtest/gtest.h>

#include "loop/sim/reactor.h"
#include "loop/tcp.h"
#include "tests/sim/replay.h"

namespace beamline::sim {
namespace {

constexpr uint16_t kPort = 9000;

std::vector<uint8_t> random_bytes(Rng& rng, size_t size) {
  std::vector<uint8_t> bytes(size);
  rng.fill(bytes);
  return bytes;
}

bool is_prefix(Bytes part, Bytes whole) {
  return part.size() <= whole.size() && equal(part, whole.first(part.size()));
}

// Sends back what one stream brings; stops reading while the stream takes no more.
class EchoSession final : public StreamHandler {
 public:
  void on_data(TcpStream& stream, Lease lease) override {
    const Bytes bytes = lease.bytes();
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    write_some(stream);
  }
  void on_end(TcpStream& stream) override {
    ended_ = true;
    write_some(stream);
  }
  void on_writable(TcpStream& stream) override { write_some(stream); }
  void on_closed(TcpStream&, const Error&) override { closed = true; }

  bool closed = false;

 private:
  void write_some(TcpStream& stream) {
    while (!pending_.empty()) {
      const size_t n = std::min<size_t>(pending_.size(), 100);
      if (stream.write(Bytes(pending_).first(n)) != WriteResult::ok) {
        stream.pause();
        return;
      }
      pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(n));
    }
    stream.resume();
    if (ended_) stream.close_after_flush();
  }

  std::vector<uint8_t> pending_;
  bool ended_ = false;
};

class EchoServer final : public ListenerHandler {
 public:
  StreamHandler* on_accept(TcpStream&) override {
    sessions.push_back(std::make_unique<EchoSession>());
    return sessions.back().get();
  }
  std::vector<std::unique_ptr<EchoSession>> sessions;
};

// Sends its bytes, then the end, and keeps what comes back.
class EchoClient final : public StreamHandler {
 public:
  explicit EchoClient(std::vector<uint8_t> bytes) : out(std::move(bytes)) {}
  void start(Tcp& tcp, const Endpoint& to, Duration deadline = seconds(300)) {
    const Result<TcpStream*> stream = tcp.connect(to, *this, deadline);
    ASSERT_TRUE(stream.has_value());
    write_some(**stream);
  }
  void on_data(TcpStream&, Lease lease) override {
    const Bytes bytes = lease.bytes();
    in.insert(in.end(), bytes.begin(), bytes.end());
  }
  void on_end(TcpStream& stream) override {
    ended = true;
    stream.close();
  }
  void on_writable(TcpStream& stream) override { write_some(stream); }
  void on_closed(TcpStream&, const Error& error) override { why = error; }
  bool whole() const { return ended && equal(in, out); }

  const std::vector<uint8_t> out;
  std::vector<uint8_t> in;
  std::optional<Error> why;
  bool ended = false;

 private:
  void write_some(TcpStream& stream) {
    while (written_ < out.size()) {
      const size_t n = std::min<size_t>(out.size() - written_, 777);
      if (stream.write(Bytes(out).subspan(written_, n)) != WriteResult::ok) return;
      written_ += n;
    }
    stream.shutdown_write();
  }
  size_t written_ = 0;
};

// Small enough that buffers, chunks and queues run out.
TcpOptions tight() {
  TcpOptions options;
  options.max_streams = 16;
  options.buffer_count = 2;
  options.buffer_size = 256;
  options.write_chunks = 8;
  options.write_chunk_size = 1024;
  options.write_nodes = 8;
  options.send_batches = 2;
  options.stream_queue_bytes = 2048;
  options.flush_timeout = seconds(600);
  return options;
}

struct EchoWorld {
  EchoWorld(uint64_t seed, const Options& options, const TcpOptions& tcp_options = tight())
      : world(seed, traced(options)),
        rng(world.fork_rng()),
        server_host(world, world.add_host(0x0a000001)),
        client_host(world, world.add_host(0x0a000002)),
        server_tcp(*Tcp::create(*server_host, tcp_options)),
        client_tcp(*Tcp::create(*client_host, tcp_options)) {
    EXPECT_TRUE(server_tcp->listen(server_host.endpoint(kPort), server).has_value());
  }
  void start_clients(size_t count, size_t size) {
    for (size_t i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<EchoClient>(random_bytes(rng, size)));
      clients.back()->start(*client_tcp, server_host.endpoint(kPort));
    }
    client_host.wake();
  }
  bool all_closed() const {
    return std::ranges::all_of(clients, [](const auto& c) { return c->why.has_value(); }) &&
           std::ranges::all_of(server.sessions, [](const auto& s) { return s->closed; });
  }
  // What must hold at the end of every run.
  void shutdown() {
    for (SimReactor* reactor : {&client_host, &server_host}) {
      (*reactor)->shutdown();
      EXPECT_EQ(reactor->backend().in_flight(), 0u);
      EXPECT_EQ(reactor->backend().open_sockets(), 0u);
    }
    EXPECT_EQ(server_tcp->buffers().leased() + client_tcp->buffers().leased(), 0u);
    EXPECT_EQ(server_tcp->streams() + client_tcp->streams(), 0u);
    EXPECT_TRUE(all_closed());
    // The port is free at once.
    const Result<Socket> again = server_host.backend().listen_tcp(server_host.endpoint(kPort), 1);
    ASSERT_TRUE(again.has_value());
    server_host.backend().close(*again);
  }

  EchoServer server;
  std::vector<std::unique_ptr<EchoClient>> clients;
  World world;
  Rng rng;
  SimReactor server_host, client_host;
  std::unique_ptr<Tcp> server_tcp, client_tcp;
};

TEST(SimEcho, ServerAndClientThroughTheReactor) {
  EchoWorld echo(1, {}, {});
  echo.start_clients(4, 300'000);
  ASSERT_TRUE(echo.world.run_until([&] { return echo.all_closed(); }, seconds(60)));
  for (const auto& client : echo.clients) EXPECT_TRUE(client->whole());
  EXPECT_EQ(echo.server.sessions.size(), 4u);
  echo.shutdown();
}

// Faults that lose no connection: every byte comes back.
void expect_whole(const std::function<Options(uint64_t)>& options_of, uint64_t seeds) {
  for_each_seed(seeds, [&](uint64_t seed) {
    const Options options = options_of(seed);
    const Replay replay(seed, options);
    EchoWorld echo(seed, options);
    echo.start_clients(5, 10'000);
    EXPECT_TRUE(echo.world.run_until([&] { return echo.all_closed(); }, seconds(600)));
    for (const auto& client : echo.clients) {
      EXPECT_TRUE(client->whole()) << (client->why ? to_string(*client->why) : "not closed") << ", "
                                   << client->in.size() << " bytes came back";
    }
    echo.shutdown();
  });
}

TEST(SimEcho, TightBuffersLoseNothing) {
  expect_whole([](uint64_t) { return Options{}; }, 20);
}

TEST(SimEcho, ShortReadsAndWritesLoseNothing) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.short_read = options.short_write = 700'000;
        options.send_buffer = 2000;
        return options;
      },
      20);
}

TEST(SimEcho, LateCompletionsAndTurnsLoseNothing) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.completion_delay = options.schedule_delay = options.wake_delay = milliseconds(1);
        options.spurious_turn = 100'000;
        return options;
      },
      20);
}

TEST(SimEcho, DroppedMultishotsAndPartialSubmissionsLoseNothing) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.drop_more = options.partial_submit = options.accept_error = 300'000;
        options.cq_capacity = 4;
        options.cancel_late = 500'000;
        return options;
      },
      20);
}

TEST(SimEcho, LossAndShortPartitionsLoseNothing) {
  expect_whole(
      [](uint64_t) {
        Options options;
        options.link.loss = 50'000;
        options.partition_gap = seconds(2);
        options.partition_length = seconds(4);
        options.segment = 700;
        return options;
      },
      20);
}

// Everything, resets included: what comes back is a prefix, nothing hangs once the world is calm,
// and the shutdown leaves nothing in flight.
TEST(SimEcho, Swarm) {
  for_each_seed(150, [](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    EchoWorld echo(seed, options);
    echo.start_clients(4, 5'000);
    echo.world.run_until([&] { return echo.all_closed(); }, seconds(20));
    echo.world.calm();
    for (const auto& client : echo.clients) EXPECT_TRUE(is_prefix(client->in, client->out));
    echo.start_clients(1, 5'000);
    EXPECT_TRUE(
        echo.world.run_until([&] { return echo.clients.back()->why.has_value(); }, seconds(600)));
    EXPECT_TRUE(echo.clients.back()->whole())
        << (echo.clients.back()->why ? to_string(*echo.clients.back()->why) : "not closed");
    echo.shutdown();
  });
}

// At whatever moment it comes.
TEST(SimEcho, AShutdownInTheMiddleEndsAtZeroInFlight) {
  for_each_seed(100, [](uint64_t seed) {
    Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    EchoWorld echo(seed, options);
    echo.start_clients(6, 20'000);
    echo.world.run_for(Duration{Rng(seed).between(0, 50'000'000)});
    echo.shutdown();
  });
}

TEST(SimEcho, TheSameSeedGivesTheSameHistory) {
  for_each_seed(10, [](uint64_t seed) {
    const Options options = Options::swarm(seed);
    const Replay replay(seed, options);
    std::array<uint64_t, 2> digests{};
    for (uint64_t& digest : digests) {
      EchoWorld echo(seed, options);
      echo.start_clients(3, 5'000);
      echo.world.run_for(seconds(5));
      echo.shutdown();
      digest = echo.world.digest();
    }
    EXPECT_EQ(digests[0], digests[1]);
  });
}

TEST(SimEcho, ADeadlineEndsAConnectToNobody) {
  EchoWorld echo(1, {});
  EchoClient lonely({1, 2, 3});
  const MonoTime start = echo.world.now();
  lonely.start(*echo.client_tcp, Endpoint::v4(0x0a0000ff, kPort), seconds(3));
  echo.client_host.wake();
  ASSERT_TRUE(echo.world.run_until([&] { return lonely.why.has_value(); }, seconds(10)));
  EXPECT_EQ(lonely.why->code, Code::timed_out);
  EXPECT_GE(echo.world.now() - start, seconds(3));
  EXPECT_LT(echo.world.now() - start, milliseconds(3010));
  echo.shutdown();
}

TEST(SimEcho, TimersFollowTheMonotonicClockWhateverTheWallClockDoes) {
  World world(1);
  SimReactor host(world, world.add_host(0x0a000001));
  struct Fired {
    Reactor* reactor;
    std::vector<Now> at;
  } fired{&*host, {}};
  Timer timer(
      [](Timer& t) {
        auto& self = *static_cast<Fired*>(t.owner);
        self.at.push_back(self.reactor->now());
      },
      &fired);
  const Now start = world.now(0);
  host->arm(timer, start.mono + seconds(10));
  host.wake();
  world.run_for(seconds(5));
  world.step_wall(0, seconds(-86'400));
  world.run_for(seconds(20));
  ASSERT_EQ(fired.at.size(), 1u);
  EXPECT_EQ(fired.at[0].mono - start.mono, seconds(10));
  EXPECT_EQ(fired.at[0].wall - start.wall, seconds(10 - 86'400));
  host->shutdown();
}

}  // namespace
}  // namespace beamline::sim
