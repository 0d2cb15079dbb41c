// Headers on disk: append-only segments of checksummed frames, and with each header its hash, so
// the canonical index is written with the headers and can never disagree with them.
//
//   frame   = magic u32 | kind u8 | zero u8[3] | payload size u32 | count u32 | first number u64 |
//             payload CRC-32C u32 | CRC-32C of the 28 bytes before u32, all little-endian
//   batch   payload: count x (hash 32 | size u16), then the headers' RLP in a row
//   rewind  payload: empty; `first number` is the first header that no longer counts
//   checkpoint payload: hash of the last header, zeros without one; `first number` is its number
//
// A checkpoint is written after what precedes it was synced, and then synced itself. Opening reads
// all frames' headers. What was acknowledged (the last checkpoint and what is before it) is there;
// of what follows, whole frames that continue the chain are kept, and made durable, and the rest is
// cut off: a crash leaves no gap. Where acknowledged bytes are damaged, opening or reading fails
// and nothing is cut.
//
// Not thread safe: the storage thread's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "chain/headers/store_file.h"
#include "crypto/hash.h"

namespace beamline::chain {

struct HeaderLogOptions {
  uint64_t segment_bytes = 64u << 20;  // a new file begins beyond
  uint64_t first_number = 1;           // of the first header, > 0; its parent is genesis
};

struct HeaderLogStats {
  uint64_t frames = 0;
  uint64_t syncs = 0;
  uint64_t checkpoints = 0;
  uint64_t rewinds = 0;
  uint64_t cut_bytes = 0;    // torn or unfinished, at opening
  uint64_t kept_frames = 0;  // after the last checkpoint, whole: kept at opening
};

struct StoredHeader {
  Bytes encoding;
  Hash256 hash;
};

class HeaderLog {
 public:
  static constexpr uint32_t kMaxBatch = 8192;  // headers in a frame

  // Errors: io_error; bad_checksum, bad_encoding, mismatch (local) for damage to what was
  // acknowledged, `offset` in its segment.
  static Result<HeaderLog> open(StoreDirectory& directory, const HeaderLogOptions& options = {});
  HeaderLog(HeaderLog&&) noexcept;
  ~HeaderLog();

  // Appends headers in a row, the first of number next(). REQUIRES: 1 to kMaxBatch; each of at most
  // 64 KiB - 1. After an error nothing more can be written until the log is opened anew.
  Status append(std::span<const StoredHeader> headers);
  // Headers from `number` on no longer count. REQUIRES: first() <= number <= next().
  Status rewind(uint64_t number);
  // All that was appended is durable, and said to be complete up to here.
  Status checkpoint();

  uint64_t first() const { return options_.first_number; }
  uint64_t next() const { return next_; }  // the number after the last
  bool empty() const { return next_ == first(); }
  // The number after the last checkpoint's header; first() without one.
  uint64_t checkpointed() const { return checkpointed_; }

  // `number` is in [first(), next()), or not_found. Checks the frame's checksum.
  Result<Hash256> hash(uint64_t number) const;
  // Appends the RLP of at most `count` headers, `number` first, to `out`, and their hashes to
  // `hashes` if it is not null; at most about `max_bytes` (one at least). Returns how many.
  Result<uint32_t> read(uint64_t number, uint32_t count, size_t max_bytes,
                        std::vector<uint8_t>& out, std::vector<Hash256>* hashes = nullptr) const;

  const HeaderLogStats& stats() const { return stats_; }

 private:
  struct Batch {
    uint32_t segment = 0;
    uint32_t count = 0;     // that still count
    uint32_t in_frame = 0;  // as written
    uint32_t payload = 0;
    uint64_t offset = 0;  // of the frame
  };
  enum class Kind : uint8_t { batch = 1, rewind = 2, checkpoint = 3 };
  struct Frame;

  HeaderLog(StoreDirectory& directory, const HeaderLogOptions& options)
      : directory_(&directory), options_(options) {}
  Status recover();
  Status recover_segment(uint32_t index, bool last);
  static Status refuse_checkpoint_after(const StoreFile& file, uint64_t at);
  Result<Frame> read_frame(uint32_t segment, uint64_t offset) const;
  Status check_payload(uint32_t segment, uint64_t offset, const Frame& frame) const;
  bool apply(const Frame& frame, uint32_t segment, uint64_t offset);
  void drop_from(uint64_t number);
  Status write(Frame frame, MutableBytes bytes);
  Status write(Frame frame, std::span<const Bytes> pieces);
  Status sync();
  Status rotate();
  Result<std::vector<uint8_t>> load(const Batch& batch) const;

  StoreDirectory* directory_;
  HeaderLogOptions options_;
  std::vector<std::unique_ptr<StoreFile>> segments_;
  std::map<uint64_t, Batch> batches_;  // by the first number
  std::vector<uint8_t> scratch_;       // of append(): a frame's head and its entries
  std::vector<Bytes> pieces_;          // and what follows them
  uint64_t next_ = 0;
  uint64_t checkpointed_ = 0;
  std::optional<Hash256> last_;  // of the last header, where it is known without reading
  bool failed_ = false;
  HeaderLogStats stats_;
  // The batch that was read last: neighbours are asked for in a row.
  mutable uint64_t loaded_at_ = UINT64_MAX;  // segment and offset, folded
  mutable std::vector<uint8_t> loaded_;
};

}  // namespace beamline::chain
