// What the core wants done: the one place from which its commands go to the router, the requests,
// the peers and the status.
#include "node/network.h"
#include "node/network_peer.h"

namespace beamline::node {

using reqresp::Protocol;

void Network::execute(chain::Command&& command) {
  const Now now = reactor_.now();
  struct Executor {
    Network& self;
    Now now;
    void operator()(chain::RequestByRoot&& c) {
      std::vector<uint8_t> body;
      body.reserve(c.roots.size() * Root::kSize);
      for (const Root& root : c.roots) {
        body.insert(body.end(), root.bytes.begin(), root.bytes.end());
      }
      self.request(c.peer, c.request, Protocol::blocks_by_root_v1, body, now);
    }
    void operator()(chain::RequestByRange&& c) {
      const BlocksByRange body{.start_slot = c.start_slot, .count = c.count, .step = 1};
      self.request(c.peer, c.request, Protocol::blocks_by_range_v1, ssz::encode_fixed(body), now);
    }
    void operator()(chain::CancelRequest&& c) { self.cancel(c, now); }
    void operator()(chain::RespondChunk&& c) {
      self.respond(c.serve, std::move(c.signed_bytes), now);
    }
    void operator()(chain::RespondEnd&& c) {
      self.finish_response(c.serve, chain::ResponseCode::success, {}, now);
    }
    void operator()(chain::RespondError&& c) { self.finish_response(c.serve, c.code, c.text, now); }
    void operator()(chain::GossipVerdict&& c) {
      const gossip::MessageHandle handle{static_cast<uint32_t>(c.verdict >> 32),
                                         static_cast<uint32_t>(c.verdict)};
      const bool no_room = c.reason == chain::GossipReason::no_room;
      const auto verdict =
          no_room ? gossip::Verdict::forget : static_cast<gossip::Verdict>(c.result);
      self.router_.verdict(handle, verdict, now);
    }
    void operator()(chain::DisconnectPeer&& c) {
      const bool full = c.reason == chain::DisconnectReason::no_room;
      if (Peer* peer = self.find(c.peer)) {
        self.disconnect(*peer, full ? Goodbye::kTooManyPeers : Goodbye::kFault, now);
      }
    }
    void operator()(chain::HeadChanged&& c) {
      self.status_.head_root = c.root;
      self.status_.head_slot = c.slot;
    }
    void operator()(chain::PublishBlock&& c) { self.publish(c.signed_bytes); }
    void operator()(chain::FinalizedChanged&& c) {
      self.status_.finalized_root = c.checkpoint.root;
      self.status_.finalized_epoch = c.checkpoint.number;
    }
    // The core's and the client's own business.
    void operator()(chain::ReportPeer&&) {}
    void operator()(chain::ImportBlock&&) {}
    void operator()(chain::BlockImported&&) {}
    void operator()(chain::VerifyVote&&) {}
    void operator()(chain::JustifiedChanged&&) {}
    void operator()(chain::JustifiedInvalid&&) {}
    void operator()(chain::ImportData&&) {}
    void operator()(chain::RequestData&& c) { self.request_data(std::move(c), now); }
    void operator()(chain::KeepData&& c) {
      self.keep_sidecar(c.block_root, c.index, std::move(c.bytes));
    }
  };
  std::visit(Executor{*this, now}, std::move(command));
}

}  // namespace beamline::node
