// What happens to the chain core: everything it learns comes in as one of these, with the time.
// Decoding, decompressing and hashing are done before.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/error.h"
#include "chain/block.h"
#include "chain/block_reads.h"
#include "chain/fork_choice.h"

namespace beamline::chain {

// A block from the mesh. Answered by exactly one GossipVerdict with the same id.
struct GossipBlock {
  PeerHandle sender;
  VerdictId verdict = 0;
  BlockInfo block;
};

// A block of our own: imported as one from the mesh is, and published. Its parent is known.
struct OwnBlock {
  BlockInfo block;
};

// A vote from the mesh: an attestation, or an aggregate of them. Answered by exactly one
// GossipVerdict with the same id. The decoder has resolved committees into validators.
struct GossipVote {
  PeerHandle sender;
  VerdictId verdict = 0;
  Vote vote{};
};
// A vote that the client vouches for: of its own validators, or verified elsewhere.
struct OwnVote {
  Vote vote{};
};

// One block of an answer to our request, whole and decoded.
struct ChunkReceived {
  PeerHandle peer;
  RequestId request = 0;
  BlockInfo block;
};
// One blob or column of an answer to RequestData, for the client to verify (ImportData).
struct SidecarReceived {
  PeerHandle peer;
  RequestId request = 0;
  Root block_root;
  uint64_t index = 0;
  SharedBytes bytes;
};
// What this block waited for came in another way: ask for its import again.
struct DataAvailable {
  Root block_root;
};
// Bytes of a chunk that is not whole yet. Keeps a large, live transfer from its progress deadline.
struct TransferProgress {
  PeerHandle peer;
  RequestId request = 0;
};
// The peer ended the answer in order. Nothing of this request follows.
struct RequestEnded {
  PeerHandle peer;
  RequestId request = 0;
};
// The request failed: it could not be sent (Fault::local or network), the stream or connection
// broke (network), the peer answered with an error code (remote_error, rate_limited) or with bytes
// that do not decode (Fault::peer). Nothing of this request follows.
struct RequestFailed {
  PeerHandle peer;
  RequestId request = 0;
  Error error;
};

// A connected peer that speaks the block protocols.
struct PeerUp {
  PeerHandle peer;
};
// It went; its requests have failed and its served requests are dropped. Send it after everything
// that came before it from that peer.
struct PeerDown {
  PeerHandle peer;
};
// What the peer says of its chain (Status of the req/resp domain).
struct PeerStatus {
  PeerHandle peer;
  Root finalized_root;
  Slot finalized_slot = 0;  // the first slot of the finalised epoch
  Root head_root;
  Slot head_slot = 0;
};

// A peer asks us. Answered by RespondChunk* and one RespondEnd or RespondError.
struct IncomingByRoot {
  PeerHandle peer;
  ServeId serve = 0;
  std::vector<Root> roots;
};
struct IncomingByRange {
  PeerHandle peer;
  ServeId serve = 0;
  Slot start_slot = 0;
  uint64_t count = 0;
};
// `count` blocks at most, from `root` on down its ancestry (consensus-specs, fulu p2p-interface,
// "BeaconBlocksByHead v1").
struct IncomingByHead {
  PeerHandle peer;
  ServeId serve = 0;
  Root root;
  uint64_t count = 0;
};
// The transport has room for `chunks` more of this answer (limits.h, serve_window).
struct ResponseWritten {
  PeerHandle peer;
  ServeId serve = 0;
  uint32_t chunks = 0;
};
// The peer took its request back, or its stream broke.
struct IncomingCancelled {
  PeerHandle peer;
  ServeId serve = 0;
};

// What the client's verification and import say of a block.
enum class Verdict : uint8_t {
  valid,          // verified and imported
  invalid_bytes,  // this signature or proof is wrong: the sender's fault, the root may be honest
  invalid_block,  // what the root commits to is wrong, under any signature; so are its descendants
  data_missing,   // blobs or columns are not here: fetched if it says which (and the block is fit
                  // to be forwarded), else asked again later
  try_again,      // a transient fault of ours; asked again later
};
const char* name(Verdict verdict);

struct ImportVerdict {
  ImportId import = 0;
  Verdict verdict = Verdict::valid;
  // Of data_missing: the indices of the blobs or columns, rising; at most Limits::data_per_block.
  std::vector<uint64_t> missing{};
  // Of a valid block, for the fork choice; HighestSlot needs none of it. Execution::invalid: the
  // block keeps the rules and is fit to be forwarded, but is not imported.
  PostState post{};
  std::vector<Vote> votes{};                    // in its body
  std::vector<ValidatorIndex> equivocations{};  // of the attester slashings in its body
  // The post-state, as the client wants it back after a restart (Store::state()); may be empty.
  SharedBytes state{};
};

// What the client's verification says of a blob or column. invalid_bytes and invalid_block: who
// sent it is charged, and it is asked for elsewhere. data_missing, try_again: it is asked for
// again.
struct DataVerdict {
  DataId id = 0;
  Verdict verdict = Verdict::valid;
  SharedBytes bytes{};  // of a valid one that may be served (KeepData); optional
};
// What the client's verification says of a vote: valid, invalid_bytes or try_again (dropped). The
// vote comes back with it.
struct VoteVerdict {
  VoteId id = 0;
  Verdict verdict = Verdict::valid;
  Vote vote{};
};
// The answer to JustifiedChanged (fork_choice.h, on_justified_balances).
struct JustifiedBalances {
  Checkpoint justified;
  std::vector<uint64_t> balances;
  uint64_t total_active = 0;
};
// Validators that signed contradicting votes.
struct Equivocation {
  std::vector<ValidatorIndex> validators;
};
// What the execution engine says of the payload of an imported block (fork_choice.h, on_payload).
struct PayloadVerdict {
  Root root;
  Execution execution = Execution::valid;
  std::optional<Hash256> latest_valid;
};

// Everything up to and with this Persist survives a crash.
struct Persisted {
  uint64_t through = 0;
};
// The store could not write, and tries again until it can; nothing is lost meanwhile, but the chain
// imports no more once Limits::persists_in_flight are not acknowledged.
struct PersistFailed {
  Error error;  // io_error with the errno
};

// Nothing but the time. Send it when poll_timeout() passes.
struct Tick {};

using Event =
    std::variant<GossipBlock, OwnBlock, ChunkReceived, TransferProgress, RequestEnded,
                 RequestFailed, PeerUp, PeerDown, PeerStatus, IncomingByRoot, IncomingByRange,
                 IncomingByHead, ResponseWritten, IncomingCancelled, ImportVerdict, Tick,
                 GossipVote, OwnVote, VoteVerdict, JustifiedBalances, Equivocation, PayloadVerdict,
                 SidecarReceived, DataAvailable, Persisted, PersistFailed, BlocksRead, DataVerdict>;

}  // namespace beamline::chain
