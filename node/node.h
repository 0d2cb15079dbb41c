// A node: the core and the network on their threads (or on one), started and stopped as a whole.
#pragma once

#include <atomic>
#include <memory>

#include "loop/reactor_thread.h"
#include "node/links.h"

namespace beamline::node {

struct NodeOptions {
  ChainSpec spec;
  NetworkConfig network;
  TcpOptions tcp;
  bool network_thread = true;  // false: the network shares the core's reactor
  ReactorThread::MakeBackend make_backend = nullptr;
};

// How starting the network went; written by its thread.
struct NetworkReport {
  std::atomic<bool> done{false};
  Status status;
  Endpoint listening;
};

// Thread rule: start(), stop() and publish() by one thread at a time, the owner's.
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
  PeerId peer_id() const { return PeerId::from_public_key(identity_.public_key()); }
  // After start(): where we listen, if we do.
  Endpoint listening() const { return listening_; }
  // After stop().
  const NetworkStats& network_stats() const { return network_stats_; }
  const chain::Stats& chain_stats() const { return chain_stats_; }

 private:
  class CoreProgram;
  class NetworkProgram;

  NodeOptions options_;
  const secp256k1::SecretKey identity_;
  CoreObserver& observer_;
  std::unique_ptr<CoreProgram> core_program_;
  std::unique_ptr<NetworkProgram> network_program_;
  ReactorThread core_thread_;
  ReactorThread network_thread_;
  NetworkInbox::Producer control_;
  Endpoint listening_;
  NetworkStats network_stats_;
  chain::Stats chain_stats_;
};

}  // namespace beamline::node
