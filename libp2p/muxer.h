// Streams over one connection: what yamux and mplex have in common, and the interface to both.
//
// Bytes that were decrypted go into receive(), which stops after each event; bytes to encrypt come
// out of poll_transmit(), straight into the frame that will be sent. Data that a consumer does not
// want yet (pause) is held here, up to a bound. One thread; no call calls back.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "libp2p/multistream.h"

namespace beamline::libp2p {

// A stream of one connection: a slot, and a generation that makes the id of a stream that ended
// stale. Calls with a stale id do nothing. Zero is no stream.
struct StreamId {
  uint32_t value = 0;
  uint32_t slot() const { return value & 0xffff; }
  explicit operator bool() const { return value != 0; }
  friend bool operator==(StreamId, StreamId) = default;
};

struct MuxLimits {
  uint32_t inbound_streams = 256;
  uint32_t outbound_streams = 256;         // together at most Muxer::kMaxStreams
  uint32_t send_bytes = 256 * 1024;        // queued on one stream before write() takes less
  uint32_t receive_bytes = 1024 * 1024;    // held for one paused stream; over it: reset
  uint32_t held_bytes = 16 * 1024 * 1024;  // held for all paused streams; over it: reset
  uint32_t pending_resets = 256;           // resets not yet sent; over it the connection ends
};

// Counters of all muxers that share it.
struct MuxStats {
  uint64_t frames_received = 0;
  uint64_t frames_sent = 0;
  uint64_t streams_opened = 0;   // by either side
  uint64_t streams_refused = 0;  // inbound, over the cap
  uint64_t resets_received = 0;
  uint64_t resets_sent = 0;
  uint64_t overflows = 0;       // streams reset because a paused consumer's bound was reached
  uint64_t unknown_stream = 0;  // frames for streams that are not (or no longer) there
  uint64_t bytes_drained = 0;   // of such frames
  uint64_t pings = 0;
  uint64_t pings_coalesced = 0;  // answered by a later one's answer
};

struct MuxEvent {
  enum class Type : uint8_t {
    none,
    opened,         // by the other side
    data,           // `data`, until the next call of receive() or poll_event()
    remote_closed,  // no data will follow; we may still write
    reset,          // by either side's muxer, with `error`; the id is stale now
    writable,       // a write() that took less than all may go on
  };
  Type type = Type::none;
  StreamId stream;
  Bytes data;
  Error error;
};

// A queue of shared byte runs that are not copied until they are framed.
class SendQueue {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void push(SharedBytes bytes);
  // Bytes of the run at the front; 0 when empty. A frame ends where a run ends: Lodestar's req/resp
  // takes what arrives in one frame for one response chunk, and refuses two in one as too long.
  size_t front_size() const { return size_ == 0 ? 0 : pieces_[first_].size() - offset_; }
  // Copies the first `out.size()` bytes out and drops them. REQUIRES: out.size() <= size().
  void pop(MutableBytes out);

 private:
  std::vector<SharedBytes> pieces_;
  uint32_t first_ = 0;   // the piece at the front
  uint32_t offset_ = 0;  // bytes of it that are gone
  size_t size_ = 0;
};

class Muxer {
 public:
  static constexpr uint32_t kMaxStreams = 512;

  // REQUIRES: limits.inbound_streams + limits.outbound_streams <= kMaxStreams; `limits` and `stats`
  // outlive it.
  Muxer(Role role, const MuxLimits& limits, MuxStats& stats);
  virtual ~Muxer() = default;
  Muxer(const Muxer&) = delete;
  Muxer& operator=(const Muxer&) = delete;

  // Takes bytes up to the next event, or all; gives how many. Type none: nothing more to say.
  // An error ends the connection (the stream's own errors are events); what poll_transmit() still
  // gives may then be sent first.
  virtual Result<size_t> receive(Bytes input, MuxEvent& event) = 0;
  // Events that need no input. receive() calls it first.
  bool poll_event(MuxEvent& event);
  // Writes whole frames into `out`, control first, streams in turn; gives how many bytes.
  size_t poll_transmit(MutableBytes out);
  // The same, of the session's own frames alone: the last words of a connection that failed.
  virtual size_t poll_session(MutableBytes out) = 0;
  bool wants_transmit() const { return session_frames_ || ready_.any(); }

  // refused: the other side is going away. full: too many outbound streams.
  Result<StreamId> open();
  // How much was taken; less than all if the stream's queue is full (a `writable` event follows
  // when half of it is free), 0 if the stream is not open for writing.
  size_t write(StreamId stream, const SharedBytes& bytes);
  // Our end, after what was written.
  void close_write(StreamId stream);
  // Both ends, at once; what was queued is dropped and the id is stale.
  void reset(StreamId stream);
  // While paused a stream has no data events; resume() hands out what was held.
  void pause(StreamId stream);
  void resume(StreamId stream);
  // Takes back the rest of a data event. REQUIRES: the stream is paused, and receive() and
  // poll_event() were not called since that event.
  void unread(StreamId stream, Bytes rest);
  // No new streams from here on (yamux tells the other side). `code`: 0 in order, 1 the other side
  // broke the protocol, 2 our fault.
  virtual void go_away(uint32_t code) = 0;

