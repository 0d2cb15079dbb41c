#include "discovery/pool.h"

#include <algorithm>

#include "base/check.h"
#include "discovery/ip_limits.h"

namespace beamline::discovery {

bool PoolFilter::accepts(const NodeRecord& record) const {
  if (needs_port && record.tcp_port == 0) return false;
  if (!record.is_signed()) return unknown_too;
  if ((record.capabilities & capabilities) != capabilities) return false;
  if (fork_count == 0) return true;
  const auto end = forks.begin() + fork_count;
  return std::find(forks.begin(), end, record.fork) != end;
}

Pool::Pool(const PoolConfig& config, Rng& rng)
    : config_(config), index_(rng), subnets_(rng), rng_(rng.fork()) {
  BL_CHECK(config_.capacity > 0 && config_.capacity <= kMaxCapacity);
}

uint32_t Pool::slot_of(const NodeId& id) const {
  return index_.find(id, [this](uint32_t slot) -> const NodeId& { return at(slot).record.id; });
}

const NodeRecord* Pool::find(const NodeId& id) const {
  const uint32_t slot = slot_of(id);
  return slot == kNone ? nullptr : &at(slot).record;
}

bool Pool::insert(const NodeRecord& record) { return put(record, false); }
bool Pool::insert_proven(const NodeRecord& record) { return put(record, true); }

bool Pool::put(const NodeRecord& record, bool proven) {
  if (!is_usable(record.udp)) {
    ++stats_.refused;
    return false;
  }
  if (const uint32_t known = slot_of(record.id); known != kNone) {
    if (!update(known, record, proven)) ++stats_.known;
    return false;
  }
  const uint64_t subnet = subnet_of(record.udp);
  if (subnet_full(subnet)) {
    ++stats_.refused_subnet;
    return false;
  }
  if (size_ == config_.capacity) {
    ++stats_.displaced;
    erase(oldest_);
  }
  const uint32_t slot = allocate();
  Entry& entry = at(slot);
  entry.record = record;
  index_.insert(record.id, slot);
  subnets_.add(subnet);
  entry.older = newest_;
  (newest_ == kNone ? oldest_ : at(newest_).newer) = slot;
  newest_ = slot;
  classify(slot);
  ++stats_.inserted;
  return true;
}

bool Pool::subnet_full(uint64_t subnet) const {
  return subnet != 0 && subnets_.count(subnet) >= config_.subnet_limit;
}

bool Pool::update(uint32_t slot, const NodeRecord& record, bool proven) {
  Entry& entry = at(slot);
  const bool newer = record.is_signed() && record.seq > entry.record.seq;
  if (!newer && !(proven && !entry.record.is_signed())) return false;
  const uint64_t before = subnet_of(entry.record.udp);
  const uint64_t subnet = subnet_of(record.udp);
  if (subnet != before && subnet_full(subnet)) {
    ++stats_.refused_subnet;
    return false;
  }
  subnets_.remove(before);
  subnets_.add(subnet);
  const uint8_t protocols = entry.record.protocols;
  const uint16_t port = entry.record.tcp_port;
  entry.record = record;
  entry.record.protocols |= protocols;
  if (!record.is_signed() && entry.record.tcp_port == 0) entry.record.tcp_port = port;
  ++stats_.updated;
  const Standing now = class_at(position_of(slot));
  const bool accepted = filter_.accepts(entry.record);
  if (now != Standing::unjudged && (now == Standing::filtered) == accepted) classify(slot);
  return true;
}

// A new slot is the last of the permutation: held, until it is classified.
uint32_t Pool::allocate() {
  uint32_t slot = 0;
  if (size_ < place_.size()) {
    slot = order(size_);  // slots that are free follow the ones in use
  } else {
    slot = static_cast<uint32_t>(size_);
    if (slot / kChunk == chunks_.size()) chunks_.push_back(std::make_unique<Entry[]>(kChunk));
    if (slot / kLine == lines_.size()) lines_.emplace_back();
    order(slot) = slot;
    place_.push_back(static_cast<uint32_t>(slot / kLine));
  }
  ++size_;
  return slot;
}

void Pool::erase(uint32_t slot) {
  Entry& entry = at(slot);
  stop_waiting(slot);
  move_to(slot, Standing::held);
  exchange(position_of(slot), size_ - 1);
  --size_;
  (entry.older == kNone ? oldest_ : at(entry.older).newer) = entry.newer;
  (entry.newer == kNone ? newest_ : at(entry.newer).older) = entry.older;
  index_.erase(entry.record.id, slot);
  subnets_.remove(subnet_of(entry.record.udp));
  entry = Entry{};
}

bool Pool::remove(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return false;
  ++stats_.removed;
  erase(slot);
  return true;
}

size_t Pool::position_of(uint32_t slot) const {
  const Line& line = lines_[place_[slot]];
  size_t i = 0;
  while (i < kLine && line.slots[i] != slot) ++i;
  BL_CHECK(i < kLine);
  return place_[slot] * kLine + i;
}

Standing Pool::class_at(size_t position) const {
  size_t index = 0;
  while (index < border_.size() && position >= border_[index]) ++index;
  return static_cast<Standing>(index);
}

void Pool::exchange(size_t a, size_t b) {
  std::swap(order(a), order(b));
  if (a / kLine == b / kLine) return;
  place_[order(a)] = static_cast<uint32_t>(a / kLine);
  place_[order(b)] = static_cast<uint32_t>(b / kLine);
}

// Across each border between: change places with the one that stands there, move the border.
void Pool::move_to(uint32_t slot, Standing to) {
  const auto target = static_cast<size_t>(to);
  size_t at = position_of(slot);
  auto now = static_cast<size_t>(class_at(at));
  const auto go = [&](size_t position) {
    exchange(at, position);
    at = position;
  };
  for (; now < target; ++now) go(--border_[now]);
  for (; now > target; --now) {
    go(border_[now - 1]++);
    if (now == 1) go(rng_.below(border_[0]));
  }
}

void Pool::classify(uint32_t slot) {
  Entry& entry = at(slot);
  if (class_at(position_of(slot)) == Standing::tried) entry.cycle = cycle_;
  Standing to = Standing::eligible;
  if (entry.in_use || entry.ladder != kLadders) {
    to = Standing::held;
  } else if (!filter_.accepts(entry.record)) {
    to = Standing::filtered;
    ++stats_.filtered;
  } else if (entry.cycle == cycle_) {
    to = Standing::tried;
  }
  move_to(slot, to);
}

// After a change of the filter: so many contacts, from the end of their class.
void Pool::judge(size_t budget) {
  for (; budget > 0 && border_[2] > border_[1]; --budget) classify(order(border_[2] - 1));
}

// Looks at no contact, and at one line of the order, which is the next one in memory: whatever the
// pool holds, a pick costs the same.
const NodeRecord* Pool::pick(Now now, Rng& rng) {
  wake(now);
  judge(kSettleBudget);
  if (border_[0] == 0 && border_[1] > 0) {
    border_[0] = border_[1];  // all were tried: a new cycle
    ++cycle_;
    ++stats_.cycles;
  }
  if (border_[0] == 0) {
    ++stats_.empty_picks;
    return nullptr;
  }
  const size_t last = border_[0] - 1;
  Line& line = lines_[last / kLine];
  std::swap(line.slots[rng.below(last % kLine + 1)], line.slots[last % kLine]);
  const uint32_t slot = line.slots[last % kLine];
  border_[0] = static_cast<uint32_t>(last);  // it is the first of the tried now
  if (last % kLine == 0) mix(last / kLine);
  ++stats_.picked;
  return &at(slot).record;
}

// All of a line were tried: one of them goes elsewhere among the tried, so that cycles differ.
void Pool::mix(size_t line) {
  const size_t tried = border_[1] - border_[0];
  if (tried <= kLine) return;
  exchange(line * kLine + rng_.below(kLine), border_[0] + rng_.below(tried));
}

void Pool::hold(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  stop_waiting(slot);
  at(slot).in_use = true;
  classify(slot);
}

void Pool::release(const NodeId& id, Now now) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  at(slot).in_use = false;
  wait(slot, 0, now);
}

