#include "codec/reqresp_messages.h"

#include <cstddef>

namespace beamline {

const ssz::Type& Checkpoint::ssz_type() {
  static ssz::Field fields[] = {
      {"epoch", &ssz::kUint64, offsetof(Checkpoint, epoch)},
      {"root", &ssz::kBytes32, offsetof(Checkpoint, root)},
  };
  static const ssz::Type type = ssz::container("checkpoint", fields, sizeof(Checkpoint));
  return type;
}

const ssz::Type& StatusV1::ssz_type() {
  static ssz::Field fields[] = {
      {"fork_digest", &ssz::kBytes4, offsetof(StatusV1, fork_digest)},
      {"finalized_root", &ssz::kBytes32, offsetof(StatusV1, finalized_root)},
      {"finalized_epoch", &ssz::kUint64, offsetof(StatusV1, finalized_epoch)},
      {"head_root", &ssz::kBytes32, offsetof(StatusV1, head_root)},
      {"head_slot", &ssz::kUint64, offsetof(StatusV1, head_slot)},
  };
  static const ssz::Type type = ssz::container("status", fields, sizeof(StatusV1));
  return type;
}

const ssz::Type& StatusV2::ssz_type() {
  static ssz::Field fields[] = {
      {"fork_digest", &ssz::kBytes4, offsetof(StatusV2, fork_digest)},
      {"finalized_root", &ssz::kBytes32, offsetof(StatusV2, finalized_root)},
      {"finalized_epoch", &ssz::kUint64, offsetof(StatusV2, finalized_epoch)},
      {"head_root", &ssz::kBytes32, offsetof(StatusV2, head_root)},
      {"head_slot", &ssz::kUint64, offsetof(StatusV2, head_slot)},
      {"earliest_available_slot", &ssz::kUint64, offsetof(StatusV2, earliest_available_slot)},
  };
  static const ssz::Type type = ssz::container("status", fields, sizeof(StatusV2));
  return type;
}

const ssz::Type& Ping::ssz_type() {
  static ssz::Field fields[] = {{"seq_number", &ssz::kUint64, offsetof(Ping, seq_number)}};
  static const ssz::Type type = ssz::container("ping", fields, sizeof(Ping));
  return type;
}

const ssz::Type& Goodbye::ssz_type() {
  static ssz::Field fields[] = {{"reason", &ssz::kUint64, offsetof(Goodbye, reason)}};
  static const ssz::Type type = ssz::container("goodbye", fields, sizeof(Goodbye));
  return type;
}

namespace {

const ssz::Type& attnets_type() {
  static const ssz::Type type = ssz::bitvector("attnets", 64);
  return type;
}

const ssz::Type& syncnets_type() {
  static const ssz::Type type = ssz::bitvector("syncnets", 4);
  return type;
}

}  // namespace

const ssz::Type& MetaDataV1::ssz_type() {
  static ssz::Field fields[] = {
      {"seq_number", &ssz::kUint64, offsetof(MetaDataV1, seq_number)},
      {"attnets", &attnets_type(), offsetof(MetaDataV1, attnets)},
  };
  static const ssz::Type type = ssz::container("metadata", fields, sizeof(MetaDataV1));
  return type;
}

const ssz::Type& MetaDataV2::ssz_type() {
  static ssz::Field fields[] = {
      {"seq_number", &ssz::kUint64, offsetof(MetaDataV2, seq_number)},
      {"attnets", &attnets_type(), offsetof(MetaDataV2, attnets)},
      {"syncnets", &syncnets_type(), offsetof(MetaDataV2, syncnets)},
  };
  static const ssz::Type type = ssz::container("metadata", fields, sizeof(MetaDataV2));
  return type;
}

const ssz::Type& MetaDataV3::ssz_type() {
  static ssz::Field fields[] = {
      {"seq_number", &ssz::kUint64, offsetof(MetaDataV3, seq_number)},
      {"attnets", &attnets_type(), offsetof(MetaDataV3, attnets)},
      {"syncnets", &syncnets_type(), offsetof(MetaDataV3, syncnets)},
      {"custody_group_count", &ssz::kUint64, offsetof(MetaDataV3, custody_group_count)},
  };
  static const ssz::Type type = ssz::container("metadata", fields, sizeof(MetaDataV3));
  return type;
}

const ssz::Type& BlocksByHead::ssz_type() {
  static ssz::Field fields[] = {
      {"beacon_root", &ssz::kBytes32, offsetof(BlocksByHead, beacon_root)},
      {"count", &ssz::kUint64, offsetof(BlocksByHead, count)},
  };
  static const ssz::Type type = ssz::container("blocks_by_head", fields, sizeof(BlocksByHead));
  return type;
}

const ssz::Type& BlobSidecarsByRange::ssz_type() {
  static ssz::Field fields[] = {
      {"start_slot", &ssz::kUint64, offsetof(BlobSidecarsByRange, start_slot)},
      {"count", &ssz::kUint64, offsetof(BlobSidecarsByRange, count)},
  };
  static const ssz::Type type =
      ssz::container("blob_sidecars_by_range", fields, sizeof(BlobSidecarsByRange));
  return type;
}

const ssz::Type& EnrForkId::ssz_type() {
  static ssz::Field fields[] = {
      {"fork_digest", &ssz::kBytes4, offsetof(EnrForkId, fork_digest)},
      {"next_fork_version", &ssz::kBytes4, offsetof(EnrForkId, next_fork_version)},
      {"next_fork_epoch", &ssz::kUint64, offsetof(EnrForkId, next_fork_epoch)},
  };
  static const ssz::Type type = ssz::container("enr_fork_id", fields, sizeof(EnrForkId));
  return type;
}

const ssz::Type& BlocksByRange::ssz_type() {
  static ssz::Field fields[] = {
      {"start_slot", &ssz::kUint64, offsetof(BlocksByRange, start_slot)},
      {"count", &ssz::kUint64, offsetof(BlocksByRange, count)},
      {"step", &ssz::kUint64, offsetof(BlocksByRange, step)},
  };
  static const ssz::Type type = ssz::container("blocks_by_range", fields, sizeof(BlocksByRange));
  return type;
}

const ssz::Type& blocks_by_root_type() {
  static const ssz::Type type =
      ssz::list_of("block_roots", ssz::kBytes32, kMaxRequestBlocks, &ssz::list_ops<Root>());
  return type;
}

const ssz::Type& ForkData::ssz_type() {
  static ssz::Field fields[] = {
      {"current_version", &ssz::kBytes4, offsetof(ForkData, current_version)},
      {"genesis_validators_root", &ssz::kBytes32, offsetof(ForkData, genesis_validators_root)},
  };
  static const ssz::Type type = ssz::container("fork_data", fields, sizeof(ForkData));
  return type;
}

}  // namespace beamline
