#include "chain/store.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace beamline::chain {
namespace {

class Writer {
 public:
  void u8(uint8_t value) { out.push_back(value); }
  void u32(size_t value) { little_endian(value, 4); }
  void u64(uint64_t value) { little_endian(value, 8); }
  void root(const Root& value) { out.insert(out.end(), value.bytes.begin(), value.bytes.end()); }
  void bytes(Bytes value) { out.insert(out.end(), value.begin(), value.end()); }
  void checkpoint(const Checkpoint& value) {
    u64(value.number);
    root(value.root);
  }
  void sized(Bytes value) {
    u32(value.size());
    bytes(value);
  }
  std::vector<uint8_t> out;

 private:
  void little_endian(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
};

// Reads of more than there is give zeros and remember it.
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}
  uint8_t u8() { return static_cast<uint8_t>(little_endian(1)); }
  uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
  uint64_t u64() { return little_endian(8); }
  Root root() {
    Root value;
    const Bytes taken = take(value.bytes.size());
    std::copy(taken.begin(), taken.end(), value.bytes.begin());
    return value;
  }
  Checkpoint checkpoint() {
    Checkpoint value;
    value.number = u64();
    value.root = root();
    return value;
  }
  Bytes sized() { return take(u32()); }
  Bytes rest() { return take(bytes_.size() - at_); }
  // May there be so many items of at least `each` bytes? Before anything is allocated for them.
  uint32_t count(size_t each) {
    const uint32_t many = u32();
    if (many <= (bytes_.size() - at_) / each) return many;
    short_ = true;
    return 0;
  }
  Status end() const {
    if (short_) return local_error(Code::truncated, "store record");
    if (at_ != bytes_.size()) return local_error(Code::trailing, "store record");
    return {};
  }

 private:
  Bytes take(size_t size) {
    if (size > bytes_.size() - at_) {
      short_ = true;
      at_ = bytes_.size();
      return {};
    }
    const Bytes taken = bytes_.subspan(at_, size);
    at_ += size;
    return taken;
  }
  uint64_t little_endian(size_t size) {
    uint64_t value = 0;
    const Bytes taken = take(size);
    for (size_t i = 0; i < taken.size(); ++i) value |= uint64_t{taken[i]} << (8 * i);
    return value;
  }
  Bytes bytes_;
  size_t at_ = 0;
  bool short_ = false;
};

void write_block(Writer& out, const StoredBlock& stored) {
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
}

StoredBlock read_block(Reader& in) {
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
  return stored;
}

enum Present : uint8_t { kCanonical = 1, kHead = 2, kJustified = 4, kFinalized = 8 };

}  // namespace

std::vector<uint8_t> encode(const StoredBlock& stored) {
  Writer out;
  out.out.reserve(320 + stored.block.signed_bytes.size());
  write_block(out, stored);
  out.bytes(stored.block.signed_bytes);
  return std::move(out.out);
}

Result<StoredBlock> decode_stored_block(Bytes bytes) {
  Reader in(bytes);
  StoredBlock stored = read_block(in);
  stored.block.signed_bytes = SharedBytes::copy(in.rest());
  if (const Status end = in.end(); !end) return std::unexpected(end.error());
  return stored;
}

std::vector<uint8_t> encode(const Persist& persist) {
  Writer out;
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
  out.u32(persist.erased.size());
  for (const Root& root : persist.erased) out.root(root);
  out.u8(static_cast<uint8_t>((persist.canonical ? kCanonical : 0) | (persist.head ? kHead : 0) |
                              (persist.justified ? kJustified : 0) |
                              (persist.finalized ? kFinalized : 0)));
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
  return std::move(out.out);
}

Result<Persist> decode_persist(Bytes bytes) {
  Reader in(bytes);
  Persist persist;
  persist.id = in.u64();
  for (uint32_t left = in.count(84); left > 0; --left) {
    StoredBlock stored = read_block(in);
    stored.block.signed_bytes = SharedBytes::copy(in.sized());
    persist.blocks.push_back(std::move(stored));
  }
  for (uint32_t left = in.count(36); left > 0; --left) {
    const Root root = in.root();
    persist.states.emplace_back(root, SharedBytes::copy(in.sized()));
  }
  for (uint32_t left = in.count(32); left > 0; --left) persist.erased.push_back(in.root());
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
    return std::pair(a->block.slot, a->block.root) < std::pair(b->block.slot, b->block.root);
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

}  // namespace beamline::chain
