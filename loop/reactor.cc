#include "loop/reactor.h"

#include <algorithm>

#include "loop/log.h"

namespace beamline {

Result<std::unique_ptr<Reactor>> Reactor::create(std::unique_ptr<Backend> backend,
                                                 const ReactorOptions& options) {
  if (options.inbox_messages == 0) return local_error(Code::invalid_argument, "inbox_messages");
  if (options.inbox_time <= Duration{}) return local_error(Code::invalid_argument, "inbox_time");
  if (options.events == 0) return local_error(Code::invalid_argument, "events");
  if (options.stall <= Duration{}) return local_error(Code::invalid_argument, "stall");
  return std::unique_ptr<Reactor>(new Reactor(std::move(backend), options));
}

Reactor::Reactor(std::unique_ptr<Backend> backend, const ReactorOptions& options)
    : options_(options),
      backend_(std::move(backend)),
      now_(backend_->now()),
      flight_(now_.mono),
      timers_(now_.mono),
      events_(options.events) {}

Reactor::~Reactor() {
  BL_CHECK(backend_->in_flight() == 0 && ready_first_ == nullptr && inbox_ == nullptr);
}

void Reactor::run() {
  while (turn()) {
  }
}

void Reactor::shutdown() {
  stop();
  run();
}

// Not in stop() itself: that may be called by a message, and closing the inbox runs messages.
void Reactor::begin_shutdown() {
  shutting_down_ = true;
  if (inbox_ != nullptr) inbox_->close();
  for (Service* service : services_) service->begin_shutdown();
}

bool Reactor::quiet() const {
  return backend_->in_flight() == 0 && ready_first_ == nullptr &&
         std::ranges::all_of(services_, [](const Service* s) { return s->quiet(); });
}

bool Reactor::turn() {
  if (asleep_) inbox_->awake();
  asleep_ = false;
  now_ = backend_->now();
  ++stats_.turns;
  turn_began_.store(now_.mono.ns, std::memory_order_relaxed);
  current_flight = &flight_;
  flight_.begin_turn(now_.mono);
  run_completions();
  run_ready();
  drain_inbox();
  stats_.timers += timers_.fire(now_.mono, &flight_);
  for (size_t i = 0; i < hooks_.size(); ++i) {
    const char* hook = hooks_[i]->hook_name();
    hooks_[i]->end_of_turn(now_);
    flight_.ran(hook);
  }
  if (stopping_ && !shutting_down_) begin_shutdown();
  end_turn();
  flight_.ran("services");
  look_back();
  if (shutting_down_ && quiet()) return false;
  backend_->enter(wait_until());
  return true;
}

void Reactor::look_back() {
  const TurnRecord& turn =
      flight_.end_turn({stats_.completions, stats_.posted, stats_.messages, stats_.timers});
  turn_began_.store(0, std::memory_order_relaxed);
  current_flight = nullptr;
  // Time stamps count faster than nanoseconds on any processor of today, so this asks the clock
  // whenever it might matter, and hardly ever else.
  if (turn.ticks > static_cast<uint64_t>(options_.stall.ns)) note_stall(turn);
}

void Reactor::note_stall(const TurnRecord& turn) {
  const Duration took = backend_->now().mono - turn.start;
  if (took < options_.stall) return;
  ++stats_.stalls;
  stats_.longest_stall = std::max(stats_.longest_stall, took);
  const double share = static_cast<double>(turn.longest_ticks) / static_cast<double>(turn.ticks);
  log_line(LogLevel::warning, "a turn took %.1f ms, of it %.1f ms in one callback: %s",
           to_seconds(took) * 1e3, to_seconds(took) * 1e3 * share, turn.longest);
}

void Reactor::run_completions() {
  event_count_ = backend_->reap(events_);
  stats_.completions += event_count_;
  for (size_t i = 0; i < event_count_; ++i) {
    const Event& event = events_[i];
    Op& op = *event.op;
    Completion completion{.result = event.result, .more = event.more, .lease = {}};
    if (event.has_buffer) {
      completion.lease = op.args.pool->lease(event.buffer, 0, event.buffer_size);
    }
    if (!event.more) op.state = OpState::idle;
    const char* kind = name(op.kind);
    op.callback(op, std::move(completion));
    flight_.ran(kind);
  }
}

void Reactor::post(Ready& ready) {
  if (ready.queued) return;
  ready.queued = true;
  ready.next = nullptr;
  ready.previous = ready_last_;
  (ready_last_ == nullptr ? ready_first_ : ready_last_->next) = &ready;
  ready_last_ = &ready;
}

void Reactor::unpost(Ready& ready) {
  if (!ready.queued) return;
  ready.queued = false;
  (ready.previous == nullptr ? ready_first_ : ready.previous->next) = ready.next;
  (ready.next == nullptr ? ready_last_ : ready.next->previous) = ready.previous;
}

void Reactor::run_ready() {
  // A mark at the end: what is posted while this runs comes behind it, in the next turn.
  Ready mark;
  if (ready_first_ == nullptr) return;
  post(mark);
  while (ready_first_ != &mark) {
    Ready& ready = *ready_first_;
    unpost(ready);
    ++stats_.posted;
    const char* posted = ready.name;
    ready.callback(ready);
    flight_.ran(posted);
  }
  unpost(mark);
}

void Reactor::drain_inbox() {
  if (inbox_ == nullptr) return;
  constexpr size_t kQuantum = 64;
  size_t left = options_.inbox_messages;
  while (left > 0) {
    const size_t limit = std::min(left, kQuantum);
    const size_t done = inbox_->drain(limit);
    flight_.ran("inbox");
    stats_.messages += done;
    left -= done;
    if (done < limit) return;
    // Stamps count faster than nanoseconds, so this asks the clock only when it might be late.
    if (flight_.turn_ticks() < static_cast<uint64_t>(options_.inbox_time.ns)) continue;
    if (backend_->now().mono - now_.mono >= options_.inbox_time) break;
  }
  if (inbox_->has_backlog()) ++stats_.inbox_budget_hit;
}

void Reactor::end_turn() {
  for (Service* service : services_) service->end_turn();
  if (inbox_ != nullptr) inbox_->return_spent();
  for (Pool& pool : pools_) recycle(pool);
}

// Arms waiting sockets, in the order in which they began to wait, as many as there can be buffers
// for. Not only for those that came back in this turn: a receive may have found no buffer just
// before they did and say so now, when nothing is left to come back. One that is armed too early
// waits again, after the completions that hold the buffers.
void Reactor::recycle(Pool& pool) {
  if (!pool.pool->returned().empty()) backend_->recycle(*pool.pool);
  uint32_t free = pool.pool->count() - pool.pool->leased();
  for (; free > 0 && pool.first != nullptr; --free) {
    BufferWaiter& waiter = *pool.first;
    stop_waiting(waiter, *pool.pool);
    ++stats_.rearmed;
    waiter.callback(waiter);
  }
}

MonoTime Reactor::wait_until() {
  if (ready_first_ != nullptr || event_count_ == events_.size()) return now_.mono;
  if (inbox_ != nullptr && !shutting_down_) {
    if (!inbox_->prepare_sleep()) return now_.mono;
    asleep_ = true;
  }
  ++stats_.sleeps;
  return timers_.next_deadline();
}

Status Reactor::add_pool(BufferPool& pool) {
  if (Status added = backend_->add_pool(pool); !added) return added;
  backend_->recycle(pool);
  pools_.push_back({&pool, nullptr, nullptr});
  return {};
}

void Reactor::remove_pool(BufferPool& pool) {
  BL_CHECK(find(pool).first == nullptr);
  std::erase_if(pools_, [&](const Pool& p) { return p.pool == &pool; });
  backend_->remove_pool(pool);
}

Reactor::Pool& Reactor::find(BufferPool& pool) {
  const auto at = std::ranges::find(pools_, &pool, &Pool::pool);
  BL_CHECK(at != pools_.end());
  return *at;
}

void Reactor::wait_for_buffer(BufferWaiter& waiter, BufferPool& pool) {
  if (waiter.queued) return;
  Pool& list = find(pool);
  waiter.queued = true;
  if (waiter.place == 0) waiter.place = ++last_place_;
  BufferWaiter* before = list.last;
  while (before != nullptr && before->place > waiter.place) before = before->previous;
  waiter.previous = before;
  waiter.next = before == nullptr ? list.first : before->next;
  (before == nullptr ? list.first : before->next) = &waiter;
  (waiter.next == nullptr ? list.last : waiter.next->previous) = &waiter;
}

void Reactor::stop_waiting(BufferWaiter& waiter, BufferPool& pool) {
  if (!waiter.queued) return;
  Pool& list = find(pool);
  waiter.queued = false;
  (waiter.previous == nullptr ? list.first : waiter.previous->next) = waiter.next;
  (waiter.next == nullptr ? list.last : waiter.next->previous) = waiter.previous;
}

void Reactor::remove_hook(TurnHook& hook) { std::erase(hooks_, &hook); }

void Reactor::remove_service(Service& service) {
  BL_CHECK(service.quiet());
  std::erase(services_, &service);
}

void Reactor::attach(InboxSource& inbox) {
  BL_CHECK(inbox_ == nullptr);
  inbox_ = &inbox;
}

void Reactor::detach(InboxSource& inbox) {
  BL_CHECK(inbox_ == &inbox);
  if (asleep_) inbox.awake();
  asleep_ = false;
  inbox_ = nullptr;
}

}  // namespace beamline
