#include "reqresp/chunk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "codec/uvarint.h"

namespace beamline::reqresp {
namespace {

static_assert(max_compressed(kMaxPayload) == snappy_frame_max_input(kMaxPayload));

// `prefix || uvarint(size) || frames`.
SharedBytes encode(Bytes prefix, Bytes payload) {
  std::vector<uint8_t> out;
  out.reserve(prefix.size() + kMaxUvarintSize + snappy_frame_max_input(payload.size()));
  out.insert(out.end(), prefix.begin(), prefix.end());
  append_uvarint(payload.size(), out);
  append_snappy_frames(payload, out);
  return SharedBytes::copy(out);
}

}  // namespace

SharedBytes encode_request(const ProtocolInfo& row, Bytes ssz) {
  BL_CHECK(ssz.size() >= row.request_min && ssz.size() <= row.request_max);
  if (row.request_max == 0) return {};
  return encode({}, ssz);
}

SharedBytes encode_chunk(const ProtocolInfo& row, const ForkDigest& context, Bytes ssz) {
  BL_CHECK(ssz.size() >= row.chunk_min && ssz.size() <= row.chunk_max);
  std::array<uint8_t, 1 + kContextSize> prefix{};  // result 0
  std::ranges::copy(context.bytes, prefix.begin() + 1);
  return encode(Bytes(prefix).first(row.has_context ? prefix.size() : 1), ssz);
}

SharedBytes encode_error(uint8_t result, std::string_view text) {
  BL_CHECK(result != 0);
  return encode({&result, 1}, as_bytes(text.substr(0, kMaxErrorText)));
}

void PayloadReader::start(uint32_t min, uint32_t max, const char* field) {
  state_ = State::length;
  length_size_ = 0;
  min_ = min;
  max_ = max;
  size_ = 0;
  field_ = field;
  payload_ = {};
}

Result<size_t> PayloadReader::read_length(Bytes input) {
  size_t taken = 0;
  while (taken < input.size()) {
    length_[length_size_++] = input[taken++];
    const Uvarint number = read_uvarint_lenient(Bytes(length_).first(length_size_));
    if (number.state == UvarintState::bad) return bad_input(number.error, field_);
    if (number.state == UvarintState::need_more) continue;
    if (number.value > max_) return bad_input(Code::too_long, field_);
    if (number.value < min_) return bad_input(Code::out_of_range, field_);
    size_ = static_cast<uint32_t>(number.value);
    payload_ = SharedBytes::build(size_, [this](MutableBytes out) { frames_.start(out); });
    state_ = size_ == 0 ? State::done : State::frames;
    break;
  }
  return taken;
}

Result<size_t> PayloadReader::read(Bytes input) {
  size_t taken = 0;
  if (state_ == State::length) {
    auto length = read_length(input);
    if (!length) return length;
    taken = *length;
  }
  if (state_ != State::frames) return taken;
  auto frames = frames_.feed(input.subspan(taken));
  if (!frames) return frames;
  if (frames_.done()) state_ = State::done;
  return taken + *frames;
}

SharedBytes PayloadReader::take() {
  BL_CHECK(done());
  return std::exchange(payload_, {});
}

void ChunkReader::restart() {
  state_ = State::result;
  result_ = 0;
  context_size_ = 0;
  context_ = {};
  payload_.start(row_->chunk_min, row_->chunk_max, "chunk length");
}

Result<size_t> ChunkReader::read(Bytes input) {
  size_t taken = 0;
  if (state_ == State::result && !input.empty()) {
    result_ = input[taken++];
    if (result_ != 0) payload_.start(0, kMaxErrorText, "error length");
    state_ = result_ == 0 && row_->has_context ? State::context : State::payload;
  }
  if (state_ == State::context) {
    const size_t size = std::min(input.size() - taken, kContextSize - context_size_);
    std::copy_n(input.begin() + static_cast<ptrdiff_t>(taken), size,
                context_.bytes.begin() + context_size_);
    context_size_ = static_cast<uint8_t>(context_size_ + size);
    taken += size;
    if (context_size_ == kContextSize) state_ = State::payload;
  }
  if (state_ == State::payload) {
    auto payload = payload_.read(input.subspan(taken));
    if (!payload) return payload;
    taken += *payload;
  }
  return taken;
}

Chunk ChunkReader::take() {
  Chunk chunk{.result = result_, .context = context_, .payload = payload_.take()};
  restart();
  return chunk;
}

ChunkReader::Ending ChunkReader::ending() const {
  if (state_ == State::result) return Ending::in_order;
  if (result_ != 0 && !payload_.started()) return Ending::error_without_text;
  return Ending::truncated;
}

}  // namespace beamline::reqresp
