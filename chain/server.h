// Answers what peers ask us: by root, by range along the head's chain, by head down from a block;
// from memory, and what is no longer there from the store on disk, if there is one. Streamed: a few
// chunks a turn, round robin over the answers, never further ahead of the transport than
// `serve_window`, and at the pace of two token buckets, the peer's and one for all. Not thread
// safe.
//
// Of the disk an answer reads a few blocks at a time (ReadBlocks, BlocksRead), when it has sent the
// ones before; a few answers read at once, in turns. Each block that is looked for costs a token,
// here or not. Below the lowest ancestor in memory an answer by head goes on, too. A range goes on
// across the seam of disk and memory only if each block is the parent of the next. What the disk
// cannot read ends the answer with a server error.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/time.h"
#include "chain/block_reads.h"
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
  // There is a store on disk, which has blocks of the head's chain from this slot on.
  void set_disk(Slot oldest) { disk_oldest_ = oldest; }
  // The reads that are wanted, in order.
  std::deque<ReadBlocks> take_reads() { return std::exchange(reads_, {}); }
  // False: nobody waits for it.
  bool on_read(BlocksRead&& read, MonoTime now);
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
    // Of a range: the slots that are on disk alone, before `roots`.
    Slot disk_from = 0;
    Slot disk_end = 0;
    std::vector<Root> roots;  // what is still to be sent begins at `next`
    size_t next = 0;
    // By head: behind `roots` so many more, on disk alone, from this one on down.
    Root below;
    uint64_t below_left = 0;
    bool in_order = false;        // ends at the first block that is not here
    bool linked = false;          // each block is the parent of the next
    std::deque<ReadBlock> ready;  // came from the disk; before the rest
    ReadId reading = 0;
    bool cut = false;   // behind `ready` nothing follows
    Root last;          // in the answer so far
    uint32_t room = 0;  // chunks that the transport takes
    uint32_t sent = 0;
    uint64_t bytes = 0;
  };
  bool admit(Peer& peer, ServeId serve);
  void start(Peer& peer, ServeId id, Serve serve);
  void refuse(PeerHandle peer, ServeId serve, ResponseCode code, std::string_view text);
  // Sends the next chunk or the end, or asks the disk. True: there may be more to do now.
  bool step(const Key& key, Serve& serve, MonoTime now);
  bool step_ready(const Key& key, Serve& serve);
  bool step_memory(const Key& key, Serve& serve, const BlockStore::Stored& stored, MonoTime now);
  bool step_disk(const Key& key, Serve& serve, MonoTime now);
  bool may_miss(const Serve& serve, size_t place) const;
  bool follows(const Serve& serve, const Root& parent) const;
  bool is_over(const Serve& serve, size_t size);
  void send(const Key& key, Serve& serve, Slot slot, const SharedBytes& bytes);
  void keep(Serve& serve, ReadBlock&& block);
  void keep_roots(Serve& serve, BlocksRead&& read);
  void keep_below(Serve& serve, BlocksRead&& read);
  void end(const Key& key);
  // Of the peer's bucket and of the common one; both or none.
  bool take_tokens(Peer& peer, uint32_t tokens, MonoTime now);

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
  std::optional<Slot> disk_oldest_;
  std::deque<ReadBlocks> reads_;
  ReadId next_read_ = 1;
  std::map<ReadId, Key> reading_;
};

}  // namespace beamline::chain
