// A libp2p connection over one TCP stream: multistream-select and Noise, then streams over yamux or
// mplex, each with a protocol negotiated on it. Sans-IO: the caller owns the socket and the clock.
//
//   received bytes:  receive(now, wire); while (poll_event(event)) ...   then `wire` may go
//   socket writable: n = poll_transmit(out), while wants_transmit()
//   time:            handle_timeout(now) when poll_timeout() has come; then poll_event
//   socket's end:    transport_closed(error); then poll_event
//
// After any call that may change something (open, write, reset, resume, close, handle_timeout)
// look at wants_transmit() and poll_event() again. One thread; no call calls back into the caller,
// and any call may be made between two poll_event().
//
// Bytes: a whole Noise frame is decrypted where it lies in `wire`, and `stream_data` is a view into
// it; one that came in parts is put together once, in a buffer that is lent for the time. What is
// written is shared, not copied, until it is framed and encrypted in poll_transmit()'s buffer.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "codec/peer_id.h"
#include "libp2p/identify.h"
#include "libp2p/local_node.h"
#include "libp2p/muxer.h"
#include "libp2p/noise.h"
#include "libp2p/protocols.h"
#include "libp2p/upgrade.h"

namespace beamline::libp2p {

struct Event {
  enum class Type : uint8_t {
    none,
    connected,             // secured and muxed: streams can be opened; remote_peer() is known
    identified,            // the other side's identify message: Connection::identify()
    stream_opened,         // by the other side, on `protocol`, which our table serves
    stream_negotiated,     // one that we opened: `protocol` is what the other side took
    stream_data,           // `data`, until the next poll_event() or receive()
    stream_remote_closed,  // no data will follow; we may still write
    stream_reset,          // with `error`; the id is stale now. Also when a negotiation failed
                           // (unsupported, timed_out)
    stream_writable,       // a write() that took less than all may go on
    closed,                // the last event; `error` says why (Code::closed: in order)
  };
  Type type = Type::none;
  StreamId stream;
  ProtocolId protocol = kNoProtocol;  // of every stream event
  Bytes data;
  Error error;
};

class Connection {
 public:
  // Least room for poll_transmit(); 64 KiB and more make the fewest frames.
  static constexpr size_t kMinTransmit = 512;
  // What a frame adds to its plain text.
  static constexpr size_t kFrameOverhead = 2 + kNoiseTagSize;

  // `expected`: whom we dial; empty, anyone (the listener). `remote_address`: the other side's
  // multiaddr, which identify tells it as the observed one; may be empty. `node` outlives it.
  Connection(LocalNode& node, Role role, Now now, const PeerId& expected = {},
             Bytes remote_address = {});
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Hands bytes over, which poll_event() then works through (and decrypts in place): they stay
  // valid, and receive() is not called again, until it has returned false. An error: the
  // connection had ended, nothing was taken.
  Status receive(Now now, MutableBytes wire);
  // True and the next event; or false: nothing left. After `closed` always false.
  bool poll_event(Event& event);

  // Fills `out` with what is to be sent, whole frames first; gives how many bytes.
  // REQUIRES: out.size() >= kMinTransmit.
  size_t poll_transmit(MutableBytes out);
  bool wants_transmit() const;

  // never() when nothing is timed.
  MonoTime poll_timeout() const;
  void handle_timeout(Now now);
  // The transport ended (Code::closed) or broke. What arrived before was handed over before.
  void transport_closed(const Error& error);
  // Ends in order: says so to the other side, as far as the muxer can. poll_transmit() gives what
  // was queued; then finished() is true and the socket may be closed.
  void close();
  // The connection ended, or close() was called, and nothing is left to send.
  bool finished() const;

  // Opens a stream and proposes in this order; `stream_negotiated` or `stream_reset` follows. With
  // one proposal data may be written at once (it travels with the proposal); with several, write()
  // takes nothing before `stream_negotiated`. Local errors: unexpected (not connected yet), full.
  // refused: the other side is going away.
  // REQUIRES: 1 to MultistreamSelect::kMaxProposals.
  Result<StreamId> open(Now now, std::span<const ProtocolId> proposals);
  // How many bytes were taken; if not all, wait for `stream_writable` or `stream_negotiated`.
  // 0 for a stream that ended. Shared bytes are not copied; others are, once.
  size_t write(StreamId stream, const SharedBytes& bytes);
  size_t write(StreamId stream, Bytes bytes);
  // Our end of the stream, after what was written; told only when the negotiation is done.
  void close_write(StreamId stream);
  // Both ends, at once. The id is stale afterwards: no event follows.
  void reset(StreamId stream);
  // While paused a stream has no `stream_data`: yamux lets its window fill, mplex holds up to
  // MuxLimits::receive_bytes and is then reset.
  void pause(StreamId stream);
  void resume(StreamId stream);

