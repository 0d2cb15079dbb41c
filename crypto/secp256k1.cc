#include "crypto/secp256k1.h"

#include <cstring>

#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_recovery.h>

#include "base/check.h"
#include "crypto/secret.h"

namespace beamline::secp256k1 {
namespace {

static_assert(sizeof(secp256k1_pubkey) == 64);
static_assert(sizeof(secp256k1_ecdsa_signature) == 64);

const secp256k1_context* context() {
  static const secp256k1_context* const kContext = [] {
    secp256k1_context* made =
        secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
    BL_CHECK(made != nullptr);
    // Blinding against side channels: it changes no result, so it may differ from run to run.
    std::array<uint8_t, 32> seed;
    Rng::from_system().fill(seed);
    BL_CHECK(secp256k1_context_randomize(made, seed.data()) == 1);
    secure_wipe(seed);
    return made;
  }();
  return kContext;
}

// From the library's form, turning the second form of s into the first where that is allowed.
Result<Signature> finish_parse(secp256k1_ecdsa_signature parsed, HighS high_s) {
  const bool was_high = secp256k1_ecdsa_signature_normalize(context(), &parsed, &parsed) == 1;
  if (was_high && high_s == HighS::reject) {
    return bad_input(Code::non_canonical, "signature.s");
  }
  Signature signature;
  secp256k1_ecdsa_signature_serialize_compact(context(), signature.bytes.data(), &parsed);
  const auto is_zero = [](Bytes half) { return equal(half, Hash256::zero().view()); };
  const Bytes bytes = signature.bytes;
  if (is_zero(bytes.first(32))) return bad_input(Code::bad_signature, "signature.r");
  if (is_zero(bytes.last(32))) return bad_input(Code::bad_signature, "signature.s");
  return signature;
}

secp256k1_ecdsa_signature to_library(const Signature& signature) {
  secp256k1_ecdsa_signature parsed;
  // Both numbers are below the order, or the object was not made by us: then they are zero, and
  // nothing verifies.
  if (secp256k1_ecdsa_signature_parse_compact(context(), &parsed, signature.bytes.data()) != 1) {
    std::memset(&parsed, 0, sizeof(parsed));
  }
  return parsed;
}

int copy_x(unsigned char* out, const unsigned char* x, const unsigned char*, void*) {
  std::memcpy(out, x, 32);
  return 1;
}

int copy_point(unsigned char* out, const unsigned char* x, const unsigned char* y, void*) {
  out[0] = static_cast<unsigned char>(2 | (y[31] & 1));
  std::memcpy(out + 1, x, 32);
  return 1;
}

}  // namespace

struct Access {
  static secp256k1_pubkey get(const PublicKey& key) {
    secp256k1_pubkey point;
    std::memcpy(&point, key.point_.data(), sizeof(point));
    return point;
  }
  static PublicKey make(const secp256k1_pubkey& point) {
    PublicKey key;
    std::memcpy(key.point_.data(), &point, sizeof(point));
    return key;
  }
  template <size_t kSize>
  static std::array<uint8_t, kSize> serialize(const PublicKey& key, unsigned flags) {
    std::array<uint8_t, kSize> out;
    size_t size = kSize;
    const secp256k1_pubkey point = get(key);
    BL_CHECK(secp256k1_ec_pubkey_serialize(context(), out.data(), &size, &point, flags) == 1);
    BL_CHECK(size == kSize);
    return out;
  }
};

Result<PublicKey> PublicKey::parse(Bytes bytes) {
  const bool compressed = bytes.size() == kCompressedSize && (bytes[0] == 2 || bytes[0] == 3);
  const bool uncompressed = bytes.size() == kUncompressedSize && bytes[0] == 4;
  if (!compressed && !uncompressed) return bad_input(Code::bad_encoding, "secp256k1.public_key");
  secp256k1_pubkey point;
  if (secp256k1_ec_pubkey_parse(context(), &point, bytes.data(), bytes.size()) != 1) {
    return bad_input(Code::bad_key, "secp256k1.public_key");
  }
  return Access::make(point);
}

std::array<uint8_t, kCompressedSize> PublicKey::compressed() const {
  return Access::serialize<kCompressedSize>(*this, SECP256K1_EC_COMPRESSED);
}

std::array<uint8_t, kUncompressedSize> PublicKey::uncompressed() const {
  return Access::serialize<kUncompressedSize>(*this, SECP256K1_EC_UNCOMPRESSED);
}

Result<Signature> Signature::parse_compact(Bytes bytes, HighS high_s) {
  if (bytes.size() != 64) return bad_input(Code::bad_encoding, "signature");
  secp256k1_ecdsa_signature parsed;
  if (secp256k1_ecdsa_signature_parse_compact(context(), &parsed, bytes.data()) != 1) {
    return bad_input(Code::bad_signature, "signature");
  }
  return finish_parse(parsed, high_s);
}

Result<Signature> Signature::parse_der(Bytes der, HighS high_s) {
  if (der.empty()) return bad_input(Code::truncated, "signature.der");
  if (der.size() > kMaxDerSize) return bad_input(Code::too_long, "signature.der");
  secp256k1_ecdsa_signature parsed;
  if (secp256k1_ecdsa_signature_parse_der(context(), &parsed, der.data(), der.size()) != 1) {
    return bad_input(Code::bad_encoding, "signature.der");
  }
  // The library reads numbers that are negative or over the order as zero: only what it writes
  // back the same way is the one encoding of these numbers.
  std::array<uint8_t, kMaxDerSize> again;
  size_t size = again.size();
  if (secp256k1_ecdsa_signature_serialize_der(context(), again.data(), &size, &parsed) != 1 ||
      !equal(der, Bytes(again).first(size))) {
    return bad_input(Code::non_canonical, "signature.der");
  }
  return finish_parse(parsed, high_s);
}

size_t Signature::write_der(std::span<uint8_t, kMaxDerSize> out) const {
  size_t size = out.size();
  const secp256k1_ecdsa_signature parsed = to_library(*this);
  BL_CHECK(secp256k1_ecdsa_signature_serialize_der(context(), out.data(), &size, &parsed) == 1);
  return size;
}

SecretKey SecretKey::generate(Rng& rng) {
  for (;;) {  // all but one in 2^127 tries succeed
    std::array<uint8_t, kSize> bytes;
    rng.fill(bytes);
    Result<SecretKey> key = parse(bytes);
    secure_wipe(bytes);
    if (key) return std::move(*key);
  }
}

Result<SecretKey> SecretKey::parse(Bytes bytes) {
  if (bytes.size() != kSize || secp256k1_ec_seckey_verify(context(), bytes.data()) != 1) {
    return local_error(Code::bad_key, "secp256k1.secret_key");
  }
  secp256k1_pubkey point;
  BL_CHECK(secp256k1_ec_pubkey_create(context(), &point, bytes.data()) == 1);
  SecretKey key(Access::make(point));
  std::memcpy(key.secret_.data(), bytes.data(), kSize);
  return key;
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

Signature SecretKey::sign(const Hash256& digest) const {
  secp256k1_ecdsa_signature made;
  BL_CHECK(secp256k1_ecdsa_sign(context(), &made, digest.bytes.data(), secret_.data(), nullptr,
                                nullptr) == 1);
  Signature signature;
  secp256k1_ecdsa_signature_serialize_compact(context(), signature.bytes.data(), &made);
  return signature;
}

RecoverableSignature SecretKey::sign_recoverable(const Hash256& digest) const {
  secp256k1_ecdsa_recoverable_signature made;
  BL_CHECK(secp256k1_ecdsa_sign_recoverable(context(), &made, digest.bytes.data(), secret_.data(),
                                            nullptr, nullptr) == 1);
  RecoverableSignature signature;
  int id = 0;
  secp256k1_ecdsa_recoverable_signature_serialize_compact(
      context(), signature.signature.bytes.data(), &id, &made);
  signature.recovery_id = static_cast<uint8_t>(id);
  return signature;
}

std::array<uint8_t, 32> SecretKey::ecdh_x(const PublicKey& peer) const {
  std::array<uint8_t, 32> out;
  const secp256k1_pubkey point = Access::get(peer);
  BL_CHECK(secp256k1_ecdh(context(), out.data(), &point, secret_.data(), copy_x, nullptr) == 1);
  return out;
}

std::array<uint8_t, kCompressedSize> SecretKey::ecdh_point(const PublicKey& peer) const {
  std::array<uint8_t, kCompressedSize> out;
  const secp256k1_pubkey point = Access::get(peer);
  BL_CHECK(secp256k1_ecdh(context(), out.data(), &point, secret_.data(), copy_point, nullptr) == 1);
  return out;
}

Status verify(const PublicKey& key, const Hash256& digest, const Signature& signature) {
  const secp256k1_pubkey point = Access::get(key);
  const secp256k1_ecdsa_signature parsed = to_library(signature);
  if (secp256k1_ecdsa_verify(context(), &parsed, digest.bytes.data(), &point) != 1) {
    return bad_input(Code::bad_signature, "signature");
  }
  return {};
}

Result<PublicKey> recover(const Hash256& digest, const RecoverableSignature& signature) {
  secp256k1_ecdsa_recoverable_signature parsed;
  if (signature.recovery_id > 3 ||
      secp256k1_ecdsa_recoverable_signature_parse_compact(
          context(), &parsed, signature.signature.bytes.data(), signature.recovery_id) != 1) {
    return bad_input(Code::bad_signature, "signature");
  }
  secp256k1_pubkey point;
  if (secp256k1_ecdsa_recover(context(), &point, &parsed, digest.bytes.data()) != 1) {
    return bad_input(Code::bad_signature, "signature");
  }
  return Access::make(point);
}

}  // namespace beamline::secp256k1
