#include "node/worker_pool.h"

#include <array>
#include <cerrno>
#include <string>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace beamline::node {
namespace {

enum Class : uint8_t { kResult };
constexpr int kRetryMs = 1;

}  // namespace

Status WorkerPool::start(const WorkerPoolOptions& options, const CoreInbox::Gate& gate,
                         BlockClient& client) {
  BL_CHECK(workers_.empty());
  if (options.workers == 0) return local_error(Code::invalid_argument, "workers");
  if (options.jobs == 0) return local_error(Code::invalid_argument, "jobs");
  wake_ = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
  if (wake_ < 0) return local_error(Code::io_error, "eventfd", errno);
  queue_ = std::make_unique<WorkQueue<Work>>(options.jobs);
  client_ = &client;
  stopping_.store(false, std::memory_order_relaxed);
  // A result holds its node until the core has run it and ended its turn; a worker has one job at a
  // time, so this many are under way only while the core does not turn at all.
  const std::array classes = {InboxClass{.nodes = options.jobs * 2 + 64}};
  for (uint32_t i = 0; i < options.workers; ++i) {
    auto results = gate.make_producer(classes);
    if (!results) {
      stop();
      return local_error(Code::closed, "core");
    }
    workers_.push_back(std::make_unique<Worker>());
    Worker& worker = *workers_.back();
    worker.results = std::move(*results);
    worker.thread = std::thread([this, &worker] { body(worker.results); });
    const std::string name = "bl-worker-" + std::to_string(i);
    pthread_setname_np(worker.thread.native_handle(), name.substr(0, 15).c_str());
  }
  return {};
}

void WorkerPool::stop() {
  if (queue_ == nullptr) return;
  stopping_.store(true, std::memory_order_release);
  const auto running = static_cast<uint32_t>(workers_.size());
  wake(queue_->close(running));
  for (const auto& worker : workers_) worker->thread.join();
  workers_.clear();
  queue_.reset();
  close(wake_);
  wake_ = -1;
}

PushResult WorkerPool::submit(Work&& job) {
  using Pushed = WorkQueue<Work>::Pushed;
  const Pushed pushed = queue_->push(std::move(job));
  if (pushed == Pushed::full) {
    ++refused_;
    return PushResult::full;
  }
  ++submitted_;
  if (pushed == Pushed::ok_wake) {
    ++wakes_;
    wake(1);
  }
  return PushResult::ok;
}

void WorkerPool::wake(uint64_t workers) const {
  if (workers == 0) return;
  // As loop/eventfd_waker.h; it could only block after 2^64 - 2 sleeps.
  [[maybe_unused]] const long written = syscall(SYS_write, wake_, &workers, sizeof workers);
}

void WorkerPool::sleep() const {
  uint64_t token = 0;
  while (read(wake_, &token, sizeof token) < 0 && errno == EINTR) continue;
}

void WorkerPool::body(CoreInbox::Producer& results) {
  for (;;) {
    if (queue_->begin_take()) sleep();
    const std::optional<Work> job = queue_->end_take();
    if (!job) return;
    chain::Event result =
        std::visit([&](const auto& what) { return chain::Event(run(what)); }, *job);
    while (results.try_push(kResult, std::move(result)) == PushResult::full) {
      postponed_.fetch_add(1, std::memory_order_relaxed);
      if (stopping_.load(std::memory_order_acquire)) return;
      poll(nullptr, 0, kRetryMs);
    }
    finished_.fetch_add(1, std::memory_order_relaxed);
  }
}

chain::ImportVerdict WorkerPool::run(const chain::ImportBlock& job) {
  chain::ImportVerdict result;
  try {
    result.verdict = client_->verify(job.block, job.origin);
    if (result.verdict == chain::Verdict::valid) result = client_->import(job.block, job.origin);
  } catch (...) {
    threw_.fetch_add(1, std::memory_order_relaxed);
    result.verdict = chain::Verdict::try_again;
  }
  result.import = job.import;
  return result;
}

chain::DataVerdict WorkerPool::run(const chain::ImportData& job) {
  chain::DataVerdict result{.id = job.id, .verdict = chain::Verdict::try_again};
  try {
    result.verdict = client_->verify_data(job);
  } catch (...) {
    threw_.fetch_add(1, std::memory_order_relaxed);
  }
  if (result.verdict == chain::Verdict::valid) result.bytes = job.bytes;
  return result;
}

WorkerPoolStats WorkerPool::stats() const {
  WorkerPoolStats stats;
  stats.submitted = submitted_;
  stats.refused = refused_;
  stats.wakes = wakes_;
  stats.finished = finished_.load(std::memory_order_relaxed);
  stats.threw = threw_.load(std::memory_order_relaxed);
  stats.postponed = postponed_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace beamline::node
