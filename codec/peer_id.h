// libp2p peer ids (libp2p/specs peer-ids/peer-ids.md): a multihash of the protobuf of a public
// key. secp256k1 keys are short enough to stand in it whole (identity multihash), so the key can be
// read back.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/secp256k1.h"

namespace beamline {

// The protobuf {1: type, 2: data} of a public key: 08 02 12 21 and 33 bytes.
inline constexpr size_t kIdentityKeySize = 37;
std::array<uint8_t, kIdentityKeySize> encode_identity_key(const secp256k1::PublicKey& key);
// unsupported: a key of another type (Ed25519, RSA, ECDSA); bad_key, bad_encoding.
Result<secp256k1::PublicKey> parse_identity_key(Bytes protobuf);

class PeerId {
 public:
  static constexpr size_t kMaxSize = 44;  // identity multihash of a key of at most 42 bytes

  PeerId() = default;  // empty: no peer
  static PeerId from_public_key(const secp256k1::PublicKey& key);
  // Of a key of any type, from its protobuf: hashed when it is longer than 42 bytes.
  static PeerId from_identity_key(Bytes protobuf);
  // A multihash: identity with 1..42 bytes, or SHA2-256 with 32; non-canonical ones are refused.
  static Result<PeerId> parse(Bytes bytes);
  // Base58 ("16Uiu2HA...", "Qm...", "12D3...").
  static Result<PeerId> parse_text(std::string_view text);

  bool empty() const { return size_ == 0; }
  Bytes bytes() const { return {bytes_.data(), size_}; }
  std::string to_text() const;
  // The key inside. not_found: the id is a hash; unsupported: another type of key.
  Result<secp256k1::PublicKey> public_key() const;

  friend auto operator<=>(const PeerId&, const PeerId&) = default;

 private:
  std::array<uint8_t, kMaxSize> bytes_{};  // zeros behind the end
  uint8_t size_ = 0;
};

}  // namespace beamline
