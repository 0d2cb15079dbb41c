// A hundred chain cores with beacon's policy in one virtual world: links that delay, break and are
// partitioned, a mesh that forwards what was accepted, nodes that crash and come back from their
// store, validators that propose and vote until epochs are final, and liars among all of them.
// Everything follows from the seed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/rng.h"
#include "chain/sim_store.h"
#include "tests/chain/swarm_blocks.h"

namespace beamline::chain::testing {

struct SwarmOptions {
  uint64_t seed = 1;
  uint32_t nodes = 100;
  uint32_t liars = 20;
  uint32_t degree = 8;  // of dialed links; accepted are as many more at most
  Duration slot = seconds(12);
  uint64_t slots_per_epoch = 8;
  bool persist = true;               // into a store that a crash tears
  Duration keep_alive = seconds(8);  // a link that is cut is noticed within this time
  Limits limits{};
};

struct SwarmTally {
  uint64_t blocks = 0;  // that honest nodes made
  uint64_t imported = 0;
  uint64_t votes = 0;
  uint64_t requests = 0;
  uint64_t ended = 0;  // in order, failed, cancelled, or with their peer
  uint64_t lies = 0;   // answers and messages that were not honest
  uint64_t crashes = 0;
  uint64_t dials = 0;
  uint64_t reorgs = 0;
  uint64_t liars_banned = 0;
  uint64_t honest_banned = 0;  // by an honest node: must not happen
  int32_t lowest_honest_score = 1000;
  Duration longest_request{};
};

// A message of the mesh.
struct SwarmGossip {
  uint64_t id = 0;
  std::optional<BlockInfo> block;
  std::shared_ptr<const Vote> vote;
};

class Swarm {
 public:
  explicit Swarm(const SwarmOptions& options);

  void run(Duration for_how_long);
  // Up to just before the next slot begins.
  void run_to_end_of_slot();

  // One of the honest nodes crashes, and comes back after this time.
  void crash_one(Duration away);
  // The nodes fall into two groups that cannot reach each other: of the first, so many in a
  // hundred.
  void split(uint32_t percent);
  void heal();
  // Nobody proposes, votes or lies any more (but when asked).
  void quiet() { quiet_ = true; }

  Slot slot() const;
  // Do all honest nodes that run have one head?
  bool agree() const;
  // The same, and that head is on the way of what honest validators build; for a message.
  std::string describe() const;
  size_t open_requests() const { return open_.size(); }
  // The chains' own words against the world's: their requests, limits, and that nothing hangs.
  void check() const;
  // Of everything that any chain said, in order.
  uint64_t digest() const { return digest_; }
  const SwarmTally& tally() const { return tally_; }
  // The lowest epoch that an honest running node has for final.
  uint64_t finalized() const;
  const Chain* chain(uint32_t node) const { return nodes_[node].chain.get(); }
  Stats stats() const;  // of all, those that crashed too: the sums that a test asks for

 private:
  struct Node {
    bool liar = false;
    bool running = false;
    Duration skew{};
    SimStore store;
    std::unique_ptr<Chain> chain;
    uint32_t life = 0;
    bool dirty = false;
    bool syncing = false;
    MonoTime deadline = MonoTime::never();
    VerdictId next_verdict = 1;
    std::map<VerdictId, std::shared_ptr<const SwarmGossip>> owed;  // verdicts
    std::unordered_set<uint64_t> seen, seen_before;
    std::vector<std::shared_ptr<const Vote>> votes, votes_before;  // that it took, for its blocks
  };
  struct Link {
    uint32_t generation = 0;
    bool up = false;
    bool cut = false;
    Duration latency{};
    MonoTime banned_until{};
  };
  using Gossip = SwarmGossip;
  using GossipPtr = std::shared_ptr<const Gossip>;
  using Action = std::move_only_function<void()>;
  struct Item {
    MonoTime at;
    uint64_t sequence = 0;
    Action what;
    friend bool operator<(const Item& a, const Item& b) {
      return std::pair(a.at, a.sequence) > std::pair(b.at, b.sequence);
    }
  };

