// Every limit of the chain core, with its default. Each has a counter in chain/stats.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace beamline::chain {

struct Limits {
  // Requests that we send.
  uint32_t roots_per_request = 1024;  // leanSpec and zeam; phase0 MAX_REQUEST_BLOCKS
  uint32_t requests_per_peer = 2;     // phase0 MAX_CONCURRENT_REQUESTS
  Duration flush_tick = milliseconds(100);
  Duration retry_first = milliseconds(250);  // doubles
  Duration retry_last = seconds(4);
  Duration progress_deadline = seconds(5);
  Duration total_deadline = seconds(120);

  // Pending parents.
  uint32_t pending_roots = 4096;
  uint32_t attempts_per_root = 24;  // answers or timeouts, not turns without a peer
  uint32_t depth = 512;             // of a walk by root

  // The data of blocks that wait for it.
  uint32_t data_per_block = 128;           // fulu NUMBER_OF_COLUMNS
  uint32_t data_per_request = 768;         // deneb MAX_REQUEST_BLOB_SIDECARS
  uint32_t data_blocks_per_request = 128;  // deneb MAX_REQUEST_BLOCKS_DENEB
  uint64_t data_bytes = 1u << 20;          // of one sidecar
  uint32_t data_in_verification = 4096;    // sidecars with the client; none is asked for then
  uint64_t data_bytes_in_verification = 256u << 20;

  // Range sync.
  uint64_t range_gap = 4;      // a gap of more slots than this is fetched by range
  uint64_t window_slots = 64;  // of the first windows; then by the size of blocks
  uint64_t window_slots_max = 128;
  uint64_t range_slots = 1024;  // in one request, where blocks are rare; phase0 MAX_REQUEST_BLOCKS
  uint64_t window_bytes = 8u << 20;  // what a window should bring; cut at twice that
  uint64_t range_ahead = 512;        // slots beyond the first window that is not complete
  uint32_t windows_in_flight = 8;    // over all peers

  // Blocks that are not imported yet.
  uint32_t cached_blocks = 1024;
  uint64_t cached_bytes = 256u << 20;
  uint32_t cached_per_peer = 512;  // by gossip; what we asked for is bounded by the asking
  uint32_t future_blocks = 64;
  uint32_t future_per_peer = 8;
  uint64_t future_slots = 2;                     // beyond this, a block of the future is not kept
  Duration clock_disparity = milliseconds(500);  // phase0 MAXIMUM_GOSSIP_CLOCK_DISPARITY
  uint32_t imports_in_flight = 64;
  uint32_t import_retries = 32;
  uint32_t invalid_blocks = 1024;

  // Votes. A buffer that is full lets the oldest go; a sender has an eighth of it.
  uint32_t votes_waiting = 16384;        // for verification, and as many to be applied
  uint32_t votes_pending = 4096;         // for a block that is not here
  uint64_t votes_pending_slots = 64;     // behind the clock: a vote for an older slot waits no more
  uint32_t votes_in_verification = 256;  // with the client
  uint32_t votes_per_turn = 4096;        // applied, whatever comes in: blocks are not starved

  uint32_t persists_in_flight = 256;  // turns that the store has not acknowledged
  // How far below the head the store keeps blocks that the tree has no room for:
  // phase0 MIN_EPOCHS_FOR_BLOCK_REQUESTS.
  uint64_t archive_slots = 33'024 * 32;

  // Peers.
  uint32_t peers = 256;
  int32_t score_start = 100;
  int32_t score_max = 200;
  int32_t score_reward = 10;
  int32_t score_penalty = 20;

  // The tree, the store in memory, and serving.
  uint32_t tree_blocks = 65536;
  uint64_t store_bytes = 1u << 30;
  uint32_t serves = 128;
  uint32_t serves_per_peer = 2;      // phase0 MAX_CONCURRENT_REQUESTS
  uint32_t serve_blocks = 1024;      // asked for in one request
  uint32_t serve_by_head = 128;      // fulu MAX_REQUEST_BLOCKS_DENEB
  uint64_t serve_bytes = 64u << 20;  // of one answer, after its first block
  uint32_t serve_window = 16;        // chunks ahead of ResponseWritten
  uint32_t serve_burst = 1024;       // token bucket of each peer, in blocks; > 0
  uint32_t serve_rate = 256;         // blocks a second; > 0
  uint32_t serve_burst_all = 8192;   // and of all peers together
  uint32_t serve_rate_all = 2048;
  uint32_t serve_per_turn = 64;  // chunks, over all answers
  uint32_t reads_in_flight = 4;  // of the store on disk, over all answers
  uint32_t read_blocks = 16;     // in one of them
  uint64_t read_bytes = 1u << 20;

  // Commands that wait for the integrator. An event is taken only while there is room for all that
  // it may cause at once.
  uint32_t commands = 8192;
};

}  // namespace beamline::chain
