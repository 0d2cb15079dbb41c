// Node Discovery v5.1 (devp2p discv5-wire.md, discv5-theory.md): handshakes, sessions, requests and
// responses. Which nodes there are is not known here: the Handler is told, and asked.
//
// Thread rule: one thread. Sans-IO: datagrams come in through receive(), leave through the
// DatagramQueue, and time comes in through handle_timeout(). The Handler is called from within
// both; it may begin requests, and must not call receive().
//
// What is malformed, replayed, out of turn or from nobody changes nothing but a counter. Before a
// session is proven we send nothing but WHOAREYOU, of 63 bytes, which no packet is smaller than.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "codec/enr.h"
#include "discovery/datagram_queue.h"
#include "discovery/discv5_message.h"
#include "discovery/discv5_packet.h"
#include "discovery/discv5_session.h"
#include "discovery/node_record.h"

namespace beamline::discv5 {

// Names a request of ours until it ended.
using CallId = uint64_t;

struct Limits {
  SessionLimits sessions;
  ChallengeLimits challenges;
  size_t calls = 1024;        // requests under way or queued
  size_t calls_per_peer = 8;  // that wait for one handshake
  Duration response_timeout = milliseconds(700);
  Duration handshake_timeout = seconds(1);
  size_t max_distances = 3;      // of a FINDNODE of ours
  size_t max_results = 16;       // records, in what we answer and in what we take
  size_t max_nodes_packets = 5;  // of one answer, either way
};

// The record that we have of a node.
struct KnownRecord {
  uint64_t seq = 0;
  discovery::NodeKey key{};
  Bytes bytes = {};  // of which the signature was checked; until the handler's next call
};

class Handler {
 public:
  virtual ~Handler() = default;
  // For WHOAREYOU, where nullopt means that it has to send its record; and for what others tell:
  // the same record needs no second check.
  virtual std::optional<KnownRecord> known_record(const NodeId& id) = 0;
  // A handshake proved that `peer` holds its key and is reached there. `record`: what it sent in
  // it, signature checked, else null.
  virtual void on_session(const Peer& peer, const Enr* record, Now now) = 0;
  // Any message that a session authenticated.
  virtual void on_seen(const Peer& peer, Now now) = 0;
  virtual void on_ping(const Peer& peer, uint64_t enr_seq, Now now) = 0;
  // The records to answer with, at most out.size(): RLP items that stay until the call returns.
  virtual size_t records_at(const Peer& peer, std::span<const uint16_t> distances,
                            std::span<Bytes> out) = 0;
  // Writes the answer and gives its size; nullopt for a protocol that is not known, which is
  // answered with an empty one.
  virtual std::optional<size_t> on_talk(const Peer& peer, Bytes protocol, Bytes request,
                                        MutableBytes out, Now now) = 0;

  // Answers to requests of ours; on_done() comes last, once for each call.
  virtual void on_pong(CallId call, const Peer& peer, const Pong& pong, Now now) = 0;
  // A record of a distance that was asked for; signature checked.
  virtual void on_record(CallId call, const Peer& peer, const Enr& record, Now now) = 0;
  virtual void on_talk_response(CallId call, const Peer& peer, Bytes response, Now now) = 0;
  // timed_out, or what else went wrong.
  virtual void on_done(CallId call, const Peer& peer, Status outcome, Now now) = 0;
};

struct Stats {
  uint64_t packets = 0;    // that were ours to read
  uint64_t malformed = 0;  // packet or message
  uint64_t own_id = 0;     // that claims to come from us
  uint64_t replayed = 0;
  uint64_t challenges_sent = 0, challenges_repeated = 0, challenges_limited = 0;
  uint64_t handshakes_accepted = 0, handshakes_unasked = 0, handshakes_failed = 0;
  uint64_t whoareyou_accepted = 0, whoareyou_unasked = 0;
  uint64_t unsupported_messages = 0, unsolicited_responses = 0;
  uint64_t pings = 0, find_nodes = 0, talk_requests = 0, talk_unknown = 0, talk_too_long = 0;
  uint64_t find_nodes_limited = 0, results_cut = 0;
  uint64_t nodes_records = 0, nodes_wrong_distance = 0, nodes_repeated = 0, nodes_bad_record = 0,
           nodes_excess = 0, nodes_known = 0;
  uint64_t calls = 0, calls_refused = 0, calls_answered = 0, calls_timed_out = 0;
  uint64_t queue_full = 0;  // nothing was sent: the DatagramQueue has no room
};

class Discv5 {
 public:
  // All outlive it. `record` is ours; set_record() replaces it.
  Discv5(const secp256k1::SecretKey& key, const Enr& record, discovery::DatagramQueue& out,
         Handler& handler, Rng rng, const Limits& limits = {});

