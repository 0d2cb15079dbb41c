#include "chain/block_store.h"

namespace beamline::chain {

void MemoryStore::put(const BlockInfo& block) {
  const uint64_t size = block.signed_bytes.size();
  if (size > max_bytes_ || blocks_.contains(block.root)) return;
  blocks_.emplace(block.root, Stored{block.slot, block.signed_bytes});
  by_slot_.emplace(block.slot, block.root);
  bytes_ += size;
  while (bytes_ > max_bytes_) {
    const Root lowest = by_slot_.begin()->second;
    erase(lowest);
    ++evicted_;
  }
}

std::optional<BlockStore::Stored> MemoryStore::get(const Root& root) const {
  const auto it = blocks_.find(root);
  if (it == blocks_.end()) return std::nullopt;
  return it->second;
}

void MemoryStore::erase(const Root& root) {
  const auto it = blocks_.find(root);
  if (it == blocks_.end()) return;
  bytes_ -= it->second.signed_bytes.size();
  by_slot_.erase({it->second.slot, root});
  blocks_.erase(it);
}

}  // namespace beamline::chain
