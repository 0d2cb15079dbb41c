// Answers what peers ask us: by root from the store, by range along the head's chain, by head down
// from a block. Streamed: a few chunks a turn, round robin over the answers, never further ahead of
// the transport than `serve_window`, and at the pace of two token buckets, the peer's and one for
// all. Not thread safe.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "chain/block_store.h"
#include "chain/block_tree.h"
#include "chain/command_queue.h"
#include "chain/events.h"
#include "chain/peer_table.h"
#include "chain/stats.h"

namespace beamline::chain {

class Server {
 public:
  Server(const Limits& limits, const BlockTree& tree, const BlockStore& store, PeerTable& peers,
         CommandQueue& commands, Stats& stats);

  // The peer is there. False: the peer broke the protocol and is to be charged (it was answered).
  bool ask(Peer& peer, IncomingByRoot request);
  bool ask(Peer& peer, const IncomingByRange& request);
  bool ask(Peer& peer, const IncomingByHead& request);
  void written(const ResponseWritten& event);
  void cancel(PeerHandle peer, ServeId serve);
  void peer_down(PeerHandle peer);

  // Emits chunks, up to the limits of a turn.
  void pump(MonoTime now);
  // When a token bucket has its next block; never() if none is waited for.
  MonoTime deadline() const { return deadline_; }
  size_t size() const { return serves_.size(); }

 private:
  using Key = std::pair<PeerHandle, ServeId>;
  struct Serve {
    std::vector<Root> roots;  // what is still to be sent begins at `next`
    size_t next = 0;
    bool in_order = false;  // a range: ends at the first block that is not here
    uint32_t room = 0;      // chunks that the transport takes
    uint32_t sent = 0;
    uint64_t bytes = 0;
  };
  bool admit(Peer& peer, ServeId serve);
  void start(Peer& peer, ServeId id, std::vector<Root> roots, bool in_order);
  void refuse(PeerHandle peer, ServeId serve, ResponseCode code, std::string_view text);
  // Sends the next chunk, or the end. True: there may be more to send now.
  bool step(const Key& key, Serve& serve, MonoTime now);
  void end(const Key& key);
  // Of the peer's bucket and of the common one; both or none.
  bool take_token(Peer& peer, MonoTime now);

  const Limits& limits_;
  const BlockTree& tree_;
  const BlockStore& store_;
  PeerTable& peers_;
  CommandQueue& commands_;
  Stats& stats_;
  TokenBucket bucket_;  // of all peers
  std::map<Key, Serve> serves_;
  Key last_{};  // who was served last
  MonoTime deadline_ = MonoTime::never();
};

}  // namespace beamline::chain
