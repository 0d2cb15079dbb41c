#include "crypto/hmac.h"

#include <algorithm>
#include <array>

#include "crypto/secret.h"

namespace beamline {
namespace {

template <class T>
void wipe(T& object) {
  static_assert(std::is_trivially_copyable_v<T>);
  secure_wipe({reinterpret_cast<uint8_t*>(&object), sizeof(object)});
}

}  // namespace

HmacSha256::HmacSha256(Bytes key) {
  std::array<uint8_t, 64> block{};
  if (key.size() > block.size()) {
    const Hash256 hashed = sha256(key);
    std::copy(hashed.bytes.begin(), hashed.bytes.end(), block.begin());
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  for (uint8_t& byte : block) byte ^= 0x36;
  inner_key_.update(block);
  for (uint8_t& byte : block) byte ^= 0x36 ^ 0x5c;
  outer_key_.update(block);
  inner_ = inner_key_;
  secure_wipe(block);
}

HmacSha256::~HmacSha256() {
  wipe(inner_key_);
  wipe(outer_key_);
  wipe(inner_);
}

HmacSha256& HmacSha256::update(Bytes bytes) {
  inner_.update(bytes);
  return *this;
}

Hash256 HmacSha256::finish() {
  const Hash256 inner = inner_.finish();
  inner_ = inner_key_;
  Sha256 outer = outer_key_;
  return outer.update(inner.view()).finish();
}

Hash256 hmac_sha256(Bytes key, Bytes data) { return HmacSha256(key).update(data).finish(); }

}  // namespace beamline
