#include "codec/base64url.h"

#include "codec/base_bits.h"

namespace beamline {
namespace {

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

uint8_t value_of(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<uint8_t>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<uint8_t>(c - 'a' + 26);
  if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0' + 52);
  return c == '-' ? 62 : c == '_' ? 63 : 255;
}

}  // namespace

std::string to_base64url(Bytes bytes) { return base_bits::encode<6>(bytes, kDigits); }

Result<std::vector<uint8_t>> parse_base64url(std::string_view text, size_t max_size) {
  return base_bits::decode<6>(text, max_size, "base64url", value_of);
}

}  // namespace beamline
