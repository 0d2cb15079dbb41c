// Fork versions, fork data and fork digests (consensus-specs phase0 beacon-chain,
// compute_fork_digest).
#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include "base/bytes.h"
#include "codec/root.h"

namespace beamline {

using ForkVersion = std::array<uint8_t, 4>;

struct ForkDigest {
  std::array<uint8_t, 4> bytes{};
  Bytes view() const { return bytes; }
  friend auto operator<=>(const ForkDigest&, const ForkDigest&) = default;
};

// The root of ForkData{version, genesis_validators_root}.
Root compute_fork_data_root(const ForkVersion& version, const Root& genesis_validators_root);
// Its first four bytes: the digest of all forks before Fulu.
ForkDigest compute_fork_digest(const ForkVersion& version, const Root& genesis_validators_root);

}  // namespace beamline
