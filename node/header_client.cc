#include "node/header_client.h"

#include "base/check.h"

namespace beamline::node {
namespace {

constexpr size_t kUsefulHeaders = 16;  // in an answer

// It gave wrong headers, not merely none.
bool is_lie(chain::HeaderFault fault) {
  return fault == chain::HeaderFault::lied || fault == chain::HeaderFault::bad_header ||
         fault == chain::HeaderFault::undecodable;
}

}  // namespace

Result<std::unique_ptr<HeaderClient>> HeaderClient::open(Reactor& reactor, Tcp& tcp,
                                                         HeaderClientOptions options,
                                                         const eth::Local& local,
                                                         HeaderClientObserver& observer, Rng rng) {
  std::unique_ptr<HeaderClient> client(new HeaderClient(reactor, observer));
  const secp256k1::SecretKey& key = *options.host.rlpx.session.key;
  client->host_ = std::make_unique<EthHost>(reactor, tcp, std::move(options.host), local,
                                            static_cast<EthHandler&>(*client), rng);
  if (options.listen) {
    const auto listener = client->host_->listen(*options.listen);
    if (!listener) return std::unexpected(listener.error());
    client->listening_ = (*listener)->local();
    options.finder.service.tcp_port = client->listening_.port();
    set_eth_entry(options.finder.service.record, local.status.fork_id);
  }
  auto finder = EthFinder::open(reactor, *client->host_, key, *local.forks,
                                std::move(options.finder), rng.fork());
  if (!finder) return std::unexpected(finder.error());
  client->finder_ = std::move(*finder);
  return client;
}

HeaderClient::~HeaderClient() = default;

Status HeaderClient::begin_sync(HeaderStorage& storage, chain::HeaderSyncConfig config,
                                const chain::ParentHeader& last, const Hash256& head,
                                const StorageHome& home) {
  BL_CHECK(!task_);
  finished_ = false;
  task_.emplace(reactor_, storage, std::move(config), last, head,
                static_cast<HeaderTaskObserver&>(*this));
  const Status started = task_->start(home);
  if (!started) {
    task_.reset();
    return started;
  }
  for (EthConnection* peer : peers_) task_->add_peer(*peer);
  return {};
}

void HeaderClient::end_sync() {
  if (task_ && !finished_) task_->abort();
  task_.reset();
}

void HeaderClient::on_peer(EthConnection& peer) {
  if (!finder_->on_peer(peer)) return;
  observer_.on_peer(peer);
  peers_.push_back(&peer);
  if (task_) task_->add_peer(peer);
}

void HeaderClient::on_event(EthConnection& peer, const eth::EthEvent& event) {
  // What a tarpit gives, a header or two at a time, is not what is asked for.
  const bool headers =
      event.kind == eth::EthEvent::Kind::answer && event.request == eth::Message::get_block_headers;
  if (headers && event.answer.items.size() >= kUsefulHeaders) finder_->useful(peer);
  if (task_) task_->on_event(peer, event);
}

void HeaderClient::on_gone(EthConnection& peer, const rlpx::Closed& closed) {
  if (std::erase(peers_, &peer) > 0) {
    if (task_) task_->remove_peer(peer);
    observer_.on_gone(peer);
  }
  finder_->on_gone(peer, closed);
}

void HeaderClient::on_dial_failed(const rlpx::Connection& connection, const rlpx::Closed& closed) {
  finder_->on_dial_failed(connection, closed);
}

void HeaderClient::on_charged(EthConnection& peer, const chain::ChargeHeaderPeer& charge) {
  observer_.on_charged(peer, charge);
  if (charge.drop) finder_->drop(peer, is_lie(charge.fault));
}

void HeaderClient::on_finished(const chain::HeaderSyncFinished& end) {
  finished_ = true;
  observer_.on_finished(end);
}

}  // namespace beamline::node
