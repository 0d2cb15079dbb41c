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
std::expected<typename Inbox<Msg, Policy>::Node*, PushResult> Inbox<Msg, Policy>::Producer::take(
    uint8_t klass, size_t bytes) {
  BL_CHECK(klass < kMaxInboxClasses);
  Slab& slab = block_->slabs[klass];
  if (slab.free == nullptr || slab.bytes_left < bytes) {
    take_home(block_, block_->returns.take_all());
    if (slab.free == nullptr) {
      ++block_->stats.full_nodes;
      return std::unexpected(closed() ? PushResult::closed : PushResult::full);
    }
    if (slab.bytes_left < bytes) {
      ++block_->stats.full_bytes;
      return std::unexpected(closed() ? PushResult::closed : PushResult::full);
    }
  }
  Link* first = slab.free;
  Node* node = static_cast<Node*>(first);
  slab.free = node->next;
  --slab.free_nodes;
  slab.bytes_left -= bytes;
  node->bytes = bytes;
  unpoison(node->storage, sizeof node->storage);
  return node;
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
  const auto node = take(klass, bytes);
  if (!node) return node.error();
  new ((*node)->storage) Msg(std::move(message));
  const PushResult result = publish(*node, *node);
  if (result == PushResult::ok) {
    ++block_->stats.pushed;
  } else {
    message = std::move((*node)->value());
    (*node)->value().~Msg();
    free_node(*node);
  }
  return result;
}

template <class Msg, class Policy>
std::optional<typename Inbox<Msg, Policy>::Reservation> Inbox<Msg, Policy>::Producer::reserve(
    uint8_t klass, size_t bytes) {
  inbox_detail::Busy busy(block_->busy);
  const auto node = take(klass, bytes);
  if (!node) return std::nullopt;
  ++block_->reserved;
  return Reservation(*node);
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
  inbox_detail::Busy busy(block_->busy);
  const auto node = take(klass, bytes);
  if (!node) return node.error();
  new ((*node)->storage) Msg(std::move(message));
  (*node)->next = block_->staged_newest;
  block_->staged_newest = *node;
  if (block_->staged_oldest == nullptr) block_->staged_oldest = *node;
  ++block_->staged;
  return PushResult::ok;
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
  take_home(block_, block_->returns.take_all());
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
  take_home(block, block->returns.take_all());
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

// Sorts what was taken into the lanes, in order.
template <class Msg, class Policy>
void Inbox<Msg, Policy>::accept(Link* oldest) {
  if (oldest != nullptr) ++stats_.takes;
  while (oldest != nullptr) {
    Node* node = static_cast<Node*>(oldest);
    oldest = node->next;
    Block* block = node->home;
    switch (node->kind) {
      case Kind::birth:
        block->next = producers_;
        if (producers_ != nullptr) producers_->previous = block;
        producers_ = block;
        ++stats_.producers;
        break;
      case Kind::death:
        block->dead = true;
        // With spent nodes it is in that list, which return_spent() empties.
        if (block->pending == 0 && block->spent_newest == nullptr) bury(block);
        break;
      case Kind::message: {
        Lane& lane = lanes_[node->lane];
        node->next = nullptr;
        if (lane.oldest == nullptr) {
          lane.oldest = node;
        } else {
          lane.newest->next = node;
        }
        lane.newest = node;
        ++block->pending;
        ++stats_.backlog;
        break;
      }
    }
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

template <class Msg, class Policy>
void Inbox<Msg, Policy>::spend(Node* node) {
  Block* block = node->home;
  if (block->spent_newest == nullptr) {
    block->spent_oldest = node;
    block->next_spent = spent_;
    spent_ = block;
  }
  node->next = block->spent_newest;
  block->spent_newest = node;
  --block->pending;
}

template <class Msg, class Policy>
template <class Run>
void Inbox<Msg, Policy>::run_one(Lane& lane, Run& run) {
  Node* node = static_cast<Node*>(lane.oldest);
  lane.oldest = node->next;
  --stats_.backlog;
  ++stats_.messages;
  run(node->value());
  spend(node);
}

template <class Msg, class Policy>
template <class Run>
size_t Inbox<Msg, Policy>::drain(size_t limit, Run&& run) {
  accept(shared_->core.take_all());
  size_t done = 0;
  size_t empty_lanes = 0;
  while (done < limit && empty_lanes < kMaxInboxLanes) {
    Lane& lane = lanes_[lane_];
    if (lane.oldest == nullptr || lane_served_ == weights_[lane_]) {
      empty_lanes = lane.oldest == nullptr ? empty_lanes + 1 : 0;
      lane_ = (lane_ + 1) % kMaxInboxLanes;
      lane_served_ = 0;
      continue;
    }
    empty_lanes = 0;
    ++lane_served_;
    run_one(lane, run);
    ++done;
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
    if (block->dead && block->pending == 0) bury(block);
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
    while (lane.oldest != nullptr) run_one(lane, run);
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
