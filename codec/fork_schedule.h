// When a chain's forks are, and the digests that name them on the wire (consensus-specs fulu
// p2p-interface and EIP-7892: from Fulu on, a change of the blob limit is a period of its own).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "codec/fork_digest.h"
#include "codec/preset.h"
#include "codec/reqresp_messages.h"
#include "codec/root.h"

namespace beamline {

inline constexpr Epoch kFarFutureEpoch = UINT64_MAX;

struct BlobParameters {
  Epoch epoch = 0;
  uint64_t max_blobs_per_block = 0;
  friend bool operator==(const BlobParameters&, const BlobParameters&) = default;
};

// compute_fork_digest of Fulu: the older one, xor SHA-256(epoch || limit)[:4].
ForkDigest compute_fork_digest(const ForkVersion& version, const Root& genesis_validators_root,
                               const BlobParameters& blobs);

// What a network's configuration says.
struct ChainConfig {
  struct ForkEpoch {
    Fork fork = Fork::phase0;
    Epoch epoch = 0;
    ForkVersion version{};
  };
  Root genesis_validators_root;
  std::vector<ForkEpoch> forks;  // in order, phase0 first; kFarFutureEpoch: not scheduled
  uint64_t max_blobs_per_block_electra = 9;
  std::vector<BlobParameters> blob_schedule;  // in order

  static const ChainConfig& mainnet();
};

// Read-only after it is made, thread safe.
class ForkSchedule {
 public:
  struct Period {
    Epoch epoch = 0;  // its first
    Fork fork = Fork::phase0;
    ForkVersion version{};
    ForkDigest digest;
    std::optional<BlobParameters> blobs;  // from Fulu on
  };

  // invalid_argument (local): no fork at epoch 0, forks out of order, two digests alike; unsorted:
  // a blob schedule that is not in order or begins before Fulu.
  static Result<ForkSchedule> make(const ChainConfig& config);

  // In order; what is scheduled only.
  std::span<const Period> periods() const { return periods_; }
  const Period& at(Epoch epoch) const;
  // Null for a digest that is not of this chain.
  const Period* find(const ForkDigest& digest) const;
  // The next change after `epoch`, whatever it is; null when none is scheduled.
  const Period* next(Epoch epoch) const;

  // For the ENR: "eth2" tells the next fork (not a change of the blob limit alone), "nfd" the next
  // digest, whichever; zeros where none is scheduled.
  EnrForkId enr_fork_id(Epoch epoch) const;
  ForkDigest next_fork_digest(Epoch epoch) const;

 private:
  std::vector<Period> periods_;
};

}  // namespace beamline
