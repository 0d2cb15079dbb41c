/* The C ABI of Beamline's chain core: a client embeds it beside a network of its own.
 * (lint: allow(file-size): one header, which an embedder's tools read and install alone.)
 *
 * The core is one thread that owns the chain: block tree, head, block cache, what is asked of whom.
 * Your threads push events (a gossip message, a chunk of an answer, a peer that came or went, a
 * request of a peer, a verdict); no push waits for the core, none takes a lock. What the core wants
 * done comes back as commands: in a queue with a file descriptor that any event loop can poll, or
 * through a callback on a thread of the library's. It opens no socket.
 *
 * Rules for all of it:
 *
 *  1. Structs. Each struct that a function takes or fills begins with `size` and `version`: set
 *     them to sizeof the struct and BL_VERSION. Later versions append fields; those that your
 *     `size` does not reach are zero, which is always the default. `reserved` is zero. Zero a
 *     struct before you fill it. bl_peer and bl_root are values without versions.
 *  2. Errors. Functions that can fail return one of BL_OK, BL_FULL, ... Anything but BL_OK
 *     means that nothing was taken: arguments, bytes and references are yours as before. No C++
 *     exception and no longjmp leaves the library. When memory is out it returns BL_NO_MEMORY where
 *     nothing was begun yet, and else aborts. A null handle, a null pointer that is not called
 *     optional, a wrong size or version: BL_INVALID_ARGUMENT.
 *  3. Threads. "Any thread": at any time. "Owner": one thread at a time, which the caller sees to.
 *     "Producer": one thread at a time per bl_producer; each of your threads that pushes has one of
 *     its own. Two threads at once on one producer abort the process where the library sees it.
 *  4. Bytes that you pass are borrowed until the call returns, unless a `release` function comes
 *     with them (see bl_bytes). A producer may free what it pushed as soon as push returned.
 *  5. Order. If push A returned before push B began, A is applied first, across your threads; but
 *     votes may be applied before or after blocks and control events that were pushed beside them.
 *     Whatever was pushed for a peer before its bl_push_peer_down is applied before it; what is
 *     pushed for that generation of the peer later is dropped and counted. The chunks, the end and
 *     the failure of one request keep their order.
 *  6. Limits. Each producer has room for so many events and bytes of each class under way
 *     (bl_producer_options); beyond that a push says BL_FULL, at once, and counts it. Votes have
 *     room of their own: a flood of them does not take that of blocks and control events. If you do
 *     not take the commands, the core stops to take events, and pushes say BL_FULL; nothing is
 *     lost.
 *
 * Written so that C11, C++, Zig's @cImport, bindgen and ctypes read it alike: fixed-width types, no
 * bit-fields, no macros but constants.
 */
#ifndef BEAMLINE_H
#define BEAMLINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the structs and functions here. Rises when something is appended. */
#define BL_VERSION 3

/* ---- Handles and values */

typedef struct bl_core bl_core;         /* the chain and its thread */
typedef struct bl_producer bl_producer; /* one thread's way to push events into a core */

/* A block root or another 32-byte hash. */
typedef struct bl_root {
  uint8_t bytes[32];
} bl_root;

/* A peer, as you number it. An index may be used again when its peer has gone, with a higher
 * generation: the pair never means two peers. */
typedef struct bl_peer {
  uint32_t index;
  uint32_t generation;
} bl_peer;

/* Bytes on their way in. Without `release` they are borrowed until the call returns. With it, a
 * call that returns BL_OK has taken them: the library calls release(context, data, size) once, when
 * it needs them no more. That is within this call or a later call of a bl_ function with the
 * same core or one of its producers, on the thread of that call; never on the core's thread. A call
 * that returns anything else has not taken them. */
typedef struct bl_bytes {
  const uint8_t* data;
  size_t size;
  void (*release)(void* context, const uint8_t* data, size_t size); /* optional */
  void* context;                                                    /* optional */
} bl_bytes;

/* ---- Results */

#define BL_OK 0
/* No room for an event of this class, in the producer. Nothing was taken, it was counted; retry
 * when commands were taken or a moment has passed. */
#define BL_FULL 1
/* The core was stopped. */
#define BL_CLOSED 2
/* A misuse, or a value that no peer can cause: see bl_last_error. */
#define BL_INVALID_ARGUMENT 3
/* The bytes do not decompress or decode: whoever sent them is at fault. See bl_last_error. */
#define BL_MALFORMED 4
/* A topic, fork or encoding that this core does not take. */
#define BL_UNSUPPORTED 5
/* The queue of commands is empty. */
#define BL_EMPTY 6
#define BL_NO_MEMORY 7
/* The system refused: a thread, io_uring and epoll, a file descriptor. */
#define BL_SYSTEM 8
/* A fault of the library's. Please report it. */
#define BL_INTERNAL 9

/* "BL_FULL"; "unknown" for other numbers. Any thread. The text is static. */
const char* bl_result_name(int32_t result);

/* BL_VERSION of the library, which may be later than your header's. Any thread. */
uint32_t bl_version(void);

/* ---- Core */

