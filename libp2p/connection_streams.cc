// The streams of a connection: their negotiation, identify's own, and what the host calls.
#include <algorithm>

#include "base/check.h"
#include "libp2p/connection.h"

namespace beamline::libp2p {

// --- What the host calls -------------------------------------------------------------------------

Result<StreamId> Connection::open(Now now, std::span<const ProtocolId> proposals) {
  now_ = now;
  if (phase_ == Phase::ended) return std::unexpected(error_);
  if (phase_ != Phase::open || closing_) return local_error(Code::unexpected, "connection.open");
  return open_stream(proposals, Kind::host);
}

Result<StreamId> Connection::open_stream(std::span<const ProtocolId> proposals, Kind kind) {
  const Result<StreamId> id = muxer_->open();
  if (!id) return id;
  StreamState& state = add_stream(*id, kind, false);
  std::vector<uint8_t> out;
  state.select = std::make_unique<MultistreamSelect>(
      MultistreamSelect::dialler(node_.protocols_, proposals, out));
  state.hold_writes = proposals.size() > 1;
  muxer_->write(*id, SharedBytes::copy(out));
  return id;
}

size_t Connection::write(StreamId stream, const SharedBytes& bytes) {
  const StreamState* state = find(stream);
  if (state == nullptr || state->hold_writes) return 0;
  return muxer_->write(stream, bytes);
}

size_t Connection::write(StreamId stream, Bytes bytes) {
  const StreamState* state = find(stream);
  if (state == nullptr || state->hold_writes) return 0;
  const size_t limit = node_.limits().mux.send_bytes;
  const size_t room = limit - std::min(limit, muxer_->queued(stream));
  if (room >= bytes.size()) return muxer_->write(stream, SharedBytes::copy(bytes));
  // One byte over the room, so that the muxer sees that there was more.
  return muxer_->write(stream, SharedBytes::copy(bytes.first(room + 1)));
}

void Connection::close_write(StreamId stream) {
  StreamState* state = find(stream);
  if (state == nullptr) return;
  // js-libp2p resets a stream that is half closed before its negotiation is done.
  if (state->select != nullptr) {
    state->close_held = true;
  } else {
    muxer_->close_write(stream);
  }
}

void Connection::reset(StreamId stream) {
  StreamState* state = find(stream);
  if (state == nullptr) return;
  *state = StreamState();
  muxer_->reset(stream);
}

void Connection::pause(StreamId stream) {
  if (muxer_ != nullptr) muxer_->pause(stream);
}

void Connection::resume(StreamId stream) {
  if (muxer_ != nullptr) muxer_->resume(stream);
}

ProtocolId Connection::protocol(StreamId stream) const {
  const StreamState* state = find(stream);
  return state == nullptr ? kNoProtocol : state->protocol;
}

size_t Connection::queued(StreamId stream) const {
  return muxer_ == nullptr ? 0 : muxer_->queued(stream);
}

size_t Connection::stream_count() const { return muxer_ == nullptr ? 0 : muxer_->stream_count(); }

// --- States --------------------------------------------------------------------------------------

Connection::StreamState* Connection::find(StreamId stream) {
  if (muxer_ == nullptr || stream.slot() >= streams_.size()) return nullptr;
  StreamState& state = streams_[stream.slot()];
  return state.id == stream && muxer_->is_open(stream) ? &state : nullptr;
}

const Connection::StreamState* Connection::find(StreamId stream) const {
  return const_cast<Connection*>(this)->find(stream);
}

Connection::StreamState& Connection::add_stream(StreamId stream, Kind kind, bool inbound) {
  if (stream.slot() >= streams_.size()) streams_.resize(stream.slot() + 1);
  StreamState& state = streams_[stream.slot()];
  state = StreamState();
  state.id = stream;
  state.kind = kind;
  state.inbound = inbound;
  state.deadline = now_.mono + node_.limits().multistream_timeout;
  deadline_ = std::min(deadline_, state.deadline);
  return state;
}

// --- Events of the muxer -------------------------------------------------------------------------

// True: there is an event for the host.
bool Connection::on_mux_event(const MuxEvent& from, Event& event) {
  if (from.type == MuxEvent::Type::opened) {
    StreamState& state = add_stream(from.stream, Kind::host, true);
    state.select =
        std::make_unique<MultistreamSelect>(MultistreamSelect::listener(node_.protocols_));
    return false;
  }
  // The muxer has let go of a stream that was reset or closed by both, but its state is here.
  BL_CHECK(from.stream.slot() < streams_.size());
  StreamState& state = streams_[from.stream.slot()];
  BL_CHECK(state.id == from.stream);
  switch (from.type) {
    case MuxEvent::Type::data:
      return on_data(state, from.data, event);
    case MuxEvent::Type::remote_closed:
      return on_remote_closed(state, event);
    case MuxEvent::Type::reset:
      return fail_stream(state, from.error, event);
    case MuxEvent::Type::writable:
      if (state.kind != Kind::host) return false;
      event.type = Event::Type::stream_writable;
      event.stream = state.id;
      event.protocol = state.protocol;
      return true;
    default:
      return false;
  }
}

bool Connection::on_data(StreamState& state, Bytes data, Event& event) {
  if (state.select != nullptr) return on_negotiation(state, data, event);
  if (state.kind != Kind::host) return on_identify_data(state, data, event);
  event.type = Event::Type::stream_data;
  event.stream = state.id;
  event.protocol = state.protocol;
  event.data = data;
  return true;
}

bool Connection::on_remote_closed(StreamState& state, Event& event) {
  if (state.select != nullptr) {
    return fail_stream(state, {"multistream.stream", 0, Code::closed, Fault::peer}, event);
  }
  if (state.kind != Kind::host) {
    if (state.reader != nullptr) ++node_.stats_.identify_failed;
    state.reader.reset();
    state.deadline = MonoTime::never();
    muxer_->close_write(state.id);
    update_deadline();
    return false;
  }
  event.type = Event::Type::stream_remote_closed;
  event.stream = state.id;
  event.protocol = state.protocol;
  return true;
}

bool Connection::on_negotiation(StreamState& state, Bytes data, Event& event) {
  std::vector<uint8_t> out;
  const Result<size_t> taken = state.select->receive(data, out);
  if (!out.empty() && muxer_->write(state.id, SharedBytes::copy(out)) < out.size()) {
    return fail_stream(state, {"multistream.stream", 0, Code::full, Fault::peer}, event);
  }
  if (!taken) return fail_stream(state, taken.error(), event);
  if (!state.select->done()) return false;
  return on_negotiated(state, data.subspan(*taken), event);
}

bool Connection::on_negotiated(StreamState& state, Bytes rest, Event& event) {
  state.protocol = state.select->accepted();
  state.select.reset();
  state.deadline = MonoTime::never();
  update_deadline();
  if (state.inbound && state.protocol == node_.identify_) {
    state.kind = Kind::identify_answer;
    ++node_.stats_.identify_answered;
    muxer_->write(state.id, node_.identify_message(remote_address_));
    muxer_->close_write(state.id);
    return false;
  }
  if (state.inbound && state.protocol == node_.identify_push_) state.kind = Kind::identify_push;
  if (state.kind != Kind::host) {
    state.reader = std::make_unique<IdentifyReader>();
    state.deadline = now_.mono + node_.limits().identify_timeout;
    deadline_ = std::min(deadline_, state.deadline);
    return on_identify_data(state, rest, event);
  }
  state.hold_writes = false;
  if (state.close_held) muxer_->close_write(state.id);
  event.type = state.inbound ? Event::Type::stream_opened : Event::Type::stream_negotiated;
  event.stream = state.id;
  event.protocol = state.protocol;
  rest_ = rest;
  rest_stream_ = state.id;
  return true;
}

// Of a stream that is reset: by the other side (then the muxer knows already), or by us now.
bool Connection::fail_stream(StreamState& state, const Error& error, Event& event) {
  const StreamState failed = std::move(state);
  state = StreamState();
  muxer_->reset(failed.id);
  if (failed.select != nullptr) ++node_.stats_.streams_failed;
  if (failed.reader != nullptr) ++node_.stats_.identify_failed;
  if (failed.deadline != MonoTime::never()) update_deadline();
  // The host never heard of an inbound stream that is not negotiated.
  const bool known = failed.kind == Kind::host && (failed.select == nullptr || !failed.inbound);
  if (!known) return false;
  event.type = Event::Type::stream_reset;
  event.stream = failed.id;
  event.protocol = failed.protocol;
  event.error = error;
  return true;
}

// --- Identify ------------------------------------------------------------------------------------

void Connection::ask_identify() {
  const std::array proposals{node_.identify_};
  (void)open_stream(proposals, Kind::identify_ask);
}

bool Connection::on_identify_data(StreamState& state, Bytes data, Event& event) {
  if (state.reader == nullptr) return false;  // behind the message
  if (Status status = state.reader->receive(data); !status) {
    return fail_stream(state, status.error(), event);
  }
  if (!state.reader->complete()) return false;
  auto result = std::make_unique<IdentifyResult>();
  const Bytes message = state.reader->message();
  result->message.assign(message.begin(), message.end());
  Result<Identify> info = decode_identify(result->message);
  if (!info) return fail_stream(state, info.error(), event);
  if (!info->public_key.empty()) {
    const Result<secp256k1::PublicKey> key = parse_identity_key(info->public_key);
    if (!key || PeerId::from_public_key(*key) != remote_) {
      return fail_stream(state, {"identify.publicKey", 0, Code::mismatch, Fault::peer}, event);
    }
  }
  state.reader.reset();
  muxer_->close_write(state.id);
  ++node_.stats_.identify_received;
  result->info = std::move(*info);
  identify_ = std::move(result);
  event.type = Event::Type::identified;
  return true;
}

}  // namespace beamline::libp2p
