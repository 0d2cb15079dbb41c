// Gossip message ids of eth2, 20 bytes (consensus-specs p2p-interface: phase0 "Gossip domain", and
// its change in altair, which binds the topic).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace beamline {

struct MessageId {
  static constexpr size_t kSize = 20;
  std::array<uint8_t, kSize> bytes{};
  Bytes view() const { return bytes; }
  friend auto operator<=>(const MessageId&, const MessageId&) = default;
};

// `seed` from an Rng: peers choose messages. See Hash256Hasher.
struct MessageIdHasher {
  uint64_t seed = 0;
  size_t operator()(const MessageId& id) const;
};

// Whether the payload was valid snappy: then `data` is the decompressed payload, else the raw one.
enum class SnappyDomain : uint8_t { invalid = 0, valid = 1 };

MessageId message_id_phase0(SnappyDomain domain, Bytes data);
MessageId message_id_altair(SnappyDomain domain, std::string_view topic, Bytes data);

}  // namespace beamline