#define BL_CHAIN_BEACON 1 /* eth2: SignedBeaconBlock, /eth2/<digest>/<name>/ssz_snappy */
#define BL_CHAIN_LEAN 2   /* lean: SignedBlock, /leanconsensus/<network>/<name>/ssz_snappy */

#define BL_PRESET_DEFAULT 0 /* mainnet; prod for lean */
#define BL_PRESET_MINIMAL 1 /* minimal; test for lean */

/* How a block whose parent is imported is imported itself. */
#define BL_IMPORT_ACCEPT 0  /* at once: for tests, and where the sender is trusted */
#define BL_IMPORT_ASK 1     /* BL_COMMAND_IMPORT asks you; you answer with bl_push_import_verdict */
#define BL_IMPORT_WORKERS 2 /* verify_block and import_block are called on worker threads */

#define BL_BACKEND_AUTO 0 /* io_uring, or epoll where there is none */
#define BL_BACKEND_IO_URING 1
#define BL_BACKEND_EPOLL 2

/* Beacon forks, in their order. */
#define BL_FORK_PHASE0 0
#define BL_FORK_ALTAIR 1
#define BL_FORK_BELLATRIX 2
#define BL_FORK_CAPELLA 3
#define BL_FORK_DENEB 4
#define BL_FORK_ELECTRA 5
#define BL_FORK_FULU 6

/* Who decides on the head.
 *
 * HIGHEST_SLOT: the tip of the highest slot, of equal ones the larger root. It needs nothing; only
 * the anchor is ever justified or final.
 *
 * BEACON, with BL_CHAIN_BEACON: LMD-GHOST as of fulu, with proposer boost, unrealised
 * justification, optimistic sync. Yours are
 *   - of each block: checkpoints, execution status, votes and slashed validators, by
 *     bl_push_import_result (BL_IMPORT_ASK) or import_block_result (BL_IMPORT_WORKERS); a bare
 *     verdict says that the block justifies nothing and has no payload;
 *   - votes: bl_push_gossip_vote, verified by BL_COMMAND_VERIFY_VOTE (not with BL_IMPORT_ACCEPT),
 *     and bl_push_own_vote;
 *   - balances: bl_push_justified_balances, of the anchor's checkpoint once the core is made, and
 *     then whenever BL_COMMAND_JUSTIFIED_CHANGED asks. Before the first no vote has weight;
 *   - bl_push_equivocation, and bl_push_payload_verdict for each payload that was optimistic.
 *
 * LEAN, with BL_CHAIN_LEAN and BL_IMPORT_WORKERS: 3SF-mini; the state transition runs inside, on
 * the workers, one block at a time, and keeps up to 1 GiB of states. It needs
 *   - anchor_state, and anchor_bytes unless the anchor is a genesis block. anchor_root, anchor_slot
 *     and genesis_time_ms follow from them: zero, or the same. slot_ms: 0 or 4,000;
 *   - verify_block: the proposer's signature and the proof over the block's votes, with the keys of
 *     the state's registry. Nothing of the block has been checked yet, its indices neither;
 *     import_block and import_block_result are null;
 *   - votes: as above, with head_slot, aggregate and proof; those of one validator have no weight
 *     in lean, and aggregates count from the next interval 0 or 4 on.
 * It follows: what to vote for, proposals and aggregation are not offered. */
#define BL_FORK_CHOICE_HIGHEST_SLOT 0
#define BL_FORK_CHOICE_BEACON 1
#define BL_FORK_CHOICE_LEAN 2

/* The first epoch of a fork. */
typedef struct bl_fork_epoch {
  uint64_t epoch;
  uint32_t fork; /* BL_FORK_* */
  uint32_t reserved;
} bl_fork_epoch;

struct bl_command;
struct bl_block;
struct bl_import_result;
struct bl_record;

