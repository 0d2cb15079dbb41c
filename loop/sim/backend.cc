#include "loop/sim/backend.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace beamline::sim {

class SimWaker final : public Waker {
 public:
  explicit SimWaker(SimBackend* backend) : backend_(backend) {}
  void wake() override {
    if (backend_ != nullptr) backend_->wake_requested();
  }
  void forget() { backend_ = nullptr; }

 private:
  SimBackend* backend_;
};

SimBackend::SimBackend(World& world, HostId host)
    : world_(world),
      host_(host),
      index_(world.add_backend(this)),
      waker_(std::make_shared<SimWaker>(this)),
      slots_(world.options().max_ops) {
  BL_CHECK(host < world.hosts());
  for (uint32_t i = world.options().max_ops; i > 0; --i) {
    slots_[i - 1].next_free = std::exchange(first_free_, i - 1);
  }
}

SimBackend::~SimBackend() {
  BL_CHECK(in_flight_ == 0 && !in_turn_ && !sleeping_);
  for (size_t fd = 0; fd < sockets_.size(); ++fd) {
    if (sockets_[fd].kind != SocketKind::free) close({static_cast<int32_t>(fd)});
  }
  waker_->forget();
  world_.remove_backend(index_);
}

std::shared_ptr<Waker> SimBackend::waker() { return waker_; }

void SimBackend::attach(Runnable* runnable) {
  runnable_ = runnable;
  if (runnable != nullptr) world_.request_turn(*this, world_.now());
}

// ---- Operations

uint64_t SimBackend::fingerprint(const Op& op) {
  uint64_t hash = 0xcbf2'9ce4'8422'2325ull;
  const auto add = [&hash](const void* memory, size_t size) {
    const auto* bytes = static_cast<const uint8_t*>(memory);
    for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100'0000'01b3ull;
  };
  add(&op.kind, sizeof op.kind);
  add(&op.socket.fd, sizeof op.socket.fd);
  add(&op.owner, sizeof op.owner);
  add(&op.callback, sizeof op.callback);
  switch (op.kind) {
    case OpKind::connect:
      add(op.args.endpoint->data(), op.args.endpoint->size());
      break;
    case OpKind::recv:
    case OpKind::recv_msg:
      add(&op.args.pool, sizeof op.args.pool);
      break;
    case OpKind::send:
      add(&op.args.send.size, sizeof op.args.send.size);
      add(op.args.send.data, op.args.send.size);
      break;
    case OpKind::send_msg:
      for (size_t i = 0; i < op.args.message->msg_iovlen; ++i) {
        const iovec& part = op.args.message->msg_iov[i];
        add(part.iov_base, part.iov_len);
      }
      break;
    case OpKind::accept:
    case OpKind::shutdown:
    case OpKind::none:
      break;
  }
  return hash;
}

void SimBackend::submit(Op& op) {
  BL_CHECK(op.idle() && op.kind != OpKind::none && op.callback != nullptr);
  BL_CHECK(first_free_ != kNone);  // fewer than max_ops in flight
  ++sock(op.socket).ops;
  const uint32_t index = first_free_;
  Slot& slot = slots_[index];
  first_free_ = slot.next_free;
  slot = {.op = &op, .serial = next_serial_++, .fingerprint = fingerprint(op)};
  op.slot = index;
  op.state = OpState::queued;
  queued_.push_back(index);
  ++in_flight_;
}

void SimBackend::cancel(Op& op) {
  if (op.slot == kNone || op.state == OpState::canceling) return;
  BL_CHECK(slots_[op.slot].op == &op);
  op.state = OpState::canceling;
  cancels_.push_back({op.slot, slots_[op.slot].serial});
}

void SimBackend::apply_cancel(Cancel cancel) {
  const Slot& slot = slots_[cancel.slot];
  if (slot.op == nullptr || slot.serial != cancel.serial || slot.ended) return;
  post(cancel.slot, -ECANCELED, false);
}

// What io_uring_enter does with the submission queue.
void SimBackend::hand_over() {
  size_t count = queued_.size();
  if (count > 1 && world_.chance(world_.options().partial_submit)) {
    count = world_.draw(1, count);
    stats_.deferred += queued_.size() - count;
  }
  for (size_t i = 0; i < count; ++i) {
    const uint32_t index = queued_[i];
    Op& op = *slots_[index].op;
    // One that was cancelled while it waited may never get into the kernel, or just before.
    if (op.state == OpState::canceling && world_.draw(0, 1) == 0) continue;
    if (op.state == OpState::queued) op.state = OpState::in_kernel;
    ++stats_.submitted;
    issue(index);
  }
  queued_.erase(queued_.begin(), queued_.begin() + static_cast<ptrdiff_t>(count));
  const auto waits = [this](uint32_t slot) {
    return std::find(queued_.begin(), queued_.end(), slot) != queued_.end();
  };
  std::vector<Cancel> later;
  for (const Cancel cancel : std::exchange(cancels_, {})) {
    if (waits(cancel.slot)) {
      later.push_back(cancel);
    } else if (slots_[cancel.slot].issued && world_.chance(world_.options().cancel_late)) {
      const uint32_t self = index_;
      world_.after(world_.up_to(milliseconds(2)), [&world = world_, self, cancel] {
        if (SimBackend* backend = world.backend(self)) backend->apply_cancel(cancel);
      });
    } else {
      apply_cancel(cancel);
    }
  }
  cancels_ = std::move(later);
}

