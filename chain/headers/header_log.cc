#include "chain/headers/header_log.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "codec/crc32c.h"

namespace beamline::chain {
namespace {

constexpr uint32_t kMagic = 0x31484c42;  // "BLH1"
constexpr size_t kFrameSize = 32;
constexpr size_t kEntrySize = Hash256::kSize + 2;
constexpr uint32_t kMaxPayload = HeaderLog::kMaxBatch * (kEntrySize + UINT16_MAX);
constexpr size_t kSearchStep = 1u << 20;

template <class T>
void put(uint8_t* to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<uint8_t>(value >> (8 * i));
}
template <class T>
T get(const uint8_t* from) {
  T value = 0;
  for (size_t i = sizeof(T); i-- > 0;) value = static_cast<T>(value << 8 | from[i]);
  return value;
}

std::string segment_name(size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "headers-%06zu.seg", index);
  return name;
}

std::unexpected<Error> damaged(Code code, uint64_t offset) {
  return local_error(code, "header_log", static_cast<int>(std::min<uint64_t>(offset, INT32_MAX)));
}

}  // namespace

struct HeaderLog::Frame {
  Kind kind = Kind::batch;
  uint32_t payload = 0;
  uint32_t count = 0;
  uint64_t first = 0;
  uint32_t payload_crc = 0;

  void write(uint8_t* to) const {
    put(to, kMagic);
    put<uint32_t>(to + 4, static_cast<uint8_t>(kind));
    put(to + 8, payload);
    put(to + 12, count);
    put(to + 16, first);
    put(to + 24, payload_crc);
    put(to + 28, crc32c(Bytes(to, 28)));
  }
  // False: these bytes are no frame.
  bool parse(const uint8_t* from) {
    if (get<uint32_t>(from) != kMagic) return false;
    if (get<uint32_t>(from + 28) != crc32c(Bytes(from, 28))) return false;
    const auto word = get<uint32_t>(from + 4);
    if (word < 1 || word > 3) return false;
    kind = static_cast<Kind>(word);
    payload = get<uint32_t>(from + 8);
    count = get<uint32_t>(from + 12);
    first = get<uint64_t>(from + 16);
    payload_crc = get<uint32_t>(from + 24);
    return payload <= kMaxPayload && count <= kMaxBatch;
  }
};

HeaderLog::HeaderLog(HeaderLog&&) noexcept = default;
HeaderLog::~HeaderLog() = default;

// ---- Opening.

Result<HeaderLog> HeaderLog::open(StoreDirectory& directory, const HeaderLogOptions& options) {
  HeaderLog log(directory, options);
  log.next_ = log.checkpointed_ = options.first_number;
  if (Status recovered = log.recover(); !recovered) return std::unexpected(recovered.error());
  // Who died before its checkpoint may have left them in the system's memory only.
  if (log.stats_.kept_frames > 0) {
    if (Status safe = log.checkpoint(); !safe) return std::unexpected(safe.error());
  }
  return log;
}

Status HeaderLog::recover() {
  const auto names = directory_->list();
  if (!names) return std::unexpected(names.error());
  size_t count = 0;
  while (std::binary_search(names->begin(), names->end(), segment_name(count))) ++count;
  for (size_t i = 0; i < std::max<size_t>(count, 1); ++i) {
    auto file = directory_->open(segment_name(i));
    if (!file) return std::unexpected(file.error());
    segments_.push_back(std::move(*file));
  }
  for (size_t i = 0; i < segments_.size(); ++i) {
    const bool last = i + 1 == segments_.size();
    if (Status read = recover_segment(static_cast<uint32_t>(i), last); !read) return read;
  }
  return {};
}

