// A reactor on a real ring (or on epoll; see tests/loop/backends.h), turned by the test.
#pragma once

#include <memory>

#include <gtest/gtest.h>

#include "loop/reactor.h"
#include "loop/tcp.h"
#include "tests/loop/backends.h"
#include "tests/own_loopback.h"

namespace beamline {

// While it lives no turn of the reactor waits longer than a millisecond.
class Tick {
 public:
  explicit Tick(Reactor& reactor) : reactor_(reactor) { again(); }
  ~Tick() { reactor_.disarm(timer_); }

 private:
  void again() { reactor_.arm(timer_, reactor_.backend().now().mono + milliseconds(1)); }
  Reactor& reactor_;
  Timer timer_{[](Timer& timer) { static_cast<Tick*>(timer.owner)->again(); }, this};
};

class RingTest : public testing::Test {
 protected:
  void SetUp() override { reset(); }
  void reset(const RingOptions& ring = {}, const ReactorOptions& options = {}) {
    reactor_.reset();
    auto backend = make_test_backend(ring);
    ASSERT_TRUE(backend) << to_string(backend.error());
    auto reactor = Reactor::create(std::move(*backend), options);
    ASSERT_TRUE(reactor) << to_string(reactor.error());
    reactor_ = std::move(*reactor);
  }
  void TearDown() override {
    if (reactor_) reactor_->shutdown();
  }
  Backend& backend() { return reactor_->backend(); }

  // Turns until `done()`. False after 40 seconds, which no test needs: it hangs.
  template <class Predicate>
  [[nodiscard]] bool turn_until(Predicate done) {
    const Tick tick(*reactor_);
    const MonoTime end = backend().now().mono + seconds(40);
    while (!done()) {
      if (backend().now().mono > end) return false;
      reactor_->turn();
    }
    return true;
  }

  std::unique_ptr<Reactor> reactor_;
};

class RingTcpTest : public RingTest {
 protected:
  void SetUp() override { reset_tcp({}); }
  void reset_tcp(const TcpOptions& options, const RingOptions& ring = {}) {
    if (reactor_) reactor_->shutdown();
    tcp_.reset();
    reset(ring);
    auto tcp = Tcp::create(*reactor_, options);
    ASSERT_TRUE(tcp) << to_string(tcp.error());
    tcp_ = std::move(*tcp);
  }
  void TearDown() override {
    if (reactor_) reactor_->shutdown();
    tcp_.reset();
  }
  // Declare one after the handlers of a test: their streams end before they do.
  struct Closer {
    explicit Closer(RingTcpTest& test) : test_(test) {}
    ~Closer() { test_.reactor_->shutdown(); }
    RingTcpTest& test_;
  };

  std::unique_ptr<Tcp> tcp_;
};

}  // namespace beamline
