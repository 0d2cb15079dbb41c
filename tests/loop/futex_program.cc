// A busy reactor for futex_test.cc to trace: it echoes to itself over TCP, three threads flood its
// inbox, and it writes log lines that a slow sink holds up. Two empty writes of its own mark in the
// trace where the load begins and ends.
#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>
#include <vector>

#include <unistd.h>

#include "loop/inbox_port.h"
#include "loop/log.h"
#include "loop/reactor_thread.h"
#include "loop/ring.h"
#include "loop/watchdog.h"
#include "node/echo_pair.h"

namespace beamline {
namespace {

constexpr uint64_t kEchoes = 20'000;
constexpr uint64_t kMessages = 200'000;
constexpr uint32_t kProducers = 3;
constexpr uint32_t kConnections = 16;
constexpr uint32_t kSize = 64;

void mark() { [[maybe_unused]] const ssize_t none = ::write(STDERR_FILENO, "", 0); }

class SlowSink final : public LogSink {
 public:
  void write(const LogLine&) override { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }
  void dropped(std::string_view, uint64_t) override {}
};

class Load final : public ReactorProgram, public TurnHook, public InboxReceiver<int> {
 public:
  Status on_start(Reactor& reactor) override {
    tcp_ = *Tcp::create(reactor, echo_tcp_options(2 * kConnections, kSize));
    const auto listener = tcp_->listen(Endpoint::loopback(0), server_);
    if (!listener) return std::unexpected(listener.error());
    if (Status started = clients_.start(*tcp_, (*listener)->local()); !started) return started;
    port_.emplace(reactor, *this);
    const std::array<InboxClass, 1> classes{InboxClass{.nodes = 256}};
    for (auto& producer : producers) producer = *port_->gate().make_producer(classes);
    reactor.add_hook(*this);
    return {};
  }
  void on_stop(Reactor& reactor) override {
    reactor.remove_hook(*this);
    port_.reset();
    tcp_.reset();
  }
  void on_message(int&) override {
    if (++messages_ % 1000 == 1) log_line(LogLevel::info, "%d messages", messages_);
  }
  void end_of_turn(Now) override {
    const uint64_t echoes = tcp_->stats().bytes_in / (2 * kSize);  // there and back
    if (!begun_ && echoes > 100 && messages_ > 100) {
      begun_ = true;
      mark();
    }
    if (begun_ && !ended.load() && echoes > kEchoes && messages_ > static_cast<int>(kMessages)) {
      mark();
      ended.store(true);
    }
  }
  bool failed() const { return clients_.failed(); }

  std::array<Inbox<int>::Producer, kProducers> producers;
  std::atomic<bool> ended{false};

 private:
  std::unique_ptr<Tcp> tcp_;
  EchoServer server_;
  EchoClients clients_{kConnections, kSize};
  std::optional<InboxPort<int>> port_;
  int messages_ = 0;
  bool begun_ = false;
};

int run() {
  SlowSink sink;
  Log log(sink, {.lines = 16});
  auto watchdog = Watchdog::start();
  if (!watchdog) return 1;
  Load load;
  ReactorThread thread;
  const auto make = [] { return make_ring(); };
  if (Status started = thread.start("busy", +make, load); !started) {
    return std::fprintf(stderr, "%s\n", to_string(started.error()).c_str()), 1;
  }
  std::vector<std::thread> threads;
  for (auto& producer : load.producers) {
    threads.emplace_back([&load, &producer] {
      while (!load.ended.load() && !load.failed()) {
        if (producer.try_push(0, 1) != PushResult::ok) std::this_thread::yield();
      }
      producer = {};
    });
  }
  for (std::thread& each : threads) each.join();
  thread.stop();
  return load.failed() ? 1 : 0;
}

}  // namespace
}  // namespace beamline

int main() { return beamline::run(); }
