// The event loop: one thread, one backend, one inbox.
//
// A turn, in this order:
//  1. Completions are reaped into a list, then their callbacks run. No callback runs inside
//     another one's submit, so the stack stays flat.
//  2. What was posted to the ready list before or during (1) runs. What it posts runs in the next
//     turn.
//  3. The inbox is drained within its budget of messages and of time.
//  4. Timers that are due fire.
//  5. End-of-turn hooks run, in the order they were added: here work of the whole turn leaves as
//     one batch.
//  6. Services end their turn: sockets hand over what was written, spent inbox nodes and receive
//     buffers go home, sockets that had no buffer are armed again.
//  7. Everything is submitted with one system call, which also waits if nothing is left to do:
//     no ready callback, no inbox backlog, no completion.
//
// All of it on the thread that calls run() or turn(), which must be the one that made the backend.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "loop/backend.h"
#include "loop/flight_recorder.h"
#include "loop/timer.h"

namespace beamline {

// Something to run in the next turn, once; allocated by its owner.
struct Ready {
  using Callback = void (*)(Ready& ready);
  Ready() = default;
  Ready(Callback fn, void* context) : callback(fn), owner(context) {}
  Ready(const Ready&) = delete;
  Ready& operator=(const Ready&) = delete;
  ~Ready() { BL_CHECK(!queued); }

  Callback callback = nullptr;
  void* owner = nullptr;
  const char* name = "posted";  // a literal, for the flight recorder
  Ready* next = nullptr;
  Ready* previous = nullptr;
  bool queued = false;
};

// Runs at the end of every turn. Must not block; may post, arm, write and submit.
class TurnHook {
 public:
  virtual ~TurnHook() = default;
  virtual void end_of_turn(Now now) = 0;
  virtual const char* hook_name() const { return "hook"; }  // for the flight recorder
};

// The reactor's side of an inbox, whatever its messages are; see InboxPort in loop/inbox_port.h.
class InboxSource {
 public:
  virtual ~InboxSource() = default;
  virtual size_t drain(size_t limit) = 0;
  virtual bool has_backlog() const = 0;
  virtual void return_spent() = 0;
  virtual bool prepare_sleep() = 0;
  virtual void awake() = 0;
  // Refuses later pushes and runs what came before.
  virtual void close() = 0;
};

// A socket that found no receive buffer and waits for one to come back.
struct BufferWaiter {
  using Callback = void (*)(BufferWaiter& waiter);
  Callback callback = nullptr;
  void* owner = nullptr;
  // Its place in the line. Who was armed and found no buffer once more waits at the same place:
  // a receive may take every buffer there is, so those that are armed behind it go without. The
  // owner sets 0 when it received something.
  uint64_t place = 0;
  BufferWaiter* next = nullptr;
  BufferWaiter* previous = nullptr;
  bool queued = false;
};

// A part of the loop that owns operations (sockets).
class Service {
 public:
  virtual ~Service() = default;
  virtual void end_turn() = 0;
  // Starts to close everything; the reactor turns until quiet().
  virtual void begin_shutdown() = 0;
  virtual bool quiet() const = 0;
};

struct ReactorOptions {
  uint32_t inbox_messages = 1024;         // a turn's budget
  Duration inbox_time = milliseconds(1);  // looked at every 64 messages
  uint32_t events = 512;                  // completions a turn
  // A turn that takes longer is counted, and logged with its longest callback.
  Duration stall = milliseconds(5);
};

struct ReactorStats {
  uint64_t turns = 0;
  uint64_t completions = 0;
  uint64_t posted = 0;
  uint64_t messages = 0;
  uint64_t timers = 0;
  uint64_t sleeps = 0;            // turns that ended with a wait
  uint64_t inbox_budget_hit = 0;  // turns that left messages for the next one
  uint64_t rearmed = 0;           // sockets that waited for a buffer
  uint64_t stalls = 0;            // turns longer than the option `stall`
  Duration longest_stall;
};

class Reactor {
 public:
  // Fails with invalid_argument, naming the option, if a budget is 0.
  static Result<std::unique_ptr<Reactor>> create(std::unique_ptr<Backend> backend,
                                                 const ReactorOptions& options = {});
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  // REQUIRES: nothing in flight: run() has returned after stop(), or shutdown() was called; no
  // inbox attached.
  ~Reactor();

