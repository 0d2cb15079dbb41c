// Node Discovery v4 (ethereum/devp2p discv4.md, EIP-8, EIP-868): endpoint proofs, requests and
// responses. Which nodes there are is not known here: the Handler is told, and asked.
//
// Thread rule: one thread. Sans-IO, as Discv5. The Handler may begin requests, and must not call
// receive().
//
// A node is bonded while it has answered a ping of ours from its IP address within `bond`. Only who
// is bonded is answered to FINDNODE and ENRRequest: nothing that proves no address is answered with
// more than the specification makes us say, a PONG to each PING (21 bytes longer than the shortest
// one, for the hash that it has to echo) and one PING of ours, at most `pings_back` of them under
// way. So that nobody can aim those two at somebody else, an address that proved nothing gets
// `stranger_pings` a second, whatever comes from there. Replies go where the packet came from.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "codec/enr.h"
#include "discovery/datagram_queue.h"
#include "discovery/discv4_packet.h"
#include "discovery/node_record.h"
#include "discovery/slot_index.h"
#include "discovery/token_bucket.h"

namespace beamline::discv4 {

using CallId = uint64_t;

struct Limits {
  size_t calls = 1024;
  size_t pings_back = 256;  // of them, those that strangers cause
  // Pings answered a second of each IPv4 address (IPv6: /64) that is not bonded, LAN and loopback
  // exempt. Addresses share that many counters; a power of two.
  uint32_t stranger_pings = 8;
  size_t stranger_counters = 4096;
  size_t bonds = 8192;  // the oldest out
  Duration bond = seconds(12 * 3600);
  Duration reply_timeout = milliseconds(500);
  Duration rest_timeout = milliseconds(100);  // for more NEIGHBORS behind a short packet of them
  uint64_t expiration = 20;                   // seconds, of what we send
  size_t max_results = 16;
  size_t replays = 4096;          // packets remembered; a power of two
  uint32_t find_node_rate = 200;  // answered a second, to all
};

// A node, where its packet came from.
struct Peer {
  NodeId id;
  Endpoint endpoint;
  friend bool operator==(const Peer& a, const Peer& b) = default;
};

class Handler {
 public:
  virtual ~Handler() = default;
  // It answered a ping of ours: its endpoint is proven. `tcp_port` as its last ping said, else 0.
  // `seq`: of its record, where it told; `claimed`: where it sees us.
  virtual void on_bonded(const discovery::NodeRecord& node, std::optional<uint64_t> seq,
                         const Endpoint& claimed, Now now) = 0;
  // Any valid packet of who is bonded.
  virtual void on_seen(const Peer& peer, Now now) = 0;
  // The nearest to `target`, at most out.size(), to tell `peer`.
  virtual size_t closest(const NodeId& target, const Peer& peer,
                         std::span<discovery::NodeRecord> out) = 0;
  // Answers to requests of ours; on_done() comes last, once for each call.
  virtual void on_neighbor(CallId call, const Peer& peer, const discovery::NodeRecord& node,
                           Now now) = 0;
  // Its own record; signature and key checked.
  virtual void on_record(CallId call, const Peer& peer, const Enr& record, Now now) = 0;
  virtual void on_done(CallId call, const Peer& peer, Status outcome, Now now) = 0;
};

struct Stats {
  uint64_t packets = 0;    // with a right hash
  uint64_t malformed = 0;  // size, hash, form, signature
  uint64_t unknown_type = 0, expired = 0, replayed = 0, own_id = 0;
  uint64_t pings = 0, pings_limited = 0, pings_back = 0, pings_back_limited = 0;
  uint64_t pongs = 0, unsolicited_pongs = 0;
  uint64_t find_nodes = 0, find_nodes_unproven = 0, find_nodes_limited = 0;
  uint64_t neighbors = 0, unsolicited_neighbors = 0, neighbors_excess = 0, neighbors_bad = 0;
  uint64_t enr_requests = 0, enr_requests_unproven = 0;
  uint64_t enr_responses = 0, unsolicited_enr = 0, bad_records = 0;
  uint64_t bonds = 0, bonds_evicted = 0;
  uint64_t calls = 0, calls_refused = 0, calls_answered = 0, calls_timed_out = 0;
  uint64_t queue_full = 0;
};

class Discv4 {
 public:
  // All outlive it. `local`: what our pings say of us. `record` is ours.
  Discv4(const secp256k1::SecretKey& key, const Enr& record, const Place& local,
         discovery::DatagramQueue& out, Handler& handler, Rng rng, const Limits& limits = {});

  // A datagram. False: it is no packet of discv4, or a broken one (counted).
  bool receive(const Endpoint& from, Bytes datagram, Now now);
  void handle_timeout(Now now);
  MonoTime next_deadline() const { return next_deadline_; }

