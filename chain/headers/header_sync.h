// The background header pipeline: from what is stored to a trusted head, over many peers at once,
// beside a state download. Sans-IO and deterministic; used by one thread at a time.
//
//   while (event) sync.<event>(now, ...);
//   sync.end_of_turn(now);                    // deadlines, commits, new requests
//   while (auto command = sync.poll_command()) carry_out(*command);
//   wait for an event, at most until sync.poll_timeout()
//
// How it goes:
//  1. Probe: each peer is asked for the head's header by its hash; whoever has it may be asked for
//     more. Nobody is asked for anything else before the head's number is known.
//  2. Ranges of headers are asked for by number, of all idle peers, the fastest first. What arrives
//     is hashed and checked by itself at once and waits in a bounded scratch, in any order. When
//     only the range at the tip is waited for, and it is late, an idle peer is asked for it too.
//     How much is asked of a peer, and how long it may take, follows from what it was measured to
//     give: a slow link is asked for little, and not blamed. One slower than `rate_min` is.
//  3. Commit: the range that continues the tip is checked beside it. Its headers go to the store in
//     batches; a batch that is durable is announced to the state download (HeadersStored).
//  4. The last header is the head's own, as its hash was trusted. When it is stored and all batches
//     are taken, there is one UpdateForkChoice, and then Finished.
//
// Who lies? A range that breaks a rule or a link within itself is its sender's fault. A range that
// does not link to the tip is one opinion; the next peer is asked for the same. If its answer
// links, the first lied. If two agree that the tip has another hash, the tip goes: the headers are
// taken back to where its range began, and further each time that does not help. Where the trusted
// head moved meanwhile, or the headers were stored before, that is a reorg: at most `walk_backs` of
// them, then Failed{reorg}. Else it was a lie, and whose headers were taken back twice is dropped.
// The head's own header outvotes everybody; one that breaks a rule is Failed{bad_head}.
//
// Promises: what is stored is contiguous and linked from genesis; an end is exactly one of synced,
// switch_to_full_sync and failed; an abort is failed, and takes nothing back; after the end no
// command follows, and events are counted and dropped; memory is bounded by the limits.
// Sources: go-ethereum eth/downloader (skeleton), lambdaclass/ethrex #6059.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "chain/block.h"
#include "chain/headers/rules.h"

