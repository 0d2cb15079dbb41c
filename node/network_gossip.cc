// The network's gossip: topics, messages to judge, frames to streams.
#include "codec/topic.h"
#include "node/network.h"
#include "node/network_peer.h"

namespace beamline::node {
namespace {

uint64_t number_of(gossip::MessageHandle handle) {
  return static_cast<uint64_t>(handle.slot) << 32 | handle.generation;
}

}  // namespace

void Network::subscribe(Now now) {
  const Topic topic{.digest = digest_, .kind = TopicKind::beacon_block, .subnet = 0};
  gossip::TopicConfig config;
  config.id_rule = gossip::MessageIdRule::phase0;
  const auto index = router_.register_topic(topic.to_text(), config);
  BL_CHECK(index);  // the first topic of a router
  block_topic_ = *index;
  router_.subscribe(block_topic_, now);
}

Result<chain::BlockInfo> Network::decode_block(const SharedBytes& bytes) {
  const auto view = SignedBlockView::parse(types_, Fork::phase0, bytes);
  if (!view) return std::unexpected(view.error());
  return chain::BlockInfo{.root = view->block_root(hasher_),
                          .parent_root = view->parent_root(),
                          .slot = view->slot(),
                          .proposer = view->proposer_index(),
                          .signed_bytes = bytes};
}

bool Network::drain_gossip(Now now) {
  bool any = false;
  gossip::Message message;
  while (router_.poll_message(message)) {
    any = true;
    on_gossip_message(std::move(message), now);
  }
  gossip::PeerIndex index = 0;
  while (router_.poll_ready(index)) {
    any = true;
    flush_gossip(*peers_[index], now);
  }
  gossip::Router::Failure failure;
  while (router_.poll_failure(failure)) {
    any = true;
    ++stats_.violations;
    disconnect(*peers_[failure.peer], Goodbye::kFault, now);
  }
  return any;
}

void Network::on_gossip_message(gossip::Message&& message, Now now) {
  Peer* sender = message.from == gossip::kNoPeer ? nullptr : peers_[message.from].get();
  if (sender != nullptr) sender->noise += message.data.size();
  auto block = decode_block(message.data);
  if (!block) {
    ++stats_.gossip_undecodable;
    router_.verdict(message.handle, gossip::Verdict::reject, now);
    // Who forwards it has not looked at it.
    return charge(sender, block.error(), now);
  }
  chain::Event event = chain::GossipBlock{.sender = sender ? sender->handle() : chain::PeerHandle{},
                                          .verdict = number_of(message.handle),
                                          .block = std::move(*block)};
  if (core_has_room() && core_.push(std::move(event)) == PushResult::ok) {
    ++stats_.gossip_blocks;
    return;
  }
  // It comes again: from another peer, or as the parent of a later block.
  ++stats_.gossip_dropped;
  router_.verdict(message.handle, gossip::Verdict::forget, now);
}

// Frames go out whole and in order: what the stream did not take waits in front of the next one.
void Network::flush_gossip(Peer& peer, Now) {
  if (!peer.in_router || !peer.gossip_out) return;
  for (;;) {
    if (peer.gossip_frame.empty()) peer.gossip_frame = router_.poll_transmit(peer.index);
    if (peer.gossip_frame.empty()) return;
    const size_t taken = peer.connection->write(peer.gossip_out, peer.gossip_frame);
    if (taken > 0) mark(peer);
    const size_t left = peer.gossip_frame.size() - taken;
    peer.gossip_frame = left == 0 ? SharedBytes() : peer.gossip_frame.slice(taken, left);
    if (left > 0) return;
  }
}

// The core has imported it. What the mesh has seen already needs no publishing.
void Network::publish(const SharedBytes& signed_block) {
  const auto published = router_.publish(block_topic_, signed_block, reactor_.now());
  ++(published ? stats_.published : stats_.publish_failed);
}

Status Network::add_own_block(const SharedBytes& signed_block) {
  auto block = decode_block(signed_block);
  if (!block) return std::unexpected(block.error());
  push_core(chain::OwnBlock{std::move(*block)});
  return {};
}

}  // namespace beamline::node
