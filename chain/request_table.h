// Our requests in flight. An entry is made before the command to send it is given, so that no
// answer can come too early. Each has a deadline for progress and one in all; each chunk is held
// against what was asked for. Not thread safe.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/time.h"
#include "chain/block.h"
#include "chain/commands.h"
#include "chain/limits.h"

namespace beamline::chain {

struct Request {
  enum class Kind : uint8_t { by_root, by_range, data };
  RequestId id = 0;
  Kind kind = Kind::by_root;
  PeerHandle peer;
  MonoTime progress_at{};
  MonoTime total_at{};
  uint32_t batch = 0;     // roots or slots asked for
  uint32_t received = 0;  // chunks that passed the checks
  uint64_t bytes = 0;

  // by_root: sorted; what came is marked. data: one for each block, marked when all of its came, or
  // are not waited for any more.
  struct Owed {
    Root root;
    bool came = false;
  };
  std::vector<Owed> owed;
  // by_range.
  Slot start_slot = 0;
  uint64_t count = 0;
  Slot last_slot = 0;  // of the last chunk; only if received > 0
  Root last_root;

  // What take() changes besides `owed`, to take a chunk back that was invalid after all.
  struct Mark {
    uint32_t received = 0;
    Slot last_slot = 0;
    Root last_root;
  };
  Mark mark() const { return {received, last_slot, last_root}; }
  void unmark(const Mark& before) {
    received = before.received;
    last_slot = before.last_slot;
    last_root = before.last_root;
  }

  // Holds a chunk against the request. Nothing: it is in order, and noted as received.
  std::optional<Conduct> take(const BlockInfo& block);
  // Data: nothing more of this block is waited for.
  void settle(const Root& root);
  bool all_came() const;
};

class RequestTable {
 public:
  explicit RequestTable(const Limits& limits) : limits_(limits) {}

  Request& add_by_root(PeerHandle peer, const std::vector<Root>& roots, MonoTime now);
  // `batch`: the indices in all.
  Request& add_data(PeerHandle peer, const std::vector<Root>& roots, uint32_t batch, MonoTime now);
  Request& add_by_range(PeerHandle peer, Slot start, uint64_t count, MonoTime now);
  // Null if it is over, or was never made.
  Request* find(RequestId id);
  // The request by root that still has to bring it; null if there is none.
  const Request* owing(const Root& root) const;
  // The same of its blobs or columns.
  Request* owing_data(const Root& root);
  // Live: the progress deadline starts anew.
  void progress(Request& request, MonoTime now);
  // Takes it out.
  Request remove(RequestId id);

  // One that is past a deadline, the oldest first; null if none.
  const Request* expired(MonoTime now) const;
  MonoTime next_deadline() const;
  std::vector<RequestId> of_peer(PeerHandle peer) const;
  size_t size() const { return requests_.size(); }
  uint32_t by_root() const { return by_root_; }
  uint32_t data() const { return data_; }
  uint32_t by_range() const { return static_cast<uint32_t>(requests_.size()) - by_root_ - data_; }
  // By rising id.
  const std::map<RequestId, Request>& all() const { return requests_; }

 private:
  Request& add(Request::Kind kind, PeerHandle peer, MonoTime now);

  const Limits& limits_;
  std::map<RequestId, Request> requests_;
  RequestId next_id_ = 1;
  uint32_t by_root_ = 0;
  uint32_t data_ = 0;
};

}  // namespace beamline::chain
