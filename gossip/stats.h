// What a router did, dropped and refused, by reason. Counters only grow.
#pragma once

#include <cstdint>

namespace beamline::gossip {

struct Stats {
  // Input.
  uint64_t bytes_in = 0;
  uint64_t rpcs_in = 0;
  uint64_t bad_rpcs = 0;            // malformed or over a limit; the stream ended
  uint64_t frames_oversize = 0;     // declared more than max_rpc
  uint64_t frames_over_budget = 0;  // refused by max_partial_bytes
  uint64_t frames_timed_out = 0;
  uint64_t graylisted_rpcs = 0;  // ignored, the sender's score is too low
  // Messages.
  uint64_t messages_in = 0;
  uint64_t messages_new = 0;
  uint64_t duplicates = 0;
  uint64_t duplicates_by_bytes = 0;  // of them, recognised before decompression
  uint64_t accepted = 0;
  uint64_t ignored = 0;
  uint64_t forgotten = 0;  // there was no room to judge them
  uint64_t rejected = 0;
  uint64_t stale_verdicts = 0;
  uint64_t validation_timeouts = 0;
  uint64_t validation_full = 0;  // dropped, not remembered as seen
  uint64_t signed_messages = 0;  // StrictNoSign: from, seqno, signature or key present
  uint64_t unknown_topic = 0;    // not registered, or we are not subscribed
  uint64_t missing_topic = 0;
  uint64_t oversize_compressed = 0;
  uint64_t oversize_payload = 0;  // declared length over the topic's bound: bombs
  uint64_t bad_snappy = 0;
  uint64_t forwarded = 0;         // queued, per peer
  uint64_t published = 0;         // own messages
  uint64_t published_copies = 0;  // queued, per peer
  uint64_t suppressed_by_idontwant = 0;
  uint64_t senders_not_recorded = 0;  // of a message in validation, beyond what a record holds
  // Control.
  uint64_t grafts_in = 0;
  uint64_t grafts_unknown_topic = 0;
  uint64_t grafts_in_backoff = 0;
  uint64_t grafts_flood = 0;
  uint64_t grafts_low_score = 0;
  uint64_t grafts_mesh_full = 0;
  uint64_t grafts_unsubscribed = 0;
  uint64_t prunes_in = 0;
  uint64_t backoffs_clamped = 0;
  uint64_t px_ignored = 0;  // peer records in PRUNE; we do not dial them
  uint64_t graft_prune_excess = 0;
  uint64_t ihave_in = 0;
  uint64_t ihave_excess_messages = 0;
  uint64_t ihave_excess_ids = 0;  // not asked for; a whole IHAVE that is not read counts once
  uint64_t ihave_low_score = 0;
  uint64_t iwant_in = 0;
  uint64_t iwant_excess_ids = 0;
  uint64_t iwant_unknown = 0;
  uint64_t iwant_retransmissions_refused = 0;
  uint64_t iwant_low_score = 0;
  uint64_t iwant_served = 0;
  uint64_t iwant_ids_sent = 0;
  uint64_t broken_promises = 0;
  uint64_t promises_full = 0;
  uint64_t idontwant_in = 0;
  uint64_t idontwant_excess = 0;
  uint64_t bad_ids = 0;  // ids that are not 20 bytes
  uint64_t grafts_out = 0;
  uint64_t prunes_out = 0;
  uint64_t opportunistic_grafts = 0;
  uint64_t ihave_out = 0;
  uint64_t idontwant_out = 0;
  uint64_t extensions_ignored = 0;
  // Subscriptions of peers.
  uint64_t subscriptions_unknown = 0;  // to topics that we did not register
  uint64_t subscriptions_over_cap = 0;
  uint64_t subscriptions_excess = 0;  // changes beyond the limit per heartbeat
  // Output and bounds.
  uint64_t bytes_out = 0;
  uint64_t frames_out = 0;
  uint64_t dropped_forwards = 0;
  uint64_t dropped_publishes = 0;
  uint64_t dropped_control = 0;
  uint64_t seen_evicted = 0;    // before its time, by max_seen
  uint64_t stored_evicted = 0;  // from the message cache, before its time
  uint64_t heartbeats = 0;
  uint64_t heartbeats_skipped = 0;  // the caller came later than a whole interval
  uint64_t retained_evicted = 0;
};

}  // namespace beamline::gossip
