// The messages that can still be sent on: those that wait for a verdict, and the message cache of
// the last heartbeats. Each holds one encoded frame that all its receivers share. Bounded in number
// and bytes. Found by id, and by their compressed bytes: equal bytes on one topic are the same
// message, so a duplicate is recognised by a comparison, without decompression or SHA-256.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "codec/message_id.h"
#include "gossip/flat_table.h"
#include "gossip/ring.h"
#include "gossip/rpc.h"
#include "gossip/seen_cache.h"
#include "gossip/types.h"

namespace beamline::gossip {

// A peer of one connection: the index may be assigned anew, the generation not.
struct PeerRef {
  PeerIndex index = kNoPeer;
  uint32_t generation = 0;
  friend bool operator==(PeerRef, PeerRef) = default;
};

struct StoredMessage {
  static constexpr size_t kMaxSenders = 24;

  MessageId id;
  TopicIndex topic = 0;
  Outcome outcome = Outcome::validating;
  uint8_t sender_count = 0;
  bool live = false;
  uint32_t generation = 0;
  PeerRef from;                              // {} for our own
  std::array<PeerRef, kMaxSenders> senders;  // others who sent it before the verdict
  MessageFrame frame;
  SharedBytes data;   // decompressed; until the verdict
  MonoTime deadline;  // of the verdict
  MonoTime decided;
  uint64_t beat = 0;  // heartbeat of the verdict
  uint64_t bytes_key = 0;
  struct Served {
    PeerRef peer;
    uint32_t count = 0;
  };
  std::vector<Served> served;  // answers to IWANT

  // False when there is no room to record it.
  bool add_sender(PeerRef peer);
  bool sent_by(PeerRef peer) const;
};

class MessageStore {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  MessageStore(const KeyedHash& hash, size_t max_messages, size_t max_bytes)
      : hash_(hash),
        by_id_(hash),
        by_bytes_(hash),
        max_messages_(max_messages),
        max_bytes_(max_bytes) {}

  // Slots are valid until the next add() or removal.
  StoredMessage& at(uint32_t slot) { return slots_[slot]; }
  uint32_t find(const MessageId& id) const { return by_id_.find(id); }
  // The message with exactly these compressed bytes, or kNone. Gives the key for add().
  uint32_t find_bytes(TopicIndex topic, Bytes compressed, uint64_t& key) const;
  // The message of a handle, or kNone if it was decided or is gone.
  uint32_t find(MessageHandle handle) const;

  // Makes room by dropping the oldest decided messages (counted in `evicted`); kNone when what is
  // left are messages in validation. The slot comes empty but for its generation.
  // REQUIRES: the id is not there.
  uint32_t add(const MessageId& id, uint64_t bytes_key, const MessageFrame& frame,
               const SharedBytes& data, uint64_t& evicted);
  // The verdict is there: the decompressed bytes are let go, and the history begins.
  void decide(uint32_t slot, Outcome outcome, uint64_t beat, MonoTime now);
  void remove(uint32_t slot);
  // Drops decided messages of before this heartbeat.
  void expire(uint64_t first_beat);

  // Decided messages, oldest first; entries whose message is gone give kNone.
  size_t history_size() const { return history_.size(); }
  uint32_t history(size_t i);
  size_t size() const { return by_id_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct HistoryEntry {
    uint32_t slot = kNone;
    uint32_t generation = 0;
  };
  static size_t cost(const StoredMessage& message) {
    return message.frame.frame.size() + message.data.size();
  }
  bool evict_oldest();

  KeyedHash hash_;
  FlatTable<MessageId> by_id_;
  FlatTable<uint64_t> by_bytes_;
  std::vector<StoredMessage> slots_;
  std::vector<uint32_t> free_;
  Ring<HistoryEntry> history_;
  size_t bytes_ = 0;
  size_t max_messages_;
  size_t max_bytes_;
};

}  // namespace beamline::gossip
