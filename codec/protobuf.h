// Protocol Buffers' wire format (protobuf.dev, "Encoding"): a bounded reader that copies nothing,
// and a writer that appends to the caller's buffer. The caller knows its messages: it reads field
// by field, opens a nested message with a Reader of its own, and passes over what it does not know.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline::protobuf {

enum class WireType : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  uint32_t number = 0;
  WireType type = WireType::varint;
  uint64_t value = 0;  // varint, fixed64, fixed32
  Bytes bytes;         // bytes: a view into the message
  size_t offset = 0;   // of the field's tag in the message

  // The field with this number and a value of this kind; with another wire type it is not it (a
  // parser treats that as unknown).
  bool is_bytes(uint32_t n) const { return number == n && type == WireType::bytes; }
  bool is_varint(uint32_t n) const { return number == n && type == WireType::varint; }
};

// A pass over one message. The message must outlive the reader and the fields' views.
class Reader {
 public:
  // `name` (a static string) stands in errors. `max_fields` bounds the fields of this message, the
  // unknown ones included: a message of a million empty fields costs its sender as much as us.
  explicit Reader(Bytes message, const char* name = "protobuf", size_t max_fields = SIZE_MAX)
      : message_(message), name_(name), fields_left_(max_fields) {}

  // True and the next field; or false at the end and at an error, which status() tells apart:
  //   while (reader.next(field)) { ... }   if (!reader.status()) ...
  // Errors: truncated, bad_encoding (a wire type that is none, groups, field number 0), too_long
  // (a varint over 64 bits, a length past the end, more than max_fields).
  bool next(Field& field);
  Status status() const { return status_; }
  size_t offset() const { return offset_; }

 private:
  bool fail(Code code);
  bool read_varint(uint64_t& value);

  Bytes message_;
  const char* name_;
  size_t offset_ = 0;
  size_t fields_left_;
  Status status_;
};

// Sizes of whole fields, tag included, so that a length can be written before its content.
size_t varint_field_size(uint32_t number, uint64_t value);
size_t bytes_field_size(uint32_t number, size_t size);

// Appends fields to `out`, which the caller bounds by what it puts in.
class Writer {
 public:
  explicit Writer(std::vector<uint8_t>& out) : out_(out) {}

  void varint(uint32_t number, uint64_t value);
  void boolean(uint32_t number, bool value) { varint(number, value ? 1 : 0); }
  void bytes(uint32_t number, Bytes value);
  void text(uint32_t number, std::string_view value) { bytes(number, as_bytes(value)); }
  // Tag and length of a bytes field whose `size` bytes the caller appends next.
  void header(uint32_t number, size_t size);

  // A nested message whose size is not known yet: everything written between begin and end is in
  // it. They nest as brackets do. end() moves the content when its length takes more than a byte.
  struct Mark {
    size_t content = 0;
  };
  Mark begin(uint32_t number);
  void end(Mark mark);

 private:
  std::vector<uint8_t>& out_;
};

}  // namespace beamline::protobuf
