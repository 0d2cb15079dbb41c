#include "rlpx/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "codec/snappy.h"

namespace beamline::rlpx {
namespace {

using secp256k1::PublicKey;

// What a Ping, Pong or Disconnect may put behind a full queue.
constexpr uint8_t kMaxPongs = 8;
constexpr size_t kMaxWaiting = 1024;  // messages
// Buffers above this are given back as soon as they are empty, others when the peer falls silent.
constexpr size_t kKeptBuffer = 1 << 20;
constexpr size_t kFirstPiece = 1 << 16;
constexpr std::array<uint8_t, 1> kEmptyList = {0xc0};

bool is_same_name(const Capability& a, const Capability& b) {
  return std::strcmp(a.name, b.name) == 0;
}

void release(std::vector<uint8_t>& buffer) { std::vector<uint8_t>().swap(buffer); }

}  // namespace

Session::Session(const SessionOptions& options, std::unique_ptr<Opening> opening, MonoTime now)
    : options_(&options),
      opening_(std::move(opening)),
      started_(now),
      received_(now),
      pinged_(now),
      wrote_(now) {
  size_t ids = kBaseMessages;
  for (const Capability& one : options.capabilities) {
    BL_CHECK(std::strlen(one.name) <= kMaxCapabilityName && one.messages > 0);
    ids += one.messages;
  }
  BL_CHECK(options.key != nullptr && options.capabilities.size() <= kMaxCapabilities && ids <= 256);
  const Bytes first = opening_->handshake.output();
  output_.assign(first.begin(), first.end());
  stats_.bytes_out += first.size();
}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Session Session::initiator(const SessionOptions& options, const PublicKey& remote, Rng& rng,
                           MonoTime now) {
  Rng own = rng.fork();
  Handshake handshake = Handshake::initiator(*options.key, remote, own);
  Session session(options, std::make_unique<Opening>(Opening{std::move(own), std::move(handshake)}),
                  now);
  session.remote_ = remote;
  return session;
}

Session Session::recipient(const SessionOptions& options, Rng& rng, MonoTime now) {
  Rng own = rng.fork();
  Handshake handshake = Handshake::recipient(*options.key, own);
  return Session(options, std::make_unique<Opening>(Opening{std::move(own), std::move(handshake)}),
                 now);
}

Event Session::receive(MutableBytes& input, MonoTime now) {
  if (body_done_) {
    body_done_ = false;
    body_.clear();
    if (body_.capacity() > kKeptBuffer) release(body_);
    if (plain_.capacity() > kKeptBuffer) release(plain_);
  }
  stats_.bytes_in += input.size();
  while (!input.empty()) {
    if (state_ == State::closed) {
      input = {};
      break;
    }
    const Event event =
        state_ == State::handshake ? on_handshake(input, now) : on_frame(input, now);
    if (event.kind == Event::Kind::none) continue;
    stats_.bytes_in -= input.size();  // counted when it comes again
    return event;
  }
  return {};
}

Event Session::on_handshake(MutableBytes& input, MonoTime now) {
  Handshake& handshake = opening_->handshake;
  const auto taken = handshake.feed(input, opening_->rng);
  if (!taken) return fail(taken.error(), DisconnectReason::breach_of_protocol, now);
  input = input.subspan(*taken);
  if (!handshake.done()) return {};
  if (!remote_) {
    const Bytes ack = handshake.output();
    const MutableBytes room = extend_output(ack.size(), now);
    std::memcpy(room.data(), ack.data(), ack.size());
  }
  remote_ = handshake.remote();
  codec_.emplace(handshake.secrets());
  opening_.reset();
  state_ = State::hello;
  received_ = now;
  if (*remote_ == options_->key->public_key()) {
    return fail({"rlpx.identity", 0, Code::mismatch, Fault::peer}, DisconnectReason::self, now);
  }
  write_hello(now);
  return {};
}

size_t Session::max_data() const {
  const size_t most = 2 + snappy_max_compressed(max_message_);
  return std::min(most, kMaxFrameData);
}

// The size of the data whose header is whole, or 0 while it is not.
Result<size_t> Session::take_header(MutableBytes& input) {
  MutableBytes header(header_);
  if (header_held_ == 0 && input.size() >= kFrameHeaderSize) {
    header = input.first(kFrameHeaderSize);
    input = input.subspan(kFrameHeaderSize);
  } else {
    const size_t piece = std::min(kFrameHeaderSize - header_held_, input.size());
    std::memcpy(header_.data() + header_held_, input.data(), piece);
    header_held_ += piece;
    input = input.subspan(piece);
    if (header_held_ != kFrameHeaderSize) return size_t{0};
  }
  header_held_ = 0;
  const auto size = codec_->open_header(header.first<kFrameHeaderSize>());
  if (!size) return size;
  if (*size > max_data()) {
    ++stats_.refused_size;
    return bad_input(Code::too_long, "frame.size", *size);
  }
  return size;
}

// The frame's data once it is whole: where it arrived, if it came in one piece.
Result<std::optional<MutableBytes>> Session::take_body(MutableBytes& input) {
  const size_t need = frame_body_size(data_size_);
  if (body_.empty() && input.size() >= need) {
    const MutableBytes body = input.first(need);
    input = input.subspan(need);
    const auto data = codec_->open_body(body, data_size_);
    if (!data) return std::unexpected(data.error());
    return *data;
  }
  if (body_.empty()) body_.reserve(std::min(need, kFirstPiece));
  const size_t piece = std::min(need - body_.size(), input.size());
  body_.insert(body_.end(), input.begin(), input.begin() + static_cast<ptrdiff_t>(piece));
  input = input.subspan(piece);
  if (body_.size() != need) return std::nullopt;
  ++stats_.copied_in;
  body_done_ = true;
  const auto data = codec_->open_body(body_, data_size_);
  if (!data) return std::unexpected(data.error());
  return *data;
}

Event Session::on_frame(MutableBytes& input, MonoTime now) {
  if (data_size_ == 0) {
    const auto size = take_header(input);
    if (!size) return fail(size.error(), DisconnectReason::breach_of_protocol, now);
    data_size_ = *size;
    if (data_size_ == 0 || input.empty()) return {};
  }
  const auto data = take_body(input);
  if (!data) return fail(data.error(), DisconnectReason::breach_of_protocol, now);
  if (!*data) return {};
  data_size_ = 0;
  received_ = now;
  ++stats_.frames_in;
  const auto event = on_data(**data, now);
  if (!event) return fail(event.error(), DisconnectReason::breach_of_protocol, now);
  if (event->kind == Event::Kind::none && body_done_) {  // nobody looks at it
    body_done_ = false;
    body_.clear();
  }
  return *event;
}

Result<Event> Session::on_data(MutableBytes data, MonoTime now) {
  const auto id = take_message_id(data);
  if (!id) return std::unexpected(id.error());
  if (state_ == State::hello) return on_hello(data, *id, now);
  if (*id < kBaseMessages) return on_base(data, *id, now);
  return on_message(data, *id);
}

Result<Event> Session::on_hello(MutableBytes data, uint8_t id, MonoTime now) {
  if (id == static_cast<uint8_t>(BaseMessage::disconnect)) return on_disconnect(data);
  if (id != static_cast<uint8_t>(BaseMessage::hello)) {
    return bad_input(Code::unexpected, "rlpx.hello");
  }
  auto hello = Hello::decode(data);
  if (!hello) return std::unexpected(hello.error());
  hello_ = std::move(*hello);
  if (hello_.id == NodeId{}) {
    return fail({"hello.node_id", 0, Code::mismatch, Fault::peer}, DisconnectReason::null_identity,
                now);
  }
  if (hello_.id != node_id(*remote_)) {
    return fail({"hello.node_id", 0, Code::mismatch, Fault::peer},
                DisconnectReason::unexpected_identity, now);
  }
  snappy_ = std::min(hello_.version, options_->version) >= kProtocolVersion;
  if (match_capabilities() == 0) {
    return fail({"hello.capabilities", 0, Code::unsupported, Fault::peer},
                DisconnectReason::useless_peer, now);
  }
  state_ = State::active;
  return Event{.kind = Event::Kind::ready, .payload = {}};
}

// Gives each shared name, in alphabetical order, the ids of its highest shared version.
size_t Session::match_capabilities() {
  const auto ours = options_->capabilities;
  std::array<size_t, kMaxCapabilities> shared;
  size_t count = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    const bool theirs = std::any_of(
        hello_.capabilities.begin(), hello_.capabilities.end(), [&](const Hello::Offer& offer) {
          return offer.name == ours[i].name && offer.version == ours[i].version;
        });
    if (!theirs) continue;
    size_t at = 0;
    while (at < count && !is_same_name(ours[shared[at]], ours[i])) ++at;
    if (at == count) {
      shared[count++] = i;
    } else if (ours[shared[at]].version < ours[i].version) {
      shared[at] = i;
    }
  }
  std::sort(shared.begin(), shared.begin() + count,
            [&](size_t a, size_t b) { return std::strcmp(ours[a].name, ours[b].name) < 0; });
  size_t offset = kBaseMessages;
  for (size_t i = 0; i < count; ++i) {
    offsets_[shared[i]] = static_cast<uint8_t>(offset);
    offset += ours[shared[i]].messages;
    max_message_ = std::max<size_t>(max_message_, ours[shared[i]].max_message);
  }
  return count;
}

