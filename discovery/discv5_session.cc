#include "discovery/discv5_session.h"

#include <algorithm>
#include <cstring>

namespace beamline::discv5 {
namespace {

Bytes reading(const SessionKeys& keys, bool initiator) {
  return initiator ? Bytes(keys.recipient) : Bytes(keys.initiator);
}
Bytes writing(const SessionKeys& keys, bool initiator) {
  return initiator ? Bytes(keys.initiator) : Bytes(keys.recipient);
}

}  // namespace

Session::Session(const Peer& peer, const SessionKeys& keys, bool initiator, uint64_t serial,
                 Now now, const SessionLimits& limits)
    : peer_(peer),
      write_(writing(keys, initiator)),
      read_(reading(keys, initiator)),
      serial_(serial),
      confirmed_(!initiator),
      expires_(now.mono + limits.max_age),
      findnode_(limits.findnode_rate, limits.findnode_burst) {}

void Session::renew(const SessionKeys& keys, bool initiator, uint64_t serial, Now now,
                    const SessionLimits& limits) {
  read_before_ = std::move(read_);
  replays_before_ = std::exchange(replays_, {});
  read_ = AesGcm(reading(keys, initiator));
  write_ = AesGcm(writing(keys, initiator));
  serial_ = serial;
  sent_ = 0;
  confirmed_ = !initiator;
  expires_ = now.mono + limits.max_age;
}

Nonce Session::next_nonce(Rng& rng) {
  ++sent_;
  Nonce nonce;
  for (size_t i = 0; i < 4; ++i) nonce[i] = static_cast<uint8_t>(sent_ >> (24 - 8 * i));
  rng.fill(MutableBytes(nonce).subspan(4));
  return nonce;
}

Result<Bytes> Session::open(const Packet& packet) {
  const MutableBytes data = packet.sealed.first(packet.sealed.size() - kTagSize);
  const auto tag = Bytes(packet.sealed).last<kTagSize>();
  std::array<uint8_t, kMaxPacket> copy;  // a failure leaves nothing in `data`
  if (read_before_ && !data.empty()) std::memcpy(copy.data(), data.data(), data.size());
  Status opened = read_.open(packet.nonce, packet.head, data, tag);
  ReplayWindow* replays = &replays_;
  if (!opened && read_before_) {
    if (!data.empty()) std::memcpy(data.data(), copy.data(), data.size());
    opened = read_before_->open(packet.nonce, packet.head, data, tag);
    replays = &replays_before_;
  }
  if (!opened) return std::unexpected(opened.error());
  if (!replays->take(packet.nonce)) return bad_input(Code::duplicate, "discv5.nonce");
  return Bytes(data);
}

SessionCache::SessionCache(const SessionLimits& limits, Rng& rng)
    : limits_(limits), seed_(rng.next()), index_(limits.sessions) {}

uint32_t SessionCache::slot_of(const Peer& peer) const {
  return index_.find(hash(peer), [&](uint32_t slot) { return slots_[slot]->peer_ == peer; });
}

void SessionCache::unlink(uint32_t slot) {
  Session& session = *slots_[slot];
  (session.newer_ == kNone ? newest_ : slots_[session.newer_]->older_) = session.older_;
  (session.older_ == kNone ? oldest_ : slots_[session.older_]->newer_) = session.newer_;
}

void SessionCache::link_newest(uint32_t slot) {
  Session& session = *slots_[slot];
  session.newer_ = kNone;
  session.older_ = newest_;
  (newest_ == kNone ? oldest_ : slots_[newest_]->newer_) = slot;
  newest_ = slot;
}

Session* SessionCache::find(const Peer& peer) {
  const uint32_t slot = slot_of(peer);
  return slot == kNone ? nullptr : slots_[slot].get();
}

void SessionCache::use(Session& session) {
  if (session.slot_ == newest_) return;
  unlink(session.slot_);
  link_newest(session.slot_);
}

void SessionCache::release(uint32_t slot) {
  unlink(slot);
  index_.erase(hash(slots_[slot]->peer_), slot);
  slots_[slot].reset();
  free_.push_back(slot);
}

Session& SessionCache::put(const Peer& peer, const SessionKeys& keys, bool initiator, Now now) {
  ++serial_;
  if (Session* known = find(peer)) {
    ++stats_.renewed;
    known->renew(keys, initiator, serial_, now, limits_);
    use(*known);
    return *known;
  }
  if (index_.size() == limits_.sessions) {
    ++stats_.evicted;
    release(oldest_);
  }
  uint32_t slot = static_cast<uint32_t>(slots_.size());
  if (free_.empty()) {
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  ++stats_.created;
  slots_[slot] = std::make_unique<Session>(peer, keys, initiator, serial_, now, limits_);
  slots_[slot]->slot_ = slot;
  index_.insert(hash(peer), slot);
  link_newest(slot);
  return *slots_[slot];
}

void SessionCache::drop(const Peer& peer) {
  const uint32_t slot = slot_of(peer);
  if (slot == kNone) return;
  ++stats_.dropped;
  release(slot);
}

ChallengeTable::ChallengeTable(const ChallengeLimits& limits, Rng& rng)
    : limits_(limits),
      seed_(rng.next()),
      rate_(limits.per_second, limits.per_second),
      index_(limits.pending),
      ring_(limits.pending) {}

uint32_t ChallengeTable::slot_of(const Peer& peer) const {
  return index_.find(hash(peer), [&](uint32_t slot) {
    const Peer& known = ring_[slot].peer;
    return known.id == peer.id && equal(known.endpoint.address(), peer.endpoint.address());
  });
}

void ChallengeTable::expire(Now now) {
  while (size_ > 0 && ring_[head_].deadline <= now.mono) {
    index_.erase(hash(ring_[head_].peer), static_cast<uint32_t>(head_));
    head_ = (head_ + 1) % ring_.size();
    --size_;
  }
}

Challenge* ChallengeTable::pending(const Peer& peer, Now now) {
  expire(now);
  const uint32_t slot = slot_of(peer);
  if (slot == kNone || ring_[slot].answered || ring_[slot].peer != peer) return nullptr;
  return &ring_[slot];
}

ChallengeTable::Decision ChallengeTable::decide(const Peer& peer, Now now) {
  expire(now);
  const uint32_t slot = slot_of(peer);
  if (slot != kNone) {
    Challenge& known = ring_[slot];
    if (known.answered || known.peer != peer) return {};
    return {Verdict::repeat, &known};
  }
  if (size_ == ring_.size() || !rate_.take(now.mono)) return {};
  const size_t at = (head_ + size_) % ring_.size();
  ++size_;
  ring_[at] = Challenge{};
  ring_[at].peer = peer;
  ring_[at].deadline = now.mono + limits_.timeout;
  index_.insert(hash(peer), static_cast<uint32_t>(at));
  return {Verdict::make, &ring_[at]};
}

}  // namespace beamline::discv5
