#include "crypto/hash.h"

#include "base/check.h"

namespace beamline {

Hash256 Hash256::from(Bytes from) {
  BL_CHECK(from.size() == kSize);
  return load(from.data());
}

}  // namespace beamline
