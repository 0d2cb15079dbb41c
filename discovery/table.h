// The Kademlia table: 256 buckets of 16 contacts, and 10 replacements each.
//
// Thread rule: one thread. Sans-IO: packets that were seen come in by name, pings to send are
// polled; nothing is sent here.
//
// Invariants, after every call:
//  - an id stands at most once across main and replacements; our own never;
//  - main holds only contacts whose endpoint is proven (it answered a ping of ours there);
//  - a live replacement means that the main list of its bucket is full;
//  - a bucket is in the order of the last valid packet, the least recently seen first;
//  - at most `subnet_per_bucket` contacts of a /24 in a bucket, `subnet_per_table` in all; in a
//    table of kShareFrom contacts and more, at most one in kShare of it (what is above that,
//    because the table was smaller or shrank, goes within kShareInterval).
//
// A contact is *live* when its endpoint is proven and no ping or FINDNODE has failed since. What is
// found by id is found in both lists, and changed there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "discovery/id_index.h"
#include "discovery/ip_limits.h"
#include "discovery/node_id.h"
#include "discovery/node_record.h"

namespace beamline::discovery {

inline constexpr size_t kBuckets = 256;
inline constexpr size_t kBucketSize = 16;
inline constexpr size_t kReplacements = 10;
// So that two /24s never hold more than a tenth of a table, however small the network is, also when
// it loses a sixth of its contacts before the shares are counted again.
inline constexpr size_t kShareFrom = 64;
inline constexpr size_t kShare = 24;
inline constexpr Duration kShareInterval = seconds(10);
inline constexpr size_t kTellPerSubnet = 2;  // of one /24 in one answer

struct TableConfig {
  size_t subnet_per_bucket = 2;
  size_t subnet_per_table = 10;
  Duration prune_interval = seconds(5);
  Duration refresh_after = seconds(3600);  // a bucket that nothing touched
  Duration refresh_spacing = seconds(10);  // between two of them
  Duration fast_interval = seconds(3);     // revalidation: a contact of the list, one of those
  Duration slow_interval = seconds(9);     // not seen for long, after a random time up to this
  Duration candidate_interval = milliseconds(100);  // between two pings of unproven contacts
  Duration ping_timeout = seconds(10);              // a ping without an outcome counts as failed
  // Who was seen this recently lives: a newcomer does not cause a ping of it. Else everybody's
  // oldest contacts, which are the same few nodes, get a ping for each stranger that anybody meets.
  Duration check_after = seconds(30);
  uint32_t max_findnode_failures = 5;
  // Off: failures mark nothing, as the first version of the reference did. For one simulation.
  bool mark = true;
};

// Why a contact is given up.
enum class Failure : uint8_t { ping, findnode, request, dial, handshake, record };
inline constexpr size_t kFailures = 6;

struct Contact {
  NodeRecord record;
  MonoTime last_seen;      // any valid packet
  MonoTime last_pong;      // the proof of its endpoint
  MonoTime last_ping;      // sent by us
  MonoTime last_findnode;  // sent by us
  uint32_t checks = 0;     // pongs; a missed one divides by 3
  uint8_t findnode_failures = 0;
  bool live = false;
  bool disposable = false;  // goes at the next prune
  bool knows_us = false;    // it has proof of our endpoint: FINDNODE would be answered
  bool ping_pending = false;
  bool replacement = false;

 private:
  friend class Table;
  bool eviction_check = false;  // the pending ping decides about its place
  bool slow = false;
  bool candidate = false;  // stands in the queue of first pings
  uint8_t bucket = 0;
  uint32_t list_at = UINT32_MAX;                               // in the fast or slow list
  uint16_t ping_before = UINT16_MAX, ping_after = UINT16_MAX;  // pings that are out
  uint64_t subnet = 0;
};

// A ping that the table wants. Exactly one of pong() and ping_failed() ends it.
struct PingOrder {
  enum class Why : uint8_t { eviction, candidate, revalidation };
  NodeRecord record;
  Why why;
};

enum class Inserted : uint8_t {
  main,         // new, in the main list
  replacement,  // new, in the replacements
  known,        // it was there; changed where that was due
  self,
  unusable,  // no address that one could send to
  subnet_full,
  no_room,  // an unproven one, where all replacements are live
};

// Which contacts a search sees. Disposable ones are seen by none.
enum class Reach : uint8_t {
  live,  // what may be told to others
  main,  // main lists
  all,   // replacements too: seeds of look-ups, dial choice
};

class Table {
 public:
  struct Stats {
    uint64_t inserted_main = 0, inserted_replacements = 0, promoted = 0, evicted = 0, pruned = 0;
    uint64_t replaced = 0;  // replacements that a newer one pushed out
    uint64_t marked[kFailures] = {};
    uint64_t refused_subnet_bucket = 0, refused_subnet_table = 0, refused_room = 0,
             refused_unusable = 0, refused_candidate = 0, over_share = 0;
    uint64_t checks_spared = 0;  // the least recently seen was seen within check_after
    uint64_t pings_eviction = 0, pings_candidate = 0, pings_revalidation = 0;
    uint64_t pongs = 0, pings_failed = 0, foreign_endpoint = 0, refreshed = 0;
  };

