// The core and the network as programs of reactors: on two of them, joined by their inboxes, or
// both on one, joined directly. Node gives them threads; a simulation gives them simulated
// reactors.
//
// Two reactors:  network.on_start(a); core.on_start(b); network.gate() <- NetworkStart{core.gate()}
// One reactor:   core.on_start(a), which starts the network on it
// The end: each reactor is stopped and quiet, the network's first; then on_stop() of its program
// (with one reactor that of the core alone).
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "loop/reactor_thread.h"
#include "node/links.h"
#include "node/peer_finder.h"
#include "node/policy.h"
#include "node/store_thread.h"
#include "node/worker_pool.h"

namespace beamline::node {

struct NodeOptions {
  ChainSpec spec;
  chain::Limits limits;
  NetworkConfig network;
  TcpOptions tcp;
  CoreLinkLimits core_link;                   // from the network to the core
  uint32_t network_link_nodes = 8192;         // commands on their way to the network
  std::optional<PeerFinderConfig> discovery;  // none: peers are those of `network.dial`
  bool network_thread = true;                 // false: the network shares the core's reactor
  ReactorThread::MakeBackend make_backend = nullptr;
  CoreOptions core;
  // Who makes the fork choice; null: the head is that of the highest slot. It is told at each
  // turn's end. Outlives the node.
  Policy* policy = nullptr;
  // Who verifies and imports blocks, on threads of its own; null: what builds on the chain is
  // taken. Needs the network thread. Outlives the node.
  BlockClient* client = nullptr;
  WorkerPoolOptions workers;
  // Instead: who takes the jobs on the core's thread, and gives the answers to Core::on_message().
  WorkPort* work = nullptr;
  // Where the chain is kept; null: nowhere. Opened when the node starts, which begins with what it
  // holds, and then written by a thread of its own. Needs the network thread. Outlives the node.
  chain::Store* store = nullptr;
  StoreThreadOptions store_thread;
};

// How starting the network went; written by its thread.
struct NetworkReport {
  std::atomic<bool> done{false};
  Status status;
  Endpoint listening;
};

class NetworkProgram final : public ReactorProgram,
                             public InboxReceiver<NetworkMessage>,
                             public TurnHook {
 public:
  // `options` and `identity` outlive it.
  NetworkProgram(const NodeOptions& options, const secp256k1::SecretKey& identity, Rng rng)
      : options_(options), identity_(identity), rng_(std::move(rng)) {}

  Status on_start(Reactor& reactor) override;
  void on_stop(Reactor& reactor) override;
  void on_message(NetworkMessage& message) override;
  void end_of_turn(Now now) override;
  // Listens and dials, for a core that takes events at `core`. On the reactor's thread.
  Status open(CorePort& core);

  // After on_start(); any thread.
  NetworkInbox::Gate gate() const { return inbox_->gate(); }
  // On the reactor's thread; null before open().
  Network* network() { return network_.get(); }
  const InboxCorePort* core_port() const { return core_.get(); }
  Tcp& tcp() { return *tcp_; }
  // After on_stop().
  const NetworkStats& stats() const { return stats_; }

  // NetworkLeave was carried out: every socket is closed.
  std::atomic<bool> gone{false};

 private:
  const NodeOptions& options_;
  const secp256k1::SecretKey& identity_;
  Rng rng_;
  Reactor* reactor_ = nullptr;
  std::unique_ptr<Tcp> tcp_;
  std::unique_ptr<InboxPort<NetworkMessage>> inbox_;
  std::unique_ptr<InboxCorePort> core_;
  std::unique_ptr<PeerFinder> finder_;
  std::unique_ptr<Network> network_;
  // What the core said before the network was opened: the head that a store had. Few: without
  // peers the chain says nothing else.
  std::vector<chain::Command> early_;
  NetworkStats stats_;
  bool left_ = false;
};

class CoreProgram final : public ReactorProgram {
 public:
  // All outlive it.
  CoreProgram(const NodeOptions& options, NetworkProgram& network, CoreObserver& observer)
      : options_(options), network_(network), observer_(observer) {}

  Status on_start(Reactor& reactor) override;
  void on_stop(Reactor& reactor) override;

  // With two reactors, after on_start(); any thread.
  CoreInbox::Gate gate() const { return inbox_->gate(); }
  // After on_start(), any thread, also after on_stop().
  Snapshots::Reader snapshots() const { return snapshots_; }
  // On the reactor's thread, from on_start() to on_stop().
  Core& core() { return *core_; }
  // After on_stop().
  const chain::Stats& stats() const { return stats_; }

 private:
  // The core, from what the store held if there is one.
  Status make_core(Reactor& reactor, chain::ChainConfig config, const chain::StoreAnchor& anchor);
  Status start_apart(Reactor& reactor, chain::StoreAnchor anchor);
  Status start_joined(Reactor& reactor);

  const NodeOptions& options_;
  NetworkProgram& network_;
  CoreObserver& observer_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<InboxPort<chain::Event>> inbox_;
  std::unique_ptr<InboxNetworkPort> network_port_;
  WorkerPool workers_;
  StoreThread store_thread_;
  DirectCorePort direct_core_;
  DirectNetworkPort direct_network_;
  Snapshots::Reader snapshots_;
  chain::Stats stats_;
};

}  // namespace beamline::node
