#include "discovery/expiring_set.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::discovery {

ExpiringSet::ExpiringSet(size_t capacity, Duration ttl, Rng& rng)
    : ttl_(ttl), seed_(rng.next() | 1), capacity_(capacity) {
  BL_CHECK(capacity > 0 && capacity < kNone);
}

size_t ExpiringSet::bucket_of_key(uint64_t key) const {
  const auto product = static_cast<unsigned __int128>(key ^ seed_) * 0x9e3779b97f4a7c15u;
  return (static_cast<size_t>(product >> 64) ^ static_cast<size_t>(product)) % heads_.size();
}

uint32_t ExpiringSet::find(uint64_t key) const {
  if (heads_.empty()) return kNone;
  uint32_t item = heads_[bucket_of_key(key)];
  while (item != kNone && items_[item].key != key) item = items_[item].chain;
  return item;
}

bool ExpiringSet::contains(uint64_t key, Now now) const {
  const uint32_t item = find(key);
  return item != kNone && items_[item].due > now.mono;
}

void ExpiringSet::add(uint64_t key, Now now) {
  if (key == 0) return;
  if (const uint32_t known = find(key); known != kNone) unlink(known);
  while (oldest_ != kNone && items_[oldest_].due <= now.mono) drop_oldest();
  if (size_ == capacity_) {
    ++displaced_;
    drop_oldest();
  }
  if (free_ == kNone) grow();
  const uint32_t item = free_;
  free_ = items_[item].chain;
  uint32_t& head = heads_[bucket_of_key(key)];
  items_[item] = Item{key, now.mono + ttl_, kNone, newest_, head};
  head = item;
  (newest_ == kNone ? oldest_ : items_[newest_].newer) = item;
  newest_ = item;
  ++size_;
}

void ExpiringSet::unlink(uint32_t item) {
  Item& gone = items_[item];
  uint32_t* link = &heads_[bucket_of_key(gone.key)];
  while (*link != item) link = &items_[*link].chain;
  *link = gone.chain;
  (gone.older == kNone ? oldest_ : items_[gone.older].newer) = gone.newer;
  (gone.newer == kNone ? newest_ : items_[gone.newer].older) = gone.older;
  gone = Item{};
  gone.chain = free_;
  free_ = item;
  --size_;
}

void ExpiringSet::drop_oldest() { unlink(oldest_); }

// All items are in use: twice as many, and the chains anew.
void ExpiringSet::grow() {
  const size_t before = items_.size();
  const size_t after = std::min(capacity_, std::max<size_t>(16, before * 2));
  items_.resize(after);
  heads_.assign(after, kNone);
  for (size_t i = 0; i < after; ++i) {
    uint32_t& link = i < before ? heads_[bucket_of_key(items_[i].key)] : free_;
    items_[i].chain = link;
    link = static_cast<uint32_t>(i);
  }
}

}  // namespace beamline::discovery