Result<Bytes> Session::decompress(Bytes data, size_t limit) {
  if (!snappy_) {
    if (data.size() <= limit) return data;
    ++stats_.refused_size;
    return bad_input(Code::too_long, "message", data.size());
  }
  const auto size = snappy_declared_size(data, limit);
  if (!size) {
    if (size.error().code == Code::too_long) ++stats_.refused_size;
    return std::unexpected(size.error());
  }
  if (plain_.size() < *size) plain_.resize(*size);
  const MutableBytes plain = MutableBytes(plain_).first(*size);
  if (const Status status = snappy_uncompress_into(data, plain); !status) {
    return std::unexpected(status.error());
  }
  return plain;
}

Result<Event> Session::on_base(MutableBytes data, uint8_t id, MonoTime now) {
  // Some say Disconnect without compressing it.
  auto plain = decompress(data, kMaxBaseMessage);
  if (id == static_cast<uint8_t>(BaseMessage::disconnect)) {
    return on_disconnect(plain ? *plain : Bytes(data));
  }
  if (!plain) return std::unexpected(plain.error());
  switch (static_cast<BaseMessage>(id)) {
    case BaseMessage::hello:
      return bad_input(Code::unexpected, "rlpx.hello");
    case BaseMessage::ping:
      ++stats_.pings_in;
      if (pongs_queued_ == kMaxPongs) {
        ++stats_.pongs_dropped;
      } else {
        ++pongs_queued_;
        write_base(BaseMessage::pong, kEmptyList, now);
      }
      break;
    case BaseMessage::pong:
      ++stats_.pongs_in;
      break;
    default:
      ++stats_.ignored;
  }
  return Event{};
}

