// Ends a reactor on SIGINT and SIGTERM. The handler only sets a flag and writes an eventfd.
#pragma once

#include <csignal>
#include <memory>

#include "loop/reactor.h"

namespace beamline {

class SignalStop final : public TurnHook {
 public:
  explicit SignalStop(Reactor& reactor) : reactor_(reactor), waker_(reactor.backend().waker()) {
    active_ = this;
    for (const int number : {SIGINT, SIGTERM}) std::signal(number, on_signal);
    reactor_.add_hook(*this);
  }
  ~SignalStop() override {
    for (const int number : {SIGINT, SIGTERM}) std::signal(number, SIG_DFL);
    active_ = nullptr;
    reactor_.remove_hook(*this);
  }
  void end_of_turn(Now) override {
    if (raised_ != 0) reactor_.stop();
  }

 private:
  static void on_signal(int) {
    if (active_ == nullptr) return;
    active_->raised_ = 1;
    active_->waker_->wake();
  }
  static inline SignalStop* active_ = nullptr;
  Reactor& reactor_;
  std::shared_ptr<Waker> waker_;
  volatile std::sig_atomic_t raised_ = 0;
};

}  // namespace beamline
