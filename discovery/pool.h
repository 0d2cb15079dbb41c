// The connection pool: every node that any path of discovery heard of, in the order of arrival, and
// the choice of the next one to dial. Apart from the table: what a bucket drops stays here.
//
// Thread rule: one thread. Sans-IO.
//
// Invariants, after every call:
//  - size() <= capacity; what arrived first leaves first; an id that is there keeps its place;
//  - each contact is in exactly one class (Standing);
//  - at most `subnet_limit` contacts of one /24, so that who owns a network and makes up ids
//    neither fills it nor pushes others out;
//  - in one cycle each eligible contact is given out once; a cycle ends when all were;
//  - insert, remove, pick and every change of a standing are O(1), also when all were tried:
//    classes are ranges of one permutation, and a new cycle moves a border.
// Only a change of the filter costs O(size), at most kSettleBudget contacts a call.
//
// Nothing is banned for good: a failure is a backoff (30 s, 3 min, 15 min, then 1 h again and
// again), and a contact that the pool forgot comes back as new.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "discovery/id_index.h"
#include "discovery/ip_limits.h"
#include "discovery/node_record.h"

namespace beamline::discovery {

// Whom we would dial.
struct PoolFilter {
  Capabilities capabilities = 0;  // all of these
  std::array<uint32_t, 4> forks{};
  uint8_t fork_count = 0;   // 0: any fork
  bool unknown_too = true;  // nodes of which no record was seen
  bool needs_port = true;   // a TCP port to dial
  bool accepts(const NodeRecord& record) const;
};

struct PoolConfig {
  size_t capacity = 10'000;  // up to 1,048,576
  size_t subnet_limit = 10;  // contacts of one /24; loopback and LAN exempt
  Duration redial = seconds(35);
  std::array<Duration, 4> backoff = {seconds(30), seconds(180), seconds(900), seconds(3600)};
  bool mark = true;  // off: failures have no backoff; for one simulation
};

// Where a contact stands.
enum class Standing : uint8_t {
  eligible,  // may be picked in this cycle
  tried,     // was picked in this cycle
  unjudged,  // the filter changed since it was looked at
  filtered,  // the filter does not want it
  held,      // connected, being dialled, or in backoff
};

class Pool {
 public:
  static constexpr size_t kMaxCapacity = size_t{1} << 20;
  static constexpr size_t kSettleBudget = 1024;  // contacts that one call may judge anew
  static constexpr size_t kWakeBudget = 8;       // backoffs that one call may end

  struct Stats {
    uint64_t inserted = 0, updated = 0, known = 0, refused = 0, refused_subnet = 0;
    uint64_t displaced = 0;  // the oldest, pushed out by a new one
    uint64_t removed = 0, picked = 0, empty_picks = 0, cycles = 0, filtered = 0;
    uint64_t failures = 0, woken = 0;
  };

  Pool(const PoolConfig& config, Rng& rng);
  Pool(Pool&&) = default;

  // True when it is new. Otherwise a record with a higher sequence number replaces the old one (and
  // its endpoint); a lower one, or none, changes nothing.
  bool insert(const NodeRecord& record);
  // The same, where the endpoint is proven: it replaces one that no signed record gives.
  bool insert_proven(const NodeRecord& record);
  bool remove(const NodeId& id);
  const NodeRecord* find(const NodeId& id) const;

  // A random choice among the eligible; nullptr when there is none now (all held or filtered). It
  // counts as tried from now on. When all were tried, a new cycle begins. Who becomes eligible gets
  // a uniform place in the order of the cycle, so that being new or old is no advantage; a pick
  // draws from the last sixteen places, which lie in one cache line.
  const NodeRecord* pick(Now now, Rng& rng);
  // Connected or being dialled: not to be picked until release().
  void hold(const NodeId& id);
  // Free again: a redial has to wait for `redial`.
  void release(const NodeId& id, Now now);
  // A dial, handshake or request failed: the next backoff. It ends a hold too.
  void failed(const NodeId& id, Now now);
  // It was useful: the next failure starts at the shortest backoff again.
  void succeeded(const NodeId& id);
  void set_filter(const PoolFilter& filter);
  const PoolFilter& filter() const { return filter_; }

