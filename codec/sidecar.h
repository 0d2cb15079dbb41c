// The data of blocks on the wire: which blobs or columns a request names, and which block and place
// a sidecar says it is of. Sources: consensus-specs, deneb p2p-interface (BlobIdentifier,
// BlobSidecarsByRoot v1), fulu p2p-interface (DataColumnsByRootIdentifier, DataColumnSidecarsByRoot
// v1).
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/beacon_types.h"
#include "codec/root.h"
#include "codec/ssz.h"

namespace beamline {

enum class SidecarKind : uint8_t {
  blobs,    // deneb, electra
  columns,  // from fulu on
};

inline constexpr size_t kMaxRequestBlobSidecars = 768;  // MAX_REQUEST_BLOB_SIDECARS
inline constexpr size_t kMaxRequestDataBlocks = 128;    // MAX_REQUEST_BLOCKS_DENEB
inline constexpr size_t kNumberOfColumns = 128;         // NUMBER_OF_COLUMNS

// Of one block.
struct SidecarIds {
  Root block_root;
  std::vector<uint64_t> indices;
  friend bool operator==(const SidecarIds&, const SidecarIds&) = default;
};

// The body of a by-root request. REQUIRES: within the three limits above.
std::vector<uint8_t> encode_sidecar_request(SidecarKind kind, std::span<const SidecarIds> wanted);
// Errors (peer): truncated, too_long (over a limit), bad_offset. Indices may be any, in any order;
// of blobs, entries of one block that follow each other come as one.
Result<std::vector<SidecarIds>> decode_sidecar_request(SidecarKind kind, Bytes body);
// How many sidecars the body names. Errors: as above.
Result<uint32_t> count_sidecars(SidecarKind kind, Bytes body);

// What a sidecar says it is of. Whether its header is signed and its proofs hold is the client's to
// check.
struct SidecarName {
  Root block_root;  // hash_tree_root of the header inside
  uint64_t index = 0;
};
// Checks all of its SSZ. Errors: those of ssz::View.
Result<SidecarName> name_sidecar(const BeaconTypes& types, SidecarKind kind, Bytes sidecar,
                                 ssz::Hasher& hasher);

}  // namespace beamline
