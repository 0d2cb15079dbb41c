#include "libp2p/mplex.h"

#include <algorithm>

#include "codec/uvarint.h"

namespace beamline::libp2p {
namespace {
// The key of a stream: its number, and whether the other side opened it.
uint64_t key(uint64_t number, bool inbound) { return number << 1 | (inbound ? 1 : 0); }
constexpr uint64_t kMaxNumber = (uint64_t{1} << 60) - 1;
}  // namespace

Mplex::Mplex(Role role, const MuxLimits& limits, MuxStats& stats) : Muxer(role, limits, stats) {}

// --- Receiving -----------------------------------------------------------------------------------

Result<size_t> Mplex::receive(Bytes input, MuxEvent& event) {
  size_t at = 0;
  for (;;) {
    if (poll_event(event)) return at;
    if (Status status = check_backlog(); !status) return std::unexpected(status.error());
    if (at == input.size()) return at;
    if (body_left_ == 0) {
      if (Status status = on_header_byte(input[at++]); !status) {
        return std::unexpected(status.error());
      }
      continue;
    }
    const size_t size = std::min<size_t>(body_left_, input.size() - at);
    const Bytes data = input.subspan(at, size);
    at += size;
    body_left_ -= static_cast<uint32_t>(size);
    const Stream* stream = find(body_stream_);
    const bool live = stream != nullptr && !stream->remote_closed && !stream->tell_reset;
    if (!live) stats_.bytes_drained += size;
    if (live && deliver(body_stream_.slot(), data, event)) return at;
  }
}

Status Mplex::on_header_byte(uint8_t byte) {
  const size_t limit = header_known_ ? kMaxHeaderSize - 9 : 9;
  if (varint_size_ == limit) return bad_input(Code::too_long, "mplex.header");
  if (byte == 0 && varint_size_ > 0) return bad_input(Code::non_canonical, "mplex.header");
  varint_ |= static_cast<uint64_t>(byte & 0x7f) << (7 * varint_size_++);
  if ((byte & 0x80) != 0) return {};
  const uint64_t value = varint_;
  varint_ = 0;
  varint_size_ = 0;
  if (!header_known_) {
    header_ = value;
    header_known_ = true;
    return {};
  }
  header_known_ = false;
  if (value > kMaxFrame) return bad_input(Code::too_long, "mplex.length");
  return on_header(header_, value);
}

Status Mplex::on_header(uint64_t header, uint64_t length) {
  ++stats_.frames_received;
  body_left_ = static_cast<uint32_t>(length);
  body_stream_ = {};
  const uint64_t number = header >> 3;
  const auto flag = static_cast<uint8_t>(header & 7);
  if (flag > static_cast<uint8_t>(Flag::reset_initiator)) {
    return bad_input(Code::bad_encoding, "mplex.flag");
  }
  if (flag == static_cast<uint8_t>(Flag::open)) {  // what follows is a name, for people
    const Result<uint32_t> slot = accept(key(number, true));
    return slot ? Status{} : std::unexpected(slot.error());
  }
  // Even flags come from the side that opened the stream.
  const uint32_t slot = find_key(key(number, flag % 2 == 0));
  if (slot == kNone) {
    ++stats_.unknown_stream;
    return {};
  }
  switch (static_cast<Flag>(flag)) {
    case Flag::message_receiver:
    case Flag::message_initiator:
      body_stream_ = id_of(slot);
      break;
    case Flag::close_receiver:
    case Flag::close_initiator:
      on_remote_close(slot);
      break;
    default:
      on_remote_reset(slot);
  }
  return {};
}

// --- Sending -------------------------------------------------------------------------------------

void Mplex::go_away(uint32_t) { gone_ = true; }

uint64_t Mplex::next_key() { return key(next_number_++ & kMaxNumber, false); }

bool Mplex::sendable(const Stream& stream) const {
  if (!stream.used || stream.tell_reset) return false;
  return stream.syn_due || stream.close_due || !stream.send.empty();
}

// One stream's turn: what opens it, one frame of data, or its end.
size_t Mplex::write_stream(uint32_t slot, MutableBytes out) {
  Stream& stream = streams_[slot];
  const uint64_t number = key_of(slot) >> 1;
  const auto put = [&](size_t at, Flag flag, size_t length) {
    size_t size = write_uvarint(number << 3 | static_cast<uint64_t>(flag), out.data() + at);
    size += write_uvarint(length, out.data() + at + size);
    ++stats_.frames_sent;
    return size;
  };
  size_t at = 0;
  if (out.size() < 2 * kMaxHeaderSize) return 0;
  if (stream.syn_due) {
    stream.syn_due = false;
    at = put(at, Flag::open, 0);
  }
  if (!stream.send.empty()) {
    const size_t header = uvarint_size(number << 3) + 3;  // of a length below 2 MiB, at most
    const size_t room = out.size() - at;
    if (room > header) {
      const size_t size = std::min({stream.send.front_size(), room - header, kMaxFrame});
      at += put(at, stream.inbound ? Flag::message_receiver : Flag::message_initiator, size);
      stream.send.pop(out.subspan(at, size));
      at += size;
    }
  } else if (stream.close_due) {
    at += put(at, stream.inbound ? Flag::close_receiver : Flag::close_initiator, 0);
    stream.close_due = false;
    stream.close_sent = true;
  }
  if (at > 0) on_sent(slot);
  return at;
}

size_t Mplex::poll_session(MutableBytes out) {
  size_t at = 0;
  size_t resets = 0;
  while (resets < resets_due_.size() && out.size() - at >= kMaxHeaderSize) {
    const uint64_t due = resets_due_[resets++];
    const Flag flag = (due & 1) != 0 ? Flag::reset_receiver : Flag::reset_initiator;
    at += write_uvarint(due >> 1 << 3 | static_cast<uint64_t>(flag), out.data() + at);
    out[at++] = 0;
    ++stats_.frames_sent;
    ++stats_.resets_sent;
  }
  resets_due_.erase(resets_due_.begin(), resets_due_.begin() + static_cast<std::ptrdiff_t>(resets));
  session_frames_ = !resets_due_.empty();
  return at;
}

}  // namespace beamline::libp2p
