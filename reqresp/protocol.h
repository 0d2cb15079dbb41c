// The request/response protocols of Ethereum's consensus layer: one row per protocol, with all that
// the codec, the client and the server must know about it. A protocol is added by adding a row.
// Source: consensus-specs, p2p-interface of phase0 ("The Req/Resp domain"), altair ("Req-Resp"),
// deneb ("BlobSidecarsByRoot v1") and fulu ("BeaconBlocksByHead v1", "DataColumnSidecarsByRoot
// v1").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline::reqresp {

enum class Protocol : uint8_t {
  status_v1,
  goodbye_v1,
  ping_v1,
  metadata_v1,
  metadata_v2,
  blocks_by_range_v1,
  blocks_by_range_v2,
  blocks_by_root_v1,
  blocks_by_root_v2,
  blocks_by_head_v1,
  blob_sidecars_by_root_v1,
  data_column_sidecars_by_root_v1,
};
inline constexpr size_t kProtocolCount = 12;

// What a request's body says about how many chunks may come back.
enum class Count : uint8_t {
  one,   // exactly one chunk
  none,  // at most one, and nobody waits for it (goodbye)
  // `count`, a little-endian u64 that stands at `count_offset`.
  field,
  // One per entry of a list that starts at `count_offset`, of `request_step` bytes each.
  entries,
  // As many as the columns that a list of (root, columns) names; the body is checked whole.
  columns,
};

inline constexpr uint32_t kMaxPayload = 10 * 1024 * 1024;  // MAX_PAYLOAD_SIZE, of SSZ bytes
inline constexpr uint32_t kMaxErrorText = 256;             // ErrorMessage: List[byte, 256]
inline constexpr uint32_t kMaxLengthBytes = 10;            // of the uvarint before a payload
inline constexpr size_t kContextSize = 4;                  // ForkDigest

// Sizes are of SSZ bytes, before compression.
struct ProtocolInfo {
  Protocol protocol;
  std::string_view id;  // what multistream-select negotiates
  uint32_t request_min;
  uint32_t request_max;   // 0: the request has no bytes at all, not even a length
  uint32_t request_step;  // the size is request_min plus a multiple of this; 0: exactly request_min
  uint32_t chunk_min;
  uint32_t chunk_max;
  uint32_t max_chunks;
  Count count;
  uint8_t count_offset;
  bool has_context;  // a ForkDigest stands between the result byte and the length
  // What peers put up with from one peer before they punish it: requests, or the chunks they ask
  // for, in `quota_seconds`. Not in the spec: Lighthouse and Lodestar (which bans) have the same.
  uint16_t quota;
  uint8_t quota_seconds;
};

const ProtocolInfo& info(Protocol protocol);
// Null when it is not one of ours. Case matters.
const ProtocolInfo* find_protocol(std::string_view id);
// In the order of the enum; what a host registers as listeners.
std::span<const ProtocolInfo> protocols();

// How many chunks an answer to `request` may have, at least 0 and at most max_chunks of the row.
// Error (peer): truncated, too_long, out_of_range (a size that no request has; a count of 0 or
// over the limit is left to the application and clamped here).
Result<uint32_t> chunks_allowed(const ProtocolInfo& row, Bytes request);

// The most chunks that one request may ask of a peer: max_chunks, or less where the quota (with a
// margin for jitter) is smaller. What a client of this library fills its batches up to.
uint32_t request_limit(const ProtocolInfo& row);

// The longest that `size` bytes may be when framed and compressed (spec: max_compressed_len).
constexpr uint32_t max_compressed(uint32_t size) { return 32 + size + size / 6; }

// The result byte that begins each chunk.
enum class ResultCode : uint8_t {
  success = 0,
  invalid_request = 1,
  server_error = 2,
  resource_unavailable = 3,
  rate_limited = 139,  // Lighthouse's; not in the spec
};
// Bytes that nobody defined: [4, 127] read as server_error, [128, 255] as invalid_request.
ResultCode result_code(uint8_t byte);
const char* name(ResultCode code);

// The peer as its connection's owner numbers it; a new connection has a new number.
using PeerHandle = uint64_t;

// Names one request for as long as it lives; a number is not used twice in 2^32 uses of its slot.
struct RequestId {
  uint32_t slot = UINT32_MAX;
  uint32_t generation = 0;
  friend auto operator<=>(RequestId, RequestId) = default;
};

}  // namespace beamline::reqresp