typedef struct bl_core_options {
  uint32_t size;
  uint32_t version;
  uint32_t chain;           /* BL_CHAIN_* */
  uint32_t preset;          /* BL_PRESET_* */
  uint32_t import;          /* BL_IMPORT_* */
  uint32_t backend;         /* BL_BACKEND_* */
  uint64_t genesis_time_ms; /* Unix time */
  uint64_t slot_ms;         /* at least 1; 0: 12,000 (beacon), 4,000 (lean) */
  /* The block that the chain grows from, trusted: genesis or a checkpoint. Without bytes it is not
   * served to peers. */
  bl_root anchor_root;
  uint64_t anchor_slot;
  const uint8_t* anchor_bytes; /* optional; SSZ of the signed block */
  size_t anchor_size;
  /* Beacon: rising epochs, rising forks, the first at epoch 0. None: phase0 for ever. */
  const bl_fork_epoch* forks; /* optional */
  size_t fork_count;
  uint32_t roots_per_request; /* 1 to 1,024; 0: 1,024 */
  uint32_t no_range_sync;     /* 1: every missing block is asked for by root */
  uint32_t peers;             /* at most so many at once, up to 1,024; 0: 256 */
  uint32_t command_capacity;  /* commands that wait for you, 64 to 65,536; 0: 8,192 */
  /* Optional: each command is handed to it, one at a time, on a thread of the library's that does
   * nothing else. It may block (then commands wait) and may push, through a producer of its own;
   * it must not call bl_core_stop or bl_core_destroy. Without it, take them by bl_command_next. */
  void (*on_command)(void* context, const struct bl_command* command);
  void* on_command_context;
  /* With BL_IMPORT_WORKERS: called on threads of the library's, several at once, never on the
   * core's; they may take their time. Each gives a BL_VERDICT_*. `root`, `parent_root`, `slot`,
   * `proposer` and `signed_block` of the block mean something, until the return. verify_block
   * checks what needs no state but the validators'; then import_block runs the state transition,
   * its parent having been imported. import_block may be null. */
  uint32_t (*verify_block)(void* context, const struct bl_block* block);
  uint32_t (*import_block)(void* context, const struct bl_block* block);
  void* worker_context;
  uint32_t workers;     /* threads, 1 to 64; 0: 2 */
  uint32_t worker_jobs; /* blocks that wait for one, 1 to 4,096; 0: 64 */
  /* Since version 2. Instead of import_block: fills `result`, which is zeroed, as for
   * bl_push_import_result (but for `import` and `verdict`). What it points to is copied on the same
   * thread, before this is called again there. */
  uint32_t (*import_block_result)(void* context, const struct bl_block* block,
                                  struct bl_import_result* result);
  uint32_t fork_choice;        /* BL_FORK_CHOICE_* */
  uint32_t anchor_execution;   /* beacon: BL_EXECUTION_* of the anchor's payload, not _INVALID */
  uint64_t anchor_epoch;       /* beacon: of the anchor's state, justified and final from there on,
                                * at most 2^32 - 1; 0: that of anchor_slot */
  bl_root anchor_payload_hash; /* beacon: zero for none */
  const uint8_t* anchor_state; /* lean: SSZ of the State after the anchor's block; not kept */
  size_t anchor_state_size;
  uint32_t progress_timeout_ms; /* a request without progress for so long is over; 0: 5,000 */
  uint32_t request_timeout_ms;  /* and one that takes so long in all; 0: 120,000 */
  /* Since version 3: what of the chain outlives the process; see "The store" below. */
  uint32_t store; /* 1: BL_COMMAND_PERSIST says what to keep */
  uint32_t reserved;
  /* Optional, with `store`: called on this thread, until bl_core_create returns, for what was kept:
   * each record of the store once, in any order. Gives BL_OK and fills `record`, whose bytes are
   * borrowed until the next call; BL_EMPTY when there is none left; anything else ends
   * bl_core_create with it. */
  int32_t (*restore_next)(void* context, struct bl_record* record);
  void* restore_context;
} bl_core_options;

/* Makes a core and starts its thread. `*core` is set on BL_OK only. Any thread.
 * BL_INVALID_ARGUMENT (also: the store began with another anchor); BL_MALFORMED (lean: the anchor's
 * state or block does not decode; a record of the store is damaged, comes twice or is missing);
 * BL_UNSUPPORTED (a store of a later version); BL_NO_MEMORY (also: more records than there can be);
 * BL_SYSTEM (also: the clock is behind the store's blocks). */
int32_t bl_core_create(const bl_core_options* options, bl_core** core);

/* Ends the core's thread (and the callback's): later pushes say BL_CLOSED, events that were pushed
 * before are applied, and the commands that wait can still be taken; those of a callback are
 * dropped. Again: nothing. Owner, never from a callback. Null: nothing. */
void bl_core_stop(bl_core* core);

/* Stops it and frees it, with what commands hold. Every producer of it must have been destroyed: it
 * aborts otherwise. Owner. Null: nothing. */
void bl_core_destroy(bl_core* core);

/* What the core counted and what stands now, as of the end of one of its turns: all of a call are
 * of one turn, that of the last command you took or a later one. */
typedef struct bl_core_stats {
  uint32_t size;
  uint32_t version;
  uint64_t events; /* applied or dropped */
  uint64_t commands;
  uint64_t commands_waited;   /* turns in which the queue of commands was full */
  uint64_t producers;         /* now */
  uint64_t producers_refused; /* beyond 1,024 */
  bl_root head_root;
  uint64_t head_slot;
  uint64_t imported;     /* blocks, ever */
  uint64_t cached;       /* blocks that wait for a parent or a verdict, now */
  uint64_t pending;      /* roots that are wanted, now */
  uint64_t in_flight;    /* requests, now */
  uint64_t peers;        /* now */
  uint64_t requests;     /* sent, of blocks */
  uint64_t stale_events; /* dropped: of peers that are not there, or of an older generation */
  uint64_t late_chunks;  /* of requests that are over */
  /* Since version 2. */
  uint64_t votes_applied;
  uint64_t votes_without_effect; /* not newer, too late, contradicting themselves or the tree */
  uint64_t votes_waiting;        /* ever kept until their block came */
  uint64_t fork_choice_refused;  /* blocks, balances and payload verdicts that do not fit */
  uint64_t own_refused;          /* bl_push_own_block: no parent, not after it, or known */
  uint64_t reorgs;
  uint64_t charges;             /* of peers, for their conduct */
  uint64_t blocks_without_data; /* that waited for their blobs or columns */
  uint64_t data_requested;      /* blobs or columns */
  uint64_t data_received;
  uint64_t data_invalid; /* by your verdict */
  /* Since version 3. */
  uint64_t restored;        /* blocks from the store, besides its lowest */
  uint64_t restore_refused; /* by the fork choice */
  uint64_t persists;        /* BL_COMMAND_PERSIST */
  uint64_t persisted;       /* the last id that you acknowledged */
} bl_core_stats;

