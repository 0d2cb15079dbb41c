// Outgoing requests. One stream each; the stream's owner moves the bytes, this class knows when to
// open a stream, what to write, what the answer means and when to give up.
//
//   request()       -> id                        (the request is in the table before it is sent)
//   poll_event()    -> open_stream   owner: open a stream with info(protocol).id, then write
//                                    output(id), then close the stream's write side
//                      chunk         in order, index 0, 1, ...
//                      end | error   exactly one of them, after the last chunk
//                      violation     charge the peer: it sent more after its end
//                      close_stream  owner: forget the stream; reset it if `reset`. The id is dead
//
// After open_stream there is exactly one close_stream, and it is the last event of its id; a
// request that never got a stream (cancelled or failed while it waited) ends without one.
//
// Limits: `active_per_protocol` streams to one peer for one protocol, and its quota; more wait in
// order, up to `waiting_per_peer`; beyond that request() refuses. Chunks that nobody polled stop
// on_data(): what it did not take the owner keeps, so the stream's window closes. Deadlines: the
// first byte, progress (a chunk, or progress_bytes of one), and a total; all stand still while
// paused.
//
// Not thread safe. Deterministic. Allocates per chunk (its payload) and per request (its bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "base/token_bucket.h"
#include "reqresp/chunk.h"
#include "reqresp/protocol.h"

namespace beamline::reqresp {

struct ClientLimits {
  uint32_t requests = 512;           // in the table, waiting ones included
  uint32_t active_per_protocol = 2;  // MAX_CONCURRENT_REQUESTS, per peer and protocol
  uint32_t waiting_per_peer = 32;
  // Keep to what peers put up with (ProtocolInfo::quota): a request waits for it for at most
  // quota_wait, else it is refused, as is one that asks for more than request_limit(). Off between
  // nodes of ours in tests.
  bool quotas = true;
  Duration quota_wait = seconds(1);
  uint32_t undelivered_chunks = 8;  // per request
  uint32_t undelivered_bytes = 1 << 20;
  uint32_t progress_bytes = 16 * 1024;
  Duration first_byte = seconds(10);  // from open_stream to the first byte, negotiation included
  Duration progress = seconds(10);
  Duration total = seconds(120);
  Duration linger = seconds(5);  // from the last chunk to the peer's close
};

struct ClientStats {
  uint64_t requests = 0;
  uint64_t chunks = 0;
  uint64_t payload_bytes = 0;
  uint64_t ended = 0;
  uint64_t failed_peer = 0;  // by fault
  uint64_t failed_network = 0;
  uint64_t failed_local = 0;
  uint64_t remote_errors = 0;  // part of failed_network
  uint64_t violations = 0;
  uint64_t timeouts_first_byte = 0;
  uint64_t timeouts_progress = 0;
  uint64_t timeouts_total = 0;
  uint64_t timeouts_linger = 0;
  uint64_t queued = 0;         // waited for a free slot to the peer, or for its quota
  uint64_t waited_quota = 0;   // of these, for the quota
  uint64_t refused_table = 0;  // limits that were hit
  uint64_t refused_waiting = 0;
  uint64_t refused_quota = 0;
  uint64_t stalled_undelivered = 0;  // on_data stopped because nobody polled
  uint64_t cancelled = 0;
};

struct ClientEvent {
  enum class Kind : uint8_t { open_stream, chunk, end, error, violation, close_stream };
  Kind kind = Kind::end;
  Protocol protocol = Protocol::status_v1;
  bool reset = false;       // close_stream: the stream is not finished in order
  uint8_t remote_code = 0;  // error: the result byte, when code is remote_error or rate_limited
  RequestId request;
  PeerHandle peer = 0;
  uint32_t index = 0;  // chunk: its number from 0; end, error: how many chunks came
  ForkDigest context;  // chunk: zero where the protocol has none
  // error, violation. Fault peer: charge it. Fault network: ask somebody else. remote_error and
  // rate_limited are of fault network, whatever the code: see remote_code.
  Error error;
  SharedBytes payload;  // chunk: SSZ; error: the peer's text, any bytes, <= 256
};

class Client {
 public:
  explicit Client(const ClientLimits& limits);

  // `ssz` is the request's body, empty for metadata. Errors (local): full (table or queue),
  // rate_limited (the peer's quota; ask another, or later), invalid_argument (no such body, it
  // allows no chunk, or more than request_limit()). Nothing was taken then.
  Result<RequestId> request(PeerHandle peer, Protocol protocol, Bytes ssz, Now now);
  // The application wants no more: no chunk, end or error follows, not even one that waits to be
  // polled.
  void cancel(RequestId request, Now now);
  // Takes no more bytes until resume(); deadlines stand still.
  void pause(RequestId request, Now now);
  void resume(RequestId request, Now now);