  Table(const NodeId& self, const TableConfig& config, Rng& rng, Now now);
  Table(Table&&) = default;

  // Its endpoint `record.udp` is proven: it answered our ping there, or a handshake ended there.
  // A new contact enters main, or, when its bucket is full, the replacements (and its bucket's
  // least recently seen contact is checked, one check at a time, unless it was seen just now).
  Inserted contact_proven(const NodeRecord& record, Now now);
  // NEIGHBORS, NODES, a bootnode: hearsay. It becomes an unproven replacement and is pinged; what
  // is known already is not changed by it, but by a signed record of a higher sequence number.
  Inserted heard(const NodeRecord& record, Now now);
  // A record from the node itself (ENR response, handshake, NODES of distance 0). When its endpoint
  // moved, the contact has to be proven again. False: not known, or not newer.
  bool update_record(const NodeRecord& record, Now now);
  // A valid packet from `from`: its contact moves to the tail of its list. From another endpoint
  // than the contact's it changes nothing. False when nothing was moved.
  bool touched(const NodeId& id, const Endpoint& from, Now now);

  // The outcome of a ping, of a PingOrder or of the protocol's own.
  void pong(const NodeId& id, const Endpoint& from, Now now);
  void ping_failed(const NodeId& id, Now now);
  // The protocol pinged it for reasons of its own.
  void ping_sent(const NodeId& id, Now now);
  void findnode_sent(const NodeId& id, Now now);
  void findnode_answered(const NodeId& id);
  // Not live until it answers a ping, which is sent soon; the fifth in a row marks the contact.
  void findnode_failed(const NodeId& id);
  void set_knows_us(const NodeId& id, bool knows);
  // A request that timed out, a dial or a handshake that failed: gone at the next prune, and no
  // search finds it until then. False: not known. Nothing clears the mark: who was pruned and
  // proves its endpoint again comes in as new.
  bool mark_disposable(const NodeId& id, Failure why);
  // Prunes when that is due. Call it at next_deadline() or later, whatever else goes on.
  void tick(Now now);
  // Removes all disposable contacts, promotes live replacements. Idempotent.
  void prune(Now now);

  // The next ping to send, if one is due; the contact is then pending. Call until nullopt.
  std::optional<PingOrder> poll_ping(Now now, Rng& rng);
  // A random id of a bucket that has not been touched for long: look it up. Each bucket once per
  // interval, one at a time; buckets nearer than our nearest neighbours are left out, and what lies
  // behind kRefreshGap empty ones is no neighbour but an id that was made up to be near.
  std::optional<NodeId> poll_refresh(Now now, Rng& rng);
  MonoTime next_refresh() const { return next_refresh_; }
  // Of tick() and poll_ping().
  MonoTime next_deadline() const;

  // nullptr when not known. The pointer is good until the next call that changes the table.
  const Contact* find(const NodeId& id) const;
  // The nearest of `reach`, nearest first; gives how many (<= out.size()). No scan of the table, no
  // allocation: buckets are visited in the order of their distance to the target.
  size_t closest(const NodeId& target, Reach reach, std::span<const Contact*> out) const;
  // The same, of those for which `accept(const Contact&)`.
  template <class Accept>
  size_t closest_if(const NodeId& target, Reach reach, std::span<const Contact*> out,
                    Accept&& accept) const;
  // What is told to others, and what a look-up begins with: contacts of crowded networks (more than
  // kTellPerSubnet of the table are of the same /24) only where places are left, after the others
  // and at most kTellPerSubnet of each. Else who has 20 ids near to us in two networks would be
  // most of what we tell of our neighbourhood.
  template <class Accept>
  size_t tell(const NodeId& target, Reach reach, std::span<const Contact*> out,
              Accept&& accept) const;
  // Contacts of one log distance (discv5 FINDNODE), 1 to 256; least recently seen first.
  size_t at_distance(unsigned distance, Reach reach, std::span<const Contact*> out) const;
  // A uniform choice among those for which `accept(const Contact&)`, in one pass; nullptr if none.
  template <class Accept>
  const Contact* pick(Reach reach, Rng& rng, Accept&& accept) const;
  // By bucket from the nearest, main before replacements, disposable ones too.
  template <class Visit>
  void for_each(Visit&& visit) const;

