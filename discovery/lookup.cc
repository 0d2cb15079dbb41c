#include "discovery/lookup.h"

#include <algorithm>

#include "base/check.h"
#include "discovery/ip_limits.h"

namespace beamline::discovery {

Lookup::Lookup(const NodeId& self, const NodeId& target, const LookupConfig& config, Now now)
    : self_(self), target_(target), config_(config), deadline_(now.mono + config.timeout) {
  BL_CHECK(config_.alpha > 0 && config_.k > 0 && config_.max_known <= UINT16_MAX);
  BL_CHECK(config_.max_queries < config_.max_known);
}

// order_ is sorted, and no two ids have one distance.
size_t Lookup::position_of(const NodeId& id) const {
  const Distance d = distance(target_, id);
  const auto at = std::lower_bound(
      order_.begin(), order_.end(), d,
      [this](uint16_t node, const Distance& other) { return nodes_[node].distance < other; });
  if (at == order_.end() || nodes_[*at].distance != d) return order_.size();
  return static_cast<size_t>(at - order_.begin());
}

bool Lookup::subnet_full(uint64_t subnet) {
  if (subnet == 0) return false;
  size_t same = 0;
  for (const Node& node : nodes_) same += node.subnet == subnet;
  if (same < config_.per_subnet) return false;
  for (Node& node : nodes_) node.crowded |= node.subnet == subnet;
  return true;
}

// The farthest that was not asked goes, when it is farther than the new one.
bool Lookup::make_room(const Distance& distance) {
  ++stats_.displaced;
  for (size_t i = order_.size(); i-- > 0;) {
    const Node& node = nodes_[order_[i]];
    if (node.distance < distance) return false;
    if (node.state != State::fresh) continue;
    const uint16_t index = order_[i];
    order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(i));
    const auto last = static_cast<uint16_t>(nodes_.size() - 1);
    if (index != last) {
      *std::find(order_.begin(), order_.end(), last) = index;
      nodes_[index] = std::move(nodes_[last]);
    }
    nodes_.pop_back();
    return true;
  }
  return false;
}

void Lookup::add(const NodeRecord& record) {
  if (done_) return;
  if (record.id == self_) {
    ++stats_.refused_self;
    return;
  }
  if (!is_usable(record.udp)) {
    ++stats_.refused_unusable;
    return;
  }
  if (position_of(record.id) != order_.size()) return;
  const uint64_t subnet = subnet_of(record.udp);
  if (subnet_full(subnet)) {
    ++stats_.refused_subnet;
    return;
  }
  const Distance d = distance(target_, record.id);
  if (nodes_.size() >= config_.max_known && !make_room(d)) return;
  const auto at = std::lower_bound(
      order_.begin(), order_.end(), d,
      [this](uint16_t node, const Distance& other) { return nodes_[node].distance < other; });
  order_.insert(at, static_cast<uint16_t>(nodes_.size()));
  nodes_.push_back({.record = record, .distance = d, .subnet = subnet, .due = {}});
}

void Lookup::add(std::span<const NodeRecord> records) {
  for (const NodeRecord& record : records) add(record);
}

// Where the next one to ask stands: among the k nearest that did not fail and have a seat.
size_t Lookup::next_fresh() const {
  size_t good = 0;
  for (size_t i = 0; i < order_.size() && good < config_.k; ++i) {
    const Node& node = nodes_[order_[i]];
    if (node.state == State::fresh) return i;
    if (node.state != State::failed && !node.crowded) ++good;
  }
  return order_.size();
}

const NodeRecord* Lookup::poll(Now now) {
  if (now.mono >= deadline_) {
    in_flight_ = 0;
    done_ = true;
  }
  if (done_) return nullptr;
  if (in_flight_ < config_.alpha && stats_.asked < config_.max_queries) {
    const size_t at = next_fresh();
    if (at < order_.size()) {
      Node& node = nodes_[order_[at]];
      node.state = State::asked;
      node.due = now.mono + config_.query_timeout;
      ++in_flight_;
      ++stats_.asked;
      return &node.record;
    }
  }
  check_done();
  return nullptr;
}

void Lookup::check_done() {
  if (done_ || in_flight_ > 0) return;
  done_ = stats_.asked >= config_.max_queries || next_fresh() == order_.size();
}

void Lookup::end_query(Node& node, State state) {
  node.state = state;
  --in_flight_;
  ++(state == State::answered ? stats_.answered : stats_.failed);
}

void Lookup::answered(const NodeId& from, std::span<const NodeRecord> nodes, bool complete,
                      Now now) {
  const size_t at = done_ ? order_.size() : position_of(from);
  if (at == order_.size() || nodes_[order_[at]].state != State::asked || now.mono >= deadline_) {
    ++stats_.unsolicited;
    return;
  }
  size_t brought = nodes_[order_[at]].brought;
  for (const NodeRecord& record : nodes) {
    if (brought++ < config_.max_per_answer) {
      add(record);
    } else {
      ++stats_.refused_excess;
    }
  }
  // The additions may have moved it.
  Node& node = nodes_[order_[position_of(from)]];
  node.brought = brought;
  if (complete) end_query(node, State::answered);
  check_done();
}

void Lookup::failed(const NodeId& from, Now) {
  const size_t at = done_ ? order_.size() : position_of(from);
  if (at == order_.size() || nodes_[order_[at]].state != State::asked) return;
  end_query(nodes_[order_[at]], State::failed);
  check_done();
}

std::optional<NodeId> Lookup::expired(Now now) {
  if (done_ || in_flight_ == 0) return std::nullopt;
  for (Node& node : nodes_) {
    if (node.state != State::asked || node.due > now.mono) continue;
    ++stats_.timed_out;
    end_query(node, State::failed);
    const NodeId id = node.record.id;
    check_done();
    return id;
  }
  return std::nullopt;
}

MonoTime Lookup::next_deadline() const {
  if (done_) return MonoTime::never();
  MonoTime next = deadline_;
  for (const Node& node : nodes_) {
    if (node.state == State::asked) next = std::min(next, node.due);
  }
  return next;
}

size_t Lookup::closest(std::span<NodeRecord> out) const {
  size_t found = 0;
  for (const bool crowded : {false, true}) {
    for (const uint16_t index : order_) {
      if (found == std::min(out.size(), config_.k)) return found;
      const Node& node = nodes_[index];
      if (node.state == State::answered && node.crowded == crowded) out[found++] = node.record;
    }
  }
  return found;
}

}  // namespace beamline::discovery
