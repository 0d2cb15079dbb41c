#include "discovery/discv5_keys.h"

#include <cstring>
#include <string_view>

#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"

namespace beamline::discv5 {
namespace {

constexpr std::string_view kAgreement = "discovery v5 key agreement";
constexpr std::string_view kIdentityProof = "discovery v5 identity proof";

}  // namespace

SessionKeys::~SessionKeys() {
  secure_wipe(initiator);
  secure_wipe(recipient);
}

SessionKeys derive_keys(const secp256k1::SecretKey& secret, const secp256k1::PublicKey& remote,
                        const NodeId& initiator, const NodeId& recipient, Bytes challenge_data) {
  std::array<uint8_t, kAgreement.size() + 2 * NodeId::kSize> info;
  std::memcpy(info.data(), kAgreement.data(), kAgreement.size());
  std::memcpy(info.data() + kAgreement.size(), initiator.bytes.data(), NodeId::kSize);
  std::memcpy(info.data() + kAgreement.size() + NodeId::kSize, recipient.bytes.data(),
              NodeId::kSize);
  auto shared = secret.ecdh_point(remote);
  std::array<uint8_t, 2 * kKeySize> out;
  hkdf_sha256(shared, challenge_data, info, out);
  SessionKeys keys;
  std::memcpy(keys.initiator.data(), out.data(), kKeySize);
  std::memcpy(keys.recipient.data(), out.data() + kKeySize, kKeySize);
  secure_wipe(shared);
  secure_wipe(out);
  return keys;
}

Hash256 id_signature_digest(Bytes challenge_data, Bytes ephemeral_key, const NodeId& recipient) {
  return sha256(as_bytes(kIdentityProof), challenge_data, ephemeral_key, recipient.view());
}

Status verify_id_signature(const secp256k1::PublicKey& initiator, Bytes signature,
                           Bytes challenge_data, Bytes ephemeral_key, const NodeId& recipient) {
  const auto parsed = secp256k1::Signature::parse_compact(signature);
  if (!parsed) return std::unexpected(parsed.error());
  return secp256k1::verify(initiator, id_signature_digest(challenge_data, ephemeral_key, recipient),
                           *parsed);
}

}  // namespace beamline::discv5
