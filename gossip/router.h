// A gossipsub router (v1.0, v1.1, v1.2) as a state machine: the bytes of each peer's gossip stream
// and the time go in; frames for each peer, messages for the application and the next deadline come
// out. No socket, clock or thread inside.
//
// Thread rule: one thread. Its caller, after each call that may have produced something, empties
// poll_message(), poll_ready() and poll_failure(), and arms a timer for poll_timeout().
//
// A message takes this way: receive() finds it to be new and makes one encoded frame of it; it
// comes out of poll_message(), decompressed; the application answers verdict(), now or later; if
// it accepts, every mesh peer that does not have the message gets a reference to that one frame.
//
// Peers are charged (P4, P7) and limited, never disconnected from here: poll_failure() names those
// whose stream is broken, and score() lets the integrator decide on the rest.
//
// Invariants: a mesh holds only connected peers that are subscribed to its topic; topics that the
// application did not register cost no memory, whatever peers announce; at most one verdict counts
// for each handle. Sources: libp2p/specs pubsub/gossipsub v1.0, v1.1, v1.2; consensus-specs
// phase0/p2p-interface, "The gossip domain".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "gossip/flat_table.h"
#include "gossip/message_store.h"
#include "gossip/params.h"
#include "gossip/peer_state.h"
#include "gossip/ring.h"
#include "gossip/rpc.h"
#include "gossip/score.h"
#include "gossip/seen_cache.h"
#include "gossip/stats.h"
#include "gossip/types.h"

namespace beamline::gossip {

// How a topic's message ids are made: the rule of the fork that the topic's digest names.
enum class MessageIdRule : uint8_t { phase0, altair };

struct TopicConfig {
  MessageIdRule id_rule = MessageIdRule::altair;
  size_t max_payload = 10'485'760;  // decompressed bytes; smaller where the type is bounded
  TopicScoreParams score;
};

class Router {
 public:
  Router(const Params& params, Rng& rng, Now now);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // --- Topics ---

  // Names a topic that may be subscribed to or published on, now or later. What peers announce is
  // remembered from then on, so topics of the next fork are registered ahead of it.
  // Errors: duplicate, full (max_topics), too_long (over 256 bytes).
  Result<TopicIndex> register_topic(std::string_view name, const TopicConfig& config);
  // Announces the topic and grafts peers. Nothing happens when it is subscribed already.
  // REQUIRES (for all that take one): the topic was registered.
  void subscribe(TopicIndex topic, Now now);
  void unsubscribe(TopicIndex topic, Now now);
  bool subscribed(TopicIndex topic) const;
  std::string_view topic_name(TopicIndex topic) const;

  // --- Peers ---

  // A peer speaks gossipsub: one of its streams is negotiated. Queues our subscriptions for it.
  // Errors: duplicate (connected already), out_of_range (index over max_peers).
  Status peer_connected(PeerIndex peer, const PeerInfo& info, Now now);
  // Forgets the peer, but for score and backoffs if it has an identity. Unknown ones are no error.
  void peer_disconnected(PeerIndex peer, Now now);
  // Bytes of the peer's stream to us, in any cut. After an error (kept in poll_failure() too) the
  // stream is to be closed, and nothing more of it is read. Errors: not_found (not connected),
  // closed (failed before), those of FrameReader and RpcReader.
  Status receive(PeerIndex peer, Bytes bytes, Now now);
  // The peer opened its stream to us anew: what was half received is forgotten, and it may send
  // again after a failure (which is told all the same).
  void restart_input(PeerIndex peer);
  // Our stream to the peer was opened anew: what was queued is dropped, and our subscriptions and
  // meshes are announced again.
  void restart_output(PeerIndex peer);
  // The next frame of our stream to the peer; empty when there is none. Frames are written whole
  // and in order.
  SharedBytes poll_transmit(PeerIndex peer);
  // A peer that has frames waiting; false if there is none. It is not named again before
  // poll_transmit() came to its end for it.
  bool poll_ready(PeerIndex& peer);

  struct Failure {
    PeerIndex peer = kNoPeer;
    Error error;
  };
  // A peer whose gossip stream is to be closed, and why; false if there is none.
  bool poll_failure(Failure& failure);

  // --- Messages ---

