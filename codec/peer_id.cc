#include "codec/peer_id.h"

#include <algorithm>

#include "codec/base58.h"
#include "codec/protobuf.h"
#include "crypto/sha256.h"

namespace beamline {
namespace {

constexpr uint8_t kIdentityHash = 0x00;
constexpr uint8_t kSha256Hash = 0x12;
constexpr uint64_t kSecp256k1Key = 2;
constexpr uint8_t kKeyHead[] = {0x08, kSecp256k1Key, 0x12, secp256k1::kCompressedSize};

}  // namespace

std::array<uint8_t, kIdentityKeySize> encode_identity_key(const secp256k1::PublicKey& key) {
  std::array<uint8_t, kIdentityKeySize> out;
  const auto point = key.compressed();
  std::copy(point.begin(), point.end(),
            std::copy(std::begin(kKeyHead), std::end(kKeyHead), out.begin()));
  return out;
}

Result<secp256k1::PublicKey> parse_identity_key(Bytes message) {
  if (message.size() == kIdentityKeySize && equal(message.first(4), kKeyHead)) {
    return secp256k1::PublicKey::parse(message.subspan(4));
  }
  // Not ours: a key of another type is a fair peer that we cannot talk to, the rest is garbage.
  protobuf::Reader reader(message, "public_key", 8);
  protobuf::Field field;
  bool other_type = false;
  while (reader.next(field)) {
    if (field.is_varint(1) && field.value != kSecp256k1Key && field.value <= 3) other_type = true;
  }
  if (!reader.status()) return std::unexpected(reader.status().error());
  return bad_input(other_type ? Code::unsupported : Code::bad_encoding, "public_key.type");
}

PeerId PeerId::from_public_key(const secp256k1::PublicKey& key) {
  return from_identity_key(encode_identity_key(key));
}

PeerId PeerId::from_identity_key(Bytes protobuf) {
  const bool hashed = protobuf.size() > kMaxSize - 2;
  const Hash256 hash = hashed ? sha256(protobuf) : Hash256();
  const Bytes content = hashed ? hash.view() : protobuf;
  PeerId id;
  id.bytes_[0] = hashed ? kSha256Hash : kIdentityHash;
  id.bytes_[1] = static_cast<uint8_t>(content.size());
  std::copy(content.begin(), content.end(), id.bytes_.begin() + 2);
  id.size_ = static_cast<uint8_t>(2 + content.size());
  return id;
}

Result<PeerId> PeerId::parse(Bytes bytes) {
  if (bytes.size() < 2) return bad_input(Code::truncated, "peer_id", bytes.size());
  if (bytes.size() > kMaxSize) return bad_input(Code::too_long, "peer_id");
  // Both lengths are under 128, so one byte is their canonical form.
  const size_t size = bytes[1];
  if (bytes[0] == kSha256Hash) {
    if (size != 32) return bad_input(Code::bad_encoding, "peer_id.length", 1);
  } else if (bytes[0] == kIdentityHash) {
    if (size == 0 || size > kMaxSize - 2) return bad_input(Code::out_of_range, "peer_id.length", 1);
  } else {
    return bad_input(Code::unsupported, "peer_id.hash");
  }
  if (bytes.size() - 2 < size) return bad_input(Code::truncated, "peer_id", bytes.size());
  if (bytes.size() - 2 > size) return bad_input(Code::trailing, "peer_id", 2 + size);
  PeerId id;
  std::copy(bytes.begin(), bytes.end(), id.bytes_.begin());
  id.size_ = static_cast<uint8_t>(bytes.size());
  return id;
}

Result<PeerId> PeerId::parse_text(std::string_view text) {
  const Result<std::vector<uint8_t>> bytes = parse_base58(text);
  if (!bytes) return std::unexpected(bytes.error());
  return parse(*bytes);
}

std::string PeerId::to_text() const { return to_base58(bytes()); }

Result<secp256k1::PublicKey> PeerId::public_key() const {
  if (empty() || bytes_[0] != kIdentityHash) return bad_input(Code::not_found, "peer_id.key");
  return parse_identity_key(bytes().subspan(2));
}

}  // namespace beamline
