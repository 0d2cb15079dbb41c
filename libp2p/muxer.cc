#include "libp2p/muxer.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"

namespace beamline::libp2p {
namespace {
// Gives the memory back: assigning {} would keep it.
void release(std::vector<uint8_t>& bytes) { std::vector<uint8_t>().swap(bytes); }
}  // namespace

void SendQueue::push(SharedBytes bytes) {
  if (bytes.empty()) return;
  if (first_ > 0 && first_ * 2 >= pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + first_);
    first_ = 0;
  }
  size_ += bytes.size();
  pieces_.push_back(std::move(bytes));
}

void SendQueue::pop(MutableBytes out) {
  BL_CHECK(out.size() <= size_);
  size_t done = 0;
  while (done < out.size()) {
    SharedBytes& piece = pieces_[first_];
    const size_t size = std::min(out.size() - done, piece.size() - offset_);
    copy_bytes(out.data() + done, piece.data() + offset_, size);
    done += size;
    offset_ += static_cast<uint32_t>(size);
    if (offset_ == piece.size()) {
      piece.reset();
      ++first_;
      offset_ = 0;
    }
  }
  size_ -= out.size();
  if (size_ == 0) {
    pieces_.clear();
    if (pieces_.capacity() > 4) pieces_.shrink_to_fit();
    first_ = 0;
  }
}

bool Muxer::SlotSet::any() const {
  for (const uint64_t word : words_) {
    if (word != 0) return true;
  }
  return false;
}

uint32_t Muxer::SlotSet::next(uint32_t from) const {
  from %= kMaxStreams;
  const size_t start = from / 64;
  const uint64_t first = words_[start] & (~uint64_t{0} << (from % 64));
  if (first != 0)
    return static_cast<uint32_t>(start * 64) + static_cast<uint32_t>(std::countr_zero(first));
  for (size_t i = 1; i <= words_.size(); ++i) {
    const size_t at = (start + i) % words_.size();
    if (words_[at] != 0) {
      return static_cast<uint32_t>(at * 64) + static_cast<uint32_t>(std::countr_zero(words_[at]));
    }
  }
  return kNone;
}

Muxer::Muxer(Role role, const MuxLimits& limits, MuxStats& stats)
    : role_(role), limits_(limits), stats_(stats) {
  BL_CHECK(limits.inbound_streams + limits.outbound_streams <= kMaxStreams);
}

// --- What the consumer calls ---------------------------------------------------------------------

Result<StreamId> Muxer::open() {
  if (!may_open()) return bad_input(Code::refused, "muxer.open");
  if (outbound_ >= limits_.outbound_streams) return local_error(Code::full, "muxer.streams");
  const uint32_t slot = take_slot(next_key(), false);
  streams_[slot].syn_due = true;
  update_ready(slot);
  return id_of(slot);
}

size_t Muxer::write(StreamId id, const SharedBytes& bytes) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->close_due || stream->close_sent) return 0;
  const size_t room =
      limits_.send_bytes - std::min<size_t>(limits_.send_bytes, stream->send.size());
  const size_t size = std::min(room, bytes.size());
  if (size < bytes.size()) stream->want_writable = true;
  if (size == bytes.size()) {
    stream->send.push(bytes);
  } else if (size > 0) {
    stream->send.push(bytes.slice(0, size));
  }
  update_ready(id.slot());
  return size;
}

void Muxer::close_write(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr || stream->close_sent) return;
  stream->close_due = true;
  stream->want_writable = false;
  stream->tell_writable = false;
  update_ready(id.slot());
  update_notify(id.slot());
}

void Muxer::reset(StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  // What the other side reset, or never heard of, needs no reset.
  if (!stream->tell_reset && !stream->syn_due) {
    if (!queue_reset(keys_[id.slot()])) reset_overflow_ = true;
  }
  release_slot(id.slot());
}

void Muxer::pause(StreamId id) {
  if (Stream* stream = find(id)) {
    stream->paused = true;
    update_notify(id.slot());
  }
}

