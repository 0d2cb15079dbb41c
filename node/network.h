// Everything that touches a socket: TCP connections with libp2p on them, the gossip router, the
// req/resp client and server, and the handshake of each peer. Decodes what comes in and hands it to
// the core; carries out the core's commands. One reactor, whichever thread that is on.
//
// A peer is a slot with a generation: the same pair names it in the core (chain::PeerHandle), in
// req/resp (one 64-bit number) and, by its slot alone, in the gossip router.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "chain/commands.h"
#include "chain/events.h"
#include "codec/beacon_block.h"
#include "codec/beacon_types.h"
#include "codec/multiaddr.h"
#include "codec/reqresp_messages.h"
#include "codec/sidecar.h"
#include "gossip/router.h"
#include "libp2p/connection.h"
#include "loop/tcp.h"
#include "node/chain_spec.h"
#include "node/ports.h"
#include "node/sidecar_cache.h"
#include "reqresp/client.h"
#include "reqresp/handshake.h"
#include "reqresp/server.h"

namespace beamline::node {

struct NetworkConfig {
  std::optional<Endpoint> listen;
  std::vector<Multiaddr> dial;  // kept connected: dialled again after a loss
  uint32_t max_peers = 64;      // of these, one is kept free for each dial that is not connected
  uint32_t max_violations = 8;  // of one connection; then goodbye
  Duration connect_timeout = seconds(10);
  Duration redial_first = seconds(1);  // doubling to redial_most
  Duration redial_most = seconds(30);
  Duration gossip_reopen_first = seconds(1);  // a gossip stream that broke; doubling to redial_most
  Duration goodbye_timeout = seconds(1);
  std::string agent_version = "beamline";
  // The data that blocks of this chain have: asked of peers for a client that misses some, and
  // served. None: neither.
  std::optional<SidecarKind> sidecars;
  size_t sidecar_bytes = 64u << 20;  // kept to be served
};

// By which the data of blocks is asked for.
reqresp::Protocol sidecar_protocol(SidecarKind kind);

struct NetworkStats {
  uint64_t dials = 0;
  uint64_t connected = 0;
  uint64_t disconnected = 0;
  uint64_t refused_peers = 0;    // no slot was free, or no place for its PeerDown
  uint64_t duplicate_peers = 0;  // one of two connections to the same peer was closed
  uint64_t peer_faults = 0;      // connections that ended because the peer broke a protocol
  uint64_t forced_closes = 0;    // the peer did not read our last words
  uint64_t gossip_reopened = 0;  // streams of ours, after they broke
  uint64_t gossip_blocks = 0;    // handed to the core
  uint64_t gossip_undecodable = 0;
  uint64_t gossip_dropped = 0;  // the core's inbox was full: ignored
  uint64_t chunks = 0;
  uint64_t sidecars = 0;
  uint64_t chunks_undecodable = 0;
  uint64_t events_held = 0;         // waited for room in the core's inbox
  uint64_t events_dropped = 0;      // waited for it when their peer went
  uint64_t peers_slowed = 0;        // not received from for a while: the core was nearly full
  uint64_t refused_requests = 0;    // streams of peers that came and went while the core was full
  uint64_t violations = 0;          // bad RPCs, requests, answers and gossip
  uint64_t requests_too_slow = 0;   // of peers, that did not come whole in time
  uint64_t requests_too_early = 0;  // for blocks, before the status
  uint64_t goodbyes_received = 0;
  uint64_t goodbyes_sent = 0;
  uint64_t published = 0;
  uint64_t publish_failed = 0;  // seen before, or over the topic's bound
};

// Hears of the dials that Network::connect() began. on_dial_ended() comes last, once for each, and
// may come before connect() returns.
class DialWatcher {
 public:
  virtual ~DialWatcher() = default;
  // The handshake is over: it is a peer.
  virtual void on_dial_up(const PeerId& peer) = 0;
  // It did not come to that, or the connection is gone.
  virtual void on_dial_ended(const PeerId& peer, bool was_up) = 0;
};

class Network final : public TurnHook, private ListenerHandler {
 public:
  // `spec`, `identity` and `core` outlive it. REQUIRES: on the reactor's thread.
  Network(Reactor& reactor, Tcp& tcp, const ChainSpec& spec, const secp256k1::SecretKey& identity,
          NetworkConfig config, CorePort& core, Rng rng);
  ~Network() override;  // REQUIRES: no peer is left (the reactor has shut down)
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Listens and dials. Errors: those of Tcp::listen().
  Status start();
  // Says goodbye to all peers and dials no more.
  void leave();