/* Fills `stats` (its size and version are yours). Any thread; waits for nobody. Also after
 * bl_core_stop. BL_INVALID_ARGUMENT. */
int32_t bl_core_get_stats(const bl_core* core, bl_core_stats* stats);

/* ---- Snapshots: what readers on other threads see */

typedef struct bl_snapshot bl_snapshot; /* the chain as it was at one moment; never changes */

/* The newest, published at most every 100 ms and without a lock. Any thread; waits for nobody. At
 * most 8 different ones are alive: who holds them all makes the publishing skip, not wait. Also
 * after bl_core_stop. BL_EMPTY: there is none yet. BL_INVALID_ARGUMENT, BL_NO_MEMORY. */
int32_t bl_snapshot_acquire(const bl_core* core, bl_snapshot** snapshot);

/* Any thread; also after bl_core_destroy. Null: nothing. */
void bl_snapshot_release(bl_snapshot* snapshot);

typedef struct bl_snapshot_summary {
  uint32_t size;
  uint32_t version;
  uint64_t sequence; /* rises with each that was published or skipped */
  int64_t unix_ns;   /* when it was taken */
  uint64_t current_slot;
  bl_root head_root;
  uint64_t head_slot;
  bl_root justified_root;
  uint64_t justified_number; /* the epoch; in lean the slot */
  bl_root finalized_root;
  uint64_t finalized_number;
  uint64_t tree_blocks; /* all of them; the highest slots are in the snapshot */
  uint64_t tree_nodes;  /* in the snapshot, for bl_snapshot_get_node */
  uint64_t peers;       /* for bl_snapshot_get_peer */
  uint64_t cached_blocks;
  uint64_t cached_bytes;
  uint64_t pending_roots;
  uint64_t requests_in_flight;
  uint64_t imported;
} bl_snapshot_summary;

/* One thread at a time, here and below. BL_INVALID_ARGUMENT. */
int32_t bl_snapshot_get_summary(const bl_snapshot* snapshot, bl_snapshot_summary* summary);

typedef struct bl_tree_node {
  uint32_t size;
  uint32_t version;
  bl_root root;
  bl_root parent_root;
  uint64_t slot;
  uint64_t proposer;
} bl_tree_node;

/* By rising slot. BL_EMPTY: beyond the last. BL_INVALID_ARGUMENT. */
int32_t bl_snapshot_get_node(const bl_snapshot* snapshot, uint64_t index, bl_tree_node* node);

typedef struct bl_peer_view {
  uint32_t size;
  uint32_t version;
  bl_peer peer;
  int32_t score;
  uint32_t requests_in_flight;
  int64_t rewards; /* the score's parts */
  int64_t penalties;
  const char* last_reason; /* of its last change; static text, empty without one */
  uint32_t has_status;     /* 1: the last two are known */
  uint32_t leaving;
  bl_root head_root;
  uint64_t head_slot;
} bl_peer_view;

/* By rising index of the peer. BL_EMPTY: beyond the last. BL_INVALID_ARGUMENT. */
int32_t bl_snapshot_get_peer(const bl_snapshot* snapshot, uint64_t index, bl_peer_view* view);

/* ---- Producers */

/* What a producer may have under way at once, in events and in bytes of blocks. Zeros: the defaults
 * in brackets. At most 65,536 events and 1 GiB each. The memory for the events is taken when the
 * producer is made (about 250 bytes each). */
typedef struct bl_producer_options {
  uint32_t size;
  uint32_t version;
  uint32_t control_events; /* peers, requests, ends, verdicts, ticks [4,096] */
  uint32_t gossip_events;  /* blocks from the mesh [256] */
  uint64_t gossip_bytes;   /* [64 MiB] */
  uint32_t chunk_events;   /* blocks of answers [256] */
  uint32_t vote_events;    /* [1,024] */
  uint64_t chunk_bytes;    /* [64 MiB] */
} bl_producer_options;

/* Makes a producer; `options` may be null. Any thread. BL_INVALID_ARGUMENT, BL_CLOSED, BL_FULL
 * (there are 1,024), BL_NO_MEMORY. */
int32_t bl_producer_create(bl_core* core, const bl_producer_options* options,
                           bl_producer** producer);

/* Frees it; what it pushed is applied. Producer. Before its core is destroyed. Null: nothing. */
void bl_producer_destroy(bl_producer* producer);

