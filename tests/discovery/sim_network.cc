#include "sim_network.h"

#include <algorithm>

namespace beamline::discovery {
namespace {

constexpr uint32_t kAttackerNetwork = 0x500000;  // above all honest ones
constexpr Duration kTimeout = milliseconds(700);
constexpr size_t kBootnodes = 3;

bool is_attacker(const NodeRecord& record) {
  return subnet_of(record.udp) >= subnet_of(address(kAttackerNetwork));
}

constexpr auto kLaterFirst = [](const auto& a, const auto& b) { return a.first > b.first; };

PoolConfig pool_config(const SimOptions& options) {
  return {.capacity = 256, .mark = options.mark};
}
TableConfig table_config(const SimOptions& options) {
  TableConfig config;
  config.mark = options.mark;
  return config;
}

}  // namespace

SimNetwork::Node::Node(const NodeRecord& self, const SimOptions& options, Rng& rng, Now now)
    : record(self),
      contacts(self.id, table_config(options), pool_config(options), {.capacity = 4}, rng, now),
      schedule({}, now),
      dial(self.id, options.dial, contacts.pool, rng) {}

SimNetwork::SimNetwork(const SimOptions& options)
    : options_(options), rng_(options.seed), wheel_(kWheel) {}
SimNetwork::~SimNetwork() = default;

void SimNetwork::schedule(Duration when, const Event& event) {
  const int64_t ms = std::max((when.ns + 999'999) / 1'000'000, clock_.ns / 1'000'000 + 1);
  if (ms - clock_.ns / 1'000'000 < static_cast<int64_t>(kWheel)) {
    wheel_[static_cast<size_t>(ms) % kWheel].push_back(event);
    return;
  }
  later_.emplace_back(milliseconds(ms), event);
  std::push_heap(later_.begin(), later_.end(), kLaterFirst);
}

uint32_t SimNetwork::index_of(const Endpoint& endpoint) const {
  const auto network = static_cast<uint32_t>(subnet_of(endpoint) - subnet_of(address(0)));
  if (network >= kAttackerNetwork) return kAttacker;
  return network;
}

SimReport SimNetwork::run() {
  for (size_t i = 0; i < options_.nodes; ++i) {
    schedule(milliseconds(static_cast<int64_t>(rng_.below(20'000))), {Kind::join});
  }
  begin_silence();
  for (uint32_t i = 0; i < options_.attackers; ++i) {
    schedule(milliseconds(static_cast<int64_t>(rng_.below(10'000))), {Kind::attack});
  }
  schedule(options_.warm_up, {Kind::check});
  for (int64_t ms = 0; ms <= options_.length.ns / 1'000'000; ++ms) {
    clock_ = milliseconds(ms);
    while (!later_.empty() && later_.front().first < clock_ + milliseconds(kWheel / 2)) {
      std::pop_heap(later_.begin(), later_.end(), kLaterFirst);
      const auto [when, event] = later_.back();
      later_.pop_back();
      schedule(when, event);
    }
    std::vector<Event>& due = wheel_[static_cast<size_t>(ms) % kWheel];
    for (size_t i = 0; i < due.size(); ++i) {
      const Event event = due[i];
      dispatch(event);
    }
    due.clear();
    if (ms % 60'000 == 0) count_minute();
  }
  uint64_t contacts = 0;
  uint64_t attackers = 0;
  for (auto& node : nodes_) {
    if (!node) continue;
    ++report_.live;
    uint64_t bad = 0;
    node->contacts.table.for_each([&](const Contact& c) { bad += is_attacker(c.record); });
    const size_t all = node->contacts.table.size();
    contacts += all;
    attackers += bad;
    if (clock_ - node->born >= options_.warm_up && !node->silent && all > 0) {
      const double share = static_cast<double>(bad) / static_cast<double>(all);
      report_.attackers_in_worst_table = std::max(report_.attackers_in_worst_table, share);
    }
    finish(*node);
  }
  report_.attackers_in_tables = static_cast<double>(attackers) / static_cast<double>(contacts);
  return report_;
}

void SimNetwork::begin_silence() {
  const size_t silent = options_.nodes * options_.silent_percent / 100;
  for (size_t i = 0; i < silent; ++i) {
    const int64_t half = options_.length.ns / 2'000'000;
    const auto index = static_cast<uint32_t>(kBootnodes + i);
    schedule(milliseconds(300'000 + rng_.between(0, half - 300'000)), {Kind::silence, index});
  }
  const size_t leaving = options_.nodes * options_.churn_percent_hour / 100 *
                         static_cast<size_t>(to_seconds(options_.length)) / 3600;
  for (size_t i = 0; i < leaving; ++i) {
    const auto when = rng_.between(60'000, options_.length.ns / 1'000'000);
    schedule(milliseconds(when), {Kind::leave});
    schedule(milliseconds(when), {Kind::join});
  }
}

void SimNetwork::dispatch(const Event& event) {
  switch (event.kind) {
    case Kind::wake:
      if (Node* node = alive(event.a); node != nullptr && node->wake <= clock_) {
        node->wake = {};
        run_node(event.a);
      }
      return;
    case Kind::ping:
    case Kind::find:
      return on_request(event);
    case Kind::pong:
    case Kind::nodes:
      return on_response(event);
    case Kind::timeout:
      return on_timeout(event);
    case Kind::attack:
      schedule(clock_ + options_.attack_interval, {Kind::attack});
      return attack();
    case Kind::dialled:
      return on_dialled(event.a, event.b);
    case Kind::lost:
      return disconnect(event.a, event.b, true);
    case Kind::silence:
      if (Node* node = event.a < nodes_.size() ? alive(event.a) : nullptr) {
        node->silent = true;
        finish(*node);
        // Whoever has it as a peer finds out by a request that times out.
        for (const uint32_t peer : node->peers) {
          schedule(clock_ + milliseconds(rng_.between(5000, 15'000)), {Kind::lost, peer, event.a});
        }
      }
      return;
    case Kind::leave: {
      const uint32_t index = any_live();
      if (index >= kBootnodes) leave(index);
      return;
    }
    case Kind::join:
      return join(kBootnodes);
    case Kind::check:
      schedule(clock_ + options_.check_interval, {Kind::check});
      return begin_check();
  }
}

void SimNetwork::join(size_t bootstraps) {
  const auto index = static_cast<uint32_t>(nodes_.size());
  const NodeRecord self = node(random_id(rng_), address(index));
  nodes_.push_back(std::make_unique<Node>(self, options_, rng_, now()));
  Node& made = *nodes_.back();
  made.born = clock_;
  made.below = clock_;
  for (uint32_t i = 0; i < bootstraps && i < index; ++i) {
    if (alive(i) != nullptr) made.contacts.heard(alive(i)->record, now());
  }
  run_node(index);
}

void SimNetwork::run_node(uint32_t index) {
  Node& node = *nodes_[index];
  if (node.silent) return;
  Table& table = node.contacts.table;
  table.tick(now());
  while (const auto order = table.poll_ping(now(), rng_)) call(index, order->record, 0, {});
  const bool wanted = node.dial.wants_more();
  while (const auto target = node.schedule.poll(table, wanted, now(), rng_)) {
    auto query = std::make_unique<Query>(++serial_, Lookup(node.record.id, *target, {}, now()));
    query->scheduled = true;
    node.contacts.seed(query->lookup);
    node.queries.push_back(std::move(query));
  }
  run_queries(index, node);
  if (wanted) dial_out(index, node);
  set_timer(index, node);
}

void SimNetwork::run_queries(uint32_t index, Node& node) {
  for (size_t i = 0; i < node.queries.size();) {
    Query& query = *node.queries[i];
    while (query.lookup.expired(now())) {
    }
    while (const NodeRecord* next = query.lookup.poll(now())) {
      call(index, NodeRecord(*next), query.serial, query.lookup.target());
    }
    if (!query.lookup.done()) {
      ++i;
      continue;
    }
    if (query.scheduled) {
      node.schedule.finished(query.lookup.stats().answered, query.fresh, now());
    }
    if (query.checked) end_check(query);
    node.queries.erase(node.queries.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void SimNetwork::set_timer(uint32_t index, Node& node) {
  const bool wanted = node.dial.wants_more();
  MonoTime next = std::min(node.contacts.table.next_deadline(),
                           node.schedule.next_deadline(node.contacts.table, wanted));
  for (const auto& query : node.queries) next = std::min(next, query->lookup.next_deadline());
  if (wanted) next = std::min(next, node.dial.next_deadline());
  const Duration when = std::max(next - at({}).mono, clock_ + milliseconds(1));
  if (node.wake.ns != 0 && node.wake <= when) return;
  node.wake = when;
  schedule(when, {Kind::wake, index});
}

void SimNetwork::dial_out(uint32_t index, Node& node) {
  while (const auto order = node.dial.poll(now(), rng_)) {
    const uint32_t to = index_of(order->record.udp);
    if (to != kAttacker) schedule(clock_ + latency() * 2, {Kind::dialled, index, to});
  }
  while (const auto dropped = node.dial.poll_drop()) {
    if (options_.mark) node.contacts.table.mark_disposable(*dropped, Failure::dial);
  }
}

// A request leaves; it comes to its end by a response or by its timeout.
void SimNetwork::call(uint32_t from, const NodeRecord& to, uint64_t serial, const NodeId& target) {
  const size_t slot = new_call();
  Call& made = calls_[slot];
  made.from = from;
  made.to = index_of(to.udp);
  made.serial = serial;
  made.to_record = to;
  made.target = target;
  made.used = true;
  ++report_.messages;
  ++nodes_[from]->sent;
  ++nodes_[from]->asked;
  report_.bytes += 100;
  schedule(clock_ + latency(), {serial == 0 ? Kind::ping : Kind::find, from, made.to, slot});
  schedule(clock_ + kTimeout, {Kind::timeout, from, 0, slot});
}

size_t SimNetwork::new_call() {
  if (free_calls_.empty()) {
    calls_.emplace_back();
    return calls_.size() - 1;
  }
  const size_t slot = free_calls_.back();
  free_calls_.pop_back();
  return slot;
}

// A packet of another node that proves where it is.
void SimNetwork::seen(Node& node, const NodeRecord& other, bool answered) {
  const Contact* contact = node.contacts.table.find(other.id);
  if (contact == nullptr || !contact->live || contact->record.udp != other.udp) {
    node.contacts.contact_proven(other, now());
  } else if (answered) {
    node.contacts.pong(other.id, other.udp, now());
  } else {
    node.contacts.touched(other.id, other.udp, now());
  }
}

void SimNetwork::on_request(const Event& event) {
  Call& made = calls_[event.tag];
  const Node* asker = alive(event.a);
  if (asker == nullptr) return;
  made.answer.clear();
  if (event.b == kAttacker) {
    if (event.kind == Kind::find) {
      for (int i = 0; i < 16; ++i) made.answer.push_back(attacker_near(made.target));
    }
  } else {
    Node* node = alive(event.b);
    if (node == nullptr || node->silent) return;
    if (node->record.id != made.to_record.id) return;
    seen(*node, asker->record, false);
    if (event.kind == Kind::find) {
      std::array<const Contact*, 16> nearest;
      const size_t count = node->contacts.table.tell(
          made.target, Reach::live, nearest,
          [&](const Contact& c) { return c.record.id != asker->record.id; });
      for (size_t i = 0; i < count; ++i) made.answer.push_back(nearest[i]->record);
    }
    ++node->sent;
    set_timer(event.b, *node);
  }
  ++report_.messages;
  report_.bytes += 100 + 160 * made.answer.size();
  const Kind kind = event.kind == Kind::ping ? Kind::pong : Kind::nodes;
  schedule(clock_ + latency(), {kind, event.a, event.b, event.tag});
}

void SimNetwork::on_response(const Event& event) {
  Node* node = alive(event.a);
  if (node == nullptr || node->silent || !calls_[event.tag].used) return;
  Call made = std::move(calls_[event.tag]);
  calls_[event.tag].used = false;
  seen(*node, made.to_record, true);
  if (event.kind == Kind::nodes) {
    node->contacts.table.findnode_answered(made.to_record.id);
    Query* query = nullptr;
    for (auto& candidate : node->queries) {
      if (candidate->serial == made.serial) query = candidate.get();
    }
    for (const NodeRecord& record : made.answer) {
      const bool fresh = node->contacts.pool.find(record.id) == nullptr;
      node->contacts.heard(record, now());
      if (fresh && query != nullptr) ++query->fresh;
    }
    if (query != nullptr) query->lookup.answered(made.to_record.id, made.answer, true, now());
    run_queries(event.a, *node);
  }
  made.answer.clear();
  calls_[event.tag].answer = std::move(made.answer);
  set_timer(event.a, *node);
}

// The slot is free again from here on: neither request nor response comes later.
void SimNetwork::on_timeout(const Event& event) {
  Call& made = calls_[event.tag];
  free_calls_.push_back(event.tag);
  if (!made.used) return;
  made.used = false;
  Node* node = alive(event.a);
  if (node == nullptr || node->silent) return;
  if (made.serial == 0) {
    node->contacts.ping_failed(made.to_record.id, now());
  } else {
    node->contacts.table.findnode_failed(made.to_record.id);
    for (auto& query : node->queries) {
      if (query->serial == made.serial) query->lookup.failed(made.to_record.id, now());
    }
    run_queries(event.a, *node);
  }
  set_timer(event.a, *node);
}

NodeRecord SimNetwork::attacker_near(const NodeId& target) {
  const auto bucket = static_cast<unsigned>(rng_.below(256));
  const auto host = static_cast<uint8_t>(1 + rng_.below(8));
  const auto network = static_cast<uint32_t>(kAttackerNetwork + rng_.below(2));
  const auto port = static_cast<uint16_t>(1024 + rng_.below(60'000));
  return node(random_id_in_bucket(target, bucket, rng_), address(network, host, port));
}

// An id near to the victim pings it, and answers its ping.
void SimNetwork::attack() {
  if (nodes_.empty()) return;  // nobody is there yet
  Node& victim = *nodes_[any_live()];
  if (!victim.silent) seen(victim, attacker_near(victim.record.id), true);
}

void SimNetwork::on_dialled(uint32_t from, uint32_t to) {
  Node* node = alive(from);
  Node* other = alive(to);
  if (node == nullptr || node->silent) return;
  if (other != nullptr && node->dial.is_connected(other->record.id)) {
    node->dial.dial_refused(other->record.id, now());
    return;
  }
  if (other == nullptr || other->silent) return;  // the dial ends by its own timeout
  const auto taken = [](Admission admission) {
    return admission == Admission::accept || admission == Admission::replace;
  };
  if (!taken(other->dial.connected_inbound(node->record.id, now()))) {
    node->dial.dial_failed(other->record.id, now());
    return set_timer(from, *node);
  }
  if (!taken(node->dial.connected_outbound(other->record.id, now()))) {
    other->dial.disconnected(node->record.id, now());
    return;
  }
  connect(from, to);
}

void SimNetwork::connect(uint32_t a, uint32_t b) {
  nodes_[a]->peers.push_back(b);
  nodes_[b]->peers.push_back(a);
  // They answer each other until one falls silent.
  nodes_[a]->dial.useful(nodes_[b]->record.id);
  nodes_[b]->dial.useful(nodes_[a]->record.id);
  peers_changed(*nodes_[a]);
  peers_changed(*nodes_[b]);
}

// `index` loses `peer`: its request timed out, or its connection ended.
void SimNetwork::disconnect(uint32_t index, uint32_t peer, bool failed) {
  Node* node = alive(index);
  if (node == nullptr || std::erase(node->peers, peer) == 0) return;
  // Without the marking nobody draws a conclusion from a timeout: the slot stays taken.
  const NodeId id = nodes_[peer] ? nodes_[peer]->record.id : NodeId{};
  if (failed && !options_.mark) {
    peers_changed(*node);
    return;
  }
  if (failed) {
    node->contacts.mark_disposable(id, Failure::request, now());
    node->dial.failed(id, now());
    while (node->dial.poll_drop()) {
    }
  } else {
    node->dial.disconnected(id, now());
  }
  peers_changed(*node);
  if (!node->silent) set_timer(index, *node);
}

// Peers that answer, against the target.
void SimNetwork::peers_changed(Node& node) {
  if (node.silent) return;
  const bool below = node.peers.size() < node.dial.dialled_target();
  if (below == node.below.has_value()) return;
  if (below) {
    node.below = clock_;
  } else {
    node.longest_below = std::max(node.longest_below, clock_ - *node.below);
    node.below.reset();
  }
}

// It leaves the measurement.
void SimNetwork::finish(Node& node) {
  if (node.born.ns < 0) return;
  if (node.below) node.longest_below = std::max(node.longest_below, clock_ - *node.below);
  const auto life = static_cast<uint64_t>(to_seconds(clock_ - node.born)) + 1;
  report_.node_seconds += life;
  ++report_.nodes_measured;
  report_.nodes_below_30s += node.longest_below > seconds(30);
  report_.longest_below = std::max(report_.longest_below, node.longest_below);
  node.born = Duration{-1};
}

void SimNetwork::count_minute() {
  SimReport::Busiest& most = clock_ <= options_.forming ? report_.forming : report_.formed;
  for (auto& node : nodes_) {
    if (!node || node->silent) continue;
    const double sent = static_cast<double>(node->sent - node->sent_before) / 60;
    const double asked = static_cast<double>(node->asked - node->asked_before) / 60;
    node->sent_before = node->sent;
    node->asked_before = node->asked;
    const bool bootnode = index_of(node->record.udp) < kBootnodes;
    double& here = bootnode ? most.bootnode : most.node;
    here = std::max(here, sent);
    most.asked = std::max(most.asked, asked);
  }
}

void SimNetwork::leave(uint32_t index) {
  Node& node = *nodes_[index];
  finish(node);
  for (const uint32_t peer : std::vector<uint32_t>(node.peers)) {
    disconnect(peer, index, false);
  }
  nodes_[index].reset();
}

uint32_t SimNetwork::any_live() {
  while (true) {
    const auto index = static_cast<uint32_t>(rng_.below(nodes_.size()));
    if (nodes_[index] != nullptr) return index;
  }
}

// A look-up of a random target by a random node that is here for a while.
void SimNetwork::begin_check() {
  const uint32_t index = any_live();
  Node& node = *nodes_[index];
  if (node.silent || clock_ - node.born < seconds(60)) return;
  const NodeId target = random_id(rng_);
  auto query = std::make_unique<Query>(++serial_, Lookup(node.record.id, target, {}, now()));
  query->checked = true;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const Node* other = nodes_[i].get();
    if (other == nullptr || other->silent || i == index) continue;
    if (clock_ - other->born >= seconds(30)) query->live.push_back(i);
  }
  node.contacts.seed(query->lookup);
  node.queries.push_back(std::move(query));
  run_queries(index, node);
  set_timer(index, node);
}

// Against the nearest of those that were live from its start to its end. Newcomers and attackers
// may stand among them and take a place each.
void SimNetwork::end_check(const Query& query) {
  std::array<NodeRecord, 16> result;
  const size_t count = query.lookup.closest(result);
  std::vector<NodeId> live;
  for (const uint32_t index : query.live) {
    if (nodes_[index] && !nodes_[index]->silent) live.push_back(nodes_[index]->record.id);
  }
  const auto nearer = [&](const NodeId& a, const NodeId& b) {
    return closer(query.lookup.target(), a, b);
  };
  const size_t wanted = std::min<size_t>(16, live.size());
  std::partial_sort(live.begin(), live.begin() + static_cast<std::ptrdiff_t>(wanted), live.end(),
                    nearer);
  live.resize(wanted);
  size_t others = 0;
  size_t honest = 0;
  for (size_t i = 0; i < count; ++i) {
    const bool attacker = is_attacker(result[i]);
    honest += !attacker;
    const uint32_t index = attacker ? kAttacker : index_of(result[i].udp);
    others += attacker || std::ranges::find(query.live, index) == query.live.end() ||
              !nodes_[index] || nodes_[index]->silent;
  }
  size_t missed = 0;
  for (size_t i = 0; i + others < wanted; ++i) {
    missed += std::none_of(result.begin(), result.begin() + static_cast<std::ptrdiff_t>(count),
                           [&](const NodeRecord& r) { return r.id == live[i]; });
  }
  ++report_.lookups;
  report_.missed += missed;
  report_.lookups_exact += missed == 0;
  report_.lookups_attackers_alone += honest == 0;
}

}  // namespace beamline::discovery
