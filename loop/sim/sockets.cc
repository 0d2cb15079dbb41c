// The sockets of a simulated backend: what each operation does when it is handed over, and again
// whenever its socket may be able to go on.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/uio.h>

#include "base/check.h"
#include "base/poison.h"
#include "loop/sim/backend.h"

namespace beamline::sim {
namespace {

constexpr int32_t kFirstSocket = 3;
constexpr size_t kLargestDatagram = 65'507;

// In front of a datagram the kernel puts this header (io_uring_recvmsg_out), then as many bytes
// for the sender's address as were asked for.
struct DatagramHeader {
  uint32_t name_size;
  uint32_t control_size;
  uint32_t payload_size;
  uint32_t flags;
};

std::vector<uint8_t> gather(const msghdr& message) {
  std::vector<uint8_t> all;
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    const auto* from = static_cast<const uint8_t*>(message.msg_iov[i].iov_base);
    all.insert(all.end(), from, from + message.msg_iov[i].iov_len);
  }
  return all;
}

}  // namespace

SimBackend::Sock& SimBackend::sock(Socket socket) {
  BL_CHECK(socket.fd >= kFirstSocket && static_cast<size_t>(socket.fd) < sockets_.size());
  Sock& s = sockets_[static_cast<size_t>(socket.fd)];
  BL_CHECK(s.kind != SocketKind::free);
  return s;
}

// The lowest free number, as the kernel does: whoever uses a socket after close() hits another.
int32_t SimBackend::allocate_socket(SocketKind kind) {
  size_t fd = kFirstSocket;
  while (fd < sockets_.size() && sockets_[fd].kind != SocketKind::free) ++fd;
  if (fd >= sockets_.size()) sockets_.resize(fd + 1);
  sockets_[fd] = {};
  sockets_[fd].kind = kind;
  return static_cast<int32_t>(fd);
}

uint32_t SimBackend::open_sockets() const {
  return static_cast<uint32_t>(
      std::ranges::count_if(sockets_, [](const Sock& s) { return s.kind != SocketKind::free; }));
}

Result<Socket> SimBackend::listen_tcp(const Endpoint& local, uint32_t backlog) {
  const int32_t fd = allocate_socket(SocketKind::listener);
  const Result<uint64_t> id = world_.net().listen(host_, local, backlog, this, fd);
  Sock& s = sockets_[static_cast<size_t>(fd)];
  if (!id) {
    s = {};
    return std::unexpected(id.error());
  }
  s.id = *id;
  return Socket{fd};
}

Result<Socket> SimBackend::open_tcp(sa_family_t family) {
  if (family != AF_INET) return local_error(Code::io_error, "socket", EAFNOSUPPORT);
  return Socket{allocate_socket(SocketKind::tcp)};
}

Result<Socket> SimBackend::open_udp(const Endpoint& local) {
  const int32_t fd = allocate_socket(SocketKind::udp);
  const Result<uint64_t> id = world_.net().open_udp(host_, local, this, fd);
  Sock& s = sockets_[static_cast<size_t>(fd)];
  if (!id) {
    s = {};
    return std::unexpected(id.error());
  }
  s.id = *id;
  return Socket{fd};
}

Endpoint SimBackend::local_endpoint(Socket socket) {
  const Sock& s = sock(socket);
  if (s.kind == SocketKind::listener) return world_.net().listener(s.id).local;
  if (s.kind == SocketKind::udp) return world_.net().udp(s.id).local;
  return s.stream ? world_.net().side(s.stream).local : Endpoint{};
}

Endpoint SimBackend::remote_endpoint(Socket socket) {
  const Sock& s = sock(socket);
  if (!s.stream || !world_.net().side(s.stream).connected) return {};
  return world_.net().side(s.stream).remote;
}

void SimBackend::close(Socket socket) {
  Sock& s = sock(socket);
  BL_CHECK(s.ops == 0);  // no operation on it is in flight
  Network& net = world_.net();
  if (s.kind == SocketKind::listener) net.close_listener(s.id);
  if (s.kind == SocketKind::udp) net.close_udp(s.id);
  if (s.stream) net.close(s.stream);
  s = {};
}

// ---- Handing over

