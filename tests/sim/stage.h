// Where an injection plays: two reactors, and what the world does to them between two steps. In the
// simulation here; on real rings, with a kernel that refuses at times, in
// tests/loop/ring_injection_test.cc.
#pragma once

#include <functional>

#include "base/bytes.h"
#include "loop/sim/reactor.h"

namespace beamline::sim {

// An injection's operations in flight, at most, on one reactor: three for a stream, one for the
// listener, one and the sends for a UDP socket.
inline constexpr size_t kInjectionClients = 8;
inline constexpr uint32_t kInjectionSends = 3;
inline constexpr uint32_t kInjectionOps = 3 * kInjectionClients + 1 + 1 + kInjectionSends;

class Stage {
 public:
  virtual ~Stage() = default;
  virtual Reactor& a() = 0;
  virtual Reactor& b() = 0;
  // Where a socket of theirs may be bound.
  virtual Endpoint a_local() = 0;
  virtual Endpoint b_local() = 0;
  // One thing happens.
  virtual void step() = 0;
  virtual void run_for(Duration duration) = 0;
  virtual void step_wall(bool of_b, Duration by) = 0;
  // From here on nothing is lost, refused or late.
  virtual void calm() = 0;
  virtual bool run_until(const std::function<bool()>& done, Duration limit) = 0;
  // Nothing is left of the reactors' sockets.
  virtual bool clean() = 0;

  // What they were told from outside their turns is looked at.
  void wake() {
    a().backend().waker()->wake();
    b().backend().waker()->wake();
  }
};

// What the budgets of an injection's reactors are.
ReactorOptions injection_reactor_options(uint64_t seed);

class SimStage final : public Stage {
 public:
  // The seed decides the options of the world. `tape` must outlive it.
  SimStage(uint64_t seed, const Options& options, Bytes tape)
      : world_(seed, bounded(options)),
        a_(world_, world_.add_host(0x0a000001), injection_reactor_options(seed)),
        b_(world_, world_.add_host(0x0a000002), injection_reactor_options(seed)) {
    world_.set_tape(tape);
  }
  Reactor& a() override { return *a_; }
  Reactor& b() override { return *b_; }
  Endpoint a_local() override { return a_.endpoint(9000); }
  Endpoint b_local() override { return b_.endpoint(9000); }
  void step() override { world_.step(); }
  void run_for(Duration duration) override { world_.run_for(duration); }
  void step_wall(bool of_b, Duration by) override { world_.step_wall(of_b ? 1 : 0, by); }
  void calm() override { world_.calm(); }
  bool run_until(const std::function<bool()>& done, Duration limit) override {
    return world_.run_until(done, limit);
  }
  bool clean() override {
    return a_.backend().open_sockets() == 0 && b_.backend().open_sockets() == 0;
  }
  uint64_t digest() const { return world_.digest(); }

 private:
  // As many operations as there can be, so that one more is seen (and a world is made quickly).
  static Options bounded(Options options) {
    options.max_ops = kInjectionOps;
    return options;
  }
  World world_;
  SimReactor a_, b_;
};

}  // namespace beamline::sim