void Muxer::resume(StreamId id) {
  if (Stream* stream = find(id)) {
    stream->paused = false;
    update_notify(id.slot());
  }
}

void Muxer::unread(StreamId id, Bytes rest) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  BL_CHECK(stream->paused && stream->held.empty());
  stream->held.assign(rest.begin(), rest.end());
  held_ += rest.size();
  stream->consumed -= std::min(stream->consumed, static_cast<uint32_t>(rest.size()));
}

bool Muxer::is_paused(StreamId id) const {
  const Stream* stream = find(id);
  return stream != nullptr && stream->paused;
}

size_t Muxer::poll_transmit(MutableBytes out) {
  size_t at = session_frames_ ? poll_session(out) : 0;
  for (;;) {
    const uint32_t slot = ready_.next(cursor_);
    if (slot == kNone) return at;
    const size_t size = write_stream(slot, out.subspan(at));
    if (size == 0) return at;
    at += size;
    cursor_ = slot + 1;
  }
}

size_t Muxer::queued(StreamId id) const {
  const Stream* stream = find(id);
  return stream == nullptr ? 0 : stream->send.size();
}

// --- Slots ---------------------------------------------------------------------------------------

Muxer::Stream* Muxer::find(StreamId id) {
  if (id.slot() >= streams_.size()) return nullptr;
  Stream& stream = streams_[id.slot()];
  return stream.used && stream.generation == id.value >> 16 ? &stream : nullptr;
}

uint32_t Muxer::find_key(uint64_t key) {
  if (last_found_ < keys_.size() && keys_[last_found_] == key && streams_[last_found_].used) {
    return last_found_;
  }
  for (uint32_t i = 0; i < keys_.size(); ++i) {
    if (keys_[i] == key && streams_[i].used) return last_found_ = i;
  }
  return kNone;
}

uint32_t Muxer::take_slot(uint64_t key, bool inbound) {
  uint32_t slot = 0;
  while (slot < streams_.size() && streams_[slot].used) ++slot;
  if (slot == streams_.size()) {
    BL_CHECK(slot < kMaxStreams);
    streams_.emplace_back();
    keys_.emplace_back();
  }
  Stream& stream = streams_[slot];
  const auto generation = static_cast<uint16_t>(stream.generation + 1);
  stream = Stream{};
  stream.generation = generation == 0 ? 1 : generation;
  stream.used = true;
  stream.inbound = inbound;
  keys_[slot] = key;
  ++(inbound ? inbound_ : outbound_);
  ++stats_.streams_opened;
  return slot;
}

void Muxer::release_slot(uint32_t slot) {
  Stream& stream = streams_[slot];
  held_ -= stream.held.size();
  --(stream.inbound ? inbound_ : outbound_);
  const uint16_t generation = stream.generation;
  stream = Stream{};
  stream.generation = generation;
  ready_.assign(slot, false);
  notify_.assign(slot, false);
}

Result<uint32_t> Muxer::accept(uint64_t key) {
  if (find_key(key) != kNone) return bad_input(Code::duplicate, "muxer.stream");
  if (inbound_ >= limits_.inbound_streams) {
    ++stats_.streams_refused;
    if (Status status = queue_reset(key); !status) return std::unexpected(status.error());
    return kNone;
  }
  const uint32_t slot = take_slot(key, true);
  streams_[slot].tell_opened = true;
  update_notify(slot);
  return slot;
}

Status Muxer::queue_reset(uint64_t key) {
  if (resets_due_.size() >= limits_.pending_resets) {
    return bad_input(Code::flow_control, "muxer.resets");
  }
  resets_due_.push_back(key);
  session_frames_ = true;
  return {};
}

// --- Receiving -----------------------------------------------------------------------------------

