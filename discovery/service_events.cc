// What the protocols tell the service, and ask it.
#include <algorithm>
#include <cstring>

#include "discovery/service.h"

namespace beamline::discovery {

// Hearsay of `from`, for a look-up or not.
void Service::hear(NodeRecord node, uint8_t protocol, const Endpoint& from, uint64_t lookup,
                   Now now) {
  if (node.id == record_.node_id() || !is_usable(node.udp) || !relay_allowed(from, node.udp)) {
    return;
  }
  node.protocols |= protocol;
  ++stats_.heard;
  const bool fresh = contacts_.pool.find(node.id) == nullptr;
  contacts_.heard(node, now);
  if (fresh) {
    ++stats_.heard_new;
    observer_.on_heard(node, now);
  }
  if (Running* const found = running(lookup); found != nullptr && fresh) ++found->found;
}

void Service::prove(NodeRecord node, uint8_t protocol, Now now) {
  node.protocols |= protocol;
  ++stats_.proven;
  const uint8_t other = protocol == kSpeaksV5 ? kSpeaksV4 : kSpeaksV5;
  const Contact* const known = contacts_.table.find(node.id);
  const bool fresh = known == nullptr || known->last_pong == MonoTime{};
  const bool untried =
      (node.protocols & other) == 0 && (other == kSpeaksV4 ? config_.v4 : config_.v5);
  contacts_.contact_proven(node, now);
  if (fresh && untried && ping_by(node, other, Purpose::probe, false, now)) ++stats_.probes;
  observer_.on_proven(node, now);
}

void Service::ask_for_record(const NodeRecord& node, uint64_t seq, uint8_t protocol, Now now) {
  const Contact* const known = contacts_.table.find(node.id);
  if (known == nullptr || (known->record.is_signed() && known->record.seq >= seq)) return;
  if (protocol == kSpeaksV4) {
    const auto call = v4_.request_enr(node, now);
    if (call) uses_v4_[static_cast<uint32_t>(*call)] = {Purpose::record, false, 0, node};
    return;
  }
  constexpr std::array<uint16_t, 1> kItself = {0};
  const auto call = v5_.find_node(node, kItself, now);
  if (call) uses_v5_[static_cast<uint32_t>(*call)] = {Purpose::record, false, 0, node};
}

// From the node itself.
void Service::take_record(const NodeId& id, const Enr& enr, uint8_t protocol, Now now) {
  if (enr.node_id() != id) return;
  NodeRecord node = record_of(enr);
  const Contact* const known = contacts_.table.find(id);
  if (known != nullptr && !is_usable(node.udp)) {
    node.udp = known->record.udp;
    node.tcp_port = known->record.tcp_port;
  }
  node.protocols |= protocol;
  ++stats_.record_updates;
  contacts_.update_record(node, now);
}

void Service::done(Use use, uint8_t protocol, const Status& outcome, Now now) {
  switch (use.purpose) {
    case Purpose::ping: {
      if (outcome) return;
      const uint8_t other = protocol == kSpeaksV5 ? kSpeaksV4 : kSpeaksV5;
      if (use.fallback) {
        ++stats_.ping_fallbacks;
        if (ping_by(use.node, other, Purpose::ping, false, now)) return;
      }
      ++stats_.pings_failed;
      return contacts_.ping_failed(use.node.id, now);
    }
    case Purpose::find: {
      Running* const found = running(use.lookup);
      if (outcome) {
        contacts_.table.findnode_answered(use.node.id);
        if (found != nullptr) found->lookup.answered(use.node.id, {}, true, now);
      } else {
        contacts_.table.findnode_failed(use.node.id);
        if (found != nullptr) found->lookup.failed(use.node.id, now);
      }
      return;
    }
    case Purpose::none:
    case Purpose::probe:
    case Purpose::record:
    case Purpose::talk:
      return;
  }
}

// ---- discv4

void Service::on_bonded(const NodeRecord& node, std::optional<uint64_t> seq,
                        const Endpoint& claimed, Now now) {
  prove(node, kSpeaksV4, now);
  if (!claimed.empty()) vote(node.udp, claimed, now);
  contacts_.table.set_knows_us(node.id, true);
  if (seq) ask_for_record(node, *seq, kSpeaksV4, now);
}

void Service::on_seen(const discv4::Peer& peer, Now now) {
  contacts_.touched(peer.id, peer.endpoint, now);
}

size_t Service::closest(const NodeId& target, const discv4::Peer& peer, std::span<NodeRecord> out) {
  std::array<const Contact*, 16> nearest;
  const auto accept = [&](const Contact& contact) {
    return (contact.record.protocols & kSpeaksV4) != 0 && contact.record.id != peer.id &&
           relay_allowed(peer.endpoint, contact.record.udp);
  };
  const size_t wanted = std::min(out.size(), nearest.size());
  const size_t count =
      contacts_.table.tell(target, Reach::live, std::span(nearest).first(wanted), accept);
  for (size_t i = 0; i < count; ++i) out[i] = nearest[i]->record;
  return count;
}

void Service::on_neighbor(discv4::CallId call, const discv4::Peer& peer, const NodeRecord& node,
                          Now now) {
  const uint64_t lookup = uses_v4_[static_cast<uint32_t>(call)].lookup;
  hear(node, kSpeaksV4, peer.endpoint, lookup, now);
  if (Running* const found = running(lookup)) {
    found->lookup.answered(peer.id, std::span(&node, 1), false, now);
  }
}

void Service::on_record(discv4::CallId, const discv4::Peer& peer, const Enr& enr, Now now) {
  take_record(peer.id, enr, kSpeaksV4, now);
}

void Service::on_done(discv4::CallId call, const discv4::Peer&, Status outcome, Now now) {
  done(std::exchange(uses_v4_[static_cast<uint32_t>(call)], {}), kSpeaksV4, outcome, now);
}

// ---- discv5

std::optional<discv5::KnownRecord> Service::known_record(const NodeId& id) {
  const Contact* const contact = contacts_.table.find(id);
  const NodeRecord* const record = contact != nullptr ? &contact->record : contacts_.pool.find(id);
  if (record == nullptr || !record->is_signed()) return std::nullopt;
  return discv5::KnownRecord{record->seq, record->key, record->enr.bytes()};
}

// The handshake proves an endpoint as a pong does. A node whose record names another one, or none,
// is served, and not told to others.
void Service::on_session(const discv5::Peer& peer, const Enr* record, Now now) {
  if (record != nullptr) {
    const NodeRecord node = record_of(*record);
    if (node.udp == peer.endpoint) return prove(node, kSpeaksV5, now);
    if (is_usable(node.udp)) hear(node, kSpeaksV5, peer.endpoint, 0, now);
    return;
  }
  const Contact* const contact = contacts_.table.find(peer.id);
  const NodeRecord* const known =
      contact != nullptr ? &contact->record : contacts_.pool.find(peer.id);
  if (known != nullptr && known->udp == peer.endpoint) prove(NodeRecord(*known), kSpeaksV5, now);
}

void Service::on_seen(const discv5::Peer& peer, Now now) {
  contacts_.touched(peer.id, peer.endpoint, now);
}

void Service::on_ping(const discv5::Peer& peer, uint64_t enr_seq, Now now) {
  const Contact* const contact = contacts_.table.find(peer.id);
  if (contact == nullptr || contact->record.udp != peer.endpoint) return;
  contacts_.table.set_knows_us(peer.id, true);
  if (const Contact* const known = contacts_.table.find(peer.id)) {
    ask_for_record(NodeRecord(known->record), enr_seq, kSpeaksV5, now);
  }
}

size_t Service::records_at(const discv5::Peer& peer, std::span<const uint16_t> distances,
                           std::span<Bytes> out) {
  std::array<const Contact*, kBucketSize> found;
  size_t count = 0;
  for (const uint16_t distance : distances) {
    if (distance == 0) continue;  // our own: the protocol has it
    const size_t here = contacts_.table.at_distance(distance, Reach::live, found);
    for (size_t i = 0; i < here && count < out.size(); ++i) {
      const NodeRecord& node = found[i]->record;
      if (!node.is_signed() || node.id == peer.id || !relay_allowed(peer.endpoint, node.udp)) {
        continue;
      }
      out[count++] = node.enr.bytes();
    }
  }
  return count;
}

std::optional<size_t> Service::on_talk(const discv5::Peer& peer, Bytes protocol, Bytes request,
                                       MutableBytes out, Now now) {
  for (const TalkProtocol& talk : std::span(talks_).first(talk_count_)) {
    if (as_text(protocol) == talk.name) return talk.answer(talk.context, peer, request, out, now);
  }
  return std::nullopt;
}

void Service::on_pong(discv5::CallId call, const discv5::Peer& peer, const discv5::Pong& pong,
                      Now now) {
  const Use& use = uses_v5_[static_cast<uint32_t>(call)];
  NodeRecord node = use.node;
  if (use.purpose == Purpose::ping && node.udp == peer.endpoint) {
    // What is known by now is better than what the ping was sent to.
    if (const Contact* const known = contacts_.table.find(peer.id)) node = known->record;
    if (node.udp == peer.endpoint) prove(node, kSpeaksV5, now);
  }
  vote(peer.endpoint, pong.recipient, now);
  ask_for_record(node, pong.enr_seq, kSpeaksV5, now);
}

void Service::on_record(discv5::CallId call, const discv5::Peer& peer, const Enr& enr, Now now) {
  const Use& use = uses_v5_[static_cast<uint32_t>(call)];
  const uint64_t lookup = use.lookup;
  if (use.purpose == Purpose::record) return take_record(peer.id, enr, kSpeaksV5, now);
  NodeRecord node = record_of(enr);
  node.protocols |= kSpeaksV5;
  hear(node, kSpeaksV5, peer.endpoint, lookup, now);
  if (Running* const found = running(lookup);
      found != nullptr && relay_allowed(peer.endpoint, node.udp)) {
    found->lookup.answered(peer.id, std::span(&node, 1), false, now);
  }
}

void Service::on_talk_response(discv5::CallId call, const discv5::Peer&, Bytes response, Now now) {
  observer_.on_talk_response(call, response, now);
}

void Service::on_done(discv5::CallId call, const discv5::Peer&, Status outcome, Now now) {
  const Use use = std::exchange(uses_v5_[static_cast<uint32_t>(call)], {});
  if (use.purpose == Purpose::talk) return observer_.on_talk_done(call, outcome, now);
  done(use, kSpeaksV5, outcome, now);
}

}  // namespace beamline::discovery
