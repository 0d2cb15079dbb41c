// Ours: the chain on the core reactor. Producers decode and push, two workers verify, the network's
// reactor encodes; no thread waits for another.
#include <thread>

#include "base/check.h"
#include "bench/chain_flood.h"
#include "loop/backends.h"
#include "loop/reactor_thread.h"
#include "node/links.h"

namespace beamline::bench {
namespace {

constexpr uint32_t kWorkers = 2;
constexpr int64_t kWindow = 16;  // blocks of one producer that await their verdict

Result<std::unique_ptr<Backend>> backend() { return make_backend(BackendKind::auto_); }

// A reactor that works for the core: takes commands, answers with events.
class Servant : public ReactorProgram, public InboxReceiver<chain::Command> {
 public:
  Status on_start(Reactor& reactor) override {
    inbox_ = std::make_unique<InboxPort<chain::Command>>(reactor, *this);
    return {};
  }
  void on_stop(Reactor&) override {
    core_.reset();
    inbox_.reset();
  }
  // Before the first command; on any thread, while none uses it.
  void set_core(const node::CoreInbox::Gate& gate) { core_ = node::InboxCorePort::make(gate); }
  Inbox<chain::Command>::Gate gate() const { return inbox_->gate(); }
  void start(const char* name) { BL_CHECK(thread_.start(name, backend, *this).has_value()); }
  void stop() { thread_.stop(); }

 protected:
  void answer(chain::Event event) {
    // Its slab holds more than is ever under way.
    const PushResult result = core_->push(std::move(event));
    BL_CHECK(result != PushResult::full);
  }

 private:
  std::unique_ptr<InboxPort<chain::Command>> inbox_;
  std::unique_ptr<node::InboxCorePort> core_;
  ReactorThread thread_;
};

class Worker final : public Servant {
 public:
  void on_message(chain::Command& command) override {
    verify();
    const auto& import = std::get<chain::ImportBlock>(command);
    answer(chain::ImportVerdict{import.import, chain::Verdict::valid});
    under_way.fetch_sub(1, std::memory_order_relaxed);
  }
  std::atomic<uint32_t> under_way{0};
};

class NetworkSide final : public Servant {
 public:
  void on_message(chain::Command& command) override {
    if (const auto* chunk = std::get_if<chain::RespondChunk>(&command)) {
      encode(chunk->signed_bytes);
      answer(chain::ResponseWritten{chunk->peer, chunk->serve, 1});
    } else if (const auto* end = std::get_if<chain::RespondEnd>(&command)) {
      answer(ask_all(end->peer, end->serve + 1));
    }
  }
};

// Where the core's commands go.
class Exits final : public node::NetworkPort {
 public:
  PushResult push(chain::Command&& command) override {
    if (std::holds_alternative<chain::ImportBlock>(command)) {
      uint32_t idle = 0;
      for (uint32_t i = 1; i < kWorkers; ++i) {
        if (load(i) < load(idle)) idle = i;
      }
      workers[idle]->under_way.fetch_add(1, std::memory_order_relaxed);
      return to_worker[idle].try_push(0, std::move(command));
    }
    if (const auto* verdict = std::get_if<chain::GossipVerdict>(&command)) {
      (*outstanding)[verdict->sender.index].fetch_sub(1, std::memory_order_relaxed);
      return PushResult::ok;
    }
    if (std::holds_alternative<chain::RespondChunk>(command)) ++served;
    return to_network.try_push(0, std::move(command));
  }
  uint32_t load(uint32_t worker) const {
    return workers[worker]->under_way.load(std::memory_order_relaxed);
  }

  std::array<Worker*, kWorkers> workers{};
  std::array<Inbox<chain::Command>::Producer, kWorkers> to_worker;
  Inbox<chain::Command>::Producer to_network;
  std::array<std::atomic<int64_t>, kProducers>* outstanding = nullptr;
  uint64_t served = 0;
};

class CoreSide final : public ReactorProgram, public node::CoreObserver, public TurnHook {
 public:
  CoreSide(const Flood& flood, Exits& exits) : flood_(flood), exits_(exits), tick_(on_tick, this) {}
  Status on_start(Reactor& reactor) override {
    reactor_ = &reactor;
    core_ = std::make_unique<node::Core>(reactor, Flood::config(), *this);
    inbox_ = std::make_unique<InboxPort<chain::Event>>(reactor, *core_);
    prepare(core_->chain(), flood_);
    core_->set_network(exits_);
    reactor.add_hook(*this);  // after the core's own
    due_ = reactor.now().mono + kTickPeriod;
    reactor.arm(tick_, due_);
    return {};
  }
  void on_stop(Reactor& reactor) override {
    reactor.disarm(tick_);
    reactor.remove_hook(*this);
    inbox_.reset();
    core_.reset();
  }
  void on_imported(const chain::BlockImported&) override { ++result.imported; }
  void end_of_turn(Now) override {
    if (!ticked_) return;
    ticked_ = false;
    const MonoTime now = mono_now();
    for (; due_ < now; due_ = due_ + kTickPeriod) result.late_ns.push_back((now - due_).ns);
    reactor_->arm(tick_, due_);
  }
  node::CoreInbox::Gate gate() const { return inbox_->gate(); }

