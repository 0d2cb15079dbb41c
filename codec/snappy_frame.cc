#include "codec/snappy_frame.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "codec/crc32c.h"
#include "codec/snappy.h"

namespace beamline {
namespace {

constexpr uint8_t kCompressed = 0x00;
constexpr uint8_t kUncompressed = 0x01;
constexpr uint8_t kFirstSkippable = 0x80;
constexpr uint8_t kIdentifier = 0xff;
constexpr std::string_view kMagic = "sNaPpY";
constexpr size_t kHeaderSize = 4;
constexpr size_t kChecksumSize = 4;

uint32_t load_le32(const uint8_t* from) {
  return static_cast<uint32_t>(from[0]) | static_cast<uint32_t>(from[1]) << 8 |
         static_cast<uint32_t>(from[2]) << 16 | static_cast<uint32_t>(from[3]) << 24;
}

void write_le(uint64_t value, size_t size, uint8_t* out) {
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}

}  // namespace

void SnappyFrameDecoder::start(MutableBytes out) {
  out_ = out;
  produced_ = input_ = claimed_ = 0;
  state_ = State::header;
  identified_ = false;
  header_size_ = 0;
  chunk_left_ = 0;
  partial_.clear();
}

std::unexpected<Error> SnappyFrameDecoder::fail(Code code, const char* field) {
  state_ = State::failed;
  return bad_input(code, field, input_);
}

Result<size_t> SnappyFrameDecoder::feed(Bytes input) {
  BL_CHECK(state_ != State::failed);
  size_t taken = 0;
  while (!done() && taken < input.size()) {
    const Bytes rest = input.subspan(taken);
    const Result<size_t> step = state_ == State::header ? take_header(rest) : take_body(rest);
    if (!step) return step;
    taken += *step;
    stats_.input_bytes += *step;
  }
  return taken;
}

Result<size_t> SnappyFrameDecoder::take_header(Bytes input) {
  const size_t take = std::min(kHeaderSize - header_size_, input.size());
  std::memcpy(header_ + header_size_, input.data(), take);
  header_size_ = static_cast<uint8_t>(header_size_ + take);
  if (header_size_ < kHeaderSize) return take;
  header_size_ = 0;
  if (const Status status = on_header(); !status) return std::unexpected(status.error());
  input_ += kHeaderSize;
  return take;
}

// Everything that a header can say wrong is refused before its chunk arrives.
Status SnappyFrameDecoder::on_header() {
  type_ = header_[0];
  chunk_left_ = load_le32(header_) >> 8;
  claimed_ += kHeaderSize + chunk_left_;
  if (!identified_ && type_ != kIdentifier) {
    return fail(Code::bad_encoding, "snappy_frame.identifier");
  }
  if (claimed_ > snappy_frame_max_input(out_.size())) {
    return fail(Code::too_long, "snappy_frame.input");
  }
  if (type_ == kIdentifier) {
    if (chunk_left_ != kMagic.size()) return fail(Code::bad_encoding, "snappy_frame.identifier");
  } else if (type_ == kCompressed || type_ == kUncompressed) {
    const size_t most = type_ == kCompressed ? snappy_max_compressed(kSnappyChunkSize)
                                             : std::min(kSnappyChunkSize, out_.size() - produced_);
    if (chunk_left_ < kChecksumSize) return fail(Code::truncated, "snappy_frame.chunk");
    if (chunk_left_ > kChecksumSize + most) return fail(Code::too_long, "snappy_frame.chunk");
  } else if (type_ < kFirstSkippable) {
    return fail(Code::bad_encoding, "snappy_frame.chunk_type");
  } else {
    ++stats_.skipped_chunks;
    state_ = chunk_left_ == 0 ? State::header : State::skip;
    return {};
  }
  state_ = State::body;
  return {};
}

Result<size_t> SnappyFrameDecoder::take_body(Bytes input) {
  const size_t take = std::min<size_t>(chunk_left_, input.size());
  const Bytes part = input.first(take);
  const bool whole = take == chunk_left_;
  if (state_ == State::skip) {
    chunk_left_ -= static_cast<uint32_t>(take);
    input_ += take;
    if (whole) state_ = State::header;
    return take;
  }
  Bytes body = part;
  if (!whole || !partial_.empty()) {
    partial_.insert(partial_.end(), part.begin(), part.end());
    body = partial_;
  }
  chunk_left_ -= static_cast<uint32_t>(take);
  if (!whole) return take;
  if (const Status status = on_body(body); !status) return std::unexpected(status.error());
  input_ += body.size();
  partial_.clear();
  state_ = State::header;
  return take;
}

Status SnappyFrameDecoder::on_body(Bytes body) {
  if (type_ != kIdentifier) return on_data(body);
  if (as_text(body) != kMagic) return fail(Code::bad_encoding, "snappy_frame.identifier");
  identified_ = true;
  return {};
}

Status SnappyFrameDecoder::on_data(Bytes body) {
  const uint32_t checksum = load_le32(body.data());
  const Bytes data = body.subspan(kChecksumSize);
  const size_t room = std::min(kSnappyChunkSize, out_.size() - produced_);
  size_t size = data.size();
  if (type_ == kCompressed) {
    const Result<size_t> declared = snappy_declared_size(data, room);
    if (!declared) return fail(declared.error().code, "snappy_frame.chunk");
    size = *declared;
    if (!snappy_uncompress_into(data, out_.subspan(produced_, size))) {
      return fail(Code::bad_encoding, "snappy_frame.chunk");
    }
    ++stats_.compressed_chunks;
  } else {
    if (size != 0) std::memcpy(out_.data() + produced_, data.data(), size);
    ++stats_.uncompressed_chunks;
  }
  if (mask_crc32c(crc32c(out_.subspan(produced_, size))) != checksum) {
    return fail(Code::bad_checksum, "snappy_frame.checksum");
  }
  produced_ += size;
  return {};
}

void SnappyFrameEncoder::next(std::vector<uint8_t>& out) {
  BL_CHECK(!done());
  if (!started_) {
    started_ = true;
    const uint8_t header[kHeaderSize] = {kIdentifier, kMagic.size(), 0, 0};
    out.insert(out.end(), header, header + kHeaderSize);
    out.insert(out.end(), kMagic.begin(), kMagic.end());
  }
  const Bytes data = data_.subspan(offset_, std::min(kSnappyChunkSize, data_.size() - offset_));
  offset_ += data.size();
  if (data.empty()) return;
  const size_t at = out.size();
  const size_t body = at + kHeaderSize + kChecksumSize;
  out.resize(body + snappy_max_compressed(data.size()));
  size_t size = snappy_compress_into(data, MutableBytes(out).subspan(body));
  const bool compressed = size < data.size() - data.size() / 8;
  if (!compressed) {  // not worth a decompression: as the format's own description advises
    size = data.size();
    std::memcpy(out.data() + body, data.data(), size);
  }
  out.resize(body + size);
  out[at] = compressed ? kCompressed : kUncompressed;
  write_le(kChecksumSize + size, 3, out.data() + at + 1);
  write_le(mask_crc32c(crc32c(data)), 4, out.data() + at + kHeaderSize);
}

void append_snappy_frames(Bytes data, std::vector<uint8_t>& out) {
  for (SnappyFrameEncoder encoder(data); !encoder.done();) encoder.next(out);
}

}  // namespace beamline
