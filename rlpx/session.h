// One RLPx connection as a state machine: handshake, Hello, then messages of the capabilities that
// both sides have, each under its own ids; Ping, Pong and Disconnect are its own business. Sans-IO:
// received bytes, messages and the time go in; events, bytes to write and the next deadline come
// out. One thread at a time.
//
//   while (!input.empty()) { Event event = session.receive(input, now); ... }
//   write(session.output()); session.wrote(n, now);
//   while (session.has_work() && there is time in this turn) session.advance(now);
//   if (now >= session.deadline()) event = session.on_deadline(now);
//
// What a peer may cost is bounded: a frame by the largest message of a shared capability (2 KiB
// before Hello), a message by its capability's limit, which is checked against the declared length
// before anything is decompressed; the frame that is coming in grows with what has arrived, not
// with what was announced; the write queue by max_queue. A large message is
// compressed and sealed in slices, by advance(); what is sent behind it waits for it. Time counts
// whole frames, so that a peer that trickles bytes is idle.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "rlpx/frames.h"
#include "rlpx/handshake.h"
#include "rlpx/messages.h"
#include "rlpx/sliced_frame.h"

namespace beamline::rlpx {

// A capability that we speak; several versions of one name are several of these.
struct Capability {
  const char* name = "";  // at most eight bytes
  uint32_t version = 0;
  uint8_t messages = 0;              // ids that it takes
  uint32_t max_message = 10u << 20;  // bytes, decompressed
};

inline constexpr size_t kMaxCapabilities = 16;  // that we offer

struct SessionOptions {
  const secp256k1::SecretKey* key = nullptr;  // outlives the session
  std::string client_id = "beamline";
  uint64_t version = kProtocolVersion;  // 4: we speak without snappy
  uint16_t listen_port = 0;
  std::span<const Capability> capabilities;  // outlive the session
  Duration handshake_timeout = seconds(5);   // from the start to the peer's Hello
  Duration idle_timeout = seconds(30);       // without a whole frame
  Duration ping_interval = seconds(15);      // of silence before a Ping
  Duration write_timeout = seconds(20);      // without a byte of output() written
  size_t max_queue = 24u << 20;              // bytes of output()
};

// How a session ended.
struct Closed {
  Error why;  // remote_error where the peer said Disconnect, cancelled where our user did
  DisconnectReason reason = DisconnectReason::requested;
  bool by_peer = false;  // the reason is theirs; else it is what they were told
};

struct Event {
  enum class Kind : uint8_t { none, ready, message, closed };
  Kind kind = Kind::none;
  uint8_t id = 0;         // message: within its capability
  size_t capability = 0;  // message: index into SessionOptions::capabilities
  Bytes payload;          // message: until the next call of the session
};

class Session {
 public:
  struct Stats {
    uint64_t frames_in = 0;
    uint64_t frames_out = 0;
    uint64_t bytes_in = 0;
    uint64_t bytes_out = 0;  // put in the queue
    uint64_t copied_in = 0;  // frames that came in pieces, and so were copied once
    uint64_t pings_in = 0;
    uint64_t pings_out = 0;
    uint64_t pongs_in = 0;
    uint64_t pongs_dropped = 0;  // the peer asks faster than it reads
    uint64_t ignored = 0;        // messages of the base capability that we do not know
    uint64_t refused_full = 0;   // send(): the queue
    uint64_t sliced = 0;         // messages that were too large for one turn
    uint64_t slices = 0;
    uint64_t cut_short = 0;     // frames that were under way when the session ended
    uint64_t refused_size = 0;  // messages of the peer over a limit
  };

  // `options` must outlive the session. REQUIRES: a key; at most kMaxCapabilities capabilities, in
  // all at most 240 ids.
  static Session initiator(const SessionOptions& options, const secp256k1::PublicKey& remote,
                           Rng& rng, MonoTime now);
  static Session recipient(const SessionOptions& options, Rng& rng, MonoTime now);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Takes a prefix of `input` off and decrypts it in place, up to the next event; none: all of it
  // was taken. After `closed` everything is taken and dropped.
  Event receive(MutableBytes& input, MonoTime now);
  MonoTime deadline() const;
  // What is due: a Ping, or the end.
  Event on_deadline(MonoTime now);

