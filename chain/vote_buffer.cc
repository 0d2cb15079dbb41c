#include "chain/vote_buffer.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {

uint32_t SenderShares::count(PeerHandle sender) const {
  const auto it = counts_.find(sender);
  return it == counts_.end() ? 0 : it->second;
}

void SenderShares::give(PeerHandle sender) {
  const auto it = counts_.find(sender);
  BL_CHECK(it != counts_.end());
  if (--it->second == 0) counts_.erase(it);
}

void VoteBuffer::grow() {
  std::vector<HeldVote> larger(std::min<size_t>(max_, std::max<size_t>(64, ring_.size() * 2)));
  for (size_t i = 0; i < size_; ++i) larger[i] = std::move(ring_[(oldest_ + i) % ring_.size()]);
  ring_ = std::move(larger);
  oldest_ = 0;
}

std::optional<HeldVote> VoteBuffer::push(HeldVote&& vote) {
  std::optional<HeldVote> evicted;
  if (size_ == max_) evicted = pop_oldest();
  if (size_ == ring_.size()) grow();
  shares_.take(vote.sender);
  ring_[(oldest_ + size_++) % ring_.size()] = std::move(vote);
  return evicted;
}

HeldVote VoteBuffer::pop_newest() {
  BL_CHECK(size_ > 0);
  HeldVote vote = std::move(ring_[(oldest_ + --size_) % ring_.size()]);
  shares_.give(vote.sender);
  return vote;
}

HeldVote VoteBuffer::pop_oldest() {
  BL_CHECK(size_ > 0);
  HeldVote vote = std::move(ring_[oldest_]);
  oldest_ = (oldest_ + 1) % ring_.size();
  --size_;
  shares_.give(vote.sender);
  return vote;
}

HeldVote PendingVotes::erase(std::map<uint64_t, HeldVote>::iterator it) {
  HeldVote vote = std::move(it->second);
  by_head_.erase({vote.vote.head_root, it->first});
  by_slot_.erase({vote.vote.slot, it->first});
  shares_.give(vote.sender);
  votes_.erase(it);
  return vote;
}

bool PendingVotes::push(HeldVote&& vote) {
  if (!shares_.room(vote.sender)) return false;
  if (votes_.size() >= max_) {
    erase(votes_.begin());
    ++evicted_;
  }
  shares_.take(vote.sender);
  by_head_.emplace(vote.vote.head_root, next_);
  by_slot_.emplace(vote.vote.slot, next_);
  votes_.emplace(next_++, std::move(vote));
  return true;
}

size_t PendingVotes::expire(Slot below) {
  size_t expired = 0;
  for (; !by_slot_.empty() && by_slot_.begin()->first < below; ++expired) {
    erase(votes_.find(by_slot_.begin()->second));
  }
  return expired;
}

bool PendingVotes::waits_for(const Root& head) const {
  const auto it = by_head_.lower_bound({head, 0});
  return it != by_head_.end() && it->first == head;
}

std::vector<HeldVote> PendingVotes::take(const Root& head, size_t most) {
  std::vector<HeldVote> taken;
  while (taken.size() < most && waits_for(head)) {
    const uint64_t number = by_head_.lower_bound({head, 0})->second;
    taken.push_back(erase(votes_.find(number)));
  }
  return taken;
}

}  // namespace beamline::chain
