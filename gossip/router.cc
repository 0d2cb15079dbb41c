#include "gossip/router.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::gossip {
namespace {

constexpr size_t kMaxTopicName = 256;

void insert_sorted(std::vector<PeerIndex>& peers, PeerIndex peer) {
  const auto it = std::ranges::lower_bound(peers, peer);
  if (it == peers.end() || *it != peer) peers.insert(it, peer);
}

void erase_sorted(std::vector<PeerIndex>& peers, PeerIndex peer) {
  const auto it = std::ranges::lower_bound(peers, peer);
  if (it != peers.end() && *it == peer) peers.erase(it);
}

}  // namespace

Router::Router(const Params& params, Rng& rng, Now now)
    : params_(params),
      rng_(rng.fork()),
      hash_(rng_),
      topics_by_name_(hash_),
      seen_(hash_, params.seen_ttl, params.max_seen),
      store_(hash_, params.max_stored, params.max_stored_bytes) {
  BL_CHECK(params.d_low <= params.d && params.d <= params.d_high && params.heartbeat.ns > 0);
  BL_CHECK(params.max_topics < kNoTopic && params.history_gossip <= params.history_length);
  partial_.limit = partial_.fair = params.max_partial_bytes;
  // A random phase, so that nodes that start together do not beat together.
  const auto phase = static_cast<int64_t>(rng_.below(static_cast<uint64_t>(params.heartbeat.ns)));
  next_heartbeat_ = now.mono + nanoseconds(phase + 1);
  next_decay_ = now.mono + params.score.decay_interval;
}

Router::~Router() = default;

// --- Topics ---

TopicIndex Router::find_topic(Bytes name) const {
  const uint32_t found = topics_by_name_.find(hash_(name.data(), name.size()));
  if (found == topics_by_name_.kNone || topics_[found]->name != as_text(name)) return kNoTopic;
  return static_cast<TopicIndex>(found);
}

TopicIndex Router::find_subscribed(Bytes name) const {
  const TopicIndex topic = find_topic(name);
  return topic != kNoTopic && topic_at(topic).subscribed ? topic : kNoTopic;
}

Result<TopicIndex> Router::register_topic(std::string_view name, const TopicConfig& config) {
  const uint64_t key = hash_(as_bytes(name).data(), name.size());
  if (name.size() > kMaxTopicName) return local_error(Code::too_long, "topic");
  if (topics_by_name_.find(key) != topics_by_name_.kNone) {
    return local_error(Code::duplicate, "topic");
  }
  if (topics_.size() >= params_.max_topics) return local_error(Code::full, "topic");
  const auto index = static_cast<TopicIndex>(topics_.size());
  topics_.push_back(std::make_unique<Topic>());
  topics_.back()->name = name;
  topics_.back()->config = config;
  topic_scores_.push_back(&topics_.back()->config.score);
  topics_by_name_.put(key, index);
  gossip_.resize(topics_.size());
  return index;
}

void Router::subscribe(TopicIndex topic, Now now) {
  Topic& t = topic_at(topic);
  if (t.subscribed) return;
  t.subscribed = true;
  const SubscriptionEntry entry{as_bytes(t.name), true};
  const SharedBytes frame = encode_subscriptions({&entry, 1});
  for (PeerIndex peer : connected_) send(*find(peer), Lane::control, frame);
  // JOIN takes the fanout's peers first.
  const std::vector<PeerIndex> fanout = std::exchange(t.fanout, {});
  for (PeerIndex peer : fanout) {
    if (t.mesh.size() < params_.d && may_graft(topic, *find(peer), now)) {
      change_mesh(topic, peer, true, now);
    }
  }
  if (t.mesh.size() < params_.d) graft_more(topic, params_.d - t.mesh.size(), false, now);
  flush_changes();
}

void Router::unsubscribe(TopicIndex topic, Now now) {
  Topic& t = topic_at(topic);
  if (!t.subscribed) return;
  const std::vector<PeerIndex> mesh = t.mesh;
  for (PeerIndex index : mesh) {
    PeerState& peer = *find(index);
    remove_from_mesh(topic, peer, now);
    add_backoff(topic, index, params_.unsubscribe_backoff, now);
    send_prune(peer, topic, params_.unsubscribe_backoff);
  }
  t.subscribed = false;
  const SubscriptionEntry entry{as_bytes(t.name), false};
  const SharedBytes frame = encode_subscriptions({&entry, 1});
  for (PeerIndex peer : connected_) send(*find(peer), Lane::control, frame);
}

bool Router::subscribed(TopicIndex topic) const { return topic_at(topic).subscribed; }
std::string_view Router::topic_name(TopicIndex topic) const { return topic_at(topic).name; }

// --- Peers ---

PeerState* Router::find(PeerIndex peer) const {
  return peer < peers_.size() ? peers_[peer].get() : nullptr;
}

