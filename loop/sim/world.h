// The simulated world: one virtual clock, one seeded heap of what happens when, hosts with wall
// clocks of their own, and the turns of the reactors that run in it. The seed and the options
// decide everything: the same two give the same history, bit for bit, and digest() shows it.
//
// One thread runs all of it. Everything here, the wakers included, is used on that thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/rng.h"
#include "base/time.h"
#include "loop/sim/options.h"

namespace beamline::sim {

class Network;
class SimBackend;

using HostId = uint32_t;

// What runs on a backend: a reactor's turn(), or a test's.
class Runnable {
 public:
  // Called when the backend has completions, was woken, or the deadline of its last enter() has
  // come (and now and then for no reason, if the options say so). Reaps, works, and enters once at
  // least; a turn that does not enter sleeps until a completion or a wake.
  virtual void turn() = 0;

 protected:
  ~Runnable() = default;
};

// What the history is made of; see World::record.
enum class Record : uint8_t { turn, wake, completion, segment, datagram, reset, partition, user };
const char* name(Record record);

class World {
 public:
  using Action = std::move_only_function<void()>;

  explicit World(uint64_t seed, const Options& options = {});
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();  // REQUIRES: its backends are gone

  uint64_t seed() const { return seed_; }
  const Options& options() const { return options_; }
  Network& net() { return *net_; }
  // An independent generator for a component of the simulation; the n-th is always the same.
  Rng fork_rng() { return rng_.fork(); }
  // What the kernel and the network draw comes from these bytes while they last, then from the
  // seed again: a fuzzer decides what goes wrong, and in which order. REQUIRES: they outlive it.
  void set_tape(Bytes tape) { tape_ = tape; }

  // ---- Hosts and clocks. A wall clock starts at options().wall_start and keeps the time of the
  // monotonic one until it is stepped or skewed. The monotonic clock is the same on all hosts.
  HostId add_host(uint32_t host_order_address);
  uint32_t hosts() const { return static_cast<uint32_t>(clocks_.size()); }
  MonoTime now() const { return now_; }
  Now now(HostId host) const;
  void step_wall(HostId host, Duration by);
  // The wall clock gains `parts_per_million` from now on. REQUIRES: > -1,000,000.
  void skew_wall(HostId host, int64_t parts_per_million);

  // ---- What happens when. At equal times a draw decides the order. A time that has passed is now.
  void at(MonoTime time, Action action) { push(time, std::move(action), false); }
  void after(Duration delay, Action action) { push(now_ + delay, std::move(action), false); }

  // ---- Running. False from step(): nothing is left to happen.
  bool step();
  void run_until(MonoTime time);
  void run_for(Duration duration) { run_until(now_ + duration); }
  // Until `done()` holds; false if it does not within `limit`.
  template <class Predicate>
    requires requires(Predicate& p) { static_cast<bool>(p()); }
  bool run_until(Predicate&& done, Duration limit) {
    const MonoTime end = now_ + limit;
    while (!done()) {
      if (!step_before(end)) return done();
    }
    return true;
  }
  // Until nothing but partitions and deadlines that never come is left to happen; false if
  // something still is after `limit`.
  bool run_until_idle(Duration limit);
  // No faults from here on: every rate and delay of the kernel is zero and every partition heals.
  // What was lost before stays lost. For tests of liveness: calm, then require progress.
  void calm();

  // ---- The history.
  uint64_t steps() const { return steps_; }
  uint64_t digest() const { return digest_; }
  // Adds a record to the digest (tests may add what they see, as Record::user).
  void record(Record what, uint64_t a, uint64_t b = 0, uint64_t c = 0);

  // ---- For the network and the backends.
  bool chance(Rate rate);         // no draw for 0
  Duration up_to(Duration most);  // uniform in [0, most]; no draw for 0
  uint64_t draw(uint64_t low, uint64_t high);
  uint32_t add_backend(SimBackend* backend);
  void remove_backend(uint32_t index) { backends_[index] = nullptr; }
  SimBackend* backend(uint32_t index) { return backends_[index]; }
  // A turn of the backend at `earliest`, or when the scheduler gets to it.
  void request_turn(SimBackend& backend, MonoTime earliest);
  // For a reactor that is driven from outside: lets the world go on until this backend has a
  // reason to turn, or the deadline has come. Aborts if neither can ever be: a lost wake-up.
  void sleep(SimBackend& backend, MonoTime deadline);

 private:
  struct Entry {
    MonoTime time;
    uint64_t tie;
    uint64_t sequence;
    Action action;
    bool background;
  };
  struct WallClock {
    WallTime base;
    MonoTime since;
    int64_t parts_per_million = 0;
  };
  static bool later(const Entry& a, const Entry& b);
  uint64_t next_tie();

  void push(MonoTime time, Action action, bool background);
  // Runs the next entry if it is due at `end` or before; else moves the clock to `end` (unless
  // that is never) and says false.
  bool step_before(MonoTime end);
  void run_turn(uint32_t index, uint64_t request);
  void plan_partition();

  const uint64_t seed_;
  Options options_;
  Rng rng_;
  Rng ties_;
  Bytes tape_;
  MonoTime now_{1'000'000'000};
  uint64_t sequence_ = 0;
  uint64_t steps_ = 0;
  uint64_t digest_ = 0;
  uint64_t foreground_ = 0;  // entries that are not background
  std::vector<Entry> heap_;
  std::vector<WallClock> clocks_;
  std::vector<SimBackend*> backends_;
  std::unique_ptr<Network> net_;
};

}  // namespace beamline::sim
