// What the router knows of one connected peer. Internal to gossip/.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/time.h"
#include "codec/message_id.h"
#include "gossip/flat_table.h"
#include "gossip/frame_reader.h"
#include "gossip/message_store.h"
#include "gossip/ring.h"
#include "gossip/score.h"
#include "gossip/send_queue.h"
#include "gossip/types.h"

namespace beamline::gossip {

// The ids that a peer said it does not want, for some heartbeats.
class UnwantedIds {
 public:
  explicit UnwantedIds(const KeyedHash& hash) : ids_(hash) {}
  bool contains(const MessageId& id) const { return ids_.find(id) != ids_.kNone; }
  void insert(const MessageId& id, uint64_t beat) {
    if (contains(id)) return;
    ids_.put(id, 0);
    order_.push_back({id, beat});
  }
  // Forgets what came before this heartbeat.
  void expire(uint64_t first_beat) {
    while (!order_.empty() && order_.front().beat < first_beat) ids_.erase(order_.pop_front().id);
    if (order_.empty()) {
      ids_.clear();
      order_.clear();
    }
  }
  size_t size() const { return order_.size(); }

 private:
  struct Entry {
    MessageId id;
    uint64_t beat = 0;
  };
  FlatTable<MessageId> ids_;
  Ring<Entry> order_;
};

// What a peer did since the last heartbeat; the flood limits compare with it.
struct BeatCounters {
  uint32_t ihave_messages = 0;
  uint32_t ids_asked = 0;
  uint32_t iwant_ids = 0;
  uint32_t idontwant_messages = 0;
  uint32_t idontwant_ids = 0;
  uint32_t graft_prune = 0;
  uint32_t subscription_changes = 0;
};

struct PeerState {
  PeerState(const PeerInfo& of, PeerRef as, const KeyedHash& hash, size_t max_rpc)
      : info(of), ref(as), reader(max_rpc), unwanted(hash) {}

  PeerInfo info;
  PeerRef ref;
  bool ready = false;   // has output, and stands in the ready queue or was handed out from it
  bool failed = false;  // its stream is broken; further input is not read
  uint32_t topic_count = 0;
  std::vector<uint64_t> topics;  // a bit for each registered topic that it is subscribed to
  PeerScore score;
  Fixed total;  // of score, as of the last change or heartbeat
  FrameReader reader;
  SendQueue queue;
  UnwantedIds unwanted;
  BeatCounters beat;

  bool subscribed(TopicIndex topic) const {
    const size_t word = topic / 64u;
    return word < topics.size() && (topics[word] >> (topic % 64) & 1) != 0;
  }
  void set_subscribed(TopicIndex topic, bool on) {
    const size_t word = topic / 64u;
    if (word >= topics.size()) topics.resize(word + 1);
    const uint64_t bit = uint64_t{1} << (topic % 64);
    topics[word] = on ? topics[word] | bit : topics[word] & ~bit;
  }
};

}  // namespace beamline::gossip
