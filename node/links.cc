#include "node/links.h"

#include <algorithm>
#include <array>

namespace beamline::node {
namespace {

enum Class : uint8_t { kControl, kGossip, kChunk, kVote };

// One lane for all: what a peer sent, and then its end, run in that order. Each class has nodes of
// its own, so that none takes another's room; the chain holds votes back and applies so many a
// turn.
struct Weight {
  Class klass;
  size_t bytes;
};
Weight weigh(const chain::Event& event) {
  if (const auto* gossip = std::get_if<chain::GossipBlock>(&event)) {
    return {kGossip, gossip->block.signed_bytes.size()};
  }
  if (const auto* own = std::get_if<chain::OwnBlock>(&event)) {
    return {kGossip, own->block.signed_bytes.size()};
  }
  if (const auto* chunk = std::get_if<chain::ChunkReceived>(&event)) {
    return {kChunk, chunk->block.signed_bytes.size()};
  }
  if (const auto* sidecar = std::get_if<chain::SidecarReceived>(&event)) {
    return {kChunk, sidecar->bytes.size()};
  }
  if (const auto* vote = std::get_if<chain::GossipVote>(&event)) {
    return {kVote, vote->vote.proof.size()};
  }
  return {kControl, 0};
}

}  // namespace

std::unique_ptr<InboxCorePort> InboxCorePort::make(const CoreInbox::Gate& gate,
                                                   const CoreLinkLimits& limits) {
  const std::array<InboxClass, 4> classes = {
      InboxClass{.nodes = limits.control_nodes},
      InboxClass{.nodes = limits.gossip_nodes, .bytes = limits.gossip_bytes},
      InboxClass{.nodes = limits.chunk_nodes, .bytes = limits.chunk_bytes},
      InboxClass{.nodes = limits.vote_nodes, .bytes = limits.vote_bytes}};
  auto producer = gate.make_producer(classes);
  if (!producer) return nullptr;
  return std::unique_ptr<InboxCorePort>(new InboxCorePort(std::move(*producer), limits));
}

PushResult InboxCorePort::push(chain::Event&& event) {
  const Weight weight = weigh(event);
  return producer_.try_push(weight.klass, std::move(event), weight.bytes);
}

bool InboxCorePort::has_node(const chain::Event& event) {
  const uint8_t klass = weigh(event).klass;
  if (producer_.free_nodes(klass) == 0) producer_.reclaim();
  return producer_.free_nodes(klass) > 0;
}

// Control is left out: a part of it is reserved for the ends of peers.
uint32_t InboxCorePort::load_as_known() const {
  const auto used = [](uint64_t free, uint64_t all) {
    return all == 0 ? 0 : static_cast<uint32_t>((all - std::min(free, all)) * 100 / all);
  };
  return std::max({used(producer_.free_nodes(kGossip), limits_.gossip_nodes),
                   used(producer_.free_bytes(kGossip), limits_.gossip_bytes),
                   used(producer_.free_nodes(kChunk), limits_.chunk_nodes),
                   used(producer_.free_bytes(kChunk), limits_.chunk_bytes),
                   used(producer_.free_nodes(kVote), limits_.vote_nodes),
                   used(producer_.free_bytes(kVote), limits_.vote_bytes)});
}

uint32_t InboxCorePort::load() {
  // What ran comes home when it is needed; before anyone is slowed down for it, it is.
  if (load_as_known() >= 50) producer_.reclaim();
  return load_as_known();
}

bool InboxCorePort::reserve_peer_down() {
  auto reservation = producer_.reserve(kControl);
  if (!reservation) return false;
  reserved_.push_back(std::move(*reservation));
  return true;
}

void InboxCorePort::push_peer_down(const chain::PeerDown& event) {
  BL_CHECK(!reserved_.empty());
  chain::Event message = event;
  // Closed: the core is gone, and what the peer did with it.
  std::ignore = producer_.push(reserved_.back(), std::move(message));
  reserved_.pop_back();
}

std::unique_ptr<InboxNetworkPort> InboxNetworkPort::make(const NetworkInbox::Gate& gate,
                                                         uint32_t nodes) {
  const std::array<InboxClass, 1> classes = {InboxClass{.nodes = nodes}};
  auto producer = gate.make_producer(classes);
  if (!producer) return nullptr;
  return std::unique_ptr<InboxNetworkPort>(new InboxNetworkPort(std::move(*producer)));
}

PushResult InboxNetworkPort::push(chain::Command&& command) {
  NetworkMessage message = std::move(command);
  const PushResult result = producer_.try_push(0, std::move(message));
  if (result != PushResult::ok) command = std::move(std::get<chain::Command>(message));
  return result;
}

}  // namespace beamline::node
