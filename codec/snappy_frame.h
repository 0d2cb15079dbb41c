// The snappy framing format (google/snappy framing_format.txt): req/resp payloads. Streaming in
// both directions. An eth2 chunk says beforehand how many bytes come out (consensus-specs phase0
// p2p-interface, "SSZ-snappy encoding strategy"), and both what is written and what is read are
// bounded by it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline {

inline constexpr size_t kSnappyChunkSize = 65536;  // decompressed bytes of one chunk, at most

// What a reader may have to take for `size` decompressed bytes: 32 + n + n / 6.
constexpr size_t snappy_frame_max_input(size_t size) { return 32 + size + size / 6; }

// Decompresses one payload of known size. Feed it what arrives; it stops at the payload's last
// byte and leaves what follows. It buffers at most one chunk (76,494 bytes), and only the part that
// arrived; a chunk that lies whole in the input is not copied.
class SnappyFrameDecoder {
 public:
  struct Stats {
    uint64_t compressed_chunks = 0;
    uint64_t uncompressed_chunks = 0;
    uint64_t skipped_chunks = 0;  // padding and reserved skippable
    uint64_t input_bytes = 0;
  };

  // Starts a payload that goes to `out`; `out` must live until the payload is done. An empty one is
  // done at once.
  void start(MutableBytes out);

  // Takes a prefix of `input` and gives its length: all of it, unless the payload is done first.
  // Errors (field "snappy_frame.*", offset within the payload's stream): bad_encoding (no stream
  // identifier at first, a reserved unskippable chunk, an invalid block), bad_checksum, too_long
  // (output over the declared size, a chunk over 65,536 bytes, input over snappy_frame_max_input),
  // truncated (a chunk too short for its checksum). After an error only start() may be called.
  Result<size_t> feed(Bytes input);

  bool done() const { return produced_ == out_.size(); }
  size_t produced() const { return produced_; }
  const Stats& stats() const { return stats_; }

 private:
  enum class State : uint8_t { header, body, skip, failed };

  std::unexpected<Error> fail(Code code, const char* field);
  Status on_header();
  Status on_body(Bytes body);
  Status on_data(Bytes body);
  Result<size_t> take_header(Bytes input);
  Result<size_t> take_body(Bytes input);

  MutableBytes out_;
  size_t produced_ = 0;
  size_t input_ = 0;    // bytes taken of this payload, to the end of the last chunk or header
  size_t claimed_ = 0;  // bytes that the chunks so far have or announce
  State state_ = State::header;
  bool identified_ = false;
  uint8_t type_ = 0;
  uint32_t chunk_left_ = 0;  // bytes of the chunk's body that did not arrive yet
  uint8_t header_[4] = {};
  uint8_t header_size_ = 0;
  std::vector<uint8_t> partial_;
  Stats stats_;
};

// Compresses one payload, piece by piece: the stream identifier with the first chunk, then a chunk
// of at most 65,536 decompressed bytes at a time. `data` must outlive it.
class SnappyFrameEncoder {
 public:
  // What next() appends at most.
  static constexpr size_t kMaxPiece = 10 + 8 + kSnappyChunkSize;

  explicit SnappyFrameEncoder(Bytes data) : data_(data) {}
  bool done() const { return started_ && offset_ == data_.size(); }
  // Appends the next piece to `out`. REQUIRES: !done().
  void next(std::vector<uint8_t>& out);

 private:
  Bytes data_;
  size_t offset_ = 0;
  bool started_ = false;
};

// The whole payload at once.
void append_snappy_frames(Bytes data, std::vector<uint8_t>& out);

}  // namespace beamline
