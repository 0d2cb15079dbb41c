#include "libp2p/connection.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "libp2p/mplex.h"
#include "libp2p/yamux.h"

namespace beamline::libp2p {
namespace {
constexpr size_t kLengthSize = 2;
// What a muxer may still say when the connection fails: a GoAway behind the resets that are due.
constexpr size_t kMaxLastWords = 8 * 1024;
// Less room than this is not worth a frame.
constexpr size_t kMinFrameRoom = 128;

void append(Bytes bytes, std::vector<uint8_t>& out) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// Gives the memory back: assigning {} would keep it.
void release(std::vector<uint8_t>& bytes) { std::vector<uint8_t>().swap(bytes); }
}  // namespace

Connection::Connection(LocalNode& node, Role role, Now now, const PeerId& expected,
                       Bytes remote_address)
    : node_(node),
      role_(role),
      now_(now),
      remote_address_(remote_address.begin(), remote_address.end()),
      upgrade_(std::make_unique<Upgrade>(node, role, expected, now)) {
  ++node_.stats_.started;
  output_ = std::move(upgrade_->output());
  deadline_ = upgrade_->deadline();
}

Connection::~Connection() {
  if (frame_ != nullptr) node_.return_frame_buffer(std::move(frame_));
}

// --- Input ---------------------------------------------------------------------------------------

Status Connection::receive(Now now, MutableBytes wire) {
  BL_CHECK(wire_.empty());
  now_ = now;
  if (phase_ == Phase::ended) return std::unexpected(error_);
  wire_ = wire;
  node_.stats_.bytes_received += wire.size();
  return {};
}

bool Connection::poll_event(Event& event) {
  event = {};
  identify_.reset();
  for (;;) {
    switch (phase_) {
      case Phase::securing:
        if (!advance_securing()) return false;
        break;
      case Phase::choosing_muxer:
        if (!advance_choosing_muxer()) return false;
        break;
      case Phase::open:
        if (advance_open(event)) return true;
        if (phase_ == Phase::open) return false;
        break;
      case Phase::ended:
        if (told_closed_) return false;
        told_closed_ = true;
        event.type = Event::Type::closed;
        event.error = error_;
        return true;
    }
  }
}

// False: nothing more to do with what there is.
bool Connection::advance_securing() {
  if (deadline_ <= now_.mono) {
    const char* layer = upgrade_->negotiating() ? "multistream" : "noise";
    end({layer, 0, Code::timed_out, Fault::peer}, node_.stats_.timeouts);
    return true;
  }
  if (wire_.empty()) return false;
  const Result<size_t> taken = upgrade_->receive(wire_, now_);
  append(upgrade_->output(), output_);
  upgrade_->output().clear();
  deadline_ = upgrade_->deadline();
  if (!taken) {
    end(taken.error(),
        upgrade_->negotiating() ? node_.stats_.failed_multistream : node_.stats_.failed_noise);
    return true;
  }
  wire_ = wire_.subspan(*taken);
  if (!upgrade_->finished()) return false;
  ciphers_.emplace(upgrade_->take_ciphers());
  remote_ = upgrade_->remote();
  const std::optional<MuxerKind> muxer = upgrade_->muxer();
  upgrade_.reset();
  if (muxer) {
    ++node_.stats_.early_muxers;
    start_muxer(*muxer);
    return true;
  }
  select_ = std::make_unique<MultistreamSelect>(
      role_ == Role::dialler
          ? MultistreamSelect::dialler(node_.muxers_, node_.muxer_ids_, plain_output_)
          : MultistreamSelect::listener(node_.muxers_));
  phase_ = Phase::choosing_muxer;
  deadline_ = now_.mono + node_.limits().multistream_timeout;
  return true;
}

bool Connection::advance_choosing_muxer() {
  if (deadline_ <= now_.mono) {
    end({"multistream.muxer", 0, Code::timed_out, Fault::peer}, node_.stats_.timeouts);
    return true;
  }
  if (plain_.empty()) {
    if (!next_frame()) return phase_ == Phase::ended;
  }
  const Result<size_t> taken = select_->receive(plain_, plain_output_);
  if (!taken) {
    end(taken.error(), node_.stats_.failed_muxer);
    return true;
  }
  plain_ = plain_.subspan(*taken);
  if (!select_->done()) return true;
  const MuxerKind kind = node_.config_.muxers[select_->accepted()];
  select_.reset();
  start_muxer(kind);
  return true;
}

void Connection::start_muxer(MuxerKind kind) {
  const MuxLimits& limits = node_.config_.limits.mux;
  if (kind == MuxerKind::yamux) {
    muxer_ = std::make_unique<Yamux>(role_, limits, node_.stats_.mux);
  } else {
    muxer_ = std::make_unique<Mplex>(role_, limits, node_.stats_.mux);
  }
  muxer_kind_ = kind;
  phase_ = Phase::open;
  deadline_ = MonoTime::never();
  ++node_.stats_.connected;
}

bool Connection::advance_open(Event& event) {
  if (!told_connected_) {
    told_connected_ = true;
    if (node_.config_.ask_identify) ask_identify();
    event.type = Event::Type::connected;
    return true;
  }
  if (!rest_.empty()) {
    const Bytes rest = std::exchange(rest_, {});
    StreamState* state = find(rest_stream_);
    if (state != nullptr && muxer_->is_paused(rest_stream_)) {
      muxer_->unread(rest_stream_, rest);
    } else if (state != nullptr && on_data(*state, rest, event)) {
      return true;
    }
  }
  if (deadline_ <= now_.mono && expire_stream(event)) return true;
  for (;;) {
    MuxEvent from;
    const Result<size_t> taken = muxer_->receive(plain_, from);
    if (!taken) {
      end(taken.error(), node_.stats_.failed_muxer);
      return false;
    }
    plain_ = plain_.subspan(*taken);
    if (from.type != MuxEvent::Type::none) {
      if (on_mux_event(from, event)) return true;
    } else if (!next_frame()) {
      return false;
    }
  }
}

// The next sealed message: in `wire_`, or put together in the lent buffer; null: not whole yet.
MutableBytes Connection::take_frame() {
  if (frame_size_ == 0) {
    if (wire_.empty()) return {};
    if (wire_.size() >= kLengthSize) {
      const size_t length = static_cast<size_t>(wire_[0]) << 8 | wire_[1];
      if (wire_.size() >= kLengthSize + length) {
        const MutableBytes message = wire_.subspan(kLengthSize, length);
        wire_ = wire_.subspan(kLengthSize + length);
        return message;
      }
    }
    frame_ = node_.take_frame_buffer();
  }
  uint8_t* const frame = frame_.get();
  while (frame_size_ < kLengthSize && !wire_.empty()) {
    frame[frame_size_++] = wire_.front();
    wire_ = wire_.subspan(1);
  }
  if (frame_size_ < kLengthSize) return {};
  const size_t goal = kLengthSize + (static_cast<size_t>(frame[0]) << 8 | frame[1]);
  const size_t take = std::min(goal - frame_size_, wire_.size());
  copy_bytes(frame + frame_size_, wire_.data(), take);
  frame_size_ += static_cast<uint32_t>(take);
  wire_ = wire_.subspan(take);
  if (frame_size_ < goal) return {};
  frame_done_ = true;
  return {frame + kLengthSize, goal - kLengthSize};
}

void Connection::drop_frame() {
  if (!frame_done_) return;
  node_.return_frame_buffer(std::move(frame_));
  frame_done_ = false;
  frame_size_ = 0;
}

bool Connection::next_frame() {
  drop_frame();
  const MutableBytes sealed = take_frame();
  if (sealed.data() == nullptr) return false;
  const Result<MutableBytes> plain = ciphers_->receive.open(sealed);
  if (!plain) {
    end(plain.error(), node_.stats_.failed_noise);
    return false;
  }
  plain_ = *plain;
  return true;
}

// --- Time and the end ----------------------------------------------------------------------------

MonoTime Connection::poll_timeout() const {
  return phase_ == Phase::ended ? MonoTime::never() : deadline_;
}

void Connection::handle_timeout(Now now) { now_ = now; }

bool Connection::expire_stream(Event& event) {
  for (StreamState& state : streams_) {
    if (state.deadline > now_.mono || !muxer_->is_open(state.id)) continue;
    ++node_.stats_.streams_timed_out;
    if (fail_stream(state, {"multistream.stream", 0, Code::timed_out, Fault::peer}, event)) {
      return true;
    }
  }
  update_deadline();
  return false;
}

void Connection::update_deadline() {
  deadline_ = MonoTime::never();
  for (const StreamState& state : streams_) {
    if (muxer_->is_open(state.id)) deadline_ = std::min(deadline_, state.deadline);
  }
}

void Connection::transport_closed(const Error& error) {
  if (phase_ == Phase::ended) return;
  end(error, node_.stats_.failed_transport);
  release(output_);
  output_sent_ = 0;
}

void Connection::close() {
  closing_ = true;
  if (phase_ == Phase::open) {
    muxer_->go_away(0);
  } else if (phase_ != Phase::ended) {
    end({"connection", 0, Code::cancelled, Fault::local}, node_.stats_.failed_transport);
    release(output_);
    output_sent_ = 0;
  }
}

// Ends the connection. What must still be said is sealed here, and the rest let go.
void Connection::end(const Error& error, uint64_t& counter) {
  ++counter;
  if (muxer_ != nullptr && output_.empty() && plain_output_.empty()) {
    std::vector<uint8_t> words(kMaxLastWords);
    const size_t size = muxer_->poll_session(
        MutableBytes(words).subspan(kLengthSize, kMaxLastWords - kFrameOverhead));
    if (size > 0) append(Bytes(words).first(seal_frame(words, size)), output_);
  }
  phase_ = Phase::ended;
  error_ = error;
  deadline_ = MonoTime::never();
  wire_ = {};
  plain_ = {};
  rest_ = {};
  release(plain_output_);
  upgrade_.reset();
  select_.reset();
  muxer_.reset();
  ciphers_.reset();
  streams_.clear();
  streams_.shrink_to_fit();
  if (frame_ != nullptr) node_.return_frame_buffer(std::move(frame_));
  frame_done_ = false;
  frame_size_ = 0;
}

// --- Output --------------------------------------------------------------------------------------

bool Connection::wants_transmit() const {
  return !output_.empty() || !plain_output_.empty() ||
         (muxer_ != nullptr && muxer_->wants_transmit());
}

bool Connection::finished() const {
  return (closing_ || phase_ == Phase::ended) && !wants_transmit();
}

// Seals `size` bytes that stand behind the room for a length; gives the size of the frame.
size_t Connection::seal_frame(MutableBytes out, size_t size) {
  const size_t sealed = size + kNoiseTagSize;
  out[0] = static_cast<uint8_t>(sealed >> 8);
  out[1] = static_cast<uint8_t>(sealed);
  ciphers_->send.seal(out.subspan(kLengthSize, sealed));
  return kLengthSize + sealed;
}

size_t Connection::poll_transmit(MutableBytes out) {
  BL_CHECK(out.size() >= kMinTransmit);
  size_t at = 0;
  if (!output_.empty()) {
    at = std::min(out.size(), output_.size() - output_sent_);
    std::memcpy(out.data(), output_.data() + output_sent_, at);
    output_sent_ += static_cast<uint32_t>(at);
    node_.stats_.bytes_sent += at;
    if (output_sent_ < output_.size()) return at;
    release(output_);
    output_sent_ = 0;
  }
  while (ciphers_ && out.size() - at >= kMinFrameRoom) {
    const MutableBytes frame = out.subspan(at);
    const MutableBytes text =
        frame.subspan(kLengthSize, std::min(frame.size() - kFrameOverhead, kMaxNoisePlaintext));
    size_t size = 0;
    if (!plain_output_.empty()) {
      size = std::min(text.size(), plain_output_.size());
      std::memcpy(text.data(), plain_output_.data(), size);
      plain_output_.erase(plain_output_.begin(),
                          plain_output_.begin() + static_cast<std::ptrdiff_t>(size));
      if (plain_output_.empty()) release(plain_output_);
    } else if (muxer_ != nullptr) {
      size = muxer_->poll_transmit(text);
    }
    if (size == 0) break;
    const size_t sealed = seal_frame(frame, size);
    at += sealed;
    node_.stats_.bytes_sent += sealed;
  }
  return at;
}

}  // namespace beamline::libp2p
