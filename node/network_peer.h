// A peer of the network: its socket, its libp2p connection and what runs on it. Private to
// node/network*.cc.
#pragma once

#include "node/network.h"

namespace beamline::node {

class Network::Peer final : public StreamHandler {
 public:
  Peer(Network& network, uint32_t slot)
      : network_(network),
        index(slot),
        timer([](Timer& t) { static_cast<Peer*>(t.owner)->on_timer(); }, this) {}

  chain::PeerHandle handle() const { return {index, generation}; }
  uint64_t number() const { return static_cast<uint64_t>(index) << 32 | generation; }
  StreamUse& use(libp2p::StreamId id);
  StreamUse* find_use(libp2p::StreamId id);

  void on_connected(TcpStream&) override { network_.mark(*this); }
  void on_data(TcpStream& stream, Lease lease) override;
  void on_end(TcpStream& stream) override;
  void on_writable(TcpStream&) override { network_.mark(*this); }
  void on_closed(TcpStream& stream, const Error& why) override;
  void on_timer() { network_.mark(*this); }

 private:
  Network& network_;

 public:
  const uint32_t index;
  uint32_t generation = 0;
  bool used = false;
  bool dirty = false;
  bool in_router = false;
  bool up = false;       // the core knows it
  bool leaving = false;  // goodbye was said, or the connection is closing
  bool said_closed = false;
  std::optional<uint64_t> goodbye;        // the reason that the peer gave
  MonoTime leave_at = MonoTime::never();  // then the connection is closed in order,
  MonoTime close_at = MonoTime::never();  // and then at once, whether the peer reads or not
  uint32_t violations = 0;
  bool slowed = false;  // its socket is not received from
  uint64_t noise = 0;   // bytes of blocks that it sent lately
  TcpStream* tcp = nullptr;
  Dial* dial = nullptr;
  std::unique_ptr<libp2p::Connection> connection;
  std::unique_ptr<reqresp::Handshake> handshake;
  std::vector<StreamUse> uses;  // by stream slot
  libp2p::StreamId gossip_in;
  libp2p::StreamId gossip_out;
  SharedBytes gossip_frame;                // what the stream did not take yet
  MonoTime gossip_at = MonoTime::never();  // when gossip_out is opened again
  Duration gossip_delay{};
  Timer timer;
};

struct Network::Dial {
  Network* network = nullptr;
  Endpoint endpoint;
  PeerId peer;                     // whom we expect; empty: anyone
  PeerId found;                    // who it was the last time
  DialWatcher* watcher = nullptr;  // dialled once, and told
  bool was_up = false;
  bool active = false;
  Duration delay{};
  Timer timer;
};

inline reqresp::RequestId request_of(chain::ServeId id) {
  return {static_cast<uint32_t>(id >> 32), static_cast<uint32_t>(id)};
}
inline uint64_t number_of(reqresp::RequestId id) {
  return static_cast<uint64_t>(id.slot) << 32 | id.generation;
}
inline chain::PeerHandle handle_of(reqresp::PeerHandle number) {
  return {static_cast<uint32_t>(number >> 32), static_cast<uint32_t>(number)};
}
inline reqresp::PeerHandle number_of(chain::PeerHandle handle) {
  return static_cast<uint64_t>(handle.index) << 32 | handle.generation;
}

}  // namespace beamline::node
