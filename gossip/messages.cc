// The way of a message through the router: received, judged, forwarded; or published.
#include <algorithm>

#include "base/check.h"
#include "codec/snappy.h"
#include "gossip/router.h"

namespace beamline::gossip {

MessageId Router::make_id(const Topic& topic, SnappyDomain domain, Bytes data) const {
  return topic.config.id_rule == MessageIdRule::phase0
             ? message_id_phase0(domain, data)
             : message_id_altair(domain, topic.name, data);
}

void Router::on_message(PeerState& peer, const RpcItem& item, const SharedBytes& shared, Now now) {
  ++stats_.messages_in;
  if (!item.has_topic) {
    ++stats_.missing_topic;
    return;
  }
  const TopicIndex topic = find_subscribed(item.topic);
  if (topic == kNoTopic) {
    ++stats_.unknown_topic;
    return;
  }
  if (item.is_signed) {
    ++stats_.signed_messages;
    peer.score.delivered_invalid(topic);
    update_score(peer, now);
    return;
  }
  if (item.data.size() > params_.max_compressed) {
    ++stats_.oversize_compressed;
    peer.score.delivered_invalid(topic);
    update_score(peer, now);
    return;
  }
  uint64_t bytes_key = 0;
  const uint32_t same = store_.find_bytes(topic, item.data, bytes_key);
  if (same != MessageStore::kNone) {
    ++stats_.duplicates_by_bytes;
    on_duplicate(peer, topic, store_.at(same).id, now);
    return;
  }
  on_new_message(peer, topic, item, shared, bytes_key, now);
}

// Not the bytes of a message that is still stored: its id tells whether it is new.
void Router::on_new_message(PeerState& peer, TopicIndex topic, const RpcItem& item,
                            const SharedBytes& shared, uint64_t bytes_key, Now now) {
  if (validating_ >= params_.max_validating) {
    ++stats_.validation_full;
    return;
  }
  const Topic& t = topic_at(topic);
  const size_t limit = std::min(t.config.max_payload, params_.max_payload);
  const Result<SharedBytes> data = snappy_uncompress(item.data, limit);
  if (!data) {
    ++(data.error().code == Code::too_long ? stats_.oversize_payload : stats_.bad_snappy);
    ++stats_.rejected;
    peer.score.delivered_invalid(topic);
    update_score(peer, now);
    return;
  }
  const MessageId id = make_id(t, SnappyDomain::valid, *data);
  if (known(id)) {
    on_duplicate(peer, topic, id, now);
    return;
  }
  MessageFrame frame;
  if (item.canonical && !shared.empty()) {
    frame.frame = shared;
    frame.data_offset = static_cast<size_t>(item.data.data() - shared.data());
    frame.data_size = item.data.size();
  } else {
    frame = encode_message(as_bytes(t.name), item.data);
  }
  const uint32_t slot = store_.add(id, bytes_key, frame, *data, stats_.stored_evicted);
  if (slot == MessageStore::kNone) {
    ++stats_.validation_full;
    return;
  }
  seen_.insert(id, Outcome::validating, now.mono, stats_.seen_evicted);
  StoredMessage& message = store_.at(slot);
  message.topic = topic;
  message.from = peer.ref;
  message.deadline = now.mono + params_.validation_timeout;
  await_verdict(slot);
  ++stats_.messages_new;
  if (item.data.size() >= params_.idontwant_size) announce_idontwant(peer, topic, id);
}

// Seen, or still stored although the bounded seen cache lost it.
bool Router::known(const MessageId& id) const {
  return seen_.contains(id) || store_.find(id) != MessageStore::kNone;
}

void Router::on_duplicate(PeerState& peer, TopicIndex topic, const MessageId& id, Now now) {
  ++stats_.duplicates;
  const uint32_t slot = store_.find(id);
  if (slot == MessageStore::kNone) {
    if (!seen_.contains(id) || seen_.outcome(id) != Outcome::rejected) return;
    peer.score.delivered_invalid(topic);
    update_score(peer, now);
    return;
  }
  StoredMessage& message = store_.at(slot);
  const TopicScoreParams& params = topic_at(topic).config.score;
  const bool validating = message.outcome == Outcome::validating;
  const bool near_first = message.outcome == Outcome::accepted && !message.sent_by(peer.ref) &&
                          now.mono - message.decided <= params.mesh_window;
  if (!validating && !near_first) return;
  if (!message.add_sender(peer.ref)) {
    ++stats_.senders_not_recorded;
  } else if (near_first) {
    peer.score.delivered_near_first(topic, params);
  }
}

void Router::announce_idontwant(PeerState& sender, TopicIndex topic, const MessageId& id) {
  SharedBytes frame;
  for (PeerIndex index : topic_at(topic).mesh) {
    PeerState& peer = *find(index);
    if (&peer == &sender || peer.info.version < Version::v1_2) continue;
    if (frame.empty()) frame = encode_idontwant({&id, 1});
    send(peer, Lane::gossip, frame);
    ++stats_.idontwant_out;
  }
}

void Router::await_verdict(uint32_t slot) {
  const MessageHandle handle{slot, store_.at(slot).generation};
  ++validating_;
  arrived_.push_back(handle);
  // One slow verdict at the front would keep all that were judged behind it.
  if (awaiting_.size() >= 2 * params_.max_validating) {
    for (size_t i = awaiting_.size(); i > 0; --i) {
      const MessageHandle old = awaiting_.pop_front();
      if (store_.find(old) != MessageStore::kNone) awaiting_.push_back(old);
    }
  }
  awaiting_.push_back(handle);
}

bool Router::poll_message(Message& message) {
  while (!arrived_.empty()) {
    const MessageHandle handle = arrived_.pop_front();
    const uint32_t slot = store_.find(handle);
    if (slot == MessageStore::kNone) continue;
    const StoredMessage& stored = store_.at(slot);
    const bool there = find(stored.from) != nullptr;
    message = {handle, stored.topic, there ? stored.from.index : kNoPeer, stored.id, stored.data};
    return true;
  }
  return false;
}

void Router::verdict(MessageHandle handle, Verdict verdict, Now now) {
  const uint32_t slot = store_.find(handle);
  if (slot == MessageStore::kNone) {
    ++stats_.stale_verdicts;
    return;
  }
  switch (verdict) {
    case Verdict::accept:
      return decide(slot, Outcome::accepted, now);
    case Verdict::ignore:
      return decide(slot, Outcome::ignored, now);
    case Verdict::reject:
      return decide(slot, Outcome::rejected, now);
    case Verdict::forget:
      --validating_;
      ++stats_.forgotten;
      seen_.forget(store_.at(slot).id);
      store_.remove(slot);
      return;
  }
}

void Router::decide(uint32_t slot, Outcome outcome, Now now) {
  --validating_;
  seen_.set_outcome(store_.at(slot).id, outcome);
  if (outcome == Outcome::rejected) {
    ++stats_.rejected;
    charge_invalid(slot, now);
    store_.remove(slot);
    return;
  }
  store_.decide(slot, outcome, beat_, now.mono);
  if (outcome == Outcome::ignored) {
    ++stats_.ignored;
    return;
  }
  ++stats_.accepted;
  credit_delivery(slot);
  forward(slot);
}

void Router::credit_delivery(uint32_t slot) {
  const StoredMessage& message = store_.at(slot);
  const TopicScoreParams& params = topic_at(message.topic).config.score;
  if (PeerState* peer = find(message.from)) peer->score.delivered_first(message.topic, params);
  for (size_t i = 0; i < message.sender_count; ++i) {
    PeerState* peer = find(message.senders[i]);
    if (peer != nullptr) peer->score.delivered_near_first(message.topic, params);
  }
}

void Router::charge_invalid(uint32_t slot, Now now) {
  const StoredMessage& message = store_.at(slot);
  auto charge = [&](PeerRef ref) {
    PeerState* peer = find(ref);
    if (peer == nullptr) return;
    peer->score.delivered_invalid(message.topic);
    update_score(*peer, now);
  };
  charge(message.from);
  for (size_t i = 0; i < message.sender_count; ++i) charge(message.senders[i]);
}

// To every mesh peer that did not send it and does want it.
void Router::forward(uint32_t slot) {
  const StoredMessage& message = store_.at(slot);
  for (PeerIndex index : topic_at(message.topic).mesh) {
    PeerState& peer = *find(index);
    if (message.sent_by(peer.ref)) continue;
    if (peer.unwanted.contains(message.id)) {
      ++stats_.suppressed_by_idontwant;
      continue;
    }
    send(peer, Lane::forward, message.frame.frame);
    ++stats_.forwarded;
  }
}

// --- Our own ---

// Whom our own message goes to. The fanout is made when it is needed.
const std::vector<PeerIndex>& Router::publish_targets(TopicIndex topic, Now now) {
  Topic& t = topic_at(topic);
  auto wanted = [&](PeerIndex peer) {
    return find(peer)->total >= params_.score.publish_threshold;
  };
  candidates_.clear();
  if (params_.flood_publish) {
    std::ranges::copy_if(t.subscribers, std::back_inserter(candidates_), wanted);
    return candidates_;
  }
  if (t.subscribed) {
    candidates_ = t.mesh;
    return candidates_;
  }
  if (t.fanout.empty()) {
    std::ranges::copy_if(t.subscribers, std::back_inserter(t.fanout), wanted);
    shuffle(std::span(t.fanout), rng_);
    if (t.fanout.size() > params_.d) t.fanout.resize(params_.d);
  }
  t.fanout_expires = now.mono + params_.fanout_ttl;
  candidates_ = t.fanout;
  return candidates_;
}

Result<Router::Published> Router::publish(TopicIndex topic, Bytes payload, Now now) {
  const Topic& t = topic_at(topic);
  if (payload.size() > std::min(t.config.max_payload, params_.max_payload)) {
    return local_error(Code::too_long, "payload");
  }
  Published made{make_id(t, SnappyDomain::valid, payload), 0};
  if (known(made.id)) return local_error(Code::duplicate, "message");
  const SharedBytes compressed = snappy_compress(payload);
  if (compressed.size() > params_.max_compressed) return local_error(Code::too_long, "payload");
  const MessageFrame frame = encode_message(as_bytes(t.name), compressed);
  seen_.insert(made.id, Outcome::accepted, now.mono, stats_.seen_evicted);
  uint64_t key = 0;
  store_.find_bytes(topic, compressed, key);
  const uint32_t slot = store_.add(made.id, key, frame, {}, stats_.stored_evicted);
  if (slot != MessageStore::kNone) {  // else it is sent, but cannot be asked for
    store_.at(slot).topic = topic;
    store_.decide(slot, Outcome::accepted, beat_, now.mono);
  }
  for (PeerIndex index : publish_targets(topic, now)) {
    PeerState& peer = *find(index);
    if (peer.unwanted.contains(made.id)) continue;
    send(peer, Lane::publish, frame.frame);
    ++made.peers;
  }
  ++stats_.published;
  stats_.published_copies += made.peers;
  return made;
}

}  // namespace beamline::gossip
