#include "libp2p/yamux.h"

#include <algorithm>
#include <cstring>

namespace beamline::libp2p {
namespace {
constexpr uint16_t kSyn = 1;
constexpr uint16_t kAck = 2;
constexpr uint16_t kFin = 4;
constexpr uint16_t kRst = 8;

uint32_t load32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 |
         static_cast<uint32_t>(at[2]) << 8 | at[3];
}

void store32(uint32_t value, uint8_t* at) {
  at[0] = static_cast<uint8_t>(value >> 24);
  at[1] = static_cast<uint8_t>(value >> 16);
  at[2] = static_cast<uint8_t>(value >> 8);
  at[3] = static_cast<uint8_t>(value);
}

void write_header(uint8_t* at, uint8_t type, uint16_t flags, uint32_t stream, uint32_t length) {
  at[0] = 0;
  at[1] = type;
  at[2] = static_cast<uint8_t>(flags >> 8);
  at[3] = static_cast<uint8_t>(flags);
  store32(stream, at + 4);
  store32(length, at + 8);
}
}  // namespace

Yamux::Yamux(Role role, const MuxLimits& limits, MuxStats& stats)
    : Muxer(role, limits, stats), next_id_(role == Role::dialler ? 1 : 2) {}

// --- Receiving -----------------------------------------------------------------------------------

Result<size_t> Yamux::receive(Bytes input, MuxEvent& event) {
  Result<size_t> taken = parse(input, event);
  if (!taken) go_away(1);
  return taken;
}

Result<size_t> Yamux::parse(Bytes input, MuxEvent& event) {
  size_t at = 0;
  for (;;) {
    if (poll_event(event)) return at;
    if (Status status = check_backlog(); !status) return std::unexpected(status.error());
    if (at == input.size()) return at;
    if (body_left_ > 0) {
      const size_t size = std::min<size_t>(body_left_, input.size() - at);
      const Bytes data = input.subspan(at, size);
      at += size;
      body_left_ -= static_cast<uint32_t>(size);
      const Stream* stream = find(body_stream_);
      const bool live = stream != nullptr && !stream->remote_closed && !stream->tell_reset;
      if (!live) stats_.bytes_drained += size;
      const bool handed = live && deliver(body_stream_.slot(), data, event);
      if (body_left_ == 0) end_body();
      if (handed) return at;
      continue;
    }
    const size_t size = std::min(kHeaderSize - header_size_, input.size() - at);
    std::memcpy(header_ + header_size_, input.data() + at, size);
    header_size_ = static_cast<uint8_t>(header_size_ + size);
    at += size;
    if (header_size_ < kHeaderSize) return at;
    header_size_ = 0;
    const Header header{header_[0], header_[1], static_cast<uint16_t>(header_[2] << 8 | header_[3]),
                        load32(header_ + 4), load32(header_ + 8)};
    if (Status status = on_header(header); !status) return std::unexpected(status.error());
  }
}

Status Yamux::on_header(const Header& header) {
  ++stats_.frames_received;
  if (header.version != 0) return bad_input(Code::bad_version, "yamux.version");
  switch (header.type) {
    case static_cast<uint8_t>(Type::data):
      return on_data(header);
    case static_cast<uint8_t>(Type::window):
      return on_window(header);
    case static_cast<uint8_t>(Type::ping):
      return on_ping(header);
    case static_cast<uint8_t>(Type::go_away):
      return on_go_away(header);
    default:
      return bad_input(Code::bad_encoding, "yamux.type");
  }
}

