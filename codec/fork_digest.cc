#include "codec/fork_digest.h"

#include <algorithm>

#include "crypto/sha256.h"

namespace beamline {

Root compute_fork_data_root(const ForkVersion& version, const Root& genesis_validators_root) {
  Hash256 chunk;
  std::copy(version.begin(), version.end(), chunk.bytes.begin());
  return sha256_pair(chunk, genesis_validators_root);
}

ForkDigest compute_fork_digest(const ForkVersion& version, const Root& genesis_validators_root) {
  const Root root = compute_fork_data_root(version, genesis_validators_root);
  ForkDigest digest;
  std::copy_n(root.bytes.begin(), digest.bytes.size(), digest.bytes.begin());
  return digest;
}

}  // namespace beamline