// A frame that is whole in its segment, or bad_encoding.
Result<HeaderLog::Frame> HeaderLog::read_frame(uint32_t segment, uint64_t offset) const {
  uint8_t bytes[kFrameSize];
  const auto read = segments_[segment]->read(offset, bytes);
  if (!read) return std::unexpected(read.error());
  Frame frame;
  const bool whole = *read == kFrameSize && frame.parse(bytes) &&
                     frame.payload <= segments_[segment]->size() - offset - kFrameSize;
  if (!whole) return damaged(Code::bad_encoding, offset);
  return frame;
}

Status HeaderLog::check_payload(uint32_t segment, uint64_t offset, const Frame& frame) const {
  std::vector<uint8_t> payload(frame.payload);
  const auto read = segments_[segment]->read(offset + kFrameSize, payload);
  if (!read) return std::unexpected(read.error());
  if (*read != payload.size() || crc32c(payload) != frame.payload_crc) {
    return damaged(Code::bad_checksum, offset);
  }
  return {};
}

// An error if a whole checkpoint stands behind what does not parse: then that is damage.
Status HeaderLog::refuse_checkpoint_after(const StoreFile& file, uint64_t at) {
  constexpr size_t kWhole = kFrameSize + Hash256::kSize;
  std::vector<uint8_t> window(kSearchStep + kWhole);
  for (uint64_t from = at; from < file.size(); from += kSearchStep) {
    const auto read = file.read(from, window);
    if (!read) return std::unexpected(read.error());
    for (size_t i = 0; i + kWhole <= *read; ++i) {
      Frame frame;
      if (get<uint32_t>(&window[i]) != kMagic || !frame.parse(&window[i])) continue;
      if (frame.kind != Kind::checkpoint || frame.payload != Hash256::kSize) continue;
      const Bytes payload = Bytes(window).subspan(i + kFrameSize, Hash256::kSize);
      if (crc32c(payload) == frame.payload_crc) return damaged(Code::bad_checksum, at);
    }
  }
  return {};
}

// Takes the segment's frames in. In the last one the tail may be what a crash left: it is cut, but
// never in front of a checkpoint, which was written when all before it was safe.
Status HeaderLog::recover_segment(uint32_t index, bool last) {
  StoreFile& file = *segments_[index];
  struct Place {
    uint64_t offset;
    Frame frame;
  };
  std::vector<Place> frames;
  uint64_t at = 0;
  size_t safe = 0;  // frames up to the last checkpoint
  while (at < file.size()) {
    const auto frame = read_frame(index, at);
    if (!frame && frame.error().code == Code::io_error) return std::unexpected(frame.error());
    if (!frame) break;
    frames.push_back({at, *frame});
    at += kFrameSize + frame->payload;
    if (frame->kind == Kind::checkpoint) safe = frames.size();
  }
  // A new segment begins when all before it was synced.
  if (!last) {
    if (at != file.size()) return damaged(Code::bad_checksum, at);
    safe = frames.size();
  }
  if (Status searched = refuse_checkpoint_after(file, at); !searched) return searched;
  uint64_t end = 0;
  for (size_t i = 0; i < frames.size(); ++i) {
    const auto& [offset, frame] = frames[i];
    if (i >= safe) {
      const Status whole = check_payload(index, offset, frame);
      if (!whole && whole.error().code == Code::io_error) return whole;
      if (!whole) break;
    }
    if (!apply(frame, index, offset)) {
      if (i < safe) return damaged(Code::mismatch, offset);
      break;
    }
    if (i >= safe) ++stats_.kept_frames;
    end = offset + kFrameSize + frame.payload;
  }
  if (end == file.size()) return {};
  stats_.cut_bytes += file.size() - end;
  return file.truncate(end);
}

// False: the frame does not continue what is here.
bool HeaderLog::apply(const Frame& frame, uint32_t segment, uint64_t offset) {
  switch (frame.kind) {
    case Kind::batch:
      if (frame.first != next_ || frame.count == 0) return false;
      batches_.emplace(frame.first, Batch{.segment = segment,
                                          .count = frame.count,
                                          .in_frame = frame.count,
                                          .payload = frame.payload,
                                          .offset = offset});
      next_ += frame.count;
      return true;
    case Kind::rewind:
      if (frame.first < first() || frame.first > next_) return false;
      drop_from(frame.first);
      return true;
    case Kind::checkpoint:
      if (frame.first + 1 != next_) return false;
      checkpointed_ = next_;
      return true;
  }
  return false;
}

