// The peers: who is there, what they say of their chain, how they behaved, and what is on its way
// to them. Not thread safe. References stay valid until the peer is removed.
#pragma once

#include <array>
#include <map>
#include <optional>

#include "base/time.h"
#include "base/token_bucket.h"
#include "chain/block.h"
#include "chain/commands.h"
#include "chain/events.h"
#include "chain/limits.h"

namespace beamline::chain {

struct Peer {
  explicit Peer(Rate serve_rate) : serve_bucket(serve_rate) {}

  PeerHandle handle;
  int32_t score = 0;
  uint32_t in_flight = 0;  // our requests
  uint32_t serves = 0;     // its requests
  MonoTime not_before{};   // it said that we ask too much
  bool leaving = false;    // told to disconnect; gets nothing more
  std::optional<PeerStatus> status;
  TokenBucket serve_bucket;  // of what we serve it, in blocks
  // How its score came about: how often by Conduct, and the last change.
  std::array<uint32_t, kConducts> conducts{};
  std::optional<Conduct> last_reason;
  MonoTime last_change{};
};

class PeerTable {
 public:
  explicit PeerTable(const Limits& limits) : limits_(limits) {}

  // Null when the table is full. REQUIRES: the index is free.
  Peer* add(PeerHandle handle);
  void remove(PeerHandle handle);
  // Null if that peer, in that generation, is not here.
  Peer* find(PeerHandle handle);
  const Peer* find(PeerHandle handle) const;
  // Whoever has the index now, of any generation.
  const Peer* at(uint32_t index) const;

  // Applies a reward or a penalty. Returns the report to give.
  ReportPeer report(Peer& peer, Conduct conduct, MonoTime now);
  // May it be asked now?
  bool available(const Peer& peer, MonoTime now) const {
    return !peer.leaving && peer.in_flight < limits_.requests_per_peer && peer.not_before <= now;
  }
  bool any_available(MonoTime now) const;
  // The earliest `not_before` that is still to come, or never().
  MonoTime next_available(MonoTime now) const;
  // By rising index.
  const std::map<uint32_t, Peer>& all() const { return peers_; }
  size_t size() const { return peers_.size(); }

 private:
  const Limits& limits_;
  std::map<uint32_t, Peer> peers_;
};

}  // namespace beamline::chain
