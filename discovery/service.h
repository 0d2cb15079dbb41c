// Discovery as a whole: discv4 and discv5 behind one UDP socket, feeding one table, pool and node
// database; look-ups over both; our own record, with the address that others see.
//
// Thread rule: one thread. Sans-IO: datagrams in through receive(), out through outbox(), time
// through handle_timeout(). A driver sends what is in the outbox after each of them, and calls
// handle_timeout() at next_deadline().
//
// A node is asked by discv5 where it is known to speak that, or has a record and is not known to
// speak anything; else by discv4. A ping that fails by the one is tried by the other, and a node
// that is new by the one is pinged once by the other. Who speaks both is asked by each in turn:
// what it knows by the one it may not tell by the other.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "codec/enode.h"
#include "codec/enr.h"
#include "discovery/address_vote.h"
#include "discovery/contacts.h"
#include "discovery/datagram_queue.h"
#include "discovery/discv4.h"
#include "discovery/discv5.h"
#include "discovery/lookup_schedule.h"

namespace beamline::discovery {

struct ServiceConfig {
  Endpoint listen;        // of the socket, its port known; an unspecified address is not told
  uint16_t tcp_port = 0;  // where the application listens; 0: nowhere
  bool v4 = true;
  bool v5 = true;
  EnrBuilder record;  // more entries of ours ("eth2", ...)
  TableConfig table;
  PoolConfig pool;
  NodeDb::Config db;
  LookupConfig lookup;
  LookupScheduleConfig schedule;
  AddressVote::Config vote;
  discv4::Limits discv4;
  discv5::Limits discv5;
  size_t max_bootnodes = 64;
  size_t outbox = 128;    // datagrams that wait to be sent; more are dropped and counted
  size_t key_tries = 64;  // keys made up for a look-up by discv4, of which the nearest is asked for
  Duration bootstrap_interval = seconds(5);  // bootnodes are asked again while the table is empty
};

// What the owner wants to hear; called from within receive() and handle_timeout().
class Observer {
 public:
  virtual ~Observer() = default;
  // A node that was not known before, by hearsay.
  virtual void on_heard(const NodeRecord&, Now) {}
  // A node proved its endpoint for the first time, or anew.
  virtual void on_proven(const NodeRecord&, Now) {}
  virtual void on_talk_response(discv5::CallId, Bytes, Now) {}
  // timed_out and the like; of talk() alone.
  virtual void on_talk_done(discv5::CallId, Status, Now) {}
};

class Service final : private discv4::Handler, private discv5::Handler {
 public:
  struct Stats {
    uint64_t datagrams = 0, foreign = 0;  // of neither protocol
    uint64_t heard = 0, heard_new = 0, proven = 0, record_updates = 0;
    uint64_t lookups = 0, lookups_done = 0, lookup_found = 0;
    uint64_t pings_v4 = 0, pings_v5 = 0, ping_fallbacks = 0, pings_failed = 0, probes = 0;
    uint64_t bootstraps = 0, address_changes = 0, bootnodes_refused = 0, talk_refused = 0;
  };
  // Writes the answer to `out` and gives its size.
  using Talk = size_t (*)(void* context, const discv5::Peer& peer, Bytes request, MutableBytes out,
                          Now now);

  // `key` and `observer` outlive it. Errors: too_long (our record with what `config` adds).
  static Result<std::unique_ptr<Service>> create(const secp256k1::SecretKey& key,
                                                 const ServiceConfig& config, Observer& observer,
                                                 Rng rng, Now now);

  // Full after max_bootnodes (counted); what has no UDP address is invalid_argument.
  Status add_bootnode(const NodeRecord& node, Now now);
  Status add_bootnode(const Enr& enr, Now now) { return add_bootnode(record_of(enr), now); }
  Status add_bootnode(const Enode& enode, Now now) { return add_bootnode(record_of(enode), now); }
  // Nodes of an earlier run.
  void add_seeds(Now now);

  void receive(const Endpoint& from, MutableBytes datagram, Now now);
  void handle_timeout(Now now);
  MonoTime next_deadline() const;
  DatagramQueue& outbox() { return outbox_; }

  // More peers are wanted: random look-ups go on. True at first.
  void set_wanted(bool wanted) { wanted_ = wanted; }
  // A look-up besides the scheduled ones. full: too many run.
  Status look_up(const NodeId& target, Now now);
  // TALKREQ. Errors: those of Discv5::talk().
  Result<discv5::CallId> talk(const NodeRecord& to, std::string_view protocol, Bytes request,
                              Now now);
  // Answers TALKREQ of `protocol`, which outlives it. False: there are eight already.
  bool serve_talk(std::string_view protocol, Talk answer, void* context);
  // Replaces an entry of our record; its sequence number goes up. too_long.
  Status set_entry(std::string_view key, Bytes value);

