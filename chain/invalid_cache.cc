#include "chain/invalid_cache.h"

#include <algorithm>

#include "crypto/sha256.h"

namespace beamline::chain {

void InvalidCache::add_bytes(const BlockInfo& block) {
  const std::pair<Root, Hash256> key{block.root, sha256(block.signed_bytes)};
  if (!bytes_.insert(key).second) return;
  bytes_order_.push_back(key);
  if (bytes_order_.size() <= max_) return;
  bytes_.erase(bytes_order_.front());
  bytes_order_.pop_front();
}

void InvalidCache::add_root(const Root& root, Why why) {
  const auto [it, added] = roots_.emplace(root, why);
  it->second = std::max(it->second, why);
  if (!added) return;
  roots_order_.push_back(root);
  if (roots_order_.size() <= max_) return;
  roots_.erase(roots_order_.front());
  roots_order_.pop_front();
}

std::optional<InvalidCache::Why> InvalidCache::find_root(const Root& root) const {
  const auto it = roots_.find(root);
  return it == roots_.end() ? std::nullopt : std::optional(it->second);
}

bool InvalidCache::has_bytes(const BlockInfo& block) const {
  const auto it = bytes_.lower_bound({block.root, Hash256{}});
  if (it == bytes_.end() || it->first != block.root) return false;
  return bytes_.contains({block.root, sha256(block.signed_bytes)});
}

}  // namespace beamline::chain
