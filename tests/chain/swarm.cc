#include "tests/chain/swarm.h"

#include <algorithm>

#include "chain/beacon_fork_choice.h"

namespace beamline::chain::testing {
namespace {

constexpr WallTime kGenesis = WallTime::from_unix(1'000'000);
constexpr Duration kMaintenance = seconds(5);

}  // namespace

Swarm::Swarm(const SwarmOptions& options)
    : options_(options),
      rng_(options.seed),
      book_(options.nodes, options.slots_per_epoch),
      nodes_(options.nodes),
      neighbours_(options.nodes),
      group_(options.nodes, 0) {
  std::vector<uint32_t> order(options.nodes);
  for (uint32_t i = 0; i < options.nodes; ++i) order[i] = i;
  shuffle(std::span(order), rng_);
  for (uint32_t i = 0; i < options.liars; ++i) nodes_[order[i]].liar = true;
  newest_.fill(book_.genesis().root);
  for (uint32_t i = 0; i < options.nodes; ++i) {
    nodes_[i].skew = milliseconds(rng_.between(-200, 200));
    start(i);
  }
  maintain();
  after(options_.slot, [this] { begin_slot(1); });
}

// ---- Time

Now Swarm::now_of(const Node& node) const {
  return {now_, kGenesis + (now_ - MonoTime{1'000'000'000}) + node.skew};
}

Slot Swarm::slot() const {
  return static_cast<Slot>((now_ - MonoTime{1'000'000'000}).ns / options_.slot.ns);
}

void Swarm::mix(uint64_t value) {
  digest_ = (digest_ ^ value) * 0x9e3779b97f4a7c15u;
  digest_ ^= digest_ >> 29;
}

void Swarm::after(Duration delay, Action what) {
  agenda_.push_back({now_ + delay, ++sequence_, std::move(what)});
  std::push_heap(agenda_.begin(), agenda_.end());
}

void Swarm::after(Duration delay, uint32_t node, Action what) {
  after(delay, [this, node, life = nodes_[node].life, what = std::move(what)]() mutable {
    if (nodes_[node].running && nodes_[node].life == life) what();
  });
}

void Swarm::give(uint32_t to, Event event) {
  Node& node = nodes_[to];
  if (node.chain == nullptr) return;
  if (!node.chain->handle(now_of(node), std::move(event))) {
    turn(to);
    BL_CHECK(node.chain->handle(now_of(node), std::move(event)));
  }
  if (!std::exchange(node.dirty, true)) dirty_.push_back(to);
}

void Swarm::turn(uint32_t index) {
  Node& node = nodes_[index];
  node.dirty = false;
  if (node.chain == nullptr) return;
  node.chain->end_of_turn(now_of(node));
  while (auto command = node.chain->poll_command()) {
    mix(static_cast<uint64_t>(now_.ns) + index * 64 + command->index());
    carry_out(index, std::move(*command));
    if (node.chain == nullptr) return;
  }
  persist(index);
  set_timer(index);
}

void Swarm::set_timer(uint32_t index) {
  Node& node = nodes_[index];
  const MonoTime next = node.chain == nullptr ? MonoTime::never() : node.chain->poll_timeout();
  if (next == node.deadline) return;
  timers_.erase({node.deadline, index});
  node.deadline = next;
  if (next != MonoTime::never()) timers_.emplace(next, index);
}

void Swarm::run(Duration for_how_long) {
  const MonoTime end = now_ + for_how_long;
  for (uint64_t still = 0;;) {
    for (const uint32_t index : std::exchange(dirty_, {})) {
      if (nodes_[index].dirty) turn(index);
    }
    MonoTime next = agenda_.empty() ? MonoTime::never() : agenda_.front().at;
    if (!timers_.empty()) next = std::min(next, timers_.begin()->first);
    if (next > end) break;
    still = next <= now_ ? still + 1 : 0;
    BL_CHECK(still < 10'000 && "time goes on");
    now_ = std::max(now_, next);
    while (!agenda_.empty() && agenda_.front().at <= now_) {
      std::pop_heap(agenda_.begin(), agenda_.end());
      Item item = std::move(agenda_.back());
      agenda_.pop_back();
      item.what();
    }
    while (!timers_.empty() && timers_.begin()->first <= now_) {
      const uint32_t index = timers_.begin()->second;
      nodes_[index].deadline = MonoTime::never();
      timers_.erase(timers_.begin());
      give(index, Tick{});
    }
  }
  now_ = end;
}

void Swarm::run_to_end_of_slot() {
  const MonoTime next = MonoTime{1'000'000'000} + options_.slot * static_cast<int64_t>(slot() + 1);
  const MonoTime end = next + milliseconds(-500);
  run(end > now_ ? end - now_ : end + options_.slot - now_);
}

// ---- Links

bool Swarm::reachable(uint32_t a, uint32_t b) const { return !split_ || group_[a] == group_[b]; }

std::vector<uint32_t> Swarm::peers_of(uint32_t node) const { return neighbours_[node]; }

void Swarm::dial(uint32_t from) {
  const auto to = static_cast<uint32_t>(rng_.below(nodes_.size()));
  if (to == from || !nodes_[to].running || !reachable(from, to)) return;
  if (neighbours_[to].size() >= 2 * options_.degree) return;
  const Link& between = link(from, to);
  if (between.up || between.banned_until > now_) return;
  ++tally_.dials;
  connect(from, to);
}

void Swarm::connect(uint32_t a, uint32_t b) {
  Link& between = link(a, b);
  between.up = true;
  between.cut = false;
  ++between.generation;
  between.latency = milliseconds(rng_.between(5, 80));
  for (const auto& [self, other] : {std::pair(a, b), std::pair(b, a)}) {
    std::vector<uint32_t>& peers = neighbours_[self];
    peers.insert(std::ranges::lower_bound(peers, other), other);
    give(self, PeerUp{handle(other, self)});
  }
  send_status(a, b);
  send_status(b, a);
}

void Swarm::disconnect(uint32_t a, uint32_t b) {
  Link& between = link(a, b);
  if (!between.up) return;
  between.up = false;
  for (const auto& [self, other] : {std::pair(a, b), std::pair(b, a)}) {
    std::erase(neighbours_[self], other);
    close_all(self, other);
    give(self, PeerDown{handle(other, self)});
  }
}

void Swarm::send(uint32_t from, uint32_t to, Action what) {
  const Link& between = link(from, to);
  if (!between.up) return;
  after(between.latency,
        [this, from, to, generation = between.generation, what = std::move(what)]() mutable {
          const Link& now = link(from, to);
          if (now.up && !now.cut && now.generation == generation) what();
        });
}

void Swarm::send_status(uint32_t from, uint32_t to) {
  const Node& node = nodes_[from];
  PeerStatus status;
  if (node.chain != nullptr) {
    const Checkpoint finalized = node.chain->fork_choice().finalized();
    status.finalized_root = finalized.root;
    status.finalized_slot = book_.start_of(finalized.number);
    status.head_root = node.chain->head().root;
    status.head_slot = node.chain->head().slot;
  } else if (!quiet_ && rng_.chance(1, 2)) {
    ++tally_.lies;
    status.head_root = root_of(rng_.next());
    status.head_slot = slot() + rng_.below(500);
  } else {
    status.head_root = newest(from).root;
    status.head_slot = newest(from).slot;
  }
  send(from, to, [this, from, to, status]() mutable {
    status.peer = handle(from, to);
    give(to, std::move(status));
  });
}

void Swarm::maintain() {
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].running) continue;
    for (size_t tries = 0; tries < 4 && neighbours_[i].size() < options_.degree; ++tries) dial(i);
    // Now and then a connection breaks, and everybody hears how far we are.
    if (!neighbours_[i].empty() && rng_.chance(1, 50)) {
      disconnect(i, neighbours_[i][rng_.below(neighbours_[i].size())]);
    }
    if (!rng_.chance(1, 12)) continue;
    for (const uint32_t peer : neighbours_[i]) send_status(i, peer);
  }
  after(kMaintenance, [this] { maintain(); });
}

void Swarm::split(uint32_t percent) {
  split_ = true;
  split_at_ = slot();
  for (uint8_t& group : group_) group = rng_.below(100) < percent ? 0 : 1;
  for (auto& [ends, between] : links_) {
    const auto [a, b] = ends;
    if (!between.up || reachable(a, b)) continue;
    between.cut = true;
    const Duration noticed = milliseconds(rng_.between(0, options_.keep_alive.ns / 1'000'000));
    after(noticed, [this, a, b, generation = between.generation] {
      if (link(a, b).generation == generation) disconnect(a, b);
    });
  }
}

void Swarm::heal() {
  split_ = false;
  std::ranges::fill(group_, uint8_t{0});
}

// ---- Nodes that come and go

void Swarm::start(uint32_t index) {
  Node& node = nodes_[index];
  node.running = true;
  ++node.life;
  if (node.liar) return;
  ChainConfig config;
  config.anchor = book_.genesis();
  config.genesis_time = kGenesis;
  config.slot_duration = options_.slot;
  config.import = ChainConfig::Import::ask;
  config.persist = options_.persist;
  config.limits = options_.limits;
  BeaconConfig beacon;
  beacon.genesis_time = kGenesis;
  beacon.slot_duration = options_.slot;
  beacon.slots_per_epoch = options_.slots_per_epoch;
  beacon.max_validators = options_.nodes;
  BeaconForkChoice::Anchor anchor{config.anchor.root, 0, 0, Execution::none, {}};
  Recovered recovered;
  if (options_.persist) {
    auto found = node.store.open(book_.genesis());
    BL_CHECK(found.has_value());
    recovered = std::move(*found);
    config.anchor = recovered.anchor.block;
    anchor = BeaconForkChoice::anchor_of(recovered, beacon);
  }
  auto policy = std::make_unique<BeaconForkChoice>(beacon, anchor);
  policy->on_tick(now_of(node).wall);
  const std::vector<uint64_t> balances(options_.nodes, 32);
  BL_CHECK(policy->on_justified_balances(policy->justified(), balances, 32 * options_.nodes));
  node.chain = std::make_unique<Chain>(std::move(config), nullptr, std::move(policy));
  if (options_.persist) BL_CHECK(node.chain->restore(now_of(node), std::move(recovered)));
  give(index, Tick{});
}

void Swarm::stop(uint32_t index) {
  Node& node = nodes_[index];
  node.running = false;
  if (node.chain != nullptr) {
    const Stats& stats = node.chain->stats();
    past_.fetched_twice += stats.fetched_twice;
    past_.restored += stats.restored;
    past_.finalized_changes += stats.finalized_changes;
    past_.progress_timeouts += stats.progress_timeouts;
  }
  node.chain.reset();
  for (const uint32_t peer : peers_of(index)) disconnect(index, peer);
  set_timer(index);
  node.owed.clear();
  node.seen.clear();
  node.seen_before.clear();
  node.votes.clear();
  node.votes_before.clear();
}

void Swarm::crash_one(Duration away) {
  const auto index = static_cast<uint32_t>(rng_.below(nodes_.size()));
  if (!nodes_[index].running || nodes_[index].liar) return;
  ++tally_.crashes;
  stop(index);
  nodes_[index].store.crash(rng_);
  after(away, [this, index] { start(index); });
}

// ---- What holds

bool Swarm::agree() const {
  const Chain* first = nullptr;
  for (const Node& node : nodes_) {
    if (node.chain == nullptr) continue;
    if (first == nullptr) first = node.chain.get();
    if (node.chain->head().root != first->head().root) return false;
  }
  return true;
}

uint64_t Swarm::finalized() const {
  uint64_t least = UINT64_MAX;
  for (const Node& node : nodes_) {
    if (node.chain != nullptr)
      least = std::min(least, node.chain->fork_choice().finalized().number);
  }
  return least;
}

std::string Swarm::describe() const {
  std::map<std::pair<Slot, Root>, uint32_t> heads;
  for (const Node& node : nodes_) {
    if (node.chain != nullptr) ++heads[{node.chain->head().slot, node.chain->head().root}];
  }
  std::string text =
      "slot " + std::to_string(slot()) + ", final " + std::to_string(finalized()) + ", heads";
  for (const auto& [head, count] : heads) {
    text += " " + std::to_string(head.first) + "/" + std::to_string(head.second.bytes[0]) + " x" +
            std::to_string(count);
  }
  return text;
}

void Swarm::check() const {
  std::map<uint32_t, size_t> open;
  for (const auto& [key, request] : open_) {
    ++open[key.first];
    BL_CHECK(now_ - request.since <= options_.limits.total_deadline + seconds(1));
  }
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const Chain* chain = nodes_[i].chain.get();
    if (chain == nullptr) continue;
    const Limits& limits = chain->limits();
    BL_CHECK(chain->requests().size() == open[i]);
    BL_CHECK(chain->cache().size() <= limits.cached_blocks);
    BL_CHECK(chain->pending().size() <= limits.pending_roots);
    BL_CHECK(chain->tree().size() <= limits.tree_blocks);
    std::set<Root> flying;
    for (const auto& [id, request] : chain->requests().all()) {
      for (const Request::Owed& owed : request.owed) {
        BL_CHECK(owed.came || flying.insert(owed.root).second);
      }
    }
    for (const auto& [root, cached] : chain->cache().blocks()) {
      const Root& parent = cached.block.parent_root;
      BL_CHECK(chain->tree().contains(parent) || chain->cache().contains(parent) ||
               chain->pending().find(parent) != nullptr);
    }
    for (const auto& [root, wanted] : chain->pending().roots()) {
      const bool held = wanted.state == PendingRoot::State::by_range;
      BL_CHECK(!held || chain->range().active());
    }
  }
}

Stats Swarm::stats() const {
  Stats sum = past_;
  for (const Node& node : nodes_) {
    if (node.chain == nullptr) continue;
    const Stats& stats = node.chain->stats();
    sum.fetched_twice += stats.fetched_twice;
    sum.restored += stats.restored;
    sum.finalized_changes += stats.finalized_changes;
    sum.progress_timeouts += stats.progress_timeouts;
  }
  return sum;
}

}  // namespace beamline::chain::testing