namespace beamline::chain {

using HeaderRequestId = uint64_t;

// Headers in a row, checked beside each other: their RLP lies in the answer that brought them.
struct HeaderRun {
  uint64_t first = 0;
  SharedBytes bytes;
  std::vector<Bytes> encodings;  // views into `bytes`
  std::vector<Hash256> hashes;
  ParentHeader last;  // what the next one is checked beside
  size_t size() const { return hashes.size(); }
};

struct HeaderSyncLimits {
  // Headers asked of a peer that is not known yet: with `requests_per_new_peer` of them under way,
  // a link of 13 kB/s (100 kbit/s) is measured before `timeout_first` ends.
  uint32_t request_first = 48;
  uint32_t request_min = 16;           // of a slow one, where so many are wanted in a row
  uint32_t request_max = 1024;         // geth serves no more
  Duration request_time = seconds(2);  // what a request should take, at the rate that was measured
  // Who gives less than this while it is asked, over so much time, holds us up: it is dropped.
  uint32_t rate_min = 8;  // headers a second; about 5 kB
  Duration rate_window = seconds(20);
  uint32_t requests_per_peer = 8;  // when it has answered one, the next is there already
  uint32_t requests_per_new_peer = 2;
  uint32_t requests_per_range = 4;  // peers that are asked for a range at the tip while it is late
  uint32_t peers = 256;
  uint32_t scratch_headers = 65'536;  // asked for or waiting to be committed
  uint32_t batch_headers = 2048;      // stored at once
  uint32_t stores_in_flight = 8;      // batches
  uint32_t channel_batches = 100;     // announced to the state download and not taken yet
  uint32_t walk_backs = 5;
  uint32_t opinions = 5;              // on one tip, before it is taken back
  uint64_t full_sync_below = 10'000;  // headers to go: not worth a state sync
  Duration timeout_first = seconds(5);
  Duration timeout_min = milliseconds(500);
  Duration timeout_max = seconds(60);  // geth: three round trips, at most this
  Duration probe_again = seconds(10);
  Duration stalled = seconds(180);  // without any progress: Failed{no_peers}
  uint32_t strikes = 3;             // timeouts and failures in a row, then the peer is dropped
};

struct HeaderSyncConfig {
  HeaderForks forks;
  HeaderSyncLimits limits;
  uint64_t first_number = 1;  // below it nothing is taken back
};

// ---- Commands

struct RequestHeaders {
  PeerHandle peer;
  HeaderRequestId request = 0;
  std::optional<Hash256> hash = std::nullopt;  // by hash; or
  uint64_t number = 0;                         // by number, ascending
  uint32_t count = 0;
};
// To the store, in order. Answered by stored() when it is durable and a checkpoint says so.
struct StoreHeaders {
  std::vector<HeaderRun> runs;
};
// Headers from `number` on are taken back, in the store and wherever they were announced to.
// Answered by rewound() with the header before it.
struct RewindHeaders {
  uint64_t number = 0;
};
// To the state download: these are durable. Answered by batch_taken().
struct HeadersStored {
  uint64_t first = 0;
  uint64_t count = 0;
  Hash256 last_hash;
};
enum class HeaderFault : uint8_t {
  undecodable,  // not headers, or more than were asked for
  bad_header,   // breaks a rule, or does not link within the answer
  empty,        // an answer without headers from a peer that has the head
  lied,         // an answer that another one disproved
  taken_back,   // its headers were taken back: by itself no proof
  stalled,
  failed,  // an error in place of an answer
};
inline constexpr size_t kHeaderFaults = 7;
const char* name(HeaderFault fault);
struct ChargeHeaderPeer {
  PeerHandle peer;
  HeaderFault fault = HeaderFault::failed;
  bool drop = false;  // it is not asked again; the integrator disconnects it
};
// The head is known, so a pivot can be chosen.
struct HeadReached {
  uint64_t number = 0;
  Hash256 hash;
};
struct UpdateForkChoice {
  uint64_t number = 0;
  Hash256 hash;
};
enum class HeaderSyncEnd : uint8_t { synced, switch_to_full_sync, failed };
enum class HeaderSyncFailure : uint8_t { none, reorg, bad_head, storage, no_peers, aborted };
const char* name(HeaderSyncEnd end);
const char* name(HeaderSyncFailure failure);
struct HeaderSyncFinished {
  HeaderSyncEnd end = HeaderSyncEnd::failed;
  HeaderSyncFailure failure = HeaderSyncFailure::none;
  uint64_t from = 0;  // switch_to_full_sync: the first block to execute
};

using HeaderCommand =
    std::variant<RequestHeaders, StoreHeaders, RewindHeaders, HeadersStored, ChargeHeaderPeer,
                 HeadReached, UpdateForkChoice, HeaderSyncFinished>;

struct HeaderSyncStats {
  uint64_t requests = 0;
  uint64_t headers_received = 0;
  uint64_t headers_committed = 0;
  uint64_t headers_refused = 0;  // of answers that were dropped
  uint64_t late_answers = 0;     // to a request that is over, or that another one answered first
  uint64_t hedges = 0;           // ranges at the tip that were late, asked of another peer too
  uint64_t events_after_end = 0;
  uint64_t peers_refused = 0;  // Limits::peers
  uint64_t peers_dropped = 0;
  uint64_t opinions = 0;
  uint64_t walk_backs = 0;
  uint64_t headers_taken_back = 0;
  uint64_t batches = 0;
  uint64_t head_moves = 0;
  uint64_t scratch_peak = 0;  // headers
  uint64_t bytes_peak = 0;    // of headers that are not stored yet
  uint64_t faults[kHeaderFaults] = {};
};

class HeaderSync {
 public:
  // `stored`: the last header of the store, or genesis. `head`: the hash that is trusted.
  HeaderSync(HeaderSyncConfig config, const ParentHeader& stored, const Hash256& head, Now now);

  void peer_up(Now now, PeerHandle peer);
  void peer_down(Now now, PeerHandle peer);
  // An answer: the RLP list of headers, as it came.
  void answered(Now now, PeerHandle peer, HeaderRequestId request, SharedBytes list);
  void request_failed(Now now, PeerHandle peer, HeaderRequestId request);
  // All headers below `next` are durable.
  void stored(Now now, uint64_t next);
  void rewound(Now now, const ParentHeader& last);
  void store_failed(Now now);
  void batch_taken(Now now);
  // Another trusted head: the pivot moved, or the chain was reorganised.
  void move_head(Now now, const Hash256& head);
  void abort(Now now);
  void end_of_turn(Now now);

  std::optional<HeaderCommand> poll_command();
  MonoTime poll_timeout() const { return next_deadline_; }

  bool finished() const { return finished_; }
  const ParentHeader& tip() const { return tip_; }
  uint64_t durable_next() const { return durable_next_; }
  std::optional<uint64_t> head_number() const;
  const HeaderSyncStats& stats() const { return stats_; }

