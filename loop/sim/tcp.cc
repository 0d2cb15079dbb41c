// TCP of the simulated network: the handshake, the wires, and the ends of connections.
#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "loop/sim/network.h"

namespace beamline::sim {
namespace {

constexpr size_t kHeaders = 66;  // Ethernet, IPv4 and TCP with time stamps

uint8_t other(uint8_t side) { return side ^ 1; }

}  // namespace

Connection* Network::find(uint64_t id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

// ---- Listeners and the handshake

Result<uint64_t> Network::listen(HostId host, const Endpoint& local, uint32_t backlog,
                                 SocketOwner* owner, int32_t fd) {
  const Result<uint16_t> port = bind(host, local, tcp_ports_);
  if (!port) return std::unexpected(port.error());
  const uint64_t id = next_id_++;
  Listener& made = listeners_[id];
  made.host = host;
  made.local = local;
  made.local.set_port(*port);
  made.owner = owner;
  made.fd = fd;
  made.backlog = std::max(backlog, 1u);
  return id;
}

void Network::close_listener(uint64_t id) {
  Listener& closed = listeners_.at(id);
  const std::deque<StreamRef> queue = std::move(closed.queue);
  tcp_ports_.erase({closed.host, closed.local.port()});
  listeners_.erase(id);
  // Who was connected but never accepted learns it the hard way.
  for (const StreamRef stream : queue) {
    side(stream).open = false;
    if (!side(stream).dead) {
      kill(stream.connection, stream.side, 0);
      answer_reset(stream.connection, stream.side);
    }
    collect(stream.connection);
  }
}

StreamRef Network::accept(uint64_t listener, SocketOwner* owner, int32_t fd) {
  Listener& from = listeners_.at(listener);
  BL_CHECK(!from.queue.empty());
  const StreamRef stream = from.queue.front();
  from.queue.pop_front();
  side(stream).owner = owner;
  side(stream).fd = fd;
  return stream;
}

StreamRef Network::connect(HostId host, const Endpoint& to, SocketOwner* owner, int32_t fd) {
  const uint64_t id = next_id_++;
  Connection& made = *(connections_[id] = std::make_unique<Connection>());
  Side& mine = made.side[0];
  const uint16_t port = ephemeral_port(host, tcp_ports_);
  mine.host = host;
  mine.local = to.is_loopback() ? Endpoint::loopback(port) : endpoint(host, port);
  mine.remote = to;
  mine.owner = owner;
  mine.fd = fd;
  mine.open = true;
  mine.window = world_.options().receive_buffer;
  send_syn(id);
  world_.after(world_.options().connect_timeout, [this, id] {
    Connection* c = find(id);
    if (c == nullptr || c->side[0].connected || c->side[0].dead) return;
    ++stats_.timeouts;
    kill(id, 0, ETIMEDOUT);
    collect(id);
  });
  return {id, 0};
}

void Network::send_syn(uint64_t id) {
  const Connection* c = find(id);
  if (c == nullptr || c->side[0].dead || c->side[0].connected || !c->side[0].open) return;
  const HostId from = c->side[0].host;
  const HostId to = resolve(from, c->side[0].remote);
  if (to == kNowhere || blocked(from, to) || world_.chance(link(from, to).loss)) {
    retry_syn(id);
    return;
  }
  world_.at(departure(from, to, kHeaders) + latency(from, to), [this, id] { syn_arrives(id); });
}

void Network::retry_syn(uint64_t id) {
  const uint32_t attempt = std::min(find(id)->attempts++, 5u);
  world_.after(seconds(1) * (int64_t{1} << attempt), [this, id] { send_syn(id); });
}

void Network::syn_arrives(uint64_t id) {
  Connection* c = find(id);
  if (c == nullptr || c->side[0].dead) return;
  const Endpoint to = c->side[0].remote;
  const HostId host = resolve(c->side[0].host, to);
  const auto bound = tcp_ports_.find({host, to.port()});
  Listener* found = bound == tcp_ports_.end() ? nullptr : &listeners_.at(bound->second);
  if (found == nullptr || (found->local.is_loopback() && !to.is_loopback())) {
    world_.after(latency(host, c->side[0].host), [this, id] {
      Connection* refused = find(id);
      if (refused == nullptr || refused->side[0].dead) return;
      kill(id, 0, ECONNREFUSED);
      collect(id);
    });
    return;
  }
  if (found->queue.size() + found->handshakes >= found->backlog) {
    ++stats_.backlog_full;
    retry_syn(id);
    return;
  }
  ++found->handshakes;
  c->listener = bound->second;
  Side& theirs = c->side[1];
  theirs.host = host;
  theirs.local = to;
  theirs.remote = c->side[0].local;
  theirs.owner = nullptr;
  theirs.open = true;
  theirs.window = world_.options().receive_buffer;
  push_packet(id, 1, {.kind = Packet::Kind::syn_ack});
  // A handshake that its other side has forgotten does not keep its place in the backlog.
  world_.after(world_.options().stall_timeout, [this, id] {
    Connection* half_open = find(id);
    if (half_open == nullptr || half_open->side[1].connected || half_open->side[1].dead) return;
    ++stats_.timeouts;
    kill(id, 1, ETIMEDOUT);
    collect(id);
  });
}

void Network::handshake_done(uint64_t id) {
  Connection& c = *find(id);
  if (c.side[1].connected) return;
  c.side[1].connected = true;
  const auto found = listeners_.find(c.listener);
  if (found == listeners_.end()) {
    c.side[1].open = false;
    kill(id, 1, 0);
    answer_reset(id, 1);
    return;
  }
  Listener& to = found->second;
  --to.handshakes;
  to.queue.push_back({id, 1});
  to.owner->ready(to.fd);
}

// ---- The program's side

size_t Network::send_space(StreamRef stream) {
  const size_t used = side(stream).unsent.size();
  const size_t room = world_.options().send_buffer;
  return used >= room ? 0 : room - used;
}

void Network::write(StreamRef stream, Bytes bytes) {
  Side& from = side(stream);
  BL_CHECK(from.connected && !from.dead && !from.fin_wanted);
  BL_CHECK(bytes.size() <= send_space(stream));
  from.unsent.append(bytes);
  pump(stream.connection, stream.side);
}

void Network::consume(StreamRef stream, size_t n) {
  Side& by = side(stream);
  by.unread.drop(n);
  if (by.dead || n == 0) return;
  push_packet(stream.connection, stream.side,
              {.credit = static_cast<uint32_t>(n), .kind = Packet::Kind::credit});
}

void Network::shutdown(StreamRef stream, bool write_only) {
  Side& by = side(stream);
  if (!write_only) by.read_shut = true;
  if (!by.connected && !by.dead) {
    kill(stream.connection, stream.side, ECONNABORTED);
    return;
  }
  by.fin_wanted = true;
  pump(stream.connection, stream.side);
}

void Network::close(StreamRef stream) {
  Side& by = side(stream);
  BL_CHECK(by.open);
  by.open = false;
  by.owner = nullptr;
  by.fd = -1;
  if (!by.dead) {
    const bool lossy = !by.unread.empty();
    by.unread.clear();
    if (lossy || !by.connected) {
      kill(stream.connection, stream.side, 0);
      answer_reset(stream.connection, stream.side);
    } else {
      by.fin_wanted = true;
      pump(stream.connection, stream.side);
    }
  }
  collect(stream.connection);
}

// ---- The wires

void Network::pump(uint64_t id, uint8_t from) {
  Side& s = find(id)->side[from];
  if (!s.connected || s.dead) return;
  while (!s.unsent.empty() && s.window > 0) {
    const size_t most = std::min<size_t>({s.unsent.size(), s.window, world_.options().segment});
    const Bytes bytes = s.unsent.front().first(most);
    Packet packet{.bytes = {bytes.begin(), bytes.end()}, .kind = Packet::Kind::data};
    s.unsent.drop(most);
    s.window -= static_cast<uint32_t>(most);
    ++stats_.segments;
    push_packet(id, from, std::move(packet));
  }
  if (s.unsent.empty() && s.fin_wanted && !s.fin_sent) {
    s.fin_sent = true;
    push_packet(id, from, {.kind = Packet::Kind::fin});
  }
}

void Network::push_packet(uint64_t id, uint8_t from, Packet packet) {
  Connection& c = *find(id);
  Side& s = c.side[from];
  const HostId to = c.side[other(from)].host;
  MonoTime arrival = departure(s.host, to, packet.bytes.size() + kHeaders) + latency(s.host, to);
  // A lost segment comes one retransmission later, and everything behind it waits.
  Duration again = world_.options().retransmit;
  while (world_.chance(link(s.host, to).loss)) {
    ++stats_.segments_lost;
    arrival = arrival + again;
    again = std::min(again * 2, world_.options().retransmit * 16);
  }
  s.last_arrival = std::max(arrival, s.last_arrival);
  packet.arrival = s.last_arrival;
  s.wire.push_back(std::move(packet));
  move_wire(id, from);
}

void Network::move_wire(uint64_t id, uint8_t from) {
  Side& s = find(id)->side[from];
  if (s.moving || s.wire.empty()) return;
  s.moving = true;
  const uint32_t epoch = s.wire_epoch;
  world_.at(s.wire.front().arrival, [this, id, from, epoch] { wire_arrives(id, from, epoch); });
}

void Network::wire_arrives(uint64_t id, uint8_t from, uint32_t epoch) {
  Connection* c = find(id);
  if (c == nullptr || c->side[from].wire_epoch != epoch) return;
  Side& s = c->side[from];
  s.moving = false;
  if (blocked(s.host, c->side[other(from)].host)) {
    retransmit(id, from);
    collect(id);
    return;
  }
  s.backoff = 0;
  s.stuck_since = MonoTime::never();
  Packet packet = std::move(s.wire.front());
  s.wire.pop_front();
  deliver(id, other(from), std::move(packet));
  if (find(id) == nullptr) return;
  move_wire(id, from);
  collect(id);
}

// The head of the wire met a partition.
void Network::retransmit(uint64_t id, uint8_t from) {
  Side& s = find(id)->side[from];
  Packet& head = s.wire.front();
  if (head.kind == Packet::Kind::reset) {  // not repeated
    s.wire.pop_front();
    move_wire(id, from);
    return;
  }
  if (s.stuck_since == MonoTime::never()) s.stuck_since = world_.now();
  // Acknowledgements alone do not time a connection out.
  const bool owed = std::any_of(s.wire.begin(), s.wire.end(), [](const Packet& p) {
    return p.kind != Packet::Kind::credit && p.kind != Packet::Kind::ack;
  });
  if (owed && world_.now() - s.stuck_since >= world_.options().stall_timeout) {
    ++stats_.timeouts;
    kill(id, from, ETIMEDOUT);
    return;
  }
  head.arrival =
      world_.now() + world_.options().retransmit * (int64_t{1} << std::min(s.backoff++, 4u));
  s.last_arrival = std::max(s.last_arrival, head.arrival);
  move_wire(id, from);
}

void Network::deliver(uint64_t id, uint8_t to, Packet packet) {
  Side& s = find(id)->side[to];
  world_.record(Record::segment, id << 1 | to, static_cast<uint64_t>(packet.kind),
                packet.bytes.size());
  if (s.dead) {
    const bool owed = packet.kind == Packet::Kind::data || packet.kind == Packet::Kind::fin ||
                      packet.kind == Packet::Kind::syn_ack;
    if (owed) answer_reset(id, to);
    return;
  }
  switch (packet.kind) {
    case Packet::Kind::syn_ack:
      s.connected = true;
      push_packet(id, to, {.kind = Packet::Kind::ack});
      pump(id, to);
      break;
    case Packet::Kind::ack:
      handshake_done(id);
      return;
    case Packet::Kind::data:
      deliver_data(id, to, packet);
      return;
    case Packet::Kind::credit:
      s.window += packet.credit;
      pump(id, to);
      break;
    case Packet::Kind::fin:
      s.end_seen = true;
      break;
    case Packet::Kind::reset:
      kill(id, to, s.end_seen ? EPIPE : ECONNRESET);
      return;
  }
  if (s.owner != nullptr) s.owner->ready(s.fd);
}

void Network::deliver_data(uint64_t id, uint8_t to, Packet& packet) {
  Side& s = find(id)->side[to];
  if (!s.open) {
    kill(id, to, 0);
    answer_reset(id, to);
    return;
  }
  s.unread.append(packet.bytes);
  if (world_.chance(world_.options().reset)) {
    ++stats_.resets_injected;
    if (world_.draw(0, 1) == 0) s.unread.clear();
    kill(id, to, ECONNRESET);
    answer_reset(id, to);
    return;
  }
  if (s.owner != nullptr) s.owner->ready(s.fd);
}

// ---- Ends

// A reset from this side, which is dead, to the other.
void Network::answer_reset(uint64_t id, uint8_t from) {
  Connection& c = *find(id);
  if (from == 0 && c.side[1].remote.empty()) return;  // the SYN has not arrived
  push_packet(id, from, {.kind = Packet::Kind::reset});
}

void Network::kill(uint64_t id, uint8_t which, int32_t error) {
  Connection& c = *find(id);
  Side& s = c.side[which];
  BL_CHECK(!s.dead);
  ++stats_.resets;
  world_.record(Record::reset, id << 1 | which, static_cast<uint64_t>(error));
  s.dead = true;
  s.error = error;
  s.unsent.clear();
  s.wire.clear();
  s.moving = false;
  ++s.wire_epoch;
  s.stuck_since = MonoTime::never();
  if (which == 1 && !s.connected) {
    const auto found = listeners_.find(c.listener);
    if (found != listeners_.end()) --found->second.handshakes;
    s.open = false;
  }
  if (s.owner != nullptr) s.owner->ready(s.fd);
}

void Network::reset_connections(HostId a, HostId b) {
  std::vector<uint64_t> hit;
  for (const auto& [id, c] : connections_) {
    const bool between = (c->side[0].host == a && c->side[1].host == b) ||
                         (c->side[0].host == b && c->side[1].host == a);
    if (between && c->side[1].connected) hit.push_back(id);
  }
  for (const uint64_t id : hit) {
    for (uint8_t which = 0; which < 2; ++which) {
      const Connection* c = find(id);
      if (c == nullptr || c->side[which].dead) continue;
      ++stats_.resets_injected;
      kill(id, which, ECONNRESET);
    }
    collect(id);
  }
}

// Forgets a connection that nobody refers to and that has nothing on its way.
void Network::collect(uint64_t id) {
  const Connection* c = find(id);
  if (c == nullptr) return;
  for (const Side& s : c->side) {
    if (s.open || !s.wire.empty() || (!s.dead && !s.unsent.empty())) return;
  }
  connections_.erase(id);
}

}  // namespace beamline::sim