  // The next message to judge; false if there is none.
  bool poll_message(Message& message);
  // Judges a message. A handle that was judged already, or whose time ran out, only counts.
  void verdict(MessageHandle handle, Verdict verdict, Now now);

  struct Published {
    MessageId id;
    size_t peers = 0;  // that it was queued to
  };
  // Compresses and sends our own message; it needs no verdict. Errors: too_long (over the topic's
  // or the network's bound), duplicate (seen before).
  Result<Published> publish(TopicIndex topic, Bytes payload, Now now);

  // --- Time ---

  MonoTime poll_timeout() const { return next_heartbeat_; }
  // Runs the heartbeat if it is due.
  void handle_timeout(Now now);

  // --- Observation ---

  const Stats& stats() const { return stats_; }
  const Params& params() const { return params_; }
  // In order of grafting; sorted by index.
  const std::vector<PeerIndex>& mesh(TopicIndex topic) const;
  const std::vector<PeerIndex>& subscribers(TopicIndex topic) const;
  const std::vector<PeerIndex>& fanout(TopicIndex topic) const;
  bool connected(PeerIndex peer) const { return find(peer) != nullptr; }
  // Zeros for unknown peers.
  Fixed score(PeerIndex peer) const;
  PeerScore::TopicCounters counters(PeerIndex peer, TopicIndex topic) const;
  Fixed behaviour_penalty(PeerIndex peer) const;
  size_t topics_of(PeerIndex peer) const;
  size_t queued_bytes(PeerIndex peer) const;
  // P5: the application's own opinion of a peer.
  void set_application_score(PeerIndex peer, Fixed score, Now now);
  size_t stored_messages() const { return store_.size(); }
  size_t stored_bytes() const { return store_.bytes(); }
  size_t seen_size() const { return seen_.size(); }
  size_t validating() const { return validating_; }
  // When the peer may be grafted again; zero if now.
  MonoTime backoff_until(TopicIndex topic, PeerIndex peer) const;

 private:
  struct Backoff {
    PeerIndex peer = kNoPeer;
    MonoTime since;
    MonoTime until;
  };
  struct Topic {
    std::string name;
    TopicConfig config;
    bool subscribed = false;
    std::vector<PeerIndex> subscribers;  // sorted
    std::vector<PeerIndex> mesh;
    std::vector<PeerIndex> fanout;
    MonoTime fanout_expires;
    std::vector<Backoff> backoffs;  // sorted by peer
  };
  struct Promise {
    MessageId id;
    PeerRef peer;
    MonoTime deadline;
  };
  // GRAFTs and PRUNEs of one heartbeat, gathered so that each peer gets them in one frame.
  struct MeshChange {
    PeerIndex peer = kNoPeer;
    TopicIndex topic = 0;
    bool graft = false;
    friend auto operator<=>(const MeshChange&, const MeshChange&) = default;
  };
  struct Ranked {
    Fixed score;
    uint64_t tie = 0;
    PeerIndex peer = kNoPeer;
    friend auto operator<=>(const Ranked&, const Ranked&) = default;
  };
  struct Retained {
    uint64_t identity = 0;
    MonoTime expires;
    PeerScore score;
    std::vector<std::pair<TopicIndex, Backoff>> backoffs;
  };

  // router.cc: peers and topics.
  static constexpr TopicIndex kNoTopic = UINT16_MAX;
  Topic& topic_at(TopicIndex topic) { return *topics_[topic]; }
  const Topic& topic_at(TopicIndex topic) const { return *topics_[topic]; }
  TopicIndex find_topic(Bytes name) const;
  TopicIndex find_subscribed(Bytes name) const;
  PeerState* find(PeerIndex peer) const;
  PeerState* find(PeerRef peer) const;
  void fail(PeerState& peer, const Error& error);
  Status handle_rpc(PeerState& peer, const FrameReader::Frame& frame, Now now);
  void handle_item(PeerState& peer, const RpcItem& item, const SharedBytes& shared, Now now);
  void send(PeerState& peer, Lane lane, const SharedBytes& frame);
  void announce(PeerState& peer);
  void retain(PeerState& peer, Now now);
  void restore(PeerState& peer, Now now);
  void update_fair_share();

