// The handshake's cryptography (devp2p discv5-theory.md, "Handshake Steps", identity scheme "v4").
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/enr.h"
#include "crypto/secp256k1.h"
#include "discovery/discv5_packet.h"

namespace beamline::discv5 {

inline constexpr size_t kKeySize = 16;
using SessionKey = std::array<uint8_t, kKeySize>;

// The initiator writes with its key and reads with the recipient's. Wiped on destruction.
struct SessionKeys {
  SessionKey initiator{};
  SessionKey recipient{};
  SessionKeys() = default;
  SessionKeys(const SessionKeys&) = default;
  SessionKeys& operator=(const SessionKeys&) = default;
  ~SessionKeys();
};

// `secret` and `remote`: the ephemeral key and the recipient's static one, or the recipient's
// static key and the ephemeral one. `initiator` is the node that sends the handshake packet.
SessionKeys derive_keys(const secp256k1::SecretKey& secret, const secp256k1::PublicKey& remote,
                        const NodeId& initiator, const NodeId& recipient, Bytes challenge_data);

// What the initiator signs: it holds the key of its record, and meant this challenge.
Hash256 id_signature_digest(Bytes challenge_data, Bytes ephemeral_key, const NodeId& recipient);
// bad_signature, or non_canonical for the second form of one.
Status verify_id_signature(const secp256k1::PublicKey& initiator, Bytes signature,
                           Bytes challenge_data, Bytes ephemeral_key, const NodeId& recipient);

}  // namespace beamline::discv5
