// The header store on a thread of its own: what a HeaderSync asks of the store comes in through an
// inbox, and how it went goes back through another. Disks are waited for here and nowhere else.
#pragma once

#include <memory>
#include <variant>

#include "chain/headers/hash_index.h"
#include "chain/headers/header_log.h"
#include "chain/headers/header_sync.h"
#include "loop/inbox_port.h"
#include "loop/reactor_thread.h"

namespace beamline::node {

using StorageOrder = std::variant<chain::StoreHeaders, chain::RewindHeaders>;

struct StorageDone {
  uint64_t next = 0;  // all below is durable
};
struct StorageRewound {
  chain::ParentHeader last;
};
struct StorageFailed {
  Error error;
};
using StorageReport = std::variant<StorageDone, StorageRewound, StorageFailed>;

// On a thread of its own, with such a backend; or on a reactor of the caller's without an inbox,
// which outlives stop() and whose turns wait for the directory.
using StorageHome = std::variant<ReactorThread::MakeBackend, Reactor*>;

// Orders that wait together are made durable together: one checkpoint, then their reports.
class HeaderStorage final : public ReactorProgram,
                            public InboxReceiver<StorageOrder>,
                            private TurnHook {
 public:
  static constexpr uint32_t kOrders = 64;

  // `genesis` is the header before the log's first. `directory` outlives it.
  HeaderStorage(chain::StoreDirectory& directory, const chain::ParentHeader& genesis)
      : directory_(directory), genesis_(genesis) {}
  ~HeaderStorage() override { stop(); }

  // Opens the log, on this thread. Errors: HeaderLog's and HashIndex's.
  Status open();
  // After open(): the last header of the store, or genesis.
  Result<chain::ParentHeader> last() const { return before(log_->next()); }
  const chain::HeaderLog& log() const { return *log_; }
  chain::HashIndex& index() { return *index_; }

  // Starts; reports go to `reports`, whose slab must hold kOrders. From here on until stop() the
  // log is the thread's, or the reactor's.
  Status start(const StorageHome& home, Inbox<StorageReport>::Producer reports);
  void stop();
  // Any thread, after start().
  Inbox<StorageOrder>::Gate gate() const { return inbox_->gate(); }

  // ReactorProgram, InboxReceiver.
  Status on_start(Reactor& reactor) override;
  void on_stop(Reactor& reactor) override;
  void on_message(StorageOrder& order) override;

 private:
  Result<chain::ParentHeader> before(uint64_t number) const;
  void end_of_turn(Now) override { commit(); }
  const char* hook_name() const override { return "header_storage"; }
  Status carry_out(const chain::StoreHeaders& order);
  Status carry_out(const chain::RewindHeaders& order);
  Status append_batch();
  void commit();
  void report(StorageReport what);
  void fail(const Error& error);

  chain::StoreDirectory& directory_;
  const chain::ParentHeader genesis_;
  std::optional<chain::HeaderLog> log_;
  std::optional<chain::HashIndex> index_;
  std::unique_ptr<InboxPort<StorageOrder>> inbox_;
  Inbox<StorageReport>::Producer reports_;
  ReactorThread thread_;
  Reactor* lent_ = nullptr;
  std::vector<chain::StoredHeader> batch_;
  uint64_t appended_ = 0;  // orders that no checkpoint covers yet
  bool failed_ = false;
};

}  // namespace beamline::node
