#include "chain/peer_table.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {

Peer* PeerTable::add(PeerHandle handle) {
  if (peers_.size() >= limits_.peers) return nullptr;
  Peer peer({.per_second = limits_.serve_rate, .burst = limits_.serve_burst});
  peer.handle = handle;
  peer.score = limits_.score_start;
  const auto [it, added] = peers_.emplace(handle.index, std::move(peer));
  BL_CHECK(added);
  return &it->second;
}

void PeerTable::remove(PeerHandle handle) {
  BL_CHECK(find(handle) != nullptr);
  peers_.erase(handle.index);
}

Peer* PeerTable::find(PeerHandle handle) {
  const auto it = peers_.find(handle.index);
  return it == peers_.end() || it->second.handle != handle ? nullptr : &it->second;
}

const Peer* PeerTable::find(PeerHandle handle) const {
  const auto it = peers_.find(handle.index);
  return it == peers_.end() || it->second.handle != handle ? nullptr : &it->second;
}

const Peer* PeerTable::at(uint32_t index) const {
  const auto it = peers_.find(index);
  return it == peers_.end() ? nullptr : &it->second;
}

ReportPeer PeerTable::report(Peer& peer, Conduct conduct, MonoTime now) {
  ++peer.conducts[static_cast<size_t>(conduct)];
  peer.last_reason = conduct;
  peer.last_change = now;
  const int32_t change = conduct == Conduct::useful ? limits_.score_reward : -limits_.score_penalty;
  peer.score = std::clamp(peer.score + change, 0, limits_.score_max);
  return {peer.handle, conduct, change, peer.score};
}

bool PeerTable::any_available(MonoTime now) const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [&](const auto& entry) { return available(entry.second, now); });
}

MonoTime PeerTable::next_available(MonoTime now) const {
  MonoTime next = MonoTime::never();
  for (const auto& [index, peer] : peers_) {
    if (peer.not_before > now) next = std::min(next, peer.not_before);
  }
  return next;
}

}  // namespace beamline::chain