void HeaderLog::drop_from(uint64_t number) {
  last_.reset();
  batches_.erase(batches_.lower_bound(number), batches_.end());
  if (!batches_.empty()) {
    auto& [start, batch] = *batches_.rbegin();
    batch.count = static_cast<uint32_t>(std::min<uint64_t>(batch.count, number - start));
  }
  next_ = number;
  checkpointed_ = std::min(checkpointed_, number);
}

// ---- Writing.

// Writes the frame whose payload stands in `bytes`, behind the room for its head.
Status HeaderLog::write(Frame frame, MutableBytes bytes) {
  const Bytes payload = bytes.subspan(kFrameSize);
  frame.payload = static_cast<uint32_t>(payload.size());
  frame.payload_crc = crc32c(payload);
  frame.write(bytes.data());
  const Bytes whole = bytes;
  return write(frame, std::span(&whole, 1));
}

// The frame that `pieces` are, its head with them.
Status HeaderLog::write(Frame frame, std::span<const Bytes> pieces) {
  BL_CHECK(!failed_);
  if (Status room = rotate(); !room) return room;
  const auto segment = static_cast<uint32_t>(segments_.size() - 1);
  const uint64_t offset = segments_.back()->size();
  if (Status written = segments_.back()->append_pieces(pieces); !written) {
    failed_ = true;
    return written;
  }
  ++stats_.frames;
  BL_CHECK(apply(frame, segment, offset));
  return {};
}

Status HeaderLog::rotate() {
  if (segments_.back()->size() < options_.segment_bytes) return {};
  if (Status synced = sync(); !synced) return synced;
  auto file = directory_->open(segment_name(segments_.size()));
  if (!file) {
    failed_ = true;
    return std::unexpected(file.error());
  }
  segments_.push_back(std::move(*file));
  return {};
}

Status HeaderLog::sync() {
  const Status synced = segments_.back()->sync();
  // What a failed sync left behind is unknown, and a second one may lie (fsync-gate).
  if (!synced) failed_ = true;
  ++stats_.syncs;
  return synced;
}

// Entries are put together here; encodings are written from where they lie, which for headers of
// one answer is one piece.
Status HeaderLog::append(std::span<const StoredHeader> headers) {
  BL_CHECK(!headers.empty() && headers.size() <= kMaxBatch);
  scratch_.resize(kFrameSize + headers.size() * kEntrySize);
  pieces_.assign(1, scratch_);
  uint8_t* entry = scratch_.data() + kFrameSize;
  for (const StoredHeader& header : headers) {
    const Bytes encoding = header.encoding;
    BL_CHECK(encoding.size() <= UINT16_MAX);
    std::memcpy(entry, header.hash.bytes.data(), Hash256::kSize);
    put(entry + Hash256::kSize, static_cast<uint16_t>(encoding.size()));
    entry += kEntrySize;
    Bytes& last = pieces_.back();
    if (pieces_.size() > 1 && last.data() + last.size() == encoding.data()) {
      last = {last.data(), last.size() + encoding.size()};
    } else {
      pieces_.push_back(encoding);
    }
  }
  Frame frame{.kind = Kind::batch, .count = static_cast<uint32_t>(headers.size()), .first = next_};
  frame.payload_crc = crc32c(Bytes(scratch_).subspan(kFrameSize));
  size_t payload = scratch_.size() - kFrameSize;
  for (const Bytes piece : std::span(pieces_).subspan(1)) {
    frame.payload_crc = crc32c(piece, frame.payload_crc);
    payload += piece.size();
  }
  frame.payload = static_cast<uint32_t>(payload);
  frame.write(scratch_.data());
  const Status written = write(frame, pieces_);
  if (written) last_ = headers.back().hash;
  return written;
}

