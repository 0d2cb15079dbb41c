#include "codec/message_id.h"

#include <algorithm>
#include <cstring>

#include "crypto/sha256.h"

namespace beamline {
namespace {

// MESSAGE_DOMAIN_INVALID_SNAPPY and MESSAGE_DOMAIN_VALID_SNAPPY.
std::array<uint8_t, 4> domain_bytes(SnappyDomain domain) {
  return {static_cast<uint8_t>(domain), 0, 0, 0};
}

MessageId shorten(const Hash256& hash) {
  MessageId id;
  std::copy_n(hash.bytes.begin(), MessageId::kSize, id.bytes.begin());
  return id;
}

}  // namespace

size_t MessageIdHasher::operator()(const MessageId& id) const {
  Hash256 padded;
  std::copy(id.bytes.begin(), id.bytes.begin() + 8, padded.bytes.begin());
  std::copy(id.bytes.begin() + 12, id.bytes.end(), padded.bytes.begin() + 24);
  return Hash256Hasher{seed}(padded);
}

MessageId message_id_phase0(SnappyDomain domain, Bytes data) {
  return shorten(sha256(domain_bytes(domain), data));
}

MessageId message_id_altair(SnappyDomain domain, std::string_view topic, Bytes data) {
  std::array<uint8_t, 8> length;
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(topic.size() >> (8 * i));
  return shorten(sha256(domain_bytes(domain), length, as_bytes(topic), data));
}

}  // namespace beamline