typedef struct bl_producer_stats {
  uint32_t size;
  uint32_t version;
  uint64_t pushed;
  uint64_t full_control; /* pushes that said BL_FULL, by class */
  uint64_t full_gossip;
  uint64_t full_chunk;
  uint64_t full_vote;
  uint64_t malformed; /* pushes that said BL_MALFORMED */
} bl_producer_stats;

/* Producer. BL_INVALID_ARGUMENT. */
int32_t bl_producer_get_stats(bl_producer* producer, bl_producer_stats* stats);

/* Why the last call on this producer failed, for a log: "truncated at signature+12 (peer)". Empty
 * after BL_OK. Valid until the next call on it. Producer. */
const char* bl_last_error(bl_producer* producer);

/* Gives memory of events that ran back, and calls what `release` functions are due. Every push does
 * so when it needs the room; for a producer that goes idle. Producer. */
void bl_producer_reclaim(bl_producer* producer);

/* ---- Events: peers. Class: control. All: Producer; BL_FULL, BL_CLOSED, BL_INVALID_ARGUMENT. */

/* A peer that speaks the block protocols is connected. Also keeps room for its end, so that
 * bl_push_peer_down through this same producer is never BL_FULL. */
int32_t bl_push_peer_up(bl_producer* producer, bl_peer peer);

/* It went; its requests have failed with it. Runs after all that was pushed for it before; later
 * events of this generation are dropped and counted. Through another producer than the one of
 * bl_push_peer_up it can be BL_FULL: retry. */
int32_t bl_push_peer_down(bl_producer* producer, bl_peer peer);

/* What a peer says of its chain (the Status message). */
typedef struct bl_peer_status {
  uint32_t size;
  uint32_t version;
  bl_peer peer;
  bl_root finalized_root;
  uint64_t finalized_slot; /* beacon: the first slot of the finalised epoch */
  bl_root head_root;
  uint64_t head_slot;
} bl_peer_status;

int32_t bl_push_peer_status(bl_producer* producer, const bl_peer_status* status);

/* ---- Events: gossip. Class: gossip for blocks, vote for votes. */

/* How bytes are packed. */
#define BL_ENCODING_DEFAULT 0       /* as the wire has it: snappy for gossip, frames for chunks */
#define BL_ENCODING_SSZ 1           /* not at all */
#define BL_ENCODING_SNAPPY 2        /* one raw snappy block */
#define BL_ENCODING_SNAPPY_FRAMES 3 /* uvarint of the SSZ size, then snappy frames */

/* A message from the mesh as it came: decompressed, decoded and hashed on the calling thread. */
typedef struct bl_gossip {
  uint32_t size;
  uint32_t version;
  bl_peer sender;
  uint64_t message;  /* yours; comes back in BL_COMMAND_GOSSIP_VERDICT, exactly once */
  const char* topic; /* the whole topic, not terminated */
  size_t topic_size;
  bl_bytes payload;
  uint32_t encoding; /* BL_ENCODING_* */
  uint32_t reserved;
} bl_gossip;

/* BL_MALFORMED: reject the message yourself, nothing comes back for it. BL_UNSUPPORTED: of a topic
 * that the core does not take: it is yours. BL_FULL: ignore it (a block comes again as the parent
 * of a later one), or retry. Producer. */
int32_t bl_push_gossip(bl_producer* producer, const bl_gossip* gossip);

/* A block that you have decoded. You vouch that `root` is the hash of the block in `signed_block`.
 */
typedef struct bl_block {
  uint32_t size;
  uint32_t version;
  bl_peer sender;   /* of a gossip block or chunk */
  uint64_t message; /* of a gossip block: as in bl_gossip; of a chunk: the request */
  bl_root root;
  bl_root parent_root;
  uint64_t slot;
  uint64_t proposer;
  bl_bytes signed_block; /* SSZ; what is stored and served */
} bl_block;

/* A block from the mesh, decoded. As bl_push_gossip. Producer. */
int32_t bl_push_gossip_block(bl_producer* producer, const bl_block* block);

/* A block of your own: imported, and published (BL_COMMAND_PUBLISH). Its parent is known; what does
 * not build on the chain is dropped. `sender` and `message` are ignored. Class: gossip. Producer.
 */
int32_t bl_push_own_block(bl_producer* producer, const bl_block* block);

/* A checkpoint: `number` is the epoch; in lean the slot. */
typedef struct bl_checkpoint {
  uint64_t number;
  bl_root root;
} bl_checkpoint;

/* An attestation that you have decoded, or several that say the same; committees are resolved into
 * validators. */
typedef struct bl_vote {
  uint32_t size;
  uint32_t version;
  bl_peer sender;   /* of a gossip vote */
  uint64_t message; /* of a gossip vote: as in bl_gossip; of a verdict: the command's id */
  uint64_t slot;
  bl_root head_root; /* what it votes for */
  bl_checkpoint source;
  bl_checkpoint target;
  const uint64_t* validators; /* copied; 1 to 131,072 */
  size_t validator_count;
  /* Since version 2, of lean alone. */
  uint64_t head_slot; /* what the vote says of head_root */
  uint32_t aggregate; /* 1: `proof` is of all validators; 0: of one, its signature */
  uint32_t reserved;
  const uint8_t* proof; /* copied; up to 1 MiB */
  size_t proof_size;
} bl_vote;

