// HMAC-SHA-256 (RFC 2104) on crypto/sha256.h.
#pragma once

#include "base/bytes.h"
#include "crypto/hash.h"
#include "crypto/sha256.h"

namespace beamline {

// One thread at a time. The key's states are wiped on destruction.
class HmacSha256 {
 public:
  explicit HmacSha256(Bytes key);
  ~HmacSha256();
  HmacSha256(const HmacSha256&) = default;
  HmacSha256& operator=(const HmacSha256&) = default;

  HmacSha256& update(Bytes bytes);
  // The code of what was fed; the object starts anew with the same key.
  Hash256 finish();

 private:
  Sha256 inner_key_;  // after the padded key; copied at each start
  Sha256 outer_key_;
  Sha256 inner_;
};

Hash256 hmac_sha256(Bytes key, Bytes data);

}  // namespace beamline
