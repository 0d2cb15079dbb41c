// The network's handshakes: what two nodes say to each other beside blocks (status, ping, metadata,
// goodbye), as requests of ours and as answers to theirs.
#include "node/network.h"
#include "node/network_peer.h"

namespace beamline::node {

using reqresp::ClientEvent;
using reqresp::Handshake;
using reqresp::Protocol;
using reqresp::ServerEvent;

Slot Network::current_slot(Now now) const {
  if (now.wall < spec_.genesis_time) return 0;
  return static_cast<Slot>((now.wall - spec_.genesis_time).ns / spec_.slot_duration.ns);
}

void Network::run_handshake(Peer& peer, Now now) {
  while (peer.handshake != nullptr && !peer.leaving) {
    const auto action = peer.handshake->poll_action();
    if (!action) return;
    on_handshake_action(peer, *action, now);
  }
}

void Network::on_handshake_action(Peer& peer, const Handshake::Action& action, Now now) {
  mark(peer);
  switch (action.kind) {
    case Handshake::Action::Kind::send_status:
      if (!ask(peer, Protocol::status_v1, ssz::encode_fixed(status_), now)) {
        peer.handshake->on_status_failed(now);
      }
      return;
    case Handshake::Action::Kind::send_ping:
      if (!ask(peer, Protocol::ping_v1, ssz::encode_fixed(Ping{metadata_.seq_number}), now)) {
        peer.handshake->on_ping_failed(now);
      }
      return;
    case Handshake::Action::Kind::request_metadata:
      if (!ask(peer, Protocol::metadata_v1, {}, now)) peer.handshake->on_metadata_failed();
      return;
    case Handshake::Action::Kind::ready:
      if (peer.up) return;
      peer.up = true;
      // Whom we get no further with is dialled ever more rarely.
      if (peer.dial != nullptr) peer.dial->delay = config_.redial_first;
      if (peer.dial != nullptr && peer.dial->watcher != nullptr) {
        peer.dial->was_up = true;
        peer.dial->watcher->on_dial_up(peer.dial->peer);
      }
      push_core(chain::PeerUp{peer.handle()});
      let_gossip_in(peer);
      return push_status(peer);
    case Handshake::Action::Kind::goodbye:
      return disconnect(peer, action.reason, now);
  }
}

bool Network::ask(Peer& peer, Protocol protocol, Bytes body, Now now) {
  const auto made = client_.request(peer.number(), protocol, body, now);
  if (!made) return false;
  client_places_[*made].peer = peer.handle();
  return true;
}

void Network::on_status(Peer& peer, const StatusV1& theirs, bool answer, Now now) {
  peer.handshake->on_status(theirs, status_, current_slot(now), answer, now);
  // A request that follows it in the same turn finds the peer known.
  run_handshake(peer, now);
  push_status(peer);
}

void Network::push_status(Peer& peer) {
  const auto& status = peer.handshake->peer_status();
  if (!peer.up || !status) return;
  push_core(
      chain::PeerStatus{.peer = peer.handle(),
                        .finalized_root = status->finalized_root,
                        .finalized_slot = status->finalized_epoch * spec_.preset->slots_per_epoch,
                        .head_root = status->head_root,
                        .head_slot = status->head_slot});
}

// ---- Our requests

bool Network::on_handshake_chunk(Peer* peer, const ClientEvent& event, Now now) {
  const bool here = peer != nullptr && peer->handshake != nullptr;
  switch (event.protocol) {
    case Protocol::status_v1:
      if (const auto theirs = ssz::decode<StatusV1>(event.payload); here && theirs) {
        on_status(*peer, *theirs, true, now);
      }
      return true;
    case Protocol::ping_v1:
      if (const auto ping = ssz::decode<Ping>(event.payload); here && ping) {
        peer->handshake->on_ping(ping->seq_number, true, now);
        mark(*peer);
      }
      return true;
    case Protocol::metadata_v1:
      if (const auto theirs = ssz::decode<MetaDataV1>(event.payload); here && theirs) {
        peer->handshake->on_metadata(theirs->seq_number);
        mark(*peer);
      }
      return true;
    default:
      return false;
  }
}

void Network::on_handshake_done(Peer& peer, const ClientEvent& event, Now now) {
  mark(peer);
  if (event.protocol == Protocol::goodbye_v1) peer.leave_at = now.mono;
  // An answer without its chunk is no answer.
  if (event.kind != ClientEvent::Kind::error && event.index > 0) return;
  if (event.protocol == Protocol::status_v1) peer.handshake->on_status_failed(now);
  if (event.protocol == Protocol::ping_v1) peer.handshake->on_ping_failed(now);
  if (event.protocol == Protocol::metadata_v1) peer.handshake->on_metadata_failed();
}

void Network::say_goodbye(Peer& peer, uint64_t reason, Now now) {
  if (ask(peer, Protocol::goodbye_v1, ssz::encode_fixed(Goodbye{.reason = reason}), now)) {
    ++stats_.goodbyes_sent;
  }
}

// ---- Requests of peers

bool Network::on_handshake_request(Peer& peer, const ServerEvent& event, Now now) {
  const auto answer = [&](const auto& message) {
    respond(number_of(event.request), SharedBytes::copy(ssz::encode_fixed(message)), now);
  };
  mark(peer);
  // The server has checked the body's size, so these decode.
  switch (event.protocol) {
    case Protocol::status_v1:
      answer(status_);
      if (const auto theirs = ssz::decode<StatusV1>(event.body)) {
        on_status(peer, *theirs, false, now);
      }
      return true;
    case Protocol::ping_v1:
      answer(Ping{.seq_number = metadata_.seq_number});
      if (const auto ping = ssz::decode<Ping>(event.body)) {
        peer.handshake->on_ping(ping->seq_number, false, now);
      }
      return true;
    case Protocol::metadata_v1:
      answer(metadata_);
      return true;
    case Protocol::metadata_v2:
      answer(MetaDataV2{.seq_number = metadata_.seq_number, .attnets = metadata_.attnets});
      return true;
    case Protocol::goodbye_v1:
      ++stats_.goodbyes_received;
      if (const auto bye = ssz::decode<Goodbye>(event.body)) peer.goodbye = bye->reason;
      peer.handshake->on_goodbye();
      disconnect(peer, std::nullopt, now);
      return true;
    default:
      return false;
  }
}

}  // namespace beamline::node
