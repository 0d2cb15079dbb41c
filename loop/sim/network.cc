#include "loop/sim/network.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::sim {
namespace {

constexpr uint16_t kFirstEphemeral = 32'768;

uint32_t address_of(const Endpoint& endpoint) {
  const Bytes b = endpoint.address();
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | uint32_t{b[3]};
}

}  // namespace

void ByteQueue::append(Bytes bytes) {
  if (head_ > 0 && head_ * 2 >= bytes_.size()) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(head_));
    head_ = 0;
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void ByteQueue::drop(size_t n) {
  BL_CHECK(n <= size());
  head_ += n;
  if (head_ == bytes_.size()) clear();
}

void ByteQueue::clear() {
  bytes_.clear();
  head_ = 0;
}

void Network::add_host(HostId host, uint32_t host_order_address) {
  BL_CHECK(host == hosts_.size() && !addresses_.contains(host_order_address));
  hosts_.push_back(host_order_address);
  next_port_.push_back(static_cast<uint16_t>(world_.draw(kFirstEphemeral, 60'999)));
  addresses_[host_order_address] = host;
}

void Network::set_link(HostId a, HostId b, const Link& link) {
  links_[{a, b}] = link;
  links_[{b, a}] = link;
}

const Link& Network::link(HostId from, HostId to) const {
  if (from == to) return loopback_;
  const auto found = links_.find({from, to});
  return found == links_.end() ? world_.options().link : found->second;
}

void Network::block(HostId from, HostId to) {
  if (blocked_.insert({from, to}).second) world_.record(Record::partition, from, to, 1);
}

void Network::partition(HostId a, HostId b) {
  BL_CHECK(a != b);
  ++stats_.partitions;
  block(a, b);
  block(b, a);
}

void Network::isolate(HostId host) {
  for (HostId other = 0; other < hosts_.size(); ++other) {
    if (other != host) partition(host, other);
  }
}

void Network::heal(HostId a, HostId b) {
  if (blocked_.erase({a, b}) != 0) world_.record(Record::partition, a, b, 0);
  if (blocked_.erase({b, a}) != 0) world_.record(Record::partition, b, a, 0);
}

void Network::heal_all() {
  while (!blocked_.empty()) heal(blocked_.begin()->first, blocked_.begin()->second);
}

void Network::calm() {
  heal_all();
  for (auto& [pair, link] : links_) link.loss = link.duplicate = link.reorder = 0;
}

HostId Network::resolve(HostId from, const Endpoint& to) const {
  if (to.is_loopback()) return from;
  const auto found = addresses_.find(address_of(to));
  return found == addresses_.end() ? kNowhere : found->second;
}

uint16_t Network::ephemeral_port(HostId host, const std::map<Port, uint64_t>& ports) {
  uint16_t& next = next_port_[host];
  do {
    next = next >= 60'999 ? kFirstEphemeral : static_cast<uint16_t>(next + 1);
  } while (ports.contains({host, next}));
  return next;
}

Result<uint16_t> Network::bind(HostId host, const Endpoint& local,
                               std::map<Port, uint64_t>& ports) {
  if (local.family() != AF_INET) return local_error(Code::invalid_argument, "port", local.port());
  const uint32_t address = address_of(local);
  if (address != INADDR_ANY && !local.is_loopback() && address != hosts_[host]) {
    return local_error(Code::invalid_argument, "port", local.port());
  }
  const uint16_t port = local.port() != 0 ? local.port() : ephemeral_port(host, ports);
  if (ports.contains({host, port})) return local_error(Code::address_in_use, "port", port);
  ports[{host, port}] = next_id_;
  return port;
}

Duration Network::latency(HostId from, HostId to) {
  const Link& l = link(from, to);
  return l.latency_min + world_.up_to(l.latency_max - l.latency_min);
}

MonoTime Network::departure(HostId from, HostId to, size_t size) {
  const Link& l = link(from, to);
  if (l.bandwidth == 0) return world_.now();
  MonoTime& busy = busy_until_[{from, to}];
  const auto ns = static_cast<unsigned __int128>(size) * 1'000'000'000 / l.bandwidth;
  busy = std::max(busy, world_.now()) + Duration{static_cast<int64_t>(ns)};
  return busy;
}

// ---- UDP

Result<uint64_t> Network::open_udp(HostId host, const Endpoint& local, SocketOwner* owner,
                                   int32_t fd) {
  const Result<uint16_t> port = bind(host, local, udp_ports_);
  if (!port) return std::unexpected(port.error());
  const uint64_t id = next_id_++;
  UdpPort& socket = udp_[id];
  socket.host = host;
  socket.local = local;
  socket.local.set_port(*port);
  socket.owner = owner;
  socket.fd = fd;
  return id;
}

void Network::close_udp(uint64_t id) {
  const UdpPort& socket = udp_.at(id);
  udp_ports_.erase({socket.host, socket.local.port()});
  udp_.erase(id);
}

void Network::send_datagram(uint64_t from, const Endpoint& to, std::vector<uint8_t> bytes) {
  ++stats_.datagrams;
  const UdpPort& sender = udp_.at(from);
  const HostId host = resolve(sender.host, to);
  if (host == kNowhere || blocked(sender.host, host)) {
    ++stats_.datagrams_lost;
    return;
  }
  const Link& l = link(sender.host, host);
  Datagram datagram{to.is_loopback() ? Endpoint::loopback(sender.local.port())
                                     : endpoint(sender.host, sender.local.port()),
                    std::move(bytes)};
  const bool twice = world_.chance(l.duplicate);
  if (twice) ++stats_.datagrams_doubled;
  for (int copy = 0; copy < (twice ? 2 : 1); ++copy) {
    if (world_.chance(l.loss)) {
      ++stats_.datagrams_lost;
      continue;
    }
    MonoTime arrival =
        departure(sender.host, host, datagram.bytes.size() + 28) + latency(sender.host, host);
    if (world_.chance(l.reorder)) arrival = arrival + world_.up_to(l.latency_max * 10);
    world_.at(arrival, [this, host, to, datagram] { datagram_arrives(host, to, datagram); });
  }
}

void Network::datagram_arrives(HostId host, const Endpoint& to, const Datagram& datagram) {
  world_.record(Record::datagram, host, to.port(), datagram.bytes.size());
  const auto bound = udp_ports_.find({host, to.port()});
  UdpPort* socket = bound == udp_ports_.end() ? nullptr : &udp_.at(bound->second);
  const bool misses = socket == nullptr || (socket->local.is_loopback() && !to.is_loopback()) ||
                      socket->queued_bytes + datagram.bytes.size() > world_.options().udp_queue;
  if (misses) {
    ++stats_.datagrams_dropped;
    return;
  }
  socket->queued_bytes += datagram.bytes.size();
  socket->queue.push_back(datagram);
  socket->owner->ready(socket->fd);
}

}  // namespace beamline::sim
