// CRC-32C (Castagnoli; RFC 3720 B.4): with the CPU's instruction where it has one, else by table;
// chosen once, at start-up.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace beamline {

// `crc` is the result for what came before, 0 at the start.
uint32_t crc32c(Bytes bytes, uint32_t crc = 0);
// The portable implementation, as the tests' oracle.
uint32_t crc32c_portable(Bytes bytes, uint32_t crc = 0);
// As the snappy framing format stores it.
constexpr uint32_t mask_crc32c(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

}  // namespace beamline
