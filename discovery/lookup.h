// One iterative look-up: the k nodes nearest to a target, found by asking ever nearer ones.
// Kademlia section 2.3; alpha 3, k 16.
//
// Thread rule: one thread. Sans-IO: queries are polled, answers come in by name, and every query
// ends by an answer, a failure, or its time here.
//
// Invariants: nobody is asked twice; at most alpha queries in flight; it ends (at most max_queries,
// and at its deadline in any case). Of one /24 at most `per_subnet` nodes take part, so that
// whoever owns two networks and any number of ids neither fills nor ends it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "discovery/node_id.h"
#include "discovery/node_record.h"

namespace beamline::discovery {

struct LookupConfig {
  size_t alpha = 3;
  size_t k = 16;
  size_t max_queries = 128;
  size_t max_known = 256;      // nodes remembered; the farthest that were not asked go first
  size_t per_subnet = 2;       // LAN and loopback exempt
  size_t max_per_answer = 16;  // nodes that one answer may bring
  Duration query_timeout = seconds(2);
  Duration timeout = seconds(20);
};

class Lookup {
 public:
  struct Stats {
    uint64_t asked = 0, answered = 0, failed = 0, timed_out = 0;
    uint64_t refused_subnet = 0, refused_self = 0, refused_unusable = 0, refused_excess = 0,
             displaced = 0, unsolicited = 0;
  };

  Lookup(const NodeId& self, const NodeId& target, const LookupConfig& config, Now now);

  // Before the first poll(), or later: where to begin. Self, known ones and those above the limits
  // are left out.
  void add(const NodeRecord& record);
  void add(std::span<const NodeRecord> records);
  // The next to ask; it is in flight from now on. nullptr: nobody for now, or done. The pointer is
  // good until the next call.
  const NodeRecord* poll(Now now);
  // An answer, in one or several packets: `complete` with the last. From one who was not asked, or
  // whose time is over, it is counted and dropped.
  void answered(const NodeId& from, std::span<const NodeRecord> nodes, bool complete, Now now);
  void failed(const NodeId& from, Now now);
  // Queries past their time; those become failures. Returned until nullopt, for the caller to
  // report (findnode_failed).
  std::optional<NodeId> expired(Now now);
  MonoTime next_deadline() const;

  bool done() const { return done_; }
  const NodeId& target() const { return target_; }
  size_t in_flight() const { return in_flight_; }
  // The nearest that answered, nearest first, at most k; as far as it got when not yet done. Those
  // of crowded networks only where seats are left, after the others.
  size_t closest(std::span<NodeRecord> out) const;
  const Stats& stats() const { return stats_; }

 private:
  enum class State : uint8_t { fresh, asked, answered, failed };
  struct Node {
    NodeRecord record;
    Distance distance;
    State state = State::fresh;
    bool crowded = false;  // its network named more than may take part
    uint64_t subnet = 0;
    MonoTime due;
    size_t brought = 0;  // nodes of its answer so far
  };

  size_t position_of(const NodeId& id) const;  // in order_; its size when not there
  bool subnet_full(uint64_t subnet);
  bool make_room(const Distance& distance);
  size_t next_fresh() const;
  void end_query(Node& node, State state);
  void check_done();

  NodeId self_;
  NodeId target_;
  LookupConfig config_;
  MonoTime deadline_;
  std::vector<Node> nodes_;
  std::vector<uint16_t> order_;  // by distance
  size_t in_flight_ = 0;
  bool done_ = false;
  Stats stats_;
};

}  // namespace beamline::discovery
