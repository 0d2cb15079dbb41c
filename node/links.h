// The two ways to join core and network: through their inboxes (a thread each), or directly (one
// reactor for both).
#pragma once

#include <vector>

#include "loop/inbox_port.h"
#include "node/core.h"
#include "node/network.h"
#include "node/ports.h"

namespace beamline::node {

// ---- Direct

class DirectCorePort final : public CorePort {
 public:
  void set_core(Core& core) { core_ = &core; }
  PushResult push(chain::Event&& event) override {
    core_->on_message(event);
    return PushResult::ok;
  }
  bool reserve_peer_down() override { return true; }
  void push_peer_down(const chain::PeerDown& down) override { push(chain::Event(down)); }
  void release_peer_down() override {}

 private:
  Core* core_ = nullptr;
};

class DirectNetworkPort final : public NetworkPort {
 public:
  void set_network(Network& network) { network_ = &network; }
  PushResult push(chain::Command&& command) override {
    if (network_ != nullptr) network_->execute(std::move(command));
    return PushResult::ok;
  }

 private:
  Network* network_ = nullptr;
};

// ---- Through inboxes

using CoreInbox = Inbox<chain::Event>;

// What a network thread's producer may have under way at once.
struct CoreLinkLimits {
  uint32_t control_nodes = 4096;
  uint32_t gossip_nodes = 1024;
  size_t gossip_bytes = 64u << 20;
  uint32_t chunk_nodes = 1024;
  size_t chunk_bytes = 64u << 20;
  uint32_t vote_nodes = 1024;
  size_t vote_bytes = 64u << 20;  // of proofs
};

class InboxCorePort final : public CorePort {
 public:
  // Nothing when the core has stopped already.
  static std::unique_ptr<InboxCorePort> make(const CoreInbox::Gate& gate,
                                             const CoreLinkLimits& limits = {});
  PushResult push(chain::Event&& event) override;
  bool reserve_peer_down() override;
  uint32_t load() override;
  void push_peer_down(const chain::PeerDown& event) override;
  void release_peer_down() override { reserved_.pop_back(); }
  // Takes home what ran and says whether an event of this kind has a node: before work is spent on
  // one that would be refused. Its bytes may still be too many.
  bool has_node(const chain::Event& event);
  void reclaim() { producer_.reclaim(); }
  bool closed() const { return producer_.closed(); }
  const ProducerStats& stats() const { return producer_.stats(); }

 private:
  InboxCorePort(CoreInbox::Producer producer, const CoreLinkLimits& limits)
      : producer_(std::move(producer)), limits_(limits) {}
  uint32_t load_as_known() const;
  CoreInbox::Producer producer_;
  const CoreLinkLimits limits_;
  std::vector<CoreInbox::Reservation> reserved_;
};

// What the network's reactor is told, by the core and by the node's owner.
struct NetworkStart {
  CoreInbox::Gate core;
  std::shared_ptr<struct NetworkReport> report;
};
struct NetworkLeave {};
// A block of our own, for the core and the mesh.
struct NetworkPublish {
  SharedBytes signed_block;
};
// A verified blob or column, for the network to serve.
struct NetworkKeep {
  Root block_root;
  uint64_t index = 0;
  SharedBytes bytes;
};
using NetworkMessage =
    std::variant<chain::Command, NetworkStart, NetworkLeave, NetworkPublish, NetworkKeep>;
using NetworkInbox = Inbox<NetworkMessage>;

class InboxNetworkPort final : public NetworkPort {
 public:
  static std::unique_ptr<InboxNetworkPort> make(const NetworkInbox::Gate& gate,
                                                uint32_t nodes = 8192);
  PushResult push(chain::Command&& command) override;

 private:
  explicit InboxNetworkPort(NetworkInbox::Producer producer) : producer_(std::move(producer)) {}
  NetworkInbox::Producer producer_;
};

}  // namespace beamline::node
