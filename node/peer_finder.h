// Finds beacon nodes by discovery and has the network dial those of our fork: a discovery service
// on the network's reactor, its pool filtered by the fork digest of the records' "eth2", and the
// dial scheduler over it.
#pragma once

#include <memory>
#include <vector>

#include "discovery/dial_scheduler.h"
#include "node/discovery_driver.h"
#include "node/network.h"

namespace beamline::node {

struct PeerFinderConfig {
  Endpoint listen;  // UDP; port 0 picks one
  std::vector<discovery::NodeRecord> bootnodes;
  discovery::DialConfig dial;
};

class PeerFinder final : public DialWatcher, private discovery::Observer {
 public:
  // All outlive it, `network` until close(). Errors: those of DiscoveryDriver::open().
  static Result<std::unique_ptr<PeerFinder>> open(Reactor& reactor, const ChainSpec& spec,
                                                  const secp256k1::SecretKey& key,
                                                  const PeerFinderConfig& config, Network& network,
                                                  Rng rng);
  ~PeerFinder() override;

  // Dials and asks no more.
  void close();
  const discovery::Service& service() const { return driver_->service(); }
  const Endpoint& local() const { return driver_->local(); }

  void on_dial_up(const PeerId& peer) override;
  void on_dial_ended(const PeerId& peer, bool was_up) override;

 private:
  PeerFinder(Reactor& reactor, Network& network, Rng rng);
  void on_heard(const discovery::NodeRecord&, Now) override { arm(); }
  void on_proven(const discovery::NodeRecord&, Now) override { arm(); }
  void dial();
  void arm();
  // Taken out of `dialled_` where `take`.
  std::optional<NodeId> node_of(const PeerId& peer, bool take);

  struct Dialled {
    PeerId peer;
    NodeId node;
  };
  Reactor& reactor_;
  Network& network_;
  Rng rng_;
  Timer timer_;
  std::unique_ptr<DiscoveryDriver> driver_;
  std::unique_ptr<discovery::DialScheduler> scheduler_;
  std::vector<Dialled> dialled_;  // at most max_peers + max_pending
  bool closed_ = false;
};

}  // namespace beamline::node
