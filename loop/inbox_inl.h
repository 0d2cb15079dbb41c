// The bodies of loop/inbox.h: templates, so that the model checker compiles what ships.
#pragma once

namespace beamline {

// ---- Producer

namespace inbox_detail {
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
typename Inbox<Msg, Policy>::Node* Inbox<Msg, Policy>::Producer::take(uint8_t klass, size_t bytes,
                                                                      PushResult& why) {
  BL_CHECK(klass < kMaxInboxClasses);
  Slab& slab = block_->slabs[klass];
  Link* first = slab.free;
  if (first == nullptr || slab.bytes_left < bytes) return take_returned(klass, bytes, why);
  Node* node = static_cast<Node*>(first);
  slab.free = node->next;
  --slab.free_nodes;
  slab.bytes_left -= bytes;
  node->bytes = bytes;
  unpoison(node->storage, sizeof node->storage);
  return node;
}

// From what came home, one by one: a node is touched once, when it is needed, and goes out again
// without a detour over the slab.
template <class Msg, class Policy>
typename Inbox<Msg, Policy>::Node* Inbox<Msg, Policy>::Producer::take_returned(uint8_t klass,
                                                                               size_t bytes,
                                                                               PushResult& why) {
  Slab& slab = block_->slabs[klass];
  while (Node* node = next_home(block_)) {
    const size_t bytes_left = slab.bytes_left + node->bytes;
    if (node->klass == klass && bytes_left >= bytes) {
      slab.bytes_left = bytes_left - bytes;
      node->bytes = bytes;
      return node;
    }
    free_node(node);
    // A node that came home to another class, or brought too few bytes.
    Link* first = slab.free;
    if (first != nullptr && slab.bytes_left >= bytes) return take(klass, bytes, why);
  }
  Link* first = slab.free;
  ++(first == nullptr ? block_->stats.full_nodes : block_->stats.full_bytes);
  why = closed() ? PushResult::closed : PushResult::full;
  return nullptr;
}

template <class Msg, class Policy>
PushResult Inbox<Msg, Policy>::Producer::publish(Link* newest, Link* oldest) {
  switch (shared_->core.push_chain(newest, oldest)) {
    case InboxCore<Policy>::Pushed::closed:
      return PushResult::closed;
    case InboxCore<Policy>::Pushed::ok_wake:
      ++block_->stats.wakes;
      shared_->waker->wake();
      break;
    case InboxCore<Policy>::Pushed::ok:
      break;
  }
  ++block_->stats.chains;
  return PushResult::ok;
}

template <class Msg, class Policy>
PushResult Inbox<Msg, Policy>::Producer::try_push(uint8_t klass, Msg&& message, size_t bytes) {
  inbox_detail::Busy busy(block_->busy);
  BL_CHECK(block_->staged_newest == nullptr);
  PushResult result = PushResult::full;
  Node* node = take(klass, bytes, result);
  if (node == nullptr) return result;
  new (node->storage) Msg(std::move(message));
  result = publish(node, node);
  if (result == PushResult::ok) {
    ++block_->stats.pushed;
  } else {
    message = std::move(node->value());
    node->value().~Msg();
    free_node(node);
  }
  return result;
}

template <class Msg, class Policy>
std::optional<typename Inbox<Msg, Policy>::Reservation> Inbox<Msg, Policy>::Producer::reserve(
    uint8_t klass, size_t bytes) {
  inbox_detail::Busy busy(block_->busy);
  PushResult why = PushResult::full;
  Node* node = take(klass, bytes, why);
  if (node == nullptr) return std::nullopt;
  ++block_->reserved;
  return Reservation(node);
}

template <class Msg, class Policy>
PushResult Inbox<Msg, Policy>::Producer::push(Reservation& reservation, Msg&& message) {
  inbox_detail::Busy busy(block_->busy);
  Node* node = reservation.node_;
  BL_CHECK(node != nullptr && node->home == block_ && block_->staged_newest == nullptr);
  new (node->storage) Msg(std::move(message));
  const PushResult result = publish(node, node);
  if (result == PushResult::ok) {
    reservation.node_ = nullptr;
    --block_->reserved;
    ++block_->stats.pushed;
  } else {
    message = std::move(node->value());
    node->value().~Msg();
  }
  return result;
}

template <class Msg, class Policy>
PushResult Inbox<Msg, Policy>::Producer::stage(uint8_t klass, Msg&& message, size_t bytes) {
  if (stage_all(klass, {&message, 1}, bytes) == 1) return PushResult::ok;
  return closed() ? PushResult::closed : PushResult::full;
}

template <class Msg, class Policy>
size_t Inbox<Msg, Policy>::Producer::stage_all(uint8_t klass, std::span<Msg> messages,
                                               size_t bytes_each) {
  inbox_detail::Busy busy(block_->busy);
  PushResult why = PushResult::ok;
  Link* newest = block_->staged_newest;
  size_t done = 0;
  for (; done < messages.size(); ++done) {
    Node* node = take(klass, bytes_each, why);
    if (node == nullptr) break;
    new (node->storage) Msg(std::move(messages[done]));
    node->next = newest;
    if (newest == nullptr) block_->staged_oldest = node;
    newest = node;
  }
  block_->staged_newest = newest;
  block_->staged += static_cast<uint32_t>(done);
  return done;
}

template <class Msg, class Policy>
PushResult Inbox<Msg, Policy>::Producer::commit() {
  inbox_detail::Busy busy(block_->busy);
  Link* newest = std::exchange(block_->staged_newest, nullptr);
  Link* oldest = std::exchange(block_->staged_oldest, nullptr);
  const uint32_t staged = std::exchange(block_->staged, 0);
  if (newest == nullptr) return PushResult::ok;
  const PushResult result = publish(newest, oldest);
  if (result == PushResult::ok) {
    block_->stats.pushed += staged;
  } else {
    oldest->next = nullptr;  // a refused attempt may have linked it to what was queued
    take_home(block_, newest);
  }
  return result;
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
  block->death.bytes = block->stats.pushed;
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
std::optional<typename Inbox<Msg, Policy>::Producer> Inbox<Msg, Policy>::Gate::make_producer(
    std::span<const InboxClass> classes) const {
  BL_CHECK(classes.size() <= kMaxInboxClasses);
  if (shared_->blocks.fetch_add(1, std::memory_order::relaxed) >= kMaxInboxProducers) {
    shared_->blocks.fetch_sub(1, std::memory_order::relaxed);
    shared_->refused.fetch_add(1, std::memory_order::relaxed);
    return std::nullopt;
  }
  auto block = std::make_unique<Block>();
  for (size_t klass = 0; klass < classes.size(); ++klass) {
    BL_CHECK(classes[klass].lane < kMaxInboxLanes);
    Slab& slab = block->slabs[klass];
    slab.bytes_left = classes[klass].bytes;
    slab.free_nodes = classes[klass].nodes;
    slab.nodes = std::make_unique<Node[]>(classes[klass].nodes);
    for (uint32_t i = classes[klass].nodes; i > 0; --i) {
      Node& node = slab.nodes[i - 1];
      node.home = block.get();
      node.klass = static_cast<uint8_t>(klass);
      node.lane = classes[klass].lane;
      node.next = slab.free;
      slab.free = &node;
      poison(node.storage, sizeof node.storage);
    }
  }
  block->birth.home = block.get();
  block->birth.kind = Kind::birth;
  block->death.home = block.get();
  block->death.kind = Kind::death;
  switch (shared_->core.push_chain(&block->birth, &block->birth)) {
    case InboxCore<Policy>::Pushed::closed:
      shared_->blocks.fetch_sub(1, std::memory_order::relaxed);
      return std::nullopt;
    case InboxCore<Policy>::Pushed::ok_wake:
      shared_->waker->wake();
      break;
    case InboxCore<Policy>::Pushed::ok:
      break;
  }
  return Producer(shared_, block.release());
}

// ---- Nodes and blocks

template <class Msg, class Policy>
void Inbox<Msg, Policy>::free_node(Node* node) {
  Slab& slab = node->home->slabs[node->klass];
  slab.bytes_left += node->bytes;
  ++slab.free_nodes;
  node->next = slab.free;
  slab.free = node;
  poison(node->storage, sizeof node->storage);
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::cancel_reservation(Node* node) {
  --node->home->reserved;
  free_node(node);
}

// The next node that came home, its payload destroyed; null if there is none.
template <class Msg, class Policy>
typename Inbox<Msg, Policy>::Node* Inbox<Msg, Policy>::next_home(Block* block) {
  Link* first = block->returned;
  if (first == nullptr) {
    first = block->returns.take_all();
    if (first == nullptr) return nullptr;
  }
  Node* node = static_cast<Node*>(first);
  node->prefetch(kPrefetch);
  block->returned = node->next;
  BL_CHECK(node->home == block);
  node->value().~Msg();
  return node;
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::take_all_home(Block* block) {
  while (Node* node = next_home(block)) free_node(node);
}

// What a chain that was refused held.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::take_home(Block* block, Link* list) {
  while (list != nullptr) {
    Node* node = static_cast<Node*>(list);
    list = node->next;
    BL_CHECK(node->home == block);
    node->value().~Msg();
    free_node(node);
  }
}

template <class Msg, class Policy>
void Inbox<Msg, Policy>::release(Shared& shared, Block* block, uint32_t holders) {
  if (block->holders.fetch_sub(holders, std::memory_order::acq_rel) != holders) return;
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

// Sorts what was taken into the lanes: one pass, newest first, each lane's part put in front of
// what this pass found, then all behind what was there.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::accept(Link* newest) {
  if (newest == nullptr) return;
  ++stats_.takes;
  std::array<Lane, kMaxInboxLanes> found;
  Link* deaths = nullptr;
  for (Node* node = static_cast<Node*>(newest); node != nullptr;) {
    if (node->kind != Kind::message) {
      Link* older = node->next;
      if (node->kind == Kind::birth) {
        accept_birth(node->home);
      } else {
        node->next = deaths;
        deaths = node;
      }
      node = static_cast<Node*>(older);
      continue;
    }
    const uint8_t index = node->lane;
    Lane& lane = found[index];
    if (lane.newest == nullptr) lane.newest = node;
    Link* oldest = lane.oldest;
    do {
      node->prefetch(-kPrefetch);
      Link* older = node->next;
      node->next = oldest;
      oldest = node;
      ++lane.count;
      node = static_cast<Node*>(older);
    } while (node != nullptr && node->kind == Kind::message && node->lane == index);
    lane.oldest = oldest;
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
void Inbox<Msg, Policy>::accept_deaths(Link* deaths) {
  while (deaths != nullptr) {
    Node* node = static_cast<Node*>(deaths);
    deaths = node->next;
    Block* block = node->home;
    block->last_spent = node->bytes;
    // With spent nodes it is in that list, which return_spent() empties.
    if (block->spent == block->last_spent && block->spent_newest == nullptr) bury(block);
  }
}

// The handle is dead and its last node came home.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::bury(Block* block) {
  if (block->next != nullptr) block->next->previous = block->previous;
  (block->previous != nullptr ? block->previous->next : producers_) = block->next;
  --stats_.producers;
  release(*shared_, block, 2);
}

// Messages of one producer that ran in a row; they are linked already.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::spend(Block* block, Node* first, Node* last, uint32_t count) {
  if (block->spent_newest == nullptr) {
    block->spent_oldest = last;
    block->next_spent = spent_;
    spent_ = block;
  } else {
    last->next = block->spent_newest;
  }
  block->spent_newest = first;
  block->spent += count;
}

template <class Msg, class Policy>
template <class Run>
size_t Inbox<Msg, Policy>::run_some(Lane& lane, size_t limit, Run& run) {
  const size_t some = std::min(limit, lane.count);
  Node* node = static_cast<Node*>(lane.oldest);
  for (size_t left = some; left > 0;) {
    Block* block = node->home;
    Node* first = node;
    Node* last;
    uint32_t count = 0;
    do {
      run(node->value());
      last = node;
      Link* next = node->next;
      node = static_cast<Node*>(next);
      ++count;
    } while (--left > 0 && node->home == block);
    spend(block, first, last, count);
  }
  lane.oldest = node;
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
    block->returns.give(std::exchange(block->spent_newest, nullptr),
                        std::exchange(block->spent_oldest, nullptr));
    if (block->spent == block->last_spent) bury(block);
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