  // Dials `peer` once. `watcher` outlives the connection.
  void connect(const Endpoint& endpoint, const PeerId& peer, DialWatcher& watcher);

  // Carries out a command of the core.
  void execute(chain::Command&& command);
  // Hands a SignedBeaconBlock of our own to the core, which imports it and has it published.
  // Errors: those of decoding.
  Status add_own_block(const SharedBytes& signed_block);
  // A blob or column that is verified, or our own: served from now on, while there is room.
  void keep_sidecar(const Root& block_root, uint64_t index, SharedBytes bytes);

  const PeerId& peer_id() const { return node_.peer_id(); }
  // Where we listen; empty if we do not.
  Endpoint listening() const { return listening_; }
  const NetworkStats& stats() const { return stats_; }
  const gossip::Router& router() const { return router_; }
  const reqresp::Client& client() const { return client_; }
  const reqresp::Server& server() const { return server_; }
  const SidecarCache& sidecars() const { return sidecars_; }
  const libp2p::ConnectionStats& connection_stats() const { return node_.stats(); }
  uint32_t peers() const { return peers_up_; }

  // Moves everything that can move: called at the end of the turn by the reactor.
  void end_of_turn(Now now) override;

 private:
  // What a stream of a connection is for.
  struct StreamUse {
    enum class Kind : uint8_t { none, gossip_in, gossip_out, client, server };
    libp2p::StreamId id;
    Kind kind = Kind::none;
    reqresp::RequestId request;
  };

  class Peer;
  struct Dial;
  // Where a req/resp request's stream is and whose it is. From request() or on_stream() to
  // close_stream, which may wait behind others while the core has no room.
  struct RequestPlace {
    chain::PeerHandle peer;
    libp2p::StreamId stream;
    chain::RequestId chain_id = 0;  // of the core; 0: ours (status, ping, metadata, goodbye)
    std::vector<uint8_t> unread;    // what the client did not take yet
    bool remote_closed = false;     // seen behind `unread`
    // Of requests that we answer: chunks that wait for room.
    std::deque<SharedBytes> chunks;
    bool end_owed = false;  // behind them; with `failure`, that
    std::optional<chain::RespondError> failure;
    bool serving = false;  // the core answers: it is told of each chunk that left, and of the end
  };

  StreamHandler* on_accept(TcpStream& stream) override;

  // network.cc: peers and connections.
  Peer* admit(TcpStream* stream, libp2p::Role role, const PeerId& expected, const Endpoint& remote);
  Peer* find(chain::PeerHandle handle);
  Peer* find_connected(const PeerId& id, const Peer* but);
  void dial(Dial& dial);
  void redial(Dial& dial);
  void end_dial(Dial& dial);
  void mark(Peer& peer);
  void on_connection_event(Peer& peer, const libp2p::Event& event, Now now);
  void on_connected(Peer& peer, Now now);
  bool settle_duplicate(Peer& peer, Now now);
  void open_gossip(Peer& peer, Now now);
  void let_gossip_in(Peer& peer);
  void on_stream_opened(Peer& peer, const libp2p::Event& event, Now now);
  void on_stream_negotiated(Peer& peer, const libp2p::Event& event, Now now);
  void on_stream_data(Peer& peer, const libp2p::Event& event, Now now);
  void on_stream_closed(Peer& peer, const libp2p::Event& event, Now now);
  void on_stream_reset(Peer& peer, const libp2p::Event& event, Now now);
  void disconnect(Peer& peer, std::optional<uint64_t> goodbye, Now now);
  void leave_mesh(Peer& peer, Now now);
  void charge(Peer* peer, const Error& error, Now now);
  void remove(Peer& peer, Now now);
  void tell_core_down(Peer& peer);
  void poll_connection(Peer& peer, Now now);
  void transmit(Peer& peer, Now now);
  void arm(Peer& peer, Now now);
  void run_deadlines(Peer& peer, Now now);
  void arm_timers(Now now);
  void pump(Now now);

  // network_gossip.cc
  void subscribe(Now now);
  bool drain_gossip(Now now);
  void on_gossip_message(gossip::Message&& message, Now now);
  void flush_gossip(Peer& peer, Now now);
  void publish(const SharedBytes& signed_block);
  Result<chain::BlockInfo> decode_block(const SharedBytes& bytes);

