// RLPx's handshake (devp2p rlpx.md, "Initial Handshake", in EIP-8's form only): the initiator sends
// auth, the recipient ack, and both have the secrets of the frames. Sans-IO; its deadline is its
// user's (rlpx/session.h). EIP-8: version numbers, further list items and bytes behind the list are
// ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"
#include "crypto/hash.h"
#include "crypto/keccak.h"
#include "crypto/secp256k1.h"

namespace beamline::rlpx {

// What frames are sealed and opened with. The MAC states are wiped with the keys.
struct Secrets {
  Hash256 aes;
  Hash256 mac;
  Keccak256 egress;
  Keccak256 ingress;

  Secrets() = default;
  Secrets(const Secrets&) = default;
  Secrets& operator=(const Secrets&) = default;
  ~Secrets();
};

enum class Role : uint8_t { initiator, recipient };

class Handshake {
 public:
  // Of the packet behind its two bytes of size. Nodes send less than 700.
  static constexpr size_t kMaxPacket = 2048;

  // What is drawn at random; a vector names it.
  struct Draw {
    secp256k1::SecretKey ephemeral;
    Hash256 nonce;
    static Draw from(Rng& rng);
  };

  // An initiator knows whom it calls; its auth is in output() at once. `ours` must outlive this.
  static Handshake initiator(const secp256k1::SecretKey& ours, const secp256k1::PublicKey& remote,
                             Rng& rng);
  static Handshake initiator(const secp256k1::SecretKey& ours, const secp256k1::PublicKey& remote,
                             Draw draw, Rng& rng);
  static Handshake recipient(const secp256k1::SecretKey& ours, Rng& rng);
  static Handshake recipient(const secp256k1::SecretKey& ours, Draw draw);

  // Takes a prefix of `input` and gives its length: all of it until the peer's packet is whole;
  // what follows it are frames. A recipient then has its ack in output(). It holds no more than the
  // one packet. Errors (the peer's): too_long ("handshake.size"), those of ecies_decrypt and RLP,
  // bad_key, bad_signature ("auth.signature"), mismatch ("auth.signature": the identity itself
  // signed). After an error it must not be fed again. REQUIRES: !done().
  Result<size_t> feed(Bytes input, Rng& rng);

  bool done() const { return done_; }
  Bytes output() const { return output_; }
  // REQUIRES: done().
  Secrets secrets() const;
  // The peer's identity; proven once frames open. REQUIRES: done(), or an initiator.
  const secp256k1::PublicKey& remote() const { return *remote_; }

 private:
  Handshake(Role role, const secp256k1::SecretKey& ours, Draw draw);

  void write_auth(Rng& rng);
  void write_ack(Rng& rng);
  void append_packet(std::vector<uint8_t>& body, Rng& rng);
  Status on_packet(Rng& rng);
  Status on_auth(Bytes body);
  Status on_ack(Bytes body);

  const secp256k1::SecretKey* ours_;
  Draw draw_;
  std::optional<secp256k1::PublicKey> remote_;
  std::optional<secp256k1::PublicKey> remote_ephemeral_;
  Hash256 remote_nonce_;
  std::vector<uint8_t> output_;
  std::vector<uint8_t> input_;   // the peer's packet, as it comes
  std::vector<uint8_t> sealed_;  // the peer's packet, as it came: the MACs begin with it
  Role role_;
  bool done_ = false;
};

}  // namespace beamline::rlpx
