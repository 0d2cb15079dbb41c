// The threads on which the client's callbacks run: verification and import of blocks, verification
// of sidecars. The core gives a job and goes on; the result comes back as an event through its
// inbox, in any order. No client callback ever runs on the core's thread.
//
// Bounded: `jobs` wait at most. A full pool refuses, and the core keeps the job and tries again at
// the end of a later turn. Workers sleep on an eventfd while there is nothing to do; that sleep,
// and what the callbacks do, are the only waiting.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "chain/commands.h"
#include "chain/events.h"
#include "loop/work_queue.h"
#include "node/block_client.h"
#include "node/links.h"
#include "node/ports.h"

namespace beamline::node {

struct WorkerPoolOptions {
  uint32_t workers = 2;  // threads
  uint32_t jobs = 64;    // that wait
};

struct WorkerPoolStats {
  uint64_t submitted = 0;
  uint64_t refused = 0;    // the pool was full
  uint64_t wakes = 0;      // writes to the eventfd
  uint64_t finished = 0;   // results that were pushed
  uint64_t threw = 0;      // callbacks that threw
  uint64_t postponed = 0;  // times that a result found no room in the inbox, and waited
};

class WorkerPool final : public WorkPort {
 public:
  WorkerPool() = default;
  ~WorkerPool() override { stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Starts the threads; results go to the core behind `gate`. The client must outlive stop().
  // REQUIRES: not running. Errors: invalid_argument (no worker, no job), closed (the core stopped
  // already), io_error (eventfd).
  Status start(const WorkerPoolOptions& options, const CoreInbox::Gate& gate, BlockClient& client);
  // The thread that submits, once it submits no more. Waits for the callbacks that run; jobs that
  // wait are dropped.
  void stop();

  // The core's thread. `full`: the job is as it was. Never waits.
  PushResult submit(Work&& job) override;
  bool takes_data() const override { return client_->verifies_data(); }

  // The core's thread.
  WorkerPoolStats stats() const;

 private:
  struct Worker {
    CoreInbox::Producer results;
    std::thread thread;
  };
  void body(CoreInbox::Producer& results);
  chain::ImportVerdict run(const chain::ImportBlock& job);
  chain::DataVerdict run(const chain::ImportData& job);
  void sleep() const;
  void wake(uint64_t workers) const;

  std::unique_ptr<WorkQueue<Work>> queue_;
  BlockClient* client_ = nullptr;
  int wake_ = -1;  // eventfd, a semaphore
  std::vector<std::unique_ptr<Worker>> workers_;
  uint64_t submitted_ = 0;
  uint64_t refused_ = 0;
  uint64_t wakes_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> finished_{0};
  std::atomic<uint64_t> threw_{0};
  std::atomic<uint64_t> postponed_{0};
};

}  // namespace beamline::node
