// The inputs of the table; its lists and pings are in table_order.cc.
#include "discovery/table.h"

namespace beamline::discovery {

Table::Table(const NodeId& self, const TableConfig& config, Rng& rng, Now now)
    : self_(self),
      config_(config),
      buckets_(kBuckets),
      index_(rng),
      subnets_(rng),
      next_prune_(now.mono + config.prune_interval),
      next_fast_(now.mono),
      next_slow_(now.mono),
      next_candidate_(now.mono),
      next_refresh_(now.mono + config.refresh_after) {
  for (Bucket& bucket : buckets_) bucket.touched = now.mono;
}

Inserted Table::contact_proven(const NodeRecord& record, Now now) {
  const auto bucket = bucket_of(self_, record.id);
  if (!bucket) return Inserted::self;
  if (!is_usable(record.udp)) {
    ++stats_.refused_unusable;
    return Inserted::unusable;
  }
  const Slot slot = slot_of(record.id);
  return slot == kNone ? prove_new(record, *bucket, now) : prove_known(slot, record, now);
}

Inserted Table::prove_known(Slot slot, const NodeRecord& record, Now now) {
  if (!take_endpoint(slot, record.udp)) return Inserted::subnet_full;
  Contact& contact = at(slot);
  if (record.seq > contact.record.seq || !contact.record.is_signed()) {
    contact.record = record;
  } else if (contact.record.tcp_port == 0) {
    contact.record.tcp_port = record.tcp_port;
  }
  contact.record.protocols |= record.protocols;
  proven(slot, now);
  return Inserted::known;
}

Inserted Table::prove_new(const NodeRecord& record, unsigned index, Now now) {
  if (!subnet_allows(subnet_of(record.udp), index, kNone)) return Inserted::subnet_full;
  Bucket& bucket = buckets_[index];
  const Slot slot = allocate(record, index);
  Contact& contact = at(slot);
  contact.last_pong = contact.last_seen = now.mono;
  contact.checks = 1;
  bucket.touched = now.mono;
  if (bucket.mains < kBucketSize) {
    append_main(bucket, slot);
    set_live(contact, true);
    ++stats_.inserted_main;
    return Inserted::main;
  }
  const bool added = add_spare(bucket, slot, true);
  BL_CHECK(added);
  set_live(contact, true);
  ++stats_.inserted_replacements;
  want_check(bucket);
  return Inserted::replacement;
}

Inserted Table::heard(const NodeRecord& record, Now now) {
  const auto index = bucket_of(self_, record.id);
  if (!index) return Inserted::self;
  if (!is_usable(record.udp)) {
    ++stats_.refused_unusable;
    return Inserted::unusable;
  }
  if (const Slot known = slot_of(record.id); known != kNone) {
    update_record(record, now);
    const Contact& contact = at(known);
    if (contact.replacement && !contact.live && !contact.disposable) want_candidate(known);
    return Inserted::known;
  }
  if (!subnet_allows(subnet_of(record.udp), *index, kNone)) return Inserted::subnet_full;
  const Slot slot = allocate(record, *index);
  if (!add_spare(buckets_[*index], slot, false)) {
    release(slot);
    ++stats_.refused_room;
    return Inserted::no_room;
  }
  ++stats_.inserted_replacements;
  want_candidate(slot);
  return Inserted::replacement;
}

bool Table::update_record(const NodeRecord& record, Now) {
  const Slot slot = slot_of(record.id);
  if (slot == kNone) return false;
  Contact& contact = at(slot);
  if (!record.is_signed() || record.seq <= contact.record.seq) return false;
  const Endpoint before = contact.record.udp;
  const bool moved = is_usable(record.udp) && record.udp != before;
  if (moved && !take_endpoint(slot, record.udp)) return false;
  const uint8_t protocols = contact.record.protocols;
  contact.record = record;
  contact.record.protocols |= protocols;
  if (!moved) {
    contact.record.udp = before;
    return true;
  }
  if (contact.disposable) return true;
  if (contact.replacement) {
    set_live(contact, false);
    want_candidate(slot);
  } else {
    demote(slot);
  }
  return true;
}

bool Table::touched(const NodeId& id, const Endpoint& from, Now now) {
  const Slot slot = slot_of(id);
  if (slot == kNone) return false;
  Contact& contact = at(slot);
  if (contact.record.udp != from) {
    ++stats_.foreign_endpoint;
    return false;
  }
  Bucket& bucket = buckets_[contact.bucket];
  contact.last_seen = now.mono;
  bucket.touched = now.mono;
  if (contact.eviction_check) {
    contact.eviction_check = false;
    bucket.check_pending = false;
  }
  to_tail(bucket, slot);
  return true;
}

void Table::pong(const NodeId& id, const Endpoint& from, Now now) {
  const Slot slot = slot_of(id);
  if (slot == kNone) return;
  if (at(slot).record.udp != from) {
    ++stats_.foreign_endpoint;
    return;
  }
  proven(slot, now);
}

// The endpoint of a known contact answered.
void Table::proven(Slot slot, Now now) {
  Contact& contact = at(slot);
  Bucket& bucket = buckets_[contact.bucket];
  ++stats_.pongs;
  clear_ping(slot);
  contact.last_pong = contact.last_seen = now.mono;
  if (contact.disposable) return;
  bucket.touched = now.mono;
  if (contact.checks < UINT32_MAX) ++contact.checks;
  const bool newcomer = contact.replacement && !contact.live;
  set_live(contact, true);
  if (contact.replacement && bucket.mains < kBucketSize) {
    take_out(bucket, slot);
    append_main(bucket, slot);
    ++stats_.inserted_main;
  } else {
    to_tail(bucket, slot);
    if (newcomer) want_check(bucket);
  }
  if (!contact.replacement) enlist(slot, true);
}

void Table::ping_failed(const NodeId& id, Now) {
  const Slot slot = slot_of(id);
  if (slot == kNone || !at(slot).ping_pending) return;
  Contact& contact = at(slot);
  Bucket& bucket = buckets_[contact.bucket];
  const bool decides = contact.eviction_check && !contact.replacement;
  ++stats_.pings_failed;
  clear_ping(slot);
  if (!config_.mark || contact.disposable) return;
  if (decides && newest_live(bucket) != kNone) {
    ++stats_.evicted;
    drop(slot);
    promote(bucket);
    return;
  }
  contact.checks /= 3;
  set_live(contact, false);
  if (contact.checks == 0 || contact.replacement) {
    mark_disposable(id, Failure::ping);
  } else {
    enlist(slot, false);
  }
}

void Table::ping_sent(const NodeId& id, Now now) {
  const Slot slot = slot_of(id);
  if (slot != kNone) start_ping(slot, now);
}

void Table::findnode_sent(const NodeId& id, Now now) {
  const Slot slot = slot_of(id);
  if (slot != kNone) at(slot).last_findnode = now.mono;
}

void Table::findnode_answered(const NodeId& id) {
  const Slot slot = slot_of(id);
  if (slot != kNone) at(slot).findnode_failures = 0;
}

void Table::findnode_failed(const NodeId& id) {
  const Slot slot = slot_of(id);
  if (slot == kNone) return;
  Contact& contact = at(slot);
  if (contact.findnode_failures < UINT8_MAX) ++contact.findnode_failures;
  if (contact.findnode_failures >= config_.max_findnode_failures) {
    mark_disposable(id, Failure::findnode);
  }
  if (!config_.mark || contact.disposable) return;
  // A silent one is not told to others until it answers, and is asked soon.
  set_live(contact, false);
  if (!contact.replacement) enlist(slot, false);
}

void Table::set_knows_us(const NodeId& id, bool knows) {
  const Slot slot = slot_of(id);
  if (slot != kNone) at(slot).knows_us = knows;
}

bool Table::mark_disposable(const NodeId& id, Failure why) {
  const Slot slot = slot_of(id);
  if (slot == kNone) return false;
  Contact& contact = at(slot);
  if (!config_.mark || contact.disposable) return true;
  set_live(contact, false);
  contact.disposable = true;
  ++disposable_;
  ++stats_.marked[static_cast<size_t>(why)];
  return true;
}

void Table::tick(Now now) {
  if (now.mono < next_prune_) return;
  next_prune_ = now.mono + config_.prune_interval;
  expire_pings(now);
  prune(now);
  keep_shares(now);
}

void Table::prune(Now) {
  if (disposable_ == 0) return;
  for (Bucket& bucket : buckets_) {
    for (size_t i = bucket.mains; i-- > 0;) {
      if (!at(bucket.main[i]).disposable) continue;
      ++stats_.pruned;
      drop(bucket.main[i]);
    }
    for (size_t i = bucket.spares; i-- > 0;) {
      if (!at(bucket.spare[i]).disposable) continue;
      ++stats_.pruned;
      drop(bucket.spare[i]);
    }
    promote(bucket);
  }
  BL_CHECK(disposable_ == 0);
}

void Table::expire_pings(Now now) {
  while (pings_first_ != kNone && at(pings_first_).last_ping + config_.ping_timeout <= now.mono) {
    const NodeId id = at(pings_first_).record.id;
    ping_failed(id, now);
  }
}

const Contact* Table::find(const NodeId& id) const {
  const Slot slot = slot_of(id);
  return slot == kNone ? nullptr : &at(slot);
}

size_t Table::closest(const NodeId& target, Reach reach, std::span<const Contact*> out) const {
  return closest_if(target, reach, out, [](const Contact&) { return true; });
}

size_t Table::at_distance(unsigned distance, Reach reach, std::span<const Contact*> out) const {
  if (distance == 0 || distance > kBuckets) return 0;
  const Bucket& bucket = buckets_[distance - 1];
  size_t found = 0;
  const auto consider = [&](Slot slot) {
    if (found < out.size() && seen_by(at(slot), reach)) out[found++] = &at(slot);
  };
  for (size_t i = 0; i < bucket.mains; ++i) consider(bucket.main[i]);
  for (size_t i = 0; i < bucket.spares; ++i) consider(bucket.spare[i]);
  return found;
}

Table::BucketSize Table::bucket_size(unsigned index) const {
  BL_CHECK(index < kBuckets);
  const Bucket& bucket = buckets_[index];
  BucketSize size{bucket.mains, bucket.spares, 0};
  for (size_t i = 0; i < bucket.mains; ++i) size.live += at(bucket.main[i]).live;
  for (size_t i = 0; i < bucket.spares; ++i) size.live += at(bucket.spare[i]).live;
  return size;
}

size_t Table::memory() const {
  return sizeof(Table) + buckets_.capacity() * sizeof(Bucket) +
         chunks_.size() * kChunk * sizeof(Contact) + chunks_.capacity() * sizeof(chunks_[0]) +
         (free_.capacity() + fast_.capacity() + slow_.capacity()) * sizeof(Slot) + index_.memory() +
         subnets_.memory() + candidates_.capacity() * sizeof(NodeId);
}

}  // namespace beamline::discovery
