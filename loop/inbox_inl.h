// The bodies of loop/inbox.h: templates, so that the model checker compiles what ships.
#pragma once

namespace beamline {

// ---- Producer

namespace inbox_detail {
// How many payloads a push that finds its slab empty takes home and destroys at once, at most.
inline constexpr uint64_t kTakeHome = 64;

// Says when two threads use one handle at once. Not a lock: it asserts.
template <class Flag>
class Busy {
 public:
  explicit Busy(Flag& flag) : flag_(flag) {
    BL_CHECK(!static_cast<bool>(flag_));
    flag_ = true;
  }
  ~Busy() { flag_ = false; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  Flag& flag_;
};
}  // namespace inbox_detail

template <class Msg, class Policy>
inline bool Inbox<Msg, Policy>::Producer::make_room(uint8_t klass, size_t bytes) {
  BL_CHECK(klass < kMaxInboxClasses);
  if (block_->slabs[klass].has(bytes)) [[likely]]
    return true;
  return take_home_for(klass, bytes);
}

template <class Msg, class Policy>
bool Inbox<Msg, Policy>::Producer::take_home_for(uint8_t klass, size_t bytes) {
  Slab& slab = block_->slabs[klass];
  uint64_t before;
  do {
    before = slab.came_home;
    // Without destructors and bytes to add up, all of them cost no more than one.
    const bool all = std::is_trivially_destructible_v<Msg> && slab.bytes == nullptr;
    take_home(block_, klass, all ? UINT64_MAX : inbox_detail::kTakeHome);
    if (slab.has(bytes)) return true;
  } while (slab.came_home != before);
  ++(slab.free_nodes == 0 ? block_->stats.full_nodes : block_->stats.full_bytes);
  return false;
}

template <class Msg, class Policy>
inline PushResult Inbox<Msg, Policy>::Producer::publish(Node* newest, Node* oldest) {
  const auto pushed = shared_->core.push_chain(newest, oldest);
  if (pushed != InboxCore<Policy>::Pushed::ok) [[unlikely]] {
    if (pushed == InboxCore<Policy>::Pushed::closed) return PushResult::closed;
    ++block_->stats.wakes;
    shared_->waker->wake();
  }
  ++block_->stats.chains;
  return PushResult::ok;
}

// REQUIRES: the next node is free, or reserved, and its bytes are accounted for.
template <class Msg, class Policy>
inline PushResult Inbox<Msg, Policy>::Producer::push_next(uint8_t klass, Msg& message,
                                                          size_t bytes) {
  Slab& slab = block_->slabs[klass];
  Node* node = slab.headers + slab.next;
  unpoison(node->first, sizeof(Msg));
  Msg* made = new (node->first) Msg(std::move(message));
  if (slab.bytes != nullptr) slab.bytes[slab.next] = bytes;
  node->count = 1;
  const PushResult result = publish(node, node);
  if (result == PushResult::ok) [[likely]] {
    slab.next = slab.after(slab.next);
    ++block_->stats.pushed;
  } else {
    message = std::move(*made);
    made->~Msg();
    poison(node->first, sizeof(Msg));
  }
  return result;
}

template <class Msg, class Policy>
inline PushResult Inbox<Msg, Policy>::Producer::try_push(uint8_t klass, Msg&& message,
                                                         size_t bytes) {
  inbox_detail::Busy busy(block_->busy);
  BL_CHECK(block_->staged_newest == nullptr);
  if (!make_room(klass, bytes)) return refused();
  const PushResult result = push_next(klass, message, bytes);
  if (result == PushResult::ok) [[likely]]
    block_->slabs[klass].take(1, bytes);
  return result;
}

template <class Msg, class Policy>
std::optional<typename Inbox<Msg, Policy>::Reservation> Inbox<Msg, Policy>::Producer::reserve(
    uint8_t klass, size_t bytes) {
  inbox_detail::Busy busy(block_->busy);
  if (!make_room(klass, bytes)) return std::nullopt;
  block_->slabs[klass].take(1, bytes);
  ++block_->reserved;
  return Reservation(block_, klass, bytes);
}

template <class Msg, class Policy>
PushResult Inbox<Msg, Policy>::Producer::push(Reservation& reservation, Msg&& message) {
  inbox_detail::Busy busy(block_->busy);
  BL_CHECK(reservation.home_ == block_ && block_->staged_newest == nullptr);
  const PushResult result = push_next(reservation.klass_, message, reservation.bytes_);
  if (result == PushResult::ok) {
    reservation.home_ = nullptr;
    --block_->reserved;
  }
  return result;
}

template <class Msg, class Policy>
PushResult Inbox<Msg, Policy>::Producer::stage(uint8_t klass, Msg&& message, size_t bytes) {
  inbox_detail::Busy busy(block_->busy);
  if (!make_room(klass, bytes)) return refused();
  stage_row(klass, &message, 1, bytes);
  return PushResult::ok;
}

template <class Msg, class Policy>
size_t Inbox<Msg, Policy>::Producer::stage_all(uint8_t klass, std::span<Msg> messages,
                                               size_t bytes_each) {
  inbox_detail::Busy busy(block_->busy);
  size_t done = 0;
  while (done < messages.size() && make_room(klass, bytes_each)) {
    const Slab& slab = block_->slabs[klass];
    size_t fit = std::min(slab.free_nodes, slab.nodes - slab.next);
    if (slab.bytes != nullptr && bytes_each != 0) {
      fit = std::min(fit, slab.bytes_left / bytes_each);
    }
    const size_t count = std::min(fit, messages.size() - done);
    stage_row(klass, messages.data() + done, static_cast<uint32_t>(count), bytes_each);
    done += count;
  }
  return done;
}

template <class Msg, class Policy>
inline void Inbox<Msg, Policy>::Producer::stage_row(uint8_t klass, Msg* messages, uint32_t count,
                                                    size_t bytes_each) {
  Slab& slab = block_->slabs[klass];
  Node* node = slab.headers + slab.next;
  unpoison(node->first, count * sizeof(Msg));
  if constexpr (std::is_trivially_copyable_v<Msg>) {
    std::memcpy(node->first, messages, count * sizeof(Msg));  // a library's copy of many: wide
  } else {
    std::uninitialized_move_n(messages, count, node->first);
  }
  if (slab.bytes != nullptr) std::fill_n(slab.bytes.get() + slab.next, count, bytes_each);
  slab.next += count;
  if (slab.next == slab.nodes) slab.next = 0;
  slab.take(count, bytes_each);
  block_->staged += count;
  Node* newest = block_->staged_newest;
  if (newest != nullptr) {
    const uint32_t before = newest->count;
    if (newest + before == node) {
      newest->count = before + count;
      return;
    }
  } else {
    block_->staged_oldest = node;
  }
  node->count = count;
  node->next = newest;
  block_->staged_newest = node;
}

template <class Msg, class Policy>
PushResult Inbox<Msg, Policy>::Producer::commit() {
  inbox_detail::Busy busy(block_->busy);
  Node* newest = std::exchange(block_->staged_newest, nullptr);
  Node* oldest = std::exchange(block_->staged_oldest, nullptr);
  const uint32_t staged = std::exchange(block_->staged, 0);
  if (newest == nullptr) return PushResult::ok;
  const PushResult result = publish(newest, oldest);
  if (result == PushResult::ok) [[likely]] {
    block_->stats.pushed += staged;
  } else {
    oldest->next = nullptr;  // a refused attempt may have linked it to what was queued
    drop_staged(newest);
  }
  return result;
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::Producer::drop_staged(Node* newest) {
  while (newest != nullptr) {
    Slab& slab = block_->slabs[newest->klass];
    const uint32_t count = newest->count;
    slab.next = static_cast<uint32_t>(newest - slab.headers);
    slab.vacate(slab.next, count);
    Link* older = newest->next;
    newest = static_cast<Node*>(older);
  }
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::Producer::reclaim() {
  inbox_detail::Busy busy(block_->busy);
  take_all_home(block_);
}

template <class Msg, class Policy>
Inbox<Msg, Policy>::Producer::~Producer() {
  if (shared_ == nullptr) return;
  commit();
  reclaim();
  BL_CHECK(block_->reserved == 0);
  // From a push that succeeds on, the block is the inbox's.
  Block* block = std::exchange(block_, nullptr);
  switch (shared_->core.push_chain(&block->death, &block->death)) {
    case InboxCore<Policy>::Pushed::ok_wake:
      shared_->waker->wake();
      break;
    case InboxCore<Policy>::Pushed::ok:
      break;
    case InboxCore<Policy>::Pushed::closed:
      release(*shared_, block, 1);
      break;
  }
}

// ---- Gate

template <class Msg, class Policy>
void Inbox<Msg, Policy>::Slab::make(Block* block, uint8_t klass, const InboxClass& limits) {
  free_nodes = nodes = limits.nodes;
  bytes_left = limits.bytes;
  if (nodes == 0) return;
  if (bytes_left != SIZE_MAX) bytes = std::make_unique<size_t[]>(nodes);
  const size_t lines = (sizeof(Msg) * nodes + kLineSize - 1) / kLineSize;
  places = std::make_unique_for_overwrite<Line[]>(lines);
  // One more than places, so that the last header of a slab never borders on another slab's first.
  owned_headers = std::make_unique<Node[]>(size_t{nodes} + 1);
  headers = owned_headers.get();
  for (uint32_t i = 0; i < nodes; ++i) {
    Node& node = headers[i];
    node.first = reinterpret_cast<Msg*>(places.get()) + i;
    node.home = block;
    node.klass = klass;
    node.lane = limits.lane;
  }
  poison(places.get(), lines * kLineSize);
}

template <class Msg, class Policy>
std::optional<typename Inbox<Msg, Policy>::Producer> Inbox<Msg, Policy>::Gate::make_producer(
    std::span<const InboxClass> classes) const {
  BL_CHECK(classes.size() <= kMaxInboxClasses);
  if (shared_->blocks.fetch_add(1, std::memory_order_relaxed) >= kMaxInboxProducers) {
    shared_->blocks.fetch_sub(1, std::memory_order_relaxed);
    shared_->refused.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  auto block = std::make_unique<Block>();
  for (size_t klass = 0; klass < classes.size(); ++klass) {
    BL_CHECK(classes[klass].lane < kMaxInboxLanes);
    block->slabs[klass].make(block.get(), static_cast<uint8_t>(klass), classes[klass]);
  }
  block->birth.home = block.get();
  block->birth.kind = Kind::birth;
  block->death.home = block.get();
  block->death.kind = Kind::death;
  switch (shared_->core.push_chain(&block->birth, &block->birth)) {
    case InboxCore<Policy>::Pushed::closed:
      shared_->blocks.fetch_sub(1, std::memory_order_relaxed);
      return std::nullopt;
    case InboxCore<Policy>::Pushed::ok_wake:
      shared_->waker->wake();
      break;
    case InboxCore<Policy>::Pushed::ok:
      break;
  }
  return Producer(shared_, block.release());
}

// ---- Slabs and blocks

// The messages from `index` on are destroyed, their nodes and bytes free again. REQUIRES: they do
// not run over the end of the ring.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::Slab::vacate(uint32_t index, uint32_t count) {
  Msg* first = headers[index].first;
  std::destroy_n(first, count);
  poison(first, count * sizeof(Msg));
  free_nodes += count;
  if (bytes == nullptr) return;
  for (uint32_t i = index; i < index + count; ++i) bytes_left += bytes[i];
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::cancel_reservation(Reservation& reservation) {
  --reservation.home_->reserved;
  reservation.home_->slabs[reservation.klass_].give_back(reservation.bytes_);
}

// At most so many of those that the inbox has returned.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::take_home(Block* block, uint8_t klass, uint64_t at_most) {
  Slab& slab = block->slabs[klass];
  const uint64_t returned = block->returned[klass].load(std::memory_order::acquire);
  uint64_t left = std::min(returned - slab.came_home, at_most);
  BL_CHECK(left <= slab.nodes);
  while (left > 0) {
    const auto row = static_cast<uint32_t>(std::min<uint64_t>(left, slab.nodes - slab.oldest));
    slab.vacate(slab.oldest, row);
    slab.oldest += row;
    if (slab.oldest == slab.nodes) slab.oldest = 0;
    slab.came_home += row;
    left -= row;
  }
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::take_all_home(Block* block) {
  for (uint8_t klass = 0; klass < kMaxInboxClasses; ++klass) take_home(block, klass, UINT64_MAX);
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::release(Shared& shared, Block* block, uint32_t holders) {
  if (block->holders.fetch_sub(holders, std::memory_order_acq_rel) != holders) return;
  take_all_home(block);
  delete block;
  shared.blocks.fetch_sub(1, std::memory_order::relaxed);
}

// ---- The owner

template <class Msg, class Policy>
Inbox<Msg, Policy>::~Inbox() {
  BL_CHECK(closed() && stats_.backlog == 0);
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::set_lane_weights(std::span<const uint32_t> weights) {
  BL_CHECK(weights.size() <= kMaxInboxLanes);
  for (size_t lane = 0; lane < weights.size(); ++lane) {
    BL_CHECK(weights[lane] > 0);
    weights_[lane] = weights[lane];
  }
}

// Makes one of all the batches that lie side by side from `node` down and were pushed one after the
// other: its header, which links to what was pushed before them.
template <class Msg, class Policy>
inline typename Inbox<Msg, Policy>::Node* Inbox<Msg, Policy>::merge_older(Node* node) {
  const uint32_t count = node->count;
  uint32_t merged = count;
  for (;;) {
    Link* link = node->next;
    Node* older = static_cast<Node*>(link);
    if (older == nullptr) break;
    const uint32_t more = older->count;
    if (older + more != node) break;
    merged += more;
    node = older;
  }
  if (merged != count) node->count = merged;
  return node;
}

// Sorts what was taken into the lanes: one pass, newest first, each lane's part put in front of
// what this pass found, then all behind what was there.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::accept(Link* newest) {
  if (newest == nullptr) return;
  ++stats_.takes;
  std::array<Lane, kMaxInboxLanes> found;
  Node* deaths = nullptr;
  while (newest != nullptr) {
    Node* node = static_cast<Node*>(newest);
    if (node->kind != Kind::message) [[unlikely]] {
      newest = node->next;
      if (node->kind == Kind::birth) {
        accept_birth(node->home);
      } else {
        node->next = deaths;
        deaths = node;
      }
      continue;
    }
    node = merge_older(node);
    newest = node->next;
    Lane& lane = found[node->lane];
    if (lane.newest == nullptr) lane.newest = node;
    node->next = lane.oldest;
    lane.oldest = node;
    lane.count += node->count;
  }
  for (size_t i = 0; i < kMaxInboxLanes; ++i) {
    if (found[i].count == 0) continue;
    Lane& lane = lanes_[i];
    if (lane.count == 0) {
      lane.oldest = found[i].oldest;
    } else {
      lane.newest->next = found[i].oldest;
    }
    lane.newest = found[i].newest;
    lane.count += found[i].count;
    stats_.backlog += static_cast<uint32_t>(found[i].count);
  }
  accept_deaths(deaths);
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::accept_birth(Block* block) {
  block->next = producers_;
  if (producers_ != nullptr) producers_->previous = block;
  producers_ = block;
  ++stats_.producers;
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::accept_deaths(Node* deaths) {
  while (deaths != nullptr) {
    Block* block = deaths->home;
    Link* more = deaths->next;
    deaths = static_cast<Node*>(more);
    block->last_spent = block->stats.pushed;
    // With news for its producer it is in that list, which return_spent() empties.
    if (block->all_ran() && block->spent_classes == 0) bury(block);
  }
}

// The handle is dead and its last message has run.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::bury(Block* block) {
  if (block->next != nullptr) block->next->previous = block->previous;
  (block->previous != nullptr ? block->previous->next : producers_) = block->next;
  --stats_.producers;
  release(*shared_, block, 2);
}

template <class Msg, class Policy>
inline void Inbox<Msg, Policy>::spend(Block* block, uint8_t klass, uint32_t count) {
  if (block->spent_classes == 0) {
    block->next_spent = spent_;
    spent_ = block;
  }
  block->spent_classes |= 1u << klass;
  block->spent[klass] += count;
}

template <class Msg, class Policy>
template <class Run>
size_t Inbox<Msg, Policy>::run_some(Lane& lane, size_t limit, Run& run) {
  const size_t some = std::min(limit, lane.count);
  for (size_t left = some; left > 0;) {
    Node* node = lane.oldest;
    const uint32_t count = node->count;
    const auto now = static_cast<uint32_t>(std::min<size_t>(count, left));
    Msg* const first = std::launder(node->first);
    for (Msg* message = first; message != first + now; ++message) run(*message);
    Link* next = node->next;
    lane.oldest = static_cast<Node*>(next);
    if (now != count) {
      // The header goes home with the first message, so the rest gets the next one's.
      Node* rest = node + now;
      rest->count = count - now;
      rest->next = next;
      if (lane.newest == node) lane.newest = rest;
      lane.oldest = rest;
    }
    spend(node->home, node->klass, now);
    left -= now;
  }
  lane.count -= some;
  stats_.backlog -= static_cast<uint32_t>(some);
  stats_.messages += some;
  return some;
}

template <class Msg, class Policy>
template <class Run>
size_t Inbox<Msg, Policy>::drain(size_t limit, Run&& run) {
  accept(shared_->core.take_all());
  size_t done = 0;
  while (done < limit && stats_.backlog > 0) {
    Lane& lane = lanes_[lane_];
    if (lane.count == 0 || lane_served_ == weights_[lane_]) {
      lane_ = (lane_ + 1) % kMaxInboxLanes;
      lane_served_ = 0;
      continue;
    }
    // A lane that is alone need not stop for the others.
    const bool alone = lane.count == stats_.backlog;
    const uint32_t turn = weights_[lane_] - lane_served_;
    const size_t ran =
        run_some(lane, alone ? limit - done : std::min<size_t>(limit - done, turn), run);
    lane_served_ += static_cast<uint32_t>(std::min<size_t>(ran, turn));
    done += ran;
  }
  return done;
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::return_spent() {
  while (spent_ != nullptr) {
    Block* block = spent_;
    spent_ = block->next_spent;
    uint32_t classes = std::exchange(block->spent_classes, 0);
    for (; classes != 0; classes &= classes - 1) {
      const auto klass = static_cast<size_t>(std::countr_zero(classes));
      block->returned[klass].store(block->spent[klass], Policy::kPublish);
    }
    if (block->all_ran()) bury(block);
  }
}

template <class Msg, class Policy>
bool Inbox<Msg, Policy>::prepare_sleep() {
  if (stats_.backlog != 0) return false;
  if (closed()) return true;
  if (!shared_->core.prepare_sleep()) {
    ++stats_.sleeps_refused;
    return false;
  }
  ++stats_.sleeps;
  return true;
}

template <class Msg, class Policy>
template <class Run>
void Inbox<Msg, Policy>::close(Run&& run) {
  accept(shared_->core.close());
  for (Lane& lane : lanes_) {
    run_some(lane, SIZE_MAX, run);
  }
  return_spent();
  while (producers_ != nullptr) {
    Block* block = producers_;
    producers_ = block->next;
    --stats_.producers;
    release(*shared_, block, 1);
  }
}

}  // namespace beamline
