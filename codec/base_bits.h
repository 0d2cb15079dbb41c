// What base 32 and base 64 share: bytes cut into digits of 5 or 6 bits, highest first. Nobody
// else's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline::base_bits {

template <unsigned kBits>
std::string encode(Bytes bytes, const char* digits) {
  std::string text;
  text.reserve((bytes.size() * 8 + kBits - 1) / kBits);
  uint32_t held = 0;  // its low `count` bits are not written yet
  unsigned count = 0;
  for (const uint8_t byte : bytes) {
    held = held << 8 | byte;
    for (count += 8; count >= kBits; count -= kBits) {
      text.push_back(digits[held >> (count - kBits) & ((1u << kBits) - 1)]);
    }
  }
  if (count != 0) text.push_back(digits[held << (kBits - count) & ((1u << kBits) - 1)]);
  return text;
}

// `value_of` gives a character's digit, or 255.
template <unsigned kBits, class ValueOf>
Result<std::vector<uint8_t>> decode(std::string_view text, size_t max_size, const char* field,
                                    ValueOf value_of) {
  // So that the sizes below cannot overflow.
  if (text.size() / 8 > max_size / kBits + 1) return bad_input(Code::too_long, field);
  const size_t size = text.size() * kBits / 8;
  if (size > max_size) return bad_input(Code::too_long, field);
  const size_t rest = text.size() * kBits % 8;
  std::vector<uint8_t> bytes;
  bytes.reserve(size);
  uint32_t held = 0;
  unsigned count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const uint8_t digit = value_of(text[i]);
    if (digit == 255) return bad_input(Code::bad_encoding, field, i);
    held = held << kBits | digit;
    count += kBits;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<uint8_t>(held >> count));
  }
  // A whole digit that adds no byte has no bytes to come from.
  if (rest >= kBits) return bad_input(Code::truncated, field, text.size());
  if ((held & ((1u << count) - 1)) != 0) {
    return bad_input(Code::non_canonical, field, text.size() - 1);
  }
  return bytes;
}

}  // namespace beamline::base_bits