/* A vote from the mesh; one BL_COMMAND_GOSSIP_VERDICT comes back for it. BL_FULL: refused and
 * counted; ignore it. Class: vote. Producer. */
int32_t bl_push_gossip_vote(bl_producer* producer, const bl_vote* vote);

/* A vote that you vouch for: of your own validators, or verified elsewhere. `sender` and `message`
 * are ignored. Class: control. Producer. */
int32_t bl_push_own_vote(bl_producer* producer, const bl_vote* vote);

/* ---- Events: answers to our requests. One queue for the three, in order. */

/* A chunk of an answer (result 0): decompressed, decoded and hashed on the calling thread. */
typedef struct bl_chunk {
  uint32_t size;
  uint32_t version;
  bl_peer peer;
  uint64_t request; /* `id` of the command */
  bl_bytes payload; /* what follows the result byte and the context */
  uint32_t encoding;
  uint32_t reserved;
} bl_chunk;

/* BL_FULL: keep the bytes, stop to read the stream, and retry: the request goes on, and only
 * bl_request_failed or its deadline ends it; its roots stay wanted. BL_MALFORMED: reset the stream
 * and say bl_request_failed with BL_FAILED_UNDECODABLE; nothing is done for you. Class: chunk.
 * Producer. */
int32_t bl_push_chunk(bl_producer* producer, const bl_chunk* chunk);

/* The same, decoded (`sender` is the peer, `message` the request). Producer. */
int32_t bl_push_chunk_block(bl_producer* producer, const bl_block* block);

/* Bytes of a chunk arrived that is not whole yet: keeps a large, live transfer from its progress
 * deadline. Class: control. Producer. */
int32_t bl_request_progress(bl_producer* producer, bl_peer peer, uint64_t request);

/* The peer ended its answer in order; nothing of the request follows. Class: control. Producer. */
int32_t bl_request_ended(bl_producer* producer, bl_peer peer, uint64_t request);

#define BL_FAILED_NOT_SENT 1     /* our side could not send it; the peer is not to blame */
#define BL_FAILED_CONNECTION 2   /* the stream or connection broke */
#define BL_FAILED_REMOTE 3       /* the peer answered with an error code */
#define BL_FAILED_RATE_LIMITED 4 /* the peer said so */
#define BL_FAILED_UNDECODABLE 5  /* bytes that do not decode: the peer is charged */
#define BL_FAILED_TIMED_OUT 6    /* a timeout of yours */

/* The request failed (BL_FAILED_*); nothing of it follows. What it owed is asked elsewhere. Class:
 * control. Producer. */
int32_t bl_request_failed(bl_producer* producer, bl_peer peer, uint64_t request, uint32_t why);

/* ---- Events: requests of peers. Class: control. Answered by BL_COMMAND_RESPOND_*. */

/* blocks_by_root. `serve` is yours and comes back with each part of the answer. Roots are copied.
 * Up to 1,024. Producer. */
int32_t bl_push_incoming_by_root(bl_producer* producer, bl_peer peer, uint64_t serve,
                                 const bl_root* roots, size_t count);

/* blocks_by_range. Producer. */
int32_t bl_push_incoming_by_range(bl_producer* producer, bl_peer peer, uint64_t serve,
                                  uint64_t start_slot, uint64_t count);

/* blocks_by_head: `count` blocks at most, from `root` on down its ancestry. Producer. */
int32_t bl_push_incoming_by_head(bl_producer* producer, bl_peer peer, uint64_t serve,
                                 const bl_root* root, uint64_t count);

/* `chunks` more of the answer have left; the core keeps at most 16 ahead of this. Producer. */
int32_t bl_push_response_written(bl_producer* producer, bl_peer peer, uint64_t serve,
                                 uint32_t chunks);

/* The peer took its request back, or its stream broke. Producer. */
int32_t bl_push_incoming_cancelled(bl_producer* producer, bl_peer peer, uint64_t serve);

/* ---- Events: verdicts and time. Class: control. */

#define BL_VERDICT_VALID 0         /* verified and imported */
#define BL_VERDICT_INVALID_BYTES 1 /* this signature or proof is wrong; the root may be honest */
#define BL_VERDICT_INVALID_BLOCK \
  2 /* what the root commits to is wrong, and so all that follows it */
#define BL_VERDICT_DATA_MISSING 3 /* blobs or columns are not here yet: asked again later */
#define BL_VERDICT_TRY_AGAIN 4    /* a passing fault of yours: asked again later */

/* The answer to BL_COMMAND_IMPORT, in any order. With BL_VERDICT_DATA_MISSING the core asks again
 * after a while; bl_push_import_result can say what is missing, and it is fetched. Producer. */
int32_t bl_push_import_verdict(bl_producer* producer, uint64_t import, uint32_t verdict);

/* The same for a valid block, with what the fork choice needs to know of the state after it. In
 * lean the unrealised checkpoints are the same as the others. */
