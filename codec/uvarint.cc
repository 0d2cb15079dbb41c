#include "codec/uvarint.h"

#include <algorithm>

#include "base/check.h"

namespace beamline {
namespace {

Uvarint bad(Code error) { return {UvarintState::bad, error, 0, 0}; }

Uvarint read(Bytes input, size_t max_size, bool canonical) {
  BL_CHECK(max_size <= kMaxUvarintSize);
  uint64_t value = 0;
  const size_t end = std::min(input.size(), max_size);
  for (size_t i = 0; i < end; ++i) {
    const uint8_t byte = input[i];
    // The tenth byte has room for one bit.
    if (i == 9 && byte > 1) return bad(Code::too_long);
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    if (canonical && byte == 0 && i != 0) return bad(Code::non_canonical);
    return {UvarintState::done, Code::truncated, static_cast<uint8_t>(i + 1), value};
  }
  return input.size() >= max_size ? bad(Code::too_long) : Uvarint{};
}

}  // namespace

Uvarint read_uvarint(Bytes input, size_t max_size) { return read(input, max_size, true); }
Uvarint read_uvarint_lenient(Bytes input, size_t max_size) { return read(input, max_size, false); }

Result<uint64_t> take_uvarint(Bytes& input, const char* field) {
  const Uvarint number = read_uvarint(input);
  if (number.state != UvarintState::done) return bad_input(number.error, field);
  input = input.subspan(number.size);
  return number.value;
}

size_t write_uvarint(uint64_t value, uint8_t* out) {
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) out[size++] = static_cast<uint8_t>(value | 0x80);
  out[size++] = static_cast<uint8_t>(value);
  return size;
}

void append_uvarint(uint64_t value, std::vector<uint8_t>& out) {
  uint8_t buffer[kMaxUvarintSize];
  out.insert(out.end(), buffer, buffer + write_uvarint(value, buffer));
}

}  // namespace beamline
