#include "rlpx/sliced_frame.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "codec/snappy.h"
#include "rlpx/messages.h"

namespace beamline::rlpx {

SlicedFrame::SlicedFrame(uint8_t id, std::vector<uint8_t> buffer, size_t begin, bool compress)
    : plain_at_(begin) {
  BL_CHECK(begin >= kPayloadRoom && begin <= buffer.size());
  const size_t size = buffer.size() - begin;
  if (!compress) {
    data_ = std::move(buffer);
    at_ = begin - message_id_size(id);
    write_message_id(id, data_.data() + at_);
    end_ = data_.size();
    packed_ = true;
    return;
  }
  plain_ = std::move(buffer);
  data_.reserve(kPayloadRoom + snappy_max_compressed(size));
  data_.resize(message_id_size(id));
  write_message_id(id, data_.data());
  snappy_append_length(size, data_);
}

size_t SlicedFrame::left() const {
  if (done_) return 0;
  const size_t rest =
      packed_ ? end_ - at_ : data_.size() + snappy_max_compressed(plain_.size() - plain_at_);
  return frame_size(rest);
}

size_t SlicedFrame::compress_slice() {
  const Bytes slice =
      Bytes(plain_).subspan(plain_at_).first(std::min(kSliceSize, plain_.size() - plain_at_));
  const size_t before = data_.size();
  data_.resize(before + snappy_max_compressed(slice.size()));
  data_.resize(before + snappy_compress_part(slice, MutableBytes(data_).subspan(before)));
  plain_at_ += slice.size();
  if (plain_at_ == plain_.size()) {
    std::vector<uint8_t>().swap(plain_);
    packed_ = true;
    end_ = data_.size();
  }
  return slice.size();
}

size_t SlicedFrame::advance(FrameCodec& codec, std::vector<uint8_t>& out) {
  BL_CHECK(!done_);
  if (!packed_) return compress_slice();
  if (!begun_) {
    begun_ = true;
    const size_t at = out.size();
    out.resize(at + kFrameHeaderSize);
    codec.seal_header(MutableBytes(out).subspan(at).first<kFrameHeaderSize>(), end_ - at_);
  }
  const size_t size = std::min(kSliceSize, end_ - at_);
  const bool last = size == end_ - at_;
  const size_t padded = (size + 15) / 16 * 16;
  const size_t at = out.size();
  out.resize(at + padded + (last ? kFrameMacSize : 0));
  std::memcpy(out.data() + at, data_.data() + at_, size);
  codec.seal_part(MutableBytes(out).subspan(at, padded));
  at_ += size;
  if (last) {
    codec.seal_end(MutableBytes(out).subspan(at + padded).first<kFrameMacSize>());
    std::vector<uint8_t>().swap(data_);
    done_ = true;
  }
  return size;
}

}  // namespace beamline::rlpx