  // control.cc
  void on_subscription(PeerState& peer, const RpcItem& item, Now now);
  void on_graft(PeerState& peer, const RpcItem& item, Now now);
  void on_prune(PeerState& peer, const RpcItem& item, Now now);
  void on_ihave(PeerState& peer, const RpcItem& item, Now now);
  void on_iwant(PeerState& peer, const RpcItem& item);
  void on_idontwant(PeerState& peer, const RpcItem& item);
  bool graft_in_backoff(PeerState& peer, TopicIndex topic, Now now);
  bool serve(PeerState& peer, const MessageId& id);
  void send_graft(PeerState& peer, TopicIndex topic);
  void send_prune(PeerState& peer, TopicIndex topic, Duration backoff);
  void add_to_mesh(TopicIndex topic, PeerState& peer, Now now);
  // Out of the mesh, if it is in it, without a word to it.
  void remove_from_mesh(TopicIndex topic, PeerState& peer, Now now);
  void add_backoff(TopicIndex topic, PeerIndex peer, Duration duration, Now now);
  const Backoff* backoff_of(TopicIndex topic, PeerIndex peer) const;
  bool may_graft(TopicIndex topic, const PeerState& peer, Now now) const;
  void penalize(PeerState& peer, int64_t count, Now now);
  void update_score(PeerState& peer, Now now);

  // messages.cc
  void on_message(PeerState& peer, const RpcItem& item, const SharedBytes& shared, Now now);
  void on_new_message(PeerState& peer, TopicIndex topic, const RpcItem& item,
                      const SharedBytes& shared, uint64_t bytes_key, Now now);
  void on_duplicate(PeerState& peer, TopicIndex topic, const MessageId& id, Now now);
  bool known(const MessageId& id) const;
  void announce_idontwant(PeerState& sender, TopicIndex topic, const MessageId& id);
  MessageId make_id(const Topic& topic, SnappyDomain domain, Bytes data) const;
  void forward(uint32_t slot);
  void charge_invalid(uint32_t slot, Now now);
  void credit_delivery(uint32_t slot);
  void decide(uint32_t slot, Outcome outcome, Now now);
  const std::vector<PeerIndex>& publish_targets(TopicIndex topic, Now now);

  // heartbeat.cc
  void heartbeat(Now now);
  void begin_beat(Now now);
  void await_verdict(uint32_t slot);
  void expire_validations(Now now);
  void expire_promises(Now now);
  void expire_backoffs(Now now);
  void maintain_mesh(TopicIndex topic, Now now);
  void drop_negative(TopicIndex topic, Now now);
  void graft_more(TopicIndex topic, size_t count, bool outbound_only, Now now);
  void prune_excess(TopicIndex topic, Now now);
  void graft_opportunistically(TopicIndex topic, Now now);
  void maintain_fanout(TopicIndex topic, Now now);
  void gather_gossip();
  void emit_gossip(TopicIndex topic);
  void flush_changes();
  void change_mesh(TopicIndex topic, PeerIndex peer, bool graft, Now now);

  Params params_;
  Rng rng_;
  KeyedHash hash_;
  Stats stats_;
  std::vector<std::unique_ptr<Topic>> topics_;
  std::vector<const TopicScoreParams*> topic_scores_;  // of topics_, for PeerScore
  FlatTable<uint64_t> topics_by_name_;                 // by the hash of the name
  std::vector<std::unique_ptr<PeerState>> peers_;      // by index; null when not connected
  std::vector<PeerIndex> connected_;                   // sorted
  uint32_t next_generation_ = 1;
  std::vector<Retained> retained_;  // oldest first
  Ring<PeerRef> ready_;
  Ring<Failure> failures_;
  PartialBudget partial_;

  SeenCache seen_;
  MessageStore store_;
  Ring<MessageHandle> arrived_;   // for poll_message()
  Ring<MessageHandle> awaiting_;  // by deadline; judged ones leave when they come to the front
  size_t validating_ = 0;
  Ring<Promise> promises_;  // by deadline

  uint64_t beat_ = 0;
  MonoTime next_heartbeat_;
  MonoTime next_decay_;

  // Scratch, kept so that a heartbeat or a control message allocates nothing.
  std::vector<PeerIndex> candidates_;
  std::vector<MessageId> ids_;
  std::vector<MeshChange> changes_;
  std::vector<Ranked> ranked_;
  std::vector<std::vector<MessageId>> gossip_;  // by topic
};

}  // namespace beamline::gossip
