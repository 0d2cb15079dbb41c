// The core: the chain on its reactor. Takes events through its inbox (or directly, when the network
// shares its reactor), and once a turn, when all of them are applied, lets the chain flush, hands
// its commands to the network and its jobs to the workers, and publishes a snapshot.
#pragma once

#include <deque>

#include "chain/chain.h"
#include "chain/snapshot.h"
#include "loop/inbox_port.h"
#include "loop/published.h"
#include "loop/reactor.h"
#include "node/ports.h"

namespace beamline::node {

class Policy;

// What a user of the node sees. Called on the core's thread; must not block.
class CoreObserver {
 public:
  virtual ~CoreObserver() = default;
  virtual void on_imported(const chain::BlockImported&) {}
  virtual void on_head(const chain::HeadChanged&) {}
  // Also at the start. Answered by the event JustifiedBalances, where the fork choice weighs votes.
  virtual void on_justified(const chain::JustifiedChanged&) {}
  virtual void on_finalized(const chain::FinalizedChanged&) {}
  // No head can be right: stop, and tell the user.
  virtual void on_justified_invalid(const chain::JustifiedInvalid&) {}
  virtual void on_peer(const chain::PeerHandle&, bool /*up*/) {}
};

struct CoreOptions {
  // The least time between two snapshots; one is published when something happened since the last.
  Duration snapshot_interval = milliseconds(100);
  chain::SnapshotLimits snapshot{};
};

struct CoreStats {
  uint64_t events = 0;
  uint64_t commands = 0;
  uint64_t commands_requeued = 0;  // the network's inbox was full
  uint64_t outbox_peak = 0;
  uint64_t pauses = 0;             // turns that ended without room for events
  uint64_t jobs_requeued = 0;      // the worker pool was full
  uint64_t persists_requeued = 0;  // the store's queue was full
  uint64_t reads_requeued = 0;
  uint64_t snapshots = 0;
  uint64_t snapshots_skipped = 0;  // readers held all the others
};

using Snapshots = Published<chain::Snapshot>;

class Core final : public TurnHook, public InboxReceiver<chain::Event> {
 public:
  // Of commands. One run of messages may exceed it by what it causes.
  static constexpr size_t kOutboxLimit = 4096;

  // Without a fork choice, that of the highest slot. REQUIRES: on the reactor's thread.
  Core(Reactor& reactor, chain::ChainConfig config, CoreObserver& observer,
       const CoreOptions& options = {}, std::unique_ptr<chain::ForkChoice> fork_choice = nullptr);
  ~Core() override;

  // Before the first turn.
  void set_network(NetworkPort& network) { network_ = &network; }
  // Where ImportBlock and ImportData go, in the mode ChainConfig::Import::ask; without it, to the
  // network port.
  // Before the first turn.
  void set_workers(WorkPort& workers) { workers_ = &workers; }
  // Where Persist and ReadBlocks go; the chain's configuration must ask for it. Before the first
  // turn.
  void set_store(StorePort& store) { store_ = &store; }
  // Who made the fork choice, and hears of each turn's end. Before the first turn.
  void set_policy(Policy& policy) { policy_ = &policy; }
  // From the inbox, or from a network on the same reactor.
  void on_message(chain::Event& event) override;
  // While kOutboxLimit commands wait for the network, events stay in the inbox: what is out of
  // nodes is then told `full`, and nothing is lost.
  bool ready() const override { return outbox_.size() < kOutboxLimit; }
  void end_of_turn(Now now) override;

  // The commands that the network did not take; at the end, when it takes no more.
  std::deque<chain::Command> take_outbox();

  // Likewise what the store did not take, and what the chain has still to say to it.
  std::deque<chain::Persist> take_persists();

  // A block of our own: imported, and published on the mesh.
  void add_own_block(chain::BlockInfo block);

  const chain::Chain& chain() const { return chain_; }
  chain::Chain& chain() { return chain_; }
  const CoreStats& stats() const { return stats_; }
  // The latest state, for other threads; the first after the first turn.
  Snapshots::Reader snapshots() const { return snapshots_.reader(); }

 private:
  void apply(chain::Event&& event);
  void collect();
  bool observe(const chain::Command& command);
  void send();
  void submit();
  void persist();
  void publish(Now now);

  Reactor& reactor_;
  CoreObserver& observer_;
  const CoreOptions options_;
  NetworkPort* network_ = nullptr;
  WorkPort* workers_ = nullptr;
  StorePort* store_ = nullptr;
  Policy* policy_ = nullptr;
  chain::Chain chain_;
  std::deque<chain::Command> outbox_;    // in order; what the network had no room for yet
  std::deque<chain::Persist> persists_;  // in order; what the store had no room for yet
  std::deque<chain::ReadBlocks> reads_;  // behind them; at most Limits::reads_in_flight
  std::deque<Work> jobs_;                // in order; what the pool had no room for yet
  Snapshots snapshots_;
  uint64_t sequence_ = 0;  // of the last snapshot
  MonoTime next_snapshot_{};
  bool changed_ = true;  // since then
  Timer timer_;
  Ready again_;
  CoreStats stats_;
};

}  // namespace beamline::node
