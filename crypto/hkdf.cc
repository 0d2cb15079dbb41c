#include "crypto/hkdf.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "crypto/hmac.h"
#include "crypto/secret.h"

namespace beamline {

Hash256 hkdf_extract(Bytes salt, Bytes input_key) { return hmac_sha256(salt, input_key); }

void hkdf_expand(Bytes pseudo_random_key, Bytes info, MutableBytes out) {
  BL_CHECK(out.size() <= kHkdfMaxOutput);
  HmacSha256 hmac(pseudo_random_key);
  Hash256 block;
  for (uint8_t counter = 1; !out.empty(); ++counter) {
    if (counter > 1) hmac.update(block.view());
    block = hmac.update(info).update({&counter, 1}).finish();
    const size_t take = std::min(out.size(), block.bytes.size());
    std::memcpy(out.data(), block.bytes.data(), take);
    out = out.subspan(take);
  }
  secure_wipe(block.bytes);
}

void hkdf_sha256(Bytes input_key, Bytes salt, Bytes info, MutableBytes out) {
  Hash256 key = hkdf_extract(salt, input_key);
  hkdf_expand(key.view(), info, out);
  secure_wipe(key.bytes);
}

}  // namespace beamline