Result<uint32_t> Yamux::stream_of(const Header& header) {
  if (header.stream == 0) return bad_input(Code::unexpected, "yamux.stream");
  if ((header.flags & kSyn) != 0) {
    const bool odd = header.stream % 2 == 1;
    if (odd == (role_ == Role::dialler)) return bad_input(Code::unexpected, "yamux.stream");
    const Result<uint32_t> slot = accept(header.stream);
    if (slot && *slot != kNone) {
      Stream& stream = streams_[*slot];
      stream.ack_due = true;
      stream.send_window = kWindow;
      stream.receive_window = kWindow;
      update_ready(*slot);
    }
    return slot;
  }
  const uint32_t slot = find_key(header.stream);
  if (slot == kNone) ++stats_.unknown_stream;
  return slot;
}

Status Yamux::on_data(const Header& header) {
  // No stream ever has a larger window, so this holds for unknown streams, and before a new one's
  // state exists (CVE-2026-32314).
  if (header.length > kWindow) return bad_input(Code::flow_control, "yamux.length");
  const Result<uint32_t> slot = stream_of(header);
  if (!slot) return std::unexpected(slot.error());
  body_left_ = header.length;
  body_stream_ = {};
  close_after_body_ = false;
  if (*slot == kNone) return {};
  Stream& stream = streams_[*slot];
  if (header.length > stream.receive_window) return bad_input(Code::flow_control, "yamux.length");
  stream.receive_window -= header.length;
  if ((header.flags & kRst) != 0) {
    on_remote_reset(*slot);
    return {};
  }
  body_stream_ = id_of(*slot);
  close_after_body_ = (header.flags & kFin) != 0;
  if (body_left_ == 0) end_body();
  return {};
}

void Yamux::end_body() {
  if (close_after_body_ && find(body_stream_) != nullptr) on_remote_close(body_stream_.slot());
  close_after_body_ = false;
  body_stream_ = {};
}

Status Yamux::on_window(const Header& header) {
  const Result<uint32_t> slot = stream_of(header);
  if (!slot) return std::unexpected(slot.error());
  if (*slot == kNone) return {};
  Stream& stream = streams_[*slot];
  // CVE-2026-31814: the sum is checked, not wrapped.
  if (__builtin_add_overflow(stream.send_window, header.length, &stream.send_window)) {
    return bad_input(Code::flow_control, "yamux.window");
  }
  if ((header.flags & kRst) != 0) {
    on_remote_reset(*slot);
    return {};
  }
  if ((header.flags & kFin) != 0) on_remote_close(*slot);
  update_ready(*slot);
  return {};
}

Status Yamux::on_ping(const Header& header) {
  if (header.stream != 0) return bad_input(Code::unexpected, "yamux.stream");
  ++stats_.pings;
  if ((header.flags & kSyn) == 0) return {};  // an answer to a ping that we did not send
  if (pong_due_) ++stats_.pings_coalesced;
  pong_due_ = true;
  pong_value_ = header.length;
  session_frames_ = true;
  return {};
}

Status Yamux::on_go_away(const Header& header) {
  if (header.stream != 0) return bad_input(Code::unexpected, "yamux.stream");
  remote_gone_ = true;
  if (header.length != 0) return bad_input(Code::remote_error, "yamux.go_away", header.length);
  return {};
}

// --- Sending -------------------------------------------------------------------------------------

void Yamux::go_away(uint32_t code) {
  if (go_away_due_ || go_away_sent_) return;
  go_away_due_ = true;
  go_away_code_ = code;
  session_frames_ = true;
}

bool Yamux::may_open() const {
  return !remote_gone_ && !go_away_due_ && !go_away_sent_ && next_id_ <= UINT32_MAX - 2;
}

uint64_t Yamux::next_key() {
  const uint32_t id = next_id_;
  next_id_ += 2;
  return id;
}

bool Yamux::window_due(const Stream& stream) {
  return stream.consumed >= kWindow / 2 && !stream.remote_closed;
}

bool Yamux::sendable(const Stream& stream) const {
  if (!stream.used || stream.tell_reset) return false;
  if (stream.syn_due || stream.ack_due || window_due(stream)) return true;
  if (!stream.send.empty()) return stream.send_window > 0;
  return stream.close_due;
}

