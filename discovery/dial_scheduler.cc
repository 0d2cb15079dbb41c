#include "discovery/dial_scheduler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "discovery/ip_limits.h"

namespace beamline::discovery {
namespace {

constexpr uint8_t kMaxDoublings = 16;

}  // namespace

DialScheduler::DialScheduler(const NodeId& self, const DialConfig& config, Pool& pool, Rng& rng)
    : self_(self),
      config_(config),
      pool_(&pool),
      index_(rng),
      history_(config.max_history, config.history, rng),
      throttle_(config.max_history, config.inbound_throttle, rng),
      history_seed_(rng.next()) {
  BL_CHECK(config_.dial_ratio > 0);
}

uint32_t DialScheduler::slot_of(const NodeId& id) const {
  return index_.find(id, [this](uint32_t slot) -> const NodeId& { return peers_[slot].id; });
}

uint32_t DialScheduler::find_or_add(const NodeId& id) {
  uint32_t slot = slot_of(id);
  if (slot != kNone) return slot;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(peers_.size());
    peers_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  peers_[slot] = Peer{};
  peers_[slot].id = id;
  peers_[slot].used = true;
  index_.insert(id, slot);
  return slot;
}

void DialScheduler::forget_if_idle(uint32_t slot) {
  Peer& peer = peers_[slot];
  if (peer.state != State::idle || peer.is_static || peer.is_trusted) return;
  index_.erase(peer.id, slot);
  peer = Peer{};
  free_.push_back(slot);
}

void DialScheduler::set_state(Peer& peer, State state, Now now) {
  const auto count = [&](size_t by) {
    if (peer.state == State::dialling) pending_ += by;
    if (peer.state == State::inbound) inbound_ += by;
    if (peer.state == State::outbound) outbound_ += by;
    if (!peer.counted() && peer.state == State::inbound) uncounted_in_ += by;
    if (!peer.counted() && peer.state == State::outbound) uncounted_out_ += by;
  };
  count(~size_t{0});
  peer.state = state;
  peer.since = now.mono;
  count(1);
}

void DialScheduler::set_fixed(uint32_t slot, bool is_static, bool is_trusted) {
  Peer& peer = peers_[slot];
  const bool was = !peer.counted();
  const State state = peer.state;
  const Now since{peer.since, {}};
  set_state(peer, State::idle, since);
  peer.is_static = is_static;
  peer.is_trusted = is_trusted;
  set_state(peer, state, since);
  if (was && peer.counted()) --fixed_;
  if (!was && !peer.counted()) ++fixed_;
  forget_if_idle(slot);
}

bool DialScheduler::add_static(const NodeRecord& record) {
  if (record.id == self_) return false;
  const uint32_t known = slot_of(record.id);
  const bool fixed = known != kNone && !peers_[known].counted();
  if (!fixed && fixed_ >= config_.max_static) return false;
  const uint32_t slot = find_or_add(record.id);
  peers_[slot].record = record;
  if (peers_[slot].state == State::idle) peers_[slot].due = MonoTime{};
  set_fixed(slot, true, peers_[slot].is_trusted);
  return true;
}

void DialScheduler::remove_static(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot != kNone) set_fixed(slot, false, peers_[slot].is_trusted);
}

bool DialScheduler::add_trusted(const NodeId& id) {
  if (id == self_) return false;
  const uint32_t known = slot_of(id);
  const bool fixed = known != kNone && !peers_[known].counted();
  if (!fixed && fixed_ >= config_.max_static) return false;
  const uint32_t slot = find_or_add(id);
  set_fixed(slot, peers_[slot].is_static, true);
  return true;
}

void DialScheduler::remove_trusted(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot != kNone) set_fixed(slot, peers_[slot].is_static, false);
}

size_t DialScheduler::dialled_target() const {
  if (config_.max_peers == 0) return 0;
  return std::max<size_t>(1, config_.max_peers / config_.dial_ratio);
}

bool DialScheduler::wants_more() const {
  const size_t counted = peers() - uncounted_in_ - uncounted_out_;
  return outbound_ < dialled_target() && counted < config_.max_peers;
}

size_t DialScheduler::free_slots(Now now) const {
  size_t taken = outbound_ - uncounted_out_;
  size_t all = peers() - uncounted_in_ - uncounted_out_;
  for (const Peer& peer : peers_) {
    if (peer.state != State::dialling || !peer.counted()) continue;
    if (peer.since + config_.slow_dial <= now.mono) continue;
    ++taken;
    ++all;
  }
  const size_t by_target = dialled_target() > taken ? dialled_target() - taken : 0;
  const size_t by_peers = config_.max_peers > all ? config_.max_peers - all : 0;
  return std::min(by_target, by_peers);
}

