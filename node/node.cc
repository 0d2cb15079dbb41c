#include "node/node.h"

#include <array>

namespace beamline::node {
namespace {

// What the owner may have on its way to the network: blocks, and the two words that start and end
// it.
enum Class : uint8_t { kControl, kBlocks };
constexpr std::array kClasses = {InboxClass{.nodes = 2},
                                 InboxClass{.nodes = 64, .bytes = 64u << 20}};

NodeOptions with_flush_timeout(NodeOptions options) {
  // Leaving waits for the peers' last bytes no longer than for their goodbyes.
  options.tcp.flush_timeout = options.network.goodbye_timeout;
  return options;
}

}  // namespace

Node::Node(NodeOptions options, secp256k1::SecretKey identity, CoreObserver& observer)
    : options_(with_flush_timeout(std::move(options))),
      identity_(std::move(identity)),
      network_(options_, identity_, Rng::from_system()),
      core_(options_, network_, observer) {}

Node::~Node() { stop(); }

Status Node::start() {
  const auto make = options_.make_backend;
  if (options_.network_thread) {
    if (Status started = network_thread_.start("bl-network", make, network_); !started) {
      return started;
    }
  }
  if (Status started = core_thread_.start("bl-core", make, core_); !started) {
    stop();
    return started;
  }
  control_ = std::move(*network_.gate().make_producer(kClasses));
  if (!options_.network_thread) {
    listening_ = network_.network()->listening();
    return {};
  }
  auto started = std::make_shared<NetworkReport>();
  NetworkMessage message = NetworkStart{core_.gate(), started};
  BL_CHECK(control_.try_push(kControl, std::move(message)) == PushResult::ok);
  started->done.wait(false, std::memory_order_acquire);
  listening_ = started->listening;
  if (!started->status) stop();
  return started->status;
}

bool Node::publish(SharedBytes signed_block) {
  if (!control_) return false;
  const size_t size = signed_block.size();
  NetworkMessage message = NetworkPublish{std::move(signed_block)};
  return control_.try_push(kBlocks, std::move(message), size) == PushResult::ok;
}

bool Node::keep_sidecar(const Root& block_root, uint64_t index, SharedBytes bytes) {
  if (!control_) return false;
  const size_t size = bytes.size();
  NetworkMessage message = NetworkKeep{block_root, index, std::move(bytes)};
  return control_.try_push(kBlocks, std::move(message), size) == PushResult::ok;
}

void Node::stop() {
  if (control_) {
    NetworkMessage message = NetworkLeave{};
    if (control_.try_push(kControl, std::move(message)) == PushResult::ok) {
      network_.gone.wait(false, std::memory_order_acquire);
    }
    control_ = {};
  }
  network_thread_.stop();
  core_thread_.stop();
}

}  // namespace beamline::node
