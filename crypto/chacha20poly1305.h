// ChaCha20-Poly1305 (RFC 8439) in place, through libcrypto's EVP cipher, fetched once per process.
// An object is the 32-byte key alone: crypto/aead.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline {

// One object is used by one thread at a time, and may move between threads. Destruction wipes the
// key and this thread's context of it; another thread's context forgets it with the next key there,
// or with its thread.
class ChaCha20Poly1305 {
 public:
  static constexpr size_t kKeySize = 32;
  static constexpr size_t kNonceSize = 12;
  static constexpr size_t kTagSize = 16;
  using Nonce = std::array<uint8_t, kNonceSize>;

  explicit ChaCha20Poly1305(std::span<const uint8_t, kKeySize> key);
  // From bytes of any size; other than 12 is invalid_argument (local).
  static Result<Nonce> to_nonce(Bytes bytes);
  ~ChaCha20Poly1305();
  ChaCha20Poly1305(ChaCha20Poly1305&& other) noexcept;
  ChaCha20Poly1305& operator=(ChaCha20Poly1305&& other) noexcept;
  ChaCha20Poly1305(const ChaCha20Poly1305&) = delete;
  ChaCha20Poly1305& operator=(const ChaCha20Poly1305&) = delete;

  // Encrypts `data` in place. A nonce must never be used twice with one key: the caller counts.
  void seal(const Nonce& nonce, Bytes associated, MutableBytes data,
            std::span<uint8_t, kTagSize> tag) const;
  // Decrypts in place. decrypt_failed (the peer's fault): the tag does not match, and `data` holds
  // nothing that may be used.
  Status open(const Nonce& nonce, Bytes associated, MutableBytes data,
              std::span<const uint8_t, kTagSize> tag) const;

  // The same with the tag behind the data, as Noise has it: `data` with its last 16 bytes the tag.
  // REQUIRES for seal: data_and_tag.size() >= 16. open gives the size of the plain text.
  void seal(const Nonce& nonce, Bytes associated, MutableBytes data_and_tag) const;
  Result<size_t> open(const Nonce& nonce, Bytes associated, MutableBytes data_and_tag) const;

 private:
  std::array<uint8_t, kKeySize> key_;
};

}  // namespace beamline