void Pool::failed(const NodeId& id, Now now) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  ++stats_.failures;
  Entry& entry = at(slot);
  entry.in_use = false;
  if (!config_.mark) {
    classify(slot);
    return;
  }
  if (entry.failures < UINT8_MAX) ++entry.failures;
  wait(slot, std::min<size_t>(entry.failures, config_.backoff.size()), now);
}

void Pool::succeeded(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot != kNone) at(slot).failures = 0;
}

// The longer of two waits counts.
void Pool::wait(uint32_t slot, size_t ladder, Now now) {
  Entry& entry = at(slot);
  const MonoTime due = now.mono + (ladder == 0 ? config_.redial : config_.backoff[ladder - 1]);
  if (entry.ladder != kLadders && entry.due >= due) return;
  stop_waiting(slot);
  Ladder& queue = ladders_[ladder];
  entry.ladder = static_cast<uint8_t>(ladder);
  entry.due = due;
  entry.wait_prev = queue.last;
  entry.wait_next = kNone;
  (queue.last == kNone ? queue.first : at(queue.last).wait_next) = slot;
  queue.last = slot;
  classify(slot);
}

void Pool::stop_waiting(uint32_t slot) {
  Entry& entry = at(slot);
  if (entry.ladder == kLadders) return;
  Ladder& queue = ladders_[entry.ladder];
  (entry.wait_prev == kNone ? queue.first : at(entry.wait_prev).wait_next) = entry.wait_next;
  (entry.wait_next == kNone ? queue.last : at(entry.wait_next).wait_prev) = entry.wait_prev;
  entry.ladder = kLadders;
}

void Pool::wake(Now now) {
  size_t budget = kWakeBudget;
  for (Ladder& queue : ladders_) {
    while (budget > 0 && queue.first != kNone && at(queue.first).due <= now.mono) {
      const uint32_t slot = queue.first;
      stop_waiting(slot);
      classify(slot);
      ++stats_.woken;
      --budget;
    }
  }
}

void Pool::set_filter(const PoolFilter& filter) {
  BL_CHECK(filter.fork_count <= filter.forks.size());
  filter_ = filter;
  border_[0] = border_[1] = 0;
  border_[2] = border_[3];
  ++cycle_;
  ++stats_.cycles;
}

size_t Pool::count(Standing standing) const {
  const auto index = static_cast<size_t>(standing);
  return (index == border_.size() ? size_ : border_[index]) - begin_of(index);
}

Standing Pool::standing(const NodeId& id) const {
  const uint32_t slot = slot_of(id);
  BL_CHECK(slot != kNone);
  return class_at(position_of(slot));
}

uint32_t Pool::failures(const NodeId& id) const {
  const uint32_t slot = slot_of(id);
  return slot == kNone ? 0 : at(slot).failures;
}

size_t Pool::memory() const {
  return sizeof(Pool) + chunks_.size() * kChunk * sizeof(Entry) +
         chunks_.capacity() * sizeof(chunks_[0]) + lines_.capacity() * sizeof(Line) +
         place_.capacity() * sizeof(uint32_t) + index_.memory() + subnets_.memory();
}

}  // namespace beamline::discovery