  const Enr& record() const { return record_; }
  // An enode URL of ours; without a known address, of the one we listen at.
  std::string enode() const;
  Contacts& contacts() { return contacts_; }
  const Contacts& contacts() const { return contacts_; }
  const Stats& stats() const { return stats_; }
  const discv4::Discv4& v4() const { return v4_; }
  const discv5::Discv5& v5() const { return v5_; }

 private:
  enum class Purpose : uint8_t { none, ping, probe, find, record, talk };
  struct Use {
    Purpose purpose = Purpose::none;
    bool fallback = false;  // of a ping: the other protocol is tried next
    uint64_t lookup = 0;
    NodeRecord node;
  };
  struct Running {
    uint64_t serial = 0;
    Lookup lookup;
    discv4::RawKey key;  // its hash is the target, or near to it
    size_t found = 0;
    bool scheduled = false;
  };

  Service(const secp256k1::SecretKey& key, const ServiceConfig& config, const Enr& record,
          Observer& observer, Rng rng, Now now);

  // service.cc
  void run(Now now);
  void bootstrap(Now now);
  void ping(const NodeRecord& node, Now now);
  bool ping_by(const NodeRecord& node, uint8_t protocol, Purpose purpose, bool fallback, Now now);
  void start_lookup(const NodeId& target, bool scheduled, Now now);
  void run_lookups(Now now);
  void ask(Running& running, const NodeRecord& node, Now now);
  Running* running(uint64_t serial);
  discv4::RawKey key_near(const NodeId& target);
  bool uses_v5(const NodeRecord& node) const;
  bool speaks(const NodeRecord& node, uint8_t protocol) const;
  void vote(const Endpoint& voter, const Endpoint& claimed, Now now);
  Status publish(EnrBuilder next);

  // service_events.cc
  void hear(NodeRecord node, uint8_t protocol, const Endpoint& from, uint64_t lookup, Now now);
  void prove(NodeRecord node, uint8_t protocol, Now now);
  void ask_for_record(const NodeRecord& node, uint64_t seq, uint8_t protocol, Now now);
  void done(Use use, uint8_t protocol, const Status& outcome, Now now);
  void take_record(const NodeId& id, const Enr& enr, uint8_t protocol, Now now);

  void on_bonded(const NodeRecord& node, std::optional<uint64_t> seq, const Endpoint& claimed,
                 Now now) override;
  void on_seen(const discv4::Peer& peer, Now now) override;
  size_t closest(const NodeId& target, const discv4::Peer& peer,
                 std::span<NodeRecord> out) override;
  void on_neighbor(discv4::CallId call, const discv4::Peer& peer, const NodeRecord& node,
                   Now now) override;
  void on_record(discv4::CallId call, const discv4::Peer& peer, const Enr& enr, Now now) override;
  void on_done(discv4::CallId call, const discv4::Peer& peer, Status outcome, Now now) override;

  std::optional<discv5::KnownRecord> known_record(const NodeId& id) override;
  void on_session(const discv5::Peer& peer, const Enr* record, Now now) override;
  void on_seen(const discv5::Peer& peer, Now now) override;
  void on_ping(const discv5::Peer& peer, uint64_t enr_seq, Now now) override;
  size_t records_at(const discv5::Peer& peer, std::span<const uint16_t> distances,
                    std::span<Bytes> out) override;
  std::optional<size_t> on_talk(const discv5::Peer& peer, Bytes protocol, Bytes request,
                                MutableBytes out, Now now) override;
  void on_pong(discv5::CallId call, const discv5::Peer& peer, const discv5::Pong& pong,
               Now now) override;
  void on_record(discv5::CallId call, const discv5::Peer& peer, const Enr& enr, Now now) override;
  void on_talk_response(discv5::CallId call, const discv5::Peer& peer, Bytes response,
                        Now now) override;
  void on_done(discv5::CallId call, const discv5::Peer& peer, Status outcome, Now now) override;

  struct TalkProtocol {
    std::string_view name;
    Talk answer = nullptr;
    void* context = nullptr;
  };

  const secp256k1::SecretKey& key_;
  const ServiceConfig config_;
  Observer& observer_;
  Rng rng_;
  Enr record_;
  DatagramQueue outbox_;
  Contacts contacts_;
  LookupSchedule schedule_;
  discv4::Discv4 v4_;
  discv5::Discv5 v5_;
  // By the slot of a call, which is the lower half of its id.
  std::vector<Use> uses_v4_;
  std::vector<Use> uses_v5_;
  std::vector<Running> lookups_;
  uint64_t lookup_serial_ = 0;
  std::vector<NodeRecord> bootnodes_;
  MonoTime next_bootstrap_;
  std::array<AddressVote, 2> votes_;  // IPv4, IPv6
  std::array<TalkProtocol, 8> talks_{};
  size_t talk_count_ = 0;
  bool wanted_ = true;
  Stats stats_;
};

}  // namespace beamline::discovery
