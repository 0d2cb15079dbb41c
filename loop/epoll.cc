#include "loop/epoll.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/poison.h"
#include "loop/eventfd_waker.h"
#include "loop/op_list.h"
#include "loop/socket.h"

namespace beamline {
namespace {

constexpr uint64_t kWake = UINT64_MAX;
// An attempt that has to wait until the socket is ready.
constexpr int32_t kWait = INT32_MIN;
// Completions of one socket in one go, so that a busy one leaves room for others.
constexpr uint32_t kBurst = 16;
// Enters in a row that find completions of their own and do not look at other sockets.
constexpr uint32_t kSkips = 4;

// Op::slot tells where an operation is.
constexpr uint32_t kActive = 0;
constexpr uint32_t kEnded = 1;  // its last completion waits to be reaped

// In front of a datagram, as io_uring puts it there (io_uring_recvmsg_out).
struct DatagramHeader {
  uint32_t name_size;
  uint32_t control_size;
  uint32_t payload_size;
  uint32_t flags;
};
constexpr size_t kFront = sizeof(DatagramHeader) + Endpoint::capacity();

class Epoll final : public Backend {
 public:
  Epoll(const EpollOptions& options, std::shared_ptr<EventfdWaker> waker)
      : options_(options), waker_(std::move(waker)), kernel_events_(options.events) {
    completions_.reserve(2 * options.completion_limit);
  }
  ~Epoll() override;
  Status open();

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
    return socket::listen_tcp(local, backlog, socket::Mode::non_blocking);
  }
  Result<Socket> open_tcp(sa_family_t family) override {
    return socket::open_tcp(family, socket::Mode::non_blocking);
  }
  Result<Socket> open_udp(const Endpoint& local) override {
    return socket::open_udp(local, socket::Mode::non_blocking);
  }
  Endpoint local_endpoint(Socket s) override { return socket::local_endpoint(s); }
  Endpoint remote_endpoint(Socket s) override { return socket::remote_endpoint(s); }
  void close(Socket s) override;
  const BackendStats& stats() const override { return stats_; }
  const char* backend_name() const override { return "epoll"; }

 private:
  // What waits on one file descriptor. Readiness is edge-triggered: a flag falls when an attempt
  // would block, and rises with the next edge.
  struct Waiting {
    Op* reader = nullptr;  // accept, recv, recv_msg
    OpList writers;        // connect, send, send_msg: in the order of submission
    bool registered = false;
    bool readable = true;
    bool writable = true;
    bool ended = false;  // the peer has shut its side, or an error is pending
    bool hot = false;    // in hot_
  };
  struct Held {
    BufferPool* pool;
    std::vector<uint16_t> ids;
  };

  static bool reads(OpKind kind);
  size_t unreaped() const { return completions_.size() - reaped_; }
  void hand_over();
  void begin(Op& op);
  void pump_reader(int32_t fd);
  void pump_writers(int32_t fd);
  bool read_once(Waiting& waiting, Op& op);
  int32_t accept_once(Op& op);
  int32_t receive(Waiting& waiting, Op& op, uint16_t id);
  static int32_t receive_datagram(Op& op, uint16_t id);
  static int32_t attempt_write(const Op& op);
  int wait_for_edge(Waiting& waiting, int32_t fd);
  void complete(Op& op, Event event);
  int wait(MonoTime deadline, bool poll_only);
  void take(const epoll_event& event);
  Held& held(const BufferPool& pool);

  const EpollOptions options_;
  std::shared_ptr<EventfdWaker> waker_;
  int fd_ = -1;
  std::vector<epoll_event> kernel_events_;
  std::vector<Waiting> sockets_;  // by file descriptor
  std::vector<int32_t> hot_;      // a reader that stopped while there was more
  std::vector<int32_t> hot_now_;
  std::vector<Event> completions_;
  size_t reaped_ = 0;  // of completions_
  std::vector<Held> pools_;
  OpList submitted_;
  uint32_t in_flight_ = 0;
  uint32_t skips_ = 0;
  bool coarse_ = false;  // epoll_pwait2 is not there
  BackendStats stats_;
};

Status Epoll::open() {
  if (waker_->fd() < 0) return local_error(Code::io_error, "eventfd", errno);
  fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (fd_ < 0) return local_error(Code::io_error, "epoll", errno);
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = kWake}};
  if (epoll_ctl(fd_, EPOLL_CTL_ADD, waker_->fd(), &event) < 0) {
    return local_error(Code::io_error, "epoll", errno);
  }
  // The default of 50 us is how late a wait with a timeout may end.
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  return {};
}