void Yamux::on_consumed(uint32_t slot, size_t bytes) {
  Stream& stream = streams_[slot];
  stream.consumed += static_cast<uint32_t>(bytes);
  if (window_due(stream)) update_ready(slot);
}

size_t Yamux::poll_session(MutableBytes out) {
  size_t at = 0;
  const auto room = [&] { return out.size() - at >= kHeaderSize; };
  const auto put = [&](Type type, uint16_t flags, uint32_t stream, uint32_t length) {
    write_header(out.data() + at, static_cast<uint8_t>(type), flags, stream, length);
    at += kHeaderSize;
    ++stats_.frames_sent;
  };
  if (pong_due_ && room()) {
    put(Type::ping, kAck, 0, pong_value_);
    pong_due_ = false;
  }
  size_t resets = 0;
  while (resets < resets_due_.size() && room()) {
    put(Type::window, kRst, static_cast<uint32_t>(resets_due_[resets++]), 0);
    ++stats_.resets_sent;
  }
  resets_due_.erase(resets_due_.begin(), resets_due_.begin() + static_cast<std::ptrdiff_t>(resets));
  if (resets_due_.empty() && go_away_due_ && room()) {
    put(Type::go_away, 0, 0, go_away_code_);
    go_away_due_ = false;
    go_away_sent_ = true;
  }
  session_frames_ = pong_due_ || go_away_due_ || !resets_due_.empty();
  return at;
}

uint16_t Yamux::take_flags(Stream& stream) {
  const auto flags =
      static_cast<uint16_t>((stream.syn_due ? kSyn : 0) | (stream.ack_due ? kAck : 0));
  if (stream.syn_due) {
    stream.send_window = kWindow;
    stream.receive_window = kWindow;
  }
  stream.syn_due = false;
  stream.ack_due = false;
  return flags;
}

// One stream's turn: a window update if it is due, then one frame of data, or its end.
size_t Yamux::write_stream(uint32_t slot, MutableBytes out) {
  Stream& stream = streams_[slot];
  const auto id = static_cast<uint32_t>(key_of(slot));
  size_t at = 0;
  if (out.size() < kHeaderSize) return 0;
  const uint32_t window = stream.syn_due ? kWindow : stream.send_window;
  const bool data_first = !stream.send.empty() && window > 0;
  if (window_due(stream) || (!data_first && (stream.syn_due || stream.ack_due))) {
    const uint32_t credit = window_due(stream) ? stream.consumed : 0;
    const uint16_t flags = take_flags(stream);
    write_header(out.data(), static_cast<uint8_t>(Type::window), flags, id, credit);
    at = kHeaderSize;
    ++stats_.frames_sent;
    stream.consumed -= credit;
    stream.receive_window += credit;
  }
  const size_t room = out.size() - at;
  if (data_first && room > kHeaderSize) {
    const size_t size = std::min({stream.send.front_size(), room - kHeaderSize, size_t{window}});
    const uint16_t flags = take_flags(stream);
    stream.send.pop(out.subspan(at + kHeaderSize, size));
    stream.send_window -= static_cast<uint32_t>(size);
    write_header(out.data() + at, static_cast<uint8_t>(Type::data), flags, id,
                 static_cast<uint32_t>(size));
    at += kHeaderSize + size;
    ++stats_.frames_sent;
  }
  // A frame of its own: js-libp2p looks at a data frame's FIN before its data, and drops the data.
  if (stream.send.empty() && stream.close_due && out.size() - at >= kHeaderSize) {
    write_header(out.data() + at, static_cast<uint8_t>(Type::window),
                 static_cast<uint16_t>(take_flags(stream) | kFin), id, 0);
    at += kHeaderSize;
    ++stats_.frames_sent;
    stream.close_due = false;
    stream.close_sent = true;
  }
  if (at > 0) on_sent(slot);
  return at;
}

}  // namespace beamline::libp2p
