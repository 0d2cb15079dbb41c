// One peer's incoming gossip stream, cut into RPC frames. A frame that lies whole in the bytes of
// one call is handed out where it lies; one that spans calls is gathered in a buffer of its own,
// which becomes shared bytes without another copy. The buffer grows with what really came, never
// with what was only declared.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"

namespace beamline::gossip {

// Bytes held in half-received frames by all readers that share it. A frame within the fair share of
// one peer is always taken, so that a few peers with huge frames cannot shut out the others.
struct PartialBudget {
  size_t used = 0;
  size_t limit = 0;
  size_t fair = 0;
};

class FrameReader {
 public:
  explicit FrameReader(size_t max_frame) : max_frame_(static_cast<uint32_t>(max_frame)) {}

  struct Frame {
    Bytes rpc;           // without the length
    SharedBytes shared;  // the frame with its length, when it was gathered; else empty
  };

  // Takes bytes from `input` up to the end of one frame. True and the frame; or false when `input`
  // is used up and no frame is complete. `frame.rpc` is valid as long as `frame` and the input's
  // bytes are.
  // Errors: non_canonical, too_long ("frame.length", over max_frame or 64 bits); full
  // ("frame.budget"). After one the reader must be reset.
  Result<bool> next(Bytes& input, Frame& frame, PartialBudget& budget, MonoTime now);

  // When the frame that is half received began; never() if there is none.
  MonoTime started() const { return started_; }
  // Drops what is half received.
  void reset(PartialBudget& budget);

 private:
  Result<bool> read_length(Bytes& input);
  Status reserve(size_t more, PartialBudget& budget);

  SharedBytes buffer_;           // of capacity bytes, the length included; null in between
  uint8_t* writable_ = nullptr;  // buffer_'s bytes while nobody shares them
  MonoTime started_ = MonoTime::never();
  uint32_t max_frame_;
  uint32_t total_ = 0;   // of the frame with its length; 0 while the length is incomplete
  uint32_t filled_ = 0;  // of it, in buffer_ (or of the length, in length_)
  uint8_t length_[5] = {};
  uint8_t length_size_ = 0;
};

}  // namespace beamline::gossip
