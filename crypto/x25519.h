// X25519 (RFC 7748) through libcrypto. For handshakes: each call allocates, and libcrypto looks its
// key exchange up (there is no way to hand it one); keys come from our Rng, never from libcrypto's.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"

namespace beamline::x25519 {

inline constexpr size_t kSize = 32;
using PublicKey = std::array<uint8_t, kSize>;

// The caller wipes it (crypto/secret.h) when the keys are derived.
using SharedSecret = std::array<uint8_t, kSize>;

// Wiped on destruction.
class SecretKey {
 public:
  static SecretKey generate(Rng& rng);
  explicit SecretKey(std::span<const uint8_t, kSize> bytes);
  ~SecretKey();
  SecretKey(SecretKey&& other) noexcept;
  SecretKey& operator=(SecretKey&& other) noexcept;
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;

  const PublicKey& public_key() const { return public_; }
  // bad_key (the peer's fault): the result is zero, a point of low order.
  Result<SharedSecret> exchange(const PublicKey& peer) const;
  Bytes bytes() const { return secret_; }

 private:
  std::array<uint8_t, kSize> secret_;
  PublicKey public_;
};

}  // namespace beamline::x25519