  bool is_open(StreamId stream) const { return find(stream) != nullptr; }
  bool is_paused(StreamId stream) const;
  size_t queued(StreamId stream) const;
  size_t stream_count() const { return inbound_ + outbound_; }
  size_t held_bytes() const { return held_; }

 protected:
  static constexpr uint32_t kNone = UINT32_MAX;

  // A set of slots.
  class SlotSet {
   public:
    void assign(uint32_t slot, bool in) {
      const uint64_t bit = uint64_t{1} << (slot % 64);
      words_[slot / 64] = in ? words_[slot / 64] | bit : words_[slot / 64] & ~bit;
    }
    bool any() const;
    // The first in the set from `from` on, around the end; kNone if it is empty.
    uint32_t next(uint32_t from) const;

   private:
    std::array<uint64_t, kMaxStreams / 64> words_{};
  };

  struct Stream {
    SendQueue send;
    std::vector<uint8_t> held;    // received while paused
    Error error;                  // of a reset that is to be told
    uint32_t send_window = 0;     // yamux: bytes that we may send
    uint32_t receive_window = 0;  // yamux: bytes that the other side may send
    uint32_t consumed = 0;        // yamux: bytes handed out and not yet given back as window
    uint16_t generation = 0;
    bool used : 1 = false;
    bool inbound : 1 = false;
    bool syn_due : 1 = false;  // the frame that opens it
    bool ack_due : 1 = false;  // yamux: the flag that accepts it
    bool close_due : 1 = false;
    bool close_sent : 1 = false;
    bool remote_closed : 1 = false;
    bool paused : 1 = false;
    bool tell_opened : 1 = false;
    bool tell_closed : 1 = false;
    bool tell_closed_done : 1 = false;
    bool tell_reset : 1 = false;
    bool tell_writable : 1 = false;
    bool want_writable : 1 = false;
  };

  StreamId id_of(uint32_t slot) const {
    return {static_cast<uint32_t>(streams_[slot].generation) << 16 | slot};
  }
  Stream* find(StreamId stream);
  const Stream* find(StreamId stream) const { return const_cast<Muxer*>(this)->find(stream); }
  // The slot of a key of the wire (a stream number and who opened it), or kNone.
  uint32_t find_key(uint64_t key);
  uint64_t key_of(uint32_t slot) const { return keys_[slot]; }
  // A slot for a new stream. REQUIRES: its side's cap is not reached.
  uint32_t take_slot(uint64_t key, bool inbound);
  void release_slot(uint32_t slot);
  // The other side opened `key`: its slot, or kNone if over the cap (a reset is queued).
  Result<uint32_t> accept(uint64_t key);
  // Hands `data` out (true), or holds it.
  bool deliver(uint32_t slot, Bytes data, MuxEvent& event);
  void on_remote_close(uint32_t slot);
  void on_remote_reset(uint32_t slot);
  // After `bytes` of a stream's queue were sent, or its end was.
  void on_sent(uint32_t slot);
  // Our own reset of a stream for the other side's fault.
  void fail_stream(uint32_t slot, Code code, const char* field);
  void update_ready(uint32_t slot) { ready_.assign(slot, sendable(streams_[slot])); }
  void update_notify(uint32_t slot);
  // flow_control: more resets are due than the other side reads.
  Status queue_reset(uint64_t key);
  // The same, of a reset that was queued where no error could be given.
  Status check_backlog() const;

  // One turn of a stream that is ready: bytes written, 0 without room.
  virtual size_t write_stream(uint32_t slot, MutableBytes out) = 0;
  virtual bool sendable(const Stream& stream) const = 0;
  virtual void on_consumed(uint32_t slot, size_t bytes) = 0;
  virtual uint64_t next_key() = 0;
  virtual bool may_open() const = 0;

  const Role role_;
  const MuxLimits& limits_;
  MuxStats& stats_;
  std::vector<Stream> streams_;
  std::vector<uint64_t> resets_due_;  // keys
  SlotSet ready_;                     // streams with something to send
  uint32_t cursor_ = 0;               // the slot whose turn it is to send
  bool session_frames_ = false;       // frames of the session are due

 private:
  bool tell(uint32_t slot, MuxEvent& event);

  std::vector<uint64_t> keys_;  // by slot, beside streams_ so that a search touches little
  std::vector<uint8_t> handed_out_;
  SlotSet notify_;
  uint32_t last_found_ = 0;
  uint32_t inbound_ = 0;
  uint32_t outbound_ = 0;
  size_t held_ = 0;
  bool reset_overflow_ = false;
};

}  // namespace beamline::libp2p
