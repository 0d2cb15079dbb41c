#include "rlpx/ecies.h"

#include <array>
#include <cstring>

#include "crypto/aes.h"
#include "crypto/hmac.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"

namespace beamline::rlpx {
namespace {

constexpr size_t kCipherKeySize = 16;

struct Keys {
  Hash256 derived;  // its first half is the cipher's key, the hash of its second the tag's
  Hash256 tag;

  explicit Keys(std::array<uint8_t, 32> shared) {
    static constexpr uint8_t kCounter[4] = {0, 0, 0, 1};
    derived = sha256(kCounter, shared);
    tag = sha256(derived.view().subspan(kCipherKeySize));
    secure_wipe(shared);
  }
  ~Keys() {
    secure_wipe(derived.bytes);
    secure_wipe(tag.bytes);
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  void crypt(const uint8_t* iv, MutableBytes data) const {
    AesBlockBytes counter;
    std::memcpy(counter.data(), iv, counter.size());
    aes_ctr(derived.view().first(kCipherKeySize), counter, data);
  }
  // Of what lies after the point, without the tag.
  Hash256 code(Bytes iv_and_data, Bytes authenticated) const {
    return HmacSha256(tag.view()).update(iv_and_data).update(authenticated).finish();
  }
};

}  // namespace

void ecies_encrypt(const secp256k1::PublicKey& recipient, Bytes plain, Bytes authenticated,
                   Rng& rng, std::vector<uint8_t>& out) {
  const auto ephemeral = secp256k1::SecretKey::generate(rng);
  const Keys keys(ephemeral.ecdh_x(recipient));
  const size_t at = out.size();
  out.resize(at + plain.size() + kEciesOverhead);
  uint8_t* const message = out.data() + at;
  const auto point = ephemeral.public_key().uncompressed();
  std::memcpy(message, point.data(), point.size());
  uint8_t* const iv = message + kEciesPointSize;
  rng.fill({iv, kEciesIvSize});
  uint8_t* const data = iv + kEciesIvSize;
  if (!plain.empty()) std::memcpy(data, plain.data(), plain.size());
  keys.crypt(iv, {data, plain.size()});
  const Hash256 tag = keys.code({iv, kEciesIvSize + plain.size()}, authenticated);
  std::memcpy(data + plain.size(), tag.bytes.data(), kEciesTagSize);
}

Result<MutableBytes> ecies_decrypt(const secp256k1::SecretKey& recipient, MutableBytes message,
                                   Bytes authenticated) {
  if (message.size() < kEciesOverhead) {
    return bad_input(Code::truncated, "ecies.message", message.size());
  }
  const auto point = secp256k1::PublicKey::parse(message.first(kEciesPointSize));
  if (!point) return bad_input(point.error().code, "ecies.point");
  const Keys keys(recipient.ecdh_x(*point));
  const Bytes tag = message.last(kEciesTagSize);
  const MutableBytes covered =
      message.subspan(kEciesPointSize, message.size() - kEciesPointSize - kEciesTagSize);
  if (!constant_time_equal(keys.code(covered, authenticated).view(), tag)) {
    return bad_input(Code::bad_checksum, "ecies.tag", message.size() - kEciesTagSize);
  }
  const MutableBytes data = covered.subspan(kEciesIvSize);
  keys.crypt(covered.data(), data);
  return data;
}

}  // namespace beamline::rlpx
