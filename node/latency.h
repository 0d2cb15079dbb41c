// Latencies in buckets of at most 1/16 relative width. One thread records; any thread may read at
// the same time, and sees each count as it is or as it just was.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace beamline {

class LatencyCounts;

class LatencyHistogram {
 public:
  static constexpr size_t kSub = 16;
  static constexpr size_t kBuckets = 61 * kSub;

  void record(Duration latency) {
    std::atomic<uint64_t>& count = counts_[bucket_of(latency)];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  LatencyCounts read() const;

  static size_t bucket_of(Duration latency) {
    const auto ns = static_cast<uint64_t>(latency.ns < 0 ? 0 : latency.ns);
    if (ns < kSub) return static_cast<size_t>(ns);
    const auto octave = static_cast<size_t>(std::bit_width(ns)) - 5;
    return (octave + 1) * kSub + static_cast<size_t>((ns >> octave) - kSub);
  }
  // The largest latency of a bucket.
  static Duration limit_of(size_t bucket) {
    if (bucket < kSub) return {static_cast<int64_t>(bucket)};
    const size_t octave = bucket / kSub - 1;
    const uint64_t next = static_cast<uint64_t>(kSub + bucket % kSub + 1) << octave;
    return {static_cast<int64_t>(next - 1)};
  }

 private:
  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
};

// What was recorded until a moment, or between two.
class LatencyCounts {
 public:
  uint64_t total() const {
    uint64_t sum = 0;
    for (const uint64_t n : counts_) sum += n;
    return sum;
  }
  LatencyCounts since(const LatencyCounts& earlier) const {
    LatencyCounts difference;
    for (size_t i = 0; i < counts_.size(); ++i) {
      difference.counts_[i] = counts_[i] - earlier.counts_[i];
    }
    return difference;
  }
  // The latency that `part` of a million are within; zero when there are none.
  Duration percentile(uint64_t part) const {
    const uint64_t sum = total();
    if (sum == 0) return {};
    const uint64_t rank = sum / 1'000'000 * part + sum % 1'000'000 * part / 1'000'000;
    uint64_t seen = 0;
    Duration last;
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] == 0) continue;
      seen += counts_[i];
      last = LatencyHistogram::limit_of(i);
      if (seen > rank) break;
    }
    return last;
  }

 private:
  friend class LatencyHistogram;
  std::array<uint64_t, LatencyHistogram::kBuckets> counts_{};
};

inline LatencyCounts LatencyHistogram::read() const {
  LatencyCounts now;
  for (size_t i = 0; i < kBuckets; ++i) {
    now.counts_[i] = counts_[i].load(std::memory_order_relaxed);
  }
  return now;
}

}  // namespace beamline
