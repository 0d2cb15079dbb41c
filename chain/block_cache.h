// The blocks that are here but not imported: orphans, and those that wait for their import. By
// root, with a children index. Nothing here is transferred again.
//
// Bounded by count, by bytes, and for gossip by sender. Who inserts makes room first (victim(),
// erase()), because a block that goes may leave roots behind that nobody wants any more.
// Not thread safe. References stay valid until the block is erased.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "base/time.h"
#include "chain/block.h"
#include "chain/limits.h"

namespace beamline::chain {

struct CachedBlock {
  enum class State : uint8_t {
    orphan,     // an ancestor is missing
    connected,  // its ancestors are here, its parent is not imported yet
    ready,      // its parent is imported
    importing,  // with the client
    delayed,    // the client said: later
    data,       // the client said: blobs or columns are missing; they are asked for
  };
  BlockInfo block;
  Origin origin = Origin::gossip;
  State state = State::orphan;
  PeerHandle sender;
  WallTime arrived{};
  RequestId request = 0;  // that brought it; 0 for gossip
  uint32_t batch = 0;
  uint32_t depth = 0;     // of the walk by root that brought it; 0 for gossip and range
  uint32_t attempts = 0;  // that it took to fetch it
  uint32_t import_retries = 0;
  std::optional<VerdictId> gossip_verdict;  // still owed
  // Who sent other bytes of this root meanwhile, and has it if these are wrong; a few at most.
  std::vector<PeerHandle> offered_by;
  ImportId import = 0;
  std::vector<uint64_t> missing;  // in the state `data`: rising indices of blobs or columns
  // Who sent which of them, and who sent none or wrong ones. Bounded by what was asked for
  // (Limits::data_per_block, attempts_per_root), once for each of import_retries.
  std::map<uint64_t, PeerHandle> data_from;
  std::vector<PeerHandle> data_refused;
};

class BlockCache {
 public:
  explicit BlockCache(const Limits& limits) : limits_(limits) {}

  CachedBlock* find(const Root& root);
  const CachedBlock* find(const Root& root) const;
  bool contains(const Root& root) const { return blocks_.contains(root); }

  enum class Room : uint8_t { yes, after_eviction, no };
  // Is there room for this block, now or once the victim is erased? Ask again after each eviction.
  Room room_for(const CachedBlock& incoming) const;
  // The block to erase next: an orphan, by gossip if there is one, of the sender that has most of
  // them here, and of those the one of the highest slot. REQUIRES: room_for() said after_eviction.
  Root victim() const;

  // REQUIRES: not here; room_for() said yes.
  CachedBlock& insert(CachedBlock block);
  // REQUIRES: here.
  void erase(const Root& root);
  void set_state(CachedBlock& block, CachedBlock::State state);

  // By rising slot, then root.
  std::vector<Root> children(const Root& parent) const;
  bool has_children(const Root& parent) const;
  // The lowest slot of a child. REQUIRES: has_children().
  Slot lowest_child_slot(const Root& parent) const;

  // Ready blocks by rising slot. Null if there is none.
  CachedBlock* lowest_ready();
  // The highest slot of what is connected with the tree, or 0.
  Slot highest_connected() const;

  size_t size() const { return blocks_.size(); }
  uint64_t bytes() const { return bytes_; }
  size_t count(CachedBlock::State state) const { return counts_[static_cast<size_t>(state)]; }
  size_t by_gossip_of(PeerHandle sender) const;
  // More than half of a limit is in use: no time to ask for more windows.
  bool crowded() const;
  // In order of root; for tests and end-of-run summaries.
  const std::map<Root, CachedBlock>& blocks() const { return blocks_; }

 private:
  struct Sender {
    size_t blocks = 0;
    std::set<std::pair<Slot, Root>> orphans;  // of those
  };
  using Senders = std::map<PeerHandle, Sender>;
  Senders& senders_of(const CachedBlock& block) {
    return block.origin == Origin::gossip ? gossip_senders_ : fetch_senders_;
  }
  void count_in(const CachedBlock& block);
  void count_out(const CachedBlock& block);
  static const Sender* fullest(const Senders& senders);

  const Limits& limits_;
  std::map<Root, CachedBlock> blocks_;
  std::set<std::tuple<Root, Slot, Root>> children_;  // parent, slot, child
  std::set<std::pair<Slot, Root>> ready_;
  std::multiset<Slot> connected_;
  Senders gossip_senders_;
  Senders fetch_senders_;
  size_t counts_[6] = {};
  uint64_t bytes_ = 0;
};

}  // namespace beamline::chain
