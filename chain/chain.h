// The chain core: the one owner of the block tree, the blocks that wait, and what is asked of whom.
//
// Sans-IO and deterministic: the same events at the same times give the same commands. Used by one
// thread at a time. A turn of the reactor is:
//
//   while (event) chain.handle(now, std::move(event));
//   chain.end_of_turn(now);                  // imports, the flush, range windows, serving
//   while (auto command = chain.poll_command()) carry_out(*command);
//   wait for an event, at most until chain.poll_timeout(), then again with Tick if none came
//
// Promises:
//  1. A body that arrived whole and valid is not asked for again while it is known or cached.
//  2. A root that is wanted stays so until its block arrives or it is given up with a reason.
//  3. What is ready at the end of a turn leaves in one request to one peer, up to the limit.
//  4. Each GossipBlock and GossipVote that was taken gets exactly one GossipVerdict.
//  5. Nothing grows beyond Limits; what is dropped is counted in Stats.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "chain/block_cache.h"
#include "chain/block_store.h"
#include "chain/block_tree.h"
#include "chain/command_queue.h"
#include "chain/commands.h"
#include "chain/events.h"
#include "chain/flush.h"
#include "chain/fork_choice.h"
#include "chain/invalid_cache.h"
#include "chain/limits.h"
#include "chain/peer_table.h"
#include "chain/pending_parents.h"
#include "chain/range_sync.h"
#include "chain/request_table.h"
#include "chain/server.h"
#include "chain/stats.h"
#include "chain/store.h"
#include "chain/vote_buffer.h"

namespace beamline::chain {

struct ChainConfig {
  // accept: a block whose parent is imported and whose slot is higher is imported at once.
  // ask: ImportBlock goes out and ImportVerdict is awaited.
  enum class Import : uint8_t { accept, ask };

  BlockInfo anchor;  // genesis or checkpoint; its bytes may be empty (then it is not served)
  WallTime genesis_time{};
  Duration slot_duration = seconds(12);
  Import import = Import::accept;
  // Whether Persist goes out; it must be answered by Persisted.
  bool persist = false;
  // Whether ReadBlocks goes out, for what peers ask and memory does not have; it must be answered
  // by BlocksRead.
  bool read_store = false;
  bool range_sync = true;  // off: by root only (for measurements)
  Limits limits;
};

class Chain {
 public:
  // Takes the store, or makes a MemoryStore of `limits.store_bytes`; and the fork choice, which
  // knows the anchor, or makes a HighestSlot.
  explicit Chain(ChainConfig config, std::unique_ptr<BlockStore> store = nullptr,
                 std::unique_ptr<ForkChoice> fork_choice = nullptr);
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Takes an event. Error{full}: the commands must be polled first; the event is as it was, and may
  // be given again.
  Status handle(const Now& now, Event&& event);
  // Takes what a store held, whose anchor is ours. Before the first event. The fork choice began at
  // the anchor, or above it on the head's chain (Recovered::final_block()): what lies below it is
  // history, to be served. Blocks that the fork choice does not take are left out. Errors: mismatch
  // (the fork choice began elsewhere), unexpected (blocks of the future: the clock is wrong), full.
  Status restore(const Now& now, Recovered&& found);
  // The end of a turn: deadlines, imports, the flush, range windows, serving.
  void end_of_turn(const Now& now);
  // The next command, in order; nothing if there is none.
  std::optional<Command> poll_command() { return commands_.pop(); }
  // The same for the store, all at once, in order; only if ChainConfig::persist.
  std::deque<Persist> take_persists() { return std::exchange(persists_, {}); }
  // What is to be read from the store, in order; only if ChainConfig::read_store.
  std::deque<ReadBlocks> take_reads() { return server_.take_reads(); }
  // When to call again with Tick if nothing else happens; never() if there is no such time. Valid
  // after end_of_turn() and until the next event.
  MonoTime poll_timeout() const { return next_deadline_; }

  // As the fork choice had it at the end of the last turn.
  BlockTree::Tip head() const { return tree_.head(); }
  // Where the tree began: genesis or the checkpoint block that was trusted.
  const BlockInfo& anchor() const { return config_.anchor; }
  // The slot of the wall clock; 0 before genesis.
  Slot current_slot(WallTime wall) const;

  const BlockTree& tree() const { return tree_; }
  const BlockCache& cache() const { return cache_; }
  const PendingParents& pending() const { return pending_; }
  const RequestTable& requests() const { return requests_; }
  const PeerTable& peers() const { return peers_; }
  const RangeSync& range() const { return range_; }
  const BlockStore& store() const { return *store_; }
  const ForkChoice& fork_choice() const { return *fork_choice_; }
  const Limits& limits() const { return config_.limits; }
  const Stats& stats();
  // What waits, besides what the parts above tell.
  size_t imports_in_flight() const { return imports_.size(); }
  size_t future_blocks() const { return future_.size(); }
  size_t data_in_verification() const { return verifying_data_.size(); }
  size_t serves() const { return server_.size(); }
  size_t commands() const { return commands_.size(); }
  // Nothing is wanted, in flight or waiting.
  bool idle() const;

