// What libp2p puts into Noise's handshake (libp2p/specs noise/README.md): the identity key, its
// signature over the static key, and the muxers that the sender speaks.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/secp256k1.h"
#include "crypto/x25519.h"

namespace beamline::libp2p {

inline constexpr size_t kMaxNoisePayload = 4096;
inline constexpr size_t kMaxPayloadMuxers = 16;

struct NoisePayload {
  secp256k1::PublicKey identity_key;
  std::vector<std::string_view> stream_muxers;  // the sender's order; views
};

// Signs the static key. The result can serve all connections that use it.
std::vector<uint8_t> sign_noise_static(const secp256k1::SecretKey& identity,
                                       const x25519::PublicKey& static_key);

// Appends {1: identity_key, 2: identity_sig, 4: {2: stream_muxers}}; no extensions if `muxers` is
// empty.
void encode_noise_payload(const secp256k1::PublicKey& identity, Bytes signature,
                          std::span<const std::string_view> muxers, std::vector<uint8_t>& out);

// Decodes, and checks the signature over `static_key`. missing (key or signature), unsupported (a
// key that is not secp256k1), bad_key, bad_signature, too_long, and the errors of protobuf.
Result<NoisePayload> decode_noise_payload(Bytes payload, const x25519::PublicKey& static_key);

}  // namespace beamline::libp2p
