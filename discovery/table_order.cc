// The table's lists: places in buckets, revalidation, the queue of first pings.
#include <algorithm>

#include "discovery/table.h"

namespace beamline::discovery {
namespace {

// Moves the item at `from` behind the last of `count`.
template <class List>
void rotate_to_end(List& list, size_t from, size_t count) {
  const auto begin = list.begin() + static_cast<std::ptrdiff_t>(from);
  std::rotate(begin, begin + 1, list.begin() + static_cast<std::ptrdiff_t>(count));
}

template <class List, class Value>
size_t position_in(const List& list, size_t count, Value value) {
  size_t i = 0;
  while (i < count && list[i] != value) ++i;
  return i;
}

}  // namespace

Table::Slot Table::slot_of(const NodeId& id) const {
  const uint32_t found =
      index_.find(id, [this](uint32_t slot) -> const NodeId& { return at(Slot(slot)).record.id; });
  return found == IdIndex::kNone ? kNone : static_cast<Slot>(found);
}

Table::Slot Table::allocate(const NodeRecord& record, unsigned bucket) {
  if (free_.empty()) {
    const size_t first = chunks_.size() * kChunk;
    BL_CHECK(first + kChunk < kNone);
    chunks_.push_back(std::make_unique<std::array<Contact, kChunk>>());
    for (size_t i = kChunk; i-- > 0;) free_.push_back(static_cast<Slot>(first + i));
  }
  const Slot slot = free_.back();
  free_.pop_back();
  Contact& contact = at(slot);
  contact.record = record;
  contact.bucket = static_cast<uint8_t>(bucket);
  contact.subnet = subnet_of(record.udp);
  subnets_.add(contact.subnet);
  index_.insert(record.id, slot);
  return slot;
}

void Table::release(Slot slot) {
  Contact& contact = at(slot);
  set_live(contact, false);
  if (contact.disposable) --disposable_;
  clear_ping(slot);
  subnets_.remove(contact.subnet);
  index_.erase(contact.record.id, slot);
  contact = Contact{};
  free_.push_back(slot);
}

size_t Table::subnet_limit() const {
  if (size() < kShareFrom) return config_.subnet_per_table;
  const size_t share = std::max(size() / kShare, config_.subnet_per_bucket);
  return std::min(share, config_.subnet_per_table);
}

// Replacements and thin buckets first: by bucket from the nearest, where who makes up ids sits.
void Table::keep_shares(Now now) {
  if (now.mono < next_share_) return;
  next_share_ = now.mono + kShareInterval;
  if (size() < kShareFrom) return;
  const auto over = [&](Slot slot) {
    return at(slot).subnet != 0 && subnets_.count(at(slot).subnet) > subnet_limit();
  };
  for (Bucket& bucket : buckets_) {
    const size_t before = bucket.mains + bucket.spares;
    for (size_t i = bucket.spares; i-- > 0;) {
      if (over(bucket.spare[i])) drop(bucket.spare[i]);
    }
    for (size_t i = bucket.mains; i-- > 0;) {
      if (over(bucket.main[i])) drop(bucket.main[i]);
    }
    stats_.over_share += before - bucket.mains - bucket.spares;
    promote(bucket);
  }
}

bool Table::subnet_allows(uint64_t subnet, unsigned bucket, Slot self_slot) {
  if (subnet == 0) return true;
  const bool counted = self_slot != kNone && at(self_slot).subnet == subnet;
  if (counted) return true;
  if (subnets_.count(subnet) >= subnet_limit()) {
    ++stats_.refused_subnet_table;
    return false;
  }
  const Bucket& b = buckets_[bucket];
  size_t same = 0;
  for (size_t i = 0; i < b.mains; ++i) same += at(b.main[i]).subnet == subnet;
  for (size_t i = 0; i < b.spares; ++i) same += at(b.spare[i]).subnet == subnet;
  if (same < config_.subnet_per_bucket) return true;
  ++stats_.refused_subnet_bucket;
  return false;
}

// A known contact is at another address: false, and nothing changed, where the limits forbid it.
bool Table::take_endpoint(Slot slot, const Endpoint& udp) {
  Contact& contact = at(slot);
  if (contact.record.udp == udp) return true;
  const uint64_t subnet = subnet_of(udp);
  if (!subnet_allows(subnet, contact.bucket, slot)) return false;
  subnets_.remove(contact.subnet);
  subnets_.add(subnet);
  contact.subnet = subnet;
  contact.record.udp = udp;
  return true;
}

void Table::set_live(Contact& contact, bool live) {
  if (contact.live == live) return;
  contact.live = live;
  live_ += live ? size_t{1} : ~size_t{0};
}

void Table::clear_ping(Slot slot) {
  Contact& contact = at(slot);
  if (contact.ping_pending) {
    const Slot before = contact.ping_before;
    const Slot after = contact.ping_after;
    (before == kNone ? pings_first_ : at(before).ping_after) = after;
    (after == kNone ? pings_last_ : at(after).ping_before) = before;
    contact.ping_pending = false;
  }
  if (!contact.eviction_check) return;
  contact.eviction_check = false;
  buckets_[contact.bucket].check_pending = false;
}

void Table::note_occupied(unsigned index) {
  const Bucket& bucket = buckets_[index];
  const uint64_t bit = uint64_t{1} << (index % 64);
  if (bucket.mains + bucket.spares > 0) {
    occupied_[index / 64] |= bit;
  } else {
    occupied_[index / 64] &= ~bit;
  }
}

void Table::append_main(Bucket& bucket, Slot slot) {
  BL_CHECK(bucket.mains < kBucketSize);
  bucket.main[bucket.mains++] = slot;
  ++mains_;
  at(slot).replacement = false;
  enlist(slot, false);
  note_occupied(at(slot).bucket);
}

// A live one pushes out the oldest that is not live, else the oldest; another only one that is not
// live, so that hearsay never costs us a contact that answers.
bool Table::add_spare(Bucket& bucket, Slot slot, bool live) {
  if (bucket.spares == kReplacements) {
    size_t victim = 0;
    while (victim < bucket.spares && at(bucket.spare[victim]).live) ++victim;
    if (victim == bucket.spares && !live) return false;
    if (victim == bucket.spares) victim = 0;
    ++stats_.replaced;
    drop(bucket.spare[victim]);
  }
  bucket.spare[bucket.spares++] = slot;
  ++replacements_;
  at(slot).replacement = true;
  note_occupied(at(slot).bucket);
  return true;
}

void Table::take_out(Bucket& bucket, Slot slot) {
  Contact& contact = at(slot);
  if (contact.replacement) {
    const size_t i = position_in(bucket.spare, bucket.spares, slot);
    BL_CHECK(i < bucket.spares);
    rotate_to_end(bucket.spare, i, bucket.spares--);
    --replacements_;
  } else {
    const size_t i = position_in(bucket.main, bucket.mains, slot);
    BL_CHECK(i < bucket.mains);
    rotate_to_end(bucket.main, i, bucket.mains--);
    --mains_;
    delist(slot);
  }
  note_occupied(contact.bucket);
}

void Table::drop(Slot slot) {
  take_out(buckets_[at(slot).bucket], slot);
  release(slot);
}

Table::Slot Table::newest_live(const Bucket& bucket) const {
  for (size_t i = bucket.spares; i-- > 0;) {
    if (at(bucket.spare[i]).live) return bucket.spare[i];
  }
  return kNone;
}

// What is promoted was proven some time ago: it goes to the fast list, and one missed pong is
// enough to lose the place. Where no live one is left, the unproven are asked.
void Table::promote(Bucket& bucket) {
  while (bucket.mains < kBucketSize) {
    const Slot slot = newest_live(bucket);
    if (slot == kNone) break;
    take_out(bucket, slot);
    at(slot).checks = 1;
    append_main(bucket, slot);
    ++stats_.promoted;
  }
  if (bucket.mains == kBucketSize) return;
  for (size_t i = bucket.spares; i-- > 0;) {
    if (!at(bucket.spare[i]).disposable) want_candidate(bucket.spare[i]);
  }
}

void Table::to_tail(Bucket& bucket, Slot slot) {
  if (at(slot).replacement) {
    rotate_to_end(bucket.spare, position_in(bucket.spare, bucket.spares, slot), bucket.spares);
  } else {
    rotate_to_end(bucket.main, position_in(bucket.main, bucket.mains, slot), bucket.mains);
  }
}

// Its endpoint moved: out of main until it is proven there.
void Table::demote(Slot slot) {
  Contact& contact = at(slot);
  Bucket& bucket = buckets_[contact.bucket];
  clear_ping(slot);
  set_live(contact, false);
  take_out(bucket, slot);
  promote(bucket);
  const bool added = add_spare(bucket, slot, false);
  BL_CHECK(added);  // a live one was promoted, or none is among the replacements
  want_candidate(slot);
}

void Table::enlist(Slot slot, bool slow) {
  Contact& contact = at(slot);
  if (contact.list_at != kInNoList) {
    if (contact.slow == slow) return;
    delist(slot);
  }
  std::vector<Slot>& list = slow ? slow_ : fast_;
  contact.slow = slow;
  contact.list_at = static_cast<uint32_t>(list.size());
  list.push_back(slot);
}

void Table::delist(Slot slot) {
  Contact& contact = at(slot);
  if (contact.list_at == kInNoList) return;
  std::vector<Slot>& list = contact.slow ? slow_ : fast_;
  const Slot last = list.back();
  list[contact.list_at] = last;
  at(last).list_at = contact.list_at;
  list.pop_back();
  contact.list_at = kInNoList;
}

void Table::want_check(Bucket& bucket) {
  if (bucket.check_pending) return;
  const auto index = static_cast<size_t>(&bucket - buckets_.data());
  checks_[index / 64] |= uint64_t{1} << (index % 64);
}

void Table::want_candidate(Slot slot) {
  Contact& contact = at(slot);
  if (contact.candidate || contact.live || contact.ping_pending) return;
  if (candidates_.size() - candidates_at_ >= kMaxCandidates) {
    ++stats_.refused_candidate;
    return;
  }
  contact.candidate = true;
  candidates_.push_back(contact.record.id);
}

void Table::start_ping(Slot slot, Now now) {
  Contact& contact = at(slot);
  if (contact.ping_pending) return;  // the first one's time counts for both
  contact.last_ping = now.mono;
  contact.ping_pending = true;
  contact.ping_before = pings_last_;
  contact.ping_after = kNone;
  (pings_last_ == kNone ? pings_first_ : at(pings_last_).ping_after) = slot;
  pings_last_ = slot;
}

std::optional<PingOrder> Table::poll_ping(Now now, Rng& rng) {
  PingOrder::Why why = PingOrder::Why::eviction;
  Slot slot = next_check(now);
  if (slot != kNone) {
    ++stats_.pings_eviction;
  } else if (slot = next_candidate(now); slot != kNone) {
    why = PingOrder::Why::candidate;
    ++stats_.pings_candidate;
  } else if (slot = next_revalidation(now, rng); slot != kNone) {
    why = PingOrder::Why::revalidation;
    ++stats_.pings_revalidation;
  } else {
    return std::nullopt;
  }
  start_ping(slot, now);
  return PingOrder{at(slot).record, why};
}

Table::Slot Table::next_check(Now now) {
  for (size_t word = 0; word < checks_.size(); ++word) {
    while (checks_[word] != 0) {
      const auto bit = static_cast<size_t>(std::countr_zero(checks_[word]));
      checks_[word] &= checks_[word] - 1;
      Bucket& bucket = buckets_[word * 64 + bit];
      if (bucket.mains < kBucketSize) continue;
      Contact& oldest = at(bucket.main[0]);
      if (oldest.disposable) continue;  // its place is free at the next prune
      if (now.mono - oldest.last_seen < config_.check_after) {
        ++stats_.checks_spared;
        continue;
      }
      bucket.check_pending = true;
      oldest.eviction_check = true;
      if (!oldest.ping_pending) return bucket.main[0];
    }
  }
  return kNone;
}

Table::Slot Table::next_candidate(Now now) {
  if (now.mono < next_candidate_) return kNone;
  while (candidates_at_ < candidates_.size()) {
    const Slot slot = slot_of(candidates_[candidates_at_++]);
    if (candidates_at_ == candidates_.size()) {
      candidates_.clear();
      candidates_at_ = 0;
    } else if (candidates_at_ >= kMaxCandidates) {
      candidates_.erase(candidates_.begin(), candidates_.begin() + kMaxCandidates);
      candidates_at_ = 0;
    }
    if (slot == kNone) continue;
    Contact& contact = at(slot);
    contact.candidate = false;
    const bool wanted = contact.replacement && !contact.live && !contact.disposable &&
                        !contact.ping_pending && buckets_[contact.bucket].mains < kBucketSize;
    if (!wanted) continue;
    next_candidate_ = now.mono + config_.candidate_interval;
    return slot;
  }
  return kNone;
}

// Of some random ones the least recently seen: at the same rate of pings silence is found about
// twice as early as by one random draw, and who is heard of anyway is not asked.
Table::Slot Table::next_revalidation(Now now, Rng& rng) {
  const auto due = [&](const std::vector<Slot>& list, MonoTime& next, Duration interval) {
    if (list.empty() || now.mono < next) return kNone;
    next = now.mono + Duration{static_cast<int64_t>(rng.below(static_cast<uint64_t>(interval.ns)))};
    Slot slot = list[rng.below(list.size())];
    for (size_t i = 1; i < kRevalidationDraws; ++i) {
      const Slot other = list[rng.below(list.size())];
      if (at(other).last_seen < at(slot).last_seen) slot = other;
    }
    return at(slot).ping_pending || at(slot).disposable ? kNone : slot;
  };
  const Slot fast = due(fast_, next_fast_, config_.fast_interval);
  return fast != kNone ? fast : due(slow_, next_slow_, config_.slow_interval);
}

std::optional<NodeId> Table::poll_refresh(Now now, Rng& rng) {
  if (now.mono < next_refresh_) return std::nullopt;
  unsigned lowest = kBuckets;
  for (unsigned i = kBuckets; i-- > 0 && (lowest == kBuckets || lowest - i <= kRefreshGap);) {
    if (occupied(i)) lowest = i;
  }
  MonoTime next = now.mono + config_.refresh_after;
  for (unsigned i = kBuckets; i-- > lowest;) {
    Bucket& bucket = buckets_[i];
    const MonoTime due = bucket.touched + config_.refresh_after;
    if (due <= now.mono) {
      bucket.touched = now.mono;
      ++stats_.refreshed;
      next_refresh_ = now.mono + config_.refresh_spacing;
      return random_id_in_bucket(self_, i, rng);
    }
    next = std::min(next, due);
  }
  next_refresh_ = next;
  return std::nullopt;
}

MonoTime Table::next_deadline() const {
  MonoTime next = next_prune_;
  if (!fast_.empty()) next = std::min(next, next_fast_);
  if (!slow_.empty()) next = std::min(next, next_slow_);
  if (candidates_at_ < candidates_.size()) next = std::min(next, next_candidate_);
  for (const uint64_t word : checks_) {
    if (word != 0) next = MonoTime{0};
  }
  return next;
}

size_t Table::count_subnet(std::span<const Contact* const> contacts, uint64_t subnet) {
  size_t count = 0;
  for (const Contact* contact : contacts) count += contact->subnet == subnet;
  return count;
}

void Table::sort_ranked(std::span<Ranked> items) {
  for (size_t i = 1; i < items.size(); ++i) {
    const Ranked item = items[i];
    size_t j = i;
    for (; j > 0 && item.distance < items[j - 1].distance; --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

}  // namespace beamline::discovery
