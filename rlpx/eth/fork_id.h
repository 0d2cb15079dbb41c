// Fork identifiers (EIP-2124; EIP-6122 for forks by time): a checksum of the genesis hash and every
// fork passed, and the next one. Whether two nodes can be of one chain shows without a header.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "crypto/hash.h"

namespace beamline::eth {

struct ForkId {
  std::array<uint8_t, 4> hash{};
  uint64_t next = 0;  // block number or time; 0: none known
  friend bool operator==(const ForkId&, const ForkId&) = default;
};

struct Head {
  uint64_t number = 0;
  uint64_t time = 0;
};

// A chain's forks. Read-only after it is made.
class ForkFilter {
 public:
  // Forks at genesis (0, or a time not after the genesis block's) do not count, nor do repetitions.
  // invalid_argument (local): not in order.
  static Result<ForkFilter> make(const Hash256& genesis, uint64_t genesis_time,
                                 std::span<const uint64_t> block_forks,
                                 std::span<const uint64_t> time_forks);

  ForkId at(const Head& head) const;
  // The hashes after the last `most` forks, passed or planned; genesis alone has one too.
  std::span<const std::array<uint8_t, 4>> latest(size_t most) const;
  // Errors (the peer's): mismatch ("fork_id.hash": another chain, or it lacks a fork that we have
  // passed; "fork_id.next": it does not know of one that we have passed).
  Status check(const ForkId& remote, const Head& head) const;

 private:
  bool passed(size_t fork, const Head& head) const {
    return (fork < block_forks_ ? head.number : head.time) >= forks_[fork];
  }

  std::vector<uint64_t> forks_;  // by block, then by time
  size_t block_forks_ = 0;
  std::vector<std::array<uint8_t, 4>> sums_;  // after so many forks
};

}  // namespace beamline::eth
