// The background header sync on a reactor: joins the pipeline (chain/headers/header_sync.h) with
// eth peers and with the storage thread. Lives as long as the sync; afterwards it sends nothing.
#pragma once

#include <map>
#include <optional>

#include "node/eth_host.h"
#include "node/header_storage.h"

namespace beamline::node {

// What the owner learns, on the reactor's thread; the state download's side of the sync.
class HeaderTaskObserver {
 public:
  virtual ~HeaderTaskObserver() = default;
  // A batch is durable: the first is where a state download starts. It says batch_taken() when it
  // has it; of the last one, when the state is whole.
  virtual void on_stored(const chain::HeadersStored& batch) = 0;
  // Headers from `number` on count no longer.
  virtual void on_rewound(uint64_t number) = 0;
  // A peer that should go: failed, or lied.
  virtual void on_charged(EthConnection& peer, const chain::ChargeHeaderPeer& charge) = 0;
  // All headers up to the head are known: the state's pivot can be chosen. Again after a reorg.
  virtual void on_head_reached(const chain::HeadReached&) {}
  // Once, when every batch was taken; on_finished follows.
  virtual void on_fork_choice(const chain::UpdateForkChoice&) {}
  virtual void on_finished(const chain::HeaderSyncFinished& end) = 0;
};

class HeaderTask final : private TurnHook, public InboxReceiver<StorageReport> {
 public:
  // The storage is open and not started; `last` is its last header. All outlive the task.
  HeaderTask(Reactor& reactor, HeaderStorage& storage, chain::HeaderSyncConfig config,
             const chain::ParentHeader& last, const Hash256& head, HeaderTaskObserver& observer);
  ~HeaderTask() override;
  Status start(const StorageHome& home);

  void add_peer(EthConnection& peer);
  void remove_peer(EthConnection& peer);
  void on_event(EthConnection& peer, const eth::EthEvent& event);
  void move_head(const Hash256& head) { sync_.move_head(reactor_.now(), head); }
  void batch_taken() {
    sync_.batch_taken(reactor_.now());
    reactor_.post(again_);
  }
  void abort() { sync_.abort(reactor_.now()); }

  const chain::HeaderSync& sync() const { return sync_; }

  void on_message(StorageReport& report) override;

 private:
  struct Asked {
    uint32_t index = 0;
    uint64_t eth_id = 0;
    friend auto operator<=>(const Asked&, const Asked&) = default;
  };
  void end_of_turn(Now now) override;
  const char* hook_name() const override { return "headers"; }
  void carry_out(chain::HeaderCommand&& command);
  void ask(const chain::RequestHeaders& request);
  static chain::PeerHandle handle_of(const EthConnection& peer) {
    return {peer.index(), peer.generation()};
  }

  Reactor& reactor_;
  HeaderStorage& storage_;
  HeaderTaskObserver& observer_;
  chain::HeaderSync sync_;
  std::map<uint32_t, EthConnection*> peers_;  // by index
  std::map<Asked, chain::HeaderRequestId> asked_;
  std::unique_ptr<InboxPort<StorageReport>> reports_;
  Inbox<StorageOrder>::Producer orders_;
  Timer timer_;
  // The connections' hook may run before ours, and the observer be called within it: what that
  // leads to comes in another turn.
  Ready again_;
};

}  // namespace beamline::node
