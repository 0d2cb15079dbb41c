#include "crypto/secret.h"

#include <openssl/crypto.h>

namespace beamline {

bool constant_time_equal(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

void secure_wipe(MutableBytes memory) {
  if (!memory.empty()) OPENSSL_cleanse(memory.data(), memory.size());
}

}  // namespace beamline
