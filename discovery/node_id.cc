#include "discovery/node_id.h"

#include "base/check.h"

namespace beamline::discovery {

NodeId random_id_in_bucket(const NodeId& self, unsigned bucket, Rng& rng) {
  BL_CHECK(bucket < kIdBits);
  NodeId id;
  rng.fill(id.bytes);
  const size_t byte = 31 - bucket / 8;
  const auto bit = static_cast<uint8_t>(1u << (bucket % 8));
  std::memcpy(id.bytes.data(), self.bytes.data(), byte);
  const auto below = static_cast<uint8_t>(bit - 1);
  id.bytes[byte] =
      static_cast<uint8_t>(((self.bytes[byte] ^ bit) & ~below) | (id.bytes[byte] & below));
  return id;
}

}  // namespace beamline::discovery
