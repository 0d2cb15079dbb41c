// What the network does before the core is full: it stops to receive from those that send most, so
// that TCP's window closes for them and the others are still heard.
#include "node/network.h"
#include "node/network_peer.h"

namespace beamline::node {
namespace {
constexpr uint32_t kHighLoad = 75;  // percent
constexpr uint32_t kCalmLoad = 50;
constexpr Duration kNoiseHalfLife = seconds(4);
}  // namespace

// Once a turn.
void Network::ease_pressure(Now now) {
  if (noise_halves_at_ <= now.mono) {
    noise_halves_at_ = now.mono + kNoiseHalfLife;
    // Of those that are slowed it stands: the others are measured by it.
    for (const auto& peer : peers_) {
      if (!peer->slowed) peer->noise /= 2;
    }
  }
  const uint32_t load = core_.load();
  if (load > kHighLoad) return slow_noisiest();
  if (load < kCalmLoad && peers_slowed_ > 0) resume_all();
}

// Those that sent at least as much lately as all did on average. While that is not enough, and
// those that are slowed are forgotten by and by, it is the next ones' turn.
void Network::slow_noisiest() {
  uint64_t all = 0, count = 0;
  for (const auto& peer : peers_) {
    if (!peer->used) continue;
    all += peer->noise;
    ++count;
  }
  for (const auto& peer : peers_) {
    if (!peer->used || peer->slowed) continue;
    const bool noisy = peer->noise > 0 && peer->noise * count >= all;
    // One that goes is to be heard to its end.
    if (!noisy || peer->leaving || peer->tcp == nullptr) continue;
    peer->tcp->pause();
    peer->slowed = true;
    ++peers_slowed_;
    ++stats_.peers_slowed;
  }
}

void Network::resume_all() {
  for (const auto& peer : peers_) {
    if (!peer->used || !std::exchange(peer->slowed, false)) continue;
    --peers_slowed_;
    if (peer->tcp != nullptr) peer->tcp->resume();
  }
}

}  // namespace beamline::node