  Role role() const { return role_; }
  bool connected() const { return phase_ == Phase::open; }
  // Empty until `connected`.
  const PeerId& remote_peer() const { return remote_; }
  // Of the muxer that was agreed on. REQUIRES: connected().
  MuxerKind muxer() const { return muxer_kind_; }
  // kNoProtocol while the stream is negotiated, and for a stale id.
  ProtocolId protocol(StreamId stream) const;
  // Bytes that wait on a stream to be sent.
  size_t queued(StreamId stream) const;
  size_t stream_count() const;
  // Of the message of the last `identified` event, until the next poll_event() or receive().
  const Identify& identify() const { return identify_->info; }

 private:
  enum class Phase : uint8_t { securing, choosing_muxer, open, ended };
  enum class Kind : uint8_t { none, host, identify_answer, identify_ask, identify_push };

  struct StreamState {
    StreamState() = default;
    StreamState(StreamState&&) = default;
    StreamState& operator=(StreamState&&) = default;

    std::unique_ptr<MultistreamSelect> select;  // until it is done
    std::unique_ptr<IdentifyReader> reader;     // of identify's own streams
    MonoTime deadline = MonoTime::never();
    StreamId id;
    ProtocolId protocol = kNoProtocol;
    Kind kind = Kind::none;
    bool inbound = false;
    bool hold_writes = false;  // several proposals: nothing before one is accepted
    bool close_held = false;   // close_write() came in that time
  };
  struct IdentifyResult {
    std::vector<uint8_t> message;
    Identify info;
  };

  bool advance_securing();
  bool advance_choosing_muxer();
  bool advance_open(Event& event);
  // Decrypts the next frame of `wire_` to `plain_`; false: it is not whole, or the connection
  // ended.
  bool next_frame();
  MutableBytes take_frame();
  void drop_frame();
  bool expire_stream(Event& event);
  void start_muxer(MuxerKind kind);
  void end(const Error& error, uint64_t& counter);
  size_t seal_frame(MutableBytes out, size_t size);

  bool on_mux_event(const MuxEvent& from, Event& event);
  bool on_data(StreamState& state, Bytes data, Event& event);
  bool on_remote_closed(StreamState& state, Event& event);
  bool on_negotiation(StreamState& state, Bytes data, Event& event);
  bool on_negotiated(StreamState& state, Bytes rest, Event& event);
  bool fail_stream(StreamState& state, const Error& error, Event& event);
  bool on_identify_data(StreamState& state, Bytes data, Event& event);
  Result<StreamId> open_stream(std::span<const ProtocolId> proposals, Kind kind);
  void ask_identify();
  StreamState* find(StreamId stream);
  const StreamState* find(StreamId stream) const;
  StreamState& add_stream(StreamId stream, Kind kind, bool inbound);
  void update_deadline();

  LocalNode& node_;
  const Role role_;
  Phase phase_ = Phase::securing;
  MuxerKind muxer_kind_ = MuxerKind::yamux;
  bool closing_ = false;
  bool told_connected_ = false;
  bool told_closed_ = false;
  Now now_;
  Error error_;
  PeerId remote_;
  std::vector<uint8_t> remote_address_;

  std::unique_ptr<Upgrade> upgrade_;           // while securing
  std::unique_ptr<MultistreamSelect> select_;  // while choosing the muxer
  std::optional<NoiseCiphers> ciphers_;
  std::unique_ptr<Muxer> muxer_;
  std::vector<StreamState> streams_;  // by slot
  std::unique_ptr<IdentifyResult> identify_;
  MonoTime deadline_ = MonoTime::never();

  MutableBytes wire_;             // handed over, not yet looked at
  Bytes plain_;                   // decrypted, not yet looked at
  LocalNode::FrameBuffer frame_;  // a frame that comes in parts
  uint32_t frame_size_ = 0;       // bytes of it so far, its length included
  bool frame_done_ = false;       // it is whole, and `plain_` may lie in it
  StreamId rest_stream_;          // a stream that was just negotiated, and
  Bytes rest_;                    // what came with the negotiation's last bytes
  std::vector<uint8_t> output_;   // of the handshake, as it is sent
  uint32_t output_sent_ = 0;
  std::vector<uint8_t> plain_output_;  // of the muxer's negotiation, to be sealed
};

}  // namespace beamline::libp2p
