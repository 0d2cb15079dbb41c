// What readers on other threads see of the chain: a copy, made on the chain's thread, that never
// changes after. How it is published without a lock: loop/published.h; by whom: node/core.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "chain/block.h"
#include "chain/commands.h"
#include "chain/fork_choice.h"
#include "chain/stats.h"

namespace beamline::chain {

class Chain;

struct SnapshotLimits {
  uint32_t tree_blocks = 1024;  // the highest slots; what lies below is counted only
};

struct Snapshot {
  uint64_t sequence = 0;  // rises by one with each that was published or skipped
  Now at;
  Slot current_slot = 0;

  struct Tip {
    Root root;
    Slot slot = 0;
  };
  Tip head;
  Checkpoint justified;
  Checkpoint finalized;

  struct Node {
    Root root;
    Root parent_root;
    Slot slot = 0;
    ValidatorIndex proposer = 0;
  };
  std::vector<Node> tree;    // by rising slot, then root; at most SnapshotLimits::tree_blocks
  uint64_t tree_blocks = 0;  // all of them
  Slot tree_floor = 0;

  struct PeerView {
    PeerHandle peer;
    int32_t score = 0;
    std::array<uint32_t, kConducts> conducts{};  // the parts: how often, by Conduct
    int64_t rewards = 0;                         // their sums; rewards + penalties need not be the
    int64_t penalties = 0;                       // score, which is clamped
    std::optional<Conduct> last_reason;          // of the last change
    MonoTime last_change{};
    uint32_t requests_in_flight = 0;
    uint32_t serves = 0;
    bool leaving = false;
    bool has_status = false;
    Tip head;       // by its status
    Tip finalized;  // by its status
  };
  std::vector<PeerView> peers;  // by rising index

  struct Queues {
    uint64_t cached_blocks = 0;
    uint64_t cached_bytes = 0;
    uint64_t orphans = 0;
    uint64_t connected = 0;
    uint64_t ready = 0;
    uint64_t importing = 0;
    uint64_t delayed = 0;
    uint64_t data = 0;  // waiting for their blobs or columns
    uint64_t future_blocks = 0;
    uint64_t pending_roots = 0;
    uint64_t pending_in_flight = 0;
    uint64_t pending_by_range = 0;
    uint64_t requests_by_root = 0;
    uint64_t requests_by_range = 0;
    uint64_t serves = 0;
    uint64_t commands = 0;
  };
  Queues queues;
  Stats stats;
};

// Writes all of `out` but `sequence`, using its memory again. Costs time in proportion to what the
// limits allow, the peers and the pending roots; no event is handled meanwhile, so it is one state.
void take_snapshot(Chain& chain, const Now& now, const SnapshotLimits& limits, Snapshot& out);

}  // namespace beamline::chain