  // ---- Time (swarm.cc).
  Now now_of(const Node& node) const;
  void after(Duration delay, Action what);
  // The same, unless the node stopped meanwhile.
  void after(Duration delay, uint32_t node, Action what);
  void give(uint32_t to, Event event);
  void turn(uint32_t index);
  void set_timer(uint32_t index);
  void mix(uint64_t value);

  // ---- Links.
  Link& link(uint32_t a, uint32_t b) { return links_[{std::min(a, b), std::max(a, b)}]; }
  PeerHandle handle(uint32_t of, uint32_t seen_by) { return {of, link(of, seen_by).generation}; }
  bool reachable(uint32_t a, uint32_t b) const;
  void dial(uint32_t from);
  void connect(uint32_t a, uint32_t b);
  void disconnect(uint32_t a, uint32_t b);
  std::vector<uint32_t> peers_of(uint32_t node) const;
  // Arrives after the link's latency, if the link is still the same.
  void send(uint32_t from, uint32_t to, Action what);
  void send_status(uint32_t from, uint32_t to);
  void stop(uint32_t index);
  void start(uint32_t index);
  void maintain();

  // ---- What the chains say (swarm_node.cc).
  void carry_out(uint32_t node, Command&& command);
  void on(uint32_t node, RequestByRoot&& request);
  void on(uint32_t node, RequestByRange&& request);
  void on(uint32_t node, CancelRequest&& cancel);
  void on(uint32_t node, RespondChunk&& chunk);
  void on(uint32_t node, RespondEnd&& end);
  void on(uint32_t node, RespondError&& error);
  void on(uint32_t node, GossipVerdict&& verdict);
  void on(uint32_t node, PublishBlock&& block);
  void on(uint32_t node, ReportPeer&& report);
  void on(uint32_t node, DisconnectPeer&& leave);
  void on(uint32_t node, ImportBlock&& import);
  void on(uint32_t node, VerifyVote&& vote);
  void on(uint32_t node, JustifiedChanged&& justified);
  void on(uint32_t node, HeadChanged&& head);
  void on(uint32_t node, BlockImported&& block);
  template <class Other>
  void on(uint32_t, Other&&) {}
  void open(uint32_t node, RequestId id);
  void close(uint32_t node, RequestId id);
  void close_all(uint32_t node, uint32_t peer);
  void persist(uint32_t index);
  void publish(uint32_t from, const GossipPtr& message);
  void receive(uint32_t to, uint32_t from, const GossipPtr& message);

  // ---- Validators and liars (swarm_duties.cc).
  void begin_slot(Slot slot);
  void propose(uint32_t node, Slot slot);
  void vote(Slot slot);
  void lie(uint32_t node, Slot slot);
  void answer_falsely(uint32_t liar, uint32_t to, RequestId id, std::vector<BlockInfo> honest);
  bool heard_of(uint32_t liar, const BlockInfo& block) const;
  std::vector<BlockInfo> honest_range(uint32_t liar, Slot start, uint64_t count) const;
  const BlockInfo& newest(uint32_t node) const { return book_.find(newest_[group_[node]])->block; }
  GossipPtr message_of(BlockInfo block) const;

  const SwarmOptions options_;
  Rng rng_;
  BlockBook book_;
  MonoTime now_{1'000'000'000};
  std::vector<Item> agenda_;  // a heap
  uint64_t sequence_ = 0;
  std::vector<Node> nodes_;
  std::vector<uint32_t> dirty_;
  std::set<std::pair<MonoTime, uint32_t>> timers_;
  std::map<std::pair<uint32_t, uint32_t>, Link> links_;
  std::vector<std::vector<uint32_t>> neighbours_;
  std::vector<uint8_t> group_;
  bool split_ = false;
  bool quiet_ = false;
  struct Open {
    uint32_t peer = 0;
    MonoTime since;
  };
  std::map<std::pair<uint32_t, RequestId>, Open> open_;
  // That an honest node made, by group: the two know nothing of each other's while they are split.
  std::array<Root, 2> newest_;
  Slot split_at_ = 0;
  uint64_t digest_ = 0;
  SwarmTally tally_;
  Stats past_;
};

}  // namespace beamline::chain::testing