  // network_requests.cc
  bool drain_client(Now now);
  bool drain_server(Now now);
  void on_client_event(reqresp::ClientEvent&& event, Now now);
  void on_chunk(reqresp::ClientEvent&& event, Now now);
  void on_client_done(const reqresp::ClientEvent& event, Now now);
  void on_server_event(reqresp::ServerEvent&& event, Now now);
  void on_request(reqresp::ServerEvent&& event, Now now);
  void request(const chain::PeerHandle& peer, chain::RequestId id, reqresp::Protocol protocol,
               Bytes body, Now now);
  void open_stream(const reqresp::ClientEvent& event, Now now);
  void write_client(Peer& peer, reqresp::RequestId request, Now now);
  void write_server(Peer& peer, reqresp::RequestId request, Now now);
  void feed_client(Peer& peer, reqresp::RequestId request, Bytes data, Now now);
  void offer_unread(Now now);
  void release_stream(Peer* peer, const RequestPlace& place, bool reset);
  void respond(chain::ServeId serve, SharedBytes chunk, Now now);
  void finish_response(chain::ServeId serve, chain::ResponseCode code, std::string_view text,
                       Now now);
  void flush_response(RequestPlace& place, reqresp::RequestId request, Now now);
  RequestPlace* client_place(reqresp::RequestId request);
  RequestPlace* server_place(reqresp::RequestId request);
  void cancel(const chain::CancelRequest& command, Now now);

  void fail_undecodable(RequestPlace& place, reqresp::RequestId request, const Error& error,
                        Now now);

  // network_data.cc
  bool speaks(reqresp::Protocol protocol) const;
  void request_data(chain::RequestData&& command, Now now);
  bool on_sidecar(const reqresp::ClientEvent& event, RequestPlace& place, Now now);
  bool on_sidecar_request(const reqresp::ServerEvent& event, Now now);

  // network_handshake.cc
  void run_handshake(Peer& peer, Now now);
  void on_handshake_action(Peer& peer, const reqresp::Handshake::Action& action, Now now);
  bool ask(Peer& peer, reqresp::Protocol protocol, Bytes body, Now now);
  // True: it was an answer, or a request, of the handshake's.
  bool on_handshake_chunk(Peer* peer, const reqresp::ClientEvent& event, Now now);
  bool on_handshake_request(Peer& peer, const reqresp::ServerEvent& event, Now now);
  void on_handshake_done(Peer& peer, const reqresp::ClientEvent& event, Now now);
  void on_status(Peer& peer, const StatusV1& theirs, bool answer, Now now);
  void push_status(Peer& peer);
  void say_goodbye(Peer& peer, uint64_t reason, Now now);
  Slot current_slot(Now now) const;

  // network_pressure.cc
  void ease_pressure(Now now);
  void slow_noisiest();
  void resume_all();

  // To the core, in order; what it refuses is held.
  void push_core(chain::Event&& event);
  bool flush_held();
  bool core_has_room() const { return held_.empty(); }

  Reactor& reactor_;
  Tcp& tcp_;
  const ChainSpec& spec_;
  const NetworkConfig config_;
  CorePort& core_;
  libp2p::ProtocolTable protocols_;
  libp2p::LocalNode node_;
  gossip::Router router_;
  reqresp::Client client_;
  reqresp::Server server_;
  SidecarCache sidecars_;
  BeaconTypes types_;
  ssz::Hasher hasher_;
  ForkDigest digest_;
  StatusV1 status_;
  MetaDataV1 metadata_;

  gossip::TopicIndex block_topic_ = 0;
  std::array<libp2p::ProtocolId, 3> meshsub_{};  // newest first
  std::vector<libp2p::ProtocolId> reqresp_ids_;  // by reqresp::Protocol
  std::map<reqresp::RequestId, RequestPlace> client_places_;
  std::map<reqresp::RequestId, RequestPlace> server_places_;
  std::map<chain::RequestId, reqresp::RequestId> core_requests_;  // until they end
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<uint32_t> dirty_;    // slots with something to do
  std::vector<uint32_t> working_;  // of those, the ones that are being looked at
  std::vector<std::unique_ptr<Dial>> dials_;
  std::deque<chain::Event> held_;
  std::vector<reqresp::RequestId> unread_;  // client requests with bytes that were not taken
  Timer timer_;
  TcpListener* listener_ = nullptr;
  Endpoint listening_;
  uint32_t peers_used_ = 0;  // connections, in whatever state
  uint32_t peers_up_ = 0;
  uint32_t peers_slowed_ = 0;  // now
  MonoTime noise_halves_at_{};
  bool leaving_ = false;
  NetworkStats stats_;
};

}  // namespace beamline::node
