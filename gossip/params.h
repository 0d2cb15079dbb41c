// The parameters of a router: the protocol's own, with the values of the Ethereum consensus
// networks, and the limits that keep hostile peers from growing it.
// Sources: gossipsub v1.0, v1.1, v1.2 (libp2p/specs); consensus-specs phase0/p2p-interface.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "gossip/score.h"

namespace beamline::gossip {

struct Params {
  // Mesh degree: aimed at, bounds, kept by score, kept outbound.
  size_t d = 8;
  size_t d_low = 6;
  size_t d_high = 12;
  size_t d_score = 4;
  size_t d_out = 2;
  // Gossip (IHAVE) goes to at least d_lazy peers, or this share of those outside the mesh.
  size_t d_lazy = 6;
  size_t gossip_percent = 25;

  Duration heartbeat = milliseconds(700);
  Duration fanout_ttl = seconds(60);
  size_t history_length = 6;  // heartbeats that a message can be asked for
  size_t history_gossip = 3;  // heartbeats that it is advertised
  Duration seen_ttl = seconds(768);
  bool flood_publish = true;  // own messages go to every subscriber, not only the mesh

  Duration prune_backoff = seconds(60);
  Duration unsubscribe_backoff = seconds(10);
  Duration max_backoff = seconds(3600);  // what a peer asks beyond it is clamped
  Duration graft_flood = seconds(10);    // a GRAFT this soon after a PRUNE is charged twice
  uint64_t opportunistic_graft_beats = 60;
  size_t opportunistic_graft_peers = 2;

  // Per peer and heartbeat, unless said otherwise.
  size_t max_ihave_messages = 10;
  size_t max_ihave_ids = 5000;       // asked for, in all
  size_t max_iwant_ids = 5000;       // answered or looked up, in all
  size_t iwant_retransmissions = 3;  // answers per message and peer
  Duration iwant_followup = seconds(3);
  size_t max_idontwant_messages = 10;
  size_t max_idontwant_ids = 1000;
  size_t idontwant_size = 1024;  // compressed bytes from which we send IDONTWANT
  uint64_t idontwant_beats = 3;  // how long a peer's IDONTWANT holds
  size_t max_graft_prune = 1024;
  size_t max_subscription_changes = 2048;

  // Sizes in bytes (consensus-specs: MAX_PAYLOAD_SIZE, max_compressed_len, max_message_size).
  size_t max_payload = 10'485'760;
  size_t max_compressed = 12'233'418;
  size_t max_rpc = 12'234'442;
  size_t max_messages_per_rpc = 5000;

  // The router's own bounds.
  size_t max_peers = 16'384;         // PeerIndex is below it
  size_t max_topics = 1024;          // registered by us
  size_t max_topics_per_peer = 512;  // remembered subscriptions
  size_t max_seen = 1 << 18;         // ids, about 80 bytes each
  size_t max_stored = 1 << 14;       // messages being validated or in the message cache
  size_t max_stored_bytes = 256 << 20;
  size_t max_validating = 4096;
  Duration validation_timeout = seconds(30);  // no verdict by then counts as ignore
  size_t max_partial_bytes = 128 << 20;       // of frames half received, all peers together
  Duration frame_timeout = seconds(60);       // a frame that takes longer ends its stream
  size_t max_queue_bytes = 16 << 20;          // messages queued to one peer
  size_t max_control_bytes = 1 << 20;         // control queued to one peer
  size_t max_promises = 4096;                 // tracked IWANTs, all peers together
  size_t max_retained = 1024;                 // scores and backoffs of peers that left
  Duration retain = seconds(3600);

  ScoreParams score;
};

}  // namespace beamline::gossip