void SimBackend::issue(uint32_t index) {
  Slot& slot = slots_[index];
  slot.issued = true;
  const Op& op = *slot.op;
  Sock& s = sock(op.socket);
  switch (op.kind) {
    case OpKind::accept:
      if (s.kind != SocketKind::listener) return post(index, -EINVAL, false);
      BL_CHECK(s.accepting == kNone);
      s.accepting = index;
      return pump_accept(s);
    case OpKind::connect:
      return issue_connect(index, s);
    case OpKind::recv:
      if (s.kind != SocketKind::tcp || !s.stream) return post(index, -ENOTCONN, false);
      BL_CHECK(s.receiving == kNone);
      s.receiving = index;
      return pump_receive(s);
    case OpKind::send:
    case OpKind::send_msg:
      if (s.kind == SocketKind::udp) return issue_datagram(index, s);
      if (s.kind != SocketKind::tcp || !s.stream) return post(index, -EPIPE, false);
      BL_CHECK(s.sending == kNone);  // two at once would mix their bytes
      s.sending = index;
      return pump_send(s);
    case OpKind::recv_msg:
      if (s.kind != SocketKind::udp) return post(index, -EINVAL, false);
      BL_CHECK(s.receiving == kNone);
      s.receiving = index;
      return pump_datagrams(s);
    case OpKind::shutdown:
      return issue_shutdown(index, s);
    case OpKind::none:
      break;
  }
  check_failed("an operation that this backend knows", __FILE__, __LINE__);
}

void SimBackend::ready(int32_t fd) {
  Sock& s = sock({fd});
  switch (s.kind) {
    case SocketKind::listener:
      return pump_accept(s);
    case SocketKind::udp:
      return pump_datagrams(s);
    case SocketKind::tcp:
      pump_connect(s);
      // Whichever looks first takes a pending error.
      if (world_.draw(0, 1) == 0) {
        pump_receive(s);
        return pump_send(s);
      }
      pump_send(s);
      return pump_receive(s);
    case SocketKind::free:
      return;
  }
}

// ---- TCP

void SimBackend::pump_accept(Sock& listening) {
  const auto fd = static_cast<size_t>(&listening - sockets_.data());
  const uint64_t id = listening.id;
  // A new socket may move the table, so nothing here keeps a reference into it.
  while (sockets_[fd].accepting != kNone && !world_.net().listener(id).queue.empty()) {
    const uint32_t slot = sockets_[fd].accepting;
    if (world_.chance(world_.options().accept_error)) {
      return post(slot, world_.draw(0, 1) == 0 ? -EMFILE : -ECONNABORTED, false);
    }
    const int32_t made = allocate_socket(SocketKind::tcp);
    const StreamRef stream = world_.net().accept(id, this, made);
    sockets_[static_cast<size_t>(made)].stream = stream;
    post(slot, made, !world_.chance(world_.options().drop_more));
  }
}

void SimBackend::issue_connect(uint32_t index, Sock& s) {
  if (s.kind != SocketKind::tcp) return post(index, -EOPNOTSUPP, false);
  if (s.stream) return post(index, -EISCONN, false);
  const Endpoint& to = *slots_[index].op->args.endpoint;
  if (to.family() != AF_INET) return post(index, -EAFNOSUPPORT, false);
  s.connecting = index;
  s.stream = world_.net().connect(host_, to, this, slots_[index].op->socket.fd);
}

void SimBackend::pump_connect(Sock& s) {
  if (s.connecting == kNone) return;
  const Side& side = world_.net().side(s.stream);
  if (side.dead) return post(s.connecting, -take_error(s.stream, ECONNABORTED), false);
  if (side.connected) post(s.connecting, 0, false);
}

int32_t SimBackend::take_error(StreamRef stream, int32_t otherwise) {
  const int32_t error = std::exchange(world_.net().side(stream).error, 0);
  return error != 0 ? error : otherwise;
}

bool SimBackend::take_buffer(uint32_t slot, uint16_t& id) {
  Held& from = held(*slots_[slot].op->args.pool);
  if (from.ids.empty()) {
    ++stats_.out_of_buffers;
    post(slot, -ENOBUFS, false);
    return false;
  }
  id = from.ids.front();
  from.ids.pop_front();
  return true;
}

void SimBackend::receive_some(uint32_t slot, StreamRef stream) {
  uint16_t id = 0;
  if (!take_buffer(slot, id)) return;
  BufferPool& pool = *slots_[slot].op->args.pool;
  const Side& side = world_.net().side(stream);
  size_t n = std::min<size_t>(side.unread.size(), pool.buffer_size());
  if (n > 1 && world_.chance(world_.options().short_read)) n = world_.draw(1, n);
  unpoison(pool.address(id), n);
  std::memcpy(pool.address(id), side.unread.front().data(), n);
  poison(pool.address(id), n);
  world_.net().consume(stream, n);
  post(slot, Event{.result = static_cast<int32_t>(n),
                   .buffer_size = static_cast<uint32_t>(n),
                   .buffer = id,
                   .has_buffer = true,
                   .more = !world_.chance(world_.options().drop_more)});
}

