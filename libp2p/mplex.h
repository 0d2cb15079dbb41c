// mplex, "/mplex/6.7.0" (libp2p/specs mplex/README.md): uvarint(stream << 3 | flag),
// uvarint(length), data. No windows: a stream that is paused holds up to MuxLimits::receive_bytes
// and is then reset. Both sides count their streams from 0, so a stream is its number and who
// opened it.
#pragma once

#include "libp2p/muxer.h"

namespace beamline::libp2p {

inline constexpr const char* kMplexProtocol = "/mplex/6.7.0";

class Mplex final : public Muxer {
 public:
  static constexpr size_t kMaxFrame = 1024 * 1024;  // data of one frame
  static constexpr size_t kMaxHeaderSize = 9 + 4;   // a number of 60 bits, a length of 21

  Mplex(Role role, const MuxLimits& limits, MuxStats& stats);

  // Errors of the connection: too_long (a frame over 1 MiB, a varint), non_canonical (a varint),
  // bad_encoding (flag 7), duplicate (a stream opened twice), flow_control (more resets than the
  // other side reads).
  Result<size_t> receive(Bytes input, MuxEvent& event) override;
  size_t poll_session(MutableBytes out) override;
  void go_away(uint32_t code) override;

 private:
  enum class Flag : uint8_t {
    open = 0,
    message_receiver = 1,  // from the side that did not open the stream
    message_initiator = 2,
    close_receiver = 3,
    close_initiator = 4,
    reset_receiver = 5,
    reset_initiator = 6,
  };

  Status on_header_byte(uint8_t byte);
  Status on_header(uint64_t header, uint64_t length);
  size_t write_stream(uint32_t slot, MutableBytes out) override;

  bool sendable(const Stream& stream) const override;
  void on_consumed(uint32_t, size_t) override {}
  uint64_t next_key() override;
  bool may_open() const override { return !gone_; }

  uint64_t header_ = 0;
  uint64_t varint_ = 0;
  uint8_t varint_size_ = 0;
  bool header_known_ = false;
  bool gone_ = false;
  StreamId body_stream_;  // none: drain
  uint32_t body_left_ = 0;
  uint64_t next_number_ = 0;
};

}  // namespace beamline::libp2p
