#include "crypto/aead.h"

#include <climits>
#include <cstring>

#include <openssl/evp.h>

#include "base/check.h"
#include "crypto/secret.h"

namespace beamline::aead_internal {
namespace {

// Associated data and data through the context, in place.
void process(EVP_CIPHER_CTX* context, Bytes associated, MutableBytes data) {
  BL_CHECK(data.size() <= INT_MAX && associated.size() <= INT_MAX);
  int written = 0;
  if (!associated.empty()) {
    BL_CHECK(EVP_CipherUpdate(context, nullptr, &written, associated.data(),
                              static_cast<int>(associated.size())) == 1);
  }
  if (!data.empty()) {
    BL_CHECK(EVP_CipherUpdate(context, data.data(), &written, data.data(),
                              static_cast<int>(data.size())) == 1);
    BL_CHECK(static_cast<size_t>(written) == data.size());
  }
}

}  // namespace

EVP_CIPHER_CTX* Context::ready(const EVP_CIPHER* cipher, Bytes key, const uint8_t* nonce,
                               int encrypt) {
  if (holds(key)) {
    BL_CHECK(EVP_CipherInit_ex2(context_, nullptr, nullptr, nonce, encrypt, nullptr) == 1);
    return context_;
  }
  const EVP_CIPHER* type = nullptr;
  if (context_ == nullptr) {
    context_ = EVP_CIPHER_CTX_new();
    type = cipher;
  }
  BL_CHECK(key.size() <= key_.size());
  BL_CHECK(EVP_CipherInit_ex2(context_, type, key.data(), nonce, encrypt, nullptr) == 1);
  std::memcpy(key_.data(), key.data(), key.size());
  key_size_ = key.size();
  return context_;
}

void Context::forget_if(Bytes key) {
  if (holds(key)) forget();
}

void Context::forget() {
  EVP_CIPHER_CTX_free(context_);  // wipes the keyed state
  context_ = nullptr;
  secure_wipe(key_);
  key_size_ = 0;
}

void Contexts::seal(Bytes key, const uint8_t* nonce, Bytes associated, MutableBytes data,
                    uint8_t* tag) {
  EVP_CIPHER_CTX* context = seal_.ready(cipher_, key, nonce, 1);
  process(context, associated, data);
  int written = 0;
  uint8_t none[kTagSize];
  BL_CHECK(EVP_CipherFinal_ex(context, none, &written) == 1 && written == 0);
  BL_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag) == 1);
}

bool Contexts::open(Bytes key, const uint8_t* nonce, Bytes associated, MutableBytes data,
                    const uint8_t* tag) {
  EVP_CIPHER_CTX* context = open_.ready(cipher_, key, nonce, 0);
  uint8_t expected[kTagSize];
  std::memcpy(expected, tag, kTagSize);
  BL_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, expected) == 1);
  process(context, associated, data);
  int written = 0;
  uint8_t none[kTagSize];
  if (EVP_CipherFinal_ex(context, none, &written) == 1) return true;
  secure_wipe(data);  // what was not authenticated must not be used
  return false;
}

void Contexts::forget(Bytes key) {
  seal_.forget_if(key);
  open_.forget_if(key);
}

const EVP_CIPHER* fetch_cipher(const char* name) {
  const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  BL_CHECK(cipher != nullptr);
  return cipher;
}

}  // namespace beamline::aead_internal
