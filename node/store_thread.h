// The thread that writes to the store, and reads from it what peers ask for. It takes what the core
// wants persisted, as much as waits at once, applies it, syncs once, and acknowledges through the
// core's inbox: what was acknowledged is on the disk. Between two such groups it reads once, if a
// read waits: writes come first.
//
// When the store fails, the core is told (PersistFailed), the store is opened again, and what was
// not acknowledged is applied again from the first on, until it works or the thread is stopped.
// Reads that wait meanwhile fail.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <variant>

#include "chain/store.h"
#include "loop/work_queue.h"
#include "node/links.h"
#include "node/ports.h"

namespace beamline::node {

struct StoreThreadOptions {
  uint32_t jobs = 256;                      // Persists and reads that wait
  uint32_t group = 64;                      // of them, with one sync
  Duration retry_first = milliseconds(50);  // doubles
  Duration retry_last = seconds(5);
};

struct StoreThreadStats {
  uint64_t applied = 0;
  uint64_t acknowledged = 0;  // the highest id
  uint64_t syncs = 0;
  uint64_t failures = 0;
  uint64_t reads = 0;  // answered
};

class StoreThread final : public StorePort {
 public:
  StoreThread() = default;
  ~StoreThread() override { stop(); }
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // The store is open, and from now on the thread's alone, until stop(). `anchor` is what it was
  // opened with. REQUIRES: not running. Errors: closed (the core stopped already), io_error.
  Status start(const StoreThreadOptions& options, const CoreInbox::Gate& gate, chain::Store& store,
               chain::StoreAnchor anchor);
  // The thread that pushes, once it pushes no more. What waits is written, unless the store fails.
  void stop();

  // The core's thread. `full`: the Persist is as it was. Never waits.
  PushResult push(chain::Persist&& persist) override;
  PushResult read(chain::ReadBlocks&& read) override;
  // Any thread.
  StoreThreadStats stats() const;

 private:
  using Job = std::variant<chain::Persist, chain::ReadBlocks>;
  using Queue = WorkQueue<Job>;
  PushResult push_job(Job&& job);
  void body();
  void take_waiting(bool wait);
  void take(Job&& job);
  void answer(const chain::ReadBlocks& read);
  void fail_reads(const Error& error);
  // True: everything in `group` is on the disk.
  bool write_all(const std::deque<chain::Persist>& group);
  Status try_write(const std::deque<chain::Persist>& group);
  void tell(chain::Event event);
  void pause(Duration duration) const;

  StoreThreadOptions options_;
  chain::Store* store_ = nullptr;
  chain::StoreAnchor anchor_;
  CoreInbox::Producer acks_;
  std::unique_ptr<Queue> queue_;
  // The thread's own.
  std::deque<chain::Persist> persists_;
  std::deque<chain::ReadBlocks> reads_;
  bool last_ = false;  // nothing comes any more
  int wake_ = -1;      // eventfd, a semaphore
  int stop_ = -1;      // eventfd
  std::thread thread_;
  std::atomic<uint64_t> applied_{0};
  std::atomic<uint64_t> acknowledged_{0};
  std::atomic<uint64_t> syncs_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> reads_done_{0};
};

}  // namespace beamline::node
