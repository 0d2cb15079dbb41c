// AES (FIPS 197) through libcrypto's EVP ciphers, each fetched once per process: GCM for discv5's
// messages, CTR for RLPx's frames, ECIES and discv5's header masking, and the bare block for RLPx's
// MACs. Keys are 16 or 32 bytes, whichever the protocol says.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/error.h"

// libcrypto's EVP_CIPHER_CTX, without its headers.
struct evp_cipher_ctx_st;

namespace beamline {

inline constexpr size_t kAesBlockSize = 16;
using AesBlockBytes = std::array<uint8_t, kAesBlockSize>;

// AES-GCM with a nonce of 12 bytes and a tag of 16 (SP 800-38D), in place. One object is used by
// one thread at a time, and may move between threads. Destruction wipes the key and this thread's
// context of it.
class AesGcm {
 public:
  static constexpr size_t kNonceSize = 12;
  static constexpr size_t kTagSize = 16;
  using Nonce = std::array<uint8_t, kNonceSize>;

  // REQUIRES: key.size() is 16 or 32.
  explicit AesGcm(Bytes key);
  // From bytes of any size. Other keys, and other nonces, are invalid_argument (local).
  static Result<AesGcm> from_key(Bytes key);
  static Result<Nonce> to_nonce(Bytes bytes);
  ~AesGcm();
  AesGcm(AesGcm&& other) noexcept;
  AesGcm& operator=(AesGcm&& other) noexcept;
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  // Encrypts `data` in place. A nonce must never be used twice with one key: the caller counts.
  void seal(const Nonce& nonce, Bytes associated, MutableBytes data,
            std::span<uint8_t, kTagSize> tag) const;
  // Decrypts in place. decrypt_failed (the peer's fault): the tag does not match, and `data` holds
  // nothing that may be used.
  Status open(const Nonce& nonce, Bytes associated, MutableBytes data,
              std::span<const uint8_t, kTagSize> tag) const;

 private:
  Bytes key() const { return {key_.data(), key_size_}; }
  std::array<uint8_t, 32> key_{};
  size_t key_size_ = 0;
};

// AES-CTR (SP 800-38A) as a running stream: each call goes on where the last one ended. Holds a
// keyed context, about 700 bytes. One thread at a time.
class AesCtr {
 public:
  // REQUIRES: key.size() is 16 or 32.
  AesCtr(Bytes key, const AesBlockBytes& initial_counter);
  ~AesCtr();
  AesCtr(AesCtr&& other) noexcept;
  AesCtr& operator=(AesCtr&& other) noexcept;
  AesCtr(const AesCtr&) = delete;
  AesCtr& operator=(const AesCtr&) = delete;

  // Encrypts or decrypts (the same) in place.
  void process(MutableBytes data);

 private:
  evp_cipher_ctx_st* context_;
};

// AES-CTR for many short messages under one key of 16 bytes, each with a counter of its own
// (discv5's header masks): nothing is set up per message. Holds a keyed context. One thread at a
// time.
class AesMask {
 public:
  explicit AesMask(std::span<const uint8_t, 16> key);
  ~AesMask();
  AesMask(AesMask&& other) noexcept;
  AesMask& operator=(AesMask&& other) noexcept;
  AesMask(const AesMask&) = delete;
  AesMask& operator=(const AesMask&) = delete;

  // Encrypts or decrypts (the same) in place.
  void process(const AesBlockBytes& initial_counter, MutableBytes data);

 private:
  evp_cipher_ctx_st* context_;
};

// One short message with a key of its own: uses this thread's context instead of a new one.
// REQUIRES: key.size() is 16 or 32.
void aes_ctr(Bytes key, const AesBlockBytes& initial_counter, MutableBytes data);

// The bare permutation of one block under a key of 32 bytes (RLPx's MACs). One thread at a time.
class Aes256Block {
 public:
  explicit Aes256Block(std::span<const uint8_t, 32> key);
  ~Aes256Block();
  Aes256Block(Aes256Block&& other) noexcept;
  Aes256Block& operator=(Aes256Block&& other) noexcept;
  Aes256Block(const Aes256Block&) = delete;
  Aes256Block& operator=(const Aes256Block&) = delete;

  AesBlockBytes encrypt(const AesBlockBytes& block);

 private:
  evp_cipher_ctx_st* context_;
};

}  // namespace beamline