Status HeaderLog::rewind(uint64_t number) {
  BL_CHECK(number >= first() && number <= next_);
  ++stats_.rewinds;
  uint8_t frame[kFrameSize];
  return write({.kind = Kind::rewind, .first = number}, frame);
}

Status HeaderLog::checkpoint() {
  // An empty log has one too: that all was taken back must last.
  if (!last_) {
    const Result<Hash256> last = empty() ? Hash256{} : hash(next_ - 1);
    if (!last) return std::unexpected(last.error());
    last_ = *last;
  }
  if (Status synced = sync(); !synced) return synced;
  uint8_t frame[kFrameSize + Hash256::kSize];
  std::memcpy(frame + kFrameSize, last_->bytes.data(), Hash256::kSize);
  const uint64_t before = checkpointed_;
  if (Status written = write({.kind = Kind::checkpoint, .first = next_ - 1}, frame); !written) {
    return written;
  }
  if (Status synced = sync(); !synced) {
    checkpointed_ = before;
    return synced;
  }
  ++stats_.checkpoints;
  return {};
}

// ---- Reading.

Result<std::vector<uint8_t>> HeaderLog::load(const Batch& batch) const {
  std::vector<uint8_t> bytes(kFrameSize + batch.payload);
  const auto read = segments_[batch.segment]->read(batch.offset, bytes);
  if (!read) return std::unexpected(read.error());
  Frame frame;
  const Bytes payload = Bytes(bytes).subspan(kFrameSize);
  if (*read != bytes.size() || !frame.parse(bytes.data()) || crc32c(payload) != frame.payload_crc ||
      frame.count != batch.in_frame || payload.size() < size_t{frame.count} * kEntrySize) {
    return damaged(Code::bad_checksum, batch.offset);
  }
  return bytes;
}

Result<uint32_t> HeaderLog::read(uint64_t number, uint32_t count, size_t max_bytes,
                                 std::vector<uint8_t>& out, std::vector<Hash256>* hashes) const {
  if (number < first() || number >= next_) return local_error(Code::not_found, "header_log");
  uint32_t taken = 0;
  size_t bytes = 0;
  for (auto it = std::prev(batches_.upper_bound(number)); it != batches_.end() && taken < count;
       ++it) {
    const auto& [start, batch] = *it;
    const uint64_t at = uint64_t{batch.segment} << 40 | batch.offset;
    if (loaded_at_ != at) {
      auto loaded = load(batch);
      if (!loaded) return std::unexpected(loaded.error());
      loaded_ = std::move(*loaded);
      loaded_at_ = at;
    }
    const uint8_t* entry = loaded_.data() + kFrameSize;
    size_t body = kFrameSize + size_t{batch.in_frame} * kEntrySize;
    for (uint32_t i = 0; i < batch.count && taken < count; ++i, entry += kEntrySize) {
      const size_t size = get<uint16_t>(entry + Hash256::kSize);
      if (body + size > loaded_.size()) return damaged(Code::bad_checksum, batch.offset);
      if (start + i >= number) {
        if (taken > 0 && bytes + size > max_bytes) return taken;
        out.insert(out.end(), loaded_.begin() + static_cast<ptrdiff_t>(body),
                   loaded_.begin() + static_cast<ptrdiff_t>(body + size));
        if (hashes != nullptr) hashes->push_back(Hash256::load(entry));
        bytes += size;
        ++taken;
      }
      body += size;
    }
  }
  return taken;
}

Result<Hash256> HeaderLog::hash(uint64_t number) const {
  std::vector<uint8_t> header;
  std::vector<Hash256> hashes;
  const auto read_one = read(number, 1, 0, header, &hashes);
  if (!read_one) return std::unexpected(read_one.error());
  return hashes.front();
}

}  // namespace beamline::chain
