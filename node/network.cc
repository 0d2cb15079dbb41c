#include "node/network.h"

#include <algorithm>

#include "crypto/sha256.h"
#include "node/network_peer.h"

namespace beamline::node {
namespace {

constexpr Duration kHeldRetry = milliseconds(2);
constexpr size_t kMaxServerPlaces = 1024;  // twice the streams of reqresp::ServerLimits

gossip::Params gossip_params(const NetworkConfig& config) {
  gossip::Params params;
  params.max_peers = config.max_peers;
  return params;
}

libp2p::LocalNodeConfig node_config(const NetworkConfig& config) {
  libp2p::LocalNodeConfig node;
  node.agent_version = config.agent_version;
  return node;
}

// Of whom an event is; nobody's are of a generation that no peer has.
chain::PeerHandle peer_of(const chain::Event& event) {
  return std::visit(
      [](const auto& what) -> chain::PeerHandle {
        if constexpr (requires { what.peer; }) {
          return what.peer;
        } else if constexpr (requires { what.sender; }) {
          return what.sender;
        } else {
          return {};
        }
      },
      event);
}

}  // namespace

Network::Network(Reactor& reactor, Tcp& tcp, const ChainSpec& spec,
                 const secp256k1::SecretKey& identity, NetworkConfig config, CorePort& core,
                 Rng rng)
    : reactor_(reactor),
      tcp_(tcp),
      spec_(spec),
      config_(std::move(config)),
      core_(core),
      node_(node_config(config_), identity, protocols_, rng.fork()),
      router_(gossip_params(config_), rng, reactor.now()),
      client_({}),
      server_({}),
      sidecars_(config_.sidecar_bytes),
      types_(*spec.preset),
      digest_(spec.digest()),
      timer_([](Timer&) {}, nullptr) {
  for (const char* name : {"/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"}) {
    const auto index = static_cast<size_t>(name[11] == '2' ? 0 : name[11] == '1' ? 1 : 2);
    meshsub_[index] = protocols_.add(name, true);
  }
  for (const reqresp::ProtocolInfo& row : reqresp::protocols()) {
    reqresp_ids_.push_back(protocols_.add(row.id, speaks(row.protocol)));
  }
  status_.fork_digest = digest_;
  status_.head_root = spec.genesis_block_root;
  for (uint32_t i = 0; i < config_.max_peers; ++i) {
    peers_.push_back(std::make_unique<Peer>(*this, i));
  }
  reactor_.add_hook(*this);
}

Network::~Network() {
  for (const auto& dial : dials_) reactor_.disarm(dial->timer);
  for (const auto& peer : peers_) {
    BL_CHECK(!peer->used);
    reactor_.disarm(peer->timer);
  }
  reactor_.disarm(timer_);
  reactor_.remove_hook(*this);
}

Status Network::start() {
  subscribe(reactor_.now());
  if (config_.listen) {
    const Result<TcpListener*> listener = tcp_.listen(*config_.listen, *this);
    if (!listener) return std::unexpected(listener.error());
    listener_ = *listener;
    listening_ = listener_->local();
    const Multiaddr address = Multiaddr::tcp(listening_);
    node_.set_listen_addrs({{address.bytes().begin(), address.bytes().end()}});
  }
  for (const Multiaddr& address : config_.dial) {
    const auto endpoint = address.tcp_endpoint();
    if (!endpoint) return local_error(Code::invalid_argument, "dial");
    auto& entry = dials_.emplace_back(std::make_unique<Dial>());
    entry->network = this;
    entry->endpoint = *endpoint;
    if (const auto id = address.peer_id()) entry->peer = entry->found = *id;
    entry->delay = config_.redial_first;
    entry->timer.owner = entry.get();
    entry->timer.callback = [](Timer& timer) {
      Dial& self = *static_cast<Dial*>(timer.owner);
      self.network->dial(self);
    };
    dial(*entry);
  }
  return {};
}

void Network::leave() {
  leaving_ = true;
  for (const auto& entry : dials_) reactor_.disarm(entry->timer);
  for (const auto& peer : peers_) {
    if (peer->used) disconnect(*peer, Goodbye::kShutdown, reactor_.now());
  }
}

// ---- Peers

Network::StreamUse& Network::Peer::use(libp2p::StreamId id) {
  if (uses.size() <= id.slot()) uses.resize(id.slot() + 1);
  StreamUse& entry = uses[id.slot()];
  if (entry.id != id) entry = {.id = id, .kind = StreamUse::Kind::none, .request = {}};
  return entry;
}

Network::StreamUse* Network::Peer::find_use(libp2p::StreamId id) {
  if (id.slot() >= uses.size() || uses[id.slot()].id != id) return nullptr;
  return &uses[id.slot()];
}

Network::Peer* Network::find(chain::PeerHandle handle) {
  if (handle.index >= peers_.size()) return nullptr;
  Peer& peer = *peers_[handle.index];
  return peer.used && peer.generation == handle.generation ? &peer : nullptr;
}

void Network::mark(Peer& peer) {
  if (peer.dirty) return;
  peer.dirty = true;
  dirty_.push_back(peer.index);
}

Network::Peer* Network::admit(TcpStream* stream, libp2p::Role role, const PeerId& expected,
                              const Endpoint& remote) {
  // Whoever floods us with connections does not keep us from those that we want.
  const auto kept = role == libp2p::Role::dialler
                        ? 0
                        : std::ranges::count_if(dials_, [](const auto& d) { return !d->active; });
  const bool room = peers_used_ + static_cast<uint32_t>(kept) < config_.max_peers;
  if (!room || leaving_ || !core_.reserve_peer_down()) {
    ++stats_.refused_peers;
    return nullptr;
  }
  Peer& peer = **std::ranges::find_if(peers_, [](const auto& p) { return !p->used; });
  ++peers_used_;
  peer.used = true;
  ++peer.generation;
  peer.tcp = stream;
  peer.gossip_delay = config_.gossip_reopen_first;
  peer.connection = std::make_unique<libp2p::Connection>(node_, role, reactor_.now(), expected,
                                                         Multiaddr::tcp(remote).bytes());
  mark(peer);
  return &peer;
}

StreamHandler* Network::on_accept(TcpStream& stream) {
  return admit(&stream, libp2p::Role::listener, {}, stream.remote());
}

void Network::dial(Dial& dial) {
  // It may have dialled us.
  if (!dial.found.empty() && find_connected(dial.found, nullptr) != nullptr) {
    if (dial.watcher != nullptr) return end_dial(dial);
    return reactor_.arm_in(dial.timer, config_.redial_first);
  }
  ++stats_.dials;
  Peer* peer = admit(nullptr, libp2p::Role::dialler, dial.peer, dial.endpoint);
  if (peer == nullptr) return redial(dial);
  peer->dial = &dial;
  dial.active = true;
  const auto stream = tcp_.connect(dial.endpoint, *peer, config_.connect_timeout);
  if (!stream) return remove(*peer, reactor_.now());
  peer->tcp = *stream;
}

void Network::connect(const Endpoint& endpoint, const PeerId& peer, DialWatcher& watcher) {
  auto& entry = dials_.emplace_back(std::make_unique<Dial>());
  entry->network = this;
  entry->endpoint = endpoint;
  entry->peer = entry->found = peer;
  entry->watcher = &watcher;
  dial(*entry);
}

void Network::end_dial(Dial& dial) {
  DialWatcher& watcher = *dial.watcher;
  const PeerId peer = dial.peer;
  const bool was_up = dial.was_up;
  std::erase_if(dials_, [&](const auto& entry) { return entry.get() == &dial; });
  watcher.on_dial_ended(peer, was_up);
}

void Network::redial(Dial& dial) {
  if (dial.watcher != nullptr) return end_dial(dial);
  if (leaving_ || reactor_.stopping()) return;
  reactor_.arm_in(dial.timer, dial.delay);
  dial.delay = std::min(dial.delay * 2, config_.redial_most);
}

void Network::Peer::on_data(TcpStream&, Lease lease) {
  const Now now = network_.reactor_.now();
  // Everything is taken out of the lease now; it goes back when this returns.
  if (connection->receive(now, lease.bytes())) network_.poll_connection(*this, now);
  network_.mark(*this);
}

void Network::Peer::on_end(TcpStream& stream) {
  connection->transport_closed({"tcp", 0, Code::closed, Fault::network});
  network_.poll_connection(*this, network_.reactor_.now());
  stream.close();
}

void Network::Peer::on_closed(TcpStream&, const Error& why) {
  tcp = nullptr;
  connection->transport_closed(why);
  network_.poll_connection(*this, network_.reactor_.now());
  network_.remove(*this, network_.reactor_.now());
}

void Network::poll_connection(Peer& peer, Now now) {
  libp2p::Event event;
  while (peer.connection != nullptr && peer.connection->poll_event(event)) {
    on_connection_event(peer, event, now);
  }
}

void Network::on_connection_event(Peer& peer, const libp2p::Event& event, Now now) {
  using Type = libp2p::Event::Type;
  switch (event.type) {
    case Type::none:
    case Type::identified:
      return;
    case Type::connected:
      return on_connected(peer, now);
    case Type::stream_opened:
      return on_stream_opened(peer, event, now);
    case Type::stream_negotiated:
      return on_stream_negotiated(peer, event, now);
    case Type::stream_data:
      return on_stream_data(peer, event, now);
    case Type::stream_remote_closed:
      return on_stream_closed(peer, event, now);
    case Type::stream_reset:
      return on_stream_reset(peer, event, now);
    case Type::stream_writable: {
      const StreamUse* use = peer.find_use(event.stream);
      if (use == nullptr) return;
      if (use->kind == StreamUse::Kind::client) write_client(peer, use->request, now);
      if (use->kind == StreamUse::Kind::server) write_server(peer, use->request, now);
      if (use->kind == StreamUse::Kind::gossip_out) flush_gossip(peer, now);
      return;
    }
    case Type::closed:
      if (event.error.fault == Fault::peer) ++stats_.peer_faults;
      peer.said_closed = peer.leaving = true;
      peer.close_at = std::min(peer.close_at, now.mono + config_.goodbye_timeout);
      return mark(peer);
  }
}

void Network::on_connected(Peer& peer, Now now) {
  libp2p::Connection& connection = *peer.connection;
  if (peer.dial != nullptr) peer.dial->found = connection.remote_peer();
  if (peer.leaving || !settle_duplicate(peer, now)) return disconnect(peer, std::nullopt, now);
  ++stats_.connected;
  ++peers_up_;
  const auto role = connection.role() == libp2p::Role::dialler ? reqresp::Handshake::Role::dialer
                                                               : reqresp::Handshake::Role::listener;
  peer.handshake = std::make_unique<reqresp::Handshake>(role, reqresp::HandshakeLimits{}, now);
  open_gossip(peer, now);
}

Network::Peer* Network::find_connected(const PeerId& id, const Peer* but) {
  const auto found = std::ranges::find_if(peers_, [&](const auto& other) {
    return other.get() != but && other->used && other->handshake != nullptr && !other->leaving &&
           other->connection->remote_peer() == id;
  });
  return found == peers_.end() ? nullptr : found->get();
}

// One connection to each peer. Of two that were dialled from the same side the newer one stays: a
// peer that comes back has lost the other, whatever we still believe. Of two that crossed, the one
// that the larger peer id dialled: both sides decide the same. False: it is `peer` that goes.
bool Network::settle_duplicate(Peer& peer, Now now) {
  const PeerId& theirs = peer.connection->remote_peer();
  if (theirs == node_.peer_id()) {
    ++stats_.duplicate_peers;
    return false;
  }
  Peer* other = find_connected(theirs, &peer);
  if (other == nullptr) return true;
  ++stats_.duplicate_peers;
  const bool ours = peer.connection->role() == libp2p::Role::dialler;
  const bool crossed = other->connection->role() != peer.connection->role();
  if (crossed && ours != (node_.peer_id() > theirs)) return false;
  disconnect(*other, std::nullopt, now);
  return true;
}

void Network::open_gossip(Peer& peer, Now now) {
  peer.gossip_at = MonoTime::never();
  const auto stream = peer.connection->open(now, meshsub_);
  if (!stream) return;
  peer.gossip_out = *stream;
  peer.use(*stream).kind = StreamUse::Kind::gossip_out;
}

void Network::on_stream_opened(Peer& peer, const libp2p::Event& event, Now now) {
  StreamUse& use = peer.use(event.stream);
  if (std::ranges::find(meshsub_, event.protocol) != meshsub_.end()) {
    // The newest wins: some peers open a second one after the first broke.
    if (peer.gossip_in) peer.connection->reset(peer.gossip_in);
    if (peer.in_router) router_.restart_input(peer.index);
    use.kind = StreamUse::Kind::gossip_in;
    peer.gossip_in = event.stream;
    peer.connection->pause(event.stream);
    return let_gossip_in(peer);
  }
  const auto at = std::ranges::find(reqresp_ids_, event.protocol);
  if (at == reqresp_ids_.end()) return peer.connection->reset(event.stream);
  const auto protocol = static_cast<reqresp::Protocol>(at - reqresp_ids_.begin());
  // What the server tells of a stream waits while the core is full, also after the stream has gone:
  // so streams that come and go in that time are bounded here.
  if (server_places_.size() >= kMaxServerPlaces) {
    ++stats_.refused_requests;
    return peer.connection->reset(event.stream);
  }
  const auto request = server_.on_stream(peer.number(), protocol, now);
  if (!request) return peer.connection->reset(event.stream);
  use.kind = StreamUse::Kind::server;
  use.request = *request;
  RequestPlace& place = server_places_[*request];
  place.peer = peer.handle();
  place.stream = event.stream;
}

void Network::on_stream_negotiated(Peer& peer, const libp2p::Event& event, Now now) {
  if (event.stream != peer.gossip_out) return;  // requests were written with the proposal
  if (peer.leaving) return;
  mark(peer);
  if (peer.in_router) return router_.restart_output(peer.index);
  gossip::PeerInfo info;
  info.version = event.protocol == meshsub_[0]   ? gossip::Version::v1_2
                 : event.protocol == meshsub_[1] ? gossip::Version::v1_1
                                                 : gossip::Version::v1_0;
  info.outbound = peer.connection->role() == libp2p::Role::dialler;
  const Hash256 identity = sha256(peer.connection->remote_peer().bytes());
  std::memcpy(&info.identity, identity.bytes.data(), sizeof info.identity);
  if (!router_.peer_connected(peer.index, info, now)) return;
  peer.in_router = true;
  let_gossip_in(peer);
}

// The router takes nothing from a peer that it does not know yet, and the core would ignore the
// block of one that it does not: then a peer that never says its status could be the first to send
// each block, and nobody else's would be looked at.
void Network::let_gossip_in(Peer& peer) {
  if (peer.in_router && peer.up && peer.gossip_in) peer.connection->resume(peer.gossip_in);
}

void Network::on_stream_data(Peer& peer, const libp2p::Event& event, Now now) {
  const StreamUse* use = peer.find_use(event.stream);
  if (use == nullptr) return;
  switch (use->kind) {
    case StreamUse::Kind::gossip_in:
      // An error comes back through poll_failure().
      if (peer.in_router) std::ignore = router_.receive(peer.index, event.data, now);
      return;
    case StreamUse::Kind::client:
      return feed_client(peer, use->request, event.data, now);
    case StreamUse::Kind::server:
      return server_.on_data(use->request, event.data, now);
    case StreamUse::Kind::gossip_out:  // nothing may come on it
    case StreamUse::Kind::none:
      return;
  }
}

void Network::on_stream_closed(Peer& peer, const libp2p::Event& event, Now now) {
  StreamUse* use = peer.find_use(event.stream);
  if (use == nullptr) return;
  if (use->kind == StreamUse::Kind::server) server_.on_remote_close(use->request, now);
  if (use->kind == StreamUse::Kind::gossip_in) {
    // Nothing will come; we never write on it.
    *use = {};
    peer.gossip_in = {};
    peer.connection->close_write(event.stream);
    router_.restart_input(peer.index);
    return mark(peer);
  }
  if (use->kind != StreamUse::Kind::client) return;
  RequestPlace* place = client_place(use->request);
  if (place == nullptr) return;
  place->remote_closed = true;
  if (place->unread.empty()) client_.on_remote_close(use->request, now);
}

void Network::on_stream_reset(Peer& peer, const libp2p::Event& event, Now now) {
  StreamUse* found = peer.find_use(event.stream);
  if (found == nullptr) return;
  const StreamUse use = std::exchange(*found, {});
  switch (use.kind) {
    case StreamUse::Kind::client:
      return client_.on_stream_failed(use.request, event.error, now);
    case StreamUse::Kind::server:
      return server_.on_stream_failed(use.request, event.error, now);
    case StreamUse::Kind::gossip_in:
      peer.gossip_in = {};
      router_.restart_input(peer.index);
      return;
    case StreamUse::Kind::gossip_out:
      peer.gossip_out = {};
      peer.gossip_frame.reset();
      // A peer without gossip may still serve blocks.
      if (event.error.code == Code::unsupported) return;
      peer.gossip_at = now.mono + peer.gossip_delay;
      peer.gossip_delay = std::min(peer.gossip_delay * 2, config_.redial_most);
      return mark(peer);
    case StreamUse::Kind::none:
      return;
  }
}

void Network::disconnect(Peer& peer, std::optional<uint64_t> goodbye, Now now) {
  if (peer.leaving || !peer.used) return;
  peer.leaving = true;
  if (goodbye && peer.handshake != nullptr) {
    say_goodbye(peer, *goodbye, now);
    peer.leave_at = now.mono + config_.goodbye_timeout;
  } else {
    peer.leave_at = now.mono;
  }
  peer.close_at = peer.leave_at + config_.goodbye_timeout;
  mark(peer);
}

// A peer that is leaving is no member of the mesh any more, while its last bytes leave. REQUIRES:
// drain_gossip() has taken what it sent, for a message is judged with its sender.
void Network::leave_mesh(Peer& peer, Now now) {
  if (peer.in_router) router_.peer_disconnected(peer.index, now);
  peer.in_router = false;
}

// What an honest peer does not do. It may happen to a broken one, but not often.
void Network::charge(Peer* peer, const Error& error, Now now) {
  if (error.fault != Fault::peer) {
    ++stats_.requests_too_slow;
    return;
  }
  ++stats_.violations;
  if (peer == nullptr || ++peer->violations < config_.max_violations) return;
  disconnect(*peer, Goodbye::kFault, now);
}

// The socket is gone, or was never there.
void Network::remove(Peer& peer, Now now) {
  // What it sent is told before its end, and while its slot is still its own.
  drain_gossip(now);
  leave_mesh(peer, now);
  client_.on_peer_gone(peer.number(), now);
  server_.on_peer_gone(peer.number(), now);
  drain_client(now);
  drain_server(now);
  if (peer.handshake != nullptr) {
    ++stats_.disconnected;
    --peers_up_;
  }
  tell_core_down(peer);
  reactor_.disarm(peer.timer);
  Dial* const redialled = peer.dial;
  --peers_used_;
  peer.used = peer.up = peer.leaving = peer.said_closed = false;
  peer.leave_at = peer.close_at = peer.gossip_at = MonoTime::never();
  peer.violations = 0;
  peer.goodbye.reset();
  peer.dial = nullptr;
  peer.connection.reset();
  peer.handshake.reset();
  peer.uses.clear();
  peer.gossip_in = peer.gossip_out = {};
  peer.gossip_frame.reset();
  peers_slowed_ -= std::exchange(peer.slowed, false) ? 1 : 0;
  peer.noise = 0;
  if (redialled == nullptr) return;
  redialled->active = false;
  redial(*redialled);
}

// PeerDown is the last that the core hears of a peer: it overtakes what was held of others, so what
// is held of this one goes. If its PeerUp does, the core never knew it.
void Network::tell_core_down(Peer& peer) {
  bool known = peer.up;
  stats_.events_dropped += std::erase_if(held_, [&](const chain::Event& event) {
    if (peer_of(event) != peer.handle()) return false;
    if (std::holds_alternative<chain::PeerUp>(event)) known = false;
    return true;
  });
  if (known) {
    core_.push_peer_down({peer.handle()});
  } else {
    core_.release_peer_down();
  }
}

// ---- The end of a turn

void Network::end_of_turn(Now now) { pump(now); }

void Network::pump(Now now) {
  if (router_.poll_timeout() <= now.mono) router_.handle_timeout(now);
  if (client_.size() > 0 && client_.next_deadline() <= now.mono) client_.on_time(now);
  if (server_.size() > 0 && server_.next_deadline() <= now.mono) server_.on_time(now);
  // Each step may give another one something to do; a peer is looked at as long as it is marked.
  do {
    flush_held();
    while (drain_client(now) || drain_server(now) || drain_gossip(now)) {
    }
    working_.clear();
    working_.swap(dirty_);
    for (const uint32_t index : working_) {
      Peer& peer = *peers_[index];
      peer.dirty = false;
      if (!peer.used) continue;
      if (peer.leaving) leave_mesh(peer, now);
      run_deadlines(peer, now);
      poll_connection(peer, now);
      run_handshake(peer, now);
      flush_gossip(peer, now);
      transmit(peer, now);
    }
  } while (!working_.empty());
  ease_pressure(now);
  arm_timers(now);
}

void Network::run_deadlines(Peer& peer, Now now) {
  if (peer.connection->poll_timeout() <= now.mono) peer.connection->handle_timeout(now);
  if (peer.leaving) return;
  if (peer.handshake != nullptr && peer.handshake->next_deadline() <= now.mono) {
    peer.handshake->on_time(now);
  }
  if (peer.gossip_at <= now.mono) {
    ++stats_.gossip_reopened;
    open_gossip(peer, now);
  }
}

void Network::transmit(Peer& peer, Now now) {
  libp2p::Connection& connection = *peer.connection;
  if (peer.tcp == nullptr) return;
  if (peer.leave_at <= now.mono) connection.close();
  constexpr size_t kRoom = 4096;
  while (connection.wants_transmit()) {
    const MutableBytes space = peer.tcp->write_space(kRoom);
    if (space.empty()) break;  // on_writable() comes
    peer.tcp->commit(connection.poll_transmit(space));
  }
  if (connection.finished() || (peer.said_closed && !connection.wants_transmit())) {
    peer.leaving = true;
    peer.close_at = MonoTime::never();  // the flush has a limit of its own
    peer.tcp->close_after_flush();
  } else if (peer.close_at <= now.mono) {
    ++stats_.forced_closes;
    peer.close_at = MonoTime::never();
    peer.tcp->close();
  }
  arm(peer, now);
}

void Network::arm(Peer& peer, Now now) {
  const libp2p::Connection& connection = *peer.connection;
  MonoTime next = peer.leave_at > now.mono ? peer.leave_at : peer.close_at;
  if (!connection.finished() && !peer.said_closed) {
    next = std::min({next, connection.poll_timeout(), peer.close_at});
  }
  if (!peer.leaving) {
    next = std::min(next, peer.gossip_at);
    if (peer.handshake != nullptr) next = std::min(next, peer.handshake->next_deadline());
  }
  if (next != MonoTime::never()) next = std::max(next, now.mono);
  reactor_.arm(peer.timer, next);
}

void Network::arm_timers(Now now) {
  MonoTime next = router_.poll_timeout();
  if (client_.size() > 0) next = std::min(next, client_.next_deadline());
  if (server_.size() > 0) next = std::min(next, server_.next_deadline());
  if (!held_.empty() || peers_slowed_ > 0) next = std::min(next, now.mono + kHeldRetry);
  reactor_.arm(timer_, next);
}

// ---- To the core

void Network::push_core(chain::Event&& event) {
  if (held_.empty() && core_.push(std::move(event)) == PushResult::ok) return;
  ++stats_.events_held;
  held_.push_back(std::move(event));
}

bool Network::flush_held() {
  while (!held_.empty()) {
    const PushResult result = core_.push(std::move(held_.front()));
    if (result == PushResult::full) return false;
    held_.pop_front();
  }
  return true;
}

}  // namespace beamline::node
