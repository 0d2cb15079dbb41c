// What the chain core wants done: the integrator polls these, in order, and carries them out.
#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "chain/block.h"
#include "chain/fork_choice.h"

namespace beamline::chain {

struct RequestByRoot {
  PeerHandle peer;
  RequestId request = 0;
  std::vector<Root> roots;  // 1 to Limits::roots_per_request, without duplicates
};
struct RequestByRange {
  PeerHandle peer;
  RequestId request = 0;
  Slot start_slot = 0;
  uint64_t count = 0;
};
// Blobs or columns by block root and index: blob_sidecars_by_root, data_column_sidecars_by_root.
struct RequestData {
  struct Wanted {
    Root block_root;
    std::vector<uint64_t> indices;  // rising
  };
  PeerHandle peer;
  RequestId request = 0;
  // At most Limits::data_blocks_per_request blocks, and data_per_request indices in all.
  std::vector<Wanted> wanted;
};
// Our request is over on our side: reset its stream. No event for it is needed, and late ones are
// dropped and counted.
struct CancelRequest {
  PeerHandle peer;
  RequestId request = 0;
};

// Codes of the req/resp result byte (consensus-specs, phase0 p2p-interface, "Req/Resp").
enum class ResponseCode : uint8_t {
  success = 0,
  invalid_request = 1,
  server_error = 2,
  resource_unavailable = 3,
};
struct RespondChunk {
  PeerHandle peer;
  ServeId serve = 0;
  Slot slot = 0;  // what the chunk's context (fork digest) follows from
  SharedBytes signed_bytes;
};
struct RespondEnd {
  PeerHandle peer;
  ServeId serve = 0;
};
struct RespondError {
  PeerHandle peer;
  ServeId serve = 0;
  ResponseCode code = ResponseCode::server_error;
  std::string_view text;  // static, at most 256 bytes
};

enum class GossipResult : uint8_t { accept, ignore, reject };
enum class GossipReason : uint8_t {
  verified,
  unknown_peer,      // ignore: the sender went meanwhile
  future_slot,       // ignore; kept until its slot if it is near
  below_anchor,      // ignore: not after the anchor of our tree
  already_known,     // ignore
  second_proposal,   // ignore: another block of this proposer for this slot was imported
  parent_unknown,    // ignore; kept as an orphan, its parent is asked for
  no_room,           // ignore: a limit is reached, the block was not kept
  dropped,           // ignore: it was kept, and had to go before it could be verified
  not_after_parent,  // reject
  invalid_bytes,     // reject: these very bytes were found invalid, now or before
  invalid_block,     // reject: the block was found invalid, now or before
  invalid_parent,    // reject: an ancestor was found invalid
  block_unknown,     // ignore: a vote whose block is not here; kept until it comes
  old_vote,          // ignore: a vote that counts no more
  invalid_vote,      // reject: a vote that contradicts itself or the tree, or is badly signed
  conflicts_final,   // reject: what is final is not among its ancestors
  // ignore: its payload, or an ancestor's, was found invalid by the execution engine. Who sends it
  // may follow optimistically, and pays nothing (consensus-specs, bellatrix p2p-interface).
  invalid_payload,
};
inline constexpr size_t kGossipReasons = 18;
const char* name(GossipResult result);
const char* name(GossipReason reason);
struct GossipVerdict {
  PeerHandle sender;
  VerdictId verdict = 0;
  GossipResult result = GossipResult::ignore;
  GossipReason reason = GossipReason::already_known;
};

// A block of our own, to be sent to the mesh.
struct PublishBlock {
  Root root;
  SharedBytes signed_bytes;
};

// Why a peer's score changed. All but `useful` lower it, or are told without a change.
enum class Conduct : uint8_t {
  useful,            // an answer that brought what was asked for
  invalid_gossip,    // a block or a vote that is rejected
  invalid_block,     // an answer with an invalid block
  unrequested_root,  // a chunk that was not asked for
  duplicate_chunk,   // the same block twice in one answer
  too_many_chunks,   // more than was asked for
  out_of_range,      // a slot outside the range
  out_of_order,      // slots not rising
  broken_chain,      // a block of a range whose parent is not the block before
  withheld,          // did not serve what it claimed to have
  silent,            // no progress before the deadline
  undecodable,       // an answer that does not decode, or an error code that makes no sense
  bad_request,       // asked us for something that the protocol does not allow
  invalid_data,      // a blob or column that is invalid
};
inline constexpr size_t kConducts = 14;
const char* name(Conduct conduct);
struct ReportPeer {
  PeerHandle peer;
  Conduct conduct = Conduct::useful;
  int32_t change = 0;
  int32_t score = 0;  // after the change; 0 is the least
};
enum class DisconnectReason : uint8_t { low_score, no_room };
const char* name(DisconnectReason reason);
// The integrator closes the connection and sends PeerDown.
struct DisconnectPeer {
  PeerHandle peer;
  DisconnectReason reason = DisconnectReason::low_score;
};

// Verify and import this block; its parent is imported. Answered by ImportVerdict, in any order.
struct ImportBlock {
  ImportId import = 0;
  Origin origin = Origin::gossip;
  BlockInfo block;
};

// A blob or column of a block that waits for it: verify and keep it. Answered by one DataVerdict,
// in any order. When all that was missing came, ImportBlock asks for the block again.
struct ImportData {
  DataId id = 0;
  PeerHandle peer;
  Root block_root;
  uint64_t index = 0;
  SharedBytes bytes;
};

// A blob or column that is verified, for whoever serves them.
struct KeepData {
  Root block_root;
  uint64_t index = 0;
  SharedBytes bytes;
};

// A block is in the tree now. For a follower that prints, and for metrics.
struct BlockImported {
  Root root;
  Root parent_root;
  Slot slot = 0;
  Origin origin = Origin::gossip;
  uint32_t batch = 0;  // roots or slots of the request that brought it; 0 for gossip
  PeerHandle peer;     // who sent it
};
// Verify this vote's signature; the newest come first. Answered by VoteVerdict, in any order.
struct VerifyVote {
  VoteId id = 0;
  Vote vote;
};

// At the end of a turn, from the fork choice.
struct HeadChanged {
  Root root;
  Slot slot = 0;
  Root previous;
  bool reorg = false;  // the new head does not descend from the previous one
};

// Answered by JustifiedBalances. Until then the former balances count.
struct JustifiedChanged {
  Checkpoint checkpoint;
};
// What conflicts with it is forgotten. In lean it may go back with the head.
struct FinalizedChanged {
  Checkpoint checkpoint;
};
// The payload of the justified block, or of one below it, is invalid: no head can be right. The
// client must stop and tell its user (sync/optimistic.md, "Re-Orgs").
struct JustifiedInvalid {
  Root root;
};

using Command = std::variant<RequestByRoot, RequestByRange, CancelRequest, RespondChunk, RespondEnd,
                             RespondError, GossipVerdict, PublishBlock, ReportPeer, DisconnectPeer,
                             ImportBlock, BlockImported, HeadChanged, VerifyVote, JustifiedChanged,
                             FinalizedChanged, JustifiedInvalid, RequestData, ImportData, KeepData>;

}  // namespace beamline::chain
