// A peer that says what it likes, on a simulated host of its own: any bytes on its socket, any
// bytes in sealed frames behind a valid handshake, or any bytes on the streams of a valid
// connection.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "reqresp/protocol.h"
#include "tests/node/sim_node.h"

namespace beamline::node {

class Hostile final : public StreamHandler, public TurnHook {
 public:
  enum class Layer : uint8_t {
    tcp,         // bytes as they are
    noise,       // multistream-select and Noise are done by hand; then bytes in sealed frames
    connection,  // a libp2p::Connection
  };

  // Two of the same `identity` are the same peer; 0: of its own.
  Hostile(sim::World& world, Layer layer, uint64_t identity = 0);
  ~Hostile() override { stop(); }
  void connect(const SimNode& target) { connect_to(target.endpoint(), target.peer_id()); }
  void connect_to(const Endpoint& endpoint, const PeerId& peer);
  void stop();

  // ---- Layers tcp and noise.
  void send(Bytes bytes);
  void send(std::string_view text) {
    send(Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  // Of layer noise, after the handshake: as they are.
  void send_unsealed(Bytes bytes) {
    stream_->write(bytes);
    reactor_->wake();
  }
  // Reads nothing from now on.
  void stop_reading();

  // ---- Layer connection; after connected().
  // A stream on which these bytes, and nothing else, are sent; then perhaps our end.
  libp2p::StreamId open(std::string_view protocol, Bytes bytes, bool close);
  void request(reqresp::Protocol protocol, Bytes ssz);
  void say_status(const StatusV1& status);
  // Answers requests of the target's: what to send for a body, as it is on the wire. Without one
  // a request is never answered.
  using Answer = std::function<std::vector<uint8_t>(Bytes request)>;
  void answer(reqresp::Protocol protocol, Answer answer) {
    answers_[static_cast<size_t>(protocol)] = std::move(answer);
  }
  bool connected() const { return connected_; }
  // What came back on a stream that we opened, and whether it was reset.
  const std::vector<uint8_t>& received(libp2p::StreamId stream) { return received_[stream.value]; }
  bool was_reset(libp2p::StreamId stream) const { return reset_.contains(stream.value); }
  uint64_t requests() const { return requests_; }
  // Streams of gossip that the target opened to us, oldest first.
  const std::vector<libp2p::StreamId>& gossip_streams() const { return gossip_streams_; }
  void reset(libp2p::StreamId stream) {
    connection_->reset(stream);
    reactor_->wake();
  }
  // The reason that the target's goodbye gave.
  std::optional<uint64_t> goodbye() const { return goodbye_; }

  bool closed() const { return closed_.has_value(); }
  const PeerId& peer_id() const { return node_.peer_id(); }
  sim::HostId host() const { return host_; }

  void on_connected(TcpStream&) override;
  void on_data(TcpStream& stream, Lease lease) override;
  void on_end(TcpStream& stream) override { stream.close(); }
  void on_closed(TcpStream&, const Error& why) override;
  void end_of_turn(Now now) override;

 private:
  struct Inbound {
    size_t protocol = 0;
    std::vector<uint8_t> body;
  };
  void pump(Now now);
  void on_event(const libp2p::Event& event);
  void on_request(libp2p::StreamId stream, const Inbound& request);
  void send_sealed(Bytes plain);
  void secure(MutableBytes bytes);

  sim::World& world_;
  const sim::HostId host_;
  const Layer layer_;
  Rng rng_;
  const secp256k1::SecretKey identity_;
  libp2p::ProtocolTable protocols_;
  libp2p::LocalNode node_;
  std::unique_ptr<sim::SimReactor> reactor_;
  std::unique_ptr<Tcp> tcp_;
  TcpStream* stream_ = nullptr;
  std::unique_ptr<libp2p::Connection> connection_;
  std::optional<libp2p::Upgrade> upgrade_;
  std::optional<libp2p::NoiseCiphers> ciphers_;
  std::vector<std::vector<uint8_t>> waiting_;  // to be sent once secured
  std::array<Answer, reqresp::kProtocolCount> answers_;
  std::map<uint32_t, Inbound> inbound_;
  std::map<uint32_t, std::vector<uint8_t>> received_;
  std::map<uint32_t, bool> reset_;
  std::vector<libp2p::StreamId> gossip_streams_;
  uint64_t requests_ = 0;
  std::optional<uint64_t> goodbye_;
  std::optional<Error> closed_;
  bool connected_ = false;
};

}  // namespace beamline::node
