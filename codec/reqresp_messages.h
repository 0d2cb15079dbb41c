// The small messages of eth2's req/resp protocols and their like, as owned values (consensus-specs
// p2p-interface). ssz::decode<T>(bytes), ssz::encode(value, out), ssz::encode_fixed(value).
#pragma once

#include <array>
#include <cstdint>

#include "codec/fork_digest.h"
#include "codec/root.h"
#include "codec/ssz.h"

namespace beamline {

struct Checkpoint {
  static constexpr size_t kSize = 40;
  Epoch epoch = 0;
  Root root;
  static const ssz::Type& ssz_type();
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// status/1.
struct StatusV1 {
  static constexpr size_t kSize = 84;
  ForkDigest fork_digest;
  Root finalized_root;
  Epoch finalized_epoch = 0;
  Root head_root;
  Slot head_slot = 0;
  static const ssz::Type& ssz_type();
  friend bool operator==(const StatusV1&, const StatusV1&) = default;
};

struct Ping {
  static constexpr size_t kSize = 8;
  uint64_t seq_number = 0;
  static const ssz::Type& ssz_type();
  friend bool operator==(const Ping&, const Ping&) = default;
};

struct Goodbye {
  static constexpr size_t kSize = 8;
  static constexpr uint64_t kShutdown = 1, kIrrelevantNetwork = 2, kFault = 3, kTooManyPeers = 129;
  uint64_t reason = 0;
  static const ssz::Type& ssz_type();
  friend bool operator==(const Goodbye&, const Goodbye&) = default;
};

struct MetaDataV1 {
  static constexpr size_t kSize = 16;
  uint64_t seq_number = 0;
  std::array<uint8_t, 8> attnets{};
  static const ssz::Type& ssz_type();
  friend bool operator==(const MetaDataV1&, const MetaDataV1&) = default;
};

struct MetaDataV2 {
  static constexpr size_t kSize = 17;
  uint64_t seq_number = 0;
  std::array<uint8_t, 8> attnets{};
  std::array<uint8_t, 1> syncnets{};
  static const ssz::Type& ssz_type();
  friend bool operator==(const MetaDataV2&, const MetaDataV2&) = default;
};

// beacon_blocks_by_range/1 and /2. `step` is 1 (a responder may treat others as 1).
struct BlocksByRange {
  static constexpr size_t kSize = 24;
  Slot start_slot = 0;
  uint64_t count = 0;
  uint64_t step = 1;
  static const ssz::Type& ssz_type();
  friend bool operator==(const BlocksByRange&, const BlocksByRange&) = default;
};

// beacon_blocks_by_root: a list of roots without anything around it. View::at(i).as_hash(), or the
// bytes as they are.
const ssz::Type& blocks_by_root_type();
inline constexpr size_t kMaxRequestBlocks = 1024;

struct ForkData {
  static constexpr size_t kSize = 36;
  ForkVersion current_version{};
  Root genesis_validators_root;
  static const ssz::Type& ssz_type();
  friend bool operator==(const ForkData&, const ForkData&) = default;
};

}  // namespace beamline