bool Muxer::deliver(uint32_t slot, Bytes data, MuxEvent& event) {
  Stream& stream = streams_[slot];
  if (data.empty()) return false;
  if (!stream.paused && stream.held.empty()) {
    event = {.type = MuxEvent::Type::data, .stream = id_of(slot), .data = data, .error = {}};
    on_consumed(slot, data.size());
    return true;
  }
  if (stream.held.size() + data.size() > limits_.receive_bytes ||
      held_ + data.size() > limits_.held_bytes) {
    ++stats_.overflows;
    fail_stream(slot, Code::flow_control, "muxer.receive_buffer");
    return false;
  }
  stream.held.insert(stream.held.end(), data.begin(), data.end());
  held_ += data.size();
  return false;
}

void Muxer::on_remote_close(uint32_t slot) {
  Stream& stream = streams_[slot];
  if (stream.remote_closed) return;
  stream.remote_closed = true;
  stream.tell_closed = true;
  update_notify(slot);
}

void Muxer::on_remote_reset(uint32_t slot) {
  Stream& stream = streams_[slot];
  ++stats_.resets_received;
  held_ -= stream.held.size();
  release(stream.held);
  stream.send = SendQueue();
  stream.close_sent = true;  // nothing more can be written
  stream.tell_reset = true;
  stream.error = {"muxer.reset", 0, Code::reset, Fault::peer};
  ready_.assign(slot, false);
  update_notify(slot);
}

void Muxer::fail_stream(uint32_t slot, Code code, const char* field) {
  Stream& stream = streams_[slot];
  if (!queue_reset(keys_[slot])) reset_overflow_ = true;
  held_ -= stream.held.size();
  release(stream.held);
  stream.send = SendQueue();
  stream.close_sent = true;
  stream.remote_closed = true;
  stream.tell_reset = true;
  stream.error = {field, 0, code, Fault::peer};
  ready_.assign(slot, false);
  update_notify(slot);
}

void Muxer::on_sent(uint32_t slot) {
  Stream& stream = streams_[slot];
  if (stream.want_writable && stream.send.size() <= limits_.send_bytes / 2) {
    stream.want_writable = false;
    stream.tell_writable = true;
    update_notify(slot);
  }
  if (stream.close_sent && stream.tell_closed_done) {
    release_slot(slot);
    return;
  }
  update_ready(slot);
}

void Muxer::update_notify(uint32_t slot) {
  const Stream& stream = streams_[slot];
  const bool closed = stream.tell_closed && stream.held.empty() && !stream.paused;
  notify_.assign(slot, stream.tell_opened || stream.tell_reset || stream.tell_writable || closed ||
                           (!stream.paused && !stream.held.empty()));
}

bool Muxer::poll_event(MuxEvent& event) {
  event = {};
  if (!handed_out_.empty()) release(handed_out_);
  for (;;) {
    const uint32_t slot = notify_.next(0);
    if (slot == kNone) return false;
    if (tell(slot, event)) return true;
  }
}

// The events of one stream, in their order. False: it had none.
bool Muxer::tell(uint32_t slot, MuxEvent& event) {
  Stream& stream = streams_[slot];
  event.stream = id_of(slot);
  if (stream.tell_opened) {
    stream.tell_opened = false;
    event.type = MuxEvent::Type::opened;
  } else if (stream.tell_reset) {
    event.type = MuxEvent::Type::reset;
    event.error = stream.error;
    release_slot(slot);
    return true;
  } else if (!stream.paused && !stream.held.empty()) {
    handed_out_ = std::exchange(stream.held, std::vector<uint8_t>());
    held_ -= handed_out_.size();
    event.type = MuxEvent::Type::data;
    event.data = handed_out_;
    on_consumed(slot, handed_out_.size());
  } else if (stream.tell_closed && !stream.paused) {
    stream.tell_closed = false;
    stream.tell_closed_done = true;
    event.type = MuxEvent::Type::remote_closed;
    if (stream.close_sent) {
      release_slot(slot);
      return true;
    }
  } else if (stream.tell_writable) {
    stream.tell_writable = false;
    event.type = MuxEvent::Type::writable;
  }
  update_notify(slot);
  return event.type != MuxEvent::Type::none;
}

Status Muxer::check_backlog() const {
  if (reset_overflow_) return bad_input(Code::flow_control, "muxer.resets");
  return {};
}

}  // namespace beamline::libp2p
