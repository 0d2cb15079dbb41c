// A core without a network of ours: its commands go to a host, through a ring. What the C ABI
// (node/beamline.h) stands on.
#pragma once

#include <memory>
#include <optional>

#include "loop/reactor_thread.h"
#include "node/command_ring.h"
#include "node/core.h"
#include "node/links.h"
#include "node/sequenced_copy.h"
#include "node/worker_pool.h"

namespace beamline::node {

// What stands at the end of a turn.
struct EmbeddedStats {
  uint64_t events = 0;
  uint64_t commands = 0;
  uint64_t commands_waited = 0;
  uint64_t producers = 0;
  uint64_t producers_refused = 0;
  Root head_root;
  uint64_t head_slot = 0;
  uint64_t imported = 0;
  uint64_t cached = 0;
  uint64_t pending = 0;
  uint64_t in_flight = 0;
  uint64_t peers = 0;
  uint64_t requests = 0;
  uint64_t stale_events = 0;
  uint64_t late_chunks = 0;
  uint64_t votes_applied = 0;
  uint64_t votes_without_effect = 0;
  uint64_t votes_waiting = 0;
  uint64_t fork_choice_refused = 0;
  uint64_t own_refused = 0;
  uint64_t reorgs = 0;
  uint64_t charges = 0;
  uint64_t blocks_without_data = 0;
  uint64_t data_requested = 0;
  uint64_t data_received = 0;
  uint64_t data_invalid = 0;
  uint64_t restored = 0;
  uint64_t restore_refused = 0;
  uint64_t persists = 0;
  uint64_t persisted = 0;
};

class EmbeddedCore final : public ReactorProgram,
                           public CoreObserver,
                           public NetworkPort,
                           public StorePort,
                           public TurnHook {
 public:
  EmbeddedCore(chain::ChainConfig config, uint32_t command_capacity)
      : config_(std::move(config)), ring_(command_capacity) {}
  // Blocks are verified and imported on threads, by `client`, which outlives it. Before on_start(),
  // and with Import::ask.
  void set_client(BlockClient& client, const WorkerPoolOptions& options) {
    client_ = &client;
    worker_options_ = options;
  }
  // Instead of that of the highest slot: what `policy`, which outlives it, has made. Before
  // on_start().
  void set_fork_choice(std::unique_ptr<chain::ForkChoice> fork_choice, Policy& policy) {
    fork_choice_ = std::move(fork_choice);
    policy_ = &policy;
  }

  // The host keeps the chain (ChainConfig::persist): `found` is what it had, of which the fork
  // choice was made; without it the first Persist begins with `anchor`. Before on_start().
  void set_store(std::optional<chain::Recovered> found, chain::StoreAnchor anchor) {
    found_ = std::move(found);
    if (!found_) begin_with_ = std::move(anchor);
  }

  Status on_start(Reactor& reactor) override;
  void on_stop(Reactor& reactor) override;
  PushResult push(chain::Command&& command) override;
  PushResult push(chain::Persist&& persist) override;
  // Nothing is read from a host: the chain does not ask (ChainConfig::read_store).
  PushResult read(chain::ReadBlocks&&) override { return PushResult::full; }
  bool takes_imported() const override { return true; }
  // The reader wakes us when it has made room; this is for one that never does.
  Duration retry_after() const override { return seconds(1); }
  void end_of_turn(Now now) override;
  const char* hook_name() const override { return "embedded core"; }

  // After on_start(), any thread, also after on_stop().
  CoreInbox::Gate gate() const { return *gate_; }
  Snapshots::Reader snapshots() const { return snapshots_; }
  CommandRing& ring() { return ring_; }
  const CommandRing& ring() const { return ring_; }
  // At least as new as any command that was popped.
  EmbeddedStats stats() const { return stats_.read(); }

 private:
  void write_stats();

  chain::ChainConfig config_;
  CommandRing ring_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<InboxPort<chain::Event>> inbox_;
  std::optional<CoreInbox::Gate> gate_;
  Snapshots::Reader snapshots_;
  std::unique_ptr<chain::ForkChoice> fork_choice_;
  Policy* policy_ = nullptr;
  std::optional<chain::Recovered> found_;
  std::optional<chain::StoreAnchor> begin_with_;  // until the store has it
  BlockClient* client_ = nullptr;
  WorkerPoolOptions worker_options_;
  WorkerPool workers_;
  SequencedCopy<EmbeddedStats> stats_;
  bool stats_fresh_ = false;
};

}  // namespace beamline::node
