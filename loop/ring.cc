#include "loop/ring.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "loop/abi.h"
#include "loop/backends.h"
#include "loop/eventfd_waker.h"
#include "loop/op_list.h"
#include "loop/socket.h"
#include "loop/warm_set.h"

namespace beamline {
namespace {

// user_data: the generation of a slot in the high half, its index in the low half. The two values
// below lie beyond every slot.
constexpr uint64_t kIgnore = UINT64_MAX;  // a cancellation: the target's own completion counts
constexpr uint64_t kWake = UINT64_MAX - 1;

// How old may be what is known of the wall clock, as compared with the monotonic one.
constexpr Duration kWallTimeAge = milliseconds(1);

// What a received datagram brings along: its sender's address, in so many bytes.
constexpr msghdr kReceiveMessage{.msg_name = nullptr,
                                 .msg_namelen = Endpoint::capacity(),
                                 .msg_iov = nullptr,
                                 .msg_iovlen = 0,
                                 .msg_control = nullptr,
                                 .msg_controllen = 0,
                                 .msg_flags = 0};

class Ring final : public Backend {
 public:
  Ring(const RingOptions& options, std::shared_ptr<EventfdWaker> waker)
      : waker_(std::move(waker)), slots_(options.max_ops) {
    for (uint32_t i = options.max_ops; i > 0; --i) free_slot(i - 1);
  }
  ~Ring() override;
  Status open(const RingOptions& options);

  void submit(Op& op) override;
  void cancel(Op& op) override;
  uint32_t in_flight() const override { return in_flight_; }
  void enter(MonoTime deadline) override;
  size_t reap(std::span<Event> out) override;
  Now now() override;
  std::shared_ptr<Waker> waker() override { return waker_; }
  Status add_pool(BufferPool& pool) override;
  void recycle(BufferPool& pool) override;
  void remove_pool(BufferPool& pool) override;
  Result<Socket> listen_tcp(const Endpoint& local, uint32_t backlog) override {
    return socket::listen_tcp(local, backlog, socket::Mode::blocking);
  }
  Result<Socket> open_tcp(sa_family_t family) override {
    return socket::open_tcp(family, socket::Mode::blocking);
  }
  Result<Socket> open_udp(const Endpoint& local) override {
    return socket::open_udp(local, socket::Mode::blocking);
  }
  Endpoint local_endpoint(Socket s) override { return socket::local_endpoint(s); }
  Endpoint remote_endpoint(Socket s) override { return socket::remote_endpoint(s); }
  void close(Socket s) override;
  const BackendStats& stats() const override { return stats_; }
  const char* backend_name() const override { return "io_uring"; }

 private:
  struct Slot {
    Op* op = nullptr;
    uint32_t generation = 0;
    uint32_t next_free = 0;
    bool cancel_waits = false;  // the kernel took no submission when it was cancelled
    uint32_t received = 0;      // the turn in which it received last
  };
  struct BufferRing {
    BufferPool* pool;
    io_uring_buf_ring* ring;
    size_t bytes;
    WarmSet warm;
    uint32_t sockets = 0;  // that received in this turn
  };

  void free_slot(uint32_t index) {
    slots_[index].op = nullptr;
    slots_[index].next_free = first_free_;
    first_free_ = index;
  }
  static uint64_t user_data(const Slot& slot, uint32_t index) {
    return static_cast<uint64_t>(slot.generation) << 32 | index;
  }
  io_uring_sqe* get_sqe();
  void prepare(io_uring_sqe& sqe, const Op& op);
  bool try_submit(Op& op);
  void submit_deferred();
  bool try_cancel(const Slot& slot, uint32_t index);
  void cancel_deferred();
  void arm_wake_poll();
  unsigned flush_sq();
  int system_enter(unsigned to_submit, unsigned wait_for, unsigned flags,
                   const __kernel_timespec* timeout);
  bool convert(const io_uring_cqe& cqe, Event& event);
  void end(Op& op);
  BufferRing& find(const BufferPool& pool);
  static void fill(BufferRing& to);
  void received(Slot& slot);
  void starved(const Slot& slot);

