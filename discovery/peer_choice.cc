#include "discovery/peer_choice.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::discovery {

PeerChoice::PeerChoice(const Config& config, Rng& rng)
    : config_(config), index_(rng, config.max_peers) {
  BL_CHECK(config_.in_flight_cap > 0);
  dense_.reserve(config_.max_peers);
}

uint32_t PeerChoice::slot_of(const NodeId& id) const {
  return index_.find(id, [this](uint32_t slot) -> const NodeId& { return dense_[slot].id; });
}

bool PeerChoice::add(const NodeId& id, Services services, uint16_t in_flight_cap) {
  if (slot_of(id) != kNone) return false;
  if (dense_.size() == config_.max_peers) {
    ++stats_.refused_full;
    return false;
  }
  index_.insert(id, static_cast<uint32_t>(dense_.size()));
  dense_.push_back({.id = id,
                    .services = services,
                    .cap = in_flight_cap == 0 ? config_.in_flight_cap : in_flight_cap});
  return true;
}

void PeerChoice::remove(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  index_.erase(id, slot);
  const auto last = static_cast<uint32_t>(dense_.size() - 1);
  if (slot != last) {
    index_.erase(dense_[last].id, last);
    dense_[slot] = dense_[last];
    index_.insert(dense_[slot].id, slot);
  }
  dense_.pop_back();
}

void PeerChoice::set_services(const NodeId& id, Services services) {
  const uint32_t slot = slot_of(id);
  if (slot != kNone) dense_[slot].services = services;
}

// Negative: a is the better one.
int PeerChoice::compare(const Peer& a, const Peer& b) {
  const uint32_t load_a = uint32_t{a.in_flight} * b.cap;
  const uint32_t load_b = uint32_t{b.in_flight} * a.cap;
  if (load_a != load_b) return load_a < load_b ? -1 : 1;
  if (a.failures != b.failures) return a.failures < b.failures ? -1 : 1;
  if (a.smoothed != b.smoothed) return a.smoothed < b.smoothed ? -1 : 1;
  return 0;
}

std::optional<NodeId> PeerChoice::choose(Services services, Rng& rng) {
  return choose(services, {}, rng);
}

std::optional<NodeId> PeerChoice::choose(Services services, std::span<const NodeId> excluded,
                                         Rng& rng) {
  Peer* best = nullptr;
  bool capable = false;
  // From a random one on, so that none of several equal ones is always first.
  const size_t count = dense_.size();
  size_t at = count == 0 ? 0 : rng.below(count);
  for (size_t i = 0; i < count; ++i, at = at + 1 < count ? at + 1 : 0) {
    Peer& peer = dense_[at];
    if ((peer.services & services) != services) continue;
    capable = true;
    if (peer.in_flight >= peer.cap) continue;
    if (best != nullptr && compare(peer, *best) >= 0) continue;
    if (std::find(excluded.begin(), excluded.end(), peer.id) != excluded.end()) continue;
    best = &peer;
  }
  if (best == nullptr) {
    ++(capable ? stats_.all_busy : stats_.none_capable);
    return std::nullopt;
  }
  ++best->in_flight;
  ++stats_.chosen;
  return best->id;
}

void PeerChoice::answered(const NodeId& id, Duration took) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  Peer& peer = dense_[slot];
  if (peer.in_flight > 0) --peer.in_flight;
  peer.failures = 0;
  const Duration first = peer.smoothed.ns == 0 ? took : peer.smoothed;
  peer.smoothed = (first * 7 + took) / 8;
  ++stats_.answered;
}

void PeerChoice::failed(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  Peer& peer = dense_[slot];
  if (peer.in_flight > 0) --peer.in_flight;
  if (peer.failures < UINT32_MAX) ++peer.failures;
  ++stats_.failed;
}

size_t PeerChoice::in_flight(const NodeId& id) const {
  const uint32_t slot = slot_of(id);
  return slot == kNone ? 0 : dense_[slot].in_flight;
}

}  // namespace beamline::discovery
