// yamux, "/yamux/1.0.0" (hashicorp/yamux spec.md; libp2p/specs yamux/README.md): a 12-byte header
// (version, type, flags, stream, length; big-endian) before each frame, windows per stream.
//
// Windows: each stream may receive 256 KiB, and more as its data is handed out, so a paused stream
// holds at most that. Answers to pings are coalesced, resets bounded: nothing that waits to be sent
// grows with what the other side sends.
#pragma once

#include "libp2p/muxer.h"

namespace beamline::libp2p {

inline constexpr const char* kYamuxProtocol = "/yamux/1.0.0";

class Yamux final : public Muxer {
 public:
  static constexpr size_t kHeaderSize = 12;
  static constexpr uint32_t kWindow = 256 * 1024;

  Yamux(Role role, const MuxLimits& limits, MuxStats& stats);

  // Errors of the connection (each sends GoAway(1) first): bad_version, bad_encoding (type),
  // unexpected (a stream where there is none, ids of the wrong side), duplicate (a stream opened
  // twice), flow_control (data beyond the window, a window over 32 bits, CVE-2026-32314 and
  // CVE-2026-31814; more resets than the other side reads, CVE-2024-32984), remote_error (GoAway
  // with a code).
  Result<size_t> receive(Bytes input, MuxEvent& event) override;
  size_t poll_session(MutableBytes out) override;
  void go_away(uint32_t code) override;

 private:
  enum class Type : uint8_t { data = 0, window = 1, ping = 2, go_away = 3 };
  struct Header {
    uint8_t version;
    uint8_t type;
    uint16_t flags;
    uint32_t stream;
    uint32_t length;
  };

  Result<size_t> parse(Bytes input, MuxEvent& event);
  Status on_header(const Header& header);
  Status on_data(const Header& header);
  Status on_window(const Header& header);
  Status on_ping(const Header& header);
  Status on_go_away(const Header& header);
  // The stream of a frame, opened if it says so; kNone if there is none.
  Result<uint32_t> stream_of(const Header& header);
  void end_body();
  size_t write_stream(uint32_t slot, MutableBytes out) override;
  uint16_t take_flags(Stream& stream);

  static bool window_due(const Stream& stream);
  bool sendable(const Stream& stream) const override;
  void on_consumed(uint32_t slot, size_t bytes) override;
  uint64_t next_key() override;
  bool may_open() const override;

  uint8_t header_[kHeaderSize];  // until it is whole
  uint8_t header_size_ = 0;
  bool close_after_body_ = false;
  bool pong_due_ = false;
  bool go_away_due_ = false;
  bool go_away_sent_ = false;
  bool remote_gone_ = false;
  StreamId body_stream_;  // none: drain
  uint32_t body_left_ = 0;
  uint32_t pong_value_ = 0;
  uint32_t go_away_code_ = 0;
  uint32_t next_id_;
};

}  // namespace beamline::libp2p
