#include "loop/udp.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

namespace beamline {

// One datagram on its way out; what the kernel reads of it must not move.
struct UdpSend {
  UdpSocket* socket = nullptr;
  UdpSend* next = nullptr;
  uint8_t* data = nullptr;
  Op op;
  msghdr message{};
  iovec part{};
  Endpoint to;
};

namespace {

// What stands in front of a received datagram: io_uring_recvmsg_out (linux/io_uring.h), then the
// sender's address in as many bytes as every backend asks for.
struct DatagramHeader {
  uint32_t name_size;
  uint32_t control_size;
  uint32_t payload_size;
  uint32_t flags;
};
constexpr size_t kFront = sizeof(DatagramHeader) + Endpoint::capacity();
constexpr size_t kLargestPayload = 65'507;

// For an error that another receive at once would only repeat.
constexpr Duration kRetry = milliseconds(100);

uint32_t buffer_size(const UdpOptions& options) {
  return (options.max_datagram + static_cast<uint32_t>(kFront) + 63) / 64 * 64;
}

}  // namespace

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(Reactor& reactor, const Endpoint& local,
                                                   UdpHandler& handler, const UdpOptions& options) {
  const auto invalid = [](const char* name) { return local_error(Code::invalid_argument, name); };
  if (options.max_datagram == 0 || options.max_datagram > kLargestPayload) {
    return invalid("max_datagram");
  }
  if (!std::has_single_bit(options.buffer_count) || options.buffer_count > 32'768) {
    return invalid("buffer_count");
  }
  if (options.send_slots == 0 || options.send_slots > 32'768) return invalid("send_slots");
  if (reactor.stopping()) return local_error(Code::closed, "reactor");
  const Result<Socket> socket = reactor.backend().open_udp(local);
  if (!socket) return std::unexpected(socket.error());
  std::unique_ptr<UdpSocket> udp(new UdpSocket(reactor, handler, options));
  if (Status added = reactor.add_pool(udp->pool_); !added) {
    reactor.backend().close(*socket);
    return std::unexpected(added.error());
  }
  reactor.add_service(*udp);
  udp->state_ = State::open;
  udp->socket_ = udp->receive_.socket = *socket;
  udp->local_ = reactor.backend().local_endpoint(*socket);
  for (uint32_t i = 0; i < options.send_slots; ++i) udp->sends_[i].op.socket = *socket;
  udp->arm();
  return udp;
}

UdpSocket::UdpSocket(Reactor& reactor, UdpHandler& handler, const UdpOptions& options)
    : reactor_(reactor),
      handler_(handler),
      options_(options),
      pool_(reactor.take_pool_group(), options.buffer_count, buffer_size(options)),
      sends_(std::make_unique<UdpSend[]>(options.send_slots)),
      memory_(std::make_unique_for_overwrite<uint8_t[]>(static_cast<size_t>(options.send_slots) *
                                                        options.max_datagram)),
      retry_([](Timer& timer) { static_cast<UdpSocket*>(timer.owner)->arm(); }, this) {
  for (uint32_t i = options.send_slots; i > 0; --i) {
    UdpSend& send = sends_[i - 1];
    send.data = memory_.get() + static_cast<size_t>(i - 1) * options.max_datagram;
    send.socket = this;
    send.op.owner = &send;
    send.op.kind = OpKind::send_msg;
    send.op.callback = on_send;
    send.op.args.message = &send.message;
    send.message.msg_iov = &send.part;
    send.message.msg_iovlen = 1;
    release(send);
  }
  receive_.owner = this;
  receive_.kind = OpKind::recv_msg;
  receive_.callback = on_receive;
  receive_.args.pool = &pool_;
  waiter_.owner = this;
  waiter_.callback = [](BufferWaiter& waiter) { static_cast<UdpSocket*>(waiter.owner)->arm(); };
}

UdpSocket::~UdpSocket() {
  BL_CHECK(state_ == State::closed);
  if (!socket_.valid()) return;  // never opened
  reactor_.remove_service(*this);
  reactor_.remove_pool(pool_);
}

// ---- Receiving

void UdpSocket::arm() {
  if (state_ == State::open && receive_.idle()) reactor_.submit(receive_);
}

void UdpSocket::on_receive(Op& op, Completion&& completion) {
  UdpSocket& socket = *static_cast<UdpSocket*>(op.owner);
  if (completion.lease) socket.waiter_.place = 0;
  if (completion.lease && socket.state_ == State::open) socket.receive(std::move(completion.lease));
  completion.lease.reset();
  if (!completion.more) socket.receive_again(completion.result);
}

void UdpSocket::receive(Lease lease) {
  DatagramHeader header{};
  sockaddr_in6 name{};
  if (lease.size() < kFront) {
    ++stats_.no_sender;
    return;
  }
  std::memcpy(&header, lease.bytes().data(), sizeof header);
  std::memcpy(&name, lease.bytes().data() + sizeof header, sizeof name);
  if ((header.flags & MSG_TRUNC) != 0 || lease.size() - kFront > options_.max_datagram) {
    ++stats_.truncated;
    return;
  }
  const Endpoint from = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&name));
  if (header.name_size == 0 || from.empty()) {
    ++stats_.no_sender;
    return;
  }
  lease.drop_front(kFront);
  ++stats_.received;
  stats_.bytes_in += lease.size();
  handler_.on_datagram(*this, from, std::move(lease));
}

