// Keys and signatures that are read are written back as the same bytes; hashes do not depend on how
// their input is cut; what was sealed opens, and what a peer made up does not.
#include <algorithm>
#include <vector>

#include "base/check.h"
#include "crypto/aes.h"
#include "crypto/chacha20poly1305.h"
#include "crypto/keccak.h"
#include "crypto/secp256k1.h"
#include "crypto/sha256.h"
#include "crypto/x25519.h"

namespace beamline {
namespace {

void check_signature(Bytes input) {
  using secp256k1::Signature;
  if (const Result<Signature> signature = Signature::parse_der(input)) {
    std::array<uint8_t, secp256k1::kMaxDerSize> der;
    BL_CHECK(equal(Bytes(der).first(signature->write_der(der)), input));
    BL_CHECK(*Signature::parse_compact(signature->bytes) == *signature);
  }
  if (const auto signature = Signature::parse_der(input, secp256k1::HighS::accept)) {
    BL_CHECK(Signature::parse_compact(signature->bytes).has_value());  // turned into the low form
  }
  if (const Result<Signature> signature = Signature::parse_compact(input)) {
    BL_CHECK(equal(signature->bytes, input));
    const secp256k1::RecoverableSignature recoverable{*signature,
                                                      static_cast<uint8_t>(input[0] % 4)};
    const Hash256 digest = sha256(input);
    if (const auto key = secp256k1::recover(digest, recoverable)) {
      BL_CHECK(secp256k1::verify(*key, digest, *signature).has_value());
    }
  }
}

void check_key(Bytes input) {
  if (const auto key = secp256k1::PublicKey::parse(input)) {
    BL_CHECK(equal(key->compressed(), input) || equal(key->uncompressed(), input));
    BL_CHECK(*secp256k1::PublicKey::parse(key->uncompressed()) == *key);
  }
  if (const auto key = secp256k1::SecretKey::parse(input)) BL_CHECK(equal(key->bytes(), input));
  if (input.size() == x25519::kSize) {
    x25519::PublicKey peer;
    std::ranges::copy(input, peer.begin());
    static const x25519::SecretKey ours = [] {
      Rng rng(uint64_t{1});
      return x25519::SecretKey::generate(rng);
    }();
    if (const auto shared = ours.exchange(peer)) BL_CHECK(*shared != x25519::SharedSecret{});
  }
}

void check_hashes(Bytes input, size_t cut) {
  cut = std::min(cut, input.size());
  const Bytes a = input.first(cut), b = input.subspan(cut);
  BL_CHECK(sha256(a, b) == sha256(input));
  const Hash256 hash = keccak256(input);
  BL_CHECK(keccak256(a, b) == hash);
  const std::array<Bytes, 5> many = {input, a, b, {}, input};
  std::array<Hash256, 5> hashes;
  keccak256_many(many, hashes);
  BL_CHECK(hashes[0] == hash && hashes[4] == hash && hashes[1] == keccak256(a) &&
           hashes[2] == keccak256(b));
}

template <class Cipher>
void check_cipher(const Cipher& cipher, Bytes input) {
  const std::array<uint8_t, 12> nonce{};
  std::vector<uint8_t> data(input.begin(), input.end());
  std::array<uint8_t, 16> tag{};
  std::copy_n(input.begin(), std::min<size_t>(16, input.size()), tag.begin());
  BL_CHECK(!cipher.open(nonce, {}, data, tag));
  data.assign(input.begin(), input.end());
  cipher.seal(nonce, {}, data, tag);
  BL_CHECK(cipher.open(nonce, {}, data, tag).has_value() && equal(data, input));
}

}  // namespace
}  // namespace beamline

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size < 2) return 0;
  const Bytes input(data + 2, size - 2);
  static constexpr std::array<uint8_t, 32> kKey = {1, 2, 3};
  static const AesGcm gcm{Bytes(kKey)};
  static const ChaCha20Poly1305 chacha{std::span<const uint8_t, 32>(kKey)};
  switch (data[0] % 4) {
    case 0:
      check_signature(input);
      break;
    case 1:
      check_key(input);
      break;
    case 2:
      check_hashes(input, data[1]);
      break;
    default:
      check_cipher(gcm, input);
      check_cipher(chacha, input);
      break;
  }
  return 0;
}