typedef struct bl_import_result {
  uint32_t size;
  uint32_t version;
  uint64_t import;
  bl_checkpoint justified;
  bl_checkpoint finalized;
  bl_checkpoint unrealized_justified;
  bl_checkpoint unrealized_finalized;
  uint32_t execution; /* BL_EXECUTION_*; _INVALID: forwarded, not imported, and nobody pays */
  uint32_t reserved;
  bl_root payload_hash; /* the payload's block hash; zero for none */
  const bl_vote* votes; /* in its body; optional, copied, up to 65,536 */
  size_t vote_count;
  const uint64_t* equivocations; /* validators of its attester slashings; optional, copied */
  size_t equivocation_count;
  /* Since version 2. */
  uint32_t verdict; /* BL_VERDICT_* */
  uint32_t reserved2;
  const uint64_t* missing; /* with _DATA_MISSING: indices of its blobs or columns, rising; copied */
  size_t missing_count;    /* at most 128 */
} bl_import_result;

#define BL_EXECUTION_NONE 0
#define BL_EXECUTION_OPTIMISTIC 1
#define BL_EXECUTION_VALID 2
#define BL_EXECUTION_INVALID 3

/* Producer. */
int32_t bl_push_import_result(bl_producer* producer, const bl_import_result* result);

/* A blob or column of an answer to BL_COMMAND_REQUEST_DATA. You vouch that it says that it is of
 * this block and index; whether it is valid you are asked by BL_COMMAND_IMPORT_DATA. */
typedef struct bl_sidecar {
  uint32_t size;
  uint32_t version;
  bl_peer peer;
  uint64_t request;
  bl_root block_root;
  uint64_t index;
  bl_bytes bytes; /* SSZ; up to 1 MiB */
} bl_sidecar;

/* As bl_push_chunk. What was not asked for ends the request, and its sender is charged. Class:
 * chunk. Producer. */
int32_t bl_push_sidecar(bl_producer* producer, const bl_sidecar* sidecar);

/* The answer to BL_COMMAND_IMPORT_DATA, one for each, in any order. _INVALID_BYTES, _INVALID_BLOCK:
 * who sent the sidecar is charged, whoever sent the block, and it is asked of others.
 * _DATA_MISSING, _TRY_AGAIN: it is asked for again. While 4,096 of them or 256 MiB wait for this,
 * no more is asked for. Producer. */
int32_t bl_push_data_verdict(bl_producer* producer, uint64_t data, uint32_t verdict);

/* What this block waits for came in another way (the mesh): its import is asked for again.
 * Producer. */
int32_t bl_push_data_available(bl_producer* producer, const bl_root* block_root);

/* The answer to BL_COMMAND_VERIFY_VOTE, in any order: `verdict` is BL_VERDICT_VALID, _INVALID_BYTES
 * or _TRY_AGAIN (dropped); `vote` is the vote of the command, its id in `message`. Producer. */
int32_t bl_push_vote_verdict(bl_producer* producer, const bl_vote* vote, uint32_t verdict);

/* The answer to BL_COMMAND_JUSTIFIED_CHANGED: effective balances by validator, 0 for who is not
 * active or is slashed; up to 4,194,304, copied. Producer. */
int32_t bl_push_justified_balances(bl_producer* producer, const bl_checkpoint* justified,
                                   const uint64_t* balances, size_t count, uint64_t total_active);

/* Validators that signed contradicting votes: they have no weight any more. Up to 131,072, copied.
 * Producer. */
int32_t bl_push_equivocation(bl_producer* producer, const uint64_t* validators, size_t count);

/* What the execution engine says of an imported block's payload: BL_EXECUTION_VALID or _INVALID.
 * `latest_valid`: the engine's latestValidHash, or null. Producer. */
int32_t bl_push_payload_verdict(bl_producer* producer, const bl_root* root, uint32_t execution,
                                const bl_root* latest_valid);

/* Everything up to the BL_COMMAND_PERSIST of this id is on your disk: it survives a crash. What is
 * no id that waits is dropped and counted. Producer. */
int32_t bl_push_persisted(bl_producer* producer, uint64_t id);

/* Your interval `interval` begins. The core has its own clock and timers; this makes it look at its
 * deadlines now. Producer. */
int32_t bl_push_tick(bl_producer* producer, uint64_t interval);

/* ---- Commands */

