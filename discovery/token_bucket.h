// A rate with a burst: `rate` tokens a second, at most `burst` at once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace beamline::discovery {

class TokenBucket {
 public:
  TokenBucket(uint32_t rate, uint32_t burst)
      : cost_(seconds(1).ns / rate), full_(cost_ * burst), held_(full_) {}

  bool take(MonoTime now) {
    if (now > last_) {
      const int64_t passed = now.ns - last_.ns;
      held_ = passed >= full_ - held_ ? full_ : held_ + passed;
      last_ = now;
    }
    if (held_ < cost_) return false;
    held_ -= cost_;
    return true;
  }

 private:
  int64_t cost_;  // nanoseconds of a token
  int64_t full_;
  int64_t held_;
  MonoTime last_{};
};

}  // namespace beamline::discovery