  // A datagram, changed in place. False: it is no packet of discv5 for us, and is as it was.
  bool receive(const Endpoint& from, MutableBytes datagram, Now now);
  void handle_timeout(Now now);
  MonoTime next_deadline() const { return next_deadline_; }

  // Requests. `to` has a key and an endpoint. Errors: full (calls under way), invalid_argument
  // (a request that no packet holds, too many distances, a key that is none).
  Result<CallId> ping(const discovery::NodeRecord& to, Now now);
  Result<CallId> find_node(const discovery::NodeRecord& to, std::span<const uint16_t> distances,
                           Now now);
  Result<CallId> talk(const discovery::NodeRecord& to, Bytes protocol, Bytes request, Now now);

  void set_record(const Enr& record) { record_ = record; }
  const Enr& record() const { return record_; }
  const NodeId& self() const { return self_; }
  size_t sessions() const { return sessions_.size(); }
  size_t calls() const { return active_.size(); }
  const Stats& stats() const { return stats_; }
  const SessionCache::Stats& session_stats() const { return sessions_.stats(); }

 private:
  enum class Kind : uint8_t { ping, find_node, talk };
  enum class State : uint8_t {
    free,
    queued,      // waits for the handshake of another call to the same peer
    sent,        // waits for a response, or WHOAREYOU
    handshaken,  // answered WHOAREYOU, waits for the response
  };
  struct Call {
    Peer peer;
    discovery::NodeKey key{};
    Kind kind = Kind::ping;
    State state = State::free;
    uint32_t generation = 0;
    uint32_t active_at = 0;
    RequestId id;
    Nonce nonce{};
    uint64_t session = 0;  // its serial, when it was sent under one
    MonoTime deadline;
    std::vector<uint8_t> message;
    std::array<uint16_t, 3> distances{};
    uint8_t distance_count = 0;
    uint8_t packets = 0;         // of NODES
    uint8_t packets_wanted = 1;  // as the first one said
    uint8_t results = 0;
    std::array<uint64_t, 16> seen{};  // the first bytes of the ids that came
  };
  static constexpr uint32_t kNone = discovery::SlotIndex::kNone;

  // discv5.cc: packets.
  void on_message(const Packet& packet, const Peer& peer, Now now);
  void on_whoareyou(const Packet& packet, const Endpoint& from, Now now);
  void on_handshake(const Packet& packet, const Peer& peer, Now now);
  Status accept_handshake(const Packet& packet, Challenge& challenge, Now now);
  void challenge(const Packet& packet, const Peer& peer, Now now);
  void dispatch(Session& session, Bytes plain, Now now);
  void on_request(Session& session, const Message& message, Now now);
  void answer_find_node(Session& session, const FindNode& request, Now now);
  void answer_talk(Session& session, const TalkRequest& request, Now now);
  std::optional<Nonce> send_sealed(Session& session, Bytes message);

  // discv5_calls.cc: requests of ours.
  Result<uint32_t> begin(const discovery::NodeRecord& to, Kind kind, Now now);
  CallId start(uint32_t slot, Now now);
  bool handshake_pending(const Peer& peer) const;
  void send_call(Call& call, Session* session, Now now);
  void send_random(Call& call, Now now);
  void send_handshake(Call& call, Session& session, const secp256k1::PublicKey& ephemeral,
                      const secp256k1::Signature& signature, uint64_t known_seq, Now now);
  void send_waiting(const Peer& peer, Session& session, Now now);
  void on_response(Session& session, const Message& message, Now now);
  void on_nodes(uint32_t slot, const Nodes& nodes, Now now);
  bool take_record(uint32_t slot, Bytes item, Now now);
  uint32_t call_of(const RequestId& id, const Peer& peer, Kind kind) const;
  uint32_t call_by_nonce(const Nonce& nonce) const;
  void set_nonce(Call& call, const Nonce& nonce);
  void clear_nonce(Call& call);
  void set_deadline(Call& call, MonoTime deadline);
  void finish(uint32_t slot, Status outcome, Now now);
  void expire(Now now);
  CallId call_id(uint32_t slot) const { return uint64_t{calls_[slot].generation} << 32 | slot; }

  const secp256k1::SecretKey& key_;
  NodeId self_;
  Enr record_;
  discovery::DatagramQueue& out_;
  Handler& handler_;
  Rng rng_;
  const Limits limits_;
  Unmasker unmasker_;
  SessionCache sessions_;
  ChallengeTable challenges_;
  std::vector<Call> calls_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> active_;
  uint64_t nonce_seed_;
  discovery::SlotIndex nonces_;
  MonoTime next_deadline_ = MonoTime::never();
  std::vector<uint8_t> scratch_;  // a message that is being written
  std::vector<uint8_t> items_;    // records of a NODES
  Stats stats_;
};

}  // namespace beamline::discv5
