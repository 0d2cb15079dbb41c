// discv5's state per node: sessions (keys for one node id at one UDP endpoint), and the challenges
// that we sent (WHOAREYOU) and that wait for their handshake.
//
// Both are bounded. What nobody proved makes no session and evicts none: a challenge costs one of
// its own entries, which all live a second.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "base/endpoint.h"
#include "base/rng.h"
#include "base/time.h"
#include "discovery/discv5_keys.h"
#include "discovery/replay_window.h"
#include "discovery/slot_index.h"
#include "discovery/token_bucket.h"

namespace beamline::discv5 {

// A node where it is reached: what sessions are bound to.
struct Peer {
  NodeId id;
  Endpoint endpoint;
  friend bool operator==(const Peer& a, const Peer& b) = default;
};

struct SessionLimits {
  size_t sessions = 1024;
  Duration max_age = seconds(12 * 3600);  // then keys are made anew
  uint32_t findnode_rate = 32;            // answered a second, per session
  uint32_t findnode_burst = 64;
};

class Session {
 public:
  Session(const Peer& peer, const SessionKeys& keys, bool initiator, uint64_t serial, Now now,
          const SessionLimits& limits);

  const Peer& peer() const { return peer_; }
  uint64_t serial() const { return serial_; }
  const AesGcm& write_key() const { return write_; }
  // Counts the messages sealed: no two have the same nonce.
  Nonce next_nonce(Rng& rng);
  bool worn_out(Now now) const {
    return sent_ == UINT32_MAX || now.mono > expires_ || replays_.full();
  }
  // Opens a message in place; gives its plain text. Errors: decrypt_failed, duplicate (this packet
  // was here, or is too old to tell).
  Result<Bytes> open(const Packet& packet);
  // Keys of another handshake with the same peer, while packets under the old ones may be on their
  // way: both sides began one at once.
  void renew(const SessionKeys& keys, bool initiator, uint64_t serial, Now now,
             const SessionLimits& limits);
  // The peer has shown that it holds the keys. False the first time.
  bool confirm() { return std::exchange(confirmed_, true); }
  bool confirmed() const { return confirmed_; }
  bool may_ask_nodes(Now now) { return findnode_.take(now.mono); }

 private:
  friend class SessionCache;
  Peer peer_;
  AesGcm write_;
  AesGcm read_;
  ReplayWindow replays_;
  std::optional<AesGcm> read_before_;
  ReplayWindow replays_before_;
  uint64_t serial_;
  uint32_t sent_ = 0;
  bool confirmed_;
  MonoTime expires_;
  discovery::TokenBucket findnode_;
  uint32_t slot_ = 0;
  uint32_t newer_ = 0;  // in the order of use
  uint32_t older_ = 0;
};

// The last sessions, least recently used out.
class SessionCache {
 public:
  struct Stats {
    uint64_t created = 0, renewed = 0, evicted = 0, dropped = 0;
  };
  SessionCache(const SessionLimits& limits, Rng& rng);

  // nullptr when there is none. Good until the next put() or drop().
  Session* find(const Peer& peer);
  // It was used, by someone who holds its keys.
  void use(Session& session);
  Session& put(const Peer& peer, const SessionKeys& keys, bool initiator, Now now);
  void drop(const Peer& peer);
  size_t size() const { return index_.size(); }
  const Stats& stats() const { return stats_; }

 private:
  static constexpr uint32_t kNone = discovery::SlotIndex::kNone;
  uint32_t slot_of(const Peer& peer) const;
  uint32_t hash(const Peer& peer) const {
    return discovery::hash_place(seed_, peer.id, peer.endpoint, peer.endpoint.port());
  }
  void unlink(uint32_t slot);
  void link_newest(uint32_t slot);
  void release(uint32_t slot);

  const SessionLimits limits_;
  uint64_t seed_;
  uint64_t serial_ = 0;
  discovery::SlotIndex index_;
  std::vector<std::unique_ptr<Session>> slots_;
  std::vector<uint32_t> free_;
  uint32_t newest_ = kNone;
  uint32_t oldest_ = kNone;
  Stats stats_;
};

struct ChallengeLimits {
  uint32_t per_second = 100;      // new ones, to all
  Duration timeout = seconds(1);  // also: one new a second per id and IP address
  size_t pending = 256;           // more than a second of them
  uint8_t attempts = 4;           // handshakes that fail on one
};

struct Challenge {
  Peer peer;
  std::array<uint8_t, kWhoareyouSize> packet{};  // as it was sent
  ChallengeData data{};
  uint64_t enr_seq = 0;                     // of the record that we have
  std::optional<secp256k1::PublicKey> key;  // from it
  MonoTime deadline;
  uint8_t attempts = 0;
  bool answered = false;  // kept for the limit alone
};

class ChallengeTable {
 public:
  ChallengeTable(const ChallengeLimits& limits, Rng& rng);

  enum class Verdict : uint8_t {
    repeat,   // one is pending: send that again
    make,     // fill the new one and send it
    limited,  // say nothing
  };
  struct Decision {
    Verdict verdict = Verdict::limited;
    Challenge* challenge = nullptr;
  };
  Decision decide(const Peer& peer, Now now);
  // The one that waits for this peer's handshake, if any.
  Challenge* pending(const Peer& peer, Now now);
  // A handshake ended it, or failed on it (it stays for some more attempts).
  void answered(Challenge& challenge) { challenge.answered = true; }
  bool failed(Challenge& challenge) {
    if (++challenge.attempts < limits_.attempts) return false;
    return challenge.answered = true;
  }
  size_t size() const { return index_.size(); }

 private:
  static constexpr uint32_t kNone = discovery::SlotIndex::kNone;
  uint32_t hash(const Peer& peer) const {
    return discovery::hash_place(seed_, peer.id, peer.endpoint, 0);
  }
  uint32_t slot_of(const Peer& peer) const;
  void expire(Now now);

  const ChallengeLimits limits_;
  uint64_t seed_;
  discovery::TokenBucket rate_;
  discovery::SlotIndex index_;   // by id and IP address
  std::vector<Challenge> ring_;  // in the order of their deadlines
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace beamline::discv5
