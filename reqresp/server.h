// Incoming requests. One stream each; the stream's owner moves the bytes, the application answers.
//
//   on_stream() -> id
//   poll_event()  -> request       application: answer with respond_chunk()*, then respond_end() or
//                                  respond_error()
//                    writable      application: respond_chunk() had said full; go on
//                    cancelled     application: the answer is not wanted any more. The id is dead
//                    violation     charge the peer (an invalid request is answered as such, too)
//                    flush         owner: output(id) has bytes to write
//                    finish        owner: all is written; close the stream's write side
//                    close_stream  owner: forget the stream; reset it if `reset`. The id is dead,
//                                  and this is its last event
//
// Rate: a token bucket per peer and one for all, in bytes. A request is charged its cost and a
// little for each chunk it asks for, a chunk what it takes on the wire. A peer in debt waits: its
// next request is delivered, and its next chunk released, when the debt is paid. It gets no error
// for it (spec: a responder delays). Peers that wait for the common bucket take turns.
//
// Limits: streams in all and per peer (refused), requests of one peer and protocol that the
// application works on at once (more wait, in order), bytes queued per stream and in all (full).
// Deadlines: the whole request within `read`; a peer that takes no byte for `write` is reset; an
// application that owes an answer for `application` is answered for (server error).
//
// Not thread safe. Deterministic. Allocates per request (its body) and per chunk (its bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "base/token_bucket.h"
#include "reqresp/chunk.h"
#include "reqresp/protocol.h"

namespace beamline::reqresp {

struct ServerLimits {
  uint32_t streams = 512;
  uint32_t streams_per_peer = 16;
  uint32_t active_per_protocol = 2;  // MAX_CONCURRENT_REQUESTS, per peer and protocol
  uint32_t peers = 4096;             // with a token bucket
  uint32_t queued_bytes = 1 << 20;   // per stream; one chunk is always taken when none is queued
  uint32_t queued_bytes_total = 64 << 20;
  Rate peer_rate{.per_second = 4 << 20, .burst = 16 << 20};  // bytes
  Rate total_rate{.per_second = 64 << 20, .burst = 128 << 20};
  uint32_t request_cost = 4096;
  uint32_t lookup_cost = 64;  // per chunk that the request allows
  Duration read = seconds(15);
  Duration write = seconds(15);
  Duration application = seconds(30);
  Duration linger = seconds(5);  // from our close to the peer's
};

struct ServerStats {
  uint64_t streams = 0;
  uint64_t requests = 0;
  uint64_t chunks = 0;
  uint64_t output_bytes = 0;
  uint64_t ended = 0;
  uint64_t errors_sent = 0;
  uint64_t violations = 0;
  uint64_t cancelled = 0;
  uint64_t refused_streams = 0;  // limits that were hit
  uint64_t refused_peer_streams = 0;
  uint64_t refused_peers = 0;
  uint64_t full_stream = 0;
  uint64_t full_total = 0;
  uint64_t waited_concurrency = 0;  // requests behind others of their peer and protocol
  uint64_t waited_peer_rate = 0;    // requests and chunks that were delayed
  uint64_t waited_total_rate = 0;
  uint64_t timeouts_read = 0;
  uint64_t timeouts_write = 0;
  uint64_t timeouts_application = 0;
  uint64_t timeouts_linger = 0;
};

struct ServerEvent {
  enum class Kind : uint8_t {
    request,
    writable,
    cancelled,
    violation,
    flush,
    finish,
    close_stream
  };
  Kind kind = Kind::request;
  Protocol protocol = Protocol::status_v1;
  bool reset = false;  // close_stream
  RequestId request;
  PeerHandle peer = 0;
  uint32_t allowed = 0;  // request: how many chunks the answer may have
  Error error;           // cancelled, violation
  SharedBytes body;      // request: SSZ, of a size that the protocol has; empty for metadata
};

class Server {
 public:
  explicit Server(const ServerLimits& limits);

  // A peer opened a stream and negotiated `protocol`. Error (local): full; reset the stream.
  Result<RequestId> on_stream(PeerHandle peer, Protocol protocol, Now now);
  // Takes all of it (a request is small; what follows it is an error, and dropped).
  void on_data(RequestId request, Bytes data, Now now);
  // The peer closed its side in order: the request is complete.
  void on_remote_close(RequestId request, Now now);
  // The stream was reset or its connection lost.
  void on_stream_failed(RequestId request, Error why, Now now);
  // Frees everything of the peer, its token bucket included.
  void on_peer_gone(PeerHandle peer, Now now);

