#include "node/peer_finder.h"

#include <algorithm>

namespace beamline::node {
namespace {

// ENRForkID (consensus-specs phase0 p2p-interface): no fork is planned.
std::array<uint8_t, 16> fork_id(const ChainSpec& spec) {
  std::array<uint8_t, 16> id;
  id.fill(0xff);
  const ForkDigest digest = spec.digest();
  std::ranges::copy(digest.bytes, id.begin());
  std::ranges::copy(spec.genesis_fork_version, id.begin() + 4);
  return id;
}

}  // namespace

PeerFinder::PeerFinder(Reactor& reactor, Network& network, Rng rng)
    : reactor_(reactor),
      network_(network),
      rng_(std::move(rng)),
      timer_([](Timer& timer) { static_cast<PeerFinder*>(timer.owner)->dial(); }, this) {
  timer_.name = "dial scheduler";
}

PeerFinder::~PeerFinder() { reactor_.disarm(timer_); }

Result<std::unique_ptr<PeerFinder>> PeerFinder::open(Reactor& reactor, const ChainSpec& spec,
                                                     const secp256k1::SecretKey& key,
                                                     const PeerFinderConfig& config,
                                                     Network& network, Rng rng) {
  std::unique_ptr<PeerFinder> finder(new PeerFinder(reactor, network, std::move(rng)));
  discovery::ServiceConfig service;
  service.tcp_port = network.listening().empty() ? uint16_t{0} : network.listening().port();
  service.record.set("eth2", fork_id(spec))
      .set("attnets", std::array<uint8_t, 8>{})
      .set("syncnets", std::array<uint8_t, 1>{});
  auto driver = DiscoveryDriver::open(reactor, key, config.listen, std::move(service), *finder,
                                      finder->rng_.fork());
  if (!driver) return std::unexpected(driver.error());
  finder->driver_ = std::move(*driver);
  discovery::Contacts& contacts = finder->driver_->service().contacts();
  discovery::PoolFilter filter;
  filter.capabilities = discovery::kCapEth2;
  filter.forks[0] = discovery::fork_number(spec.digest().bytes);
  filter.fork_count = 1;
  filter.unknown_too = false;
  contacts.pool.set_filter(filter);
  finder->scheduler_ = std::make_unique<discovery::DialScheduler>(
      contacts.table.self(), config.dial, contacts.pool, finder->rng_);
  for (const discovery::NodeRecord& node : config.bootnodes) {
    // Over the service's bound it is refused, and counted there.
    static_cast<void>(finder->driver_->service().add_bootnode(node, reactor.now()));
  }
  finder->driver_->pump();
  finder->arm();
  return finder;
}

void PeerFinder::close() {
  if (closed_) return;
  closed_ = true;
  reactor_.disarm(timer_);
  driver_->close();
}

void PeerFinder::arm() {
  if (closed_ || scheduler_ == nullptr) return;
  reactor_.disarm(timer_);
  const MonoTime next = scheduler_->next_deadline();
  if (next != MonoTime::never()) reactor_.arm(timer_, next);
}

void PeerFinder::dial() {
  const Now now = reactor_.now();
  while (const auto order = scheduler_->poll(now, rng_)) {
    const auto key = discovery::public_key_of(order->record.key);
    if (!key) {
      scheduler_->dial_failed(order->record.id, now);
      continue;
    }
    dialled_.push_back({PeerId::from_public_key(*key), order->record.id});
    network_.connect(order->record.tcp(), dialled_.back().peer, *this);
  }
  while (const auto dropped = scheduler_->poll_drop()) {
    // Its dial took too long: the network's own timeout ends it.
  }
  driver_->service().set_wanted(scheduler_->wants_more());
  driver_->pump();
  arm();
}

std::optional<NodeId> PeerFinder::node_of(const PeerId& peer, bool take) {
  const auto found = std::ranges::find(dialled_, peer, &Dialled::peer);
  if (found == dialled_.end()) return std::nullopt;
  const NodeId node = found->node;
  if (take) dialled_.erase(found);
  return node;
}

void PeerFinder::on_dial_up(const PeerId& peer) {
  if (const auto node = node_of(peer, false)) {
    scheduler_->connected_outbound(*node, reactor_.now());
  }
  arm();
}

void PeerFinder::on_dial_ended(const PeerId& peer, bool was_up) {
  const auto node = node_of(peer, true);
  if (!node) return;
  if (was_up) {
    scheduler_->disconnected(*node, reactor_.now());
  } else {
    scheduler_->dial_failed(*node, reactor_.now());
    driver_->service().contacts().table.mark_disposable(*node, discovery::Failure::dial);
  }
  arm();
}

}  // namespace beamline::node