  std::shared_ptr<EventfdWaker> waker_;
  std::vector<Slot> slots_;
  std::vector<BufferRing> buffer_rings_;
  uint32_t first_free_ = Op::kNoSlot;
  uint32_t in_flight_ = 0;
  OpList deferred_;   // the submission queue had no room for them
  OpList cancelled_;  // of those, cancelled before they could enter
  uint32_t cancels_waiting_ = 0;
  bool fill_ = false;  // the kernel found no buffer; it may have more
  uint32_t turn_ = 1;
  unsigned enter_flags_ = 0;
  bool open_ = false;
  bool wake_armed_ = false;
  io_uring ring_{};
  int64_t mono_to_wall_ = 0;
  int64_t wall_read_again_ = INT64_MIN;  // by the monotonic clock
  BackendStats stats_;
};

// Everything that liburing 2.3 cannot do with this set of flags is done by hand below.
Status Ring::open(const RingOptions& options) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
  params.cq_entries = options.cq_entries;
  if (waker_->fd() < 0) return local_error(Code::io_error, "eventfd", errno);
  const int rc = io_uring_queue_init_params(options.sq_entries, &ring_, &params);
  if (rc < 0) return std::unexpected(ring_error(find_obstacle(-rc, read_machine()), -rc));
  open_ = true;
  io_uring_register_ring_fd(&ring_);  // saves a look-up per call; harmless where it fails
  const bool newer = !options.only_linux_6_1;
  if (newer && (params.features & abi::kFeatureNoIowait) != 0) enter_flags_ |= abi::kEnterNoIowait;
  // The default of 50 us is how late a wait with a timeout may end.
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  return {};
}

// A ring that is left with operations in flight holds its sockets for a while after it is gone, and
// the kernel may still write into their buffers: so cancel everything and wait for the last.
Ring::~Ring() {
  if (!open_) return;
  BL_CHECK(in_flight_ == 0 && buffer_rings_.empty());
  if (wake_armed_) {
    io_uring_sqe* sqe;
    while ((sqe = get_sqe()) == nullptr) {
    }
    io_uring_prep_cancel64(sqe, kWake, 0);
    io_uring_sqe_set_data64(sqe, kIgnore);
    std::array<Event, 8> none;
    while (wake_armed_) {
      system_enter(flush_sq(), 1, IORING_ENTER_GETEVENTS, nullptr);
      reap(none);
    }
  }
  io_uring_queue_exit(&ring_);
}

// ---- Submission

io_uring_sqe* Ring::get_sqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe != nullptr) return sqe;
  ++stats_.sq_full;
  system_enter(flush_sq(), 0, 0, nullptr);
  return io_uring_get_sqe(&ring_);
}

void Ring::prepare(io_uring_sqe& sqe, const Op& op) {
  const int fd = op.socket.fd;
  switch (op.kind) {
    case OpKind::accept:
      io_uring_prep_multishot_accept(&sqe, fd, nullptr, nullptr, SOCK_CLOEXEC);
      return;
    case OpKind::connect:
      io_uring_prep_connect(&sqe, fd, op.args.endpoint->data(), op.args.endpoint->size());
      return;
    case OpKind::recv:
      io_uring_prep_recv_multishot(&sqe, fd, nullptr, 0, 0);
      sqe.flags |= IOSQE_BUFFER_SELECT;
      sqe.buf_group = op.args.pool->group();
      return;
    case OpKind::send:
      io_uring_prep_send(&sqe, fd, op.args.send.data, op.args.send.size,
                         MSG_NOSIGNAL | MSG_WAITALL);
      return;
    case OpKind::send_msg:
      io_uring_prep_sendmsg(&sqe, fd, op.args.message, MSG_NOSIGNAL | MSG_WAITALL);
      return;
    case OpKind::shutdown:
      io_uring_prep_shutdown(&sqe, fd, op.args.write_only ? SHUT_WR : SHUT_RDWR);
      return;
    case OpKind::recv_msg:
      io_uring_prep_recvmsg_multishot(&sqe, fd, const_cast<msghdr*>(&kReceiveMessage), 0);
      sqe.flags |= IOSQE_BUFFER_SELECT;
      sqe.buf_group = op.args.pool->group();
      return;
    case OpKind::none:
      break;
  }
  BL_CHECK(false && "an operation that this backend knows");
}

