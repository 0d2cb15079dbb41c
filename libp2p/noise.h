// Noise_XX_25519_ChaChaPoly_SHA256: the handshake pattern and the two ciphers that it ends in
// (noiseprotocol.org, revision 34). What libp2p puts into the handshake's payloads is in
// libp2p/noise_payload.h, frames are in libp2p/upgrade.h and libp2p/connection.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/chacha20poly1305.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"
#include "libp2p/multistream.h"

namespace beamline::libp2p {

inline constexpr size_t kNoiseTagSize = ChaCha20Poly1305::kTagSize;
inline constexpr size_t kMaxNoiseMessage = 65535;
inline constexpr size_t kMaxNoisePlaintext = kMaxNoiseMessage - kNoiseTagSize;

// One direction after the handshake: a key and the number of messages so far. 40 bytes.
class NoiseCipher {
 public:
  explicit NoiseCipher(const Hash256& key) : cipher_(key.bytes) {}

  // `text_and_tag`: the plain text and 16 bytes behind it, which the tag fills.
  // REQUIRES: 16 <= text_and_tag.size() <= kMaxNoiseMessage.
  void seal(MutableBytes text_and_tag) { seal({}, text_and_tag); }
  void seal(Bytes associated, MutableBytes text_and_tag);
  // Decrypts in place; gives the plain text. decrypt_failed, or truncated (no room for a tag);
  // after either the direction is unusable.
  Result<MutableBytes> open(MutableBytes text_and_tag) { return open({}, text_and_tag); }
  Result<MutableBytes> open(Bytes associated, MutableBytes text_and_tag);

 private:
  ChaCha20Poly1305::Nonce next_nonce();

  ChaCha20Poly1305 cipher_;
  uint64_t count_ = 0;
};

struct NoiseCiphers {
  NoiseCipher send;
  NoiseCipher receive;
};

// The three messages of XX: -> e; <- e, ee, s, es; -> s, se. Sides alternate, the dialler first.
// One thread. Secrets are wiped on destruction.
class NoiseHandshake {
 public:
  static constexpr size_t kMessages = 3;

  // `identity` is the static key; it outlives the handshake.
  NoiseHandshake(Role role, const x25519::SecretKey& identity, x25519::SecretKey ephemeral,
                 Bytes prologue = {});
  ~NoiseHandshake();
  NoiseHandshake(const NoiseHandshake&) = delete;
  NoiseHandshake& operator=(const NoiseHandshake&) = delete;

  bool our_turn() const { return (turn_ % 2 == 0) == (role_ == Role::dialler); }
  bool finished() const { return turn_ == kMessages; }

  // Appends our next message to `out`. bad_key: the remote key is of low order.
  // REQUIRES: our_turn(), !finished(), and a payload that fits a message.
  Status write_message(Bytes payload, std::vector<uint8_t>& out);
  // Reads the other side's next message, in place; gives its payload. truncated, bad_key,
  // decrypt_failed.
  // REQUIRES: !our_turn(), !finished().
  Result<MutableBytes> read_message(MutableBytes message);

  // The other side's static key. REQUIRES: it was received.
  const x25519::PublicKey& remote_static() const { return *remote_static_; }
  const Hash256& handshake_hash() const { return hash_; }
  // REQUIRES: finished().
  NoiseCiphers split() const;

 private:
  void mix_hash(Bytes bytes);
  void mix_key(Bytes input);
  Status mix_exchange(const x25519::SecretKey& ours, const x25519::PublicKey& theirs);
  void seal_and_append(Bytes plain, std::vector<uint8_t>& out);
  Result<MutableBytes> open(MutableBytes sealed);
  Status read_ephemeral(MutableBytes& rest);
  Status read_static(MutableBytes& rest);

  Role role_;
  uint8_t turn_ = 0;
  const x25519::SecretKey& static_;
  x25519::SecretKey ephemeral_;
  std::optional<x25519::PublicKey> remote_ephemeral_;
  std::optional<x25519::PublicKey> remote_static_;
  Hash256 chaining_key_;
  Hash256 hash_;
  std::optional<NoiseCipher> cipher_;
};

}  // namespace beamline::libp2p
