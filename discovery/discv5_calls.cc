// Requests of ours: from begin() to finish(), each ends exactly once.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "discovery/discv5.h"
#include "discovery/node_id.h"

namespace beamline::discv5 {
namespace {

constexpr size_t kRandomMessage = 20;  // of a first packet, which nobody can open

uint64_t prefix_of(const NodeId& id) {
  uint64_t first = 0;
  std::memcpy(&first, id.bytes.data(), sizeof(first));
  return first;
}

}  // namespace

Result<uint32_t> Discv5::begin(const discovery::NodeRecord& to, Kind kind, Now now) {
  if (to.udp.empty() || to.udp.port() == 0 || to.id == self_) {
    return local_error(Code::invalid_argument, "discv5.destination");
  }
  const Peer peer{to.id, to.udp};
  const auto to_same = [&](uint32_t slot) {
    return calls_[slot].state == State::queued && calls_[slot].peer == peer;
  };
  if (free_.empty() ||
      std::ranges::count_if(active_, to_same) >= static_cast<ptrdiff_t>(limits_.calls_per_peer)) {
    ++stats_.calls_refused;
    return local_error(Code::full, "discv5.calls");
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  ++stats_.calls;
  Call& call = calls_[slot];
  call.peer = peer;
  call.key = to.key;
  call.kind = kind;
  call.state = State::queued;
  call.session = 0;
  call.packets = call.results = 0;
  call.packets_wanted = 1;
  call.active_at = static_cast<uint32_t>(active_.size());
  active_.push_back(slot);
  // The slot, so that a response finds its call; six bytes that nobody can guess. No zero in front.
  call.id.size = RequestId::kMaxSize;
  rng_.fill(call.id.bytes);
  call.id.bytes[0] = static_cast<uint8_t>(0x80 | slot >> 8);
  call.id.bytes[1] = static_cast<uint8_t>(slot);
  call.message.clear();
  set_deadline(call, now.mono + (limits_.response_timeout + limits_.handshake_timeout));
  return slot;
}

CallId Discv5::start(uint32_t slot, Now now) {
  Call& call = calls_[slot];
  Session* session = sessions_.find(call.peer);
  if (session != nullptr && session->worn_out(now)) {
    sessions_.drop(call.peer);
    session = nullptr;
  }
  if (session != nullptr && session->confirmed()) {
    send_call(call, session, now);
  } else if (!handshake_pending(call.peer)) {
    send_call(call, nullptr, now);
  }
  return call_id(slot);
}

Result<CallId> Discv5::ping(const discovery::NodeRecord& to, Now now) {
  const Result<uint32_t> slot = begin(to, Kind::ping, now);
  if (!slot) return std::unexpected(slot.error());
  append(calls_[*slot].message, Ping{calls_[*slot].id, record_.seq()});
  return start(*slot, now);
}

Result<CallId> Discv5::find_node(const discovery::NodeRecord& to,
                                 std::span<const uint16_t> distances, Now now) {
  if (distances.empty() || distances.size() > limits_.max_distances) {
    return local_error(Code::invalid_argument, "discv5.distances");
  }
  const Result<uint32_t> slot = begin(to, Kind::find_node, now);
  if (!slot) return std::unexpected(slot.error());
  Call& call = calls_[*slot];
  std::ranges::copy(distances, call.distances.begin());
  call.distance_count = static_cast<uint8_t>(distances.size());
  append_find_node(call.message, call.id, distances);
  return start(*slot, now);
}

Result<CallId> Discv5::talk(const discovery::NodeRecord& to, Bytes protocol, Bytes request,
                            Now now) {
  constexpr size_t kOverhead = 1 + 3 + 9 + 3 + 3;
  if (protocol.size() + request.size() > kMaxMessage - kOverhead) {
    return local_error(Code::invalid_argument, "discv5.talk");
  }
  const Result<uint32_t> slot = begin(to, Kind::talk, now);
  if (!slot) return std::unexpected(slot.error());
  append(calls_[*slot].message, TalkRequest{calls_[*slot].id, protocol, request});
  return start(*slot, now);
}

bool Discv5::handshake_pending(const Peer& peer) const {
  return std::ranges::any_of(active_, [&](uint32_t slot) {
    const Call& call = calls_[slot];
    const bool leads =
        call.state == State::handshaken || (call.state == State::sent && call.session == 0);
    return leads && call.peer == peer;
  });
}

void Discv5::set_nonce(Call& call, const Nonce& nonce) {
  clear_nonce(call);
  call.nonce = nonce;
  nonces_.insert(discovery::hash_bytes(nonce_seed_, nonce),
                 static_cast<uint32_t>(&call - calls_.data()));
}

void Discv5::clear_nonce(Call& call) {
  if (call.nonce == Nonce{}) return;
  nonces_.erase(discovery::hash_bytes(nonce_seed_, call.nonce),
                static_cast<uint32_t>(&call - calls_.data()));
  call.nonce = {};
}

uint32_t Discv5::call_by_nonce(const Nonce& nonce) const {
  return nonces_.find(discovery::hash_bytes(nonce_seed_, nonce),
                      [&](uint32_t slot) { return calls_[slot].nonce == nonce; });
}

void Discv5::set_deadline(Call& call, MonoTime deadline) {
  call.deadline = deadline;
  next_deadline_ = std::min(next_deadline_, deadline);
}

// Under the session's keys, or, without one, as a packet that asks for WHOAREYOU.
void Discv5::send_call(Call& call, Session* session, Now now) {
  call.state = State::sent;
  set_deadline(call, now.mono + limits_.response_timeout);
  if (session == nullptr) {
    call.session = 0;
    return send_random(call, now);
  }
  call.session = session->serial();
  // Where it could not be sent, it times out.
  if (const auto nonce = send_sealed(*session, call.message)) set_nonce(call, *nonce);
}

void Discv5::send_random(Call& call, Now) {
  const MutableBytes space = out_.space();
  if (space.empty()) {
    ++stats_.queue_full;
    return;
  }
  MaskingIv iv;
  rng_.fill(iv);
  Nonce nonce;
  rng_.fill(nonce);
  set_nonce(call, nonce);
  const size_t head = write_message_head(space, iv, nonce, self_);
  rng_.fill(space.subspan(head, kRandomMessage));
  mask(space, head, call.peer.id);
  out_.commit(call.peer.endpoint, head + kRandomMessage);
}

void Discv5::on_whoareyou(const Packet& packet, const Endpoint& from, Now now) {
  const uint32_t slot = call_by_nonce(packet.nonce);
  if (slot == kNone || calls_[slot].state != State::sent || calls_[slot].peer.endpoint != from) {
    ++stats_.whoareyou_unasked;
    return;
  }
  Call& call = calls_[slot];
  const auto remote = discovery::public_key_of(call.key);
  if (!remote) {
    return finish(slot, local_error(Code::bad_key, "discv5.destination"), now);
  }
  ++stats_.whoareyou_accepted;
  const secp256k1::SecretKey ephemeral = secp256k1::SecretKey::generate(rng_);
  const auto signature = key_.sign(
      id_signature_digest(packet.head, ephemeral.public_key().compressed(), call.peer.id));
  const SessionKeys keys = derive_keys(ephemeral, *remote, self_, call.peer.id, packet.head);
  Session& session = sessions_.put(call.peer, keys, true, now);
  send_handshake(call, session, ephemeral.public_key(), signature, packet.enr_seq, now);
}

void Discv5::send_handshake(Call& call, Session& session, const secp256k1::PublicKey& ephemeral,
                            const secp256k1::Signature& signature, uint64_t known_seq, Now now) {
  set_deadline(call, now.mono + limits_.handshake_timeout);
  const MutableBytes space = out_.space();
  if (space.empty()) {
    ++stats_.queue_full;
    return;
  }
  const Bytes record = known_seq < record_.seq() ? record_.bytes() : Bytes{};
  MaskingIv iv;
  rng_.fill(iv);
  const Nonce nonce = session.next_nonce(rng_);
  const size_t head = write_handshake_head(space, iv, nonce, self_, signature.bytes,
                                           ephemeral.compressed(), record);
  Bytes message = call.message;
  if (head + message.size() + kTagSize > kMaxPacket) {
    // A long request waits; a ping, whose answer nobody waits for, makes the session.
    RequestId id{.bytes = {}, .size = RequestId::kMaxSize};
    rng_.fill(id.bytes);
    scratch_.clear();
    append(scratch_, Ping{id, record_.seq()});
    message = scratch_;
    clear_nonce(call);
    call.state = State::queued;
  } else {
    set_nonce(call, nonce);
    call.state = State::handshaken;
  }
  call.session = session.serial();
  const size_t size = seal_message(space, head, session.write_key(), nonce, message);
  mask(space, head, call.peer.id);
  out_.commit(call.peer.endpoint, size);
}

// The session stands: what waited for it is sent, and what was sent under keys that it replaced.
void Discv5::send_waiting(const Peer& peer, Session& session, Now now) {
  for (const uint32_t slot : active_) {
    Call& call = calls_[slot];
    if (call.peer != peer || call.state == State::handshaken) continue;
    if (call.state == State::sent && call.session == session.serial()) continue;
    send_call(call, &session, now);
  }
}

uint32_t Discv5::call_of(const RequestId& id, const Peer& peer, Kind kind) const {
  if (id.size != RequestId::kMaxSize) return kNone;
  const uint32_t slot = static_cast<uint32_t>((id.bytes[0] & 0x7f) << 8 | id.bytes[1]);
  if (slot >= calls_.size()) return kNone;
  const Call& call = calls_[slot];
  const bool waits = call.state == State::sent || call.state == State::handshaken;
  return waits && call.kind == kind && call.id == id && call.peer == peer ? slot : kNone;
}

void Discv5::on_response(Session& session, const Message& message, Now now) {
  const Peer peer = session.peer();
  if (const auto* pong = std::get_if<Pong>(&message)) {
    const uint32_t slot = call_of(pong->id, peer, Kind::ping);
    if (slot != kNone) {
      handler_.on_pong(call_id(slot), peer, *pong, now);
      return finish(slot, {}, now);
    }
  } else if (const auto* nodes = std::get_if<Nodes>(&message)) {
    const uint32_t slot = call_of(nodes->id, peer, Kind::find_node);
    if (slot != kNone) return on_nodes(slot, *nodes, now);
  } else if (const auto* talk = std::get_if<TalkResponse>(&message)) {
    const uint32_t slot = call_of(talk->id, peer, Kind::talk);
    if (slot != kNone) {
      handler_.on_talk_response(call_id(slot), peer, talk->response, now);
      return finish(slot, {}, now);
    }
  }
  ++stats_.unsolicited_responses;
}

void Discv5::on_nodes(uint32_t slot, const Nodes& nodes, Now now) {
  Call& call = calls_[slot];
  if (call.packets == 0) {
    call.packets_wanted =
        static_cast<uint8_t>(std::clamp<uint64_t>(nodes.total, 1, limits_.max_nodes_packets));
  }
  ++call.packets;
  for (rlp::Reader records = nodes.records; !records.at_end();) {
    const Result<rlp::Item> item = records.next("discv5.nodes");
    if (!item) {
      ++stats_.malformed;
      break;
    }
    if (!take_record(slot, item->encoding, now)) break;
  }
  if (call.packets >= call.packets_wanted) return finish(slot, {}, now);
  set_deadline(call, now.mono + limits_.response_timeout);
}

// False when the answer holds more than it may.
bool Discv5::take_record(uint32_t slot, Bytes item, Now now) {
  Call& call = calls_[slot];
  if (call.results == limits_.max_results) {
    ++stats_.nodes_excess;
    return false;
  }
  const Result<Enr> record = Enr::decode(item);
  if (!record) {
    ++stats_.nodes_bad_record;
    return true;
  }
  const unsigned distance = discovery::log_distance(call.peer.id, record->node_id());
  const auto wanted = std::span(call.distances).first(call.distance_count);
  if (std::ranges::find(wanted, distance) == wanted.end()) {
    ++stats_.nodes_wrong_distance;
    return true;
  }
  const uint64_t prefix = prefix_of(record->node_id());
  const auto seen = std::span(call.seen).first(call.results);
  if (std::ranges::find(seen, prefix) != seen.end()) {
    ++stats_.nodes_repeated;
    return true;
  }
  // Most of what is told is known: the check of a signature costs more than all else here.
  const auto known = handler_.known_record(record->node_id());
  if (known && std::ranges::equal(known->bytes, record->bytes())) {
    ++stats_.nodes_known;
  } else if (!record->verify()) {
    ++stats_.nodes_bad_record;
    return true;
  }
  call.seen[call.results++] = prefix;
  ++stats_.nodes_records;
  handler_.on_record(call_id(slot), call.peer, *record, now);
  return true;
}

void Discv5::finish(uint32_t slot, Status outcome, Now now) {
  Call& call = calls_[slot];
  const CallId id = call_id(slot);
  const Peer peer = call.peer;
  clear_nonce(call);
  active_[call.active_at] = active_.back();
  calls_[active_.back()].active_at = call.active_at;
  active_.pop_back();
  call.state = State::free;
  ++call.generation;
  free_.push_back(slot);
  ++(outcome ? stats_.calls_answered : stats_.calls_timed_out);
  if (!outcome) {
    // Keys that the peer never used are of no use.
    Session* const session = sessions_.find(peer);
    if (session != nullptr && !session->confirmed() && !handshake_pending(peer)) {
      sessions_.drop(peer);
    }
  }
  handler_.on_done(id, peer, outcome, now);
}

void Discv5::handle_timeout(Now now) {
  if (now.mono < next_deadline_) return;
  expire(now);
}

void Discv5::expire(Now now) {
  next_deadline_ = MonoTime::never();
  // finish() puts the last one into the place of the one that ended; what its handler begins stands
  // behind, with a deadline to come.
  for (size_t i = 0; i < active_.size();) {
    const uint32_t slot = active_[i];
    Call& call = calls_[slot];
    if (call.deadline > now.mono) {
      next_deadline_ = std::min(next_deadline_, call.deadline);
      ++i;
      continue;
    }
    const bool partial = call.kind == Kind::find_node && call.packets > 0;
    finish(slot, partial ? Status{} : network_error(Code::timed_out, "discv5.response"), now);
  }
}

}  // namespace beamline::discv5
