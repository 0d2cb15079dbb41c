#include "node/store_thread.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace beamline::node {
namespace {

enum Class : uint8_t { kAck };
// Of the acknowledgements; each says what all before it said.
constexpr uint32_t kAckNodes = 256;

void add_one(int fd) {
  const uint64_t one = 1;
  [[maybe_unused]] const long written = syscall(SYS_write, fd, &one, sizeof one);
}

ssize_t read_eventfd(int fd, uint64_t& value) { return ::read(fd, &value, sizeof value); }

}  // namespace

Status StoreThread::start(const StoreThreadOptions& options, const CoreInbox::Gate& gate,
                          chain::Store& store, chain::StoreAnchor anchor) {
  BL_CHECK(!thread_.joinable());
  options_ = options;
  store_ = &store;
  anchor_ = std::move(anchor);
  const std::array classes = {InboxClass{.nodes = kAckNodes}};
  auto acks = gate.make_producer(classes);
  if (!acks) return local_error(Code::closed, "core");
  acks_ = std::move(*acks);
  wake_ = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
  stop_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_ < 0 || stop_ < 0) return local_error(Code::io_error, "eventfd", errno);
  queue_ = std::make_unique<Queue>(options.jobs + 1);
  thread_ = std::thread([this] { body(); });
  pthread_setname_np(thread_.native_handle(), "bl-store");
  return {};
}

PushResult StoreThread::push(chain::Persist&& persist) {
  Job job = std::move(persist);
  const PushResult pushed = push_job(std::move(job));
  if (pushed == PushResult::full) persist = std::get<chain::Persist>(std::move(job));
  return pushed;
}

PushResult StoreThread::read(chain::ReadBlocks&& read) {
  Job job = std::move(read);
  const PushResult pushed = push_job(std::move(job));
  if (pushed == PushResult::full) read = std::get<chain::ReadBlocks>(std::move(job));
  return pushed;
}

PushResult StoreThread::push_job(Job&& job) {
  const Queue::Pushed pushed = queue_->push(std::move(job));
  if (pushed == Queue::Pushed::full) return PushResult::full;
  if (pushed == Queue::Pushed::ok_wake) add_one(wake_);
  return PushResult::ok;
}

void StoreThread::stop() {
  if (thread_.joinable()) {
    add_one(stop_);
    // An id that no Persist has: the last. Here we may wait for its place.
    while (push(chain::Persist{}) == PushResult::full) poll(nullptr, 0, 1);
    thread_.join();
  }
  acks_ = {};
  queue_.reset();
  for (int* fd : {&wake_, &stop_}) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
  }
}

void StoreThread::body() {
  while (!last_ || !persists_.empty()) {
    take_waiting(persists_.empty() && reads_.empty());
    std::deque<chain::Persist> group;
    while (!persists_.empty() && group.size() < options_.group) {
      group.push_back(std::move(persists_.front()));
      persists_.pop_front();
    }
    // Stopped while the store fails: the rest stays unacknowledged.
    if (!group.empty() && !write_all(group)) return;
    if (reads_.empty()) continue;
    answer(reads_.front());
    reads_.pop_front();
  }
}

// What is in the queue; with `wait`, one at least.
void StoreThread::take_waiting(bool wait) {
  if (wait && !last_) {
    if (queue_->begin_take()) {
      uint64_t token = 0;
      while (read_eventfd(wake_, token) < 0 && errno == EINTR) continue;
    }
    take(std::move(*queue_->end_take()));
  }
  // (What comes is bounded: by what may be unacknowledged and unanswered.)
  while (!last_) {
    auto job = queue_->try_take();
    if (!job) return;
    take(std::move(*job));
  }
}

void StoreThread::take(Job&& job) {
  if (auto* wanted = std::get_if<chain::ReadBlocks>(&job))
    return reads_.push_back(std::move(*wanted));
  auto& persist = std::get<chain::Persist>(job);
  last_ = persist.id == 0;
  if (!last_) persists_.push_back(std::move(persist));
}

void StoreThread::answer(const chain::ReadBlocks& read) {
  reads_done_.fetch_add(1, std::memory_order_relaxed);
  tell(store_->read(read));
}

void StoreThread::fail_reads(const Error& error) {
  take_waiting(false);
  for (const chain::ReadBlocks& read : reads_) {
    tell(chain::BlocksRead{.id = read.id, .blocks = {}, .looked = 0, .next = 0, .error = error});
  }
  reads_.clear();
}

bool StoreThread::write_all(const std::deque<chain::Persist>& group) {
  Duration delay = options_.retry_first;
  for (;;) {
    const Status written = try_write(group);
    if (written) break;
    failures_.fetch_add(1, std::memory_order_relaxed);
    tell(chain::PersistFailed{written.error()});
    fail_reads(written.error());
    pause(delay);
    delay = std::min(delay * 2, options_.retry_last);
    pollfd stopped{stop_, POLLIN, 0};
    const bool stopping = poll(&stopped, 1, 0) > 0;
    const auto opened = store_->open(anchor_);
    if (!opened) tell(chain::PersistFailed{opened.error()});
    // One more attempt when it is stopped.
    if (stopping && (!opened || !try_write(group))) return false;
    if (stopping) break;
  }
  applied_.fetch_add(group.size(), std::memory_order_relaxed);
  acknowledged_.store(group.back().id, std::memory_order_release);
  tell(chain::Persisted{group.back().id});
  return true;
}

Status StoreThread::try_write(const std::deque<chain::Persist>& group) {
  for (const chain::Persist& persist : group) {
    if (Status applied = store_->apply(persist); !applied) return applied;
  }
  syncs_.fetch_add(1, std::memory_order_relaxed);
  return store_->sync();
}

// The core must hear of it: a full inbox is waited for, on this thread.
void StoreThread::tell(chain::Event event) {
  while (acks_.try_push(kAck, std::move(event)) == PushResult::full) {
    pollfd stopped{stop_, POLLIN, 0};
    if (poll(&stopped, 1, 1) > 0) return;
  }
}

void StoreThread::pause(Duration duration) const {
  pollfd stopped{stop_, POLLIN, 0};
  poll(&stopped, 1, static_cast<int>(duration.ns / 1'000'000));
}

StoreThreadStats StoreThread::stats() const {
  StoreThreadStats stats;
  stats.applied = applied_.load(std::memory_order_relaxed);
  stats.acknowledged = acknowledged_.load(std::memory_order_acquire);
  stats.syncs = syncs_.load(std::memory_order_relaxed);
  stats.failures = failures_.load(std::memory_order_relaxed);
  stats.reads = reads_done_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace beamline::node
