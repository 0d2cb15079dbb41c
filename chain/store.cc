#include "chain/store.h"

#include <algorithm>
#include <set>

#include "chain/record.h"

namespace beamline::chain {
namespace {

void write_block(RecordWriter& out, const StoredBlock& stored) {
  out.root(stored.block.root);
  out.root(stored.block.parent_root);
  out.u64(stored.block.slot);
  out.u64(stored.block.proposer);
  out.checkpoint(stored.post.justified);
  out.checkpoint(stored.post.finalized);
  out.checkpoint(stored.post.unrealized_justified);
  out.checkpoint(stored.post.unrealized_finalized);
  out.u8(static_cast<uint8_t>(stored.post.execution));
  out.root(stored.post.payload_hash);
  out.u64(static_cast<uint64_t>(stored.arrived.ns));
  out.u8(stored.has_state ? 1 : 0);
}

StoredBlock read_block(RecordReader& in) {
  StoredBlock stored;
  stored.block.root = in.root();
  stored.block.parent_root = in.root();
  stored.block.slot = in.u64();
  stored.block.proposer = in.u64();
  stored.post.justified = in.checkpoint();
  stored.post.finalized = in.checkpoint();
  stored.post.unrealized_justified = in.checkpoint();
  stored.post.unrealized_finalized = in.checkpoint();
  stored.post.execution = static_cast<Execution>(std::min<uint8_t>(in.u8(), 3));
  stored.post.payload_hash = in.root();
  stored.arrived = WallTime{static_cast<int64_t>(in.u64())};
  stored.has_state = in.u8() != 0;
  return stored;
}

enum Present : uint8_t {
  kCanonical = 1,
  kHead = 2,
  kJustified = 4,
  kFinalized = 8,
  kArchiveFrom = 16,
};
// Of a block in a record, without its body: the least that it takes.
constexpr size_t kBlockBytes = 32 + 32 + 8 + 8 + 4 * 40 + 1 + 32 + 8 + 1;

void write_roots(RecordWriter& out, const std::vector<Root>& roots) {
  out.u32(roots.size());
  for (const Root& root : roots) out.root(root);
}

void read_roots(RecordReader& in, std::vector<Root>& roots) {
  for (uint32_t left = in.count(Root::kSize); left > 0; --left) roots.push_back(in.root());
}

}  // namespace

std::vector<uint8_t> encode_header(const StoredBlock& stored) {
  RecordWriter out;
  out.out.reserve(kBlockBytes);
  write_block(out, stored);
  return std::move(out.out);
}

Result<StoredBlock> decode_header(Bytes bytes) {
  RecordReader in(bytes);
  StoredBlock stored = read_block(in);
  if (const Status end = in.end(); !end) return std::unexpected(end.error());
  return stored;
}

Persist first_persist(const StoreAnchor& anchor) {
  Persist first;
  const BlockInfo& block = anchor.block;
  first.blocks.push_back({block, anchor.post, {}, !anchor.state.empty()});
  if (!anchor.state.empty()) first.states.emplace_back(block.root, anchor.state);
  first.head = BlockTree::Tip{block.root, block.slot};
  first.canonical.emplace();
  first.canonical->blocks.emplace_back(block.slot, block.root);
  first.justified = first.finalized = Checkpoint{anchor.checkpoint, block.root};
  return first;
}

std::vector<uint8_t> encode(const Persist& persist) {
  RecordWriter out;
  out.u64(persist.id);
  out.u32(persist.blocks.size());
  for (const StoredBlock& stored : persist.blocks) {
    write_block(out, stored);
    out.sized(stored.block.signed_bytes);
  }
  out.u32(persist.states.size());
  for (const auto& [root, state] : persist.states) {
    out.root(root);
    out.sized(state);
  }
  write_roots(out, persist.erased);
  write_roots(out, persist.archived);
  write_roots(out, persist.dropped_states);
  out.u32(persist.records.size());
  for (const PolicyRecord& record : persist.records) {
    out.u64(record.key);
    out.sized(record.bytes);
  }
  out.u8(static_cast<uint8_t>((persist.canonical ? kCanonical : 0) | (persist.head ? kHead : 0) |
                              (persist.justified ? kJustified : 0) |
                              (persist.finalized ? kFinalized : 0) |
                              (persist.archive_from ? kArchiveFrom : 0)));
  if (persist.canonical) {
    out.u64(persist.canonical->from);
    out.u32(persist.canonical->blocks.size());
    for (const auto& [slot, root] : persist.canonical->blocks) {
      out.u64(slot);
      out.root(root);
    }
  }
  if (persist.head) {
    out.root(persist.head->root);
    out.u64(persist.head->slot);
  }
  if (persist.justified) out.checkpoint(*persist.justified);
  if (persist.finalized) out.checkpoint(*persist.finalized);
  if (persist.archive_from) out.u64(*persist.archive_from);
  return std::move(out.out);
}

Result<Persist> decode_persist(Bytes bytes) {
  RecordReader in(bytes);
  Persist persist;
  persist.id = in.u64();
  for (uint32_t left = in.count(kBlockBytes); left > 0; --left) {
    StoredBlock stored = read_block(in);
    stored.block.signed_bytes = SharedBytes::copy(in.sized());
    persist.blocks.push_back(std::move(stored));
  }
  for (uint32_t left = in.count(36); left > 0; --left) {
    const Root root = in.root();
    persist.states.emplace_back(root, SharedBytes::copy(in.sized()));
  }
  read_roots(in, persist.erased);
  read_roots(in, persist.archived);
  read_roots(in, persist.dropped_states);
  for (uint32_t left = in.count(12); left > 0; --left) {
    const uint64_t key = in.u64();
    persist.records.push_back({key, SharedBytes::copy(in.sized())});
  }
  const uint8_t present = in.u8();
  if ((present & kCanonical) != 0) {
    persist.canonical.emplace();
    persist.canonical->from = in.u64();
    for (uint32_t left = in.count(40); left > 0; --left) {
      const Slot slot = in.u64();
      persist.canonical->blocks.emplace_back(slot, in.root());
    }
  }
  if ((present & kHead) != 0) {
    persist.head.emplace();
    persist.head->root = in.root();
    persist.head->slot = in.u64();
  }
  if ((present & kJustified) != 0) persist.justified = in.checkpoint();
  if ((present & kFinalized) != 0) persist.finalized = in.checkpoint();
  if ((present & kArchiveFrom) != 0) persist.archive_from = in.u64();
  if (const Status end = in.end(); !end) return std::unexpected(end.error());
  return persist;
}

Result<Recovered> connect(std::map<Root, StoredBlock> blocks, const BlockTree::Tip& head) {
  auto lowest = blocks.find(head.root);
  if (lowest == blocks.end()) return local_error(Code::not_found, "store head");
  for (auto parent = blocks.find(lowest->second.block.parent_root); parent != blocks.end();
       parent = blocks.find(lowest->second.block.parent_root)) {
    if (parent->second.block.slot >= lowest->second.block.slot) break;
    lowest = parent;
  }
  Recovered found;
  found.head = head;
  found.anchor = std::move(lowest->second);
  blocks.erase(lowest);
  std::vector<StoredBlock*> by_slot;
  for (auto& [root, stored] : blocks) by_slot.push_back(&stored);
  std::sort(by_slot.begin(), by_slot.end(), [](const StoredBlock* a, const StoredBlock* b) {
    return std::tuple(a->block.slot, a->arrived, a->block.root) <
           std::tuple(b->block.slot, b->arrived, b->block.root);
  });
  std::map<Root, Slot> connected{{found.anchor.block.root, found.anchor.block.slot}};
  for (StoredBlock* stored : by_slot) {
    const auto parent = connected.find(stored->block.parent_root);
    if (parent == connected.end() || parent->second >= stored->block.slot) {
      ++found.unconnected;
      continue;
    }
    connected.emplace(stored->block.root, stored->block.slot);
    found.blocks.push_back(std::move(*stored));
  }
  return found;
}

const StoredBlock& Recovered::final_block() const {
  const auto it = std::ranges::find_if(
      blocks, [&](const StoredBlock& stored) { return stored.block.root == finalized.root; });
  return it == blocks.end() ? anchor : *it;
}

namespace {

// Takes the block in, unless the answer is full.
bool take(const ReadBlocks& wanted, ReadBlock&& block, uint64_t& bytes, BlocksRead& answer) {
  bytes += block.signed_bytes.size();
  if (!answer.blocks.empty() && bytes > wanted.max_bytes) return false;
  answer.blocks.push_back(std::move(block));
  return true;
}

Status read_by_root(Store& store, const ReadBlocks& wanted, BlocksRead& answer) {
  uint64_t bytes = 0;
  for (const Root& root : wanted.roots) {
    auto found = store.block(root);
    if (!found) return std::unexpected(found.error());
    const bool room = answer.blocks.size() < wanted.max_blocks;
    if (*found && (!room || !take(wanted, std::move(**found), bytes, answer))) return {};
    ++answer.looked;
  }
  return {};
}

Status read_ancestry(Store& store, const ReadBlocks& wanted, BlocksRead& answer) {
  uint64_t bytes = 0;
  Root root = wanted.roots.front();
  while (answer.blocks.size() < wanted.max_blocks) {
    auto found = store.block(root);
    if (!found) return std::unexpected(found.error());
    if (!*found) return {};
    root = (*found)->parent_root;
    if (!take(wanted, std::move(**found), bytes, answer)) return {};
    ++answer.looked;
  }
  return {};
}

Status read_range(Store& store, const ReadBlocks& wanted, BlocksRead& answer) {
  uint64_t bytes = 0;
  answer.next = wanted.from;
  const auto index = store.canonical_range(wanted.from, wanted.end, wanted.max_blocks);
  if (!index) return std::unexpected(index.error());
  for (const auto& [slot, root] : *index) {
    auto found = store.block(root);
    if (!found) return std::unexpected(found.error());
    // A trusted block of which only the root is known is not served.
    if (*found && !take(wanted, std::move(**found), bytes, answer)) return {};
    answer.next = slot + 1;
  }
  if (index->size() < wanted.max_blocks) answer.next = wanted.end;
  return {};
}

}  // namespace

BlocksRead Store::read(const ReadBlocks& wanted) {
  BlocksRead answer;
  answer.id = wanted.id;
  const auto how = wanted.roots.empty() ? read_range
                   : wanted.ancestry    ? read_ancestry
                                        : read_by_root;
  const Status done = how(*this, wanted, answer);
  if (done) return answer;
  answer.blocks.clear();
  answer.error = done.error();
  return answer;
}

}  // namespace beamline::chain
