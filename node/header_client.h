// Headers over the network: a host that speaks eth, who finds peers for it, and a header sync over
// those that are connected. One that syncs nothing finds peers and serves. All of it on the
// reactor's thread, but for the store.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "node/eth_finder.h"
#include "node/header_task.h"

namespace beamline::node {

struct HeaderClientOptions {
  EthHostOptions host;             // its key is discovery's too
  std::optional<Endpoint> listen;  // TCP; port 0 picks one. The finder's service is told of it
  EthFinderOptions finder;
};

// What the owner learns, on the reactor's thread.
class HeaderClientObserver {
 public:
  virtual ~HeaderClientObserver() = default;
  // A peer is there; it gets to the sync that has begun when this returns.
  virtual void on_peer(EthConnection&) {}
  virtual void on_gone(EthConnection&) {}
  // Durable headers: the state download's, which says batch_taken().
  virtual void on_stored(const chain::HeadersStored& batch) = 0;
  virtual void on_rewound(uint64_t) {}
  // One that is dropped is disconnected behind this.
  virtual void on_charged(EthConnection&, const chain::ChargeHeaderPeer&) {}
  // The sync's last word; end_sync() may follow, and not from within this.
  virtual void on_finished(const chain::HeaderSyncFinished& end) = 0;
};

class HeaderClient final : private EthHandler, private HeaderTaskObserver {
 public:
  // All outlive it. Errors: those of Tcp::listen() and EthFinder::open().
  static Result<std::unique_ptr<HeaderClient>> open(Reactor& reactor, Tcp& tcp,
                                                    HeaderClientOptions options,
                                                    const eth::Local& local,
                                                    HeaderClientObserver& observer, Rng rng);
  ~HeaderClient() override;  // REQUIRES: as rlpx::Host; end_sync()

  // Begins a sync of the store. REQUIRES: none runs. Errors: those of HeaderTask::start().
  Status begin_sync(HeaderStorage& storage, chain::HeaderSyncConfig config,
                    const chain::ParentHeader& last, const Hash256& head, const StorageHome& home);
  // Aborts one that has not finished. Connections stay.
  void end_sync();
  bool syncing() const { return task_.has_value(); }
  // REQUIRES: syncing().
  const chain::HeaderSync& sync() const { return task_->sync(); }
  void batch_taken() { task_->batch_taken(); }

  // No more dials and datagrams; connections stay.
  void stop_finding() { finder_->close(); }
  EthHost& host() { return *host_; }
  const EthFinder& finder() const { return *finder_; }
  // Where peers are accepted; empty: nowhere.
  const Endpoint& listening() const { return listening_; }
  const std::vector<EthConnection*>& peers() const { return peers_; }

 private:
  HeaderClient(Reactor& reactor, HeaderClientObserver& observer)
      : reactor_(reactor), observer_(observer) {}
  void on_peer(EthConnection& peer) override;
  void on_event(EthConnection& peer, const eth::EthEvent& event) override;
  void on_gone(EthConnection& peer, const rlpx::Closed& closed) override;
  void on_dial_failed(const rlpx::Connection& connection, const rlpx::Closed& closed) override;
  void on_stored(const chain::HeadersStored& batch) override { observer_.on_stored(batch); }
  void on_rewound(uint64_t number) override { observer_.on_rewound(number); }
  void on_charged(EthConnection& peer, const chain::ChargeHeaderPeer& charge) override;
  void on_finished(const chain::HeaderSyncFinished& end) override;

  Reactor& reactor_;
  HeaderClientObserver& observer_;
  std::unique_ptr<EthHost> host_;
  std::unique_ptr<EthFinder> finder_;
  std::optional<HeaderTask> task_;
  std::vector<EthConnection*> peers_;
  Endpoint listening_;
  bool finished_ = false;
};

}  // namespace beamline::node
