#include "bench/header_replica.h"

#include <algorithm>
#include <deque>
#include <optional>

namespace beamline::chain::bench {
namespace {

class Replica {
 public:
  Replica(const std::vector<ReplicaPeer>& peers, const ReplicaPolicy& policy)
      : peers_(peers), policy_(policy), slots_(peers.size()) {}

  ReplicaResult run(uint64_t headers) {
    while (headers > 0) {
      const uint64_t chunk = std::min(headers, policy_.chunk);
      fill(chunk);
      headers -= chunk;
      // The barrier: all of the chunk, looked at every 10 ms.
      for (left_ = chunk; left_ > 0; now_ = now_ + policy_.poll) {
        collect();
        give_out();
      }
    }
    result_.took = now_;
    return result_;
  }

 private:
  struct Slot {
    std::optional<uint64_t> task = std::nullopt;  // headers that are asked for
    Duration due{};
    int64_t score = 0;
  };
  void fill(uint64_t chunk) {
    const uint64_t size = std::max<uint64_t>(1, chunk / policy_.tasks);
    for (uint64_t at = 0; at < chunk; at += size) tasks_.push_back(std::min(size, chunk - at));
  }
  void collect() {
    for (size_t i = 0; i < slots_.size(); ++i) {
      Slot& slot = slots_[i];
      if (!slot.task || slot.due > now_) continue;
      const uint64_t asked = *slot.task;
      slot.task.reset();
      if (peers_[i].stalling) {
        ++result_.timeouts;
        --slot.score;
        tasks_.push_front(asked);
        continue;
      }
      ++slot.score;
      const uint64_t got = std::min<uint64_t>(asked, policy_.most);
      left_ -= got;
      if (got < asked) tasks_.push_front(asked - got);
    }
  }
  // Each task to the idle peer with the best score.
  void give_out() {
    while (!tasks_.empty()) {
      Slot* best = nullptr;
      for (Slot& slot : slots_) {
        if (!slot.task && (best == nullptr || slot.score > best->score)) best = &slot;
      }
      if (best == nullptr) return;
      const ReplicaPeer& peer = peers_[static_cast<size_t>(best - slots_.data())];
      best->task = tasks_.front();
      best->due = now_ + (peer.stalling ? policy_.timeout : peer.round_trip);
      tasks_.pop_front();
      ++result_.requests;
    }
  }

  const std::vector<ReplicaPeer>& peers_;
  const ReplicaPolicy policy_;
  std::vector<Slot> slots_;
  std::deque<uint64_t> tasks_;
  uint64_t left_ = 0;
  Duration now_{};
  ReplicaResult result_;
};

}  // namespace

ReplicaResult run_replica(uint64_t headers, const std::vector<ReplicaPeer>& peers,
                          const ReplicaPolicy& policy) {
  return Replica(peers, policy).run(headers);
}

}  // namespace beamline::chain::bench
