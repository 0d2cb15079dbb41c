#include "gossip/frame_reader.h"

#include <algorithm>

#include "base/check.h"
#include "codec/uvarint.h"

namespace beamline::gossip {
namespace {

constexpr size_t kFirstBuffer = 16 * 1024;

std::unexpected<Error> bad_length(Code code) { return bad_input(code, "frame.length"); }

}  // namespace

// Completes length_ from `input`. True when total_ is known.
Result<bool> FrameReader::read_length(Bytes& input) {
  while (!input.empty()) {
    if (length_size_ == sizeof(length_)) return bad_length(Code::too_long);
    length_[length_size_++] = input.front();
    input = input.subspan(1);
    const Uvarint length = read_uvarint(Bytes(length_, length_size_));
    if (length.state == UvarintState::need_more) continue;
    if (length.state == UvarintState::bad) return bad_length(length.error);
    if (length.value > max_frame_) return bad_length(Code::too_long);
    total_ = static_cast<uint32_t>(length.value) + length_size_;
    filled_ = length_size_;
    return true;
  }
  return false;
}

// Room for `more` bytes that are here: the whole frame if it is small, else in proportion to what
// came.
Status FrameReader::reserve(size_t more, PartialBudget& budget) {
  const size_t capacity = buffer_.size();
  const size_t wanted =
      std::min<size_t>(total_, std::max({kFirstBuffer, capacity * 4, filled_ + more}));
  if (wanted > budget.fair && budget.used + (wanted - capacity) > budget.limit) {
    return bad_input(Code::full, "frame.budget");
  }
  budget.used += wanted - capacity;
  uint8_t* writable = nullptr;
  SharedBytes larger = SharedBytes::build(wanted, [&](MutableBytes out) {
    writable = out.data();
    std::memcpy(writable, capacity == 0 ? length_ : buffer_.data(), filled_);
  });
  buffer_ = std::move(larger);
  writable_ = writable;
  return {};
}

Result<bool> FrameReader::next(Bytes& input, Frame& frame, PartialBudget& budget, MonoTime now) {
  frame = {};
  if (input.empty()) return false;
  if (total_ == 0) {
    const Result<bool> complete = read_length(input);
    if (!complete) return complete;
    if (!*complete) {
      started_ = std::min(started_, now);
      return false;
    }
  }
  if (buffer_.empty() && input.size() >= total_ - filled_) {
    frame.rpc = input.first(total_ - filled_);
    input = input.subspan(frame.rpc.size());
  } else {
    started_ = std::min(started_, now);
    while (!input.empty() && filled_ < total_) {
      if (filled_ == buffer_.size() || buffer_.empty()) {
        if (Status ok = reserve(input.size(), budget); !ok) return std::unexpected(ok.error());
      }
      const size_t count =
          std::min(input.size(), std::min<size_t>(buffer_.size(), total_) - filled_);
      std::memcpy(writable_ + filled_, input.data(), count);
      filled_ += static_cast<uint32_t>(count);
      input = input.subspan(count);
    }
    if (filled_ < total_) return false;
    BL_CHECK(buffer_.size() == total_);
    frame.shared = buffer_;
    frame.rpc = frame.shared.bytes().subspan(length_size_);
  }
  reset(budget);
  return true;
}

void FrameReader::reset(PartialBudget& budget) {
  budget.used -= buffer_.size();
  buffer_.reset();
  writable_ = nullptr;
  started_ = MonoTime::never();
  total_ = filled_ = 0;
  length_size_ = 0;
}

}  // namespace beamline::gossip
