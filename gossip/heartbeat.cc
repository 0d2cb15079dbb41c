// The heartbeat: limits begin anew, promises and backoffs run out, meshes are mended, gossip goes
// out, the history moves on. Source: gossipsub v1.0 "Router state, heartbeat", v1.1 "Heartbeat
// Maintenance".
#include <algorithm>

#include "base/check.h"
#include "gossip/router.h"

namespace beamline::gossip {

void Router::handle_timeout(Now now) {
  if (now.mono < next_heartbeat_) return;
  const int64_t late = (now.mono - next_heartbeat_).ns / params_.heartbeat.ns;
  stats_.heartbeats_skipped += static_cast<uint64_t>(late);
  next_heartbeat_ = next_heartbeat_ + params_.heartbeat * (late + 1);
  heartbeat(now);
}

void Router::heartbeat(Now now) {
  ++stats_.heartbeats;
  expire_validations(now);
  expire_promises(now);
  expire_backoffs(now);
  seen_.expire(now.mono);
  begin_beat(now);
  gather_gossip();
  for (TopicIndex topic = 0; topic < topics_.size(); ++topic) {
    if (topic_at(topic).subscribed) maintain_mesh(topic, now);
    if (!topic_at(topic).fanout.empty()) maintain_fanout(topic, now);
    if (!gossip_[topic].empty()) emit_gossip(topic);
  }
  flush_changes();
  ++beat_;
  if (beat_ >= params_.history_length) store_.expire(beat_ - params_.history_length + 1);
}

// Per peer: limits, scores, what is over its time.
void Router::begin_beat(Now now) {
  const bool decay = now.mono >= next_decay_;
  if (decay) next_decay_ = now.mono + params_.score.decay_interval;
  for (PeerIndex index : connected_) {
    PeerState& peer = *find(index);
    peer.beat = {};
    if (beat_ >= params_.idontwant_beats) peer.unwanted.expire(beat_ - params_.idontwant_beats + 1);
    if (decay) peer.score.decay(params_.score, topic_scores_.data());
    update_score(peer, now);
    const MonoTime started = peer.reader.started();
    if (started != MonoTime::never() && now.mono - started > params_.frame_timeout) {
      ++stats_.frames_timed_out;
      fail(peer, Error{"frame", 0, Code::timed_out, Fault::peer});
    }
  }
  std::erase_if(retained_, [&](const Retained& kept) { return kept.expires <= now.mono; });
}

void Router::expire_validations(Now now) {
  while (!awaiting_.empty()) {
    const uint32_t slot = store_.find(awaiting_.front());
    if (slot != MessageStore::kNone) {
      if (store_.at(slot).deadline > now.mono) return;
      ++stats_.validation_timeouts;
      decide(slot, Outcome::ignored, now);
    }
    awaiting_.pop_front();
  }
}

void Router::expire_promises(Now now) {
  while (!promises_.empty() && promises_.front().deadline <= now.mono) {
    const Promise promise = promises_.pop_front();
    if (seen_.contains(promise.id)) continue;  // it came, from whomever
    ++stats_.broken_promises;
    if (PeerState* peer = find(promise.peer)) penalize(*peer, 1, now);
  }
}

// Kept for one heartbeat more than they last: may_graft() waits that long.
void Router::expire_backoffs(Now now) {
  for (const auto& topic : topics_) {
    std::erase_if(topic->backoffs, [&](const Backoff& backoff) {
      return backoff.until + params_.heartbeat < now.mono;
    });
  }
}

// --- Meshes ---

void Router::change_mesh(TopicIndex topic, PeerIndex index, bool graft, Now now) {
  PeerState& peer = *find(index);
  if (graft) {
    add_to_mesh(topic, peer, now);
  } else {
    remove_from_mesh(topic, peer, now);
    add_backoff(topic, index, params_.prune_backoff, now);
  }
  changes_.push_back({index, topic, graft});
}

void Router::maintain_mesh(TopicIndex topic, Now now) {
  const std::vector<PeerIndex>& mesh = topic_at(topic).mesh;
  drop_negative(topic, now);
  if (mesh.size() < params_.d_low) graft_more(topic, params_.d - mesh.size(), false, now);
  if (mesh.size() > params_.d_high) prune_excess(topic, now);
  const auto outbound = static_cast<size_t>(
      std::ranges::count_if(mesh, [&](PeerIndex peer) { return find(peer)->info.outbound; }));
  if (mesh.size() >= params_.d_low && outbound < params_.d_out) {
    graft_more(topic, params_.d_out - outbound, true, now);
  }
  if ((beat_ + 1) % params_.opportunistic_graft_beats == 0) graft_opportunistically(topic, now);
}

void Router::drop_negative(TopicIndex topic, Now now) {
  const std::vector<PeerIndex>& mesh = topic_at(topic).mesh;
  for (size_t i = mesh.size(); i-- > 0;) {
    const PeerIndex peer = mesh[i];
    if (find(peer)->total < Fixed{}) change_mesh(topic, peer, false, now);
  }
}

void Router::graft_more(TopicIndex topic, size_t count, bool outbound_only, Now now) {
  candidates_.clear();
  for (PeerIndex index : topic_at(topic).subscribers) {
    const PeerState& peer = *find(index);
    if (outbound_only && !peer.info.outbound) continue;
    if (may_graft(topic, peer, now)) candidates_.push_back(index);
  }
  shuffle(std::span(candidates_), rng_);
  for (size_t i = 0; i < std::min(count, candidates_.size()); ++i) {
    change_mesh(topic, candidates_[i], true, now);
  }
}

// Down to d: the best by score stay, the rest is chance, and d_out outbound ones are among them.
void Router::prune_excess(TopicIndex topic, Now now) {
  ranked_.clear();
  for (PeerIndex peer : topic_at(topic).mesh) {
    ranked_.push_back({find(peer)->total, rng_.next(), peer});
  }
  std::ranges::sort(ranked_, std::greater{});  // equal scores in random order
  candidates_.clear();
  for (const Ranked& ranked : ranked_) candidates_.push_back(ranked.peer);
  shuffle(std::span(candidates_).subspan(std::min(params_.d_score, candidates_.size())), rng_);
  auto outbound = [&](PeerIndex peer) { return find(peer)->info.outbound; };
  auto kept = static_cast<size_t>(std::count_if(
      candidates_.begin(), candidates_.begin() + static_cast<ptrdiff_t>(params_.d), outbound));
  // Outbound peers that would go take the places of the last inbound ones that would stay.
  size_t place = params_.d;
  for (size_t i = params_.d; i < candidates_.size() && kept < params_.d_out; ++i) {
    if (!outbound(candidates_[i])) continue;
    while (place > 0 && outbound(candidates_[place - 1])) --place;
    if (place == 0) break;
    std::swap(candidates_[--place], candidates_[i]);
    ++kept;
  }
  for (size_t i = params_.d; i < candidates_.size(); ++i) {
    change_mesh(topic, candidates_[i], false, now);
  }
}

void Router::graft_opportunistically(TopicIndex topic, Now now) {
  const std::vector<PeerIndex>& mesh = topic_at(topic).mesh;
  if (mesh.size() < 2) return;
  candidates_ = mesh;
  std::ranges::sort(candidates_, {}, [&](PeerIndex peer) { return find(peer)->total; });
  const Fixed median = find(candidates_[candidates_.size() / 2])->total;
  if (median >= params_.score.opportunistic_graft_threshold) return;
  candidates_.clear();
  for (PeerIndex index : topic_at(topic).subscribers) {
    const PeerState& peer = *find(index);
    if (peer.total > median && may_graft(topic, peer, now)) candidates_.push_back(index);
  }
  shuffle(std::span(candidates_), rng_);
  const size_t count = std::min(params_.opportunistic_graft_peers, candidates_.size());
  for (size_t i = 0; i < count; ++i) change_mesh(topic, candidates_[i], true, now);
  stats_.opportunistic_grafts += count;
}

void Router::maintain_fanout(TopicIndex topic, Now now) {
  Topic& t = topic_at(topic);
  if (t.fanout_expires <= now.mono || t.subscribed) {
    t.fanout.clear();
    return;
  }
  const Fixed least = params_.score.publish_threshold;
  std::erase_if(t.fanout, [&](PeerIndex peer) { return find(peer)->total < least; });
  candidates_.clear();
  for (PeerIndex peer : t.subscribers) {
    const bool in = std::ranges::find(t.fanout, peer) != t.fanout.end();
    if (!in && find(peer)->total >= least) candidates_.push_back(peer);
  }
  shuffle(std::span(candidates_), rng_);
  for (PeerIndex peer : candidates_) {
    if (t.fanout.size() >= params_.d) break;
    t.fanout.push_back(peer);
  }
}

// --- Gossip ---

// The ids of the last heartbeats, by topic, in one pass.
void Router::gather_gossip() {
  for (std::vector<MessageId>& ids : gossip_) ids.clear();
  for (size_t i = store_.history_size(); i-- > 0;) {
    const uint32_t slot = store_.history(i);
    if (slot == MessageStore::kNone) continue;
    const StoredMessage& message = store_.at(slot);
    if (message.beat + params_.history_gossip <= beat_) break;
    if (message.outcome == Outcome::accepted) gossip_[message.topic].push_back(message.id);
  }
}

void Router::emit_gossip(TopicIndex topic) {
  const Topic& t = topic_at(topic);
  std::vector<MessageId>& ids = gossip_[topic];
  if (ids.size() > params_.max_ihave_ids) {
    shuffle(std::span(ids), rng_);
    ids.resize(params_.max_ihave_ids);
  }
  auto has = [](const std::vector<PeerIndex>& peers, PeerIndex peer) {
    return std::ranges::find(peers, peer) != peers.end();
  };
  candidates_.clear();
  for (PeerIndex peer : t.subscribers) {
    if (find(peer)->total < params_.score.gossip_threshold) continue;
    if (!has(t.mesh, peer) && !has(t.fanout, peer)) candidates_.push_back(peer);
  }
  if (candidates_.empty()) return;
  const size_t count =
      std::min(candidates_.size(),
               std::max(params_.d_lazy, candidates_.size() * params_.gossip_percent / 100));
  shuffle(std::span(candidates_), rng_);
  const SharedBytes frame = encode_ihave(as_bytes(t.name), ids);
  for (size_t i = 0; i < count; ++i) {
    send(*find(candidates_[i]), Lane::gossip, frame);
    ++stats_.ihave_out;
  }
}

// One frame for each peer whose place in some mesh changed.
void Router::flush_changes() {
  std::ranges::sort(changes_);
  std::vector<Bytes> grafts;
  std::vector<PruneEntry> prunes;
  for (size_t i = 0; i < changes_.size();) {
    PeerState& peer = *find(changes_[i].peer);
    grafts.clear();
    prunes.clear();
    for (; i < changes_.size() && changes_[i].peer == peer.ref.index; ++i) {
      const Bytes name = as_bytes(topic_at(changes_[i].topic).name);
      if (changes_[i].graft) {
        grafts.push_back(name);
      } else {
        const bool timed = peer.info.version != Version::v1_0;
        const int64_t backoff = timed ? params_.prune_backoff.ns / seconds(1).ns : 0;
        prunes.push_back({name, static_cast<uint64_t>(backoff)});
      }
    }
    stats_.grafts_out += grafts.size();
    stats_.prunes_out += prunes.size();
    send(peer, Lane::control, encode_graft_prune({grafts, prunes}));
  }
  changes_.clear();
}

}  // namespace beamline::gossip
