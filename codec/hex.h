// Base 16. Lower case out, either case in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/hash.h"

namespace beamline {

std::string to_hex(Bytes bytes);
// With "0x" before it, as Ethereum writes it.
std::string to_hex0x(Bytes bytes);
inline std::string to_hex0x(const Hash256& hash) { return to_hex0x(hash.view()); }

// An optional "0x", then an even number of digits; bad_encoding with the offset otherwise, and
// too_long when it has more than `max_size` bytes.
Result<std::vector<uint8_t>> parse_hex(std::string_view text, size_t max_size = 1 << 20);
// Exactly out.size() bytes; mismatch when there are more or fewer.
Status parse_hex_into(std::string_view text, MutableBytes out);
Result<Hash256> parse_hash256(std::string_view text);

}  // namespace beamline