  // Requests. find_node() and request_enr() prove the endpoints first, where that is due: they
  // ping, and wait for the ping that comes back. Errors: full, invalid_argument (no endpoint or
  // key).
  Result<CallId> ping(const discovery::NodeRecord& to, Now now);
  Result<CallId> find_node(const discovery::NodeRecord& to, const RawKey& target, Now now);
  Result<CallId> request_enr(const discovery::NodeRecord& to, Now now);

  void set_record(const Enr& record) { record_ = record; }
  void set_local(const Place& local) { local_ = local; }
  bool is_bonded(const NodeId& id, const Endpoint& at, Now now) const;
  size_t calls() const { return active_.size(); }
  size_t bonds() const { return bond_index_.size(); }
  const Stats& stats() const { return stats_; }

 private:
  static constexpr uint32_t kNone = discovery::SlotIndex::kNone;
  enum class Kind : uint8_t { ping, ping_back, find_node, enr };
  enum class State : uint8_t {
    free,
    proving,  // our ping is out
    proven,   // waiting for the ping that comes back
    waiting,  // for another FINDNODE to the same node: answers do not say to which they belong
    asked,    // the request itself is out
  };
  struct Call {
    Peer peer;
    discovery::NodeKey key{};
    uint16_t tcp_port = 0;
    Kind kind = Kind::ping;
    State state = State::free;
    bool pinged_us = false;  // since the call began
    uint32_t generation = 0;
    uint32_t active_at = 0;
    Hash256 hash;  // of the packet whose answer it waits for; zero: of none
    MonoTime deadline;
    RawKey target{};
    uint8_t results = 0;
    bool answered = false;
  };
  // Who proved its endpoint; by id and IP address.
  struct Bond {
    NodeId id;
    Endpoint address;
    MonoTime pong;  // the last one from it
    MonoTime ping;  // the last one of it that we answered
    bool pinged_us = false;
  };
  struct Sender {
    Peer peer;
    discovery::NodeKey key;
  };

  // discv4.cc
  bool replayed(const Packet& packet, const Endpoint& from);
  void on_ping(const Sender& sender, const Ping& ping, const Hash256& hash, Now now);
  bool stranger_allowed(const Endpoint& from, Now now);
  void ping_back(const Sender& sender, uint16_t tcp_port, Now now);
  void on_pong(const Sender& sender, const Pong& pong, Now now);
  void on_find_node(const Sender& sender, const FindNode& request, Now now);
  void on_neighbors(const Sender& sender, const Neighbors& neighbors, Now now);
  void on_enr_request(const Sender& sender, const Hash256& hash, Now now);
  void on_enr_response(const Sender& sender, const EnrResponse& response, Now now);
  uint64_t expiration(Now now) const;
  Hash256 send(const Endpoint& to, uint8_t type);
  uint32_t bond_of(const NodeId& id, const Endpoint& at) const;
  Bond& make_bond(const Peer& peer);

  // discv4_calls.cc
  Result<uint32_t> begin(const discovery::NodeRecord& to, Kind kind, Now now);
  Result<CallId> start(uint32_t slot, Now now);
  void proceed(uint32_t slot, Now now);
  void send_ping(Call& call, Now now);
  void send_request(Call& call, Now now);
  void set_hash(Call& call, const Hash256& hash);
  uint32_t call_by_hash(const Hash256& hash, const NodeId& id) const;
  uint32_t call_to(const Peer& peer, Kind kind, State state) const;
  bool knows_us(const Call& call, Now now) const;
  void set_deadline(Call& call, MonoTime deadline);
  void finish(uint32_t slot, Status outcome, Now now);
  CallId call_id(uint32_t slot) const { return uint64_t{calls_[slot].generation} << 32 | slot; }

  const secp256k1::SecretKey& key_;
  NodeId self_;
  Enr record_;
  Place local_;
  discovery::DatagramQueue& out_;
  Handler& handler_;
  const Limits limits_;
  uint64_t seed_;
  std::vector<Call> calls_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> active_;
  discovery::SlotIndex hashes_;
  size_t pings_back_ = 0;
  std::vector<Bond> bonds_;  // a ring in the order of making
  size_t bond_next_ = 0;
  discovery::SlotIndex bond_index_;
  // Packets that were valid, by their hash; and where they came from.
  struct Seen {
    uint64_t hash = 0;
    uint32_t from = 0;
  };
  std::vector<Seen> seen_;
  struct StrangerCount {
    uint32_t second = 0, pings = 0;
  };
  std::vector<StrangerCount> strangers_;  // by a secret hash of the address
  discovery::TokenBucket find_nodes_;
  MonoTime next_deadline_ = MonoTime::never();
  std::vector<uint8_t> scratch_;
  std::vector<uint8_t> items_;
  Stats stats_;
};

}  // namespace beamline::discv4
