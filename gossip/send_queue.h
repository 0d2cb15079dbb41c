// What waits to be written to one peer's gossip stream: whole frames, shared with other peers'
// queues. Control goes first, then our own messages, then forwards. Bounded in bytes: forwards give
// way to own messages, and both never to each other's excess. Not thread safe.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "gossip/ring.h"
#include "gossip/stats.h"

namespace beamline::gossip {

enum class Lane : uint8_t {
  control,  // subscriptions, GRAFT, PRUNE
  gossip,   // IHAVE, IWANT, IDONTWANT: control that may be lost
  publish,  // our own messages
  forward,  // messages of others, answers to IWANT
};

class SendQueue {
 public:
  struct Bounds {
    size_t messages;  // bytes in publish and forward
    size_t control;   // bytes in control; gossip has half of it
  };

  // False (and counted) when it was dropped.
  bool push(Lane lane, SharedBytes frame, const Bounds& bounds, Stats& stats);
  // The next frame, or empty.
  SharedBytes pop();
  bool empty() const { return control_.empty() && publish_.empty() && forward_.empty(); }
  size_t bytes() const { return control_bytes_ + message_bytes_; }
  void clear();

 private:
  Ring<SharedBytes> control_;  // of both lanes, in order
  Ring<SharedBytes> publish_;
  Ring<SharedBytes> forward_;
  size_t control_bytes_ = 0;
  size_t message_bytes_ = 0;
};

}  // namespace beamline::gossip