  // Queues a message. Errors (local): full, too_long (over the capability's limit), unsupported
  // (not shared), closed. REQUIRES: capability is an index of the options, id < its messages.
  Status send(size_t capability, uint8_t id, Bytes payload, MonoTime now);
  // The payload is buffer[begin, end); one that is large is taken and not copied. REQUIRES: begin
  // >= kPayloadRoom.
  Status send(size_t capability, uint8_t id, std::vector<uint8_t>& buffer, size_t begin,
              MonoTime now);
  // A message is under way, and what of it is sealed already went out: advance() goes over about
  // kSliceSize bytes of it, and gives how many. REQUIRES: has_work().
  bool has_work() const {
    return !waiting_.empty() && output().size() < kMaxAhead && state_ == State::active;
  }
  size_t advance(MonoTime now);
  // Says Disconnect and ends; without an event. What is in output() should still be written.
  void disconnect(DisconnectReason reason, MonoTime now);

  Bytes output() const { return Bytes(output_).subspan(output_begin_); }
  void wrote(size_t size, MonoTime now);
  // Bytes of output() and of what waits to become that.
  size_t queued() const { return output().size() + waiting_bytes_; }

  bool ready() const { return state_ == State::active; }
  // REQUIRES: state is closed.
  const Closed& closed() const { return closed_; }
  bool is_closed() const { return state_ == State::closed; }
  // Known once the handshake is done; to an initiator from the start.
  const std::optional<secp256k1::PublicKey>& remote() const { return remote_; }
  // REQUIRES: ready() was true.
  const Hello& hello() const { return hello_; }
  // Whether both sides have it, at its highest version of those both have.
  bool shares(size_t capability) const { return offsets_[capability] != 0; }
  const Stats& stats() const { return stats_; }

 private:
  enum class State : uint8_t { handshake, hello, active, closed };
  static constexpr size_t kMaxAhead = 1u << 20;  // sealed and not written, of large messages
  struct Waiting {
    SlicedFrame frame;
    size_t bytes;  // it stands for in waiting_bytes_
  };
  struct Opening {  // needed until the handshake is done
    Rng rng;
    Handshake handshake;
  };

  Session(const SessionOptions& options, std::unique_ptr<Opening> opening, MonoTime now);

  Event on_handshake(MutableBytes& input, MonoTime now);
  Event on_frame(MutableBytes& input, MonoTime now);
  Result<size_t> take_header(MutableBytes& input);
  Result<std::optional<MutableBytes>> take_body(MutableBytes& input);
  Result<Event> on_data(MutableBytes data, MonoTime now);
  Result<Event> on_hello(MutableBytes data, uint8_t id, MonoTime now);
  Result<Event> on_base(MutableBytes data, uint8_t id, MonoTime now);
  Result<Event> on_message(MutableBytes data, uint8_t id);
  Result<Bytes> decompress(Bytes data, size_t limit);
  Event on_disconnect(Bytes data);
  size_t match_capabilities();
  void write_hello(MonoTime now);
  void write_base(BaseMessage id, Bytes payload, MonoTime now);
  void write_message(uint8_t id, Bytes payload, bool compress, MonoTime now);
  Status check_send(size_t capability, uint8_t id, size_t size);
  void enqueue(uint8_t id, std::vector<uint8_t> buffer, size_t begin);
  MutableBytes extend_output(size_t size, MonoTime now);
  Event fail(const Error& why, DisconnectReason reason, MonoTime now);
  void close(const Closed& closed);
  void release_buffers();
  size_t max_data() const;

  const SessionOptions* options_;
  std::unique_ptr<Opening> opening_;
  std::optional<FrameCodec> codec_;
  std::optional<secp256k1::PublicKey> remote_;
  Hello hello_;
  std::array<uint8_t, kMaxCapabilities> offsets_{};  // 0: not shared
  size_t max_message_ = kMaxBaseMessage;
  std::vector<uint8_t> output_;
  size_t output_begin_ = 0;
  std::list<Waiting> waiting_;  // behind output_
  size_t waiting_bytes_ = 0;
  std::array<uint8_t, kFrameHeaderSize> header_{};
  size_t header_held_ = 0;
  size_t data_size_ = 0;        // of the frame whose header was opened; 0: none
  std::vector<uint8_t> body_;   // a frame that comes in pieces
  std::vector<uint8_t> plain_;  // the message that was decompressed last
  MonoTime started_;
  MonoTime received_;  // the last whole frame
  MonoTime pinged_;    // our last Ping
  MonoTime wrote_;     // the last time that the queue moved, or began
  Closed closed_;
  Stats stats_;
  State state_ = State::handshake;
  bool snappy_ = false;
  bool body_done_ = false;  // body_ was given to an event
  uint8_t pongs_queued_ = 0;
};

}  // namespace beamline::rlpx
