// The network of a simulated world: hosts with IPv4 addresses, links between them, and the kernels'
// half of TCP and UDP. It behaves as Linux does where a program can see it.
//
// TCP: connections are ordered byte streams with a bounded buffer at each end. A sender whose peer
// does not read is stopped; loss shows as delay; a partition stalls, and after stall_timeout the
// sender gets ETIMEDOUT while the other side, unaware, gets a reset when it next sends. Closing
// with unread bytes resets the peer. UDP: datagrams are lost, doubled and overtaken.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "loop/sim/world.h"

namespace beamline::sim {

// Who has a socket. ready() is called when an operation on it may be able to go on; it may be
// called for nothing.
class SocketOwner {
 public:
  virtual void ready(int32_t fd) = 0;

 protected:
  ~SocketOwner() = default;
};

// A FIFO of bytes in one run of memory.
class ByteQueue {
 public:
  size_t size() const { return bytes_.size() - head_; }
  bool empty() const { return size() == 0; }
  Bytes front() const { return Bytes(bytes_).subspan(head_); }
  void append(Bytes bytes);
  void drop(size_t n);
  void clear();

 private:
  std::vector<uint8_t> bytes_;
  size_t head_ = 0;
};

// One end of a connection. The number of a connection is never used again.
struct StreamRef {
  uint64_t connection = 0;  // 0 is none
  uint8_t side = 0;         // 0 connected, 1 accepted
  explicit operator bool() const { return connection != 0; }
};

struct Packet {
  enum class Kind : uint8_t { syn_ack, ack, data, credit, fin, reset };
  MonoTime arrival{};
  std::vector<uint8_t> bytes{};  // data
  uint32_t credit = 0;           // bytes that the receiver read
  Kind kind;
};

// One side of a connection, as its kernel knows it.
struct Side {
  HostId host = 0;
  Endpoint local;
  Endpoint remote;
  SocketOwner* owner = nullptr;
  int32_t fd = -1;
  bool open = false;        // a socket, or a place in an accept queue, refers to it
  bool connected = false;   // the handshake is done, as far as this side knows
  bool fin_wanted = false;  // shut for writing
  bool fin_sent = false;
  bool read_shut = false;
  bool end_seen = false;    // the peer's FIN has arrived
  bool dead = false;        // reset or timed out: nothing moves any more
  bool moving = false;      // the head of the wire is on the heap
  int32_t error = 0;        // pending; the first operation that sees it takes it
  uint32_t window = 0;      // bytes that the peer has room for
  uint32_t backoff = 0;     // retransmissions of the head of the wire
  uint32_t wire_epoch = 0;  // a cleared wire makes its entry on the heap void
  MonoTime last_arrival;
  MonoTime stuck_since = MonoTime::never();
  ByteQueue unsent;
  ByteQueue unread;
  std::deque<Packet> wire;  // on their way to the peer, in order
};

struct Connection {
  Side side[2];
  uint64_t listener = 0;
  uint32_t attempts = 0;  // SYNs sent
};

struct Listener {
  HostId host = 0;
  Endpoint local;
  SocketOwner* owner = nullptr;
  int32_t fd = -1;
  uint32_t backlog = 0;
  uint32_t handshakes = 0;  // half open
  std::deque<StreamRef> queue;
};

struct Datagram {
  Endpoint from;
  std::vector<uint8_t> bytes;
};

struct UdpPort {
  HostId host = 0;
  Endpoint local;
  SocketOwner* owner = nullptr;
  int32_t fd = -1;
  std::deque<Datagram> queue;
  size_t queued_bytes = 0;
};

struct NetworkStats {
  uint64_t segments = 0;
  uint64_t segments_lost = 0;
  uint64_t resets = 0;  // connections reset, for whatever reason
  uint64_t resets_injected = 0;
  uint64_t timeouts = 0;   // connections that stalled for too long
  uint64_t datagrams = 0;  // sent
  uint64_t datagrams_lost = 0;
  uint64_t datagrams_doubled = 0;
  uint64_t datagrams_dropped = 0;  // nobody there, or its queue was full
  uint64_t partitions = 0;
  uint64_t backlog_full = 0;
};

class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  // ---- The map.
  void add_host(HostId host, uint32_t host_order_address);
  Endpoint endpoint(HostId host, uint16_t port) const { return Endpoint::v4(hosts_[host], port); }
  void set_link(HostId a, HostId b, const Link& link);  // both directions
  const Link& link(HostId from, HostId to) const;
  void block(HostId from, HostId to);  // one direction
  void partition(HostId a, HostId b);  // both
  void isolate(HostId host);           // from every other
  void heal(HostId a, HostId b);
  void heal_all();
  void calm();  // heals, and the links lose, double and reorder nothing from now on
  bool blocked(HostId from, HostId to) const { return blocked_.contains({from, to}); }
  // Ends every connection between the two with a reset, as a middlebox does.
  void reset_connections(HostId a, HostId b);
  const NetworkStats& stats() const { return stats_; }
  size_t connections() const { return connections_.size(); }

