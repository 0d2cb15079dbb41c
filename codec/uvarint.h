// Unsigned LEB128 (multiformats unsigned-varint, protobuf varint): at most 10 bytes, 64 bits.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline {

inline constexpr size_t kMaxUvarintSize = 10;

// What the first bytes of a stream hold. `need_more` is not an error: the bytes so far are the
// start of a number.
enum class UvarintState : uint8_t { done, need_more, bad };

struct Uvarint {
  UvarintState state = UvarintState::need_more;
  Code error = Code::truncated;  // when bad: too_long (over the limit or 64 bits), non_canonical
  uint8_t size = 0;              // when done: bytes that the number takes
  uint64_t value = 0;            // when done
};

// Reads a number at the start of `input`, canonical (no zero byte at its end). `max_size` bounds
// its bytes (for a 16-bit length: 3) and is at most kMaxUvarintSize.
Uvarint read_uvarint(Bytes input, size_t max_size = kMaxUvarintSize);
// The same without the canonical rule, as protobuf's parsers have it.
Uvarint read_uvarint_lenient(Bytes input, size_t max_size = kMaxUvarintSize);

// For complete inputs: reads a canonical number and removes it from `input`. need_more becomes
// `truncated`. Errors name `field`, offset 0.
Result<uint64_t> take_uvarint(Bytes& input, const char* field);

constexpr size_t uvarint_size(uint64_t value) {
  const auto bits = 64u - static_cast<unsigned>(__builtin_clzll(value | 1));
  return (bits + 6) / 7;
}
// REQUIRES: room for uvarint_size(value) bytes. Gives that size.
size_t write_uvarint(uint64_t value, uint8_t* out);
void append_uvarint(uint64_t value, std::vector<uint8_t>& out);

}  // namespace beamline
