// Reads of a store for peers that ask for what is no longer in memory. The chain says what it wants
// (ReadBlocks, a command); whoever owns the store reads on a thread that may wait for a disk, and
// answers each one (BlocksRead, an event).
#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "chain/block.h"

namespace beamline::chain {

using ReadId = uint64_t;  // rises by one from 1

// Either blocks by root, in this order; or, with `ancestry`, the one and what is below it, down to
// the first that is not there; or those of the head's chain with from <= slot < end.
struct ReadBlocks {
  ReadId id = 0;
  std::vector<Root> roots;
  bool ancestry = false;
  Slot from = 0;
  Slot end = 0;
  uint32_t max_blocks = 16;
  uint64_t max_bytes = 1u << 20;  // after the first block
};

struct ReadBlock {
  Root root;
  Root parent_root;
  Slot slot = 0;
  SharedBytes signed_bytes;
};

struct BlocksRead {
  ReadId id = 0;
  std::vector<ReadBlock> blocks;  // without those that are not there
  // How far it came: the roots that were looked for, or the slot from which to go on.
  uint32_t looked = 0;
  Slot next = 0;
  std::optional<Error> error;  // the disk's; then there are no blocks
};

}  // namespace beamline::chain
