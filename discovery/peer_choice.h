// Which connected peer a request goes to: one that can serve it, the least loaded, then the
// fastest. A cap of requests in flight per peer; every answer and failure is counted.
//
// Thread rule: one thread. Sans-IO. A choice is one pass over the connected peers (a few hundred at
// most), without allocation; nothing of the pool or the table takes part in it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "discovery/id_index.h"

namespace beamline::discovery {

// What a peer can be asked for; a set of bits that the owner defines (protocols and versions).
using Services = uint32_t;

class PeerChoice {
 public:
  struct Config {
    size_t max_peers = 1024;
    uint16_t in_flight_cap = 16;  // per peer; a peer may be given its own
  };
  struct Stats {
    uint64_t chosen = 0, answered = 0, failed = 0;
    uint64_t none_capable = 0;  // no peer has the services
    uint64_t all_busy = 0;      // peers have, and all are at their cap
    uint64_t refused_full = 0;
  };

  PeerChoice(const Config& config, Rng& rng);

  // False: max_peers are there, or it is one.
  bool add(const NodeId& id, Services services, uint16_t in_flight_cap = 0);
  void remove(const NodeId& id);  // what it had in flight is forgotten
  void set_services(const NodeId& id, Services services);

  // A peer with all of `services` and room: the fewest in flight (as a share of its cap), then the
  // fewest failures in a row, then the lowest time to answer, then by lot. It counts as in flight
  // until answered() or failed().
  std::optional<NodeId> choose(Services services, Rng& rng);
  // The same, but none of `excluded` (who failed at this request already).
  std::optional<NodeId> choose(Services services, std::span<const NodeId> excluded, Rng& rng);
  void answered(const NodeId& id, Duration took);
  void failed(const NodeId& id);

  size_t size() const { return dense_.size(); }
  size_t in_flight(const NodeId& id) const;
  const Stats& stats() const { return stats_; }

 private:
  struct Peer {
    NodeId id;
    Services services = 0;
    uint16_t in_flight = 0;
    uint16_t cap = 0;
    uint32_t failures = 0;  // in a row
    Duration smoothed{};    // of the time to answer; 0: unknown
  };
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t slot_of(const NodeId& id) const;
  static int compare(const Peer& a, const Peer& b);

  Config config_;
  std::vector<Peer> dense_;
  IdIndex index_;
  Stats stats_;
};

}  // namespace beamline::discovery
