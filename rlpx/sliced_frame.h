// A message that is too large to be compressed and sealed in one turn: it becomes a frame slice by
// slice. First all of it is compressed, as a frame's header tells the size, then the frame is
// sealed from its front. Sans-IO, one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "rlpx/frames.h"

namespace beamline::rlpx {

// Bytes that one step compresses or seals; a multiple of snappy's block of 64 KiB.
inline constexpr size_t kSliceSize = 256u << 10;
// Bytes to leave in front of a payload whose buffer is given away: for the message id.
inline constexpr size_t kPayloadRoom = 2;

class SlicedFrame {
 public:
  // The payload is buffer[begin, end). REQUIRES: begin >= kPayloadRoom.
  SlicedFrame(uint8_t id, std::vector<uint8_t> buffer, size_t begin, bool compress);

  bool begun() const { return begun_; }  // part of it may be on the wire
  bool done() const { return done_; }
  // An upper bound of the bytes that are still to come out of it.
  size_t left() const;
  // One step. Appends what it sealed to `out`; gives the bytes that it went over. REQUIRES:
  // !done().
  size_t advance(FrameCodec& codec, std::vector<uint8_t>& out);

 private:
  size_t compress_slice();

  std::vector<uint8_t> plain_;  // while it is compressed
  size_t plain_at_;
  std::vector<uint8_t> data_;  // the frame's: message id and what follows
  size_t at_ = 0;              // where it goes on, once it is packed
  size_t end_ = 0;
  bool packed_ = false;
  bool begun_ = false;  // its header is out
  bool done_ = false;
};

}  // namespace beamline::rlpx