  size_t size() const { return size_; }
  size_t capacity() const { return config_.capacity; }
  size_t count(Standing standing) const;
  Standing standing(const NodeId& id) const;  // REQUIRES: it is there
  uint32_t failures(const NodeId& id) const;  // 0 when not there
  // Oldest first.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (uint32_t slot = oldest_; slot != kNone; slot = at(slot).newer) visit(at(slot).record);
  }
  // Newest first, while `visit` gives true.
  template <class Visit>
  void for_newest(Visit&& visit) const {
    for (uint32_t slot = newest_; slot != kNone && visit(at(slot).record);) slot = at(slot).older;
  }
  const Stats& stats() const { return stats_; }
  size_t memory() const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kChunk = 256;
  static constexpr size_t kLadders = 5;  // one queue per length of waiting: due in order
  struct Entry {
    NodeRecord record;
    uint32_t newer = kNone, older = kNone;          // order of arrival
    uint32_t wait_next = kNone, wait_prev = kNone;  // of a ladder's queue
    MonoTime due;
    uint8_t ladder = kLadders;  // kLadders: waits in none
    uint32_t cycle = 0;         // in which it was tried and left that class
    uint8_t failures = 0;
    bool in_use = false;  // held by a connection or a dial
  };
  struct Ladder {
    uint32_t first = kNone, last = kNone;
  };

  Entry& at(uint32_t slot) { return chunks_[slot / kChunk][slot % kChunk]; }
  const Entry& at(uint32_t slot) const { return chunks_[slot / kChunk][slot % kChunk]; }
  uint32_t slot_of(const NodeId& id) const;
  uint32_t& order(size_t position) { return lines_[position / kLine].slots[position % kLine]; }
  uint32_t order(size_t position) const { return lines_[position / kLine].slots[position % kLine]; }
  size_t position_of(uint32_t slot) const;
  bool put(const NodeRecord& record, bool proven);
  bool update(uint32_t slot, const NodeRecord& record, bool proven);
  bool subnet_full(uint64_t subnet) const;
  uint32_t allocate();
  void erase(uint32_t slot);
  Standing class_at(size_t position) const;
  size_t begin_of(size_t index) const { return index == 0 ? 0 : border_[index - 1]; }
  void move_to(uint32_t slot, Standing to);
  void exchange(size_t a, size_t b);
  void wait(uint32_t slot, size_t ladder, Now now);
  void stop_waiting(uint32_t slot);
  void wake(Now now);
  void judge(size_t budget);
  void classify(uint32_t slot);
  void mix(size_t line);

  PoolConfig config_;
  PoolFilter filter_;
  std::vector<std::unique_ptr<Entry[]>> chunks_;
  IdIndex index_;
  SubnetCounts subnets_;
  // A permutation of slots: the classes of Standing in their order, then free ones; border_[i] is
  // where class i + 1 begins. place_ has the line where each slot stands: within a line they
  // change places without a write elsewhere.
  static constexpr size_t kLine = 16;
  struct alignas(64) Line {
    std::array<uint32_t, kLine> slots;
    Line() { slots.fill(kNone); }
  };
  std::vector<Line> lines_;
  std::vector<uint32_t> place_;
  std::array<uint32_t, 4> border_{};
  size_t size_ = 0;
  uint32_t cycle_ = 1;
  uint32_t oldest_ = kNone;
  uint32_t newest_ = kNone;
  std::array<Ladder, kLadders> ladders_{};
  Rng rng_;  // for places in the order
  Stats stats_;
};

}  // namespace beamline::discovery
