#include "crypto/chacha20poly1305.h"

#include <climits>
#include <cstring>

#include <openssl/evp.h>

#include "base/check.h"
#include "crypto/secret.h"

namespace beamline {
namespace {

using Key = std::array<uint8_t, ChaCha20Poly1305::kKeySize>;

const EVP_CIPHER* cipher() {
  static const EVP_CIPHER* const kFetched = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  BL_CHECK(kFetched != nullptr);
  return kFetched;
}

// A keyed context for one direction.
class Context {
 public:
  ~Context() { forget(); }

  // The context of `key`, ready for a message with this nonce.
  EVP_CIPHER_CTX* ready(const Key& key, const uint8_t* nonce, int encrypt) {
    if (keyed_ && key_ == key) {
      BL_CHECK(EVP_CipherInit_ex2(context_, nullptr, nullptr, nonce, encrypt, nullptr) == 1);
      return context_;
    }
    const EVP_CIPHER* type = nullptr;
    if (context_ == nullptr) {
      context_ = EVP_CIPHER_CTX_new();
      type = cipher();
    }
    BL_CHECK(EVP_CipherInit_ex2(context_, type, key.data(), nonce, encrypt, nullptr) == 1);
    key_ = key;
    keyed_ = true;
    return context_;
  }

  void forget_if(const Key& key) {
    if (keyed_ && key_ == key) forget();
  }

 private:
  void forget() {
    EVP_CIPHER_CTX_free(context_);  // wipes the keyed state
    context_ = nullptr;
    secure_wipe(key_);
    keyed_ = false;
  }

  EVP_CIPHER_CTX* context_ = nullptr;
  Key key_{};
  bool keyed_ = false;
};

struct Contexts {
  Context seal;
  Context open;
  void forget(const Key& key) {
    seal.forget_if(key);
    open.forget_if(key);
  }
};

Contexts& contexts() {
  thread_local Contexts both;
  return both;
}

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

ChaCha20Poly1305::ChaCha20Poly1305(std::span<const uint8_t, kKeySize> key) {
  std::memcpy(key_.data(), key.data(), kKeySize);
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
  EVP_CIPHER_CTX* context = contexts().seal.ready(key_, nonce.data(), 1);
  process(context, associated, data);
  int written = 0;
  uint8_t none[kTagSize];
  BL_CHECK(EVP_CipherFinal_ex(context, none, &written) == 1 && written == 0);
  BL_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag.data()) == 1);
}

Status ChaCha20Poly1305::open(const Nonce& nonce, Bytes associated, MutableBytes data,
                              std::span<const uint8_t, kTagSize> tag) const {
  EVP_CIPHER_CTX* context = contexts().open.ready(key_, nonce.data(), 0);
  uint8_t expected[kTagSize];
  std::memcpy(expected, tag.data(), kTagSize);
  BL_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, expected) == 1);
  process(context, associated, data);
  int written = 0;
  uint8_t none[kTagSize];
  if (EVP_CipherFinal_ex(context, none, &written) == 1) return {};
  secure_wipe(data);  // what was not authenticated must not be used
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