 private:
  struct Peer {
    PeerHandle handle;
    uint32_t in_flight = 0;
    uint32_t strikes = 0;
    uint32_t taken_back = 0;
    bool has_head = false;
    bool probing = false;
    MonoTime probe_at{};
    MonoTime not_before{};
    MonoTime struck{};          // its last strike
    uint64_t rate = 0;          // headers in 1000 s, smoothed; 0: not known
    uint32_t asked = 0;         // headers that its requests under way are for
    MonoTime settled{};         // when the last of its requests came to its end
    Duration window{};          // time that it was asked
    uint32_t window_given = 0;  // and the headers that it gave in it
    Duration round_trip{};
    Duration probe_trip{};
  };
  // What is wanted, by its first number. Free, in flight, or arrived.
  struct Range {
    uint32_t count = 0;
    HeaderRequestId request = 0;  // the last; 0: free or arrived
    uint32_t asked = 0;           // how often, since it was free
    MonoTime due{};               // when its answer is late enough to ask another peer too
    PeerHandle from = {};
    std::optional<HeaderRun> run = std::nullopt;
  };
  struct Pending {
    HeaderRequestId id = 0;
    PeerHandle peer;
    uint64_t first = 0;
    uint32_t count = 0;
    bool probe = false;
    MonoTime sent{};
    MonoTime deadline{};
    Duration waited{};  // once settled: for it, and not for those before it
  };
  struct Opinion {
    PeerHandle peer;
    Hash256 parent;
  };
  struct Committed {  // whose headers stand near the tip
    uint64_t first = 0;
    PeerHandle from;
    uint64_t head_moves = 0;  // before it was committed
  };

  bool ignore();
  Peer* find(PeerHandle handle);
  // header_sync_fetch.cc
  void probe(Now now);
  void take_probe(Now now, Peer& peer, SharedBytes list);
  void leave_to_full_sync();
  void take_range(Now now, Peer& peer, const Pending& pending, SharedBytes list);
  Result<HeaderRun> check_run(uint64_t first, uint32_t most, uint32_t keep, SharedBytes list) const;
  void fetch(Now now);
  std::vector<Peer*> idle_peers(Now now);
  void hedge(Now now, const std::vector<Peer*>& idle);
  void send(Now now, Peer& peer, uint64_t first, uint32_t count);
  uint32_t scratch_room() const;
  uint32_t cut_range(std::map<uint64_t, Range>::iterator range, uint32_t count);
  bool gave_opinion(PeerHandle peer) const;
  void release(const Pending& pending);
  std::optional<Pending> settle(Now now, PeerHandle handle, HeaderRequestId request);
  void miss(Now now, const Pending& pending, HeaderFault fault);
  void expire(Now now);
  void strike(Now now, Peer& peer, HeaderFault fault);
  void charge(Peer& peer, HeaderFault fault, bool drop);
  void measure(Now now, Peer& peer, const Pending& pending, size_t count);
  bool too_slow(Peer& peer, const Pending& pending, size_t given);
  bool has_place(const Peer& peer) const;
  uint32_t wanted_of(const Peer& peer) const;
  Duration patience(const Peer& peer, uint32_t count) const;
  void set_deadline(Now now);
  // header_sync.cc
  void commit(Now now);
  bool commit_front();
  void disprove(const Hash256& parent);
  bool tip_is_outvoted() const;
  void take_back();
  void rewind_to(uint64_t number);
  void forget_ranges(uint64_t frontier);
  void flush_batch(bool all);
  void announce();
  void reach_end();
  void finish(HeaderSyncEnd end, HeaderSyncFailure failure, uint64_t from = 0);

  const HeaderSyncConfig config_;
  HeaderSyncStats stats_;
  std::deque<HeaderCommand> commands_;
  std::map<PeerHandle, Peer> peers_;
  std::map<HeaderRequestId, Pending> pending_;
  std::map<uint64_t, Range> ranges_;
  HeaderRequestId next_request_ = 1;

  Hash256 head_;
  std::optional<HeaderRun> head_run_;  // the head's own header, found by its hash
  ParentHeader tip_;                   // the last that was committed
  uint64_t frontier_ = 0;              // above it nothing was asked for yet
  std::vector<Opinion> opinions_;
  std::deque<Committed> committed_;
  uint64_t highest_ = 0;  // that was ever committed
  uint32_t in_vain_ = 0;  // times the tip was taken back since then
  bool rewinding_ = false;

  std::vector<HeaderRun> batch_;  // committed, not with the store yet
  uint64_t batch_headers_ = 0;
  uint64_t unstored_bytes_ = 0;
  struct Batch {
    uint64_t first = 0;
    uint64_t count = 0;
    Hash256 last_hash = {};
    uint64_t bytes = 0;
  };
  std::deque<Batch> storing_;
  std::deque<Batch> waiting_;  // durable; the channel is full
  uint32_t channel_ = 0;
  uint64_t durable_next_ = 0;
  bool head_said_ = false;
  bool finished_ = false;
  MonoTime progress_{};
  MonoTime hedge_at_ = MonoTime::never();
  MonoTime next_deadline_ = MonoTime::never();
};

}  // namespace beamline::chain