void SimBackend::pump_receive(Sock& s) {
  while (s.receiving != kNone) {
    const Side& side = world_.net().side(s.stream);
    if (!side.unread.empty()) {
      receive_some(s.receiving, s.stream);
    } else if (side.end_seen) {
      post(s.receiving, 0, false);
    } else if (side.dead) {
      post(s.receiving, -take_error(s.stream, 0), false);
    } else if (side.read_shut) {
      post(s.receiving, 0, false);
    } else {
      return;
    }
  }
}

void SimBackend::pump_send(Sock& s) {
  if (s.sending == kNone) return;
  const uint32_t slot = s.sending;
  const Side& side = world_.net().side(s.stream);
  if (side.dead) return post(slot, -take_error(s.stream, EPIPE), false);
  if (side.fin_wanted) return post(slot, -EPIPE, false);
  if (!side.connected) return;  // waits for the handshake
  const Op& op = *slots_[slot].op;
  std::vector<uint8_t> gathered;
  Bytes bytes;
  if (op.kind == OpKind::send_msg) {
    gathered = gather(*op.args.message);
    bytes = gathered;
  } else {
    bytes = {op.args.send.data, op.args.send.size};
  }
  size_t n = std::min(bytes.size(), world_.net().send_space(s.stream));
  if (n == 0 && !bytes.empty()) return;  // waits for room
  if (n > 1 && world_.chance(world_.options().short_write)) n = world_.draw(1, n);
  // First the completion: sending may make this socket ready again.
  const StreamRef stream = s.stream;
  const std::vector<uint8_t> taken(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n));
  post(slot, static_cast<int32_t>(n), false);
  world_.net().write(stream, taken);
}

void SimBackend::issue_shutdown(uint32_t index, Sock& s) {
  if (s.kind == SocketKind::listener) {
    if (s.accepting != kNone) post(s.accepting, -EINVAL, false);
    return post(index, 0, false);
  }
  if (!s.stream || world_.net().side(s.stream).dead) return post(index, -ENOTCONN, false);
  const auto fd = slots_[index].op->socket.fd;
  world_.net().shutdown(s.stream, slots_[index].op->args.write_only);
  post(index, 0, false);
  ready(fd);
}

// ---- UDP

void SimBackend::issue_datagram(uint32_t index, const Sock& s) {
  const Op& op = *slots_[index].op;
  if (op.kind != OpKind::send_msg || op.args.message->msg_name == nullptr) {
    return post(index, -EDESTADDRREQ, false);
  }
  const Endpoint to =
      Endpoint::from_sockaddr(static_cast<const sockaddr*>(op.args.message->msg_name));
  if (to.family() != AF_INET) return post(index, -EAFNOSUPPORT, false);
  std::vector<uint8_t> bytes = gather(*op.args.message);
  if (bytes.size() > kLargestDatagram) return post(index, -EMSGSIZE, false);
  const auto size = static_cast<int32_t>(bytes.size());
  world_.net().send_datagram(s.id, to, std::move(bytes));
  post(index, size, false);
}

void SimBackend::pump_datagrams(Sock& s) {
  UdpPort& udp = world_.net().udp(s.id);
  while (s.receiving != kNone && !udp.queue.empty()) {
    const uint32_t slot = s.receiving;
    uint16_t id = 0;
    if (!take_buffer(slot, id)) return;
    BufferPool& pool = *slots_[slot].op->args.pool;
    const Datagram datagram = std::move(udp.queue.front());
    udp.queue.pop_front();
    udp.queued_bytes -= datagram.bytes.size();
    constexpr size_t kFront = sizeof(DatagramHeader) + Endpoint::capacity();
    const size_t room = pool.buffer_size() - std::min<size_t>(kFront, pool.buffer_size());
    const size_t n = std::min(datagram.bytes.size(), room);
    const DatagramHeader header{.name_size = datagram.from.size(),
                                .control_size = 0,
                                .payload_size = static_cast<uint32_t>(datagram.bytes.size()),
                                .flags = n < datagram.bytes.size() ? uint32_t{MSG_TRUNC} : 0};
    uint8_t* out = pool.address(id);
    const auto total = static_cast<uint32_t>(kFront + n);
    unpoison(out, total);
    std::memset(out, 0, kFront);
    std::memcpy(out, &header, sizeof header);
    std::memcpy(out + sizeof header, datagram.from.data(), datagram.from.size());
    if (n > 0) std::memcpy(out + kFront, datagram.bytes.data(), n);
    poison(out, total);
    post(slot, Event{.result = static_cast<int32_t>(total),
                     .buffer_size = total,
                     .buffer = id,
                     .has_buffer = true,
                     .more = !world_.chance(world_.options().drop_more)});
  }
}

}  // namespace beamline::sim
