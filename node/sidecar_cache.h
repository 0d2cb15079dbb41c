// The blobs and columns that the network may serve: verified, in memory, the newest ones. Bounded
// by bytes; the oldest go first. Not thread safe.
#pragma once

#include <deque>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "codec/root.h"

namespace beamline::node {

class SidecarCache {
 public:
  struct Stats {
    uint64_t kept = 0;
    uint64_t known = 0;    // was here already; what came first stays
    uint64_t evicted = 0;  // for want of room
    uint64_t refused = 0;  // larger than all of the room
    uint64_t served = 0;
    uint64_t missed = 0;  // asked for, and not here
  };

  explicit SidecarCache(size_t bytes) : limit_(bytes) {}

  void put(const Root& block_root, uint64_t index, SharedBytes bytes) {
    const Key key{block_root, index};
    if (bytes.size() > limit_) {
      ++stats_.refused;
      return;
    }
    if (entries_.contains(key)) {
      ++stats_.known;
      return;
    }
    while (bytes_ + bytes.size() > limit_) {
      const auto oldest = entries_.find(order_.front());
      bytes_ -= oldest->second.size();
      entries_.erase(oldest);
      order_.pop_front();
      ++stats_.evicted;
    }
    bytes_ += bytes.size();
    order_.push_back(key);
    entries_.emplace(key, std::move(bytes));
    ++stats_.kept;
  }
  // Null if it is not here. Valid until the next put().
  const SharedBytes* find(const Root& block_root, uint64_t index) {
    const auto found = entries_.find({block_root, index});
    ++(found == entries_.end() ? stats_.missed : stats_.served);
    return found == entries_.end() ? nullptr : &found->second;
  }

  size_t size() const { return entries_.size(); }
  size_t bytes() const { return bytes_; }
  const Stats& stats() const { return stats_; }

 private:
  using Key = std::pair<Root, uint64_t>;
  const size_t limit_;
  std::map<Key, SharedBytes> entries_;
  std::deque<Key> order_;  // the oldest first
  size_t bytes_ = 0;
  Stats stats_;
};

}  // namespace beamline::node
