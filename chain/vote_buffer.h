// Votes that wait: for the client's verification, for the turn's end, or for their slot to pass.
// The newest leaves first, since an older vote of the same validator says nothing any more; when
// there is no room, the oldest goes. Bounded; a sender has its share. Not thread safe.
//
// Memory grows with use up to the limit and stays; push and pop allocate nothing once it has grown.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "chain/block.h"
#include "chain/fork_choice.h"

namespace beamline::chain {

struct HeldVote {
  PeerHandle sender;
  std::optional<VerdictId> verdict;  // still owed
  bool verified = false;
  Vote vote;
};

// How much of a bounded thing each sender has.
class SenderShares {
 public:
  explicit SenderShares(uint32_t share) : share_(share) {}
  bool room(PeerHandle sender) const { return count(sender) < share_; }
  uint32_t count(PeerHandle sender) const;
  void take(PeerHandle sender) { ++counts_[sender]; }
  void give(PeerHandle sender);  // REQUIRES: it has one

 private:
  const uint32_t share_;
  std::map<PeerHandle, uint32_t> counts_;
};

class VoteBuffer {
 public:
  // `share`: the most of one sender.
  VoteBuffer(uint32_t max, uint32_t share) : max_(max), shares_(share) {}

  bool room_for(PeerHandle sender) const { return shares_.room(sender); }
  // The vote that had to go for it, if one had. REQUIRES: room_for(vote.sender).
  std::optional<HeldVote> push(HeldVote&& vote);
  HeldVote pop_newest();  // REQUIRES: !empty()
  HeldVote pop_oldest();  // REQUIRES: !empty()
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

 private:
  void grow();

  const uint32_t max_;
  SenderShares shares_;
  std::vector<HeldVote> ring_;
  size_t oldest_ = 0;
  size_t size_ = 0;
};

// Votes for blocks that are not here, by block. The oldest goes when there is no room.
class PendingVotes {
 public:
  PendingVotes(uint32_t max, uint32_t share) : max_(max), shares_(share) {}

  // False: the sender has its share.
  bool push(HeldVote&& vote);
  // Takes out those that vote for this block, at most `most`, the oldest first.
  std::vector<HeldVote> take(const Root& head, size_t most);
  bool waits_for(const Root& head) const;
  // Drops the votes of lower slots. How many they were.
  size_t expire(Slot below);
  size_t size() const { return votes_.size(); }
  uint64_t evicted() const { return evicted_; }

 private:
  HeldVote erase(std::map<uint64_t, HeldVote>::iterator it);

  const uint32_t max_;
  SenderShares shares_;
  std::map<uint64_t, HeldVote> votes_;  // by order of arrival
  std::set<std::pair<Root, uint64_t>> by_head_;
  std::set<std::pair<Slot, uint64_t>> by_slot_;
  uint64_t next_ = 0;
  uint64_t evicted_ = 0;
};

}  // namespace beamline::chain
