// Nodes in a simulated world: Core and Network as they ship, on one simulated reactor or on two of
// the same host, and who makes the blocks that they follow.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "codec/beacon_block.h"
#include "loop/sim/network.h"
#include "loop/sim/reactor.h"
#include "node/programs.h"

namespace beamline::node {

enum class Joined : uint8_t { directly, by_inboxes };

inline constexpr uint16_t kPort = 9000;
inline constexpr Duration kSlot = seconds(2);

// The chain of all simulated nodes: its genesis is when the world begins.
ChainSpec sim_spec(const sim::World& world);
// Small buffers, quick redials. Everything else is as shipped.
NodeOptions sim_options(const sim::World& world, Joined joined);

// A block of this slot on this parent, and what it is called.
chain::BlockInfo make_block(const Root& parent, Slot slot, uint64_t salt = 0);

class SimNode final : public CoreObserver {
 public:
  // Its host is new, its identity follows from the host's number. Listens on kPort.
  SimNode(sim::World& world, Joined joined) : SimNode(world, sim_options(world, joined)) {}
  SimNode(sim::World& world, NodeOptions options);
  ~SimNode() override { stop(); }

  void dial(const SimNode& other) {
    options_.network.dial.push_back(Multiaddr::tcp(other.endpoint(), other.peer_id()));
  }
  void start();
  // Closes everything at once, without a goodbye; the world goes on meanwhile.
  void stop();
  // The same, but the core's reactor ends before the network's.
  void stop_core_first();
  // Says goodbye, and waits until the sockets are closed.
  void leave();
  void begin_to_leave();
  bool running() const { return running_; }

  // From the next slot on: one block a slot of this host's wall clock, on its own head.
  void produce();
  void stop_producing();
  // Imports and publishes a block of our own now.
  void publish(chain::BlockInfo block);

  sim::HostId host() const { return host_; }
  Endpoint endpoint() const;
  const PeerId& peer_id() const { return peer_id_; }
  NodeOptions& options() { return options_; }
  Core& core() { return core_->core(); }
  chain::Chain& chain() { return core_->core().chain(); }
  Network& network() { return *network_->network(); }
  NetworkProgram& network_program() { return *network_; }
  sim::SimReactor& core_reactor() { return *core_reactor_; }
  sim::SimReactor& network_reactor() {
    return network_reactor_ == nullptr ? *core_reactor_ : *network_reactor_;
  }
  chain::BlockTree::Tip head() { return chain().head(); }
  // Kept after stop().
  const chain::Stats& chain_stats() { return running_ ? chain().stats() : core_->stats(); }
  const NetworkStats& network_stats() { return running_ ? network().stats() : network_->stats(); }
  // Blocks imported, by how they came.
  uint64_t imported(chain::Origin origin) { return imported_[origin]; }
  uint32_t peers_up() const { return peers_up_; }
  // Every block that was imported, in order.
  const std::vector<chain::BlockImported>& log() const { return log_; }

 private:
  void on_imported(const chain::BlockImported& block) override;
  void on_head(const chain::HeadChanged& head) override;
  void on_peer(const chain::PeerHandle&, bool up) override { up ? ++peers_up_ : --peers_up_; }
  void make_next();
  void arm_producer();
  void end_network();
  void end_core();

  sim::World& world_;
  const sim::HostId host_;
  NodeOptions options_;
  Rng rng_;
  const secp256k1::SecretKey identity_;
  const PeerId peer_id_;
  std::unique_ptr<sim::SimReactor> core_reactor_;
  std::unique_ptr<sim::SimReactor> network_reactor_;  // by_inboxes
  std::unique_ptr<NetworkProgram> network_;
  std::unique_ptr<CoreProgram> core_;
  NetworkInbox::Producer control_;
  std::map<chain::Origin, uint64_t> imported_;
  std::vector<chain::BlockImported> log_;
  uint32_t peers_up_ = 0;
  Timer producer_;
  bool running_ = false;
};

// Runs until all have the same head; false if they do not within `limit`.
bool run_until_heads_equal(sim::World& world, const std::vector<SimNode*>& nodes,
                           Duration limit = seconds(60));

// What a failure wants to know of a node.
std::string describe(SimNode& node);

// Seeds of a test: `few` in the short tier, `many` with BEAMLINE_LONG.
uint64_t seeds(uint64_t few, uint64_t many);

}  // namespace beamline::node
