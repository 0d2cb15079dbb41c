#include "codec/hex.h"

namespace beamline {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

// 0..15, or 16 for what is no digit.
unsigned digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

size_t prefix_size(std::string_view text) { return text.starts_with("0x") ? 2 : 0; }

// `text` has 2 * out.size() characters; `base` of them were before it.
Status decode(std::string_view text, size_t base, MutableBytes out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (digit(text[i]) > 15) return bad_input(Code::bad_encoding, "hex", base + i);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<uint8_t>(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
  }
  return {};
}

void append(Bytes bytes, std::string& out) {
  for (const uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
}

}  // namespace

std::string to_hex(Bytes bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  append(bytes, out);
  return out;
}

std::string to_hex0x(Bytes bytes) {
  std::string out;
  out.reserve(2 + 2 * bytes.size());
  out = "0x";
  append(bytes, out);
  return out;
}

Result<std::vector<uint8_t>> parse_hex(std::string_view text, size_t max_size) {
  const size_t base = prefix_size(text);
  text.remove_prefix(base);
  if (text.size() % 2 != 0) return bad_input(Code::bad_encoding, "hex", base + text.size());
  if (text.size() / 2 > max_size) return bad_input(Code::too_long, "hex", base);
  std::vector<uint8_t> out(text.size() / 2);
  if (const Status status = decode(text, base, out); !status) {
    return std::unexpected(status.error());
  }
  return out;
}

Status parse_hex_into(std::string_view text, MutableBytes out) {
  const size_t base = prefix_size(text);
  text.remove_prefix(base);
  if (text.size() != 2 * out.size()) return bad_input(Code::mismatch, "hex.size", base);
  return decode(text, base, out);
}

Result<Hash256> parse_hash256(std::string_view text) {
  Hash256 hash;
  if (const Status status = parse_hex_into(text, hash.bytes); !status) {
    return std::unexpected(status.error());
  }
  return hash;
}

}  // namespace beamline
