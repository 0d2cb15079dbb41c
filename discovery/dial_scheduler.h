// Decides whom to dial, and whom to let in: slots, ratio, static and trusted peers, history and
// throttle. It opens no connection: dials are polled, outcomes come in by name. Values as in geth
// (p2p/dial.go, p2p/server.go).
//
// Thread rule: one thread. Sans-IO.
//
// Invariants: an id is dialled or connected at most once at a time; pending <= max_pending; dialled
// peers <= dialled_target(), peers <= max_peers, trusted (and static, dialled) ones apart; an id is
// not dialled twice within `history`; with a free slot and an eligible candidate a dial happens
// within `pick_interval`.
//
// Two that dial each other at once keep the connection that the larger id dialled, whatever came up
// first on which side: each lets go of the other one, and neither of both. That one stands above
// the limits of its direction. A peer that refuses the second by itself (geth: before its Hello) is
// not asked to choose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "discovery/expiring_set.h"
#include "discovery/id_index.h"
#include "discovery/node_record.h"
#include "discovery/pool.h"

namespace beamline::discovery {

struct DialConfig {
  size_t max_peers = 50;
  size_t dial_ratio = 3;  // one of so many peers is dialled by us; 1: all
  size_t max_pending = 15;
  size_t max_static = 256;  // static and trusted
  size_t max_history = 16'384;
  Duration pick_interval = milliseconds(100);
  Duration dial_timeout = seconds(15);  // dial and handshake
  // A dial that takes longer than this no longer holds its slot: the next candidate is tried beside
  // it, so that silent candidates do not keep a place empty for a whole timeout each.
  Duration slow_dial = seconds(1);
  Duration history = seconds(35);
  // Of a static peer: twice as long with each failure in a row, up to the second.
  Duration static_backoff = seconds(30);
  Duration static_backoff_max = seconds(300);
  // Who stayed connected for so long without a fault was useful, whatever it was asked.
  Duration steady = seconds(600);
  Duration inbound_throttle = seconds(30);  // per address; LAN and loopback exempt
};

enum class Direction : uint8_t { inbound, outbound };

struct DialOrder {
  NodeRecord record;
  bool is_static;
};

enum class Admission : uint8_t {
  accept,
  replace,    // accepted, and the connection to it of the other direction is to be closed
  throttled,  // its address came back too soon
  too_many,   // no slot for an inbound peer
  duplicate,  // connected, or being connected
  self,
};

class DialScheduler {
 public:
  struct Stats {
    uint64_t dials = 0, static_dials = 0, connected_out = 0, connected_in = 0;
    uint64_t failed = 0, timed_out = 0, disconnected = 0, dropped_failed = 0;
    uint64_t crossed = 0;  // connections that gave way to one of the other direction
    uint64_t refused_throttle = 0, refused_slots = 0, refused_duplicate = 0;
    uint64_t skipped_history = 0, skipped_connected = 0, skipped_port = 0, no_candidate = 0;
  };

  DialScheduler(const NodeId& self, const DialConfig& config, Pool& pool, Rng& rng);

  // Dialled whenever it is not connected, before any other. False: max_static are there.
  bool add_static(const NodeRecord& record);
  void remove_static(const NodeId& id);
  // Connected above all limits of number.
  bool add_trusted(const NodeId& id);
  void remove_trusted(const NodeId& id);

  // The next dial. Call until nullopt; then again at next_deadline().
  std::optional<DialOrder> poll(Now now, Rng& rng);
  // A peer to disconnect: it failed a request (see failed()), its dial is over time, or it stands
  // above a limit that was lowered. Call until nullopt.
  std::optional<NodeId> poll_drop();
  MonoTime next_deadline() const;

  // A connection came in from `from`, its peer still unknown.
  Admission admit(const Endpoint& from, Now now);
  // Its handshake told who it is. On `accept` it is a peer from now on.
  Admission connected_inbound(const NodeId& id, Now now);
  // A dial came to its end. Neither accept nor replace: close it.
  Admission connected_outbound(const NodeId& id, Now now);
  void dial_failed(const NodeId& id, Now now);
  // The peer refused it, as it has another connection with us: no failure.
  void dial_refused(const NodeId& id, Now now);
  // Of the connection that stands. A dial that it came in beside goes on.
  void disconnected(const NodeId& id, Now now);
  // A request to a connected peer timed out: it is dropped (poll_drop) and gets a backoff, unless
  // it is trusted. Of a node that is not connected: the backoff alone.
  void failed(const NodeId& id, Now now);
  // It answered with what it was asked for: its next failure has the shortest backoff again. To
  // connect and shake hands is not enough, or a tarpit would wait 30 s each time.
  void useful(const NodeId& id);

  size_t dialled_target() const;
  // There is a place for one that we dial. A peer whose connection stands in place of our dial
  // takes one of those places.
  bool wants_more() const;
  size_t peers() const { return inbound_ + outbound_; }
  size_t inbound() const { return inbound_; }
  size_t outbound() const { return outbound_; }
  size_t pending() const { return pending_; }
  bool is_connected(const NodeId& id) const;
  const Stats& stats() const { return stats_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kMaxSkips = 16;  // candidates that one poll may pass over
  static constexpr size_t kReserve = 2;    // of max_pending, for static peers
  enum class State : uint8_t { idle, dialling, inbound, outbound };
  struct Peer {
    NodeId id;
    NodeRecord record;  // of a static one
    State state = State::idle;
    bool used = false;
    bool is_static = false;
    bool is_trusted = false;
    bool dial_open = false;  // beside an inbound connection
    uint8_t failures = 0;    // of a static one, in a row
    MonoTime since;          // of the state
    MonoTime due;            // idle and static: not before; dialling: its end
    bool counted() const { return !is_static && !is_trusted; }
  };

  uint32_t slot_of(const NodeId& id) const;
  uint32_t find_or_add(const NodeId& id);
  void forget_if_idle(uint32_t slot);
  void set_state(Peer& peer, State state, Now now);
  void set_fixed(uint32_t slot, bool is_static, bool is_trusted);
  void leave(uint32_t slot, Now now, bool failed);
  void begin_interval(Now now);
  size_t free_slots(Now now) const;
  DialOrder dial(const NodeRecord& record, Now now);
  std::optional<DialOrder> poll_static(Now now);
  std::optional<DialOrder> poll_pool(Now now, Rng& rng);
  void expire(Now now);
  Admission refuse(Admission why);
  void end_dial(const NodeId& id, Now now, bool failed);
  bool ours_stands(const NodeId& id) const { return self_ > id; }
  void want_drop(const NodeId& id);
  uint64_t history_key(const NodeId& id) const { return Hash256Hasher{history_seed_}(id) | 1; }

  NodeId self_;
  DialConfig config_;
  Pool* pool_;
  std::vector<Peer> peers_;
  std::vector<uint32_t> free_;
  std::vector<NodeId> drops_;
  IdIndex index_;
  ExpiringSet history_;
  ExpiringSet throttle_;
  uint64_t history_seed_;
  size_t inbound_ = 0;
  size_t outbound_ = 0;
  size_t pending_ = 0;
  size_t uncounted_in_ = 0;  // static or trusted, connected
  size_t uncounted_out_ = 0;
  size_t fixed_ = 0;  // static or trusted, connected or not
  size_t static_at_ = 0;
  size_t picks_left_ = 0;  // in this interval
  MonoTime next_pick_;
  Stats stats_;
};

}  // namespace beamline::discovery