/* What the core wants done. Which fields mean something stands with each; the others are zero. */
#define BL_COMMAND_REQUEST_BY_ROOT 1    /* peer, id, roots: ask for these, in one request */
#define BL_COMMAND_REQUEST_BY_RANGE 2   /* peer, id, slot, count */
#define BL_COMMAND_CANCEL_REQUEST 3     /* peer, id: over on our side; reset its stream */
#define BL_COMMAND_RESPOND_CHUNK 4      /* peer, id (serve), slot, bytes (SSZ) */
#define BL_COMMAND_RESPOND_END 5        /* peer, id */
#define BL_COMMAND_RESPOND_ERROR 6      /* peer, id, result (the code on the wire), bytes (text) */
#define BL_COMMAND_GOSSIP_VERDICT 7     /* peer, id (message), result (BL_GOSSIP_*), reason */
#define BL_COMMAND_PUBLISH 8            /* root, bytes (SSZ) */
#define BL_COMMAND_REPORT_PEER 9        /* peer, reason; result: its score now */
#define BL_COMMAND_DISCONNECT 10        /* peer, reason: close it, then bl_push_peer_down */
#define BL_COMMAND_IMPORT 11            /* peer 0; id, root, parent_root, slot, proposer, bytes */
#define BL_COMMAND_IMPORTED 12          /* peer, root, parent_root, slot, count (of its batch) */
#define BL_COMMAND_HEAD_CHANGED 13      /* root, slot, parent_root (previous head), result: reorg */
#define BL_COMMAND_JUSTIFIED_CHANGED 14 /* root; count: the epoch, in lean the slot */
#define BL_COMMAND_FINALIZED_CHANGED 15 /* likewise; what conflicts with it is forgotten */
#define BL_COMMAND_VERIFY_VOTE 16       /* id, slot, root (its head), source, target, validators */
#define BL_COMMAND_JUSTIFIED_INVALID 17 /* root: no head can be right; stop and tell your user */
#define BL_COMMAND_REQUEST_DATA 18      /* peer, id, wanted: ask for these, in one request */
#define BL_COMMAND_IMPORT_DATA 19       /* peer, id, root (its block), count: its index, bytes */
#define BL_COMMAND_PERSIST 20           /* id, records: all of them or none, durably */

#define BL_GOSSIP_ACCEPT 0
#define BL_GOSSIP_IGNORE 1
#define BL_GOSSIP_REJECT 2

/* Blobs or columns of a block. */
typedef struct bl_data_wanted {
  bl_root block_root;
  const uint64_t* indices; /* rising */
  size_t index_count;
} bl_data_wanted;

/* The store. With bl_core_options.store you keep the chain for the core: a set of records with
 * unique keys, all of them opaque, in a database or a file of yours.
 *
 *  - BL_COMMAND_PERSIST: write its records, in their order, as one transaction: a crash leaves all
 *    of them or none, and none without those of the commands before it. When they are durable
 *    (after fdatasync), bl_push_persisted. Several may share one sync: acknowledge the last. Ids
 * rise by one from 1 with each core.
 *  - While 256 of them wait, no block is imported; nothing is lost.
 *  - After a crash, or bl_core_stop: the same options as the first time, the anchor too, and
 *    restore_next for every record. The core begins with the head, checkpoints, blocks and votes
 *    that were acknowledged, perhaps later ones. An empty store begins with the anchor.
 *  - A write that fails is yours to repeat. What was not acknowledged before bl_core_stop may be
 *    written still, as BL_COMMAND_PERSIST can still be taken.
 *  - Each value carries a checksum: a damaged one is BL_MALFORMED. Its blocks are those that the
 *    core has in memory; keep what you want to serve beyond (BL_COMMAND_IMPORTED). */
typedef struct bl_record {
  const uint8_t* key; /* 1 to 64 bytes */
  size_t key_size;
  const uint8_t* value; /* null: the record of this key goes */
  size_t value_size;
} bl_record;

/* Pointers are the library's: valid until the next bl_command_next with this core, its destruction,
 * or the return of the callback. */
typedef struct bl_command {
  uint32_t size;
  uint32_t version;
  uint32_t kind; /* BL_COMMAND_*; skip what you do not know */
  int32_t result;
  bl_peer peer;
  uint64_t id;
  uint64_t slot;
  uint64_t count;
  uint64_t proposer;
  bl_root root;
  bl_root parent_root;
  const bl_root* roots; /* `count` of them */
  const uint8_t* bytes;
  size_t bytes_size;
  const char* reason; /* static text, for a log: "parent_unknown"; empty where there is none */
  bl_checkpoint source;
  bl_checkpoint target;
  const uint64_t* validators; /* `count` of them */
  /* Since version 2: of a vote, as in bl_vote; its proof is in `bytes`. */
  uint64_t head_slot;
  uint32_t aggregate;
  uint32_t reserved;
  const bl_data_wanted* wanted; /* `count` of them; at most 128, and 768 indices in all */
  /* Since version 3. */
  const bl_record* records; /* `count` of them */
} bl_command;

/* The next command, in order; `command->size` and `version` are yours. BL_EMPTY: there is none, and
 * the descriptor is not readable until there is. One thread at a time; which one may change. Also
 * after bl_core_stop, until it is empty. BL_INVALID_ARGUMENT (also where there is a callback). */
int32_t bl_command_next(bl_core* core, bl_command* command);

/* A descriptor that polls as readable (POLLIN, EPOLLIN) while commands wait. Only poll it: take
 * commands until BL_EMPTY, which resets it; edge-triggered polling works too. Valid until
 * bl_core_destroy; do not close it. -1 for a null core or one with a callback. Any thread. */
int32_t bl_command_fd(const bl_core* core);

#ifdef __cplusplus
}
#endif

#endif
