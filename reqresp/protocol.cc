#include "reqresp/protocol.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "codec/reqresp_messages.h"
#include "codec/sidecar.h"

namespace beamline::reqresp {
namespace {

constexpr auto kMaxBlocks = static_cast<uint32_t>(kMaxRequestBlocks);

// SignedBeaconBlock: offset 4, signature 96, message 84, and of the body 220 that is fixed.
constexpr uint32_t kBlockMin = 404;
// Phase0 with every list full, mainnet limits: 16 proposer slashings of 416, 2 attester slashings
// of 33,236, 128 attestations of 489, 16 deposits of 1,240, 16 exits of 112.
constexpr uint32_t kPhase0BlockMax =
    kBlockMin + 16 * 416 + 2 * 33'236 + 128 * 489 + 16 * 1'240 + 16 * 112;
static_assert(kPhase0BlockMax == 157'756);

// One message there, one back.
constexpr ProtocolInfo single(Protocol protocol, std::string_view id, uint32_t request,
                              uint32_t chunk, uint16_t quota, uint8_t quota_seconds,
                              Count count = Count::one) {
  return {.protocol = protocol,
          .id = id,
          .request_min = request,
          .request_max = request,
          .request_step = 0,
          .chunk_min = chunk,
          .chunk_max = chunk,
          .max_chunks = 1,
          .count = count,
          .count_offset = 0,
          .has_context = false,
          .quota = quota,
          .quota_seconds = quota_seconds};
}

// (start slot, count, step), u64 each. Version 2 puts the fork digest before each block.
constexpr ProtocolInfo by_range(Protocol protocol, std::string_view id, bool version_2) {
  return {.protocol = protocol,
          .id = id,
          .request_min = 24,
          .request_max = 24,
          .request_step = 0,
          .chunk_min = kBlockMin,
          .chunk_max = version_2 ? kMaxPayload : kPhase0BlockMax,
          .max_chunks = kMaxBlocks,
          .count = Count::field,
          .count_offset = 8,
          .has_context = version_2,
          .quota = 1024,
          .quota_seconds = 10};
}

constexpr ProtocolInfo by_root(Protocol protocol, std::string_view id, bool version_2) {
  return {.protocol = protocol,
          .id = id,
          .request_min = 0,
          .request_max = 32 * kMaxBlocks,
          .request_step = 32,
          .chunk_min = kBlockMin,
          .chunk_max = version_2 ? kMaxPayload : kPhase0BlockMax,
          .max_chunks = kMaxBlocks,
          .count = Count::entries,
          .count_offset = 0,
          .has_context = version_2,
          .quota = 128,
          .quota_seconds = 10};
}

// (root, count): the block and its ancestors. There is no version without a fork digest.
constexpr uint32_t kMaxBlocksByHead = 128;  // MAX_REQUEST_BLOCKS_DENEB
constexpr ProtocolInfo by_head(Protocol protocol, std::string_view id) {
  return {.protocol = protocol,
          .id = id,
          .request_min = 40,
          .request_max = 40,
          .request_step = 0,
          .chunk_min = kBlockMin,
          .chunk_max = kMaxPayload,
          .max_chunks = kMaxBlocksByHead,
          .count = Count::field,
          .count_offset = 32,
          .has_context = true,
          .quota = 128,
          .quota_seconds = 10};
}

// (root, index) for each. A sidecar's size is that of its blob, and 856.
constexpr uint32_t kBlobSidecar = 131'928;
constexpr ProtocolInfo blobs_by_root(Protocol protocol, std::string_view id) {
  return {.protocol = protocol,
          .id = id,
          .request_min = 0,
          .request_max = 40 * kMaxRequestBlobSidecars,
          .request_step = 40,
          .chunk_min = kBlobSidecar,
          .chunk_max = kBlobSidecar,
          .max_chunks = kMaxRequestBlobSidecars,
          .count = Count::entries,
          .count_offset = 0,
          .has_context = true,
          .quota = 768,
          .quota_seconds = 10};
}

// (root, columns) for each block. A column has a cell, a commitment and a proof for each of up to
// 4,096 blobs.
constexpr uint32_t kColumnMin = 356, kColumnMax = kColumnMin + 4096 * (2048 + 48 + 48);
constexpr ProtocolInfo columns_by_root(Protocol protocol, std::string_view id) {
  return {.protocol = protocol,
          .id = id,
          .request_min = 0,
          .request_max = kMaxRequestDataBlocks * (4 + 36 + 8 * kNumberOfColumns),
          .request_step = 0,
          .chunk_min = kColumnMin,
          .chunk_max = kColumnMax,
          .max_chunks = kMaxRequestDataBlocks * kNumberOfColumns,
          .count = Count::columns,
          .count_offset = 0,
          .has_context = true,
          .quota = 512,
          .quota_seconds = 10};
}

constexpr std::array<ProtocolInfo, kProtocolCount> kRows = {
    single(Protocol::status_v1, "/eth2/beacon_chain/req/status/1/ssz_snappy", 84, 84, 5, 15),
    single(Protocol::goodbye_v1, "/eth2/beacon_chain/req/goodbye/1/ssz_snappy", 8, 8, 1, 10,
           Count::none),
    single(Protocol::ping_v1, "/eth2/beacon_chain/req/ping/1/ssz_snappy", 8, 8, 2, 10),
    single(Protocol::metadata_v1, "/eth2/beacon_chain/req/metadata/1/ssz_snappy", 0, 16, 2, 5),
    single(Protocol::metadata_v2, "/eth2/beacon_chain/req/metadata/2/ssz_snappy", 0, 17, 2, 5),
    by_range(Protocol::blocks_by_range_v1,
             "/eth2/beacon_chain/req/beacon_blocks_by_range/1/ssz_snappy", false),
    by_range(Protocol::blocks_by_range_v2,
             "/eth2/beacon_chain/req/beacon_blocks_by_range/2/ssz_snappy", true),
    by_root(Protocol::blocks_by_root_v1,
            "/eth2/beacon_chain/req/beacon_blocks_by_root/1/ssz_snappy", false),
    by_root(Protocol::blocks_by_root_v2,
            "/eth2/beacon_chain/req/beacon_blocks_by_root/2/ssz_snappy", true),
    by_head(Protocol::blocks_by_head_v1,
            "/eth2/beacon_chain/req/beacon_blocks_by_head/1/ssz_snappy"),
    blobs_by_root(Protocol::blob_sidecars_by_root_v1,
                  "/eth2/beacon_chain/req/blob_sidecars_by_root/1/ssz_snappy"),
    columns_by_root(Protocol::data_column_sidecars_by_root_v1,
                    "/eth2/beacon_chain/req/data_column_sidecars_by_root/1/ssz_snappy"),
};

uint64_t little_endian(Bytes bytes) {
  uint64_t value = 0;
  for (size_t i = 8; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

const ProtocolInfo& info(Protocol protocol) {
  const auto index = static_cast<size_t>(protocol);
  BL_CHECK(index < kRows.size() && kRows[index].protocol == protocol);
  return kRows[index];
}

const ProtocolInfo* find_protocol(std::string_view id) {
  for (const ProtocolInfo& row : kRows) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

std::span<const ProtocolInfo> protocols() { return kRows; }

Result<uint32_t> chunks_allowed(const ProtocolInfo& row, Bytes request) {
  if (request.size() < row.request_min)
    return bad_input(Code::truncated, "request", request.size());
  if (request.size() > row.request_max) return bad_input(Code::too_long, "request", request.size());
  if (row.count == Count::columns) return count_sidecars(SidecarKind::columns, request);
  const size_t extra = request.size() - row.request_min;
  if (row.request_step == 0 ? extra != 0 : extra % row.request_step != 0) {
    return bad_input(Code::out_of_range, "request", request.size());
  }
  switch (row.count) {
    case Count::one:
    case Count::none:
      return 1;
    case Count::field:
      return static_cast<uint32_t>(
          std::min<uint64_t>(little_endian(request.subspan(row.count_offset, 8)), row.max_chunks));
    case Count::entries:
      return static_cast<uint32_t>(
          std::min<size_t>((request.size() - row.count_offset) / row.request_step, row.max_chunks));
    case Count::columns:
      break;
  }
  return 0;
}

uint32_t request_limit(const ProtocolInfo& row) {
  const uint32_t patience = std::max<uint32_t>(1, row.quota * 3u / 4);
  return std::min(row.max_chunks, patience);
}

ResultCode result_code(uint8_t byte) {
  switch (byte) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 139:
      return static_cast<ResultCode>(byte);
    default:
      return byte < 128 ? ResultCode::server_error : ResultCode::invalid_request;
  }
}

const char* name(ResultCode code) {
  switch (code) {
    case ResultCode::success:
      return "success";
    case ResultCode::invalid_request:
      return "invalid request";
    case ResultCode::server_error:
      return "server error";
    case ResultCode::resource_unavailable:
      return "resource unavailable";
    case ResultCode::rate_limited:
      return "rate limited";
  }
  return "?";
}

}  // namespace beamline::reqresp