// Ends dials that are over time, and counts the slots that may be filled in this interval.
void DialScheduler::begin_interval(Now now) {
  next_pick_ = now.mono + config_.pick_interval;
  expire(now);
  picks_left_ = free_slots(now);
  static_at_ = 0;
}

void DialScheduler::expire(Now now) {
  for (uint32_t slot = 0; slot < peers_.size(); ++slot) {
    if (peers_[slot].state != State::dialling || peers_[slot].due > now.mono) continue;
    ++stats_.timed_out;
    want_drop(peers_[slot].id);
    leave(slot, now, true);
  }
}

std::optional<DialOrder> DialScheduler::poll(Now now, Rng& rng) {
  if (now.mono >= next_pick_) begin_interval(now);
  if (pending_ >= config_.max_pending) return std::nullopt;
  if (auto order = poll_static(now)) return order;
  // Candidates of the pool leave room for those that come first.
  const size_t reserve = std::min(fixed_, std::min(kReserve, config_.max_pending - 1));
  if (pending_ + reserve >= config_.max_pending) return std::nullopt;
  return poll_pool(now, rng);
}

std::optional<DialOrder> DialScheduler::poll_static(Now now) {
  if (fixed_ == 0) return std::nullopt;
  while (static_at_ < peers_.size()) {
    const Peer& peer = peers_[static_at_++];
    if (!peer.is_static || peer.state != State::idle || peer.due > now.mono) continue;
    if (history_.contains(history_key(peer.id), now)) continue;
    ++stats_.static_dials;
    return dial(NodeRecord(peer.record), now);
  }
  return std::nullopt;
}

std::optional<DialOrder> DialScheduler::poll_pool(Now now, Rng& rng) {
  for (size_t skips = 0; picks_left_ > 0 && skips < kMaxSkips; ++skips) {
    const NodeRecord* record = pool_->pick(now, rng);
    if (record == nullptr) {
      ++stats_.no_candidate;
      picks_left_ = 0;
      break;
    }
    const uint32_t known = slot_of(record->id);
    if (record->id == self_) {
      pool_->hold(record->id);
    } else if (known != kNone && peers_[known].state != State::idle) {
      ++stats_.skipped_connected;
      pool_->hold(record->id);
    } else if (history_.contains(history_key(record->id), now)) {
      ++stats_.skipped_history;
      pool_->release(record->id, now);
    } else {
      --picks_left_;
      return dial(NodeRecord(*record), now);
    }
  }
  return std::nullopt;
}

DialOrder DialScheduler::dial(const NodeRecord& record, Now now) {
  Peer& peer = peers_[find_or_add(record.id)];
  set_state(peer, State::dialling, now);
  peer.due = now.mono + config_.dial_timeout;
  history_.add(history_key(record.id), now);
  pool_->hold(record.id);
  ++stats_.dials;
  return DialOrder{record, peer.is_static};
}

// A dial or a connection ended.
void DialScheduler::leave(uint32_t slot, Now now, bool failed) {
  Peer& peer = peers_[slot];
  const bool connected = peer.state == State::inbound || peer.state == State::outbound;
  if (connected && !failed && now.mono - peer.since >= config_.steady) useful(peer.id);
  set_state(peer, State::idle, now);
  peer.dial_open = false;
  const Duration backoff = config_.static_backoff * (int64_t{1} << peer.failures);
  peer.due = now.mono + (failed ? std::min(backoff, config_.static_backoff_max) : Duration{});
  if (failed && peer.failures < kMaxDoublings) ++peer.failures;
  if (failed) {
    pool_->failed(peer.id, now);
  } else {
    pool_->release(peer.id, now);
  }
  forget_if_idle(slot);
}

void DialScheduler::want_drop(const NodeId& id) {
  if (drops_.size() >= config_.max_history) return;  // nobody polls
  drops_.push_back(id);
}

std::optional<NodeId> DialScheduler::poll_drop() {
  if (drops_.empty()) return std::nullopt;
  const NodeId id = drops_.back();
  drops_.pop_back();
  return id;
}

MonoTime DialScheduler::next_deadline() const { return next_pick_; }

Admission DialScheduler::refuse(Admission why) {
  if (why == Admission::throttled) ++stats_.refused_throttle;
  if (why == Admission::too_many) ++stats_.refused_slots;
  if (why == Admission::duplicate || why == Admission::self) ++stats_.refused_duplicate;
  return why;
}

