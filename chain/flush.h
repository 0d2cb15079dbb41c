// When the roots that are ready leave. With no request by root in flight: at the end of the turn,
// at once. While one is in flight they gather, until one ends or `flush_tick` passes; so an idle
// node adds no latency, and a busy node does not send batches of one.
#pragma once

#include "base/time.h"
#include "chain/block.h"

namespace beamline::chain {

class Flush {
 public:
  explicit Flush(Duration flush_tick) : flush_tick_(flush_tick) {}

  // A request by root ended, in whatever way: what gathered may leave in this turn.
  void request_ended() { released_ = true; }
  // At the end of a turn in which roots are ready. True: send. False: they gather.
  bool open(uint32_t in_flight, MonoTime now) {
    if (in_flight == 0 || released_) return true;
    if (gathering_since_ == MonoTime::never()) gathering_since_ = now;
    return now >= gathering_since_ + flush_tick_;
  }
  // A batch went to this peer.
  void sent(PeerHandle peer) {
    last_peer_ = peer;
    gathering_since_ = MonoTime::never();
  }
  void end_of_turn() { released_ = false; }

  // The next batch goes to the same peer while one of its requests is in flight.
  PeerHandle last_peer() const { return last_peer_; }
  // When gathered roots leave; never() if none gather.
  MonoTime deadline() const { return gathering_since_ + flush_tick_; }

 private:
  const Duration flush_tick_;
  MonoTime gathering_since_ = MonoTime::never();
  bool released_ = false;
  PeerHandle last_peer_;
};

}  // namespace beamline::chain
