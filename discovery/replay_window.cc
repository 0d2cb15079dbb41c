#include "discovery/replay_window.h"

#include <algorithm>
#include <cstring>

#include "discovery/slot_index.h"

namespace beamline::discv5 {
namespace {

uint32_t count_of(const Nonce& nonce) {
  return uint32_t{nonce[0]} << 24 | uint32_t{nonce[1]} << 16 | uint32_t{nonce[2]} << 8 | nonce[3];
}

uint32_t print_of(const Nonce& nonce) {
  uint64_t random = 0;
  uint32_t count = 0;
  std::memcpy(&count, nonce.data(), sizeof(count));
  std::memcpy(&random, nonce.data() + sizeof(count), sizeof(random));
  const uint64_t hash = discovery::fold(random, count);
  return static_cast<uint32_t>(hash ^ hash >> 32) | 1;  // zero is an empty place
}

}  // namespace

bool ReplayWindow::take(const Nonce& nonce) {
  const uint32_t count = count_of(nonce);
  if (mode_ == Mode::none) {
    mode_ = count < kFirstCount ? Mode::counts : Mode::random;
    newest_ = count;
  }
  return mode_ == Mode::counts ? take_count(count) : take_random(nonce);
}

bool ReplayWindow::take_count(uint32_t count) {
  if (count > newest_) {
    if (count - newest_ > kMaxLeap) full_ = true;
    if (count - newest_ >= kWindow) {
      window_.fill(0);
    } else {
      // The places of the counts between belong to counts that are too old now.
      for (uint32_t at = newest_ + 1; at != count; ++at) {
        window_[at % kWindow / 64] &= ~(uint64_t{1} << (at % 64));
      }
      window_[count % kWindow / 64] &= ~(uint64_t{1} << (count % 64));
    }
    newest_ = count;
  } else if (newest_ - count >= kWindow) {
    return false;
  }
  uint64_t& word = window_[count % kWindow / 64];
  const uint64_t bit = uint64_t{1} << (count % 64);
  if ((word & bit) != 0) return false;
  word |= bit;
  return true;
}

bool ReplayWindow::take_random(const Nonce& nonce) {
  if ((size_ + 1) * 2 > kept_.size()) grow();
  const uint32_t print = print_of(nonce);
  const size_t mask = kept_.size() - 1;
  size_t at = (print >> 1) & mask;
  for (; kept_[at] != 0; at = (at + 1) & mask) {
    if (kept_[at] == print) return false;
  }
  // Full: what still comes before the keys are new is refused, once it cannot be kept.
  if (size_ == kMaxKept) return false;
  kept_[at] = print;
  full_ |= ++size_ == kMaxKept;
  return true;
}

void ReplayWindow::grow() {
  std::vector<uint32_t> before(kept_.empty() ? 64 : std::min(kept_.size() * 2, 4 * kMaxKept));
  before.swap(kept_);
  const size_t mask = kept_.size() - 1;
  for (const uint32_t print : before) {
    if (print == 0) continue;
    size_t at = (print >> 1) & mask;
    while (kept_[at] != 0) at = (at + 1) & mask;
    kept_[at] = print;
  }
}

}  // namespace beamline::discv5
