// Base 64 with the alphabet that is safe in URLs, without padding (RFC 4648, section 5): ENRs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline {

std::string to_base64url(Bytes bytes);
// too_long when it has more than `max_size` bytes, bad_encoding with the offset of a strange
// character (padding is one), truncated for a length that no bytes have, non_canonical when bits
// behind the last byte are set.
Result<std::vector<uint8_t>> parse_base64url(std::string_view text, size_t max_size = 1 << 20);

}  // namespace beamline
