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

// status/2 (fulu).
struct StatusV2 {
  static constexpr size_t kSize = 92;
  ForkDigest fork_digest;
  Root finalized_root;
  Epoch finalized_epoch = 0;
  Root head_root;
  Slot head_slot = 0;
  Slot earliest_available_slot = 0;
  static const ssz::Type& ssz_type();
  friend bool operator==(const StatusV2&, const StatusV2&) = default;
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

// metadata/3 (fulu).
struct MetaDataV3 {
  static constexpr size_t kSize = 25;
  uint64_t seq_number = 0;
  std::array<uint8_t, 8> attnets{};
  std::array<uint8_t, 1> syncnets{};
  uint64_t custody_group_count = 0;
  static const ssz::Type& ssz_type();
  friend bool operator==(const MetaDataV3&, const MetaDataV3&) = default;
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

// beacon_blocks_by_head/1 (fulu): descending from `root`.
struct BlocksByHead {
  static constexpr size_t kSize = 40;
  Root beacon_root;
  uint64_t count = 0;
  static const ssz::Type& ssz_type();
  friend bool operator==(const BlocksByHead&, const BlocksByHead&) = default;
};

// blob_sidecars_by_range/1 (deneb).
struct BlobSidecarsByRange {
  static constexpr size_t kSize = 16;
  Slot start_slot = 0;
  uint64_t count = 0;
  static const ssz::Type& ssz_type();
  friend bool operator==(const BlobSidecarsByRange&, const BlobSidecarsByRange&) = default;
};

// The value of the ENR key "eth2" (phase0 p2p-interface).
struct EnrForkId {
  static constexpr size_t kSize = 16;
  ForkDigest fork_digest;
  ForkVersion next_fork_version{};
  Epoch next_fork_epoch = 0;
  static const ssz::Type& ssz_type();
  friend bool operator==(const EnrForkId&, const EnrForkId&) = default;
};

struct ForkData {
  static constexpr size_t kSize = 36;
  ForkVersion current_version{};
  Root genesis_validators_root;
  static const ssz::Type& ssz_type();
  friend bool operator==(const ForkData&, const ForkData&) = default;
};

}  // namespace beamline