PeerState* Router::find(PeerRef peer) const {
  PeerState* found = find(peer.index);
  return found != nullptr && found->ref == peer ? found : nullptr;
}

void Router::update_fair_share() {
  partial_.fair = params_.max_partial_bytes / std::max<size_t>(connected_.size(), 1);
}

Status Router::peer_connected(PeerIndex index, const PeerInfo& info, Now now) {
  if (index >= params_.max_peers) return local_error(Code::out_of_range, "peer");
  if (find(index) != nullptr) return local_error(Code::duplicate, "peer");
  if (index >= peers_.size()) peers_.resize(index + 1);
  peers_[index] =
      std::make_unique<PeerState>(info, PeerRef{index, next_generation_++}, hash_, params_.max_rpc);
  insert_sorted(connected_, index);
  update_fair_share();
  PeerState& peer = *peers_[index];
  restore(peer, now);
  announce(peer);
  return {};
}

// All our subscriptions, in one frame.
void Router::announce(PeerState& peer) {
  std::vector<SubscriptionEntry> entries;
  for (const auto& topic : topics_) {
    if (topic->subscribed) entries.push_back({as_bytes(topic->name), true});
  }
  if (!entries.empty()) send(peer, Lane::control, encode_subscriptions(entries));
}

void Router::restart_input(PeerIndex index) {
  PeerState* peer = find(index);
  if (peer == nullptr) return;
  peer->reader.reset(partial_);
  peer->failed = false;
}

void Router::restart_output(PeerIndex index) {
  PeerState* peer = find(index);
  if (peer == nullptr) return;
  peer->queue.clear();
  peer->ready = false;
  announce(*peer);
  for (TopicIndex topic = 0; topic < topics_.size(); ++topic) {
    const std::vector<PeerIndex>& mesh = topic_at(topic).mesh;
    if (std::ranges::find(mesh, index) != mesh.end()) send_graft(*peer, topic);
  }
}

void Router::peer_disconnected(PeerIndex index, Now now) {
  PeerState* peer = find(index);
  if (peer == nullptr) return;
  for (TopicIndex topic = 0; topic < topics_.size(); ++topic) remove_from_mesh(topic, *peer, now);
  retain(*peer, now);
  for (const auto& topic : topics_) {
    erase_sorted(topic->subscribers, index);
    std::erase(topic->fanout, index);
    std::erase_if(topic->backoffs, [&](const Backoff& b) { return b.peer == index; });
  }
  peer->reader.reset(partial_);
  erase_sorted(connected_, index);
  update_fair_share();
  peers_[index].reset();
}

// Keeps score and backoffs under the peer's identity.
void Router::retain(PeerState& peer, Now now) {
  if (peer.info.identity == 0) return;
  Retained kept{peer.info.identity, now.mono + params_.retain, std::move(peer.score), {}};
  for (TopicIndex topic = 0; topic < topics_.size(); ++topic) {
    const Backoff* backoff = backoff_of(topic, peer.ref.index);
    if (backoff != nullptr && backoff->until > now.mono) {
      kept.backoffs.emplace_back(topic, *backoff);
    }
  }
  if (retained_.size() >= params_.max_retained && !retained_.empty()) {
    retained_.erase(retained_.begin());
    ++stats_.retained_evicted;
  }
  if (params_.max_retained != 0) retained_.push_back(std::move(kept));
}

void Router::restore(PeerState& peer, Now now) {
  if (peer.info.identity == 0) return;
  const auto it = std::ranges::find(retained_, peer.info.identity, &Retained::identity);
  if (it == retained_.end()) return;
  peer.score = std::move(it->score);
  for (auto& [topic, backoff] : it->backoffs) {
    backoff.peer = peer.ref.index;
    auto& backoffs = topic_at(topic).backoffs;
    backoffs.insert(std::ranges::lower_bound(backoffs, backoff.peer, {}, &Backoff::peer), backoff);
  }
  retained_.erase(it);
  update_score(peer, now);
}

void Router::fail(PeerState& peer, const Error& error) {
  if (peer.failed) return;
  peer.failed = true;
  peer.reader.reset(partial_);
  failures_.push_back({peer.ref.index, error});
}

bool Router::poll_failure(Failure& failure) {
  while (!failures_.empty()) {
    failure = failures_.pop_front();
    // Told also when the peer has opened a new stream meanwhile.
    if (find(failure.peer) != nullptr) return true;
  }
  return false;
}

// --- Input ---

