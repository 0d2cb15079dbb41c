#include "codec/base58.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace beamline {
namespace {

constexpr std::string_view kAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

constexpr std::array<uint8_t, 256> reverse_alphabet() {
  std::array<uint8_t, 256> table{};
  table.fill(58);
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  }
  return table;
}
constexpr std::array<uint8_t, 256> kValues = reverse_alphabet();

// number = number * factor + carry, in base `base`, lowest digit first.
template <size_t kMax>
void multiply_add(std::array<uint8_t, kMax>& number, size_t& size, uint32_t factor, uint32_t carry,
                  uint32_t base) {
  for (size_t i = 0; i < size; ++i) {
    carry += number[i] * factor;
    number[i] = static_cast<uint8_t>(carry % base);
    carry /= base;
  }
  for (; carry != 0; carry /= base) number[size++] = static_cast<uint8_t>(carry % base);
}

}  // namespace

std::string to_base58(Bytes bytes) {
  BL_CHECK(bytes.size() <= kMaxBase58Bytes);
  size_t zeros = 0;
  while (zeros < bytes.size() && bytes[zeros] == 0) ++zeros;
  std::array<uint8_t, kMaxBase58Text> digits;  // log(256) / log(58) = 1.366 a byte
  size_t size = 0;
  for (const uint8_t byte : bytes.subspan(zeros)) multiply_add(digits, size, 256, byte, 58);
  std::string text(zeros, '1');
  while (size != 0) text.push_back(kAlphabet[digits[--size]]);
  return text;
}

Result<std::vector<uint8_t>> parse_base58(std::string_view text) {
  if (text.size() > kMaxBase58Text) return bad_input(Code::too_long, "base58");
  size_t zeros = 0;
  while (zeros < text.size() && text[zeros] == '1') ++zeros;
  std::array<uint8_t, kMaxBase58Text> number;
  size_t size = 0;
  for (size_t i = zeros; i < text.size(); ++i) {
    const uint8_t value = kValues[static_cast<uint8_t>(text[i])];
    if (value >= 58) return bad_input(Code::bad_encoding, "base58", i);
    multiply_add(number, size, 58, value, 256);
  }
  if (zeros + size > kMaxBase58Bytes) return bad_input(Code::too_long, "base58");
  std::vector<uint8_t> bytes(zeros, 0);
  bytes.insert(bytes.end(), std::reverse_iterator(number.begin() + static_cast<ptrdiff_t>(size)),
               number.rend());
  return bytes;
}

}  // namespace beamline