Event Session::on_disconnect(Bytes data) {
  const auto reason = decode_disconnect(data);
  close({{"rlpx.disconnect", 0, Code::remote_error, Fault::peer},
         reason ? *reason : DisconnectReason::breach_of_protocol,
         true});
  return {.kind = Event::Kind::closed, .payload = {}};
}

Result<Event> Session::on_message(MutableBytes data, uint8_t id) {
  const auto ours = options_->capabilities;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (offsets_[i] == 0 || id < offsets_[i] || id - offsets_[i] >= ours[i].messages) continue;
    const auto plain = decompress(data, ours[i].max_message);
    if (!plain) return std::unexpected(plain.error());
    return Event{Event::Kind::message, static_cast<uint8_t>(id - offsets_[i]), i, *plain};
  }
  return bad_input(Code::unsupported, "message.id", id);
}

MonoTime Session::deadline() const {
  if (state_ == State::closed) return MonoTime::never();
  if (state_ != State::active) return started_ + options_->handshake_timeout;
  MonoTime due = std::min(received_ + options_->idle_timeout,
                          std::max(received_, pinged_) + options_->ping_interval);
  if (!output().empty()) due = std::min(due, wrote_ + options_->write_timeout);
  return due;
}

Event Session::on_deadline(MonoTime now) {
  if (state_ == State::closed || now < deadline()) return {};
  if (state_ != State::active) {
    const char* const what = state_ == State::handshake ? "rlpx.handshake" : "rlpx.hello";
    return fail({what, 0, Code::timed_out, Fault::network}, DisconnectReason::ping_timeout, now);
  }
  if (!output().empty() && now >= wrote_ + options_->write_timeout) {
    close({{"rlpx.write", 0, Code::timed_out, Fault::network}, DisconnectReason::tcp_error, false});
    return {.kind = Event::Kind::closed, .payload = {}};
  }
  if (now >= received_ + options_->idle_timeout) {
    return fail({"rlpx.idle", 0, Code::timed_out, Fault::network}, DisconnectReason::ping_timeout,
                now);
  }
  pinged_ = now;
  ++stats_.pings_out;
  release_buffers();
  write_base(BaseMessage::ping, kEmptyList, now);
  return {};
}

