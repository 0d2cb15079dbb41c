// A core under a flood for core_futex_test.cc to trace: three threads push blocks and votes into
// its inbox, workers verify, the storage thread writes to RocksDB, and a reader takes snapshots.
// Two empty writes of the core's own thread mark in the trace where the load begins and ends.
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "loop/reactor_thread.h"
#include "loop/ring.h"
#include "node/core.h"
#include "node/links.h"
#include "node/rocks_store.h"
#include "node/store_thread.h"
#include "node/worker_pool.h"
#include "tests/chain/blocks.h"

namespace beamline::node {
namespace {

constexpr uint32_t kProducers = 3;
constexpr uint64_t kBegin = 200;  // imported
constexpr uint64_t kEnd = 3000;

void mark() { [[maybe_unused]] const ssize_t none = ::write(STDERR_FILENO, "", 0); }

// A little work for each block.
class Client final : public BlockClient {
 public:
  chain::Verdict verify(const chain::BlockInfo& block, chain::Origin) override {
    Hash256 hash = block.root;
    for (int i = 0; i < 100; ++i) hash = sha256(hash.view());
    return hash.is_zero() ? chain::Verdict::invalid_block : chain::Verdict::valid;
  }
  chain::ImportVerdict import(const chain::BlockInfo&, chain::Origin) override { return {}; }
};

class FloodedCore final : public ReactorProgram,
                          public CoreObserver,
                          public NetworkPort,
                          public TurnHook {
 public:
  explicit FloodedCore(std::string path) : store_({.path = std::move(path)}) {}

  Status on_start(Reactor& reactor) override {
    chain::ChainConfig config = chain::testing::make_config();
    config.import = chain::ChainConfig::Import::ask;
    config.persist = true;
    const chain::BlockInfo anchor = config.anchor;
    if (auto found = store_.open(anchor); !found) return std::unexpected(found.error());
    core_ = std::make_unique<Core>(reactor, std::move(config), *this,
                                   CoreOptions{.snapshot_interval = milliseconds(1)});
    core_->set_network(*this);
    inbox_ = std::make_unique<InboxPort<chain::Event>>(reactor, *core_);
    const CoreInbox::Gate gate = inbox_->gate();
    const std::array classes = {InboxClass{.nodes = 256}};
    for (auto& producer : producers) producer = *gate.make_producer(classes);
    core_->set_store(store_thread_);
    if (Status started = store_thread_.start({}, gate, store_, anchor); !started) return started;
    core_->set_workers(workers_);
    snapshots = core_->snapshots();
    reactor.add_hook(*this);
    return workers_.start({.workers = 2, .jobs = 64}, gate, client_);
  }
  void on_stop(Reactor& reactor) override {
    reactor.remove_hook(*this);
    workers_.stop();
    store_thread_.stop();
    syncs = store_thread_.stats().syncs;
    inbox_.reset();
    core_.reset();
  }
  PushResult push(chain::Command&& command) override {
    const chain::Command gone = std::move(command);
    return PushResult::ok;
  }
  void on_imported(const chain::BlockImported&) override { ++imported_; }
  void end_of_turn(Now) override {
    if (!begun_ && imported_ >= kBegin) {
      begun_ = true;
      mark();
    }
    if (begun_ && !ended.load() && imported_ >= kEnd) {
      mark();
      ended.store(true);
    }
  }

  std::array<CoreInbox::Producer, kProducers> producers;
  Snapshots::Reader snapshots;
  std::atomic<bool> ended{false};
  uint64_t syncs = 0;

 private:
  Client client_;
  RocksStore store_;
  StoreThread store_thread_;
  WorkerPool workers_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<InboxPort<chain::Event>> inbox_;
  uint64_t imported_ = 0;
  bool begun_ = false;
};

// Blocks on each other, and between them votes and blocks of nobody, until the load ends.
void flood(FloodedCore& core, uint32_t number) {
  CoreInbox::Producer& producer = core.producers[number];
  const chain::PeerHandle peer{number, 1};
  const auto push = [&](chain::Event event) {
    while (!core.ended.load() && producer.try_push(0, std::move(event)) != PushResult::ok) {
      std::this_thread::yield();
    }
  };
  push(chain::PeerUp{peer});
  Root parent = chain::testing::make_genesis().root;
  for (uint64_t i = 1; !core.ended.load(); ++i) {
    const chain::BlockInfo block = chain::testing::make_block(parent, i, number, 2000);
    parent = block.root;
    push(chain::GossipBlock{peer, 3 * i, block});
    chain::Vote vote;
    vote.slot = i;
    vote.head_root = chain::testing::root_of(i % 64);
    vote.validators = {i};
    push(chain::GossipVote{peer, 3 * i + 1, std::move(vote)});
    // The cache keeps a thousand that wait: no faster than they are imported.
    while (!core.ended.load() && i % 64 == 0) {
      const auto seen = core.snapshots.acquire();
      if (seen && seen->head.slot + 128 > i) break;
      std::this_thread::yield();
    }
  }
  producer = {};
}

int run() {
  std::string path = std::filesystem::temp_directory_path() / "core_futex.XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return 1;
  uint64_t syncs = 0;
  {
    FloodedCore core(path);
    ReactorThread thread;
    const auto make = [] { return make_ring(); };
    if (Status started = thread.start("core", +make, core); !started) {
      return std::fprintf(stderr, "%s\n", to_string(started.error()).c_str()), 1;
    }
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < kProducers; ++i) threads.emplace_back(flood, std::ref(core), i);
    for (std::thread& each : threads) each.join();
    thread.stop();
    syncs = core.syncs;
  }
  std::filesystem::remove_all(path);
  return syncs > 0 ? 0 : 1;
}

}  // namespace
}  // namespace beamline::node

int main() { return beamline::node::run(); }
