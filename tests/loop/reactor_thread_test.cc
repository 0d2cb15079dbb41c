#include "loop/reactor_thread.h"

#include <dirent.h>

#include "base/rng.h"
#include "loop/inbox_port.h"
#include "loop/tcp.h"
#include "node/echo_pair.h"
#include "tests/loop/ring_fixture.h"
#include "tests/threads.h"

namespace beamline {
namespace {

Result<std::unique_ptr<Backend>> ring() { return make_ring(); }

class Program : public ReactorProgram {
 public:
  Status on_start(Reactor&) override {
    on = std::this_thread::get_id();
    return result;
  }
  void on_stop(Reactor& reactor) override {
    ++stopped;
    EXPECT_EQ(std::this_thread::get_id(), on);
    EXPECT_EQ(reactor.backend().in_flight(), 0u);
  }
  Status result;
  std::thread::id on;
  int stopped = 0;
};

TEST(ReactorThreadTest, StartsStopsAndStartsAgain) {
  Program program;
  ReactorThread thread;
  EXPECT_FALSE(thread.running());
  thread.stop();
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(thread.start("a name longer than fifteen characters", ring, program));
    EXPECT_TRUE(thread.running());
    EXPECT_NE(program.on, std::this_thread::get_id());
    thread.stop();
    thread.stop();
    EXPECT_FALSE(thread.running());
    EXPECT_EQ(program.stopped, i);
  }
}

TEST(ReactorThreadTest, FailureOfTheProgramIsReturnedAndTheThreadEnds) {
  Program program;
  program.result = local_error(Code::address_in_use, "port", 99);
  ReactorThread thread;
  const Status started = thread.start("failing", ring, program);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::address_in_use);
  EXPECT_EQ(started.error().offset, 99u);
  EXPECT_EQ(program.stopped, 1);
  EXPECT_FALSE(thread.running());
}

TEST(ReactorThreadTest, FailureOfTheBackendOrTheOptionsIsReturned) {
  Program program;
  ReactorThread thread;
  const auto none = [] { return make_ring({.sq_entries = 3}); };
  const Status no_backend = thread.start("no ring", none, program);
  ASSERT_FALSE(no_backend);
  EXPECT_STREQ(no_backend.error().field, "sq_entries");
  const Status no_reactor = thread.start("no reactor", ring, program, {.events = 0});
  ASSERT_FALSE(no_reactor);
  EXPECT_STREQ(no_reactor.error().field, "events");
  EXPECT_EQ(program.stopped, 0);
}

TEST(ReactorThreadTest, ItsDestructorStopsIt) {
  Program program;
  {
    ReactorThread thread;
    ASSERT_TRUE(thread.start("scoped", ring, program));
  }
  EXPECT_EQ(program.stopped, 1);
}

// ---- An inbox with four producers

struct Numbered {
  uint32_t producer = 0;
  uint32_t number = 0;
};

class Collector final : public ReactorProgram, public InboxReceiver<Numbered> {
 public:
  Status on_start(Reactor& reactor) override {
    port_.emplace(reactor, *this);
    gate.emplace(port_->gate());
    return {};
  }
  void on_stop(Reactor&) override { port_.reset(); }
  void on_message(Numbered& message) override {
    EXPECT_EQ(message.number, next[message.producer]++) << "producer " << message.producer;
    total.fetch_add(1, std::memory_order_relaxed);
  }
  std::optional<Inbox<Numbered>::Gate> gate;
  std::array<uint32_t, 4> next{};
  std::atomic<uint64_t> total{0};

 private:
  std::optional<InboxPort<Numbered>> port_;
};

