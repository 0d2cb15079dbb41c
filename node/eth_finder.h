// Whom an execution node keeps connected over RLPx: those that are named, and those of its chain
// that discovery finds. A discovery service on the host's reactor fills the pool, the dial
// scheduler picks from it, and what becomes of dials, handshakes and requests goes back to both: a
// contact that failed is marked, so that the table drops it at its next prune and the pool lets it
// wait. All of it on the reactor's thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "discovery/dial_scheduler.h"
#include "node/discovery_driver.h"
#include "node/eth_host.h"

namespace beamline::node {

struct EthFinderOptions {
  std::vector<discovery::NodeRecord> named;  // dialled whenever they are not connected
  // Where discovery listens, UDP; port 0 picks one. Without it nobody is looked for.
  std::optional<Endpoint> listen;
  std::vector<discovery::NodeRecord> bootnodes;
  discovery::ServiceConfig service;  // tcp_port: where the host listens
  discovery::DialConfig dial;
};

// The record's entry "eth" (devp2p enr-entries/eth.md).
void set_eth_entry(EnrBuilder& record, const eth::ForkId& id);

class EthFinder final : private discovery::Observer {
 public:
  struct Stats {
    uint64_t refused = 0;   // peers that came up and were one too many
    uint64_t replaced = 0;  // connections that gave way to another one with the same peer
    uint64_t failed_dials = 0, failed_handshakes = 0, failed_requests = 0;
    uint64_t full = 0;  // of the dials: they are alive, and have no room
  };

  // All outlive it, `host` until close(). Errors: those of DiscoveryDriver::open().
  static Result<std::unique_ptr<EthFinder>> open(Reactor& reactor, EthHost& host,
                                                 const secp256k1::SecretKey& key,
                                                 const eth::ForkFilter& forks,
                                                 EthFinderOptions options, Rng rng);
  ~EthFinder() override;
  // Dials and asks no more.
  void close();

  // What the host told its handler. False: there is no place for it, and it was told so.
  bool on_peer(EthConnection& peer);
  void on_gone(EthConnection& peer, const rlpx::Closed& closed);
  void on_dial_failed(const rlpx::Connection& connection, const rlpx::Closed& closed);
  // It answered with what it was asked for.
  void useful(EthConnection& peer);
  // It failed at what it was asked for: it is marked and disconnected. `lied`: if it is named, that
  // counts no more.
  void drop(EthConnection& peer, bool lied);

  const discovery::DialScheduler& dials() const { return *scheduler_; }
  // Null where nobody is looked for.
  const discovery::Service* service() const { return driver_ ? &driver_->service() : nullptr; }
  // REQUIRES: service() is not null.
  const Endpoint& local() const { return driver_->local(); }
  const Stats& stats() const { return stats_; }

 private:
  // A connection that we dialled, or a peer. At most the host's connections.
  struct Known {
    const rlpx::Connection* connection = nullptr;
    NodeId node;
    EthConnection* peer = nullptr;  // while it is up
  };

  EthFinder(Reactor& reactor, EthHost& host, Rng rng);
  void on_heard(const discovery::NodeRecord&, Now) override { arm(); }
  void on_proven(const discovery::NodeRecord&, Now) override { arm(); }
  void dial();
  void dial(const discovery::NodeRecord& node, Now now);
  void arm();
  // The scheduler tells the pool, so the table alone is told here.
  void mark(const NodeId& node, discovery::Failure why);
  Known* find(const rlpx::Connection& connection);
  void replace(const NodeId& node);
  std::optional<Known> take(const rlpx::Connection& connection);

  Reactor& reactor_;
  EthHost& host_;
  Rng rng_;
  Timer timer_;
  std::optional<discovery::Pool> empty_;  // where nobody is looked for
  std::unique_ptr<DiscoveryDriver> driver_;
  std::unique_ptr<discovery::DialScheduler> scheduler_;
  std::vector<Known> known_;
  Stats stats_;
  bool closed_ = false;
};

}  // namespace beamline::node
