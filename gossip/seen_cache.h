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
  Outcome outcome(const MessageId& id) const { return static_cast<Outcome>(ids_.find(id) & 3); }

  // True if it was not there; `evicted` counts ids that left before their time to make room.
  bool insert(const MessageId& id, Outcome outcome, MonoTime now, uint64_t& evicted) {
    if (contains(id)) return false;
    if (order_.size() >= capacity_) {
      drop_oldest();
      ++evicted;
    }
    times_ = (times_ + 1) & kTimes;
    order_.push_back({id, times_, now + ttl_});
    ids_.put(id, times_ << 2 | static_cast<uint32_t>(outcome));
    return true;
  }
  // Ids that are no longer there are passed over.
  void set_outcome(const MessageId& id, Outcome outcome) {
    const uint32_t value = ids_.find(id);
    if (value != ids_.kNone) ids_.put(id, (value & ~3u) | static_cast<uint32_t>(outcome));
  }
  // As if it had not been seen. (Its place in the order is free when its time comes.)
  void forget(const MessageId& id) { ids_.erase(id); }
  // Forgets what is older than the time bound.
  void expire(MonoTime now) {
    while (!order_.empty() && order_.front().expires <= now) drop_oldest();
  }
  size_t size() const { return order_.size(); }

 private:
  static constexpr uint32_t kTimes = (1u << 29) - 1;
  struct Entry {
    MessageId id;
    uint32_t time = 0;  // of its insertion: an id that was forgotten may be here twice
    MonoTime expires;
  };
  void drop_oldest() {
    const Entry oldest = order_.pop_front();
    const uint32_t value = ids_.find(oldest.id);
    if (value != ids_.kNone && value >> 2 == oldest.time) ids_.erase(oldest.id);
  }
  FlatTable<MessageId> ids_;  // to the insertion's time and the outcome
  Ring<Entry> order_;
  uint32_t times_ = 0;
  Duration ttl_;
  size_t capacity_;
};

}  // namespace beamline::gossip
