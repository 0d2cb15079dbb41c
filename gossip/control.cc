// The router's answers to subscriptions and control messages.
#include <algorithm>

#include "base/check.h"
#include "gossip/router.h"

namespace beamline::gossip {
namespace {

// Adds `count` to a counter of the heartbeat unless that takes it over its limit.
bool within(uint32_t& counter, size_t limit) {
  if (counter >= limit) return false;
  ++counter;
  return true;
}

}  // namespace

void Router::on_subscription(PeerState& peer, const RpcItem& item, Now now) {
  if (!within(peer.beat.subscription_changes, params_.max_subscription_changes)) {
    ++stats_.subscriptions_excess;
    return;
  }
  const TopicIndex topic = find_topic(item.topic);
  if (topic == kNoTopic) {
    ++stats_.subscriptions_unknown;
    return;
  }
  const bool on = item.kind == RpcItem::Kind::subscribe;
  if (peer.subscribed(topic) == on) return;
  if (on && peer.topic_count >= params_.max_topics_per_peer) {
    ++stats_.subscriptions_over_cap;
    return;
  }
  peer.set_subscribed(topic, on);
  peer.topic_count += on ? 1u : UINT32_MAX;
  Topic& t = topic_at(topic);
  const auto it = std::ranges::lower_bound(t.subscribers, peer.ref.index);
  if (!on) {
    t.subscribers.erase(it);
    remove_from_mesh(topic, peer, now);
    std::erase(t.fanout, peer.ref.index);
    return;
  }
  t.subscribers.insert(it, peer.ref.index);
  // A mesh that is too small does not wait for the heartbeat.
  if (t.subscribed && t.mesh.size() < params_.d_low && may_graft(topic, peer, now)) {
    add_to_mesh(topic, peer, now);
    send_graft(peer, topic);
  }
}

// --- The mesh ---

void Router::add_to_mesh(TopicIndex topic, PeerState& peer, Now now) {
  topic_at(topic).mesh.push_back(peer.ref.index);
  peer.score.grafted(topic, now.mono);
}

void Router::remove_from_mesh(TopicIndex topic, PeerState& peer, Now now) {
  Topic& t = topic_at(topic);
  if (std::erase(t.mesh, peer.ref.index) != 0) peer.score.pruned(topic, t.config.score, now.mono);
}

const Router::Backoff* Router::backoff_of(TopicIndex topic, PeerIndex peer) const {
  const std::vector<Backoff>& backoffs = topic_at(topic).backoffs;
  const auto it = std::ranges::lower_bound(backoffs, peer, {}, &Backoff::peer);
  return it != backoffs.end() && it->peer == peer ? &*it : nullptr;
}

MonoTime Router::backoff_until(TopicIndex topic, PeerIndex peer) const {
  const Backoff* backoff = backoff_of(topic, peer);
  return backoff == nullptr ? MonoTime{} : backoff->until;
}

void Router::add_backoff(TopicIndex topic, PeerIndex peer, Duration duration, Now now) {
  std::vector<Backoff>& backoffs = topic_at(topic).backoffs;
  const auto it = std::ranges::lower_bound(backoffs, peer, {}, &Backoff::peer);
  const MonoTime until = now.mono + duration;
  if (it == backoffs.end() || it->peer != peer) {
    backoffs.insert(it, Backoff{peer, now.mono, until});
    return;
  }
  it->since = now.mono;
  it->until = std::max(it->until, until);  // never shortened
}

// Our side waits one heartbeat longer than agreed, so that clocks need not agree.
bool Router::may_graft(TopicIndex topic, const PeerState& peer, Now now) const {
  const Topic& t = topic_at(topic);
  if (peer.failed || peer.total < Fixed{} || !peer.subscribed(topic)) return false;
  if (std::ranges::find(t.mesh, peer.ref.index) != t.mesh.end()) return false;
  const Backoff* backoff = backoff_of(topic, peer.ref.index);
  return backoff == nullptr || backoff->until + params_.heartbeat < now.mono;
}

void Router::send_graft(PeerState& peer, TopicIndex topic) {
  const Bytes name = as_bytes(topic_at(topic).name);
  ++stats_.grafts_out;
  send(peer, Lane::control, encode_graft_prune({{&name, 1}, {}}));
}

void Router::send_prune(PeerState& peer, TopicIndex topic, Duration backoff) {
  PruneEntry entry{as_bytes(topic_at(topic).name), 0};
  if (peer.info.version != Version::v1_0) {
    entry.backoff = static_cast<uint64_t>(backoff.ns / seconds(1).ns);
  }
  ++stats_.prunes_out;
  send(peer, Lane::control, encode_graft_prune({{}, {&entry, 1}}));
}

// Charges a GRAFT that comes while its backoff lasts, twice if it comes right after the PRUNE.
bool Router::graft_in_backoff(PeerState& peer, TopicIndex topic, Now now) {
  const Backoff* backoff = backoff_of(topic, peer.ref.index);
  if (backoff == nullptr || backoff->until <= now.mono) return false;
  ++stats_.grafts_in_backoff;
  const bool flood = now.mono < backoff->since + params_.graft_flood;
  stats_.grafts_flood += flood;
  penalize(peer, flood ? 2 : 1, now);
  return true;
}

void Router::on_graft(PeerState& peer, const RpcItem& item, Now now) {
  ++stats_.grafts_in;
  if (!within(peer.beat.graft_prune, params_.max_graft_prune)) {
    ++stats_.graft_prune_excess;
    return;
  }
  const TopicIndex topic = find_subscribed(item.topic);
  if (topic == kNoTopic) {  // unanswered, or GRAFTs for any name would elicit PRUNEs
    ++stats_.grafts_unknown_topic;
    return;
  }
  Topic& t = topic_at(topic);
  if (std::ranges::find(t.mesh, peer.ref.index) != t.mesh.end()) return;
  const bool refused = [&] {
    if (graft_in_backoff(peer, topic, now)) return true;
    if (!peer.subscribed(topic)) {
      ++stats_.grafts_unsubscribed;
      return true;
    }
    if (peer.total < Fixed{}) {
      ++stats_.grafts_low_score;
      return true;
    }
    if (t.mesh.size() >= params_.d_high && !peer.info.outbound) {
      ++stats_.grafts_mesh_full;
      return true;
    }
    return false;
  }();
  if (!refused) {
    add_to_mesh(topic, peer, now);
    return;
  }
  add_backoff(topic, peer.ref.index, params_.prune_backoff, now);
  send_prune(peer, topic, params_.prune_backoff);
}

void Router::on_prune(PeerState& peer, const RpcItem& item, Now now) {
  ++stats_.prunes_in;
  stats_.px_ignored += item.has_peers;
  if (!within(peer.beat.graft_prune, params_.max_graft_prune)) {
    ++stats_.graft_prune_excess;
    return;
  }
  const TopicIndex topic = find_topic(item.topic);
  if (topic == kNoTopic) return;
  remove_from_mesh(topic, peer, now);
  // The seconds are compared before they are multiplied: any 64-bit number may stand here.
  Duration backoff = params_.prune_backoff;
  const auto most = static_cast<uint64_t>(params_.max_backoff.ns / seconds(1).ns);
  if (item.backoff > most) {
    ++stats_.backoffs_clamped;
    backoff = params_.max_backoff;
  } else if (item.backoff != 0) {
    backoff = seconds(static_cast<int64_t>(item.backoff));
  }
  add_backoff(topic, peer.ref.index, backoff, now);
}

// --- Gossip ---

void Router::on_ihave(PeerState& peer, const RpcItem& item, Now now) {
  ++stats_.ihave_in;
  if (peer.total < params_.score.gossip_threshold) {
    ++stats_.ihave_low_score;
    return;
  }
  if (!within(peer.beat.ihave_messages, params_.max_ihave_messages)) {
    ++stats_.ihave_excess_messages;
    return;
  }
  if (find_subscribed(item.topic) == kNoTopic) return;
  if (peer.beat.ids_asked >= params_.max_ihave_ids) {
    ++stats_.ihave_excess_ids;
    return;
  }
  ids_.clear();
  IdReader reader(item);
  MessageId id;
  // Twice the limit is read at most, so that the choice below is still a choice.
  for (size_t read = 0; read < 2 * params_.max_ihave_ids && reader.next(id); ++read) {
    if (!seen_.contains(id)) ids_.push_back(id);
  }
  stats_.bad_ids += reader.bad();
  std::ranges::sort(ids_);
  ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
  if (ids_.empty()) return;
  const size_t room = params_.max_ihave_ids - peer.beat.ids_asked;
  shuffle(std::span(ids_), rng_);
  if (ids_.size() > room) {
    stats_.ihave_excess_ids += ids_.size() - room;
    ids_.resize(room);
  }
  peer.beat.ids_asked += static_cast<uint32_t>(ids_.size());
  stats_.iwant_ids_sent += ids_.size();
  send(peer, Lane::gossip, encode_iwant(ids_));
  // The first is a random one: that it comes is the promise that is watched.
  if (promises_.size() >= params_.max_promises) {
    ++stats_.promises_full;
    return;
  }
  promises_.push_back({ids_.front(), peer.ref, now.mono + params_.iwant_followup});
}

void Router::on_iwant(PeerState& peer, const RpcItem& item) {
  ++stats_.iwant_in;
  if (peer.total < params_.score.gossip_threshold) {
    ++stats_.iwant_low_score;
    return;
  }
  IdReader reader(item);
  MessageId id;
  while (reader.next(id)) {
    if (!within(peer.beat.iwant_ids, params_.max_iwant_ids)) {
      ++stats_.iwant_excess_ids;
      break;
    }
    if (serve(peer, id)) ++stats_.iwant_served;
  }
  stats_.bad_ids += reader.bad();
}

// Sends a message of the cache, a bounded number of times to each peer.
bool Router::serve(PeerState& peer, const MessageId& id) {
  const uint32_t slot = store_.find(id);
  if (slot == MessageStore::kNone || store_.at(slot).outcome != Outcome::accepted) {
    ++stats_.iwant_unknown;
    return false;
  }
  StoredMessage& message = store_.at(slot);
  auto it = std::ranges::find(message.served, peer.ref, &StoredMessage::Served::peer);
  if (it == message.served.end()) it = message.served.insert(it, {peer.ref, 0});
  if (it->count >= params_.iwant_retransmissions) {
    ++stats_.iwant_retransmissions_refused;
    return false;
  }
  ++it->count;
  if (peer.unwanted.contains(id)) {
    ++stats_.suppressed_by_idontwant;
    return false;
  }
  send(peer, Lane::forward, message.frame.frame);
  return true;
}

void Router::on_idontwant(PeerState& peer, const RpcItem& item) {
  ++stats_.idontwant_in;
  if (!within(peer.beat.idontwant_messages, params_.max_idontwant_messages)) {
    ++stats_.idontwant_excess;
    return;
  }
  IdReader reader(item);
  MessageId id;
  while (reader.next(id)) {
    if (!within(peer.beat.idontwant_ids, params_.max_idontwant_ids)) {
      ++stats_.idontwant_excess;
      break;
    }
    peer.unwanted.insert(id, beat_);
  }
  stats_.bad_ids += reader.bad();
}

}  // namespace beamline::gossip
