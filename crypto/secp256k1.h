// ECDSA and ECDH over secp256k1 (SEC 2; RFC 6979 nonces), through libsecp256k1. One context per
// process, made on first use and randomised once by the kernel; it is read-only afterwards, so all
// functions here are thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"
#include "crypto/hash.h"

namespace beamline::secp256k1 {

inline constexpr size_t kCompressedSize = 33;
inline constexpr size_t kUncompressedSize = 65;
inline constexpr size_t kMaxDerSize = 72;

// A point of the curve; a value. 64 bytes in the library's own form, so that it is decompressed
// once.
class PublicKey {
 public:
  // 33 bytes (02, 03) or 65 bytes (04); others, the hybrid form too, are bad_encoding; what is no
  // point of the curve is bad_key.
  static Result<PublicKey> parse(Bytes bytes);

  std::array<uint8_t, kCompressedSize> compressed() const;
  std::array<uint8_t, kUncompressedSize> uncompressed() const;

  friend bool operator==(const PublicKey& a, const PublicKey& b) {
    return a.compressed() == b.compressed();
  }

 private:
  friend struct Access;
  PublicKey() = default;
  std::array<uint8_t, 64> point_{};
};

enum class HighS : uint8_t {
  reject,  // the second form of a signature is non_canonical (bitcoin's and Ethereum's rule)
  accept,  // as libp2p's identity signatures may have it; it is turned into the first
};

// r || s, big-endian, s in the lower half.
struct Signature {
  std::array<uint8_t, 64> bytes{};

  // Compact form, 64 bytes. bad_signature: r or s is not below the order.
  static Result<Signature> parse_compact(Bytes bytes, HighS high_s = HighS::reject);
  // Strict DER (BIP 66's form): anything else, a second encoding or bytes behind it, is an error.
  static Result<Signature> parse_der(Bytes der, HighS high_s = HighS::reject);
  // At most kMaxDerSize bytes at `out`; gives how many.
  size_t write_der(std::span<uint8_t, kMaxDerSize> out) const;

  friend bool operator==(const Signature&, const Signature&) = default;
};

struct RecoverableSignature {
  Signature signature;
  uint8_t recovery_id = 0;  // 0..3
};

// Wiped on destruction.
class SecretKey {
 public:
  static constexpr size_t kSize = 32;

  static SecretKey generate(Rng& rng);
  // bad_key (local): not 32 bytes, zero, or not below the order.
  static Result<SecretKey> parse(Bytes bytes);
  ~SecretKey();
  SecretKey(SecretKey&& other) noexcept;
  SecretKey& operator=(SecretKey&& other) noexcept;
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;

  const PublicKey& public_key() const { return public_; }
  // Deterministic (RFC 6979), low-S.
  Signature sign(const Hash256& digest) const;
  RecoverableSignature sign_recoverable(const Hash256& digest) const;
  // The x coordinate of the shared point (RLPx).
  std::array<uint8_t, 32> ecdh_x(const PublicKey& peer) const;
  // The shared point, compressed (discv5).
  std::array<uint8_t, kCompressedSize> ecdh_point(const PublicKey& peer) const;
  Bytes bytes() const { return secret_; }

 private:
  explicit SecretKey(PublicKey public_key) : public_(public_key) {}
  std::array<uint8_t, kSize> secret_{};
  PublicKey public_;
};

// bad_signature (the peer's fault) when it does not hold.
Status verify(const PublicKey& key, const Hash256& digest, const Signature& signature);
Result<PublicKey> recover(const Hash256& digest, const RecoverableSignature& signature);

}  // namespace beamline::secp256k1
