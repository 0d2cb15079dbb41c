// Hex literals for tests of crypto/, which stands below codec/hex.h.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace beamline {

inline std::vector<uint8_t> unhex(std::string_view text) {
  std::vector<uint8_t> out;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<uint8_t>(digit(text[i]) << 4 | digit(text[i + 1])));
  }
  return out;
}

template <size_t kSize>
std::array<uint8_t, kSize> unhex_array(std::string_view text) {
  std::array<uint8_t, kSize> out{};
  const std::vector<uint8_t> bytes = unhex(text);
  EXPECT_EQ(bytes.size(), kSize);
  for (size_t i = 0; i < kSize && i < bytes.size(); ++i) out[i] = bytes[i];
  return out;
}

inline std::string hex(Bytes bytes) {
  std::string out;
  for (const uint8_t byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace beamline
