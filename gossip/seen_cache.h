// The ids of messages that were seen, and what became of them: bounded in time and in number, the
// oldest leave first. Source: gossipsub v1.0 "Message Cache" (seen); consensus-specs seen_ttl.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "codec/message_id.h"
#include "gossip/flat_table.h"
#include "gossip/ring.h"

namespace beamline::gossip {

enum class Outcome : uint8_t { validating, accepted, ignored, rejected };

class SeenCache {
 public:
  SeenCache(const KeyedHash& hash, Duration ttl, size_t capacity)
      : ids_(hash), ttl_(ttl), capacity_(capacity) {}

  bool contains(const MessageId& id) const { return ids_.find(id) != ids_.kNone; }
  // REQUIRES: contains(id).
  Outcome outcome(const MessageId& id) const { return static_cast<Outcome>(ids_.find(id)); }

  // True if it was not there; `evicted` counts ids that left before their time to make room.
  bool insert(const MessageId& id, Outcome outcome, MonoTime now, uint64_t& evicted) {
    if (contains(id)) return false;
    if (order_.size() >= capacity_) {
      ids_.erase(order_.pop_front().id);
      ++evicted;
    }
    order_.push_back({id, now + ttl_});
    ids_.put(id, static_cast<uint32_t>(outcome));
    return true;
  }
  // Ids that are no longer there are passed over.
  void set_outcome(const MessageId& id, Outcome outcome) {
    if (contains(id)) ids_.put(id, static_cast<uint32_t>(outcome));
  }
  // Forgets what is older than the time bound.
  void expire(MonoTime now) {
    while (!order_.empty() && order_.front().expires <= now) ids_.erase(order_.pop_front().id);
  }
  size_t size() const { return order_.size(); }

 private:
  struct Entry {
    MessageId id;
    MonoTime expires;
  };
  FlatTable<MessageId> ids_;  // to the outcome
  Ring<Entry> order_;
  Duration ttl_;
  size_t capacity_;
};

}  // namespace beamline::gossip