Epoll::~Epoll() {
  BL_CHECK(in_flight_ == 0 && pools_.empty());
  if (fd_ >= 0) ::close(fd_);
}

// ---- Operations

bool Epoll::reads(OpKind kind) {
  return kind == OpKind::accept || kind == OpKind::recv || kind == OpKind::recv_msg;
}

void Epoll::submit(Op& op) {
  BL_CHECK(op.idle() && op.kind != OpKind::none && op.socket.valid() && op.callback != nullptr);
  op.state = OpState::queued;
  op.slot = kActive;
  submitted_.append(op);
  ++in_flight_;
}

void Epoll::cancel(Op& op) {
  if (op.slot != kActive || op.state == OpState::canceling) return;
  const bool waits = op.state == OpState::in_kernel;
  op.state = OpState::canceling;
  if (!waits) return;  // hand_over() ends it
  Waiting& waiting = sockets_[static_cast<size_t>(op.socket.fd)];
  if (waiting.reader == &op) {
    waiting.reader = nullptr;
  } else {
    waiting.writers.remove(op);
  }
  complete(op, Event{.result = -ECANCELED});
}

void Epoll::hand_over() {
  while (!submitted_.empty()) {
    Op& op = submitted_.take_first();
    ++stats_.submitted;
    if (op.state == OpState::canceling) {
      complete(op, Event{.result = -ECANCELED});
    } else {
      op.state = OpState::in_kernel;
      begin(op);
    }
  }
}

void Epoll::begin(Op& op) {
  const int32_t fd = op.socket.fd;
  if (static_cast<size_t>(fd) >= sockets_.size()) sockets_.resize(static_cast<size_t>(fd) + 1);
  Waiting& waiting = sockets_[static_cast<size_t>(fd)];
  if (op.kind == OpKind::shutdown) {
    const int rc = ::shutdown(fd, op.args.write_only ? SHUT_WR : SHUT_RDWR);
    complete(op, Event{.result = rc < 0 ? -errno : 0});
  } else if (reads(op.kind)) {
    BL_CHECK(waiting.reader == nullptr);
    waiting.reader = &op;
    pump_reader(fd);
  } else {
    waiting.writers.append(op);
    if (waiting.writers.first == &op) pump_writers(fd);
  }
}

void Epoll::complete(Op& op, Event event) {
  event.op = &op;
  if (!event.more) op.slot = kEnded;
  completions_.push_back(event);
}

// Only when an attempt had to wait: a socket that is always ready is never registered. Whatever
// became ready before is reported by registering. 0, or the errno that forbids it.
int Epoll::wait_for_edge(Waiting& waiting, int32_t fd) {
  if (waiting.registered) return 0;
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                    .data = {.u64 = static_cast<uint64_t>(fd)}};
  if (epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) < 0) return errno;
  waiting.registered = true;
  return 0;
}

// ---- Reading

void Epoll::pump_reader(int32_t fd) {
  for (uint32_t burst = 0;; ++burst) {
    Waiting& waiting = sockets_[static_cast<size_t>(fd)];
    if (waiting.reader == nullptr || !waiting.readable) return;
    if (burst == kBurst || unreaped() >= options_.completion_limit) {
      if (!std::exchange(waiting.hot, true)) hot_.push_back(fd);
      return;
    }
    Op& op = *waiting.reader;
    if (read_once(waiting, op)) continue;
    if (const int error = wait_for_edge(waiting, fd); error != 0) {
      waiting.reader = nullptr;
      return complete(op, Event{.result = -error});
    }
    waiting.readable = false;
  }
}

// False: nothing there.
bool Epoll::read_once(Waiting& waiting, Op& op) {
  Event event;
  if (op.kind == OpKind::accept) {
    event.result = accept_once(op);
  } else {
    Held& from = held(*op.args.pool);
    if (from.ids.empty()) {
      ++stats_.out_of_buffers;
      event.result = -ENOBUFS;
    } else {
      event.buffer = from.ids.back();
      event.result = op.kind == OpKind::recv ? receive(waiting, op, event.buffer)
                                             : receive_datagram(op, event.buffer);
      event.has_buffer = event.result > 0;
      if (event.has_buffer) from.ids.pop_back();
    }
  }
  if (event.result == kWait) return false;
  event.buffer_size = event.has_buffer ? static_cast<uint32_t>(event.result) : 0;
  event.more = event.result > 0 || (op.kind == OpKind::accept && event.result == 0);
  if (!event.more) waiting.reader = nullptr;
  complete(op, event);
  return true;
}

