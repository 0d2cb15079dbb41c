#include "node/eth_host.h"

#include <algorithm>
#include <iterator>

namespace beamline::node {
namespace {

// The last that both have is spoken.
constexpr rlpx::Capability kCapabilities[] = {
    {"eth", eth::kEth68, eth::message_count(eth::kEth68)},
    {"eth", eth::kEth69, eth::message_count(eth::kEth69)},
    {"eth", eth::kEth70, eth::message_count(eth::kEth70)}};

}  // namespace

EthConnection::EthConnection(EthHost& host, rlpx::Connection& connection, size_t capability,
                             uint32_t version, const eth::Local& local, uint32_t index,
                             uint32_t generation, MonoTime now)
    : host_(host),
      connection_(connection),
      capability_(capability),
      index_(index),
      generation_(generation),
      peer_(version, local, *this, host.options_.peer, now),
      timer_([](Timer& timer) { static_cast<EthConnection*>(timer.owner)->on_time(); }, this) {
  arm();
}

EthConnection::~EthConnection() { host_.reactor_.disarm(timer_); }

Status EthConnection::send(eth::Message message, Bytes payload) {
  return connection_.send(capability_, static_cast<uint8_t>(message), payload);
}

Status EthConnection::send_buffer(eth::Message message, std::vector<uint8_t>& buffer,
                                  size_t begin) {
  return connection_.send(capability_, static_cast<uint8_t>(message), buffer, begin);
}

void EthConnection::disconnect(rlpx::DisconnectReason reason) { connection_.disconnect(reason); }

void EthConnection::arm() { host_.reactor_.arm(timer_, peer_.deadline()); }

void EthConnection::on_time() {
  for (;;) {
    const auto event = peer_.on_deadline(host_.reactor_.now().mono);
    if (!event) return disconnect(rlpx::DisconnectReason::subprotocol_error);
    if (event->kind == eth::EthEvent::Kind::none) break;
    host_.handler_.on_event(*this, *event);
  }
  arm();
}

EthHost::EthHost(Reactor& reactor, Tcp& tcp, EthHostOptions options, const eth::Local& local,
                 EthHandler& handler, Rng& rng)
    : reactor_(reactor), options_(std::move(options)), local_(local), handler_(handler) {
  options_.rlpx.session.capabilities = kCapabilities;
  host_ =
      std::make_unique<rlpx::Host>(tcp, options_.rlpx, static_cast<rlpx::HostHandler&>(*this), rng);
  reactor_.add_hook(*this);
}

EthHost::~EthHost() {
  reactor_.unpost(again_);
  reactor_.remove_hook(*this);
}

Result<const rlpx::Connection*> EthHost::dial(const Endpoint& remote,
                                              const secp256k1::PublicKey& key) {
  return host_->dial(remote, key);
}

void EthHost::leave(rlpx::DisconnectReason reason) {
  for (const auto& [connection, peer] : peers_) connection->disconnect(reason);
}

void EthHost::on_ready(rlpx::Connection& connection) {
  size_t capability = std::size(kCapabilities);
  for (size_t i = 0; i < std::size(kCapabilities); ++i) {
    if (connection.session().shares(i)) capability = i;
  }
  if (capability == std::size(kCapabilities)) {
    return connection.disconnect(rlpx::DisconnectReason::useless_peer);
  }
  uint32_t index = static_cast<uint32_t>(generations_.size());
  if (free_.empty()) {
    generations_.push_back(0);
  } else {
    index = free_.back();
    free_.pop_back();
  }
  peers_.emplace(&connection, std::make_unique<EthConnection>(
                                  *this, connection, capability, kCapabilities[capability].version,
                                  local_, index, ++generations_[index], reactor_.now().mono));
}

void EthHost::on_message(rlpx::Connection& connection, size_t capability, uint8_t id,
                         Bytes payload) {
  const auto it = peers_.find(&connection);
  if (it == peers_.end() || it->second->capability_ != capability) return;
  EthConnection& peer = *it->second;
  // Who is owed an answer already waits for its turn.
  const size_t budget = peer.serving_ ? 0 : slice();
  const uint64_t before = peer.peer_.stats().served_bytes;
  const auto event = peer.peer_.receive(id, payload, reactor_.now().mono, budget);
  served_ += peer.peer_.stats().served_bytes - before;
  if (peer.peer_.serving() && !peer.serving_) {
    peer.serving_ = true;
    serving_.push_back(&peer);
  }
  if (!event) return peer.disconnect(eth::disconnect_reason(event.error()));
  if (event->kind == eth::EthEvent::Kind::ready) {
    handler_.on_peer(peer);
  } else if (event->kind != eth::EthEvent::Kind::none) {
    handler_.on_event(peer, *event);
  }
  peer.arm();
}

void EthHost::on_closed(rlpx::Connection& connection, const rlpx::Closed& closed) {
  const auto it = peers_.find(&connection);
  const bool was_peer = it != peers_.end() && it->second->peer_.ready();
  if (was_peer) {
    handler_.on_gone(*it->second, closed);
  } else if (connection.outbound()) {
    handler_.on_dial_failed(connection, closed);
  }
  if (it == peers_.end()) return;
  if (it->second->serving_) std::erase(serving_, it->second.get());
  free_.push_back(it->second->index_);
  peers_.erase(it);
}

// What is left of this turn's bytes, at most a slice.
size_t EthHost::slice() const {
  return std::min(eth::Server::kSlice,
                  options_.turn_bytes - std::min(options_.turn_bytes, served_));
}

// False: it asked for what there is not.
bool EthHost::serve(EthConnection& peer) {
  const uint64_t before = peer.peer_.stats().served_bytes;
  const Status status = peer.peer_.serve(slice());
  served_ += peer.peer_.stats().served_bytes - before;
  if (!status) peer.disconnect(eth::disconnect_reason(status.error()));
  return status.has_value();
}

// One slice each, in turn, until the turn has done enough; the rest is for the next.
void EthHost::end_of_turn(Now) {
  while (!serving_.empty() && slice() > 0) {
    EthConnection& peer = *serving_.front();
    serving_.pop_front();
    peer.serving_ = serve(peer) && peer.peer_.serving();
    if (peer.serving_) serving_.push_back(&peer);
  }
  if (served_ == 0) return;
  ++stats_.serve_turns;
  stats_.serve_bytes += served_;
  stats_.serve_bytes_peak = std::max<uint64_t>(stats_.serve_bytes_peak, served_);
  served_ = 0;
  reactor_.post(again_);  // what was sent leaves, and what is owed goes on
}

void say_goodbye(Reactor& reactor, EthHost& host) {
  host.leave(rlpx::DisconnectReason::quitting);
  bool late = false;
  Timer patience([](Timer& timer) { *static_cast<bool*>(timer.owner) = true; }, &late);
  reactor.arm_in(patience, seconds(1));
  while (host.connections() > 0 && !late) reactor.turn();
  reactor.disarm(patience);
}

}  // namespace beamline::node