// ---- The turn

void SimBackend::enter(MonoTime deadline) {
  ++stats_.enters;
  hand_over();
  deadline_ = queued_.empty() ? deadline : world_.now();
  if (world_.chance(world_.options().spurious_turn)) {
    deadline_ = std::min(deadline_, world_.now() + world_.up_to(milliseconds(1)));
  }
  if (in_turn_ || sleeping_) return;
  // The turn of a caller from outside takes its time here.
  sleeping_ = true;
  world_.run_for(world_.options().turn_cost);
  world_.sleep(*this, deadline_);
  sleeping_ = false;
  woken_ = false;
  world_.request_turn(*this, has_reason() ? world_.now() : deadline_);
}

void SimBackend::begin_turn() {
  in_turn_ = true;
  woken_ = false;
  deadline_ = MonoTime::never();
}

void SimBackend::end_turn() {
  in_turn_ = false;
  busy_until_ = world_.now() + world_.options().turn_cost;
  world_.request_turn(*this, has_reason() ? world_.now() : deadline_);
}

void SimBackend::wake_requested() {
  if (wake_on_its_way_) return;
  wake_on_its_way_ = true;
  const uint32_t self = index_;
  world_.after(world_.up_to(world_.options().wake_delay), [&world = world_, self] {
    SimBackend* backend = world.backend(self);
    if (backend == nullptr) return;
    backend->wake_on_its_way_ = false;
    backend->woken_ = true;
    ++backend->stats_.wakes;
    world.record(Record::wake, self);
    world.request_turn(*backend, world.now());
  });
}

// ---- Completions

void SimBackend::disarm(Sock& s, uint32_t slot) {
  for (uint32_t* armed : {&s.accepting, &s.connecting, &s.receiving, &s.sending}) {
    if (*armed == slot) *armed = kNone;
  }
}

void SimBackend::post(uint32_t index, Event event) {
  Slot& slot = slots_[index];
  BL_CHECK(slot.op != nullptr && !slot.ended);  // nothing after the last completion
  Sock& s = sock(slot.op->socket);
  event.op = slot.op;
  if (unreaped_ >= world_.options().cq_capacity) {
    ++stats_.cq_overflow;
    event.more = false;
  }
  if (!event.more) {
    slot.ended = true;
    disarm(s, index);
  }
  ++unreaped_;
  MonoTime visible = world_.now() + world_.up_to(world_.options().completion_delay);
  if (visible <= s.last_visible) visible = s.last_visible + nanoseconds(1);
  if (visible == world_.now()) return deliver(index, event);
  s.last_visible = visible;
  // The operation is in flight until this is reaped, so the backend is still there then.
  world_.at(visible, [this, index, event] { deliver(index, event); });
}

void SimBackend::deliver(uint32_t index, Event event) {
  world_.record(Record::completion, uint64_t{index_} << 32 | index, slots_[index].serial,
                static_cast<uint64_t>(event.result));
  ready_.emplace_back(index, event);
  if (!in_turn_) world_.request_turn(*this, world_.now());
}

size_t SimBackend::reap(std::span<Event> out) {
  size_t count = 0;
  for (; count < out.size() && !ready_.empty(); ++count) {
    const auto [index, event] = ready_.front();
    ready_.pop_front();
    out[count] = event;
    --unreaped_;
    ++stats_.completions;
    if (event.more) continue;
    Slot& slot = slots_[index];
    Op& op = *event.op;
    BL_CHECK(slot.op == &op && slot.ended && op.slot == index && !op.idle());
    BL_CHECK(slot.fingerprint == fingerprint(op));  // nobody touched what was submitted
    --sock(op.socket).ops;
    --in_flight_;
    slot.op = nullptr;
    op.slot = kNone;
    slot.next_free = std::exchange(first_free_, index);
  }
  return count;
}

// ---- Buffers

Status SimBackend::add_pool(BufferPool& pool) {
  for (const Held& each : pools_) {
    if (each.pool->group() == pool.group()) {
      return local_error(Code::io_error, "buffer ring", EEXIST);
    }
  }
  pools_.push_back({&pool, {}});
  return {};
}

SimBackend::Held& SimBackend::held(const BufferPool& pool) {
  const auto found = std::ranges::find(pools_, &pool, &Held::pool);
  BL_CHECK(found != pools_.end());  // a pool that was added
  return *found;
}

void SimBackend::recycle(BufferPool& pool) {
  Held& to = held(pool);
  to.ids.insert(to.ids.end(), pool.returned().begin(), pool.returned().end());
  pool.clear_returned();
  BL_CHECK(to.ids.size() + pool.leased() <= pool.count());  // no buffer came home twice
}

void SimBackend::remove_pool(BufferPool& pool) {
  for (const Slot& slot : slots_) {
    if (slot.op == nullptr) continue;
    const bool receives = slot.op->kind == OpKind::recv || slot.op->kind == OpKind::recv_msg;
    BL_CHECK(!receives || slot.op->args.pool != &pool);
  }
  held(pool);
  std::erase_if(pools_, [&pool](const Held& each) { return each.pool == &pool; });
}

}  // namespace beamline::sim
