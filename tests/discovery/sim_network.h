// Thousands of nodes in virtual time: the real table, pool, look-ups and dial scheduler of each,
// and a stub of the wire between them (discv5's calls without packets or signatures: a request and
// its response prove both endpoints, silence is a timeout). One thread, one seed.
//
// The network: honest nodes, each of a network of its own; some fall silent (they keep what they
// have and answer nobody), some leave and others come; attackers with 16 addresses in two /24s and
// as many ids as they like, made up near whatever they are asked for.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "discovery/contacts.h"
#include "discovery/lookup_schedule.h"
#include "nodes.h"

namespace beamline::discovery {

struct SimOptions {
  uint64_t seed = 1;
  size_t nodes = 1000;
  Duration length = seconds(7200);
  uint32_t silent_percent = 30;      // of the nodes that begin, over the first half
  uint32_t churn_percent_hour = 50;  // leave in an hour, and as many come
  uint32_t attackers = 0;            // each tells one victim a second that it is there
  Duration attack_interval = seconds(10);
  DialConfig dial{.max_peers = 24, .dial_ratio = 3};
  bool mark = true;
  Duration check_interval = seconds(1);  // a look-up whose result is checked
  Duration warm_up = seconds(600);
  Duration forming = seconds(120);
};

struct SimReport {
  uint64_t lookups = 0, lookups_exact = 0;
  uint64_t lookups_attackers_alone = 0;  // that attackers ended: no honest node in the result
  uint64_t missed = 0;                   // of the closest, over all look-ups
  uint64_t messages = 0, bytes = 0, node_seconds = 0;
  // Messages a second of one node in one minute. While the network forms (all come within 20 s, and
  // each begins at the three bootnodes, who tell of the few that came first) it is what the crowd
  // asks for; afterwards bootnodes are still known to everybody, and measured apart.
  struct Busiest {
    double node = 0, bootnode = 0;
    double asked = 0;  // what any of them began itself
  };
  Busiest forming, formed;
  Duration longest_below{};      // below the target of connected peers, of any honest node
  uint64_t nodes_below_30s = 0;  // nodes that were below it for more than 30 s at a time
  uint64_t nodes_measured = 0;
  double attackers_in_tables = 0;       // share of all contacts of tables, at the end
  double attackers_in_worst_table = 0;  // of one table that is older than the warm-up
  size_t live = 0;
};

class SimNetwork {
 public:
  explicit SimNetwork(const SimOptions& options);
  ~SimNetwork();
  SimReport run();

 private:
  struct Query {
    Query(uint64_t number, Lookup made) : serial(number), lookup(std::move(made)) {}
    uint64_t serial = 0;
    Lookup lookup;
    size_t fresh = 0;
    bool scheduled = false, checked = false;
    std::vector<uint32_t> live;  // at its start, when it is checked
  };
  struct Node {
    NodeRecord record;
    Contacts contacts;
    LookupSchedule schedule;
    DialScheduler dial;
    std::vector<std::unique_ptr<Query>> queries;
    Duration born{};
    Duration wake{};                // of the timer that is set
    std::optional<Duration> below;  // since when fewer peers than the target
    Duration longest_below{};
    uint64_t sent = 0, sent_before = 0;    // before: at the last full minute
    uint64_t asked = 0, asked_before = 0;  // of those, what it began itself
    bool silent = false;
    std::vector<uint32_t> peers;

    Node(const NodeRecord& self, const SimOptions& options, Rng& rng, Now now);
  };
  enum class Kind : uint8_t {
    wake,  // a node's timers
    ping,
    pong,
    find,
    nodes,
    timeout,
    attack,   // an attacker shows itself to somebody
    dialled,  // a dial reaches its target
    lost,     // a request to a silent peer timed out, or its connection ended
    silence,
    leave,
    join,
    check
  };
  // A request, its response and its timeout are one call; the first of the two ends it.
  struct Call {
    uint32_t from = 0, to = 0;
    uint64_t serial = 0;  // of the look-up; 0: a ping
    NodeRecord to_record;
    NodeId target;
    bool used = false;
    std::vector<NodeRecord> answer;
  };
  struct Event {
    Kind kind;
    uint32_t a = 0, b = 0;
    uint64_t tag = 0;
  };
  static constexpr uint32_t kAttacker = UINT32_MAX;
  static constexpr size_t kWheel = 1 << 15;  // milliseconds

  Now now() const { return at(clock_); }
  void schedule(Duration when, const Event& event);
  Duration latency() { return milliseconds(rng_.between(10, 60)); }
  uint32_t index_of(const Endpoint& endpoint) const;
  Node* alive(uint32_t index) { return nodes_[index].get(); }
  void dispatch(const Event& event);
  void join(size_t bootstraps);
  void begin_silence();
  void run_node(uint32_t index);
  void run_queries(uint32_t index, Node& node);
  void set_timer(uint32_t index, Node& node);
  void dial_out(uint32_t index, Node& node);
  void call(uint32_t from, const NodeRecord& to, uint64_t serial, const NodeId& target);
  void on_request(const Event& event);
  void on_response(const Event& event);
  void on_timeout(const Event& event);
  void attack();
  NodeRecord attacker_near(const NodeId& target);
  void seen(Node& node, const NodeRecord& other, bool answered);
  void on_dialled(uint32_t from, uint32_t to);
  void connect(uint32_t a, uint32_t b);
  void disconnect(uint32_t index, uint32_t peer, bool failed);
  void peers_changed(Node& node);
  void count_minute();
  void finish(Node& node);
  void leave(uint32_t index);
  void begin_check();
  void end_check(const Query& query);
  uint32_t any_live();
  size_t new_call();

  SimOptions options_;
  Rng rng_;
  Duration clock_{};
  std::vector<std::vector<Event>> wheel_;
  std::vector<std::pair<Duration, Event>> later_;  // a heap, beyond the wheel
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Call> calls_;
  std::vector<size_t> free_calls_;
  uint64_t serial_ = 0;
  SimReport report_;
};

}  // namespace beamline::discovery
