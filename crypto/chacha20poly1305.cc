#include "crypto/chacha20poly1305.h"

#include <cstring>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/secret.h"

namespace beamline {
namespace {

aead_internal::Contexts& contexts() {
  static const evp_cipher_st* const kFetched = aead_internal::fetch_cipher("ChaCha20-Poly1305");
  thread_local aead_internal::Contexts both(kFetched);
  return both;
}

}  // namespace

ChaCha20Poly1305::ChaCha20Poly1305(std::span<const uint8_t, kKeySize> key) {
  std::memcpy(key_.data(), key.data(), kKeySize);
}

Result<ChaCha20Poly1305::Nonce> ChaCha20Poly1305::to_nonce(Bytes bytes) {
  Nonce nonce;
  if (bytes.size() != nonce.size()) {
    return local_error(Code::invalid_argument, "chacha20poly1305.nonce");
  }
  std::memcpy(nonce.data(), bytes.data(), nonce.size());
  return nonce;
}

ChaCha20Poly1305::~ChaCha20Poly1305() {
  contexts().forget(key_);
  secure_wipe(key_);
}

ChaCha20Poly1305::ChaCha20Poly1305(ChaCha20Poly1305&& other) noexcept : key_(other.key_) {
  secure_wipe(other.key_);
}

ChaCha20Poly1305& ChaCha20Poly1305::operator=(ChaCha20Poly1305&& other) noexcept {
  if (this == &other) return *this;
  contexts().forget(key_);
  key_ = other.key_;
  secure_wipe(other.key_);
  return *this;
}

void ChaCha20Poly1305::seal(const Nonce& nonce, Bytes associated, MutableBytes data,
                            std::span<uint8_t, kTagSize> tag) const {
  contexts().seal(key_, nonce.data(), associated, data, tag.data());
}

Status ChaCha20Poly1305::open(const Nonce& nonce, Bytes associated, MutableBytes data,
                              std::span<const uint8_t, kTagSize> tag) const {
  if (contexts().open(key_, nonce.data(), associated, data, tag.data())) return {};
  return bad_input(Code::decrypt_failed, "chacha20poly1305.tag", data.size());
}

void ChaCha20Poly1305::seal(const Nonce& nonce, Bytes associated, MutableBytes data_and_tag) const {
  BL_CHECK(data_and_tag.size() >= kTagSize);
  seal(nonce, associated, data_and_tag.first(data_and_tag.size() - kTagSize),
       data_and_tag.last<kTagSize>());
}

Result<size_t> ChaCha20Poly1305::open(const Nonce& nonce, Bytes associated,
                                      MutableBytes data_and_tag) const {
  if (data_and_tag.size() < kTagSize) {
    return bad_input(Code::truncated, "chacha20poly1305.tag", data_and_tag.size());
  }
  const size_t size = data_and_tag.size() - kTagSize;
  const Status status = open(nonce, associated, data_and_tag.first(size),
                             std::span<const uint8_t, kTagSize>(data_and_tag.last<kTagSize>()));
  if (!status) return std::unexpected(status.error());
  return size;
}

}  // namespace beamline
