#include "crypto/aes.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

#include <openssl/evp.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/secret.h"

namespace beamline {
namespace {

using aead_internal::fetch_cipher;

constexpr size_t kSmallKey = 16;
constexpr size_t kLargeKey = 32;

aead_internal::Contexts& gcm_contexts(size_t key_size) {
  static const EVP_CIPHER* const kSmall = fetch_cipher("AES-128-GCM");
  static const EVP_CIPHER* const kLarge = fetch_cipher("AES-256-GCM");
  thread_local aead_internal::Contexts small(kSmall);
  thread_local aead_internal::Contexts large(kLarge);
  return key_size == kSmallKey ? small : large;
}

const EVP_CIPHER* ctr_cipher(size_t key_size) {
  static const EVP_CIPHER* const kSmall = fetch_cipher("AES-128-CTR");
  static const EVP_CIPHER* const kLarge = fetch_cipher("AES-256-CTR");
  BL_CHECK(key_size == kSmallKey || key_size == kLargeKey);
  return key_size == kSmallKey ? kSmall : kLarge;
}

const EVP_CIPHER* block_cipher() {
  static const EVP_CIPHER* const kFetched = fetch_cipher("AES-256-ECB");
  return kFetched;
}

void update(EVP_CIPHER_CTX* context, uint8_t* to, const uint8_t* from, size_t size) {
  BL_CHECK(size <= INT_MAX);
  int written = 0;
  BL_CHECK(EVP_EncryptUpdate(context, to, &written, from, static_cast<int>(size)) == 1);
  BL_CHECK(static_cast<size_t>(written) == size);
}

void key_context(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, const uint8_t* key,
                 const uint8_t* counter) {
  BL_CHECK(context != nullptr);
  BL_CHECK(EVP_EncryptInit_ex2(context, cipher, key, counter, nullptr) == 1);
  BL_CHECK(EVP_CIPHER_CTX_set_padding(context, 0) == 1);
}

// A context that is freed with its thread.
struct OwnedContext {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  ~OwnedContext() { EVP_CIPHER_CTX_free(context); }
};

}  // namespace

AesGcm::AesGcm(Bytes key) : key_size_(key.size()) {
  BL_CHECK(key.size() == kSmallKey || key.size() == kLargeKey);
  std::memcpy(key_.data(), key.data(), key.size());
}

Result<AesGcm> AesGcm::from_key(Bytes key) {
  if (key.size() != kSmallKey && key.size() != kLargeKey) {
    return local_error(Code::invalid_argument, "aes_gcm.key");
  }
  return AesGcm(key);
}

Result<AesGcm::Nonce> AesGcm::to_nonce(Bytes bytes) {
  Nonce nonce;
  if (bytes.size() != nonce.size()) return local_error(Code::invalid_argument, "aes_gcm.nonce");
  std::memcpy(nonce.data(), bytes.data(), nonce.size());
  return nonce;
}

AesGcm::~AesGcm() {
  gcm_contexts(key_size_).forget(key());
  secure_wipe(key_);
}

AesGcm::AesGcm(AesGcm&& other) noexcept : key_(other.key_), key_size_(other.key_size_) {
  secure_wipe(other.key_);
}

AesGcm& AesGcm::operator=(AesGcm&& other) noexcept {
  if (this == &other) return *this;
  gcm_contexts(key_size_).forget(key());
  key_ = other.key_;
  key_size_ = other.key_size_;
  secure_wipe(other.key_);
  return *this;
}

void AesGcm::seal(const Nonce& nonce, Bytes associated, MutableBytes data,
                  std::span<uint8_t, kTagSize> tag) const {
  gcm_contexts(key_size_).seal(key(), nonce.data(), associated, data, tag.data());
}

Status AesGcm::open(const Nonce& nonce, Bytes associated, MutableBytes data,
                    std::span<const uint8_t, kTagSize> tag) const {
  if (gcm_contexts(key_size_).open(key(), nonce.data(), associated, data, tag.data())) return {};
  return bad_input(Code::decrypt_failed, "aes_gcm.tag", data.size());
}

AesCtr::AesCtr(Bytes key, const AesBlockBytes& initial_counter) : context_(EVP_CIPHER_CTX_new()) {
  key_context(context_, ctr_cipher(key.size()), key.data(), initial_counter.data());
}

AesCtr::~AesCtr() { EVP_CIPHER_CTX_free(context_); }  // wipes the keyed state

AesCtr::AesCtr(AesCtr&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

AesCtr& AesCtr::operator=(AesCtr&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

void AesCtr::process(MutableBytes data) {
  if (!data.empty()) update(context_, data.data(), data.data(), data.size());
}

AesMask::AesMask(std::span<const uint8_t, 16> key) : context_(EVP_CIPHER_CTX_new()) {
  static const EVP_CIPHER* const kFetched = fetch_cipher("AES-128-ECB");
  key_context(context_, kFetched, key.data(), nullptr);
}

AesMask::~AesMask() { EVP_CIPHER_CTX_free(context_); }

AesMask::AesMask(AesMask&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

AesMask& AesMask::operator=(AesMask&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

// The counters of four blocks at once, through the bare cipher: it needs no new start as CTR does.
void AesMask::process(const AesBlockBytes& initial_counter, MutableBytes data) {
  constexpr size_t kBlocks = 4;
  AesBlockBytes counter = initial_counter;
  std::array<uint8_t, kBlocks * kAesBlockSize> stream;
  while (!data.empty()) {
    const size_t size = std::min(data.size(), stream.size());
    const size_t blocks = (size + kAesBlockSize - 1) / kAesBlockSize;
    for (size_t block = 0; block < blocks; ++block) {
      std::memcpy(stream.data() + block * kAesBlockSize, counter.data(), counter.size());
      for (size_t i = counter.size(); i > 0 && ++counter[i - 1] == 0; --i) {
      }
    }
    update(context_, stream.data(), stream.data(), blocks * kAesBlockSize);
    for (size_t i = 0; i < size; ++i) data[i] ^= stream[i];
    data = data.subspan(size);
  }
}

void aes_ctr(Bytes key, const AesBlockBytes& initial_counter, MutableBytes data) {
  thread_local OwnedContext small;
  thread_local OwnedContext large;
  const EVP_CIPHER* const cipher = ctr_cipher(key.size());
  EVP_CIPHER_CTX* const context = key.size() == kSmallKey ? small.context : large.context;
  // The cipher is looked at again only when the context has none yet.
  const bool first = EVP_CIPHER_CTX_get0_cipher(context) == nullptr;
  key_context(context, first ? cipher : nullptr, key.data(), initial_counter.data());
  if (!data.empty()) update(context, data.data(), data.data(), data.size());
}

Aes256Block::Aes256Block(std::span<const uint8_t, 32> key) : context_(EVP_CIPHER_CTX_new()) {
  key_context(context_, block_cipher(), key.data(), nullptr);
}

Aes256Block::~Aes256Block() { EVP_CIPHER_CTX_free(context_); }

Aes256Block::Aes256Block(Aes256Block&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

Aes256Block& Aes256Block::operator=(Aes256Block&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

AesBlockBytes Aes256Block::encrypt(const AesBlockBytes& block) {
  AesBlockBytes out;
  update(context_, out.data(), block.data(), block.size());
  return out;
}

}  // namespace beamline
