#include "node/eth_finder.h"

#include <algorithm>
#include <utility>

#include "codec/rlp.h"

namespace beamline::node {
namespace {

using discovery::Admission;
using discovery::Failure;
using rlpx::DisconnectReason;

// Records of our chain's latest forks: who stands before them has nothing to give yet. Nodes
// without a record, as discv4 tells of them, are tried: their Status says.
discovery::PoolFilter filter_of(const eth::ForkFilter& forks) {
  discovery::PoolFilter filter;
  filter.capabilities = discovery::kCapEth;
  for (const auto& hash : forks.latest(filter.forks.size())) {
    filter.forks[filter.fork_count++] = discovery::fork_number(hash);
  }
  return filter;
}

// It is well, and has no room, or leaves: no reason to forget where it is.
bool is_polite(const rlpx::Closed& closed) {
  return closed.by_peer && (closed.reason == DisconnectReason::too_many_peers ||
                            closed.reason == DisconnectReason::already_connected ||
                            closed.reason == DisconnectReason::quitting);
}

// A connection that was good has ended: was it the peer's fault? What the host ends by itself
// (cancelled) it ends for a breach of eth, unless we leave.
bool is_fault(const rlpx::Closed& closed) {
  if (closed.by_peer || closed.why.code == Code::closed || closed.why.code == Code::reset) {
    return false;
  }
  return closed.why.code != Code::cancelled || closed.reason != DisconnectReason::quitting;
}

}  // namespace

void set_eth_entry(EnrBuilder& record, const eth::ForkId& id) {
  std::vector<uint8_t> item;
  rlp::Writer writer(item);
  const auto entry = writer.begin_list();
  const auto pair = writer.begin_list();
  writer.string(id.hash);
  writer.uint(id.next);
  writer.end_list(pair);
  writer.end_list(entry);
  record.set_item("eth", item);
}

EthFinder::EthFinder(Reactor& reactor, EthHost& host, Rng rng)
    : reactor_(reactor),
      host_(host),
      rng_(std::move(rng)),
      timer_([](Timer& timer) { static_cast<EthFinder*>(timer.owner)->dial(); }, this) {
  timer_.name = "dial scheduler";
}

EthFinder::~EthFinder() { reactor_.disarm(timer_); }

Result<std::unique_ptr<EthFinder>> EthFinder::open(Reactor& reactor, EthHost& host,
                                                   const secp256k1::SecretKey& key,
                                                   const eth::ForkFilter& forks,
                                                   EthFinderOptions options, Rng rng) {
  std::unique_ptr<EthFinder> finder(new EthFinder(reactor, host, std::move(rng)));
  if (options.listen) {
    auto driver = DiscoveryDriver::open(reactor, key, *options.listen, std::move(options.service),
                                        *finder, finder->rng_.fork());
    if (!driver) return std::unexpected(driver.error());
    finder->driver_ = std::move(*driver);
    finder->driver_->service().contacts().pool.set_filter(filter_of(forks));
  } else {
    finder->empty_.emplace(discovery::PoolConfig{.capacity = 1}, finder->rng_);
  }
  discovery::Pool& pool =
      finder->driver_ ? finder->driver_->service().contacts().pool : *finder->empty_;
  finder->scheduler_ = std::make_unique<discovery::DialScheduler>(node_id_of(key.public_key()),
                                                                  options.dial, pool, finder->rng_);
  // Over their bounds both are refused, and counted there.
  for (const discovery::NodeRecord& node : options.named) finder->scheduler_->add_static(node);
  if (finder->driver_) {
    for (const discovery::NodeRecord& node : options.bootnodes) {
      static_cast<void>(finder->driver_->service().add_bootnode(node, reactor.now()));
    }
    finder->driver_->pump();
  }
  finder->arm();
  return finder;
}

void EthFinder::close() {
  if (closed_) return;
  closed_ = true;
  reactor_.disarm(timer_);
  if (driver_) driver_->close();
}

void EthFinder::arm() {
  if (closed_ || scheduler_ == nullptr) return;
  reactor_.arm(timer_, scheduler_->next_deadline());
}

void EthFinder::dial() {
  const Now now = reactor_.now();
  while (const auto order = scheduler_->poll(now, rng_)) dial(order->record, now);
  while (const auto late = scheduler_->poll_drop()) {
    // The host's own timeout ends the dial.
    ++stats_.failed_dials;
    mark(*late, Failure::dial);
  }
  if (driver_) {
    driver_->service().set_wanted(scheduler_->wants_more());
    driver_->pump();
  }
  arm();
}

void EthFinder::dial(const discovery::NodeRecord& node, Now now) {
  const auto key = discovery::public_key_of(node.key);
  if (!key) {
    scheduler_->dial_failed(node.id, now);
    return mark(node.id, Failure::record);
  }
  const auto connection = host_.dial(node.tcp(), *key);
  if (!connection) return scheduler_->dial_failed(node.id, now);  // ours: no slot
  known_.push_back({*connection, node.id});
}

void EthFinder::mark(const NodeId& node, Failure why) {
  if (driver_) driver_->service().contacts().table.mark_disposable(node, why);
}

EthFinder::Known* EthFinder::find(const rlpx::Connection& connection) {
  const auto found = std::ranges::find(known_, &connection, &Known::connection);
  return found == known_.end() ? nullptr : &*found;
}

std::optional<EthFinder::Known> EthFinder::take(const rlpx::Connection& connection) {
  Known* const found = find(connection);
  if (found == nullptr) return std::nullopt;
  const Known known = *found;
  *found = known_.back();
  known_.pop_back();
  return known;
}

bool EthFinder::on_peer(EthConnection& peer) {
  const Now now = reactor_.now();
  const NodeId node = node_id_of(*peer.connection().session().remote());
  const Admission admission = peer.outbound() ? scheduler_->connected_outbound(node, now)
                                              : scheduler_->connected_inbound(node, now);
  if (admission == Admission::replace) {
    replace(node);
  } else if (admission != Admission::accept) {
    ++stats_.refused;
    peer.disconnect(admission == Admission::too_many ? DisconnectReason::too_many_peers
                                                     : DisconnectReason::already_connected);
    return false;
  }
  if (Known* const known = find(peer.connection())) {
    known->peer = &peer;
  } else {
    known_.push_back({&peer.connection(), node, &peer});
  }
  return true;
}

// The scheduler counts it no longer.
void EthFinder::replace(const NodeId& node) {
  for (Known& known : known_) {
    if (known.node != node || known.peer == nullptr) continue;
    ++stats_.replaced;
    std::exchange(known.peer, nullptr)->disconnect(DisconnectReason::already_connected);
  }
}

void EthFinder::on_gone(EthConnection& peer, const rlpx::Closed& closed) {
  const auto known = take(peer.connection());
  if (!known || known->peer == nullptr) return;  // refused, or dropped
  if (is_fault(closed)) {
    ++stats_.failed_requests;
    mark(known->node, Failure::request);
    scheduler_->failed(known->node, reactor_.now());
    scheduler_->poll_drop();  // it is gone
  } else {
    scheduler_->disconnected(known->node, reactor_.now());
  }
  arm();
}

void EthFinder::on_dial_failed(const rlpx::Connection& connection, const rlpx::Closed& closed) {
  const auto known = take(connection);
  if (!known) return;
  if (closed.by_peer && closed.reason == DisconnectReason::already_connected) {
    scheduler_->dial_refused(known->node, reactor_.now());
  } else {
    scheduler_->dial_failed(known->node, reactor_.now());
  }
  arm();
  if (is_polite(closed)) {
    ++stats_.full;
  } else if (closed.reason == DisconnectReason::tcp_error) {
    ++stats_.failed_dials;
    mark(known->node, Failure::dial);
  } else {
    ++stats_.failed_handshakes;
    mark(known->node, Failure::handshake);
  }
}

void EthFinder::useful(EthConnection& peer) {
  const Known* const known = find(peer.connection());
  if (known != nullptr && known->peer != nullptr) scheduler_->useful(known->node);
}

void EthFinder::drop(EthConnection& peer, bool lied) {
  if (Known* const known = find(peer.connection()); known != nullptr && known->peer != nullptr) {
    known->peer = nullptr;
    ++stats_.failed_requests;
    mark(known->node, Failure::request);
    scheduler_->failed(known->node, reactor_.now());
    scheduler_->poll_drop();  // by the line below
    if (lied) scheduler_->remove_static(known->node);
    arm();
  }
  peer.disconnect(DisconnectReason::useless_peer);
}

}  // namespace beamline::node
