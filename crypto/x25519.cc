#include "crypto/x25519.h"

#include <cstring>
#include <memory>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/check.h"
#include "crypto/secret.h"

namespace beamline::x25519 {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Free>;

Key load_secret(Bytes secret) {
  Key key(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, secret.data(), kSize));
  BL_CHECK(key != nullptr);
  return key;
}

}  // namespace

SecretKey SecretKey::generate(Rng& rng) {
  std::array<uint8_t, kSize> bytes;
  rng.fill(bytes);
  SecretKey key{std::span<const uint8_t, kSize>(bytes)};
  secure_wipe(bytes);
  return key;
}

SecretKey::SecretKey(std::span<const uint8_t, kSize> bytes) {
  std::memcpy(secret_.data(), bytes.data(), kSize);
  size_t size = kSize;
  const Key key = load_secret(secret_);
  BL_CHECK(EVP_PKEY_get_raw_public_key(key.get(), public_.data(), &size) == 1 && size == kSize);
}

SecretKey::~SecretKey() { secure_wipe(secret_); }

SecretKey::SecretKey(SecretKey&& other) noexcept : secret_(other.secret_), public_(other.public_) {
  secure_wipe(other.secret_);
}

SecretKey& SecretKey::operator=(SecretKey&& other) noexcept {
  if (this == &other) return *this;
  secret_ = other.secret_;
  public_ = other.public_;
  secure_wipe(other.secret_);
  return *this;
}

Result<SharedSecret> SecretKey::exchange(const PublicKey& peer) const {
  const Key ours = load_secret(secret_);
  const Key theirs(EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, peer.data(), kSize));
  const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, ours.get(), nullptr));
  BL_CHECK(theirs != nullptr && context != nullptr);
  BL_CHECK(EVP_PKEY_derive_init(context.get()) == 1);
  BL_CHECK(EVP_PKEY_derive_set_peer(context.get(), theirs.get()) == 1);
  SharedSecret shared{};
  size_t size = kSize;
  // libcrypto refuses a result of zero.
  if (EVP_PKEY_derive(context.get(), shared.data(), &size) != 1 || size != kSize) {
    ERR_clear_error();
    return bad_input(Code::bad_key, "x25519.public_key");
  }
  return shared;
}

}  // namespace beamline::x25519