 private:
  // Roots are passed by value to what erases: a reference could lie in what goes.
  using State = CachedBlock::State;
  enum class Take : uint8_t { taken, known, invalid, refused };

  // chain.cc: events of peers and time.
  void on(const Now& now, PeerUp&& event);
  void on(const Now& now, PeerDown&& event);
  void on(const Now& now, PeerStatus&& event);
  void on(const Now& now, IncomingByRoot&& event);
  void on(const Now& now, IncomingByRange&& event);
  void on(const Now& now, IncomingByHead&& event);
  void on(const Now& now, ResponseWritten&& event);
  void on(const Now& now, IncomingCancelled&& event);
  void on(const Now& now, Tick&& event);
  Peer* live_peer(PeerHandle handle);
  void remove_peer(const Now& now, PeerHandle handle);
  void charge(PeerHandle handle, Conduct conduct);
  void reward(PeerHandle handle);
  void set_deadline(const Now& now);
  WallTime slot_start(Slot slot) const;
  MonoTime future_deadline(const Now& now) const;

  // chain_gossip.cc: checks without the signature, and the buffer of near-future blocks.
  void on(const Now& now, GossipBlock&& event);
  void on(const Now& now, OwnBlock&& event);
  std::optional<GossipReason> refuse_gossip(const BlockInfo& block) const;
  bool is_future(const Now& now, Slot slot) const;
  // Says what becomes of the message, and charges its sender for a reject.
  void give_verdict(PeerHandle sender, VerdictId id, GossipReason reason);
  void settle_verdict(CachedBlock& block, GossipReason reason);
  void keep_for_later(const Now& now, GossipBlock&& event);
  void note_offer(const GossipBlock& event);
  bool make_future_room(PeerHandle sender);
  void release_future(const Now& now);

  // chain_import.cc: from the cache into the tree.
  void on(const Now& now, ImportVerdict&& event);
  // Takes a block in: into the cache, and its parent into the pending set if that is missing.
  Take take(const Now& now, CachedBlock incoming);
  bool make_room(const CachedBlock& incoming);
  bool knows(const Root& root) const;
  bool is_connected(const Root& root) const;
  PendingRoot* want(const Now& now, const PendingParents::Want& want);
  void want_parent(const Now& now, const CachedBlock& child);
  void reject_early_children(const BlockInfo& parent);
  void connect_descendants(const Root& root);
  void disconnect_descendants(const Root& root);
  void import_ready(const Now& now);
  void drop_left_behind(Root root);
  void start_import(CachedBlock& block);
  void finish_import(const Now& now, Root root, const PostState& post, SharedBytes state);
  bool make_tree_room();
  void delay_import(const Now& now, CachedBlock& block);
  void retry_delayed(const Now& now);
  void reject_bytes(const Now& now, Root root);
  void want_again(const Now& now, const CachedBlock& wrong);
  void reject_block(Root root, GossipReason reason);
  void reject_payload(Root root);
  void condemn(Root root, InvalidCache::Why why);
  // Takes a block out of the cache unimported. Its parent may be wanted no more.
  void drop(Root root, GossipReason reason);
  void erase_cached(Root root);
  void drop_descendants(Root root, GossipReason reason, uint64_t& counter);
  Slot reached() const;

  // chain_head.cc: what the fork choice is told, and what follows from it.
  void on(const Now& now, JustifiedBalances&& event);
  void on(const Now& now, Equivocation&& event);
  void on(const Now& now, PayloadVerdict&& event);
  Status tell_block(const CachedBlock& cached, const PostState& post);
  void update_head();
  void say_head(const BlockTree::Tip& before);
  void say_checkpoints();
  void forget_final();
  void forget(const std::vector<Root>& removed, GossipReason reason);
  void drop_waiting(Root root, GossipReason reason);
  Slot floor() const;
  MonoTime fork_choice_deadline(const Now& now) const;

  // chain_votes.cc: votes from the mesh and from the client.
  void on(const Now& now, GossipVote&& event);
  void on(const Now& now, OwnVote&& event);
  void on(const Now& now, VoteVerdict&& event);
  void offer_vote(const Now& now, HeldVote&& held);
  std::optional<GossipReason> refuse_vote(const Now& now, const Vote& vote) const;
  void settle_verdict(HeldVote& held, GossipReason reason);
  void queue_vote(VoteBuffer& buffer, HeldVote&& held);
  void release_votes(const Now& now, const Root& head);
  void take_block_votes(const ImportVerdict& verdict);
  void verify_votes();
  void apply_votes(const Now& now);
  void apply_vote(HeldVote&& held);

