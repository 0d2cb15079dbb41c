#include "discovery/discv4.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "crypto/keccak.h"
#include "discovery/ip_limits.h"

namespace beamline::discv4 {
namespace {

uint64_t first_word(const Hash256& hash) {
  uint64_t word = 0;
  std::memcpy(&word, hash.bytes.data(), sizeof(word));
  return word;
}

int64_t unix_seconds(Now now) { return now.wall.ns / seconds(1).ns; }

}  // namespace

Discv4::Discv4(const secp256k1::SecretKey& key, const Enr& record, const Place& local,
               discovery::DatagramQueue& out, Handler& handler, Rng rng, const Limits& limits)
    : key_(key),
      self_(record.node_id()),
      record_(record),
      local_(local),
      out_(out),
      handler_(handler),
      limits_(limits),
      seed_(rng.next()),
      calls_(limits.calls),
      hashes_(limits.calls),
      bond_index_(limits.bonds),
      seen_(limits.replays),
      strangers_(limits.stranger_counters),
      find_nodes_(limits.find_node_rate, limits.find_node_rate) {
  BL_CHECK((limits.replays & (limits.replays - 1)) == 0 && limits.max_results <= 16);
  BL_CHECK((limits.stranger_counters & (limits.stranger_counters - 1)) == 0);
  for (size_t slot = limits.calls; slot > 0; --slot) {
    free_.push_back(static_cast<uint32_t>(slot - 1));
  }
  active_.reserve(limits.calls);
  scratch_.reserve(kMaxPacket);
  items_.reserve(kMaxPacket);
}

uint64_t Discv4::expiration(Now now) const {
  return static_cast<uint64_t>(unix_seconds(now)) + limits_.expiration;
}

// Signs what stands in scratch_ and gives its hash; zero when there was no room.
Hash256 Discv4::send(const Endpoint& to, uint8_t type) {
  const MutableBytes space = out_.space();
  if (space.empty()) {
    ++stats_.queue_full;
    return {};
  }
  const Sealed sealed = seal_packet(space, type, scratch_, key_);
  out_.commit(to, sealed.size);
  return sealed.hash;
}

bool Discv4::receive(const Endpoint& from, Bytes datagram, Now now) {
  const Result<Packet> packet = read_packet(datagram);
  if (!packet) {
    ++(packet.error().code == Code::unsupported ? stats_.unknown_type : stats_.malformed);
    return false;
  }
  ++stats_.packets;
  const auto expires = expiration_of(packet->message);
  if (expires && (*expires > INT64_MAX || static_cast<int64_t>(*expires) < unix_seconds(now))) {
    // A time beyond all calendars is as good as one in the past: nothing of it would ever expire.
    ++stats_.expired;
    return true;
  }
  if (replayed(*packet, from)) {
    ++stats_.replayed;
    return true;
  }
  const Result<secp256k1::PublicKey> key = recover_sender(*packet);
  if (!key) {
    ++stats_.malformed;
    return true;
  }
  const discovery::NodeKey raw = raw_key(*key);
  const Sender sender{{keccak256(raw), from}, raw};
  if (sender.peer.id == self_) {
    ++stats_.own_id;
    return true;
  }
  seen_[first_word(packet->hash) & (seen_.size() - 1)] = {
      first_word(packet->hash), discovery::hash_place(seed_, Hash256{}, from, from.port())};
  if (is_bonded(sender.peer.id, from, now)) handler_.on_seen(sender.peer, now);
  if (const auto* ping = std::get_if<Ping>(&packet->message)) {
    on_ping(sender, *ping, packet->hash, now);
  } else if (const auto* pong = std::get_if<Pong>(&packet->message)) {
    on_pong(sender, *pong, now);
  } else if (const auto* find = std::get_if<FindNode>(&packet->message)) {
    on_find_node(sender, *find, now);
  } else if (const auto* nodes = std::get_if<Neighbors>(&packet->message)) {
    on_neighbors(sender, *nodes, now);
  } else if (const auto* enr = std::get_if<EnrResponse>(&packet->message)) {
    on_enr_response(sender, *enr, now);
  } else {
    on_enr_request(sender, packet->hash, now);
  }
  return true;
}

// The same packet from another place; or a request a second time. Packets of one second with the
// same content are the same: pings from their own place are answered again, and what answers us is
// judged by what we asked.
bool Discv4::replayed(const Packet& packet, const Endpoint& from) {
  const uint64_t word = first_word(packet.hash);
  const Seen& seen = seen_[word & (seen_.size() - 1)];
  if (seen.hash != word || word == 0) return false;
  const bool request = std::holds_alternative<FindNode>(packet.message) ||
                       std::holds_alternative<EnrRequest>(packet.message);
  return request || seen.from != discovery::hash_place(seed_, Hash256{}, from, from.port());
}

uint32_t Discv4::bond_of(const NodeId& id, const Endpoint& at) const {
  return bond_index_.find(discovery::hash_place(seed_, id, at, 0), [&](uint32_t slot) {
    return bonds_[slot].id == id && equal(bonds_[slot].address.address(), at.address());
  });
}

bool Discv4::is_bonded(const NodeId& id, const Endpoint& at, Now now) const {
  const uint32_t slot = bond_of(id, at);
  return slot != kNone && now.mono - bonds_[slot].pong < limits_.bond;
}

Discv4::Bond& Discv4::make_bond(const Peer& peer) {
  const uint32_t known = bond_of(peer.id, peer.endpoint);
  if (known != kNone) return bonds_[known];
  ++stats_.bonds;
  uint32_t slot = static_cast<uint32_t>(bonds_.size());
  if (bonds_.size() < limits_.bonds) {
    bonds_.emplace_back();
  } else {
    slot = static_cast<uint32_t>(bond_next_);
    bond_next_ = (bond_next_ + 1) % bonds_.size();
    ++stats_.bonds_evicted;
    bond_index_.erase(discovery::hash_place(seed_, bonds_[slot].id, bonds_[slot].address, 0), slot);
  }
  bonds_[slot] = Bond{};
  bonds_[slot].id = peer.id;
  bonds_[slot].address = peer.endpoint;
  bond_index_.insert(discovery::hash_place(seed_, peer.id, peer.endpoint, 0), slot);
  return bonds_[slot];
}

// Who cannot be traced by its address is not counted by it.
bool Discv4::stranger_allowed(const Endpoint& from, Now now) {
  if (discovery::is_lan(from)) return true;
  const uint64_t key = discovery::fold(discovery::address_key(from), seed_);
  StrangerCount& count = strangers_[(key >> 20) & (strangers_.size() - 1)];
  const auto second = static_cast<uint32_t>(now.mono.ns / seconds(1).ns);
  if (count.second != second) count = {second, 0};
  if (count.pings == limits_.stranger_pings) return false;
  ++count.pings;
  return true;
}

void Discv4::on_ping(const Sender& sender, const Ping& ping, const Hash256& hash, Now now) {
  if (!is_bonded(sender.peer.id, sender.peer.endpoint, now) &&
      !stranger_allowed(sender.peer.endpoint, now)) {
    ++stats_.pings_limited;
    return;
  }
  ++stats_.pings;
  scratch_.clear();
  append(scratch_,
         Pong{{sender.peer.endpoint, ping.from.tcp_port}, hash, expiration(now), record_.seq()});
  send(sender.peer.endpoint, Pong::kType);
  const uint32_t bond = bond_of(sender.peer.id, sender.peer.endpoint);
  if (bond != kNone) {
    bonds_[bond].ping = now.mono;
    bonds_[bond].pinged_us = true;
  }
  for (size_t i = 0; i < active_.size(); ++i) {
    Call& call = calls_[active_[i]];
    if (call.peer != sender.peer) continue;
    call.pinged_us = true;
    if (ping.from.tcp_port != 0) call.tcp_port = ping.from.tcp_port;
    if (call.state == State::proven) proceed(active_[i], now);
  }
  if (!is_bonded(sender.peer.id, sender.peer.endpoint, now)) {
    ping_back(sender, ping.from.tcp_port, now);
  }
}

// A stranger has to answer a ping of ours, once; no other is sent while that is under way.
void Discv4::ping_back(const Sender& sender, uint16_t tcp_port, Now now) {
  for (const uint32_t slot : active_) {
    const Call& call = calls_[slot];
    if (call.peer == sender.peer && call.state == State::proving) return;
  }
  discovery::NodeRecord to;
  to.id = sender.peer.id;
  to.key = sender.key;
  to.udp = sender.peer.endpoint;
  to.tcp_port = tcp_port;
  const auto slot = pings_back_ < limits_.pings_back ? begin(to, Kind::ping_back, now)
                                                     : local_error(Code::full, "discv4.pings");
  if (!slot) {
    ++stats_.pings_back_limited;
    return;
  }
  ++stats_.pings_back;
  ++pings_back_;
  calls_[*slot].pinged_us = true;
  send_ping(calls_[*slot], now);
}

void Discv4::on_pong(const Sender& sender, const Pong& pong, Now now) {
  uint32_t slot = call_by_hash(pong.ping_hash, sender.peer.id);
  // The key that we pinged, at the address that we pinged.
  if (slot == kNone || calls_[slot].state != State::proving ||
      !equal(calls_[slot].peer.endpoint.address(), sender.peer.endpoint.address())) {
    ++stats_.unsolicited_pongs;
    return;
  }
  ++stats_.pongs;
  Call& call = calls_[slot];
  Bond& bond = make_bond(call.peer);
  bond.pong = now.mono;
  if (call.pinged_us) {
    bond.ping = now.mono;
    bond.pinged_us = true;
  }
  discovery::NodeRecord node;
  node.id = sender.peer.id;
  node.key = sender.key;
  node.udp = call.peer.endpoint;
  node.tcp_port = call.tcp_port;
  node.protocols = discovery::kSpeaksV4;
  handler_.on_bonded(node, pong.enr_seq, pong.to.udp, now);
  while (slot != kNone) {
    proceed(slot, now);  // it waits for this hash no more
    slot = call_by_hash(pong.ping_hash, sender.peer.id);
  }
}

void Discv4::on_find_node(const Sender& sender, const FindNode& request, Now now) {
  if (!is_bonded(sender.peer.id, sender.peer.endpoint, now)) {
    ++stats_.find_nodes_unproven;
    return;
  }
  if (!find_nodes_.take(now.mono)) {
    ++stats_.find_nodes_limited;
    return;
  }
  ++stats_.find_nodes;
  std::array<discovery::NodeRecord, 16> nodes;
  const size_t count = handler_.closest(keccak256(request.target), sender.peer,
                                        std::span(nodes).first(limits_.max_results));
  size_t at = 0;
  do {  // an empty answer is one too
    items_.clear();
    for (const size_t end = std::min(count, at + kMaxNeighbors); at < end; ++at) {
      append_neighbor(items_, {nodes[at].udp, nodes[at].tcp_port}, nodes[at].key);
    }
    scratch_.clear();
    append_neighbors(scratch_, items_, expiration(now));
    send(sender.peer.endpoint, Neighbors::kType);
  } while (at < count);
}

void Discv4::on_neighbors(const Sender& sender, const Neighbors& neighbors, Now now) {
  const uint32_t slot = call_to(sender.peer, Kind::find_node, State::asked);
  if (slot == kNone) {
    ++stats_.unsolicited_neighbors;
    return;
  }
  Call& call = calls_[slot];
  const size_t before = call.results;
  for (rlp::Reader nodes = neighbors.nodes; !nodes.at_end();) {
    const Result<Neighbor> found = read_neighbor(nodes);
    if (!found) {
      ++stats_.neighbors_bad;
      break;  // the rest has no place
    }
    if (call.results == limits_.max_results) {
      ++stats_.neighbors_excess;
      break;
    }
    ++call.results;
    discovery::NodeRecord node;
    node.udp = found->place.udp;
    node.tcp_port = found->place.tcp_port;
    std::memcpy(node.key.data(), found->key.data(), node.key.size());
    node.id = keccak256(node.key);
    node.protocols = discovery::kSpeaksV4;
    if (!discovery::is_usable(node.udp) ||
        !discovery::relay_allowed(sender.peer.endpoint, node.udp) || !parse_raw_key(node.key)) {
      ++stats_.neighbors_bad;
      continue;
    }
    ++stats_.neighbors;
    handler_.on_neighbor(call_id(slot), sender.peer, node, now);
  }
  if (call.results == limits_.max_results) return finish(slot, {}, now);
  call.answered = true;
  if (call.results - before < kMaxNeighbors) set_deadline(call, now.mono + limits_.rest_timeout);
}

void Discv4::on_enr_request(const Sender& sender, const Hash256& hash, Now now) {
  if (!is_bonded(sender.peer.id, sender.peer.endpoint, now)) {
    ++stats_.enr_requests_unproven;
    return;
  }
  ++stats_.enr_requests;
  scratch_.clear();
  append(scratch_, EnrResponse{hash, record_.bytes()});
  send(sender.peer.endpoint, EnrResponse::kType);
}

void Discv4::on_enr_response(const Sender& sender, const EnrResponse& response, Now now) {
  const uint32_t slot = call_by_hash(response.request_hash, sender.peer.id);
  if (slot == kNone || calls_[slot].state != State::asked ||
      !equal(calls_[slot].peer.endpoint.address(), sender.peer.endpoint.address())) {
    ++stats_.unsolicited_enr;
    return;
  }
  const Result<Enr> record = Enr::parse(response.record);
  if (!record || record->node_id() != sender.peer.id) {
    ++stats_.bad_records;
    return finish(slot, bad_input(Code::mismatch, "discv4.enr_response.record"), now);
  }
  ++stats_.enr_responses;
  handler_.on_record(call_id(slot), sender.peer, *record, now);
  finish(slot, {}, now);
}

}  // namespace beamline::discv4
