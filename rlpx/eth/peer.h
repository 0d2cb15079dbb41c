// The eth capability with one peer, versions 68 to 70, as a state machine above an RLPx session
// (caps/eth.md): Status both ways, then requests with their deadlines, announcements, and the
// peer's requests, served from a ChainSource. Sans-IO, one thread at a time.
//
// Bounds: requests in flight (kMaxRequests), items of an answer by what was asked for, an answer of
// ours by items, by the soft limit of bytes and by the hard one. An error of receive() is the
// peer's fault: say Disconnect with disconnect_reason(error).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "rlpx/eth/messages.h"
#include "rlpx/eth/server.h"
#include "rlpx/messages.h"

namespace beamline::eth {

// What we are: it may change while peers are connected; `status` is taken when one begins.
struct Local {
  StatusMessage status;  // its version is set by the peer's
  Head head;
  const ForkFilter* forks = nullptr;
  const ChainSource* chain = nullptr;  // null: nothing is served
};

struct PeerOptions {
  Duration status_timeout = seconds(5);
  Duration request_timeout = seconds(15);
};

// What an answer tells. Its bytes live as long as the message does.
struct EthEvent {
  enum class Kind : uint8_t {
    none,
    ready,         // the peer's Status was good
    answer,        // to `request`
    timed_out,     // `request` had no answer
    range,         // BlockRangeUpdate: see Peer::range()
    transactions,  // items
    hashes,        // announced
  };
  Kind kind = Kind::none;
  Message request{};        // answer, timed_out: what was asked
  uint64_t request_id = 0;  // and its id
  Answer answer;            // items, also of transactions
  PooledHashes hashes;
};

class Peer {
 public:
  static constexpr size_t kMaxRequests = 16;
  struct Stats : ServeStats {
    uint64_t requests = 0;
    uint64_t answers = 0;
    uint64_t timeouts = 0;
    uint64_t late = 0;          // answers to nothing that is asked (any more): dropped
    uint64_t refused_full = 0;  // requests of ours: too many in flight, or the sink is full
    uint64_t ignored = 0;       // block announcements, which ended with the merge
  };

  // Says Status at once. `local` and `sink` must outlive it. REQUIRES: version is 68, 69 or 70.
  Peer(uint32_t version, const Local& local, Sink& sink, const PeerOptions& options, MonoTime now);

  // `budget`: bytes that serving may go over at once; what it leaves is for serve().
  Result<EthEvent> receive(uint8_t id, Bytes payload, MonoTime now, size_t budget = Server::kAll);
  // The peer has asked for more than was answered yet: call serve(), a slice a turn. An error is
  // the peer's, as of receive().
  bool serving() const { return server_.has_work(); }
  Status serve(size_t budget);
  MonoTime deadline() const;
  // timed_out of one request at a time; call until none. An error: no Status came (the network's).
  Result<EthEvent> on_deadline(MonoTime now);

  // Requests; the id that the answer will name. Errors (local): unexpected (before the peer's
  // Status), full, invalid_argument (nothing or too much asked for).
  Result<uint64_t> get_headers(GetBlockHeaders request, MonoTime now);
  Result<uint64_t> get_bodies(std::span<const Hash256> hashes, MonoTime now);
  // From eth/70 on: from the receipt `first` of the first block.
  Result<uint64_t> get_receipts(std::span<const Hash256> hashes, uint64_t first, MonoTime now);
  // eth/69 on; nothing is sent to older peers.
  Status announce_range(const BlockRange& range);

  bool ready() const { return ready_; }
  uint32_t version() const { return version_; }
  // REQUIRES: ready().
  const StatusMessage& status() const { return status_; }
  const BlockRange& range() const { return status_.range; }
  size_t in_flight() const { return count_; }
  const Stats& stats() const { return stats_; }

 private:
  struct Request {
    uint64_t id = 0;
    Message message{};
    size_t most = 0;  // items of the answer
    MonoTime deadline;
  };

  Result<EthEvent> on_status(Bytes payload);
  Result<EthEvent> on_answer(Message message, Bytes payload);
  Result<uint64_t> ask(Message message, size_t most, Bytes payload, MonoTime now);
  bool can_ask();

  const uint32_t version_;
  const Local& local_;
  Sink& sink_;
  const PeerOptions options_;
  StatusMessage status_;
  MonoTime started_;
  std::array<Request, kMaxRequests> requests_;
  size_t count_ = 0;
  uint64_t next_id_ = 0;
  Server server_;
  std::vector<uint8_t> message_;
  Stats stats_;
  bool ready_ = false;
};

rlpx::DisconnectReason disconnect_reason(const Error& error);

}  // namespace beamline::eth