  FloodResult result;

 private:
  static void on_tick(Timer& timer) {
    auto& self = *static_cast<CoreSide*>(timer.owner);
    chain::Event tick = chain::Tick{};
    self.core_->on_message(tick);
    self.ticked_ = true;
  }

  const Flood& flood_;
  Exits& exits_;
  Reactor* reactor_ = nullptr;
  std::unique_ptr<node::Core> core_;
  std::unique_ptr<InboxPort<chain::Event>> inbox_;
  Timer tick_;
  MonoTime due_{};
  bool ticked_ = false;
};

// One producer: decodes and pushes, with at most kWindow blocks under way.
void produce(uint32_t id, Flood& flood, node::InboxCorePort& port,
             std::atomic<int64_t>& outstanding, const std::atomic<bool>& stop,
             std::vector<int64_t>& pushes) {
  while (!stop.load(std::memory_order_relaxed)) {
    if (outstanding.load(std::memory_order_relaxed) >= kWindow) {
      std::this_thread::sleep_for(std::chrono::microseconds(500));
      continue;
    }
    const chain::BlockInfo* block = flood.next();
    BL_CHECK(block != nullptr);
    chain::Event event = chain::GossipBlock{{id, 1}, 1, flood.decode(*block)};
    outstanding.fetch_add(1, std::memory_order_relaxed);
    const MonoTime start = mono_now();
    BL_CHECK(port.push(std::move(event)) == PushResult::ok);
    pushes.push_back((mono_now() - start).ns);
  }
}

}  // namespace

FloodResult flood_inbox(Flood& flood, uint32_t peers) {
  std::array<std::atomic<int64_t>, kProducers> outstanding{};
  std::array<Worker, kWorkers> workers;
  NetworkSide network;
  Exits exits;
  exits.outstanding = &outstanding;
  network.start("bench-network");
  exits.to_network = *network.gate().make_producer(std::array{InboxClass{.nodes = 8192}});
  for (uint32_t i = 0; i < kWorkers; ++i) {
    workers[i].start("bench-worker");
    exits.workers[i] = &workers[i];
    exits.to_worker[i] = *workers[i].gate().make_producer(std::array{InboxClass{.nodes = 1024}});
  }
  CoreSide core(flood, exits);
  ReactorThread core_thread;
  BL_CHECK(core_thread.start("bench-core", backend, core).has_value());
  network.set_core(core.gate());
  for (Worker& worker : workers) worker.set_core(core.gate());
  const auto asking = node::InboxCorePort::make(core.gate());
  for (uint32_t peer = 0; peer < peers; ++peer) {
    BL_CHECK(asking->push(ask_all({peer, 1}, 1)) == PushResult::ok);
  }

  std::atomic<bool> stop{false};
  std::vector<std::vector<int64_t>> pushes(kProducers);
  std::vector<std::thread> threads;
  const MonoTime start = mono_now();
  for (uint32_t id = 0; id < kProducers; ++id) {
    threads.emplace_back([&, id, port = node::InboxCorePort::make(core.gate())] {
      produce(id, flood, *port, outstanding[id], stop, pushes[id]);
    });
  }
  std::this_thread::sleep_for(std::chrono::nanoseconds(kFloodTime.ns));
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads) thread.join();
  core.result.seconds = to_seconds(mono_now() - start);
  for (Worker& worker : workers) worker.stop();
  network.stop();
  core_thread.stop();
  FloodResult result = std::move(core.result);
  result.served = exits.served;
  for (const auto& some : pushes) {
    result.push_ns.insert(result.push_ns.end(), some.begin(), some.end());
  }
  return result;
}

}  // namespace beamline::bench
