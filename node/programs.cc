#include "node/programs.h"

namespace beamline::node {
namespace {

// What the chain asks for at once is what peers put up with: more would be refused before it left.
void limit_requests(const NetworkConfig& network, chain::Limits& limits) {
  using reqresp::Protocol;
  const auto most = [](Protocol protocol) { return request_limit(reqresp::info(protocol)); };
  limits.roots_per_request = std::min(limits.roots_per_request, most(Protocol::blocks_by_root_v1));
  const uint64_t slots = most(Protocol::blocks_by_range_v1);
  limits.range_slots = std::min(limits.range_slots, slots);
  limits.window_slots_max = std::min(limits.window_slots_max, slots);
  if (!network.sidecars) return;
  limits.data_per_request =
      std::min(limits.data_per_request, most(sidecar_protocol(*network.sidecars)));
}

chain::ChainConfig chain_config(const ChainSpec& spec) {
  chain::ChainConfig config;
  config.anchor.root = spec.genesis_block_root;
  config.genesis_time = spec.genesis_time;
  config.slot_duration = spec.slot_duration;
  return config;
}

void say(NetworkReport& report, Status status, Endpoint listening) {
  report.status = status;
  report.listening = listening;
  report.done.store(true, std::memory_order_release);
  report.done.notify_one();
}

}  // namespace

// ---- The network

Status NetworkProgram::on_start(Reactor& reactor) {
  reactor_ = &reactor;
  auto tcp = Tcp::create(reactor, options_.tcp);
  if (!tcp) return std::unexpected(tcp.error());
  tcp_ = std::move(*tcp);
  inbox_ = std::make_unique<InboxPort<NetworkMessage>>(reactor, *this);
  reactor.add_hook(*this);
  return {};
}

void NetworkProgram::on_stop(Reactor& reactor) {
  if (network_ != nullptr) stats_ = network_->stats();
  network_.reset();
  finder_.reset();
  core_.reset();
  if (inbox_ != nullptr) reactor.remove_hook(*this);
  inbox_.reset();
  tcp_.reset();
}

Status NetworkProgram::open(CorePort& core) {
  network_ = std::make_unique<Network>(*reactor_, *tcp_, options_.spec, identity_, options_.network,
                                       core, rng_.fork());
  if (Status started = network_->start(); !started || !options_.discovery) return started;
  auto finder = PeerFinder::open(*reactor_, options_.spec, identity_, *options_.discovery,
                                 *network_, rng_.fork());
  if (!finder) return std::unexpected(finder.error());
  finder_ = std::move(*finder);
  return {};
}

void NetworkProgram::on_message(NetworkMessage& message) {
  if (auto* command = std::get_if<chain::Command>(&message)) {
    if (network_ != nullptr) {
      network_->execute(std::move(*command));
    } else {
      early_.push_back(std::move(*command));
    }
  } else if (auto* start = std::get_if<NetworkStart>(&message)) {
    core_ = InboxCorePort::make(start->core, options_.core_link);
    const Status opened = core_ == nullptr ? local_error(Code::closed, "core") : open(*core_);
    for (chain::Command& early : std::exchange(early_, {})) {
      if (network_ != nullptr) network_->execute(std::move(early));
    }
    say(*start->report, opened, network_ == nullptr ? Endpoint{} : network_->listening());
  } else if (auto* keep = std::get_if<NetworkKeep>(&message)) {
    if (network_ != nullptr) {
      network_->keep_sidecar(keep->block_root, keep->index, std::move(keep->bytes));
    }
  } else if (auto* publish = std::get_if<NetworkPublish>(&message)) {
    if (network_ != nullptr) std::ignore = network_->add_own_block(publish->signed_block);
  } else {
    if (finder_ != nullptr) finder_->close();
    if (network_ != nullptr) network_->leave();
    left_ = true;
  }
}

void NetworkProgram::end_of_turn(Now) {
  if (!left_ || tcp_->streams() > 0) return;
  gone.store(true, std::memory_order_release);
  gone.notify_one();
}

// ---- The core

Status CoreProgram::on_start(Reactor& reactor) {
  // A reactor has one inbox, and without a network thread it is the network's.
  if (!options_.network_thread && (options_.client != nullptr || options_.store != nullptr)) {
    return local_error(Code::not_supported, "client or store without a network thread");
  }
  chain::ChainConfig config = chain_config(options_.spec);
  config.limits = options_.limits;
  limit_requests(options_.network, config.limits);
  chain::StoreAnchor anchor(config.anchor);
  if (options_.policy != nullptr) anchor = options_.policy->anchor(config.anchor);
  config.anchor = anchor.block;
  if (options_.client != nullptr || options_.work != nullptr) {
    config.import = chain::ChainConfig::Import::ask;
  }
  if (Status made = make_core(reactor, std::move(config), anchor); !made) return made;
  if (options_.policy != nullptr) core_->set_policy(*options_.policy);
  if (options_.work != nullptr) core_->set_workers(*options_.work);
  snapshots_ = core_->snapshots();
  return options_.network_thread ? start_apart(reactor, std::move(anchor)) : start_joined(reactor);
}

Status CoreProgram::make_core(Reactor& reactor, chain::ChainConfig config,
                              const chain::StoreAnchor& anchor) {
  std::optional<chain::Recovered> found;
  if (options_.store != nullptr) {
    auto opened = options_.store->open(anchor);
    if (!opened) return std::unexpected(opened.error());
    found = std::move(*opened);
    config.persist = config.read_store = true;
    config.anchor = found->anchor.block;
  }
  Result<std::unique_ptr<chain::ForkChoice>> fork_choice = nullptr;
  if (options_.policy != nullptr) {
    fork_choice =
        found ? options_.policy->resume(*found, *options_.store) : options_.policy->begin();
  }
  if (!fork_choice) return std::unexpected(fork_choice.error());
  core_ = std::make_unique<Core>(reactor, std::move(config), observer_, options_.core,
                                 *std::move(fork_choice));
  // (Which says so too.)
  if (found) return core_->chain().restore(reactor.now(), std::move(*found));
  if (options_.policy != nullptr) {
    observer_.on_justified({core_->chain().fork_choice().justified()});
  }
  return {};
}

Status CoreProgram::start_apart(Reactor& reactor, chain::StoreAnchor anchor) {
  inbox_ = std::make_unique<InboxPort<chain::Event>>(reactor, *core_);
  network_port_ = InboxNetworkPort::make(network_.gate(), options_.network_link_nodes);
  if (network_port_ == nullptr) return local_error(Code::closed, "network");
  core_->set_network(*network_port_);
  const CoreInbox::Gate gate = inbox_->gate();
  if (options_.store != nullptr) {
    core_->set_store(store_thread_);
    anchor.state = {};  // the store has it
    const Status started =
        store_thread_.start(options_.store_thread, gate, *options_.store, std::move(anchor));
    if (!started) return started;
  }
  if (options_.client == nullptr) return {};
  core_->set_workers(workers_);
  return workers_.start(options_.workers, gate, *options_.client);
}

Status CoreProgram::start_joined(Reactor& reactor) {
  if (Status started = network_.on_start(reactor); !started) return started;
  direct_core_.set_core(*core_);
  core_->set_network(direct_network_);
  const Status opened = network_.open(direct_core_);
  direct_network_.set_network(*network_.network());
  return opened;
}

void CoreProgram::on_stop(Reactor& reactor) {
  workers_.stop();
  store_thread_.stop();
  if (!options_.network_thread) network_.on_stop(reactor);
  inbox_.reset();
  if (core_ != nullptr) stats_ = core_->chain().stats();
  core_.reset();
  network_port_.reset();
}

}  // namespace beamline::node
