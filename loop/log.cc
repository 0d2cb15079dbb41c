#include "loop/log.h"

#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

namespace beamline {

// One producer, the thread; one consumer, the log thread.
class LogRing {
 public:
  struct Line {
    int64_t wall;
    uint16_t size;
    LogLevel level;
    char text[Log::kMaxText];
  };

  LogRing(std::string_view name, uint32_t lines)
      : lines_(std::make_unique<Line[]>(lines)), mask_(lines - 1) {
    std::memcpy(name_, name.data(), std::min(name.size(), sizeof name_ - 1));
  }
  std::string_view name() const { return name_; }

  // Null when full.
  Line* space() {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) <= mask_) return &lines_[tail & mask_];
    dropped.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  void push() { tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  const Line* front() const {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    return head == tail_.load(std::memory_order_acquire) ? nullptr : &lines_[head & mask_];
  }
  void pop() { head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  std::atomic<bool> closed{false};
  std::atomic<uint64_t> dropped{0};
  uint64_t dropped_told = 0;  // the log thread's

 private:
  char name_[16] = {};
  std::unique_ptr<Line[]> lines_;
  const uint64_t mask_;
  alignas(64) std::atomic<uint64_t> tail_{0};
  alignas(64) std::atomic<uint64_t> head_{0};
};

namespace {

std::atomic<Log*> the_log{nullptr};
thread_local Log* attached_log = nullptr;
thread_local LogRing* attached_ring = nullptr;

}  // namespace

const char* name(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "unknown";
}

Log::Log(LogSink& sink, const LogOptions& options)
    : sink_(sink), options_(options), wake_(eventfd(0, EFD_CLOEXEC)) {
  BL_CHECK(std::has_single_bit(options.lines) && options.lines <= (1u << 20) && wake_ >= 0);
  BL_CHECK(the_log.exchange(this) == nullptr);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "log");
    run();
  });
}

Log::~Log() {
  BL_CHECK(the_log.exchange(nullptr) == this);
  stop_.store(true, std::memory_order_release);
  poke();
  thread_.join();
  ::close(wake_);
  for (const auto& ring : rings_) BL_CHECK(ring.load() == nullptr);
}

LogStats Log::stats() const {
  return {written_.load(std::memory_order_relaxed), dropped_.load(std::memory_order_relaxed),
          refused_.load(std::memory_order_relaxed)};
}

// One write for all that comes until the log thread looks again. What was pushed before is seen by
// it then: both use the same word, and each change of it reads the one before.
void Log::poke() {
  if (poked_.exchange(true, std::memory_order_acq_rel)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
}

void Log::run() {
  for (bool stopping = false; !stopping;) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof count);
    stopping = stop_.load(std::memory_order_acquire);
    poked_.exchange(false, std::memory_order_acq_rel);
    bool any = false;
    for (std::atomic<LogRing*>& slot : rings_) {
      LogRing* ring = slot.load(std::memory_order_acquire);
      if (ring == nullptr) continue;
      // Looked at before draining: what the thread wrote last is not left behind.
      const bool closed = ring->closed.load(std::memory_order_acquire);
      any |= drain(*ring);
      if (!closed) continue;
      slot.store(nullptr, std::memory_order_release);
      delete ring;
    }
    if (any) sink_.flush();
  }
}

bool Log::drain(LogRing& ring) {
  bool any = false;
  while (const LogRing::Line* line = ring.front()) {
    sink_.write({WallTime{line->wall}, line->level, ring.name(), {line->text, line->size}});
    ring.pop();
    written_.fetch_add(1, std::memory_order_relaxed);
    any = true;
  }
  const uint64_t dropped = ring.dropped.load(std::memory_order_relaxed);
  if (dropped == ring.dropped_told) return any;
  sink_.dropped(ring.name(), dropped - ring.dropped_told);
  dropped_.fetch_add(dropped - ring.dropped_told, std::memory_order_relaxed);
  ring.dropped_told = dropped;
  return true;
}

LogThread::LogThread(std::string_view name) : log_(the_log.load()) {
  if (log_ == nullptr) return;
  BL_CHECK(attached_ring == nullptr);
  auto ring = std::make_unique<LogRing>(name, log_->options_.lines);
  for (std::atomic<LogRing*>& slot : log_->rings_) {
    LogRing* none = nullptr;
    if (!slot.compare_exchange_strong(none, ring.get())) continue;
    attached_ring = ring.release();
    attached_log = log_;
    return;
  }
  log_->refused_.fetch_add(1, std::memory_order_relaxed);
  log_ = nullptr;
}

LogThread::~LogThread() {
  if (log_ == nullptr) return;
  std::exchange(attached_ring, nullptr)->closed.store(true, std::memory_order_release);
  attached_log = nullptr;
  log_->poke();
}

void log_line(LogLevel level, const char* format, ...) {
  LogRing* ring = attached_ring;
  if (ring == nullptr || level < attached_log->options_.level) return;
  LogRing::Line* line = ring->space();
  if (line != nullptr) {
    timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    line->wall = wall.tv_sec * 1'000'000'000 + wall.tv_nsec;
    line->level = level;
    va_list arguments;
    va_start(arguments, format);
    const int size = std::vsnprintf(line->text, sizeof line->text, format, arguments);
    va_end(arguments);
    line->size = static_cast<uint16_t>(std::clamp<int>(size, 0, sizeof line->text - 1));
    ring->push();
  }
  attached_log->poke();
}

}  // namespace beamline
