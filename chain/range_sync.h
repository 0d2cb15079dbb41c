// A gap of slots that is fetched by range: which slots are still missing, in windows that are small
// enough to be bounded by bytes and are pipelined over several peers. It plans; who is asked, and
// what an answer is worth, the chain decides.
//
// A slot is covered while a window at or below it is not complete: a root that should lie there is
// not asked for by root. Not thread safe.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/time.h"
#include "chain/block.h"
#include "chain/limits.h"

namespace beamline::chain {

class RangeSync {
 public:
  struct Window {
    Slot start = 0;
    Slot last = 0;          // inclusive
    RequestId request = 0;  // 0: not in flight
    MonoTime ready_at{};
    uint32_t attempts = 0;
    std::vector<PeerHandle> tried;
    std::vector<PeerHandle> empty_by;  // answered that there is nothing
  };

  explicit RangeSync(const Limits& limits) : limits_(limits), delay_(limits.retry_first) {}

  bool active() const { return !segments_.empty() || !windows_.empty(); }
  bool covers(Slot slot) const { return active() && lowest() <= slot; }
  // May a new round begin? Not for a while after one that brought nothing.
  bool may_plan(MonoTime now) const { return now >= plan_at_; }
  MonoTime plan_at() const { return plan_at_; }
  struct Segment {
    Slot from = 0;
    Slot last = 0;  // inclusive
  };
  // Adds slots to fetch, below all that is planned. REQUIRES: segments rise, do not overlap, are
  // not empty, and none is covered.
  void plan(const std::vector<Segment>& segments);
  // What the tree has reached needs no fetching (windows in flight stay).
  void trim(Slot reached);

  // The lowest window that may be sent now, or null. `crowded`: only the very lowest. It stays
  // where it is until sent().
  Window* next(MonoTime now, bool crowded);
  void sent(Window& window, RequestId request, PeerHandle peer);
  // Null if the request has no window.
  Window* of_request(RequestId request);
  // Nothing more is expected of it.
  void complete(Window& window);
  // To be asked again from `start` on. Complete if nothing is left of it.
  void again(Window& window, Slot start, MonoTime ready_at);
  // Call when the plan may have run out: `reached` is the highest slot of the connected chain.
  void settle(Slot reached, MonoTime now);

  // What an answer brought, to size the windows.
  void observe(uint64_t blocks, uint64_t bytes);
  // Where nothing is found the windows double, up to `range_slots`: a promise of blocks far ahead
  // that is not kept costs few requests.
  uint64_t window_slots() const;
  uint32_t in_flight() const { return in_flight_; }
  // Grows when less is planned; for who derives something from the plan.
  uint64_t version() const { return version_; }
  MonoTime next_ready() const;

 private:
  Slot lowest() const;

  const Limits& limits_;
  std::map<Slot, Slot> segments_;   // planned, not cut into windows yet: start, last
  std::map<Slot, Window> windows_;  // by start
  uint32_t in_flight_ = 0;
  uint64_t version_ = 0;
  uint64_t blocks_seen_ = 0;
  uint64_t bytes_seen_ = 0;
  uint32_t empty_streak_ = 0;  // windows in a row that had no block
  // Rounds without progress.
  bool settled_ = true;
  Slot round_floor_ = 0;
  Duration delay_;
  MonoTime plan_at_{};
};

}  // namespace beamline::chain
