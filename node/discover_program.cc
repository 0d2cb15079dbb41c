#include "node/discover_program.h"

namespace beamline::node {
namespace {

constexpr Duration kCountInterval = seconds(1);
constexpr int kSnapshotEvery = 5;  // counts
constexpr int kNodesEvery = 30;

}  // namespace

DiscoverProgram::DiscoverProgram(const Endpoint& listen,
                                 std::vector<discovery::NodeRecord> bootnodes,
                                 std::vector<uint8_t> nodes, const secp256k1::SecretKey& key,
                                 Rng rng, Inbox<DiscoverSeen>::Producer producer)
    : listen_(listen),
      bootnodes_(std::move(bootnodes)),
      kept_(std::move(nodes)),
      key_(key),
      rng_(std::move(rng)),
      producer_(std::move(producer)),
      timer_([](Timer& timer) { static_cast<DiscoverProgram*>(timer.owner)->tell(); }, this) {}

Status DiscoverProgram::on_start(Reactor& reactor) {
  reactor_ = &reactor;
  discovery::ServiceConfig config;
  auto driver = DiscoveryDriver::open(reactor, key_, listen_, config, *this, rng_.fork());
  if (!driver) return std::unexpected(driver.error());
  driver_ = std::move(*driver);
  enode = driver_->service().enode();
  enr = driver_->service().record().to_text();
  for (const auto& node : bootnodes_) {
    // Refused is what the command has checked, and more than the service keeps: counted there.
    static_cast<void>(driver_->service().add_bootnode(node, reactor.now()));
  }
  if (!kept_.empty()) {
    kept_read = driver_->service().contacts().db.decode(kept_, reactor.now());
    driver_->service().add_seeds(reactor.now());
  }
  driver_->pump();
  reactor.arm_in(timer_, kCountInterval);
  return {};
}

void DiscoverProgram::on_stop(Reactor& reactor) {
  reactor.disarm(timer_);
  if (driver_ == nullptr) return;
  last = snapshot_of(driver_->service());
  last_nodes = driver_->service().contacts().db.encode();
  datagrams_in = driver_->udp_stats().received;
  datagrams_out = driver_->udp_stats().sent;
  driver_.reset();
}

void DiscoverProgram::tell() {
  const auto& contacts = driver_->service().contacts();
  // A full queue drops it: the next second has another.
  static_cast<void>(producer_.try_push(
      0, DiscoverCounts{contacts.table.live_size(), contacts.table.main_size(),
                        contacts.table.replacement_size(), contacts.pool.size()}));
  if (++told_ % kSnapshotEvery == 0) {
    static_cast<void>(
        producer_.try_push(0, std::make_unique<TableSnapshot>(snapshot_of(driver_->service()))));
  }
  if (told_ % kNodesEvery == 0) {
    static_cast<void>(
        producer_.try_push(0, DiscoverNodes{driver_->service().contacts().db.encode()}));
  }
  reactor_->arm_in(timer_, kCountInterval);
}

}  // namespace beamline::node
