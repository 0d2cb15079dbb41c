// A node: the core and the network on their threads (or on one), started and stopped as a whole.
#pragma once

#include "node/programs.h"

namespace beamline::node {

// Thread rule: start(), stop(), publish() and keep_sidecar() by one thread at a time, the owner's.
class Node {
 public:
  Node(NodeOptions options, secp256k1::SecretKey identity, CoreObserver& observer);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Errors: of the backend, of listening (address_in_use with the port).
  Status start();
  // Says goodbye to the peers, closes everything, and ends the threads. At most about two seconds.
  void stop();
  // A SignedBeaconBlock of our own: imported, and published on the mesh. Not waited for: what does
  // not decode, or does not build on the chain, is dropped and counted. False: not taken, too many
  // are on their way or the node does not run.
  bool publish(SharedBytes signed_block);
  // A blob or column that is verified, or of a block of our own: peers that ask for it are served,
  // while there is room (NetworkConfig::sidecar_bytes). False: as above.
  bool keep_sidecar(const Root& block_root, uint64_t index, SharedBytes bytes);

  // For events of the client's own: balances, votes, the engine's word, from threads of its own,
  // with a producer each. With a network thread, between start() and stop().
  CoreInbox::Gate core_gate() const { return core_.gate(); }
  // The state of the chain, for any thread; after start(). A reader may outlive the node.
  Snapshots::Reader snapshots() const { return core_.snapshots(); }

  PeerId peer_id() const { return PeerId::from_public_key(identity_.public_key()); }
  // After start(): where we listen, if we do.
  Endpoint listening() const { return listening_; }
  // After stop().
  const NetworkStats& network_stats() const { return network_.stats(); }
  const chain::Stats& chain_stats() const { return core_.stats(); }

 private:
  NodeOptions options_;
  const secp256k1::SecretKey identity_;
  NetworkProgram network_;
  CoreProgram core_;
  ReactorThread core_thread_;
  ReactorThread network_thread_;
  NetworkInbox::Producer control_;
  Endpoint listening_;
};

}  // namespace beamline::node