bool Ring::try_submit(Op& op) {
  io_uring_sqe* sqe = get_sqe();
  if (sqe == nullptr) return false;
  prepare(*sqe, op);
  io_uring_sqe_set_data64(sqe, user_data(slots_[op.slot], op.slot));
  op.state = OpState::in_kernel;
  ++stats_.submitted;
  return true;
}

void Ring::submit(Op& op) {
  BL_CHECK(op.idle() && op.kind != OpKind::none && op.socket.valid() && op.callback != nullptr);
  BL_CHECK(first_free_ != Op::kNoSlot);
  Slot& slot = slots_[first_free_];
  op.slot = first_free_;
  first_free_ = slot.next_free;
  slot.op = &op;
  ++slot.generation;
  ++in_flight_;
  if (deferred_.empty() && try_submit(op)) return;
  op.state = OpState::queued;
  deferred_.append(op);
  ++stats_.deferred;
}

void Ring::submit_deferred() {
  while (!deferred_.empty()) {
    Op& op = *deferred_.first;
    const bool cancelled = op.state == OpState::canceling;
    if (!cancelled && !try_submit(op)) return;
    deferred_.take_first();
    if (cancelled) cancelled_.append(op);
  }
}

bool Ring::try_cancel(const Slot& slot, uint32_t index) {
  io_uring_sqe* sqe = get_sqe();
  if (sqe == nullptr) return false;
  io_uring_prep_cancel64(sqe, user_data(slot, index), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(sqe, kIgnore);
  return true;
}

void Ring::cancel(Op& op) {
  if (op.slot == Op::kNoSlot || op.state == OpState::canceling) return;
  Slot& slot = slots_[op.slot];
  if (op.state == OpState::in_kernel && !try_cancel(slot, op.slot)) {
    slot.cancel_waits = true;
    ++cancels_waiting_;
    ++stats_.deferred;
  }
  // One that still waits for room never enters the kernel: submit_deferred() ends it.
  op.state = OpState::canceling;
}

// So rare (the kernel has to refuse all submissions for a while) that a look at every slot will do.
void Ring::cancel_deferred() {
  for (uint32_t index = 0; index < slots_.size() && cancels_waiting_ > 0; ++index) {
    Slot& slot = slots_[index];
    if (!slot.cancel_waits) continue;
    if (!try_cancel(slot, index)) return;
    slot.cancel_waits = false;
    --cancels_waiting_;
  }
}

void Ring::arm_wake_poll() {
  io_uring_sqe* sqe = get_sqe();
  if (sqe == nullptr) return;
  io_uring_prep_poll_multishot(sqe, waker_->fd(), POLLIN);
  io_uring_sqe_set_data64(sqe, kWake);
  wake_armed_ = true;
}

// What liburing's __io_uring_flush_sq does, which 2.3 does not export. Returns how many the kernel
// has not taken yet.
unsigned Ring::flush_sq() {
  io_uring_sq& sq = ring_.sq;
  unsigned tail = *sq.ktail;
  const unsigned mask = *sq.kring_mask;
  while (sq.sqe_head != sq.sqe_tail) {
    sq.array[tail & mask] = sq.sqe_head & mask;
    ++tail;
    ++sq.sqe_head;
  }
  std::atomic_ref<unsigned>(*sq.ktail).store(tail, std::memory_order_release);
  return tail - std::atomic_ref<unsigned>(*sq.khead).load(std::memory_order_acquire);
}

int Ring::system_enter(unsigned to_submit, unsigned wait_for, unsigned flags,
                       const __kernel_timespec* timeout) {
  if (wait_for > 0) flags |= enter_flags_;
  if ((ring_.int_flags & 1) != 0) flags |= IORING_ENTER_REGISTERED_RING;
  ++stats_.enters;
  const auto fd = static_cast<unsigned>(ring_.enter_ring_fd);
  // Without a timeout there is nothing that the kernel had to copy.
  if (timeout == nullptr) return io_uring_enter2(fd, to_submit, wait_for, flags, nullptr, 0);
  io_uring_getevents_arg arg{};
  arg.sigmask_sz = _NSIG / 8;
  arg.ts = std::bit_cast<uint64_t>(timeout);
  return io_uring_enter2(fd, to_submit, wait_for, flags | IORING_ENTER_EXT_ARG,
                         reinterpret_cast<sigset_t*>(&arg), sizeof arg);
}

void Ring::enter(MonoTime deadline) {
  ++turn_;
  if (std::exchange(fill_, false)) std::ranges::for_each(buffer_rings_, fill);
  if (!wake_armed_) arm_wake_poll();
  if (cancels_waiting_ > 0) cancel_deferred();
  if (!deferred_.empty()) submit_deferred();
  const unsigned to_submit = flush_sq();
  const unsigned sq_flags = std::atomic_ref<unsigned>(*ring_.sq.kflags).load();
  if ((sq_flags & IORING_SQ_CQ_OVERFLOW) != 0) ++stats_.cq_overflow;
  const bool kernel_work = (sq_flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  // Nobody sleeps over what the kernel would not take, least of all over the wake.
  const bool all_handed_over = deferred_.empty() && cancels_waiting_ == 0 && wake_armed_;
  bool wait = io_uring_cq_ready(&ring_) == 0 && cancelled_.empty() && all_handed_over;
  __kernel_timespec timeout{};
  const bool timed = wait && deadline != MonoTime::never();
  if (timed) {
    const Duration left = deadline - now().mono;
    wait = left > Duration{};
    if (wait) timeout = {left.ns / 1'000'000'000, left.ns % 1'000'000'000};
  }
  if (to_submit == 0 && !wait && !kernel_work) return;
  // Completions appear only when asked for (DEFER_TASKRUN), so every call asks.
  const int rc = system_enter(to_submit, wait ? 1 : 0, IORING_ENTER_GETEVENTS,
                              timed && wait ? &timeout : nullptr);
  // ETIME: the deadline. EINTR: a signal. EAGAIN, EBUSY: no memory or an overflow; what was not
  // taken is still in the queue and goes with the next turn.
  BL_CHECK(rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY);
}

// ---- Completion

bool Ring::convert(const io_uring_cqe& cqe, Event& event) {
  if (cqe.user_data == kIgnore) return false;
  const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (cqe.user_data == kWake) {
    ++stats_.wakes;
    if (!more) wake_armed_ = false;
    return false;
  }
  const auto index = static_cast<uint32_t>(cqe.user_data);
  BL_CHECK(index < slots_.size());
  Slot& slot = slots_[index];
  if (slot.op == nullptr || slot.generation != cqe.user_data >> 32) {
    ++stats_.stale;
    return false;
  }
  event.op = slot.op;
  event.result = cqe.res;
  event.more = more;
  event.has_buffer = (cqe.flags & IORING_CQE_F_BUFFER) != 0;
  event.buffer = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
  event.buffer_size = event.has_buffer && cqe.res > 0 ? static_cast<uint32_t>(cqe.res) : 0;
  if (event.has_buffer && slot.received != turn_) received(slot);
  if (cqe.res == -ENOBUFS) starved(slot);
  ++stats_.completions;
  if (!more) end(*slot.op);
  return true;
}

// From here on a cancel() of it has no effect; the reactor makes it idle before its callback.
void Ring::end(Op& op) {
  if (std::exchange(slots_[op.slot].cancel_waits, false)) --cancels_waiting_;
  free_slot(std::exchange(op.slot, Op::kNoSlot));
  --in_flight_;
}

size_t Ring::reap(std::span<Event> out) {
  io_uring_cq& cq = ring_.cq;
  const unsigned mask = *cq.kring_mask;
  unsigned head = *cq.khead;
  const unsigned tail = std::atomic_ref<unsigned>(*cq.ktail).load(std::memory_order_acquire);
  size_t count = 0;
  for (; !cancelled_.empty() && count < out.size(); ++count) {
    Op& op = cancelled_.take_first();
    end(op);
    out[count] = Event{.op = &op, .result = -ECANCELED};
  }
  for (; head != tail && count < out.size(); ++head) {
    if (convert(cq.cqes[head & mask], out[count])) ++count;
  }
  std::atomic_ref<unsigned>(*cq.khead).store(head, std::memory_order_release);
  return count;
}

// A turn may take a microsecond, so it looks at one clock: what a step of the other does to the
// difference between them is seen within kWallTimeAge.
Now Ring::now() {
  timespec clock;
  clock_gettime(CLOCK_MONOTONIC, &clock);
  const int64_t mono = clock.tv_sec * 1'000'000'000 + clock.tv_nsec;
  if (mono >= wall_read_again_) {
    clock_gettime(CLOCK_REALTIME, &clock);
    mono_to_wall_ = clock.tv_sec * 1'000'000'000 + clock.tv_nsec - mono;
    wall_read_again_ = mono + kWallTimeAge.ns;
  }
  return {MonoTime{mono}, WallTime{mono + mono_to_wall_}};
}

// ---- Buffers

Status Ring::add_pool(BufferPool& pool) {
  const size_t bytes = pool.count() * sizeof(io_uring_buf);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return local_error(Code::io_error, "buffer ring", errno);
  io_uring_buf_reg registration{};
  registration.ring_addr = std::bit_cast<uint64_t>(memory);
  registration.ring_entries = pool.count();
  registration.bgid = pool.group();
  if (const int rc = io_uring_register_buf_ring(&ring_, &registration, 0); rc < 0) {
    munmap(memory, bytes);
    return local_error(Code::io_error, "buffer ring", -rc);
  }
  buffer_rings_.push_back({&pool, static_cast<io_uring_buf_ring*>(memory), bytes,
                           WarmSet(pool.count(), pool.buffer_size()), 0});
  io_uring_buf_ring_init(buffer_rings_.back().ring);
  return {};
}

Ring::BufferRing& Ring::find(const BufferPool& pool) {
  for (BufferRing& each : buffer_rings_) {
    if (each.pool == &pool) return each;
  }
  check_failed("a pool that was added", __FILE__, __LINE__);
}

void Ring::recycle(BufferPool& pool) {
  BufferRing& to = find(pool);
  to.warm.put(pool.returned(), std::exchange(to.sockets, 0));
  pool.clear_returned();
  fill(to);
}

void Ring::fill(BufferRing& to) {
  BufferPool& pool = *to.pool;
  const int mask = static_cast<int>(pool.count() - 1);
  int added = 0;
  while (const std::optional<uint16_t> id = to.warm.take()) {
    io_uring_buf_ring_add(to.ring, pool.address(*id), pool.buffer_size(), *id, mask, added++);
  }
  if (added > 0) io_uring_buf_ring_advance(to.ring, added);
}

void Ring::received(Slot& slot) {
  slot.received = turn_;
  ++find(*slot.op->args.pool).sockets;
}

// A send may say -ENOBUFS too. And a socket that emptied the ring itself has had its share.
void Ring::starved(const Slot& slot) {
  ++stats_.out_of_buffers;
  const Op& op = *slot.op;
  if (op.kind != OpKind::recv && op.kind != OpKind::recv_msg) return;
  if (slot.received != turn_) find(*op.args.pool).warm.starved();
  fill_ = true;
}

void Ring::remove_pool(BufferPool& pool) {
  BufferRing& ring = find(pool);
  io_uring_unregister_buf_ring(&ring_, pool.group());
  munmap(ring.ring, ring.bytes);
  std::swap(ring, buffer_rings_.back());
  buffer_rings_.pop_back();
}

void Ring::close(Socket s) {
  // A submission that has not entered the kernel would hit the next owner of the number.
  if (const unsigned left = flush_sq(); left > 0) system_enter(left, 0, 0, nullptr);
  ::close(s.fd);
}

}  // namespace

Result<std::unique_ptr<Backend>> make_ring(const RingOptions& options) {
  const auto power_of_two = [](uint32_t n) { return std::has_single_bit(n) && n <= 32'768; };
  if (!power_of_two(options.sq_entries)) return local_error(Code::invalid_argument, "sq_entries");
  if (!power_of_two(options.cq_entries) || options.cq_entries < options.sq_entries) {
    return local_error(Code::invalid_argument, "cq_entries");
  }
  if (options.max_ops == 0 || options.max_ops > (1u << 24)) {
    return local_error(Code::invalid_argument, "max_ops");
  }
  RingOptions masked = options;
  if (const char* mask = std::getenv("BEAMLINE_RING_MASK"); mask != nullptr && *mask != '\0') {
    if (std::string_view(mask) != "6.1") {
      return local_error(Code::invalid_argument, "BEAMLINE_RING_MASK");
    }
    masked.only_linux_6_1 = true;
  }
  auto ring = std::make_unique<Ring>(options, std::make_shared<EventfdWaker>());
  if (Status opened = ring->open(masked); !opened) return std::unexpected(opened.error());
  return ring;
}

}  // namespace beamline