int32_t Epoll::accept_once(Op& op) {
  const int made = accept4(op.socket.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (made >= 0) return made;
  return errno == EAGAIN || errno == EINTR ? kWait : -errno;
}

int32_t Epoll::receive(Waiting& waiting, Op& op, uint16_t id) {
  BufferPool& pool = *op.args.pool;
  uint8_t* data = pool.address(id);
  unpoison(data, pool.buffer_size());
  const ssize_t n = ::recv(op.socket.fd, data, pool.buffer_size(), 0);
  const int error = errno;
  poison(data, pool.buffer_size());
  if (n < 0) return error == EAGAIN ? kWait : -error;
  // What came is all there was, unless the end came with it: then no edge will tell.
  if (n > 0 && static_cast<size_t>(n) < pool.buffer_size() && waiting.registered) {
    waiting.readable = waiting.ended;
  }
  return static_cast<int32_t>(n);
}

int32_t Epoll::receive_datagram(Op& op, uint16_t id) {
  BufferPool& pool = *op.args.pool;
  uint8_t* data = pool.address(id);
  const size_t front = std::min<size_t>(kFront, pool.buffer_size());
  unpoison(data, pool.buffer_size());
  sockaddr_in6 name{};
  iovec part{data + front, pool.buffer_size() - front};
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = sizeof name;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t n = ::recvmsg(op.socket.fd, &message, 0);
  const int error = errno;
  if (n >= 0) {
    const DatagramHeader header{message.msg_namelen, 0, static_cast<uint32_t>(n),
                                static_cast<uint32_t>(message.msg_flags)};
    std::memcpy(data, &header, sizeof header);
    std::memcpy(data + sizeof header, &name, sizeof name);
  }
  poison(data, pool.buffer_size());
  if (n < 0) return error == EAGAIN ? kWait : -error;
  return static_cast<int32_t>(front) + static_cast<int32_t>(n);
}

// ---- Writing

void Epoll::pump_writers(int32_t fd) {
  Waiting& waiting = sockets_[static_cast<size_t>(fd)];
  while (!waiting.writers.empty() && waiting.writable) {
    Op& op = *waiting.writers.first;
    int32_t result = attempt_write(op);
    if (result == kWait) {
      result = -wait_for_edge(waiting, fd);
      waiting.writable = result != 0;
      if (result == 0) return;
    }
    waiting.writers.remove(op);
    complete(op, Event{.result = result});
  }
}

int32_t Epoll::attempt_write(const Op& op) {
  const int fd = op.socket.fd;
  if (op.kind == OpKind::connect) {
    // Called again it says how the attempt ended.
    if (::connect(fd, op.args.endpoint->data(), op.args.endpoint->size()) == 0) return 0;
    if (errno == EISCONN) return 0;
    return errno == EINPROGRESS || errno == EALREADY || errno == EINTR ? kWait : -errno;
  }
  const ssize_t n = op.kind == OpKind::send
                        ? ::send(fd, op.args.send.data, op.args.send.size, MSG_NOSIGNAL)
                        : ::sendmsg(fd, op.args.message, MSG_NOSIGNAL);
  if (n >= 0) return static_cast<int32_t>(n);
  return errno == EAGAIN ? kWait : -errno;
}

// ---- The turn

void Epoll::enter(MonoTime deadline) {
  completions_.erase(completions_.begin(), completions_.begin() + static_cast<ptrdiff_t>(reaped_));
  reaped_ = 0;
  hand_over();
  hot_now_.swap(hot_);
  for (const int32_t fd : hot_now_) {
    sockets_[static_cast<size_t>(fd)].hot = false;
    pump_reader(fd);
  }
  hot_now_.clear();
  const bool poll_only = unreaped() > 0;
  if (poll_only && hot_.empty() && skips_++ < kSkips) return;
  skips_ = 0;
  const int count = wait(deadline, poll_only);
  BL_CHECK(count >= 0 || errno == EINTR);
  for (int i = 0; i < count; ++i) take(kernel_events_[static_cast<size_t>(i)]);
}

int Epoll::wait(MonoTime deadline, bool poll_only) {
  Duration left;
  if (!poll_only) {
    left = deadline == MonoTime::never() ? seconds(3600) : deadline - now().mono;
    left = std::clamp(left, Duration{}, seconds(3600));
  }
  ++stats_.enters;
  const int limit = static_cast<int>(kernel_events_.size());
  if (!coarse_) {
    const timespec timeout{left.ns / 1'000'000'000, left.ns % 1'000'000'000};
    const int count = epoll_pwait2(fd_, kernel_events_.data(), limit, &timeout, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    coarse_ = true;
  }
  const int64_t up = (left.ns + 999'999) / 1'000'000;
  return epoll_wait(fd_, kernel_events_.data(), limit, static_cast<int>(up));
}

void Epoll::take(const epoll_event& event) {
  if (event.data.u64 == kWake) {
    ++stats_.wakes;
    return;
  }
  const auto fd = static_cast<int32_t>(event.data.u64);
  Waiting& waiting = sockets_[static_cast<size_t>(fd)];
  const uint32_t broken = EPOLLHUP | EPOLLERR;
  if ((event.events & (EPOLLRDHUP | broken)) != 0) waiting.ended = true;
  if ((event.events & (EPOLLIN | EPOLLRDHUP | broken)) != 0) waiting.readable = true;
  if ((event.events & (EPOLLOUT | broken)) != 0) waiting.writable = true;
  // First what was sent to us: a reset must not hide it.
  pump_reader(fd);
  pump_writers(fd);
}

size_t Epoll::reap(std::span<Event> out) {
  const size_t count = std::min(out.size(), unreaped());
  for (size_t i = 0; i < count; ++i) {
    out[i] = completions_[reaped_ + i];
    if (out[i].more) continue;
    out[i].op->slot = Op::kNoSlot;
    --in_flight_;
  }
  reaped_ += count;
  stats_.completions += count;
  return count;
}

Now Epoll::now() {
  timespec mono, wall;
  clock_gettime(CLOCK_MONOTONIC, &mono);
  clock_gettime(CLOCK_REALTIME, &wall);
  return {MonoTime{mono.tv_sec * 1'000'000'000 + mono.tv_nsec},
          WallTime{wall.tv_sec * 1'000'000'000 + wall.tv_nsec}};
}

// ---- Buffers and sockets

Status Epoll::add_pool(BufferPool& pool) {
  pools_.push_back({&pool, {}});
  pools_.back().ids.reserve(pool.count());
  return {};
}

Epoll::Held& Epoll::held(const BufferPool& pool) {
  const auto found = std::ranges::find(pools_, &pool, &Held::pool);
  BL_CHECK(found != pools_.end());  // a pool that was added
  return *found;
}

void Epoll::recycle(BufferPool& pool) {
  Held& to = held(pool);
  to.ids.insert(to.ids.end(), pool.returned().begin(), pool.returned().end());
  pool.clear_returned();
}

void Epoll::remove_pool(BufferPool& pool) {
  held(pool);
  std::erase_if(pools_, [&pool](const Held& each) { return each.pool == &pool; });
}

void Epoll::close(Socket s) {
  const auto index = static_cast<size_t>(s.fd);
  if (index < sockets_.size()) {
    Waiting& waiting = sockets_[index];
    BL_CHECK(waiting.reader == nullptr && waiting.writers.empty());
    // Not left to close(): a forked child may still hold the file, and its edges would then be
    // taken for those of the next owner of the number.
    if (waiting.registered) epoll_ctl(fd_, EPOLL_CTL_DEL, s.fd, nullptr);
    const bool hot = waiting.hot;
    waiting = {};
    waiting.hot = hot;
  }
  ::close(s.fd);
}

}  // namespace

Result<std::unique_ptr<Backend>> make_epoll(const EpollOptions& options) {
  if (options.events == 0 || options.events > 65'536) {
    return local_error(Code::invalid_argument, "events");
  }
  if (options.completion_limit == 0 || options.completion_limit > (1u << 20)) {
    return local_error(Code::invalid_argument, "completion_limit");
  }
  auto epoll = std::make_unique<Epoll>(options, std::make_shared<EventfdWaker>());
  if (Status opened = epoll->open(); !opened) return std::unexpected(opened.error());
  return epoll;
}

}  // namespace beamline
