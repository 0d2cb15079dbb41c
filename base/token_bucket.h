// A token bucket kept as one point in time (the generic cell rate algorithm): the moment at which
// the bucket is full again. It may go into debt: what is asked is whether anything is left.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace beamline {

struct Rate {
  int64_t per_second = 0;
  int64_t burst = 0;
};

class TokenBucket {
 public:
  // REQUIRES: both numbers > 0, burst / per_second below a day.
  explicit TokenBucket(Rate rate) : per_second_(rate.per_second), depth_{cost(rate.burst)} {}

  bool ready(MonoTime now) const { return full_at_ - now < depth_; }
  // Without debt: whether all of `tokens` is there, and when it will be. More than the burst is
  // there when the bucket is full.
  bool holds(int64_t tokens, MonoTime now) const { return holds_at(tokens, now) <= now; }
  MonoTime holds_at(int64_t tokens, MonoTime now) const {
    return std::max(now, full_at_ + (std::min(cost(tokens), depth_) - depth_));
  }
  // REQUIRES: 0 <= tokens <= 2^33.
  void charge(int64_t tokens, MonoTime now) { full_at_ = std::max(full_at_, now) + cost(tokens); }
  // The first moment at which ready() holds.
  MonoTime ready_at(MonoTime now) const {
    if (ready(now)) return now;
    return full_at_ + (nanoseconds(1) - depth_);
  }

 private:
  Duration cost(int64_t tokens) const { return {tokens * 1'000'000'000 / per_second_}; }

  int64_t per_second_;
  Duration depth_;
  MonoTime full_at_{0};
};

}  // namespace beamline
