#include "tests/node/hostile.h"

#include "codec/reqresp_messages.h"
#include "reqresp/chunk.h"

namespace beamline::node {
namespace {

libp2p::LocalNodeConfig quiet_config() {
  libp2p::LocalNodeConfig config;
  config.ask_identify = false;
  return config;
}

secp256k1::SecretKey identity_of(uint64_t number) {
  Rng rng(2000 + number);
  return secp256k1::SecretKey::generate(rng);
}

TcpOptions tcp_options() {
  TcpOptions options;
  options.max_streams = 4;
  options.buffer_count = 8;
  options.buffer_size = 16'384;
  options.write_chunks = 64;
  options.write_nodes = 128;
  options.send_batches = 4;
  return options;
}

}  // namespace

Hostile::Hostile(sim::World& world, Layer layer, uint64_t identity)
    : world_(world),
      host_(world.add_host(0x0a000001 + world.hosts())),
      layer_(layer),
      rng_(world.fork_rng()),
      identity_(identity_of(identity != 0 ? identity : host_)),
      node_(quiet_config(), identity_, protocols_, rng_.fork()) {
  for (const reqresp::ProtocolInfo& row : reqresp::protocols()) protocols_.add(row.id, true);
  protocols_.add("/meshsub/1.1.0", true);
  reactor_ = std::make_unique<sim::SimReactor>(world_, host_);
  tcp_ = std::move(*Tcp::create(**reactor_, tcp_options()));
  (*reactor_)->add_hook(*this);
}

void Hostile::connect_to(const Endpoint& endpoint, const PeerId& peer) {
  const Now now = world_.now(host_);
  if (layer_ == Layer::connection) {
    connection_ = std::make_unique<libp2p::Connection>(node_, libp2p::Role::dialler, now, peer);
  }
  if (layer_ == Layer::noise) {
    upgrade_.emplace(node_, libp2p::Role::dialler, peer, now);
  }
  const Result<TcpStream*> stream = tcp_->connect(endpoint, *this, seconds(30));
  BL_CHECK(stream.has_value());
  stream_ = *stream;
  reactor_->wake();
}

void Hostile::stop() {
  if (reactor_ == nullptr) return;
  (*reactor_)->shutdown();
  (*reactor_)->remove_hook(*this);
  connection_.reset();
  tcp_.reset();
  reactor_.reset();
}

void Hostile::on_connected(TcpStream& stream) {
  if (layer_ == Layer::noise) {
    stream.write(upgrade_->output());
    upgrade_->output().clear();
  }
  for (const auto& bytes : waiting_) {
    if (layer_ == Layer::tcp) stream.write(bytes);
  }
  if (layer_ == Layer::tcp) waiting_.clear();
  connected_ = layer_ == Layer::tcp;
}

void Hostile::on_data(TcpStream&, Lease lease) {
  if (layer_ == Layer::noise && upgrade_) secure(lease.bytes());
  if (layer_ != Layer::connection) return;
  if (!connection_->receive((*reactor_)->now(), lease.bytes())) return;
  libp2p::Event event;
  while (connection_->poll_event(event)) on_event(event);
}

void Hostile::secure(MutableBytes bytes) {
  const Result<size_t> taken = upgrade_->receive(bytes, (*reactor_)->now());
  ASSERT_TRUE(taken.has_value());
  stream_->write(upgrade_->output());
  upgrade_->output().clear();
  if (!upgrade_->finished()) return;
  ciphers_.emplace(upgrade_->take_ciphers());
  upgrade_.reset();
  connected_ = true;
  for (const auto& plain : waiting_) send_sealed(plain);
  waiting_.clear();
}

void Hostile::send_sealed(Bytes plain) {
  std::vector<uint8_t> frame(2 + plain.size() + libp2p::kNoiseTagSize);
  std::copy(plain.begin(), plain.end(), frame.begin() + 2);
  ciphers_->send.seal(MutableBytes(frame).subspan(2));
  frame[0] = static_cast<uint8_t>((frame.size() - 2) >> 8);
  frame[1] = static_cast<uint8_t>(frame.size() - 2);
  stream_->write(frame);
}

void Hostile::send(Bytes bytes) {
  if (stream_ == nullptr) return;
  if (!connected_) {
    waiting_.emplace_back(bytes.begin(), bytes.end());
  } else if (layer_ == Layer::noise) {
    send_sealed(bytes);
  } else {
    stream_->write(bytes);
  }
  reactor_->wake();
}

void Hostile::stop_reading() {
  if (stream_ != nullptr) stream_->pause();
  reactor_->wake();
}

void Hostile::on_closed(TcpStream&, const Error& why) {
  stream_ = nullptr;
  closed_ = why;
}

// ---- Streams

libp2p::StreamId Hostile::open(std::string_view protocol, Bytes bytes, bool close) {
  const libp2p::ProtocolId id = protocols_.add(protocol, false);
  const auto stream = connection_->open(world_.now(host_), std::span(&id, 1));
  if (!stream) return {};
  connection_->write(*stream, bytes);
  if (close) connection_->close_write(*stream);
  reactor_->wake();
  return *stream;
}

void Hostile::request(reqresp::Protocol protocol, Bytes ssz) {
  const reqresp::ProtocolInfo& row = reqresp::info(protocol);
  open(row.id, reqresp::encode_request(row, ssz), true);
}

void Hostile::say_status(const StatusV1& status) {
  request(reqresp::Protocol::status_v1, ssz::encode_fixed(status));
}

void Hostile::on_event(const libp2p::Event& event) {
  using Type = libp2p::Event::Type;
  if (event.type == Type::connected) connected_ = true;
  if (event.type == Type::stream_reset) reset_[event.stream.value] = true;
  if (event.type == Type::stream_opened) {
    const reqresp::ProtocolInfo* row = reqresp::find_protocol(protocols_.name(event.protocol));
    if (row == nullptr) gossip_streams_.push_back(event.stream);
    if (row != nullptr) inbound_[event.stream.value] = {static_cast<size_t>(row->protocol), {}};
  }
  const auto found = inbound_.find(event.stream.value);
  if (event.type == Type::stream_data) {
    auto& into = found == inbound_.end() ? received_[event.stream.value] : found->second.body;
    into.insert(into.end(), event.data.begin(), event.data.end());
  }
  if (event.type == Type::stream_remote_closed && found != inbound_.end()) {
    on_request(event.stream, found->second);
    inbound_.erase(found);
  }
}

void Hostile::on_request(libp2p::StreamId stream, const Inbound& request) {
  ++requests_;
  Bytes body;
  SharedBytes payload;
  const reqresp::ProtocolInfo& row = reqresp::protocols()[request.protocol];
  if (row.request_max > 0) {
    reqresp::PayloadReader reader;
    reader.start(row.request_min, row.request_max, "request");
    ASSERT_TRUE(reader.read(request.body).has_value());
    ASSERT_TRUE(reader.done());
    payload = reader.take();
    body = payload;
  }
  if (row.protocol == reqresp::Protocol::goodbye_v1) goodbye_ = ssz::decode<Goodbye>(body)->reason;
  if (!answers_[request.protocol]) return;
  connection_->write(stream, answers_[request.protocol](body));
  connection_->close_write(stream);
}

void Hostile::end_of_turn(Now now) { pump(now); }

void Hostile::pump(Now) {
  if (connection_ == nullptr || stream_ == nullptr) return;
  libp2p::Event event;
  while (connection_->poll_event(event)) on_event(event);
  while (connection_->wants_transmit()) {
    const MutableBytes space = stream_->write_space(4096);
    if (space.empty()) return;
    stream_->commit(connection_->poll_transmit(space));
  }
  if (connection_->finished()) stream_->close_after_flush();
}

}  // namespace beamline::node
