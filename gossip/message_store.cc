#include "gossip/message_store.h"

#include <algorithm>

namespace beamline::gossip {

bool StoredMessage::sent_by(PeerRef peer) const {
  if (from == peer) return true;
  const auto end = senders.begin() + sender_count;
  return std::find(senders.begin(), end, peer) != end;
}

bool StoredMessage::add_sender(PeerRef peer) {
  if (sent_by(peer)) return true;
  if (sender_count == kMaxSenders) return false;
  senders[sender_count++] = peer;
  return true;
}

uint32_t MessageStore::find_bytes(TopicIndex topic, Bytes compressed, uint64_t& key) const {
  // The key needs to differ between messages, not to identify one: the comparison below does that.
  struct Sample {
    uint8_t bytes[48];
    uint64_t size;
    uint64_t topic;
  } sample = {{}, compressed.size(), topic};
  const size_t part = std::min<size_t>(compressed.size(), 16);
  if (part != 0) {
    std::memcpy(sample.bytes, compressed.data(), part);
    std::memcpy(sample.bytes + 16, compressed.data() + (compressed.size() - part) / 2, part);
    std::memcpy(sample.bytes + 32, compressed.data() + compressed.size() - part, part);
  }
  key = hash_(reinterpret_cast<const uint8_t*>(&sample), sizeof(sample));
  const uint32_t slot = by_bytes_.find(key);
  if (slot == kNone) return kNone;
  const StoredMessage& message = slots_[slot];
  return message.topic == topic && equal(message.frame.data(), compressed) ? slot : kNone;
}

uint32_t MessageStore::find(MessageHandle handle) const {
  if (handle.slot >= slots_.size()) return kNone;
  const StoredMessage& message = slots_[handle.slot];
  const bool waits = message.live && message.generation == handle.generation &&
                     message.outcome == Outcome::validating;
  return waits ? handle.slot : kNone;
}

// False when nothing decided is left.
bool MessageStore::evict_oldest() {
  while (!history_.empty()) {
    const HistoryEntry entry = history_.pop_front();
    const StoredMessage& message = slots_[entry.slot];
    if (!message.live || message.generation != entry.generation) continue;
    remove(entry.slot);
    return true;
  }
  return false;
}

uint32_t MessageStore::add(const MessageId& id, uint64_t bytes_key, const MessageFrame& frame,
                           const SharedBytes& data, uint64_t& evicted) {
  const size_t size = frame.frame.size() + data.size();
  while (by_id_.size() >= max_messages_ || bytes_ + size > max_bytes_) {
    if (!evict_oldest()) return kNone;
    ++evicted;
  }
  uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  StoredMessage& message = slots_[slot];
  message.live = true;
  message.id = id;
  message.bytes_key = bytes_key;
  message.frame = frame;
  message.data = data;
  bytes_ += size;
  by_id_.put(id, slot);
  by_bytes_.put(bytes_key, slot);
  return slot;
}

void MessageStore::decide(uint32_t slot, Outcome outcome, uint64_t beat, MonoTime now) {
  StoredMessage& message = slots_[slot];
  message.outcome = outcome;
  message.beat = beat;
  message.decided = now;
  bytes_ -= message.data.size();
  message.data.reset();
  history_.push_back({slot, message.generation});
}

void MessageStore::remove(uint32_t slot) {
  StoredMessage& message = slots_[slot];
  bytes_ -= cost(message);
  by_id_.erase(message.id);
  if (by_bytes_.find(message.bytes_key) == slot) by_bytes_.erase(message.bytes_key);
  message.live = false;
  message.outcome = Outcome::validating;
  ++message.generation;
  message.sender_count = 0;
  message.from = {};
  message.frame = {};
  message.data.reset();
  message.served.clear();
  free_.push_back(slot);
}

void MessageStore::expire(uint64_t first_beat) {
  while (!history_.empty()) {
    const HistoryEntry entry = history_.front();
    const StoredMessage& message = slots_[entry.slot];
    const bool gone = !message.live || message.generation != entry.generation;
    if (!gone && message.beat >= first_beat) return;
    if (!gone) remove(entry.slot);
    history_.pop_front();
  }
}

uint32_t MessageStore::history(size_t i) {
  const HistoryEntry entry = history_.at(i);
  const StoredMessage& message = slots_[entry.slot];
  return message.live && message.generation == entry.generation ? entry.slot : kNone;
}

}  // namespace beamline::gossip
