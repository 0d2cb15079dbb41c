#include "codec/base32.h"

#include "codec/base_bits.h"

namespace beamline {
namespace {

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

uint8_t value_of(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<uint8_t>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<uint8_t>(c - 'a');
  return c >= '2' && c <= '7' ? static_cast<uint8_t>(c - '2' + 26) : 255;
}

}  // namespace

std::string to_base32(Bytes bytes) { return base_bits::encode<5>(bytes, kDigits); }

Result<std::vector<uint8_t>> parse_base32(std::string_view text, size_t max_size) {
  return base_bits::decode<5>(text, max_size, "base32", value_of);
}

}  // namespace beamline