Admission DialScheduler::admit(const Endpoint& from, Now now) {
  if (!is_lan(from)) {
    const uint64_t key = address_key(from);
    if (throttle_.contains(key, now)) return refuse(Admission::throttled);
    throttle_.add(key, now);
  }
  // A trusted one, or one that is static, may be behind it.
  const size_t counted = peers() - uncounted_in_ - uncounted_out_;
  if (counted >= config_.max_peers && fixed_ == 0) return refuse(Admission::too_many);
  return Admission::accept;
}

Admission DialScheduler::connected_inbound(const NodeId& id, Now now) {
  if (id == self_) return refuse(Admission::self);
  const uint32_t known = slot_of(id);
  const State was = known != kNone ? peers_[known].state : State::idle;
  if (was == State::inbound || (was == State::outbound && ours_stands(id))) {
    return refuse(Admission::duplicate);
  }
  if (was == State::outbound) {
    set_state(peers_[known], State::inbound, now);
    ++stats_.crossed;
    return Admission::replace;
  }
  // Ours will give way to it, so that it must not be refused for its direction.
  const bool crosses = was == State::dialling && !ours_stands(id);
  const bool trusted = known != kNone && peers_[known].is_trusted;
  const size_t counted_in = inbound_ - uncounted_in_;
  const size_t counted = counted_in + outbound_ - uncounted_out_;
  const size_t max_inbound = config_.max_peers - std::min(config_.max_peers, dialled_target());
  if (!trusted && (counted >= config_.max_peers || (counted_in >= max_inbound && !crosses))) {
    return refuse(Admission::too_many);
  }
  Peer& peer = peers_[find_or_add(id)];
  set_state(peer, State::inbound, now);
  peer.dial_open = was == State::dialling;
  pool_->hold(id);
  ++stats_.connected_in;
  return Admission::accept;
}

Admission DialScheduler::connected_outbound(const NodeId& id, Now now) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return refuse(Admission::duplicate);
  Peer& peer = peers_[slot];
  const bool beside = std::exchange(peer.dial_open, false) && peer.state == State::inbound;
  if (beside && ours_stands(id)) {
    set_state(peer, State::outbound, now);
    ++stats_.crossed;
    return Admission::replace;
  }
  // Over time, or it came to us in the meantime.
  if (peer.state != State::dialling) return refuse(Admission::duplicate);
  const size_t counted_out = outbound_ - uncounted_out_;
  const size_t counted = counted_out + inbound_ - uncounted_in_;
  if (peer.counted() && (counted_out >= dialled_target() || counted >= config_.max_peers)) {
    leave(slot, now, false);
    return refuse(Admission::too_many);
  }
  set_state(peer, State::outbound, now);
  ++stats_.connected_out;
  return Admission::accept;
}

void DialScheduler::end_dial(const NodeId& id, Now now, bool failed) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  peers_[slot].dial_open = false;
  if (peers_[slot].state != State::dialling) return;
  if (failed) ++stats_.failed;
  leave(slot, now, failed);
}

void DialScheduler::dial_failed(const NodeId& id, Now now) { end_dial(id, now, true); }
void DialScheduler::dial_refused(const NodeId& id, Now now) { end_dial(id, now, false); }

void DialScheduler::disconnected(const NodeId& id, Now now) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  const State state = peers_[slot].state;
  if (state != State::inbound && state != State::outbound) return;
  ++stats_.disconnected;
  const bool goes_on = peers_[slot].dial_open && peers_[slot].due > now.mono;
  if (goes_on && pending_ < config_.max_pending) {
    peers_[slot].dial_open = false;
    return set_state(peers_[slot], State::dialling, now);
  }
  leave(slot, now, false);
}

void DialScheduler::failed(const NodeId& id, Now now) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) {
    pool_->failed(id, now);
    return;
  }
  const Peer& peer = peers_[slot];
  if (peer.is_trusted || (peer.state != State::inbound && peer.state != State::outbound)) return;
  ++stats_.dropped_failed;
  want_drop(id);
  leave(slot, now, true);
}

void DialScheduler::useful(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot != kNone) peers_[slot].failures = 0;
  pool_->succeeded(id);
}

bool DialScheduler::is_connected(const NodeId& id) const {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return false;
  return peers_[slot].state == State::inbound || peers_[slot].state == State::outbound;
}

}  // namespace beamline::discovery
