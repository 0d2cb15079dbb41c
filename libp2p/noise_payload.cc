#include "libp2p/noise_payload.h"

#include <optional>

#include "codec/peer_id.h"
#include "codec/protobuf.h"
#include "crypto/sha256.h"

namespace beamline::libp2p {
namespace {
constexpr std::string_view kPrefix = "noise-libp2p-static-key:";
constexpr size_t kMaxFields = 64;
enum : uint32_t { kIdentityKey = 1, kIdentitySig = 2, kExtensions = 4, kStreamMuxers = 2 };

Status decode_extensions(Bytes extensions, std::vector<std::string_view>& muxers) {
  protobuf::Reader reader(extensions, "noise.extensions", kMaxFields);
  protobuf::Field field;
  while (reader.next(field)) {
    if (!field.is_bytes(kStreamMuxers)) continue;
    if (muxers.size() == kMaxPayloadMuxers) {
      return bad_input(Code::too_long, "noise.stream_muxers", field.offset);
    }
    muxers.push_back(as_text(field.bytes));
  }
  return reader.status();
}
}  // namespace

std::vector<uint8_t> sign_noise_static(const secp256k1::SecretKey& identity,
                                       const x25519::PublicKey& static_key) {
  const secp256k1::Signature signature = identity.sign(sha256(as_bytes(kPrefix), static_key));
  std::array<uint8_t, secp256k1::kMaxDerSize> der;
  const size_t size = signature.write_der(der);
  return {der.begin(), der.begin() + static_cast<std::ptrdiff_t>(size)};
}

void encode_noise_payload(const secp256k1::PublicKey& identity, Bytes signature,
                          std::span<const std::string_view> muxers, std::vector<uint8_t>& out) {
  protobuf::Writer writer(out);
  writer.bytes(kIdentityKey, encode_identity_key(identity));
  writer.bytes(kIdentitySig, signature);
  if (muxers.empty()) return;
  const protobuf::Writer::Mark mark = writer.begin(kExtensions);
  for (const std::string_view muxer : muxers) writer.text(kStreamMuxers, muxer);
  writer.end(mark);
}

Result<NoisePayload> decode_noise_payload(Bytes payload, const x25519::PublicKey& static_key) {
  if (payload.size() > kMaxNoisePayload) return bad_input(Code::too_long, "noise.payload");
  std::optional<Bytes> key_bytes;
  std::optional<Bytes> signature_bytes;
  std::vector<std::string_view> muxers;
  protobuf::Reader reader(payload, "noise.payload", kMaxFields);
  protobuf::Field field;
  while (reader.next(field)) {
    if (field.is_bytes(kIdentityKey)) key_bytes = field.bytes;
    if (field.is_bytes(kIdentitySig)) signature_bytes = field.bytes;
    if (!field.is_bytes(kExtensions)) continue;
    if (Status status = decode_extensions(field.bytes, muxers); !status) {
      return std::unexpected(status.error());
    }
  }
  if (!reader.status()) return std::unexpected(reader.status().error());
  if (!key_bytes) return bad_input(Code::missing, "noise.identity_key");
  if (!signature_bytes) return bad_input(Code::missing, "noise.identity_sig");
  const Result<secp256k1::PublicKey> key = parse_identity_key(*key_bytes);
  if (!key) return std::unexpected(key.error());
  const auto signature =
      secp256k1::Signature::parse_der(*signature_bytes, secp256k1::HighS::accept);
  if (!signature) return bad_input(Code::bad_signature, "noise.identity_sig");
  const Hash256 digest = sha256(as_bytes(kPrefix), static_key);
  if (!secp256k1::verify(*key, digest, *signature)) {
    return bad_input(Code::bad_signature, "noise.identity_sig");
  }
  return NoisePayload{*key, std::move(muxers)};
}

}  // namespace beamline::libp2p
