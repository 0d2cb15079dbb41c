// What the AEAD ciphers share; nobody else's. A keyed EVP context is 655-1,166 bytes, and a
// connection would need two; 10,000 connections are mostly idle. So a cipher's object is its key
// alone, and each thread has two contexts per algorithm, one that seals and one that opens, made on
// first use. A context is keyed anew when the key is another than the one before, which costs a
// tenth of the smallest message (40 of 410 ns, measured with ChaCha20-Poly1305).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

// libcrypto's EVP_CIPHER and EVP_CIPHER_CTX, without its headers.
struct evp_cipher_st;
struct evp_cipher_ctx_st;

namespace beamline::aead_internal {

inline constexpr size_t kTagSize = 16;
inline constexpr size_t kMaxKeySize = 32;

// A keyed context for one direction.
class Context {
 public:
  Context() = default;
  ~Context() { forget(); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // The context of `key`, ready for a message with this nonce of 12 bytes.
  evp_cipher_ctx_st* ready(const evp_cipher_st* cipher, Bytes key, const uint8_t* nonce,
                           int encrypt);
  void forget_if(Bytes key);

 private:
  bool holds(Bytes key) const { return key_size_ != 0 && equal({key_.data(), key_size_}, key); }
  void forget();

  evp_cipher_ctx_st* context_ = nullptr;
  std::array<uint8_t, kMaxKeySize> key_{};
  size_t key_size_ = 0;
};

// One algorithm's contexts of one thread.
class Contexts {
 public:
  explicit Contexts(const evp_cipher_st* cipher) : cipher_(cipher) {}

  // In place. `tag` is kTagSize bytes.
  void seal(Bytes key, const uint8_t* nonce, Bytes associated, MutableBytes data, uint8_t* tag);
  // False when the tag does not match; `data` is wiped then.
  bool open(Bytes key, const uint8_t* nonce, Bytes associated, MutableBytes data,
            const uint8_t* tag);
  void forget(Bytes key);

 private:
  const evp_cipher_st* cipher_;
  Context seal_;
  Context open_;
};

// Fetched from libcrypto, for the process. Aborts where the library has no such cipher.
const evp_cipher_st* fetch_cipher(const char* name);

}  // namespace beamline::aead_internal
