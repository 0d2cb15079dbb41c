// The roots that are wanted and not here. A root leaves this set when its block arrives or when it
// is given up with a reason, and in no other way: not because a request failed, could not be sent,
// or because there is nobody to ask.
//
// Bounded by Limits::pending_roots. Not thread safe.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/time.h"
#include "chain/block.h"
#include "chain/limits.h"

namespace beamline::chain {

// Why a root is wanted. As `data`: the block is here, its blobs or columns are not
// (CachedBlock::missing).
enum class WantedAs : uint8_t { parent, peer_head, data };

enum class GiveUp : uint8_t { attempts, depth, below_anchor, orphan_gone, peer_gone, invalid };
const char* name(GiveUp reason);

struct PendingRoot {
  enum class State : uint8_t {
    waiting,    // for the flush, from `ready_at` on
    in_flight,  // in the request `request`
    by_range,   // a window that is on its way should bring it
  };
  Root root;
  WantedAs wanted_as = WantedAs::parent;
  State state = State::waiting;
  Slot signal_slot = 0;  // what the gap is measured to: the lowest child's slot, or the head's
  Slot top_slot = 0;     // the block has this slot at most
  uint32_t depth = 0;    // steps of the walk by root that led here; its own, not its batch's
  uint32_t attempts = 0;
  Slot range_floor = 0;  // where the last range round for it began; 0 for none
  RequestId request = 0;
  MonoTime ready_at{};
  uint64_t sequence = 0;              // order of arrival
  std::vector<PeerHandle> tried;      // in this round; at most Limits::peers
  std::vector<PeerHandle> claimants;  // who say that they have it; at most kMaxClaimants
};

class PendingParents {
 public:
  static constexpr size_t kMaxClaimants = 4;

  explicit PendingParents(const Limits& limits) : limits_(limits) {}

  struct Want {
    Root root;
    WantedAs wanted_as = WantedAs::parent;
    Slot signal_slot = 0;
    Slot top_slot = 0;
    uint32_t depth = 0;
    uint32_t attempts = 0;
    std::optional<PeerHandle> claimant;
  };
  // Adds a root, ready now; or merges: the lesser depth and slots, one claimant more. Null when
  // the set is full.
  PendingRoot* want(const Want& want, MonoTime now);
  PendingRoot* find(const Root& root);
  const PendingRoot* find(const Root& root) const;
  // Its block arrived, or it is given up. REQUIRES: here.
  void erase(const Root& root);

  // One more peer that says that it has it.
  static void claim(PendingRoot& root, PeerHandle peer);
  void mark_in_flight(PendingRoot& root, RequestId request);
  void hold_for_range(PendingRoot& root);
  // Waiting again, to leave at `ready_at`.
  void release(PendingRoot& root, MonoTime ready_at);
  // After a peer failed on it: one attempt more, that peer tried; the first retry at once if
  // `others` says that there is somebody else, then after 250 ms doubling to 4 s.
  void failed(PendingRoot& root, PeerHandle peer, bool others, MonoTime now);

  // What may leave now, in order of time and arrival.
  std::vector<PendingRoot*> ready(MonoTime now);
  bool any_ready(MonoTime now) const {
    return !waiting_.empty() && std::get<0>(*waiting_.begin()) <= now;
  }
  // When the next waiting root becomes ready; never() if none waits.
  MonoTime next_ready() const {
    return waiting_.empty() ? MonoTime::never() : std::get<0>(*waiting_.begin());
  }

  // Grows with every change; for who derives something from the set.
  uint64_t version() const { return version_; }
  size_t size() const { return roots_.size(); }
  const std::map<Root, PendingRoot>& roots() const { return roots_; }
  // By rising top_slot, those that are not in flight: what range sync may take over.
  std::vector<PendingRoot*> by_top_slot();

 private:
  void leave_waiting(PendingRoot& root);

  const Limits& limits_;
  std::map<Root, PendingRoot> roots_;
  std::set<std::tuple<MonoTime, uint64_t, Root>> waiting_;
  uint64_t next_sequence_ = 0;
  uint64_t version_ = 0;
};

bool has(const std::vector<PeerHandle>& peers, PeerHandle peer);

}  // namespace beamline::chain