  // Bytes that may be written now, valid until the next call: of one chunk, never of two, and they
  // must not share a muxer frame with another's (Lodestar 1.5 drops what follows a chunk in its
  // frame). Empty does not mean finished.
  Bytes output(RequestId request) const;
  void output_sent(RequestId request, size_t size, Now now);

  // `context` is the fork digest, ignored where the protocol has none. Errors (local): full
  // (nothing was taken; a writable event follows), not_found (the peer is gone or the answer
  // ended), invalid_argument (a size that the protocol does not have, or a chunk too many).
  Status respond_chunk(RequestId request, const ForkDigest& context, Bytes ssz, Now now);
  // Error (local): not_found.
  Status respond_end(RequestId request, Now now);
  // Ends the answer with an error chunk. `text` over 256 bytes is cut. Error (local): not_found.
  Status respond_error(RequestId request, ResultCode code, std::string_view text, Now now);

  MonoTime next_deadline() const;
  void on_time(Now now);

  std::optional<ServerEvent> poll_event();
  bool has_events() const { return !events_.empty(); }

  const ServerStats& stats() const { return stats_; }
  uint32_t size() const { return live_; }
  size_t peers() const { return peers_.size(); }
  uint64_t queued_bytes() const { return queued_; }

 private:
  enum class Phase : uint8_t {
    free,
    reading,    // the request
    waiting,    // complete; for a free slot of the protocol, or for tokens
    serving,    // the application has it
    ending,     // answered; the queue drains
    lingering,  // all is written; waiting for the peer's close
  };
  struct Entry {
    Phase phase = Phase::free;
    bool remote_closed = false;
    bool wants_room = false;     // respond_chunk said full
    bool waited_tokens = false;  // counted once
    Protocol protocol = Protocol::status_v1;
    uint32_t generation = 0;
    PeerHandle peer = 0;
    uint32_t allowed = 0;
    uint32_t chunks = 0;
    uint32_t slack = 0;  // bytes that may follow the body
    uint64_t order = 0;  // of waiting requests
    MonoTime deadline = MonoTime::never();
    MonoTime tokens_at = MonoTime::never();  // when there may be tokens again
    PayloadReader reader;
    SharedBytes body;
    std::vector<SharedBytes> queue;  // from `head` on
    size_t head = 0;
    size_t released = 0;  // of the queue, may be written
    size_t sent = 0;      // bytes of the head
    size_t queued = 0;    // bytes

    bool queue_empty() const { return head == queue.size(); }
  };
  struct Peer {
    explicit Peer(Rate rate) : bucket(rate) {}
    TokenBucket bucket;
    uint32_t streams = 0;
  };

  Entry* find(RequestId request);
  const Entry* find(RequestId request) const;
  Entry* find_serving(RequestId request);
  Peer& peer_of(const Entry& entry);
  ServerEvent& emit(const Entry& entry, ServerEvent::Kind kind);
  // Reading.
  void read(Entry& entry, Bytes data, Now now);
  void complete(Entry& entry, Now now);
  void invalid(Entry& entry, Error why, Now now);
  // Admission.
  uint32_t active(PeerHandle peer, Protocol protocol) const;
  bool deliver(Entry& entry, Now now);
  void deliver_next(PeerHandle peer, Protocol protocol, Now now);
  bool take_tokens(Entry& entry, int64_t tokens, Now now);
  // Writing.
  bool has_room(const Entry& entry, size_t size);
  void push(Entry& entry, SharedBytes bytes, Now now);
  void release(Entry& entry, Now now);
  void arm(Entry& entry, Now now);
  void finish_if_drained(Entry& entry, Now now);
  void offer_room(Entry& entry);
  void offer_room_to_all();
  // The end.
  void close(Entry& entry, bool reset, Now now);
  void cancel(Entry& entry, Error why, Now now);
  void expire(Entry& entry, Now now);

  ServerLimits limits_;
  ServerStats stats_;
  std::vector<Entry> entries_;  // never grows: an id's slot is its index
  std::vector<uint32_t> free_;
  std::unordered_map<PeerHandle, Peer> peers_;  // looked up, never iterated
  TokenBucket total_;
  std::deque<ServerEvent> events_;
  uint64_t queued_ = 0;
  uint64_t order_ = 0;
  uint32_t live_ = 0;
  uint32_t turn_ = 0;        // where on_time begins, so that no slot is always first
  bool total_full_ = false;  // somebody was refused for the common limit
};

}  // namespace beamline::reqresp
