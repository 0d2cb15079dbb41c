// What the chain core counted since it was made: each limit, each drop with its reason, and what
// the transfers cost.
#pragma once

#include <array>
#include <cstdint>

#include "chain/commands.h"

namespace beamline::chain {

struct Stats {
  // Blocks by way of arrival, and what became of them.
  uint64_t gossip_blocks = 0;
  std::array<uint64_t, kGossipReasons> verdicts{};  // by GossipReason
  uint64_t own_blocks = 0;
  uint64_t own_refused = 0;              // no parent, not after it, too early, or known
  uint64_t fetched_bodies = 0;           // whole, valid blocks that answers brought
  uint64_t fetched_bodies_by_range = 0;  // of those
  uint64_t fetched_twice = 0;            // of those, the ones that we had already
  uint64_t imported = 0;
  uint64_t imported_by_gossip = 0;
  uint64_t imported_by_root = 0;
  uint64_t imported_by_range = 0;
  uint64_t orphans = 0;  // blocks that came before their parent
  uint64_t head_changes = 0;
  uint64_t reorgs = 0;

  uint64_t justified_changes = 0;
  uint64_t finalized_changes = 0;

  // Votes.
  uint64_t gossip_votes = 0;
  uint64_t own_votes = 0;
  uint64_t votes_in_blocks = 0;
  std::array<uint64_t, kVoteResults> votes{};  // by VoteResult, when they were applied
  uint64_t votes_pending = 0;                  // kept until their block came
  uint64_t votes_refused = 0;                  // the sender had its share of the buffer
  uint64_t votes_evicted = 0;                  // Limits::votes_waiting
  uint64_t votes_pending_evicted = 0;          // Limits::votes_pending
  uint64_t votes_pending_expired = 0;          // Limits::votes_pending_slots
  uint64_t fork_choice_refused = 0;  // blocks that the fork choice did not take, and other words

  // Requests.
  uint64_t requests_by_root = 0;
  uint64_t roots_requested = 0;
  uint64_t requests_by_range = 0;
  uint64_t slots_requested = 0;
  uint64_t requests_data = 0;
  uint64_t data_requested = 0;  // blobs or columns
  uint64_t data_received = 0;
  uint64_t data_verified = 0;
  uint64_t data_invalid = 0;
  uint64_t data_asked_again = 0;     // the client could not use what came
  uint64_t data_postponed = 0;       // flushes: Limits::data_in_verification
  uint64_t blocks_without_data = 0;  // that waited for theirs
  uint64_t data_refused = 0;         // Limits::data_per_block, or indices that do not rise
  uint64_t requests_ended = 0;
  uint64_t requests_failed = 0;  // broken, refused or wrong
  uint64_t send_failures = 0;    // Fault::local
  uint64_t progress_timeouts = 0;
  uint64_t total_timeouts = 0;
  uint64_t windows_cut = 0;           // Limits::window_bytes
  uint64_t flushes_without_peer = 0;  // roots were ready and no peer could be asked
  uint64_t flushes_gathered = 0;      // roots waited because a request was in flight

  // Pending roots that were given up, by reason.
  uint64_t given_up_attempts = 0;
  uint64_t given_up_depth = 0;
  uint64_t given_up_below_anchor = 0;
  uint64_t given_up_orphan_gone = 0;
  uint64_t given_up_peer_gone = 0;
  uint64_t given_up_invalid = 0;
  uint64_t pending_refused = 0;  // Limits::pending_roots

  // Cached blocks that were dropped, by reason.
  uint64_t cache_refused = 0;  // Limits::cached_*
  uint64_t cache_evicted = 0;
  uint64_t dropped_with_root = 0;  // their missing ancestor was given up
  uint64_t dropped_invalid = 0;
  uint64_t dropped_invalid_ancestor = 0;
  uint64_t dropped_below_anchor = 0;
  uint64_t dropped_final = 0;  // they conflict with what is final
  uint64_t tree_refused = 0;   // Limits::tree_blocks, and nothing may be forgotten
  uint64_t dropped_import_retries = 0;
  uint64_t future_kept = 0;
  uint64_t future_refused = 0;  // Limits::future_blocks, future_per_peer, future_slots
  uint64_t invalid_hits = 0;    // bytes that had been found invalid came again

  // Peers.
  uint64_t peers_refused = 0;  // Limits::peers
  uint64_t stale_events = 0;   // of an older generation, or of a peer that is not there
  uint64_t late_chunks = 0;    // of a request that is over
  uint64_t charges = 0;
  uint64_t disconnects = 0;

  // Serving.
  uint64_t served_requests = 0;
  uint64_t served_chunks = 0;
  uint64_t served_bytes = 0;
  uint64_t serves_refused = 0;    // Limits::serves, serves_per_peer
  uint64_t serves_invalid = 0;    // count 0, or more than Limits::serve_blocks
  uint64_t serves_throttled = 0;  // turns in which a token bucket was empty
  uint64_t serves_cut = 0;        // Limits::serve_bytes
  uint64_t served_from_disk = 0;  // chunks, of those
  uint64_t serves_broken = 0;     // ranges that ended where a block is not the next one's parent
  uint64_t reads = 0;             // of the store on disk
  uint64_t reads_failed = 0;
  uint64_t reads_waited = 0;  // Limits::reads_in_flight

  // The store.
  uint64_t persists = 0;
  uint64_t persisted = 0;         // acknowledged
  uint64_t persist_failures = 0;  // told by the store; it tries again
  uint64_t persist_pauses = 0;    // turns in which imports waited for it
  uint64_t restored = 0;          // blocks taken from it at the start
  uint64_t restore_refused = 0;   // blocks of it that the fork choice does not take
  uint64_t archived = 0;          // left the tree for lack of room, and are served from the store
  uint64_t archive_cuts = 0;      // Limits::archive_slots
  uint64_t states_dropped = 0;    // of the store: older than any that is needed

  uint64_t tree_pruned = 0;
  uint64_t store_evicted = 0;
  uint64_t events_refused = 0;     // Limits::commands
  uint64_t commands_deferred = 0;  // work put off to the next turn for the same reason
  uint64_t commands_peak = 0;
};

}  // namespace beamline::chain
