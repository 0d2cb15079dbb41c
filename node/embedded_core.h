// A core without a network of ours: its commands go to a host, through a ring. What the C ABI
// (node/beamline.h) stands on.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>

#include "chain/lean/fork_choice.h"
#include "loop/reactor_thread.h"
#include "node/command_ring.h"
#include "node/core.h"
#include "node/links.h"
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
};

// Copies of a value that one thread writes and others read, whole: a reader looks again when the
// writer was in between. The writer never waits.
template <class T>
class SequencedCopy {
  static constexpr size_t kWords = (sizeof(T) + 7) / 8;

 public:
  void write(const T& value) {
    std::array<uint64_t, kWords> words{};
    std::memcpy(words.data(), &value, sizeof value);
    const uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    // Each store releases the odd number before it, each load acquires: whoever sees a new word
    // sees that the number moved.
    for (size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
  }
  T read() const {
    for (;;) {
      const uint64_t before = sequence_.load(std::memory_order_acquire);
      std::array<uint64_t, kWords> words;
      for (size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
      if (before % 2 != 0 || sequence_.load(std::memory_order_relaxed) != before) continue;
      T value;
      std::memcpy(static_cast<void*>(&value), words.data(), sizeof value);
      return value;
    }
  }

 private:
  std::atomic<uint64_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};
};

class EmbeddedCore final : public ReactorProgram,
                           public CoreObserver,
                           public NetworkPort,
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
  // Instead of that of the highest slot. `lean`: the same, if it is lean's, whose floor is then
  // told to floor(). Before on_start().
  void set_fork_choice(std::unique_ptr<chain::ForkChoice> fork_choice,
                       const chain::lean::LeanForkChoice* lean) {
    fork_choice_ = std::move(fork_choice);
    lean_ = lean;
  }

  Status on_start(Reactor& reactor) override;
  void on_stop(Reactor& reactor) override;
  PushResult push(chain::Command&& command) override;
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
  // Lean's: the block below which no state is needed (lean::Store::floor_root). Any thread.
  const SequencedCopy<Root>& floor() const { return floor_; }

 private:
  void write_stats();

  chain::ChainConfig config_;
  CommandRing ring_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<InboxPort<chain::Event>> inbox_;
  std::optional<CoreInbox::Gate> gate_;
  Snapshots::Reader snapshots_;
  std::unique_ptr<chain::ForkChoice> fork_choice_;
  const chain::lean::LeanForkChoice* lean_ = nullptr;
  SequencedCopy<Root> floor_;
  Root last_floor_;
  BlockClient* client_ = nullptr;
  WorkerPoolOptions worker_options_;
  WorkerPool workers_;
  SequencedCopy<EmbeddedStats> stats_;
  bool stats_fresh_ = false;
};

}  // namespace beamline::node
