// A thread that watches reactors and tells where one is stuck: a turn that is still running after
// 100 ms is interrupted by a signal, and the stack it finds goes to the log.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "base/error.h"
#include "loop/reactor.h"

namespace beamline {

struct WatchdogOptions {
  Duration limit = milliseconds(100);
  Duration interval = milliseconds(25);  // between looks
  int signal = 0;                        // 0: SIGRTMIN + 5. No one else may use it
};

class Watchdog {
 public:
  static constexpr size_t kMaxReactors = 64;

  // Takes over the signal and starts the thread. Errors: invalid_argument (naming the option), full
  // (there is one already).
  static Result<std::unique_ptr<Watchdog>> start(const WatchdogOptions& options = {});
  // REQUIRES: nothing is watched.
  ~Watchdog();
  // The one that lives, if any: a ReactorThread has itself watched by it.
  static Watchdog* current();

  // Watches the reactor of the calling thread while it lives. Both calls on that thread.
  class Watch {
   public:
    Watch(Watchdog& watchdog, const Reactor& reactor);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

   private:
    Watchdog& watchdog_;
    size_t place_ = kMaxReactors;
  };

  // Turns that were caught.
  uint64_t stuck() const { return stuck_.load(); }

 private:
  struct Watched;
  explicit Watchdog(const WatchdogOptions& options);
  static void on_signal(int number);
  bool take_signal();
  void run();
  void look(Watched& watched);
  static void report(const Watched& watched, Duration running);

  static thread_local Watched* mine_;  // of this thread, for the signal handler

  WatchdogOptions options_;
  int wake_ = -1;  // eventfd
  std::unique_ptr<Watched[]> watched_;
  std::atomic<uint64_t> stuck_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace beamline
