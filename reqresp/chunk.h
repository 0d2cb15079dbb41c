// The bytes of a request and of a response chunk, and incremental readers for both.
//
//   request  = uvarint(ssz size) || snappy frames        (nothing at all where there is no body)
//   chunk    = result (1) || context (4 or none) || uvarint(ssz size) || snappy frames
//   error    = result (1) || uvarint(text size) || snappy frames    (never a context)
//
// The readers take any fragmentation. The size is checked against the bound of the type before
// anything is allocated, then the payload is allocated once and decompressed into as it arrives; at
// most max_compressed(size) bytes are read for it. Not thread safe. After an error a reader is
// spent.
// Source: consensus-specs, phase0 p2p-interface, "SSZ-snappy encoding strategy"; snappy's
// framing_format.txt.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/fork_digest.h"
#include "codec/snappy_frame.h"
#include "reqresp/protocol.h"

namespace beamline::reqresp {

// Empty where the protocol's request has no body. REQUIRES: the size is one of the row's.
SharedBytes encode_request(const ProtocolInfo& row, Bytes ssz);
// `context` is written only where the row has one. REQUIRES: ssz within the row's bounds.
SharedBytes encode_chunk(const ProtocolInfo& row, const ForkDigest& context, Bytes ssz);
// Text over kMaxErrorText is cut. REQUIRES: result != 0.
SharedBytes encode_error(uint8_t result, std::string_view text);

// One `uvarint(size) || snappy frames`.
class PayloadReader {
 public:
  // Sizes from `min` to `max` are accepted. `field` names the length in errors.
  void start(uint32_t min, uint32_t max, const char* field);
  // Takes bytes until the payload is complete, and returns how many it took; all of `input` while
  // done() is false. Errors (peer): too_long (the length over the bound, its uvarint over 10 bytes,
  // more output than declared, or more input than max_compressed), out_of_range (length under the
  // bound), bad_checksum, bad_encoding, truncated (a frame too short for its checksum).
  Result<size_t> read(Bytes input);
  bool done() const { return state_ == State::done; }
  // Whether a byte was taken: the end of the stream is then a truncation, unless done().
  bool started() const { return state_ != State::length || length_size_ > 0; }
  // Bytes that may follow a complete payload: writers of empty ones differ in whether they send
  // the frames' stream identifier.
  uint32_t slack() const { return size_ == 0 ? max_compressed(0) : 0; }
  // REQUIRES: done(). The reader must be started again afterwards.
  SharedBytes take();

 private:
  enum class State : uint8_t { length, frames, done };
  Result<size_t> read_length(Bytes input);

  State state_ = State::length;
  uint8_t length_size_ = 0;
  std::array<uint8_t, kMaxLengthBytes> length_{};
  uint32_t min_ = 0;
  uint32_t max_ = 0;
  uint32_t size_ = 0;  // declared, within [min_, max_]
  const char* field_ = "";
  SnappyFrameDecoder frames_;
  SharedBytes payload_;  // of the declared size; frames_ writes into it, nobody else holds it
};

struct Chunk {
  uint8_t result = 0;  // 0: payload is SSZ; else an error whose text is in payload
  ForkDigest context;  // zero where the protocol has none
  SharedBytes payload;
};

// The chunks of one response, one after the other.
class ChunkReader {
 public:
  explicit ChunkReader(const ProtocolInfo& row) : row_(&row) { restart(); }
  // Takes bytes until a chunk is complete (has_chunk() is true then), and returns how many.
  // Errors: those of PayloadReader.
  Result<size_t> read(Bytes input);
  bool has_chunk() const { return payload_.done(); }
  // REQUIRES: has_chunk().
  Chunk take();
  // What the end of the stream means here: in order between two chunks; an error chunk may lack
  // its text altogether (some peers send the code only); else a chunk is truncated.
  enum class Ending : uint8_t { in_order, error_without_text, truncated };
  Ending ending() const;
  // Of the chunk that is being read.
  uint8_t result() const { return result_; }

 private:
  enum class State : uint8_t { result, context, payload };
  void restart();

  const ProtocolInfo* row_;
  State state_ = State::result;
  uint8_t result_ = 0;
  uint8_t context_size_ = 0;
  ForkDigest context_;
  PayloadReader payload_;
};

}  // namespace beamline::reqresp