TEST(ReactorThreadTest, InboxOfFourProducersKeepsEachOnesOrder) {
  constexpr uint32_t kMessages = kTsan ? 5'000 : 20'000;
  Collector collector;
  ReactorThread thread;
  ASSERT_TRUE(thread.start("collector", ring, collector));
  std::vector<std::thread> producers;
  for (uint32_t p = 0; p < 4; ++p) {
    producers.emplace_back([&, p] {
      auto producer = collector.gate->make_producer(std::array{InboxClass{.nodes = 64}});
      ASSERT_TRUE(producer);
      for (uint32_t i = 0; i < kMessages; ++i) {
        while (producer->try_push(0, Numbered{p, i}) == PushResult::full) {
          rest();
        }
        if (i % 500 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
  }
  for (std::thread& producer : producers) producer.join();
  thread.stop();  // what was pushed before runs
  EXPECT_EQ(collector.total.load(), 4u * kMessages);
}

TEST(ReactorThreadTest, ProducersThatPushWhileItStopsAreAnsweredClosed) {
  for (int round = 0; round < 20; ++round) {
    Collector collector;
    ReactorThread thread;
    ASSERT_TRUE(thread.start("closing", ring, collector));
    std::vector<std::thread> producers;
    std::atomic<uint64_t> pushed{0};
    for (uint32_t p = 0; p < 2; ++p) {
      producers.emplace_back([&, p] {
        auto producer = collector.gate->make_producer(std::array{InboxClass{.nodes = 64}});
        uint32_t number = 0;
        while (producer) {
          const PushResult result = producer->try_push(0, Numbered{p, number});
          if (result == PushResult::closed) break;
          if (result == PushResult::ok) ++number;
          if (result == PushResult::full) rest();
        }
        pushed += number;
      });
    }
    while (collector.total.load(std::memory_order_relaxed) < 100) rest();
    thread.stop();
    for (std::thread& producer : producers) producer.join();
    EXPECT_EQ(collector.total.load(), pushed.load());
  }
}

// ---- Shutdown with everything in flight

int open_files() {
  int count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

// Listener, clients that echo without end, a connect that waits, a full queue, timers: the end of
// it leaves nothing in flight, and the port can be bound again at once.
class Everything final : public ReactorProgram, public TurnHook {
 public:
  // The clients' first so many messages are waited for.
  Everything(Endpoint local, uint64_t messages) : local_(local), messages_(messages) {}
  Status on_start(Reactor& reactor) override {
    reactor.add_hook(*this);
    auto tcp = Tcp::create(reactor, {.max_streams = 64, .buffer_count = 8, .buffer_size = 1024});
    if (!tcp) return std::unexpected(tcp.error());
    tcp_ = std::move(*tcp);
    const auto listener = tcp_->listen(local_, server_);
    if (!listener) return std::unexpected(listener.error());
    local_ = (*listener)->local();
    if (Status up = clients_.start(*tcp_, local_); !up) return up;
    // A listener that never accepts and whose queue is full: these connects stay in flight.
    silent_ = *reactor.backend().listen_tcp(Endpoint::loopback(0), 0);
    for (int i = 0; i < 4; ++i) {
      const auto waits =
          tcp_->connect(reactor.backend().local_endpoint(silent_), nobody_, seconds(60));
      if (!waits) return std::unexpected(waits.error());
    }
    const auto full = tcp_->connect(local_, nobody_, seconds(60));
    if (!full) return std::unexpected(full.error());
    const std::string block(50'000, 'q');
    while ((*full)->write(as_bytes(block)) == WriteResult::ok) {
    }
    return {};
  }
  void end_of_turn(Now) override {
    if (busy_.load(std::memory_order_relaxed) || clients_.latencies().read().total() < messages_) {
      return;
    }
    busy_ = true;
    busy_.notify_one();
  }
  void wait() const { busy_.wait(false); }
  void on_stop(Reactor& reactor) override {
    reactor.remove_hook(*this);
    if (tcp_ == nullptr) return;
    EXPECT_EQ(reactor.backend().in_flight(), 0u);
    EXPECT_EQ(tcp_->buffers().leased(), 0u);
    EXPECT_EQ(tcp_->streams(), 0u);
    tcp_.reset();
    reactor.backend().close(silent_);
  }
  const Endpoint& local() const { return local_; }
  const EchoClients& clients() const { return clients_; }

 private:
  class Nobody final : public StreamHandler {
   public:
    void on_data(TcpStream&, Lease) override {}
    void on_end(TcpStream&) override {}
    void on_closed(TcpStream&, const Error&) override {}
  };
  Endpoint local_;
  const uint64_t messages_;
  std::atomic<bool> busy_{false};
  Socket silent_;
  EchoServer server_;
  EchoClients clients_{16, 2000};
  Nobody nobody_;
  std::unique_ptr<Tcp> tcp_;
};

TEST(ReactorThreadTest, ShutdownWithEverythingInFlight200TimesFreesThePortAtOnce) {
  Endpoint local = own_loopback();
  const int files = open_files();
  Rng rng(1);
  for (int round = 0; round < (kTsan ? 20 : 200); ++round) {
    Everything everything(local, rng.below(100));
    ReactorThread thread;
    const Status started = thread.start("everything", ring, everything);
    ASSERT_TRUE(started) << "round " << round << ": " << to_string(started.error());
    local = everything.local();
    everything.wait();
    thread.stop();
    EXPECT_FALSE(everything.clients().failed())
        << to_string(everything.clients().error()) << " in round " << round;
  }
  EXPECT_EQ(open_files(), files);
}

}  // namespace
}  // namespace beamline
