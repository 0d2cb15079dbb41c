// RLP (Yellow Paper, appendix B; ethereum.org "Recursive-length prefix serialization"): a reader
// that copies nothing and takes canonical form only, and a writer that appends to the caller's
// buffer.
//
// There is one way to write a value: a byte below 0x80 stands for itself, a length takes the fewest
// bytes, an integer has no zero in front. All else is `non_canonical`. Nothing recurses: a caller
// opens the lists that it knows, and verify() keeps its own stack.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/hash.h"

namespace beamline::rlp {

inline constexpr size_t kMaxDepth = 64;  // of what verify() accepts

struct Item {
  bool is_list = false;
  Bytes payload;   // the string, or the items of the list
  Bytes encoding;  // header and payload: what a hash or signature covers
};

// A pass over the items of a list, or over a run of items. The bytes must outlive it and what it
// gives. Errors name the caller's field and the offset in the outermost input: truncated (a length
// past the end, or no item left), non_canonical, too_long (a length over 2^32 - 1, an integer or
// string over its bound), bad_encoding (a list where a string belongs, or the reverse), mismatch (a
// string that is not of its fixed size).
class Reader {
 public:
  explicit Reader(Bytes items) : items_(items) {}

  bool at_end() const { return at_ == items_.size(); }
  // Of the next item, in the outermost input.
  size_t offset() const { return base_ + at_; }

  Result<Item> next(const char* field);
  Result<Bytes> string(const char* field, size_t max_size = SIZE_MAX);
  Result<Bytes> fixed(const char* field, size_t size);
  Result<Hash256> hash(const char* field);
  // An integer of at most `max_bytes` (1..8) bytes.
  Result<uint64_t> uint(const char* field, size_t max_bytes = 8);
  // The big-endian digits of a wider one.
  Result<Bytes> big_uint(const char* field, size_t max_bytes = 32);
  // A reader of the list's items.
  Result<Reader> list(const char* field);
  // `trailing` unless everything was read.
  Status finish(const char* field) const;

 private:
  Reader(Bytes items, size_t base) : items_(items), base_(base) {}
  bool take_short(Bytes& payload);

  Bytes items_;
  size_t at_ = 0;
  size_t base_ = 0;
};

// The one item that `bytes` are: `trailing` when something follows it.
Result<Item> parse(Bytes bytes, const char* field);
// A reader of the one list that `bytes` are.
Result<Reader> parse_list(Bytes bytes, const char* field);
// Whether `bytes` are one item that is canonical all the way down; too_long below kMaxDepth lists.
Status verify(Bytes bytes, const char* field);

// Sizes of whole items, so that a list's header can be written before its items.
constexpr size_t header_size(size_t payload) {
  if (payload <= 55) return 1;
  return 1 + (64 - static_cast<size_t>(__builtin_clzll(payload)) + 7) / 8;
}
constexpr size_t list_size(size_t payload) { return header_size(payload) + payload; }
constexpr size_t string_size(Bytes bytes) {
  return bytes.size() == 1 && bytes[0] < 0x80 ? 1 : header_size(bytes.size()) + bytes.size();
}
constexpr size_t uint_size(uint64_t value) {
  return value < 0x80 ? 1 : 1 + (64 - static_cast<size_t>(__builtin_clzll(value)) + 7) / 8;
}

// Appends items to `out`, which the caller bounds by what it puts in.
class Writer {
 public:
  explicit Writer(std::vector<uint8_t>& out) : out_(out) {}

  void string(Bytes bytes);
  void text(std::string_view text) { string(as_bytes(text)); }
  void uint(uint64_t value);
  // A wider integer from its big-endian digits; zeros in front are left out.
  void big_uint(Bytes digits);
  // Items that are encoded already.
  void raw(Bytes items) { out_.insert(out_.end(), items.begin(), items.end()); }
  // The header of a list whose `payload` bytes the caller appends next.
  void list_header(size_t payload);

  // A list whose size is not known yet: everything written between begin and end is in it. They
  // nest as brackets do. end() moves the items when their header takes more than a byte.
  struct Mark {
    size_t payload = 0;
  };
  Mark begin_list();
  void end_list(Mark mark);

 private:
  void header(size_t payload, uint8_t short_base);

  std::vector<uint8_t>& out_;
};

}  // namespace beamline::rlp
