// A reactor that lives in a simulated world: the shipped Reactor on a SimBackend, turned by the
// world. Whatever runs on a reactor runs on this one, unchanged.
#pragma once

#include <memory>
#include <utility>

#include "base/check.h"
#include "loop/reactor.h"
#include "loop/sim/backend.h"

namespace beamline::sim {

class SimReactor final : private Runnable {
 public:
  SimReactor(World& world, HostId host, const ReactorOptions& options = {}) {
    auto made = std::make_unique<SimBackend>(world, host);
    backend_ = made.get();
    Result<std::unique_ptr<Reactor>> reactor = Reactor::create(std::move(made), options);
    BL_CHECK(reactor.has_value());
    reactor_ = std::move(*reactor);
    backend_->attach(this);
  }
  SimReactor(const SimReactor&) = delete;
  SimReactor& operator=(const SimReactor&) = delete;
  // REQUIRES: as ~Reactor.
  ~SimReactor() { backend_->attach(nullptr); }

  Reactor& operator*() { return *reactor_; }
  Reactor* operator->() { return reactor_.get(); }
  SimBackend& backend() { return *backend_; }
  // Needed after calls into it from outside its turns (connect, arm, write): the reactor sleeps on
  // what it knew when its last turn ended. Anything may be done before the first turn.
  void wake() { backend_->waker()->wake(); }
  // The address of its host.
  Endpoint endpoint(uint16_t port) {
    return backend_->world().net().endpoint(backend_->host(), port);
  }
  // It was stopped and is quiet. (Reactor::shutdown(), called from outside the world, does both at
  // once: the world goes on until then.)
  bool stopped() const { return stopped_; }

 private:
  void turn() override {
    if (!stopped_) stopped_ = !reactor_->turn();
  }

  SimBackend* backend_ = nullptr;
  std::unique_ptr<Reactor> reactor_;
  bool stopped_ = false;
};

}  // namespace beamline::sim
