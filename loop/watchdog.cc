#include "loop/watchdog.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include <execinfo.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop/log.h"

namespace beamline {
namespace {

std::atomic<Watchdog*> the_watchdog{nullptr};

enum Place : int { kFree, kTaken, kLookedAt };

int64_t mono_now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

// A reactor that leaves waits out a look at its place, which is short; so neither it nor its thread
// is gone while the watchdog uses them.
struct Watchdog::Watched {
  static constexpr int kFrames = 48;

  std::atomic<int> place{kFree};
  const std::atomic<int64_t>* turn_began = nullptr;
  pthread_t thread{};
  int64_t reported = 0;  // the beginning of the turn that was caught last
  std::array<void*, kFrames> frames{};
  std::atomic<int> captured{0};  // frames; what the signal handler sets last
};

constinit thread_local Watchdog::Watched* Watchdog::mine_ = nullptr;

Result<std::unique_ptr<Watchdog>> Watchdog::start(const WatchdogOptions& options) {
  if (options.limit <= Duration{}) return local_error(Code::invalid_argument, "limit");
  if (options.interval < milliseconds(1)) return local_error(Code::invalid_argument, "interval");
  if (options.signal < 0 || options.signal > SIGRTMAX) {
    return local_error(Code::invalid_argument, "signal");
  }
  std::unique_ptr<Watchdog> watchdog(new Watchdog(options));
  if (watchdog->wake_ < 0) return local_error(Code::io_error, "eventfd", errno);
  Watchdog* none = nullptr;
  if (!the_watchdog.compare_exchange_strong(none, watchdog.get())) {
    return local_error(Code::full, "watchdog");
  }
  if (!watchdog->take_signal()) return local_error(Code::invalid_argument, "signal", errno);
  watchdog->thread_ = std::thread([w = watchdog.get()] { w->run(); });
  return watchdog;
}

Watchdog::Watchdog(const WatchdogOptions& options)
    : options_(options),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      watched_(std::make_unique<Watched[]>(kMaxReactors)) {
  if (options_.signal == 0) options_.signal = SIGRTMIN + 5;
}

bool Watchdog::take_signal() {
  // The first backtrace() loads a library, which a signal handler must not do.
  void* frame = nullptr;
  backtrace(&frame, 1);
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  return sigaction(options_.signal, &action, nullptr) == 0;
}

Watchdog* Watchdog::current() { return the_watchdog.load(); }

Watchdog::~Watchdog() {
  Watchdog* self = this;
  the_watchdog.compare_exchange_strong(self, nullptr);
  for (size_t i = 0; i < kMaxReactors; ++i) BL_CHECK(watched_[i].place.load() == kFree);
  if (thread_.joinable()) {
    stop_.store(true);
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
    thread_.join();
    std::signal(options_.signal, SIG_IGN);
  }
  if (wake_ >= 0) ::close(wake_);
}

Watchdog::Watch::Watch(Watchdog& watchdog, const Reactor& reactor) : watchdog_(watchdog) {
  for (size_t i = 0; i < kMaxReactors; ++i) {
    Watched& watched = watchdog.watched_[i];
    if (watched.place.load(std::memory_order_acquire) != kFree) continue;
    int free = kFree;
    if (!watched.place.compare_exchange_strong(free, kLookedAt)) continue;
    watched.turn_began = &reactor.turn_began();
    watched.thread = pthread_self();
    watched.reported = 0;
    mine_ = &watched;
    place_ = i;
    watched.place.store(kTaken, std::memory_order_release);
    return;
  }
}

Watchdog::Watch::~Watch() {
  if (place_ == kMaxReactors) return;
  Watched& watched = watchdog_.watched_[place_];
  for (int taken = kTaken; !watched.place.compare_exchange_strong(taken, kFree); taken = kTaken) {
    sched_yield();
  }
  mine_ = nullptr;
}

void Watchdog::on_signal(int) {
  const int kept = errno;
  Watched* watched = mine_;
  if (watched != nullptr && watched->captured.load(std::memory_order_acquire) == 0) {
    const int count = backtrace(watched->frames.data(), Watched::kFrames);
    watched->captured.store(count, std::memory_order_release);
  }
  errno = kept;
}

void Watchdog::run() {
  pthread_setname_np(pthread_self(), "watchdog");
  const LogThread log("watchdog");
  while (!stop_.load()) {
    for (size_t i = 0; i < kMaxReactors; ++i) {
      Watched& watched = watched_[i];
      int taken = kTaken;
      if (!watched.place.compare_exchange_strong(taken, kLookedAt)) continue;
      look(watched);
      watched.place.store(kTaken, std::memory_order_release);
    }
    pollfd wake{.fd = wake_, .events = POLLIN, .revents = 0};
    ::poll(&wake, 1, static_cast<int>(options_.interval.ns / 1'000'000));
  }
}

void Watchdog::look(Watched& watched) {
  const int64_t began = watched.turn_began->load(std::memory_order_relaxed);
  if (began == 0 || began == watched.reported) return;
  const Duration running{mono_now() - began};
  if (running < options_.limit) return;
  watched.reported = began;
  watched.captured.store(0, std::memory_order_release);
  if (pthread_kill(watched.thread, options_.signal) != 0) return;
  // The thread runs, so the signal comes at once; on a full machine, when it is its turn.
  for (int i = 0; i < 100 && watched.captured.load(std::memory_order_acquire) == 0; ++i) {
    pollfd wake{.fd = wake_, .events = POLLIN, .revents = 0};
    ::poll(&wake, 1, 1);
  }
  report(watched, running);
  stuck_.fetch_add(1);
}

void Watchdog::report(const Watched& watched, Duration running) {
  const int count = watched.captured.load(std::memory_order_acquire);
  log_line(LogLevel::error, "a turn has been running for %lld ms; its stack, %d frames:",
           static_cast<long long>(running.ns / 1'000'000), count);
  char** names = backtrace_symbols(watched.frames.data(), count);
  if (names == nullptr) return;
  for (int i = 0; i < count; ++i) log_line(LogLevel::error, "  #%d %s", i, names[i]);
  std::free(names);
}

}  // namespace beamline