  // ---- For backends: TCP.
  // Port 0 takes a free one. address_in_use and invalid_argument carry the port.
  Result<uint64_t> listen(HostId host, const Endpoint& local, uint32_t backlog, SocketOwner* owner,
                          int32_t fd);
  Listener& listener(uint64_t id) { return listeners_.at(id); }
  void close_listener(uint64_t id);
  // Takes a connection from the queue for the socket. REQUIRES: the queue is not empty.
  StreamRef accept(uint64_t listener, SocketOwner* owner, int32_t fd);
  // The side becomes connected, or gets an error, later.
  StreamRef connect(HostId host, const Endpoint& to, SocketOwner* owner, int32_t fd);
  Side& side(StreamRef stream) { return connections_.at(stream.connection)->side[stream.side]; }
  size_t send_space(StreamRef stream);
  void write(StreamRef stream, Bytes bytes);  // REQUIRES: room for all of it
  void consume(StreamRef stream, size_t n);   // bytes of `unread` were read
  void shutdown(StreamRef stream, bool write_only);
  void close(StreamRef stream);

  // ---- For backends: UDP.
  Result<uint64_t> open_udp(HostId host, const Endpoint& local, SocketOwner* owner, int32_t fd);
  UdpPort& udp(uint64_t id) { return udp_.at(id); }
  void close_udp(uint64_t id);
  void send_datagram(uint64_t from, const Endpoint& to, std::vector<uint8_t> bytes);

 private:
  using Pair = std::pair<HostId, HostId>;
  using Port = std::pair<HostId, uint16_t>;
  static constexpr HostId kNowhere = UINT32_MAX;

  HostId resolve(HostId from, const Endpoint& to) const;
  Result<uint16_t> bind(HostId host, const Endpoint& local, std::map<Port, uint64_t>& ports);
  uint16_t ephemeral_port(HostId host, const std::map<Port, uint64_t>& ports);
  Duration latency(HostId from, HostId to);
  // When `size` bytes that leave now have left the link's queue.
  MonoTime departure(HostId from, HostId to, size_t size);

  Connection* find(uint64_t id);
  void send_syn(uint64_t id);
  void syn_arrives(uint64_t id);
  void retry_syn(uint64_t id);
  void pump(uint64_t id, uint8_t from);
  void push_packet(uint64_t id, uint8_t from, Packet packet);
  void move_wire(uint64_t id, uint8_t from);
  void wire_arrives(uint64_t id, uint8_t from, uint32_t epoch);
  void retransmit(uint64_t id, uint8_t from);
  void deliver(uint64_t id, uint8_t to, Packet packet);
  void deliver_data(uint64_t id, uint8_t to, Packet& packet);
  void handshake_done(uint64_t id);
  void answer_reset(uint64_t id, uint8_t from);
  void kill(uint64_t id, uint8_t side, int32_t error);
  void collect(uint64_t id);
  void datagram_arrives(HostId host, const Endpoint& to, const Datagram& datagram);

  World& world_;
  std::vector<uint32_t> hosts_;
  std::vector<uint16_t> next_port_;
  std::map<uint32_t, HostId> addresses_;
  std::map<Pair, Link> links_;
  std::map<Pair, MonoTime> busy_until_;
  std::set<Pair> blocked_;
  std::map<Port, uint64_t> tcp_ports_;
  std::map<Port, uint64_t> udp_ports_;
  std::map<uint64_t, Listener> listeners_;
  std::map<uint64_t, UdpPort> udp_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t next_id_ = 1;
  Link loopback_{microseconds(5), microseconds(20)};
  NetworkStats stats_;
};

}  // namespace beamline::sim