Status Router::receive(PeerIndex index, Bytes bytes, Now now) {
  PeerState* peer = find(index);
  if (peer == nullptr) return local_error(Code::not_found, "peer");
  if (peer->failed) return bad_input(Code::closed, "stream");
  stats_.bytes_in += bytes.size();
  FrameReader::Frame frame;
  for (;;) {
    const Result<bool> more = peer->reader.next(bytes, frame, partial_, now.mono);
    if (!more) {
      ++(more.error().code == Code::full       ? stats_.frames_over_budget
         : more.error().code == Code::too_long ? stats_.frames_oversize
                                               : stats_.bad_rpcs);
      fail(*peer, more.error());
      return std::unexpected(more.error());
    }
    if (!*more) return {};
    ++stats_.rpcs_in;
    if (Status ok = handle_rpc(*peer, frame, now); !ok) {
      ++stats_.bad_rpcs;
      fail(*peer, ok.error());
      return ok;
    }
  }
}

Status Router::handle_rpc(PeerState& peer, const FrameReader::Frame& frame, Now now) {
  if (peer.total < params_.score.graylist_threshold) {
    ++stats_.graylisted_rpcs;
    return {};
  }
  RpcLimits limits;
  limits.messages = params_.max_messages_per_rpc;
  Result<RpcReader> reader = RpcReader::open(frame.rpc, limits);
  if (!reader) return std::unexpected(reader.error());
  RpcItem item;
  while (reader->next(item)) handle_item(peer, item, frame.shared, now);
  return {};
}

void Router::handle_item(PeerState& peer, const RpcItem& item, const SharedBytes& shared, Now now) {
  using Kind = RpcItem::Kind;
  switch (item.kind) {
    case Kind::subscribe:
    case Kind::unsubscribe:
      return on_subscription(peer, item, now);
    case Kind::message:
      return on_message(peer, item, shared, now);
    case Kind::ihave:
      return on_ihave(peer, item, now);
    case Kind::iwant:
      return on_iwant(peer, item);
    case Kind::graft:
      return on_graft(peer, item, now);
    case Kind::prune:
      return on_prune(peer, item, now);
    case Kind::idontwant:
      return on_idontwant(peer, item);
    case Kind::extensions:
      ++stats_.extensions_ignored;
      return;
  }
}

// --- Output ---

void Router::send(PeerState& peer, Lane lane, const SharedBytes& frame) {
  const SendQueue::Bounds bounds{params_.max_queue_bytes, params_.max_control_bytes};
  if (!peer.queue.push(lane, frame, bounds, stats_) || peer.ready) return;
  peer.ready = true;
  ready_.push_back(peer.ref);
}

SharedBytes Router::poll_transmit(PeerIndex index) {
  PeerState* peer = find(index);
  if (peer == nullptr) return {};
  if (peer->queue.empty()) {
    peer->ready = false;
    return {};
  }
  SharedBytes frame = peer->queue.pop();
  ++stats_.frames_out;
  stats_.bytes_out += frame.size();
  return frame;
}

bool Router::poll_ready(PeerIndex& index) {
  while (!ready_.empty()) {
    const PeerRef ref = ready_.pop_front();
    const PeerState* peer = find(ref);
    if (peer == nullptr || peer->queue.empty()) continue;
    index = ref.index;
    return true;
  }
  return false;
}

// --- Observation ---

const std::vector<PeerIndex>& Router::mesh(TopicIndex topic) const { return topic_at(topic).mesh; }
const std::vector<PeerIndex>& Router::subscribers(TopicIndex topic) const {
  return topic_at(topic).subscribers;
}
const std::vector<PeerIndex>& Router::fanout(TopicIndex topic) const {
  return topic_at(topic).fanout;
}

Fixed Router::score(PeerIndex peer) const {
  const PeerState* found = find(peer);
  return found == nullptr ? Fixed{} : found->total;
}

PeerScore::TopicCounters Router::counters(PeerIndex peer, TopicIndex topic) const {
  const PeerState* found = find(peer);
  return found == nullptr ? PeerScore::TopicCounters{} : found->score.counters(topic);
}

Fixed Router::behaviour_penalty(PeerIndex peer) const {
  const PeerState* found = find(peer);
  return found == nullptr ? Fixed{} : found->score.behaviour();
}

size_t Router::topics_of(PeerIndex peer) const {
  const PeerState* found = find(peer);
  return found == nullptr ? 0 : found->topic_count;
}

size_t Router::queued_bytes(PeerIndex peer) const {
  const PeerState* found = find(peer);
  return found == nullptr ? 0 : found->queue.bytes();
}

void Router::set_application_score(PeerIndex peer, Fixed score, Now now) {
  PeerState* found = find(peer);
  if (found == nullptr) return;
  found->score.set_application(score);
  update_score(*found, now);
}

void Router::update_score(PeerState& peer, Now now) {
  peer.total = peer.score.total(params_.score, topic_scores_.data(), now.mono);
}

void Router::penalize(PeerState& peer, int64_t count, Now now) {
  peer.score.penalize(count);
  update_score(peer, now);
}

}  // namespace beamline::gossip