  const NodeId& self() const { return self_; }
  size_t size() const { return mains_ + replacements_; }
  size_t main_size() const { return mains_; }
  size_t replacement_size() const { return replacements_; }
  size_t live_size() const { return live_; }
  struct BucketSize {
    size_t main, replacements, live;
  };
  BucketSize bucket_size(unsigned bucket) const;
  const Stats& stats() const { return stats_; }
  // Of the table itself and all it owns, but the shared bytes of records.
  size_t memory() const;
  const TableConfig& config() const { return config_; }

 private:
  using Slot = uint16_t;
  static constexpr Slot kNone = UINT16_MAX;
  static constexpr size_t kChunk = 64;
  static constexpr size_t kMaxCandidates = 256;
  static constexpr size_t kRevalidationDraws = 4;
  static constexpr unsigned kRefreshGap = 4;
  static constexpr uint32_t kInNoList = UINT32_MAX;
  struct Bucket {
    std::array<Slot, kBucketSize> main;
    std::array<Slot, kReplacements> spare;
    uint8_t mains = 0;
    uint8_t spares = 0;
    bool check_pending = false;  // a ping that decides about a place is out
    MonoTime touched;
  };

  Contact& at(Slot slot) { return (*chunks_[slot / kChunk])[slot % kChunk]; }
  const Contact& at(Slot slot) const { return (*chunks_[slot / kChunk])[slot % kChunk]; }
  Slot slot_of(const NodeId& id) const;
  Slot allocate(const NodeRecord& record, unsigned bucket);
  void release(Slot slot);
  size_t subnet_limit() const;
  void keep_shares(Now now);
  bool subnet_allows(uint64_t subnet, unsigned bucket, Slot self_slot);
  Inserted prove_known(Slot slot, const NodeRecord& record, Now now);
  Inserted prove_new(const NodeRecord& record, unsigned bucket, Now now);
  bool take_endpoint(Slot slot, const Endpoint& udp);
  void set_live(Contact& contact, bool live);
  void clear_ping(Slot slot);
  void want_check(Bucket& bucket);
  void append_main(Bucket& bucket, Slot slot);
  bool add_spare(Bucket& bucket, Slot slot, bool live);
  void take_out(Bucket& bucket, Slot slot);  // of whichever list; the slot stays allocated
  void drop(Slot slot);                      // take_out, release
  Slot newest_live(const Bucket& bucket) const;
  void promote(Bucket& bucket);  // newest live replacements into free places
  void to_tail(Bucket& bucket, Slot slot);
  void demote(Slot slot);
  void enlist(Slot slot, bool slow);  // for revalidation
  void delist(Slot slot);
  void want_candidate(Slot slot);
  void expire_pings(Now now);
  void start_ping(Slot slot, Now now);
  void proven(Slot slot, Now now);
  Slot next_check(Now now);
  Slot next_candidate(Now now);
  Slot next_revalidation(Now now, Rng& rng);
  static bool seen_by(const Contact& contact, Reach reach) {
    if (contact.disposable) return false;
    if (reach == Reach::all) return true;
    return reach == Reach::live ? contact.live && !contact.replacement : !contact.replacement;
  }
  // Calls visit(bucket index) in the order of distance to the target; stops when it gives false.
  template <class Visit>
  void by_distance(const NodeId& target, Visit&& visit) const;
  struct Ranked {
    Distance distance;
    const Contact* contact;
  };
  static void sort_ranked(std::span<Ranked> items);
  bool crowded(const Contact& contact) const {
    return subnets_.count(contact.subnet) > kTellPerSubnet;
  }
  static size_t count_subnet(std::span<const Contact* const> contacts, uint64_t subnet);
  bool occupied(unsigned bucket) const { return occupied_[bucket / 64] >> (bucket % 64) & 1; }
  void note_occupied(unsigned bucket);

  NodeId self_;
  TableConfig config_;
  std::vector<Bucket> buckets_;
  std::array<uint64_t, 4> occupied_{};
  std::vector<std::unique_ptr<std::array<Contact, kChunk>>> chunks_;
  std::vector<Slot> free_;
  IdIndex index_;
  SubnetCounts subnets_;
  std::vector<Slot> fast_;
  std::vector<Slot> slow_;
  std::vector<NodeId> candidates_;  // to be pinged for the first time; from candidates_at_ on
  size_t candidates_at_ = 0;
  Slot pings_first_ = kNone;  // pings that are out, in the order of sending
  Slot pings_last_ = kNone;
  std::array<uint64_t, 4> checks_{};  // buckets where a newcomer waits
  size_t mains_ = 0;
  size_t replacements_ = 0;
  size_t live_ = 0;
  size_t disposable_ = 0;
  MonoTime next_prune_;
  MonoTime next_share_;
  MonoTime next_fast_;
  MonoTime next_slow_;
  MonoTime next_candidate_;
  MonoTime next_refresh_;
  unsigned refresh_at_ = 0;
  Stats stats_;
};

}  // namespace beamline::discovery

#include "discovery/table_inl.h"