void Session::release_buffers() {
  if (data_size_ == 0 && !body_done_) release(body_);
  if (!body_done_) release(plain_);
  if (output().empty() && waiting_.empty()) {
    release(output_);
    output_begin_ = 0;
  }
}

Status Session::check_send(size_t capability, uint8_t id, size_t size) {
  BL_CHECK(capability < options_->capabilities.size());
  const Capability& one = options_->capabilities[capability];
  BL_CHECK(id < one.messages);
  if (state_ != State::active) return local_error(Code::closed, "rlpx.send");
  if (!shares(capability)) return local_error(Code::unsupported, "rlpx.send");
  if (size > one.max_message) return local_error(Code::too_long, "rlpx.send");
  const size_t most = frame_size(2 + (snappy_ ? snappy_max_compressed(size) : size));
  const bool full = most > options_->max_queue - std::min(options_->max_queue, queued());
  if (full || waiting_.size() >= kMaxWaiting) {
    ++stats_.refused_full;
    return local_error(Code::full, "rlpx.send");
  }
  return {};
}

Status Session::send(size_t capability, uint8_t id, Bytes payload, MonoTime now) {
  if (const Status fits = check_send(capability, id, payload.size()); !fits) return fits;
  const auto number = static_cast<uint8_t>(offsets_[capability] + id);
  if (waiting_.empty() && payload.size() <= kSliceSize) {
    write_message(number, payload, snappy_, now);
    return {};
  }
  std::vector<uint8_t> buffer;
  buffer.reserve(kPayloadRoom + payload.size());
  buffer.resize(kPayloadRoom);
  buffer.insert(buffer.end(), payload.begin(), payload.end());
  enqueue(number, std::move(buffer), kPayloadRoom);
  return {};
}

Status Session::send(size_t capability, uint8_t id, std::vector<uint8_t>& buffer, size_t begin,
                     MonoTime now) {
  BL_CHECK(begin >= kPayloadRoom && begin <= buffer.size());
  const size_t size = buffer.size() - begin;
  if (size <= kSliceSize) return send(capability, id, Bytes(buffer).subspan(begin), now);
  if (const Status fits = check_send(capability, id, size); !fits) return fits;
  enqueue(static_cast<uint8_t>(offsets_[capability] + id), std::move(buffer), begin);
  return {};
}

void Session::enqueue(uint8_t id, std::vector<uint8_t> buffer, size_t begin) {
  if (buffer.size() - begin > kSliceSize) ++stats_.sliced;
  SlicedFrame frame(id, std::move(buffer), begin, snappy_);
  const size_t bytes = frame.left();
  waiting_bytes_ += bytes;
  waiting_.push_back({std::move(frame), bytes});
}

size_t Session::advance(MonoTime now) {
  BL_CHECK(has_work());
  Waiting& first = waiting_.front();
  extend_output(0, now);
  const size_t before = output_.size();
  const size_t worked = first.frame.advance(*codec_, output_);
  stats_.bytes_out += output_.size() - before;
  ++stats_.slices;
  const size_t left = first.frame.left();
  waiting_bytes_ -= first.bytes - left;
  first.bytes = left;
  if (first.frame.done()) {
    ++stats_.frames_out;
    waiting_.pop_front();
  }
  return worked;
}

