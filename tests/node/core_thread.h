// A core on its own thread, with an inbox, and no network: what tests of its readers and its
// workers need.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "loop/reactor_thread.h"
#include "loop/ring.h"
#include "node/core.h"
#include "node/links.h"
#include "node/store_thread.h"
#include "node/worker_pool.h"
#include "tests/chain/blocks.h"
#include "tests/threads.h"

namespace beamline::node {

inline constexpr chain::PeerHandle kPeer{0, 1};

// The peer comes, and sends these blocks by gossip.
inline std::vector<chain::Event> gossip_of(const std::vector<chain::BlockInfo>& blocks) {
  std::vector<chain::Event> events{chain::PeerUp{kPeer}};
  chain::VerdictId verdict = 0;
  for (const chain::BlockInfo& block : blocks) {
    events.push_back(chain::GossipBlock{kPeer, ++verdict, block});
  }
  return events;
}

class CoreThread final : public ReactorProgram, public CoreObserver, public NetworkPort {
 public:
  explicit CoreThread(CoreOptions options = {}, BlockClient* client = nullptr,
                      WorkerPoolOptions workers = {}, chain::Store* store = nullptr)
      : options_(options), client_(client), worker_options_(workers), store_(store) {}
  ~CoreThread() override { stop(); }

  Status start() {
    return thread_.start("bl-core", [] { return make_ring(); }, *this);
  }
  void stop() {
    producer_.reset();
    thread_.stop();
  }
  // One pusher.
  bool push_event(chain::Event event) {
    if (!producer_) {
      const std::array classes = {InboxClass{.nodes = 4096}};
      producer_ = gate_->make_producer(classes);
    }
    return producer_->try_push(0, std::move(event)) == PushResult::ok;
  }
  void push_all(std::vector<chain::Event> events) {
    for (chain::Event& event : events) {
      while (!producer_ || producer_->free_nodes(0) == 0) {
        if (producer_) producer_->reclaim();
        if (!producer_ || producer_->free_nodes(0) > 0) break;
        rest();
      }
      BL_CHECK(push_event(std::move(event)));
    }
  }
  template <class Done>
  void wait_for(Done done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(45);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) {
        FAIL() << imported << " imported, " << peers << " peers";
      }
      rest();
    }
  }
  void wait_imported(uint64_t least) {
    wait_for([&] { return imported >= least; });
  }

  Snapshots::Reader snapshots() const { return reader_; }
  std::atomic<uint64_t> imported{0};
  std::atomic<uint64_t> peers{0};
  std::thread::id core_thread;
  // After stop().
  CoreStats core_stats;
  WorkerPoolStats worker_stats;
  StoreThreadStats store_stats;
  chain::Stats chain_stats;

  Status on_start(Reactor& reactor) override {
    core_thread = std::this_thread::get_id();
    chain::ChainConfig config = chain::testing::make_config();
    if (client_ != nullptr) config.import = chain::ChainConfig::Import::ask;
    chain::Recovered recovered;
    const chain::BlockInfo anchor = config.anchor;
    if (store_ != nullptr) {
      auto found = store_->open(anchor);
      if (!found) return std::unexpected(found.error());
      config.persist = config.read_store = true;
      recovered = std::move(*found);
      config.anchor = recovered.anchor.block;
    }
    core_ = std::make_unique<Core>(reactor, std::move(config), *this, options_);
    if (store_ != nullptr) {
      const Status restored = core_->chain().restore(reactor.now(), std::move(recovered));
      if (!restored) return restored;
    }
    core_->set_network(*this);
    inbox_ = std::make_unique<InboxPort<chain::Event>>(reactor, *core_);
    gate_ = inbox_->gate();
    reader_ = core_->snapshots();
    if (store_ != nullptr) {
      core_->set_store(store_thread_);
      const StoreThreadOptions options{.retry_first = milliseconds(1)};
      if (Status started = store_thread_.start(options, *gate_, *store_, anchor); !started) {
        return started;
      }
    }
    if (client_ == nullptr) return {};
    core_->set_workers(workers_);
    return workers_.start(worker_options_, *gate_, *client_);
  }
  void on_stop(Reactor&) override {
    workers_.stop();
    worker_stats = workers_.stats();
    store_thread_.stop();
    store_stats = store_thread_.stats();
    inbox_.reset();
    if (core_ == nullptr) return;
    core_stats = core_->stats();
    chain_stats = core_->chain().stats();
    core_.reset();
  }
  // What the chain wants of a network goes nowhere.
  PushResult push(chain::Command&& command) override {
    const chain::Command gone = std::move(command);
    return PushResult::ok;
  }
  void on_imported(const chain::BlockImported&) override {
    EXPECT_EQ(std::this_thread::get_id(), core_thread);
    ++imported;
  }
  void on_peer(const chain::PeerHandle&, bool) override { ++peers; }

 private:
  const CoreOptions options_;
  BlockClient* client_;
  const WorkerPoolOptions worker_options_;
  chain::Store* store_;
  StoreThread store_thread_;
  ReactorThread thread_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<InboxPort<chain::Event>> inbox_;
  std::optional<CoreInbox::Gate> gate_;
  std::optional<CoreInbox::Producer> producer_;
  Snapshots::Reader reader_;
  WorkerPool workers_;
};

}  // namespace beamline::node