  // The time at which this turn began: one value for all that happens in it.
  Now now() const { return now_; }
  Backend& backend() { return *backend_; }

  // ---- Turning
  // One turn; waits in it if there is nothing to do. False once it was stopped and is quiet.
  bool turn();
  // Turns until stopped and quiet: every socket closed, zero operations in flight. After that the
  // ports can be bound again at once.
  void run();
  // Before this turn ends the inbox closes and services begin to close their sockets. From the
  // reactor's thread, anywhere.
  void stop() { stopping_ = true; }
  // stop() and run().
  void shutdown();
  bool stopping() const { return stopping_; }

  // ---- For drivers and hooks
  void arm(Timer& timer, MonoTime deadline) { timers_.arm(timer, deadline); }
  void arm_in(Timer& timer, Duration delay) { timers_.arm(timer, now_.mono + delay); }
  void disarm(Timer& timer) { timers_.disarm(timer); }
  // Runs it in the next turn (or in this one, if its turn's ready list has not run). Posting what
  // is posted changes nothing.
  void post(Ready& ready);
  void unpost(Ready& ready);
  void submit(Op& op) { backend_->submit(op); }
  void cancel(Op& op) { backend_->cancel(op); }
  // Pools, hooks and services are registered at start-up and taken out before they die.
  Status add_pool(BufferPool& pool);
  // A number for a pool, that no other pool of this reactor has.
  uint16_t take_pool_group() { return next_pool_group_++; }
  void remove_pool(BufferPool& pool);
  void wait_for_buffer(BufferWaiter& waiter, BufferPool& pool);
  void stop_waiting(BufferWaiter& waiter, BufferPool& pool);
  void add_hook(TurnHook& hook) { hooks_.push_back(&hook); }
  void remove_hook(TurnHook& hook);
  void add_service(Service& service) { services_.push_back(&service); }
  void remove_service(Service& service);
  // At most one. REQUIRES: none attached.
  void attach(InboxSource& inbox);
  void detach(InboxSource& inbox);

  const ReactorStats& stats() const { return stats_; }
  const FlightRecorder& flight() const { return flight_; }
  // When the turn that runs began, by the monotonic clock; 0 between turns. Any thread.
  const std::atomic<int64_t>& turn_began() const { return turn_began_; }

 private:
  struct Pool {
    BufferPool* pool;
    BufferWaiter* first;
    BufferWaiter* last;
  };

  Reactor(std::unique_ptr<Backend> backend, const ReactorOptions& options);
  void run_completions();
  void run_ready();
  void drain_inbox();
  void begin_shutdown();
  void end_turn();
  void look_back();
  void note_stall(const TurnRecord& turn);
  void recycle(Pool& pool);
  Pool& find(BufferPool& pool);
  bool quiet() const;
  MonoTime wait_until();

  const ReactorOptions options_;
  std::unique_ptr<Backend> backend_;
  Now now_;
  FlightRecorder flight_;
  std::atomic<int64_t> turn_began_{0};
  TimerWheel timers_;
  std::vector<Event> events_;
  size_t event_count_ = 0;  // of the last reap
  Ready* ready_first_ = nullptr;
  Ready* ready_last_ = nullptr;
  InboxSource* inbox_ = nullptr;
  std::vector<Pool> pools_;
  uint16_t next_pool_group_ = 16;  // below: fixed ones
  std::vector<TurnHook*> hooks_;
  std::vector<Service*> services_;
  uint64_t last_place_ = 0;  // of a BufferWaiter
  bool asleep_ = false;      // the inbox says idle
  bool stopping_ = false;
  bool shutting_down_ = false;
  ReactorStats stats_;
};

}  // namespace beamline
