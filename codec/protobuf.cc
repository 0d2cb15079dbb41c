#include "codec/protobuf.h"

#include "base/check.h"
#include "codec/uvarint.h"

namespace beamline::protobuf {
namespace {

constexpr uint64_t kMaxFieldNumber = (1u << 29) - 1;

uint64_t tag_of(uint32_t number, WireType type) {
  return static_cast<uint64_t>(number) << 3 | static_cast<uint64_t>(type);
}

uint64_t load_le(Bytes bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

bool Reader::fail(Code code) {
  status_ = bad_input(code, name_, offset_);
  return false;
}

bool Reader::read_varint(uint64_t& value) {
  const Uvarint number = read_uvarint_lenient(message_.subspan(offset_));
  if (number.state != UvarintState::done) return fail(number.error);
  offset_ += number.size;
  value = number.value;
  return true;
}

bool Reader::next(Field& field) {
  if (!status_ || offset_ == message_.size()) return false;
  if (fields_left_ == 0) return fail(Code::too_long);
  --fields_left_;
  field = Field{};
  field.offset = offset_;
  uint64_t tag = 0;
  if (!read_varint(tag)) return false;
  if (tag >> 3 == 0 || tag >> 3 > kMaxFieldNumber) return fail(Code::bad_encoding);
  field.number = static_cast<uint32_t>(tag >> 3);
  field.type = static_cast<WireType>(tag & 7);
  size_t fixed = 0;
  switch (field.type) {
    case WireType::varint:
      return read_varint(field.value);
    case WireType::bytes: {
      uint64_t size = 0;
      if (!read_varint(size)) return false;
      if (size > message_.size() - offset_) return fail(Code::too_long);
      field.bytes = message_.subspan(offset_, static_cast<size_t>(size));
      offset_ += static_cast<size_t>(size);
      return true;
    }
    case WireType::fixed64:
      fixed = 8;
      break;
    case WireType::fixed32:
      fixed = 4;
      break;
    default:
      return fail(Code::bad_encoding);
  }
  if (message_.size() - offset_ < fixed) return fail(Code::truncated);
  field.value = load_le(message_.subspan(offset_, fixed));
  offset_ += fixed;
  return true;
}

size_t varint_field_size(uint32_t number, uint64_t value) {
  return uvarint_size(tag_of(number, WireType::varint)) + uvarint_size(value);
}

size_t bytes_field_size(uint32_t number, size_t size) {
  return uvarint_size(tag_of(number, WireType::bytes)) + uvarint_size(size) + size;
}

void Writer::varint(uint32_t number, uint64_t value) {
  append_uvarint(tag_of(number, WireType::varint), out_);
  append_uvarint(value, out_);
}

void Writer::header(uint32_t number, size_t size) {
  append_uvarint(tag_of(number, WireType::bytes), out_);
  append_uvarint(size, out_);
}

void Writer::bytes(uint32_t number, Bytes value) {
  header(number, value.size());
  out_.insert(out_.end(), value.begin(), value.end());
}

Writer::Mark Writer::begin(uint32_t number) {
  header(number, 0);
  return {out_.size()};
}

void Writer::end(Mark mark) {
  BL_CHECK(mark.content <= out_.size() && mark.content > 0);
  uint8_t length[kMaxUvarintSize];
  const size_t size = write_uvarint(out_.size() - mark.content, length);
  out_[mark.content - 1] = length[0];
  const auto at = out_.begin() + static_cast<ptrdiff_t>(mark.content);
  out_.insert(at, length + 1, length + size);
}

}  // namespace beamline::protobuf