  // chain_store.cc: what is said to the store.
  void on(const Now& now, Persisted&& event);
  void on(const Now& now, PersistFailed&& event);
  void on(const Now& now, BlocksRead&& event);
  Status restore_block(StoredBlock&& stored, const std::set<Root>& history);
  void stage_block(const CachedBlock& cached, const PostState& post, SharedBytes state);
  void stage_forgotten(Root root, Slot slot, bool was_canonical);
  void stage_old_states();
  void set_oldest(Slot slot);
  void stage_head(const BlockTree::Tip& head);
  bool store_is_behind() const;
  void persist();

  // chain_fetch.cc: answers to our requests, the flush, giving up.
  void on(const Now& now, ChunkReceived&& event);
  void on(const Now& now, TransferProgress&& event);
  void on(const Now& now, RequestEnded&& event);
  void on(const Now& now, RequestFailed&& event);
  Request* live_request(PeerHandle peer, RequestId id);
  // How a request ended: in order; failed with an error; or aborted by us for the peer's conduct.
  struct Ending {
    std::optional<Error> error;
    std::optional<Conduct> conduct;
    bool in_order() const { return !error && !conduct; }
    bool was_sent() const { return !error || error->fault != Fault::local; }
  };
  void end_request(const Now& now, RequestId id, const Ending& ending);
  void abort_request(const Now& now, RequestId id, const Ending& ending);
  void judge(const Now& now, const Request& request, const Ending& ending);
  void expire_requests(const Now& now);
  void return_roots(const Now& now, const Request& request, const Ending& ending);
  void give_up(Root root, GiveUp reason);
  bool others_than(PeerHandle peer) const;
  void flush(const Now& now);
  bool send_ready(const Now& now);
  Peer* choose_for(const Now& now, const PendingRoot& root, const std::vector<PeerHandle>& used);
  void send_by_root(const Now& now, Peer& peer, const std::vector<PendingRoot*>& batch);

  // chain_data.cc: blobs and columns that blocks wait for.
  void on(const Now& now, SidecarReceived&& event);
  void on(const Now& now, DataAvailable&& event);
  void on(const Now& now, DataVerdict&& event);
  void want_data(const Now& now, CachedBlock& block, std::vector<uint64_t>&& missing);
  void want_again(CachedBlock& block, uint64_t index, PeerHandle from);
  void refuse_data_of(const Root& block_root, PeerHandle peer);
  bool may_ask_for_data();
  void data_arrived(CachedBlock& block);
  void send_data(const Now& now, Peer& peer, const std::vector<PendingRoot*>& batch);

  // chain_range.cc: gaps.
  void route_pending(const Now& now);
  bool wants_range(const PendingRoot& root, Slot from) const;
  bool by_root_in_flight_above(Slot slot) const;
  void plan_range(const std::vector<PendingRoot*>& roots);
  void end_window(const Now& now, const Request& request, const Ending& ending);
  void send_windows(const Now& now);
  Peer* choose_for(const Now& now, RangeSync::Window& window);

  ChainConfig config_;
  Stats stats_;
  CommandQueue commands_;
  std::unique_ptr<BlockStore> store_;
  std::unique_ptr<ForkChoice> fork_choice_;
  BlockTree tree_;
  BlockCache cache_;
  InvalidCache invalid_;
  PendingParents pending_;
  Flush flush_;
  PeerTable peers_;
  RequestTable requests_;
  RangeSync range_;
  Server server_;
  std::map<ImportId, Root> imports_;
  ImportId next_import_ = 1;
  std::set<std::pair<MonoTime, Root>> delayed_;  // blocks that wait to be asked about again
  std::map<std::tuple<Slot, Root, PeerHandle>, GossipBlock> future_;
  VoteBuffer votes_to_verify_;
  VoteBuffer votes_to_apply_;
  VoteBuffer early_votes_;  // that count when their slot is over
  PendingVotes pending_votes_;
  struct HeldData {
    PeerHandle sender;
    Root block_root;
    uint64_t index = 0;
    uint64_t bytes = 0;
  };
  std::map<DataId, HeldData> verifying_data_;
  DataId next_data_ = 1;
  uint64_t verifying_data_bytes_ = 0;
  std::map<VoteId, HeldVote> verifying_;  // without the vote itself
  VoteId next_vote_ = 1;
  Slot early_slot_ = 0;    // up to which early votes were looked through
  size_t early_left_ = 0;  // of them, in this slot
  Checkpoint justified_;   // that was said
  Checkpoint finalized_;
  std::vector<Root> removed_;  // scratch
  MonoTime next_deadline_ = MonoTime::never();
  // What route_pending() saw last: nothing to do while it is the same.
  uint64_t routed_pending_ = 0;
  uint64_t routed_range_ = 0;
  Slot routed_reached_ = 0;
  Persist staged_;                // what changed since the last one left
  std::deque<Persist> persists_;  // for the integrator
  PersistId next_persist_ = 1;
  PersistId persisted_ = 0;
  std::set<std::pair<Slot, Root>> stored_states_;
  Slot oldest_ = 0;        // that the store serves
  MonoTime now_{};         // of the event or turn that is handled
  bool deferred_ = false;  // work was left because the command queue is nearly full
};

}  // namespace beamline::chain
