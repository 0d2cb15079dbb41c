// What of the chain survives a crash. The chain says once a turn what changed (Persist, a command);
// whoever owns a Store applies that, syncs, and acknowledges (Persisted, an event). What was
// acknowledged is there after any crash, and what is there is a state that the chain was in: each
// Persist is applied whole or not at all, and none without those before it.
//
// Implementations: chain/sim_store.h, which a simulation crashes; node/rocks_store.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "chain/block.h"
#include "chain/block_reads.h"
#include "chain/block_tree.h"
#include "chain/fork_choice.h"

namespace beamline::chain {

using PersistId = uint64_t;  // rises by one from 1

struct StoredBlock {
  BlockInfo block;  // its bytes may be empty: an anchor of which only the root is known
  PostState post;
  WallTime arrived{};      // as the fork choice was told
  bool has_state = false;  // it came with one, which may be gone by now
};

// What an empty store begins with: a trusted block, and what is known of its state.
struct StoreAnchor {
  StoreAnchor() = default;
  StoreAnchor(BlockInfo trusted) : block(std::move(trusted)) {}
  BlockInfo block;
  PostState post;
  SharedBytes state;        // opaque; may be empty
  uint64_t checkpoint = 0;  // the number at which it is justified and final
};

// The chain of the head from a slot on: what stood there before goes.
struct CanonicalChange {
  Slot from = 0;
  std::vector<std::pair<Slot, Root>> blocks;  // slots >= from, each once
};

// What a turn changed. A command of the chain, polled apart from the others: it goes to another
// thread, and Limits::persists_in_flight bounds it.
struct Persist {
  PersistId id = 0;
  std::vector<StoredBlock> blocks;                   // parents before children
  std::vector<std::pair<Root, SharedBytes>> states;  // opaque; they go with their block
  std::vector<Root> erased;                          // after `blocks`
  // No longer part of what a restart begins with, but served as long as they are in the index.
  std::vector<Root> archived;
  std::optional<Slot> archive_from;  // below this slot nothing is served any more
  std::vector<Root> dropped_states;
  std::vector<PolicyRecord> records;  // of the fork choice
  std::optional<CanonicalChange> canonical;
  std::optional<BlockTree::Tip> head;
  std::optional<Checkpoint> justified;
  std::optional<Checkpoint> finalized;

  bool empty() const {
    return blocks.empty() && states.empty() && erased.empty() && archived.empty() &&
           !archive_from && dropped_states.empty() && records.empty() && !canonical && !head &&
           !justified && !finalized;
  }
};

// What a store held when it was opened.
struct Recovered {
  // What the chain begins with: the lowest block of the head's chain that is there without a gap.
  StoredBlock anchor;
  // All that descends from it, by rising slot, of one slot in the order in which they came.
  std::vector<StoredBlock> blocks;
  BlockTree::Tip head;
  Checkpoint justified;
  Checkpoint finalized;
  std::vector<PolicyRecord> records;  // by rising key
  Slot oldest = 0;                    // of the blocks that can be served
  PersistId last = 0;                 // that was applied, by the chain that wrote it
  uint64_t unconnected = 0;           // blocks that were there and do not descend from the anchor

  // The finalised block, if it is here; else the anchor. Where a fork choice can begin that knows
  // nothing below.
  const StoredBlock& final_block() const;
};

// Used by one thread at a time; may block.
class Store {
 public:
  virtual ~Store() = default;
  // Opens it, or opens it again after an error. An empty one begins with `anchor`, durably. Errors:
  // mismatch (it began with another anchor), io_error with the errno, bad_checksum or truncated
  // (what was acknowledged cannot be read).
  virtual Result<Recovered> open(const StoreAnchor& anchor) = 0;
  // Not durable before sync(). Persists may come again after an error and open(): the same ones, in
  // the same order. Errors: io_error with the errno; then nothing more is taken until open().
  virtual Status apply(const Persist& persist) = 0;
  // All that was applied survives from here on.
  virtual Status sync() = 0;
  // Nothing if it is not here.
  virtual Result<std::optional<SharedBytes>> state(const Root& block) = 0;
  virtual Result<std::optional<Root>> canonical(Slot slot) = 0;
  // A block that has a body, of the tree or archived. Nothing if it is not here.
  virtual Result<std::optional<ReadBlock>> block(const Root& root) = 0;
  // The index, from <= slot < end, by rising slot, at most `max`.
  virtual Result<std::vector<std::pair<Slot, Root>>> canonical_range(Slot from, Slot end,
                                                                     size_t max) = 0;
  // The answer, also where it is an error.
  BlocksRead read(const ReadBlocks& wanted);
};

// ---- For implementations.

// A block without its body as bytes; root first.
std::vector<uint8_t> encode_header(const StoredBlock& stored);
Result<StoredBlock> decode_header(Bytes bytes);
// What an empty store is told first.
Persist first_persist(const StoreAnchor& anchor);
std::vector<uint8_t> encode(const Persist& persist);
Result<Persist> decode_persist(Bytes bytes);
// Where a chain of these blocks with this head begins, and what descends from there.
// Errors: not_found (the head is not among them).
Result<Recovered> connect(std::map<Root, StoredBlock> blocks, const BlockTree::Tip& head);

}  // namespace beamline::chain
