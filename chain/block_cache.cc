#include "chain/block_cache.h"

#include "base/check.h"

namespace beamline::chain {

CachedBlock* BlockCache::find(const Root& root) {
  const auto it = blocks_.find(root);
  return it == blocks_.end() ? nullptr : &it->second;
}

const CachedBlock* BlockCache::find(const Root& root) const {
  const auto it = blocks_.find(root);
  return it == blocks_.end() ? nullptr : &it->second;
}

const BlockCache::Sender* BlockCache::fullest(const Senders& senders) {
  const Sender* most = nullptr;
  for (const auto& [handle, sender] : senders) {
    if (sender.orphans.empty()) continue;
    if (most == nullptr || sender.blocks > most->blocks) most = &sender;
  }
  return most;
}

BlockCache::Room BlockCache::room_for(const CachedBlock& incoming) const {
  const bool gossip = incoming.origin == Origin::gossip;
  const size_t size = incoming.block.signed_bytes.size();
  if (size > limits_.cached_bytes) return Room::no;
  const size_t own = by_gossip_of(incoming.sender);
  if (gossip && own >= limits_.cached_per_peer) return Room::no;
  if (blocks_.size() < limits_.cached_blocks && bytes_ + size <= limits_.cached_bytes) {
    return Room::yes;
  }
  const Sender* most = fullest(gossip_senders_);
  // Gossip displaces gossip only, and only of who takes more room than its own sender. What we
  // asked for displaces any orphan.
  if (gossip) return most != nullptr && own + 1 < most->blocks ? Room::after_eviction : Room::no;
  if (most == nullptr) most = fullest(fetch_senders_);
  return most != nullptr ? Room::after_eviction : Room::no;
}

Root BlockCache::victim() const {
  const Sender* most = fullest(gossip_senders_);
  if (most == nullptr) most = fullest(fetch_senders_);
  BL_CHECK(most != nullptr);
  return most->orphans.rbegin()->second;
}

CachedBlock& BlockCache::insert(CachedBlock block) {
  const Root root = block.block.root;
  const auto [it, added] = blocks_.emplace(root, std::move(block));
  BL_CHECK(added);
  const CachedBlock& cached = it->second;
  children_.emplace(cached.block.parent_root, cached.block.slot, root);
  bytes_ += cached.block.signed_bytes.size();
  ++senders_of(cached)[cached.sender].blocks;
  count_in(cached);
  return it->second;
}

void BlockCache::erase(const Root& root) {
  const auto it = blocks_.find(root);
  BL_CHECK(it != blocks_.end());
  const CachedBlock& cached = it->second;
  count_out(cached);
  children_.erase({cached.block.parent_root, cached.block.slot, root});
  bytes_ -= cached.block.signed_bytes.size();
  Senders& senders = senders_of(cached);
  const auto sender = senders.find(cached.sender);
  if (--sender->second.blocks == 0) senders.erase(sender);
  blocks_.erase(it);
}

void BlockCache::set_state(CachedBlock& block, CachedBlock::State state) {
  count_out(block);
  block.state = state;
  count_in(block);
}

void BlockCache::count_in(const CachedBlock& cached) {
  ++counts_[static_cast<size_t>(cached.state)];
  const std::pair<Slot, Root> key{cached.block.slot, cached.block.root};
  if (cached.state == CachedBlock::State::ready) ready_.insert(key);
  if (cached.state != CachedBlock::State::orphan) {
    connected_.insert(cached.block.slot);
  } else {
    senders_of(cached)[cached.sender].orphans.insert(key);
  }
}

void BlockCache::count_out(const CachedBlock& cached) {
  --counts_[static_cast<size_t>(cached.state)];
  const std::pair<Slot, Root> key{cached.block.slot, cached.block.root};
  if (cached.state == CachedBlock::State::ready) ready_.erase(key);
  if (cached.state != CachedBlock::State::orphan) {
    connected_.erase(connected_.find(cached.block.slot));
  } else {
    senders_of(cached)[cached.sender].orphans.erase(key);
  }
}

std::vector<Root> BlockCache::children(const Root& parent) const {
  std::vector<Root> roots;
  for (auto it = children_.lower_bound({parent, 0, Root{}});
       it != children_.end() && std::get<0>(*it) == parent; ++it) {
    roots.push_back(std::get<2>(*it));
  }
  return roots;
}

bool BlockCache::has_children(const Root& parent) const {
  const auto it = children_.lower_bound({parent, 0, Root{}});
  return it != children_.end() && std::get<0>(*it) == parent;
}

Slot BlockCache::lowest_child_slot(const Root& parent) const {
  const auto it = children_.lower_bound({parent, 0, Root{}});
  BL_CHECK(it != children_.end() && std::get<0>(*it) == parent);
  return std::get<1>(*it);
}

CachedBlock* BlockCache::lowest_ready() {
  return ready_.empty() ? nullptr : find(ready_.begin()->second);
}

Slot BlockCache::highest_connected() const { return connected_.empty() ? 0 : *connected_.rbegin(); }

size_t BlockCache::by_gossip_of(PeerHandle sender) const {
  const auto it = gossip_senders_.find(sender);
  return it == gossip_senders_.end() ? 0 : it->second.blocks;
}

bool BlockCache::crowded() const {
  return blocks_.size() * 2 > limits_.cached_blocks || bytes_ * 2 > limits_.cached_bytes;
}

}  // namespace beamline::chain
