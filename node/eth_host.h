// eth over RLPx on a reactor: connections that listen and dial, and an eth::Peer on each. All of it
// on the reactor's thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "loop/tcp.h"
#include "rlpx/eth/peer.h"
#include "rlpx/host.h"

namespace beamline::node {

class EthHost;

// One peer that speaks eth with us. Valid from on_peer to on_gone.
class EthConnection final : private eth::Sink {
 public:
  EthConnection(EthHost& host, rlpx::Connection& connection, size_t capability, uint32_t version,
                const eth::Local& local, uint32_t index, uint32_t generation, MonoTime now);
  EthConnection(const EthConnection&) = delete;
  EthConnection& operator=(const EthConnection&) = delete;
  ~EthConnection();

  eth::Peer& peer() { return peer_; }
  const rlpx::Connection& connection() const { return connection_; }
  // An index is used again; the generation tells the two apart.
  uint32_t index() const { return index_; }
  uint32_t generation() const { return generation_; }
  bool outbound() const { return connection_.outbound(); }
  void disconnect(rlpx::DisconnectReason reason);
  // After anything was asked of peer(): its deadline is the timer's.
  void arm();

 private:
  friend class EthHost;
  Status send(eth::Message message, Bytes payload) override;
  Status send_buffer(eth::Message message, std::vector<uint8_t>& buffer, size_t begin) override;
  void on_time();

  EthHost& host_;
  rlpx::Connection& connection_;
  const size_t capability_;
  const uint32_t index_;
  const uint32_t generation_;
  eth::Peer peer_;
  Timer timer_;
  bool serving_ = false;  // is in the host's list of those that are owed answers
};

// What becomes of peers. Any of these may ask, and disconnect.
class EthHandler {
 public:
  virtual ~EthHandler() = default;
  // Its Status was good.
  virtual void on_peer(EthConnection& peer) = 0;
  virtual void on_event(EthConnection& peer, const eth::EthEvent& event) = 0;
  virtual void on_gone(EthConnection& peer, const rlpx::Closed& closed) = 0;
  // A dial that became no peer: the last call for what dial() returned.
  virtual void on_dial_failed(const rlpx::Connection&, const rlpx::Closed&) {}
};

struct EthHostOptions {
  rlpx::HostOptions rlpx;  // key; the capabilities are set by EthHost
  eth::PeerOptions peer;
  // Bytes of the chain that one turn goes over to answer requests, of all peers together; each gets
  // a slice in turn.
  size_t turn_bytes = 512u << 10;
};

struct EthHostStats {
  uint64_t serve_turns = 0;  // that answered requests
  uint64_t serve_bytes = 0;
  uint64_t serve_bytes_peak = 0;  // in one turn
};

class EthHost final : private rlpx::HostHandler, private TurnHook {
 public:
  // `local`, `tcp` and `handler` outlive it.
  EthHost(Reactor& reactor, Tcp& tcp, EthHostOptions options, const eth::Local& local,
          EthHandler& handler, Rng& rng);
  ~EthHost() override;

  Result<TcpListener*> listen(const Endpoint& local) { return host_->listen(local); }
  // Errors: as rlpx::Host::dial.
  Result<const rlpx::Connection*> dial(const Endpoint& remote, const secp256k1::PublicKey& key);

  // Says goodbye to everybody; on_gone of each follows when it is written.
  void leave(rlpx::DisconnectReason reason);
  uint32_t connections() const { return host_->connections(); }
  size_t peers() const { return peers_.size(); }
  const rlpx::HostStats& stats() const { return host_->stats(); }
  const EthHostStats& serve_stats() const { return stats_; }

 private:
  friend class EthConnection;
  void on_ready(rlpx::Connection& connection) override;
  void on_message(rlpx::Connection& connection, size_t capability, uint8_t id,
                  Bytes payload) override;
  void on_closed(rlpx::Connection& connection, const rlpx::Closed& closed) override;
  void end_of_turn(Now now) override;
  const char* hook_name() const override { return "eth"; }
  size_t slice() const;
  bool serve(EthConnection& peer);

  Reactor& reactor_;
  EthHostOptions options_;
  const eth::Local& local_;
  EthHandler& handler_;
  std::unique_ptr<rlpx::Host> host_;
  std::map<rlpx::Connection*, std::unique_ptr<EthConnection>> peers_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> generations_;
  std::deque<EthConnection*> serving_;  // at most each peer once
  size_t served_ = 0;                   // bytes, in this turn
  Ready again_{[](Ready&) {}, nullptr};
  EthHostStats stats_;
};

// Leaves, and turns the reactor until that is written, for a second at most.
void say_goodbye(Reactor& reactor, EthHost& host);

}  // namespace beamline::node