MutableBytes Session::extend_output(size_t size, MonoTime now) {
  if (output().empty()) {
    output_.clear();
    output_begin_ = 0;
    wrote_ = now;
  } else if (output_begin_ >= kFirstPiece && output_begin_ >= output_.size() / 2) {
    output_.erase(output_.begin(), output_.begin() + static_cast<ptrdiff_t>(output_begin_));
    output_begin_ = 0;
  }
  const size_t at = output_.size();
  output_.resize(at + size);
  stats_.bytes_out += size;
  return MutableBytes(output_).subspan(at);
}

void Session::write_message(uint8_t id, Bytes payload, bool compress, MonoTime now) {
  const size_t id_size = message_id_size(id);
  const size_t most = compress ? snappy_max_compressed(payload.size()) : payload.size();
  const MutableBytes frame = extend_output(frame_size(id_size + most), now);
  write_message_id(id, frame.data() + kFrameHeaderSize);
  const MutableBytes room = frame.subspan(kFrameHeaderSize + id_size, most);
  size_t size = payload.size();
  if (compress) {
    size = snappy_compress_into(payload, room);
  } else if (size != 0) {
    copy_bytes(room.data(), payload.data(), size);
  }
  const size_t data = id_size + size;
  const size_t unused = frame.size() - frame_size(data);
  codec_->seal(frame.first(frame_size(data)), data);
  output_.resize(output_.size() - unused);
  stats_.bytes_out -= unused;
  ++stats_.frames_out;
}

void Session::write_base(BaseMessage id, Bytes payload, MonoTime now) {
  if (waiting_.empty()) return write_message(static_cast<uint8_t>(id), payload, snappy_, now);
  std::vector<uint8_t> buffer(kPayloadRoom);
  buffer.insert(buffer.end(), payload.begin(), payload.end());
  enqueue(static_cast<uint8_t>(id), std::move(buffer), kPayloadRoom);
}

void Session::write_hello(MonoTime now) {
  Hello hello;
  hello.version = options_->version;
  hello.client_id = options_->client_id;
  hello.listen_port = options_->listen_port;
  hello.id = node_id(options_->key->public_key());
  for (const Capability& one : options_->capabilities) {
    hello.capabilities.push_back({one.name, one.version});
  }
  std::vector<uint8_t> bytes;
  hello.encode(bytes);
  write_base(BaseMessage::hello, bytes, now);
}

void Session::wrote(size_t size, MonoTime now) {
  BL_CHECK(size <= output().size());
  if (size == 0) return;
  output_begin_ += size;
  wrote_ = now;
  if (!output().empty()) return;
  if (waiting_.empty()) pongs_queued_ = 0;
  output_.clear();
  output_begin_ = 0;
  if (output_.capacity() > kKeptBuffer) release(output_);
}

void Session::disconnect(DisconnectReason reason, MonoTime now) {
  if (state_ == State::closed) return;
  fail({"rlpx.disconnect", 0, Code::cancelled, Fault::local}, reason, now);
}

Event Session::fail(const Error& why, DisconnectReason reason, MonoTime now) {
  // Nothing can be said in the middle of a frame; the rest of it is not worth the time.
  const bool amid_frame = !waiting_.empty() && waiting_.front().frame.begun();
  if (amid_frame) ++stats_.cut_short;
  waiting_.clear();
  waiting_bytes_ = 0;
  if (codec_ && !amid_frame) {
    write_base(BaseMessage::disconnect, encode_disconnect(reason), now);
  }
  close({why, reason, false});
  return {.kind = Event::Kind::closed, .payload = {}};
}

void Session::close(const Closed& closed) {
  state_ = State::closed;
  closed_ = closed;
  opening_.reset();
  codec_.reset();
  offsets_ = {};
  release(body_);
  body_done_ = false;
  waiting_.clear();
  waiting_bytes_ = 0;
}

}  // namespace beamline::rlpx
