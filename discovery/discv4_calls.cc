// Requests of ours: from begin() to finish(), each ends exactly once.
#include <algorithm>

#include "base/check.h"
#include "discovery/discv4.h"

namespace beamline::discv4 {

Result<uint32_t> Discv4::begin(const discovery::NodeRecord& to, Kind kind, Now now) {
  if (to.udp.empty() || to.udp.port() == 0 || to.id == self_) {
    return local_error(Code::invalid_argument, "discv4.destination");
  }
  if (free_.empty()) {
    ++stats_.calls_refused;
    return local_error(Code::full, "discv4.calls");
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  ++stats_.calls;
  Call& call = calls_[slot];
  const uint32_t generation = call.generation;
  call = Call{};
  call.generation = generation;
  call.peer = {to.id, to.udp};
  call.key = to.key;
  call.tcp_port = to.tcp_port;
  call.kind = kind;
  call.active_at = static_cast<uint32_t>(active_.size());
  active_.push_back(slot);
  set_deadline(call, now.mono + limits_.reply_timeout);
  return slot;
}

// Proves what has to be proven first.
Result<CallId> Discv4::start(uint32_t slot, Now now) {
  const CallId id = call_id(slot);
  Call& call = calls_[slot];
  const bool bonded = is_bonded(call.peer.id, call.peer.endpoint, now);
  if (call.kind != Kind::ping && bonded && knows_us(call, now)) {
    send_request(call, now);
  } else {
    send_ping(call, now);
  }
  return id;
}

Result<CallId> Discv4::ping(const discovery::NodeRecord& to, Now now) {
  const Result<uint32_t> slot = begin(to, Kind::ping, now);
  if (!slot) return std::unexpected(slot.error());
  return start(*slot, now);
}

Result<CallId> Discv4::find_node(const discovery::NodeRecord& to, const RawKey& target, Now now) {
  const Result<uint32_t> slot = begin(to, Kind::find_node, now);
  if (!slot) return std::unexpected(slot.error());
  calls_[*slot].target = target;
  return start(*slot, now);
}

Result<CallId> Discv4::request_enr(const discovery::NodeRecord& to, Now now) {
  const Result<uint32_t> slot = begin(to, Kind::enr, now);
  if (!slot) return std::unexpected(slot.error());
  return start(*slot, now);
}

// Did it ping us, and see our pong, so that it holds us for proven?
bool Discv4::knows_us(const Call& call, Now now) const {
  const uint32_t slot = bond_of(call.peer.id, call.peer.endpoint);
  return slot != kNone && bonds_[slot].pinged_us && now.mono - bonds_[slot].ping < limits_.bond;
}

void Discv4::send_ping(Call& call, Now now) {
  call.state = State::proving;
  set_deadline(call, now.mono + limits_.reply_timeout);
  scratch_.clear();
  append(scratch_, Ping{kVersion, local_, {call.peer.endpoint, 0}, expiration(now), record_.seq()});
  set_hash(call, send(call.peer.endpoint, Ping::kType));
}

void Discv4::send_request(Call& call, Now now) {
  set_hash(call, {});
  if (call.kind == Kind::find_node && call_to(call.peer, Kind::find_node, State::asked) != kNone) {
    call.state = State::waiting;
    set_deadline(call, now.mono + 3 * limits_.reply_timeout);
    return;
  }
  call.state = State::asked;
  set_deadline(call, now.mono + limits_.reply_timeout);
  scratch_.clear();
  if (call.kind == Kind::find_node) {
    append(scratch_, FindNode{call.target, expiration(now)});
    send(call.peer.endpoint, FindNode::kType);
  } else {
    append(scratch_, EnrRequest{expiration(now)});
    set_hash(call, send(call.peer.endpoint, EnrRequest::kType));
  }
}

// Its pong came, or the ping that we waited for.
void Discv4::proceed(uint32_t slot, Now now) {
  Call& call = calls_[slot];
  if (call.kind == Kind::ping || call.kind == Kind::ping_back) return finish(slot, {}, now);
  if (call.pinged_us || knows_us(call, now)) return send_request(call, now);
  if (call.state == State::proven) return;
  // It does not hold us for proven yet: its own ping comes behind its pong.
  set_hash(call, {});
  call.state = State::proven;
  set_deadline(call, now.mono + limits_.reply_timeout);
}

void Discv4::set_hash(Call& call, const Hash256& hash) {
  const auto slot = static_cast<uint32_t>(&call - calls_.data());
  if (!call.hash.is_zero()) hashes_.erase(discovery::hash_bytes(seed_, call.hash.view()), slot);
  call.hash = hash;
  // Two pings of one second to one node are the same packet: both calls take the pong.
  if (!hash.is_zero()) hashes_.insert(discovery::hash_bytes(seed_, hash.view()), slot);
}

// By id too: a ping does not name the node that it is for.
uint32_t Discv4::call_by_hash(const Hash256& hash, const NodeId& id) const {
  if (hash.is_zero()) return kNone;
  return hashes_.find(discovery::hash_bytes(seed_, hash.view()), [&](uint32_t slot) {
    return calls_[slot].hash == hash && calls_[slot].peer.id == id;
  });
}

uint32_t Discv4::call_to(const Peer& peer, Kind kind, State state) const {
  for (const uint32_t slot : active_) {
    const Call& call = calls_[slot];
    if (call.kind == kind && call.state == state && call.peer.id == peer.id &&
        equal(call.peer.endpoint.address(), peer.endpoint.address())) {
      return slot;
    }
  }
  return kNone;
}

void Discv4::set_deadline(Call& call, MonoTime deadline) {
  call.deadline = deadline;
  next_deadline_ = std::min(next_deadline_, deadline);
}

void Discv4::finish(uint32_t slot, Status outcome, Now now) {
  Call& call = calls_[slot];
  const CallId id = call_id(slot);
  const Peer peer = call.peer;
  const bool ours = call.kind != Kind::ping_back;
  if (!ours) --pings_back_;
  set_hash(call, {});
  active_[call.active_at] = active_.back();
  calls_[active_.back()].active_at = call.active_at;
  active_.pop_back();
  call.state = State::free;
  ++call.generation;
  free_.push_back(slot);
  ++(outcome ? stats_.calls_answered : stats_.calls_timed_out);
  if (const uint32_t next = call_to(peer, Kind::find_node, State::waiting); next != kNone) {
    send_request(calls_[next], now);
  }
  if (ours) handler_.on_done(id, peer, outcome, now);
}

void Discv4::handle_timeout(Now now) {
  if (now.mono < next_deadline_) return;
  next_deadline_ = MonoTime::never();
  for (size_t i = 0; i < active_.size();) {
    const uint32_t slot = active_[i];
    Call& call = calls_[slot];
    if (call.deadline > now.mono) {
      next_deadline_ = std::min(next_deadline_, call.deadline);
      ++i;
    } else if (call.state == State::proven) {
      // No ping came: it may know us from before. Ask.
      send_request(call, now);
      ++i;
    } else {
      finish(slot, call.answered ? Status{} : network_error(Code::timed_out, "discv4.reply"), now);
    }
  }
}

}  // namespace beamline::discv4