// A multishot ends for many reasons, an ICMP error (ECONNREFUSED) that belongs to some earlier send
// among them; none is a reason to be deaf.
void UdpSocket::receive_again(int32_t result) {
  if (state_ != State::open) return;
  if (result == -ENOBUFS) {
    ++stats_.starved;
    reactor_.wait_for_buffer(waiter_, pool_);
    return;
  }
  if (result >= 0) return arm();
  ++stats_.receive_errors;
  switch (-result) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EMSGSIZE:
    case EAGAIN:
    case EINTR:
      return arm();
    default:
      reactor_.arm_in(retry_, kRetry);
  }
}

// ---- Sending

MutableBytes UdpSocket::send_space() {
  if (state_ != State::open) return {};
  if (free_ == nullptr) {
    ++stats_.refused_full;
    want_writable_ = true;
    return {};
  }
  return {free_->data, options_.max_datagram};
}

void UdpSocket::commit(const Endpoint& to, size_t n) {
  BL_CHECK(free_ != nullptr && n <= options_.max_datagram);
  UdpSend& send = *free_;
  free_ = std::exchange(send.next, nullptr);
  --free_count_;
  send.to = to;
  send.message.msg_name = send.to.data();
  send.message.msg_namelen = to.size();
  send.part = {send.data, n};
  (queued_last_ == nullptr ? queued_first_ : queued_last_->next) = &send;
  queued_last_ = &send;
}

SendResult UdpSocket::send(const Endpoint& to, Bytes payload) {
  if (state_ != State::open) return SendResult::closed;
  if (payload.size() > options_.max_datagram) {
    ++stats_.refused_long;
    return SendResult::too_long;
  }
  const MutableBytes space = send_space();
  if (space.empty()) return SendResult::full;
  if (!payload.empty()) std::memcpy(space.data(), payload.data(), payload.size());
  commit(to, payload.size());
  return SendResult::ok;
}

void UdpSocket::end_turn() {
  // The backend may have had no room for the cancellation; asking twice changes nothing.
  if (state_ == State::closing) return close();
  if (queued_first_ == nullptr) return;
  ++stats_.batches;
  while (queued_first_ != nullptr) {
    UdpSend& send = *queued_first_;
    queued_first_ = std::exchange(send.next, nullptr);
    reactor_.submit(send.op);
  }
  queued_last_ = nullptr;
}

void UdpSocket::release(UdpSend& send) {
  send.next = free_;
  free_ = &send;
  ++free_count_;
}

void UdpSocket::on_send(Op& op, Completion&& completion) {
  UdpSend& send = *static_cast<UdpSend*>(op.owner);
  UdpSocket& socket = *send.socket;
  socket.release(send);
  if (completion.result >= 0) {
    ++socket.stats_.sent;
    socket.stats_.bytes_out += static_cast<uint64_t>(completion.result);
  } else {
    ++(socket.state_ == State::open ? socket.stats_.send_errors : socket.stats_.dropped_closing);
  }
  if (socket.state_ != State::open || !socket.want_writable_) return;
  if (socket.free_count_ < (socket.options_.send_slots + 1) / 2) return;
  socket.want_writable_ = false;
  socket.handler_.on_writable(socket);
}

// ---- Closing

bool UdpSocket::idle() const {
  return receive_.idle() && free_count_ == options_.send_slots && pool_.leased() == 0;
}

void UdpSocket::close() {
  if (state_ == State::closed) return;
  state_ = State::closing;
  reactor_.disarm(retry_);
  reactor_.stop_waiting(waiter_, pool_);
  while (queued_first_ != nullptr) {
    UdpSend& send = *queued_first_;
    queued_first_ = std::exchange(send.next, nullptr);
    ++stats_.dropped_closing;
    release(send);
  }
  queued_last_ = nullptr;
  reactor_.cancel(receive_);
  for (uint32_t i = 0; i < options_.send_slots; ++i) {
    if (!sends_[i].op.idle()) reactor_.cancel(sends_[i].op);
  }
  if (!idle()) return;
  reactor_.backend().close(socket_);
  state_ = State::closed;
}

}  // namespace beamline