  // What is left to write, valid until the next call. Empty: close the write side.
  Bytes output(RequestId request) const;
  void output_sent(RequestId request, size_t size);
  // Returns how many bytes were taken. Fewer than given while paused() or stalled(): poll events
  // or resume, then offer the rest. After the id's close_stream it takes (and drops) all.
  size_t on_data(RequestId request, Bytes data, Now now);
  // Whether on_data would take nothing now.
  bool stalled(RequestId request) const;
  // The peer closed its side in order, after all data was taken by on_data.
  void on_remote_close(RequestId request, Now now);
  // The stream could not be opened (unsupported, timed_out, ...), was reset, or its connection was
  // lost. `why` goes to the application as it is.
  void on_stream_failed(RequestId request, Error why, Now now);
  // All of the peer's requests fail with connection_lost.
  // Must be called for each peer that was asked.
  void on_peer_gone(PeerHandle peer, Now now);

  MonoTime next_deadline() const;
  void on_time(Now now);

  std::optional<ClientEvent> poll_event();
  bool has_events() const { return !events_.empty(); }

  const ClientStats& stats() const { return stats_; }
  // Requests in the table, and of these the ones that have no stream yet.
  uint32_t size() const { return live_; }
  uint32_t waiting() const { return waiting_; }

 private:
  enum class Phase : uint8_t {
    free,
    waiting,    // for a free slot to the peer
    reading,    // its stream is open, or is being opened
    lingering,  // end or error was said; waiting for the peer's close
  };
  struct Entry {
    explicit Entry(const ProtocolInfo& row) : reader(row) {}
    Phase phase = Phase::free;
    bool first_byte = false;
    bool paused = false;
    Protocol protocol = Protocol::status_v1;
    uint32_t generation = 0;
    PeerHandle peer = 0;
    uint32_t allowed = 0;  // chunks
    uint32_t chunks = 0;
    uint32_t undelivered = 0;
    uint32_t undelivered_bytes = 0;
    uint32_t since_progress = 0;  // bytes
    uint32_t slack = 0;           // lingering: bytes that may still come
    uint64_t order = 0;           // of waiting requests
    // First byte, progress or linger; of a waiting request: when the quota allows it.
    MonoTime deadline = MonoTime::never();
    MonoTime total = MonoTime::never();
    MonoTime paused_at;
    SharedBytes output;
    size_t sent = 0;
    ChunkReader reader;
  };

  Entry* find(RequestId request);
  const Entry* find(RequestId request) const;
  bool over_undelivered(const Entry& entry) const;
  uint32_t active(PeerHandle peer, Protocol protocol) const;
  TokenBucket& quota(PeerHandle peer, Protocol protocol);
  bool quota_is_near(PeerHandle peer, Protocol protocol, uint32_t allowed, Now now);
  bool take_quota(Entry& entry, Now now);
  uint32_t waiting_of(PeerHandle peer) const;
  size_t read(Entry& entry, Bytes data, Now now);
  void linger_data(Entry& entry, size_t size, Now now);
  void on_chunk(Entry& entry, Now now);
  void open(Entry& entry, Now now);
  void open_next(PeerHandle peer, Protocol protocol, Now now);
  void linger(Entry& entry, uint32_t slack, Now now);
  void say_end(Entry& entry);
  void say_error(Entry& entry, Error why, uint8_t remote_code = 0, SharedBytes text = {});
  void say_remote_error(Entry& entry, uint8_t code, SharedBytes text);
  void fail(Entry& entry, Error why, Now now);
  void close(Entry& entry, bool reset, Now now);
  void release(Entry& entry);
  void expire(Entry& entry, Now now);
  ClientEvent& emit(const Entry& entry, ClientEvent::Kind kind);

  ClientLimits limits_;
  ClientStats stats_;
  std::vector<Entry> entries_;  // never grows: an id's slot is its index
  std::vector<uint32_t> free_;
  std::deque<ClientEvent> events_;
  // By peer and protocol; looked up, never iterated.
  std::unordered_map<PeerHandle, std::vector<TokenBucket>> quotas_;
  uint32_t live_ = 0;
  uint32_t waiting_ = 0;
  uint64_t order_ = 0;
};

}  // namespace beamline::reqresp
