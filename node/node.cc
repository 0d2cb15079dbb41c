#include "node/node.h"

#include <array>

#include "reqresp/protocol.h"

namespace beamline::node {
namespace {

chain::ChainConfig chain_config(const ChainSpec& spec) {
  chain::ChainConfig config;
  config.anchor.root = spec.genesis_block_root;
  config.genesis_time = spec.genesis_time;
  config.slot_duration = spec.slot_duration;
  // Batches that a real peer takes: the client refuses more before it is sent.
  const auto most = [](reqresp::Protocol protocol) {
    return reqresp::request_limit(reqresp::info(protocol));
  };
  config.limits.roots_per_request = most(reqresp::Protocol::blocks_by_root_v1);
  config.limits.range_slots = most(reqresp::Protocol::blocks_by_range_v1);
  return config;
}

void report(NetworkReport& report, Status status, Endpoint listening) {
  report.status = status;
  report.listening = listening;
  report.done.store(true, std::memory_order_release);
  report.done.notify_one();
}

}  // namespace

// The network's reactor, which may be the core's own: then `core_` is joined directly.
class Node::NetworkProgram final : public ReactorProgram,
                                   public InboxReceiver<NetworkMessage>,
                                   public TurnHook {
 public:
  explicit NetworkProgram(Node& node) : node_(node) {}

  Status on_start(Reactor& reactor) override {
    reactor_ = &reactor;
    auto tcp = Tcp::create(reactor, node_.options_.tcp);
    if (!tcp) return std::unexpected(tcp.error());
    tcp_ = std::move(*tcp);
    inbox_ = std::make_unique<InboxPort<NetworkMessage>>(reactor, *this);
    reactor.add_hook(*this);
    return {};
  }
  void on_stop(Reactor& reactor) override {
    if (network_ != nullptr) node_.network_stats_ = network_->stats();
    network_.reset();
    core_.reset();
    if (inbox_ != nullptr) reactor.remove_hook(*this);
    inbox_.reset();
    tcp_.reset();
  }
  void on_message(NetworkMessage& message) override {
    if (auto* command = std::get_if<chain::Command>(&message)) {
      if (network_ != nullptr) network_->execute(std::move(*command));
    } else if (auto* start = std::get_if<NetworkStart>(&message)) {
      core_ = InboxCorePort::make(start->core);
      const Status opened = core_ == nullptr ? local_error(Code::closed, "core") : open(*core_);
      report(*start->report, opened, network_ == nullptr ? Endpoint{} : network_->listening());
    } else if (auto* publish = std::get_if<NetworkPublish>(&message)) {
      if (network_ != nullptr) std::ignore = network_->add_own_block(publish->signed_block);
    } else if (network_ != nullptr) {
      network_->leave();
      left_ = true;
    }
  }
  Status open(CorePort& core) {
    network_ = std::make_unique<Network>(*reactor_, *tcp_, node_.options_.spec, node_.identity_,
                                         node_.options_.network, core, Rng::from_system());
    return network_->start();
  }
  void end_of_turn(Now) override {
    if (!left_ || tcp_->streams() > 0) return;
    gone.store(true, std::memory_order_release);
    gone.notify_one();
  }

  NetworkInbox::Gate gate() const { return inbox_->gate(); }
  Network* network() { return network_.get(); }

  std::atomic<bool> gone{false};  // left, and every socket is closed

 private:
  Node& node_;
  Reactor* reactor_ = nullptr;
  std::unique_ptr<Tcp> tcp_;
  std::unique_ptr<InboxPort<NetworkMessage>> inbox_;
  std::unique_ptr<InboxCorePort> core_;
  std::unique_ptr<Network> network_;
  bool left_ = false;
};

class Node::CoreProgram final : public ReactorProgram {
 public:
  CoreProgram(Node& node, NetworkProgram& network) : node_(node), network_(network) {}

  Status on_start(Reactor& reactor) override {
    core_ = std::make_unique<Core>(reactor, chain_config(node_.options_.spec), node_.observer_);
    if (node_.options_.network_thread) {
      inbox_ = std::make_unique<InboxPort<chain::Event>>(reactor, *core_);
      network_port_ = InboxNetworkPort::make(network_.gate());
      if (network_port_ == nullptr) return local_error(Code::closed, "network");
      core_->set_network(*network_port_);
      return {};
    }
    if (Status started = network_.on_start(reactor); !started) return started;
    direct_core_.set_core(*core_);
    core_->set_network(direct_network_);
    const Status opened = network_.open(direct_core_);
    direct_network_.set_network(*network_.network());
    node_.listening_ = network_.network()->listening();
    return opened;
  }
  void on_stop(Reactor& reactor) override {
    if (!node_.options_.network_thread) network_.on_stop(reactor);
    inbox_.reset();
    if (core_ != nullptr) node_.chain_stats_ = core_->chain().stats();
    core_.reset();
    network_port_.reset();
  }
  CoreInbox::Gate gate() const { return inbox_->gate(); }

 private:
  Node& node_;
  NetworkProgram& network_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<InboxPort<chain::Event>> inbox_;
  std::unique_ptr<InboxNetworkPort> network_port_;
  DirectCorePort direct_core_;
  DirectNetworkPort direct_network_;
};

Node::Node(NodeOptions options, secp256k1::SecretKey identity, CoreObserver& observer)
    : options_(std::move(options)), identity_(std::move(identity)), observer_(observer) {
  // Leaving waits for the peers' last bytes no longer than for their goodbyes.
  options_.tcp.flush_timeout = options_.network.goodbye_timeout;
  network_program_ = std::make_unique<NetworkProgram>(*this);
  core_program_ = std::make_unique<CoreProgram>(*this, *network_program_);
}

Node::~Node() { stop(); }

Status Node::start() {
  const auto make = options_.make_backend;
  if (options_.network_thread) {
    if (Status started = network_thread_.start("bl-network", make, *network_program_); !started) {
      return started;
    }
  }
  if (Status started = core_thread_.start("bl-core", make, *core_program_); !started) {
    stop();
    return started;
  }
  const std::array<InboxClass, 1> classes = {InboxClass{.nodes = 64}};
  control_ = std::move(*network_program_->gate().make_producer(classes));
  if (!options_.network_thread) return {};
  auto started = std::make_shared<NetworkReport>();
  NetworkMessage message = NetworkStart{core_program_->gate(), started};
  BL_CHECK(control_.try_push(0, std::move(message)) == PushResult::ok);
  started->done.wait(false, std::memory_order_acquire);
  listening_ = started->listening;
  if (!started->status) stop();
  return started->status;
}

void Node::stop() {
  if (control_) {
    NetworkMessage message = NetworkLeave{};
    if (control_.try_push(0, std::move(message)) == PushResult::ok) {
      network_program_->gone.wait(false, std::memory_order_acquire);
    }
    control_ = {};
  }
  network_thread_.stop();
  core_thread_.stop();
}

}  // namespace beamline::node
