// Which free receive buffers the kernel may fill next.
//
// Its ring of buffers is first in, first out: with all of a pool in it, each receive lands in
// memory that left the cache long ago, or that was never touched. So the kernel holds about as many
// as turns have used of late, and the others wait here; the one that came back last goes out first.
// Receiving a stream that arrives as fast as it can costs half as much with 1 MiB under way as with
// 8 MiB. A guess that was too low ends a receive with -ENOBUFS, and the next one is twice as high.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace beamline {

class WarmSet {
 public:
  static constexpr uint32_t kLeastBytes = 1u << 18;  // so much to begin with, and never less
  static constexpr uint32_t kWindow = 256;           // turns, of which the busiest counts

  // Empty; put() brings the buffers. Allocates.
  WarmSet(uint32_t count, uint32_t buffer_size)
      : count_(count), least_(std::clamp(kLeastBytes / buffer_size, 1u, count)), target_(least_) {
    free_.reserve(count);
  }

  // What came back in a turn, in which so many sockets received.
  void put(std::span<const uint16_t> ids, uint32_t sockets) {
    out_ -= std::min(static_cast<uint32_t>(ids.size()), out_);
    free_.insert(free_.end(), ids.begin(), ids.end());
    most_ = std::max(most_, sockets);
    target_ = std::max(target_, with_spare(sockets));
    if (++turns_ < kWindow) return;
    target_ = with_spare(most_);
    most_ = turns_ = 0;
  }
  // The next one to hand out; none when enough are.
  std::optional<uint16_t> take() {
    if (out_ >= target_ || free_.empty()) return std::nullopt;
    ++out_;
    const uint16_t id = free_.back();
    free_.pop_back();
    return id;
  }
  // A socket wanted one and had none in this turn.
  void starved() { target_ = std::min(count_, 2 * target_); }

  // How many may be out: with the kernel, or in a lease.
  uint32_t target() const { return target_; }

 private:
  uint32_t with_spare(uint32_t used) const {
    return std::clamp(used + used / 4 + 1, least_, count_);
  }

  uint32_t count_;
  uint32_t least_;
  uint32_t target_;
  uint32_t out_ = 0;
  uint32_t most_ = 0;
  uint32_t turns_ = 0;
  std::vector<uint16_t> free_;
};

}  // namespace beamline
