// Base 32 without padding (RFC 4648, section 6): the hashes and keys of DNS node lists (EIP-1459).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline {

// Upper case.
std::string to_base32(Bytes bytes);
// Either case; errors as parse_base64url's.
Result<std::vector<uint8_t>> parse_base32(std::string_view text, size_t max_size = 1 << 20);

}  // namespace beamline
