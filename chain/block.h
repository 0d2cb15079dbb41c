// What the chain core knows of a block, and the names that its events and commands share.
#pragma once

#include <compare>
#include <cstdint>

#include "base/bytes.h"
#include "codec/root.h"

namespace beamline::chain {

// A block as its decoder hands it over. The chain never looks into `signed_bytes`: it keeps, counts
// and serves them. The decoder vouches that `root` is the hash of the block inside those bytes.
struct BlockInfo {
  Root root;
  Root parent_root;
  Slot slot = 0;
  ValidatorIndex proposer = 0;
  SharedBytes signed_bytes;  // the whole SignedBeaconBlock, as on the wire before compression
};

// A peer of the integrator. An index is used again after its peer went; the generation tells the
// two apart, and what still comes in of an older generation is dropped and counted.
struct PeerHandle {
  uint32_t index = 0;
  uint32_t generation = 0;
  friend auto operator<=>(PeerHandle, PeerHandle) = default;
};

using RequestId = uint64_t;  // ours, of a request that we sent; never used twice
using ServeId = uint64_t;    // the integrator's, of a request that a peer sent
using VerdictId = uint64_t;  // the integrator's, of a gossip message that awaits its verdict
using ImportId = uint64_t;   // ours, of a block that is with the client's verification
using VoteId = uint64_t;     // ours, of a vote that is with the client's verification
using DataId = uint64_t;     // ours, of a blob or column that is with the client's verification

// How a block came to us.
enum class Origin : uint8_t { anchor, gossip, by_root, by_range, own };
const char* name(Origin origin);

}  // namespace beamline::chain
