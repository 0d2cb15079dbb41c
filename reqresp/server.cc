#include "reqresp/server.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace beamline::reqresp {
namespace {

using Kind = ServerEvent::Kind;

}  // namespace

Server::Server(const ServerLimits& limits) : limits_(limits), total_(limits.total_rate) {
  entries_.resize(limits.streams);
  free_.reserve(limits.streams);
  for (uint32_t i = 0; i < limits.streams; ++i) free_.push_back(limits.streams - 1 - i);
}

// --- The table ---

const Server::Entry* Server::find(RequestId request) const {
  if (request.slot >= entries_.size()) return nullptr;
  const Entry& entry = entries_[request.slot];
  const bool alive = entry.phase != Phase::free && entry.generation == request.generation;
  return alive ? &entry : nullptr;
}

Server::Entry* Server::find(RequestId request) {
  return const_cast<Entry*>(std::as_const(*this).find(request));
}

Server::Entry* Server::find_serving(RequestId request) {
  Entry* entry = find(request);
  return entry != nullptr && entry->phase == Phase::serving ? entry : nullptr;
}

Server::Peer& Server::peer_of(const Entry& entry) {
  const auto found = peers_.find(entry.peer);
  BL_CHECK(found != peers_.end());
  return found->second;
}

ServerEvent& Server::emit(const Entry& entry, Kind kind) {
  ServerEvent& event = events_.emplace_back();
  event.kind = kind;
  event.protocol = entry.protocol;
  event.request = {static_cast<uint32_t>(&entry - entries_.data()), entry.generation};
  event.peer = entry.peer;
  return event;
}

std::optional<ServerEvent> Server::poll_event() {
  if (events_.empty()) return std::nullopt;
  ServerEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Result<RequestId> Server::on_stream(PeerHandle peer, Protocol protocol, Now now) {
  if (free_.empty()) {
    ++stats_.refused_streams;
    return local_error(Code::full, "streams");
  }
  auto found = peers_.find(peer);
  if (found == peers_.end()) {
    if (peers_.size() >= limits_.peers) {
      ++stats_.refused_peers;
      return local_error(Code::full, "peers");
    }
    found = peers_.try_emplace(peer, limits_.peer_rate).first;
  }
  if (found->second.streams >= limits_.streams_per_peer) {
    ++stats_.refused_peer_streams;
    return local_error(Code::full, "streams of the peer");
  }
  ++found->second.streams;
  const uint32_t slot = free_.back();
  free_.pop_back();
  ++live_;
  ++stats_.streams;
  const ProtocolInfo& row = info(protocol);
  Entry& entry = entries_[slot];
  const uint32_t generation = entry.generation + 1;
  entry = Entry();
  entry.generation = generation;
  entry.peer = peer;
  entry.protocol = protocol;
  entry.phase = Phase::reading;
  entry.deadline = now.mono + limits_.read;
  entry.reader.start(row.request_min, row.request_max, "request length");
  // Nothing will come: no need to wait for the peer's close.
  if (row.request_max == 0) complete(entry, now);
  return RequestId{slot, generation};
}

// --- Reading ---

void Server::on_data(RequestId request, Bytes data, Now now) {
  Entry* entry = find(request);
  if (entry == nullptr || data.empty()) return;
  switch (entry->phase) {
    case Phase::reading:
      read(*entry, data, now);
      break;
    case Phase::waiting:
    case Phase::serving: {
      // Only where the request has no bytes is it complete before the peer closes.
      const Error why = bad_input(Code::trailing, "request").error();
      ++stats_.violations;
      emit(*entry, Kind::violation).error = why;
      cancel(*entry, why, now);
      break;
    }
    case Phase::free:
    case Phase::ending:
    case Phase::lingering:
      break;
  }
}

void Server::read(Entry& entry, Bytes data, Now now) {
  size_t taken = 0;
  if (!entry.reader.done()) {
    const auto size = entry.reader.read(data);
    if (!size) {
      invalid(entry, size.error(), now);
      return;
    }
    taken = *size;
    if (entry.reader.done()) entry.slack = entry.reader.slack();
  }
  const size_t extra = data.size() - taken;
  if (extra > entry.slack) {
    invalid(entry, bad_input(Code::trailing, "request").error(), now);
    return;
  }
  entry.slack -= static_cast<uint32_t>(extra);
}

void Server::on_remote_close(RequestId request, Now now) {
  Entry* entry = find(request);
  if (entry == nullptr) return;
  entry->remote_closed = true;
  if (entry->phase == Phase::lingering) {
    close(*entry, false, now);
    return;
  }
  if (entry->phase != Phase::reading) return;
  if (!entry->reader.done()) {
    invalid(*entry, bad_input(Code::truncated, "request").error(), now);
    return;
  }
  entry->body = entry->reader.take();
  complete(*entry, now);
}

// The whole body is here.
void Server::complete(Entry& entry, Now now) {
  const auto allowed = chunks_allowed(info(entry.protocol), entry.body);
  if (!allowed) {
    invalid(entry, allowed.error(), now);
    return;
  }
  entry.allowed = *allowed;
  entry.phase = Phase::waiting;
  entry.deadline = MonoTime::never();
  entry.order = order_++;
  deliver_next(entry.peer, entry.protocol, now);
  const bool in_line = entry.phase == Phase::waiting && entry.tokens_at == MonoTime::never();
  if (in_line) ++stats_.waited_concurrency;
}

void Server::invalid(Entry& entry, Error why, Now now) {
  ++stats_.violations;
  ++stats_.errors_sent;
  emit(entry, Kind::violation).error = why;
  entry.phase = Phase::ending;
  entry.deadline = MonoTime::never();
  push(entry, encode_error(static_cast<uint8_t>(ResultCode::invalid_request), name(why.code)), now);
}

// --- Admission ---

uint32_t Server::active(PeerHandle peer, Protocol protocol) const {
  return static_cast<uint32_t>(std::ranges::count_if(entries_, [&](const Entry& entry) {
    return entry.peer == peer && entry.protocol == protocol &&
           (entry.phase == Phase::serving || entry.phase == Phase::ending);
  }));
}

// Charges both buckets, or says when to ask again.
bool Server::take_tokens(Entry& entry, int64_t tokens, Now now) {
  Peer& peer = peer_of(entry);
  const bool peer_ready = peer.bucket.ready(now.mono);
  if (peer_ready && total_.ready(now.mono)) {
    peer.bucket.charge(tokens, now.mono);
    total_.charge(tokens, now.mono);
    entry.tokens_at = MonoTime::never();
    entry.waited_tokens = false;
    return true;
  }
  entry.tokens_at = std::max(peer.bucket.ready_at(now.mono), total_.ready_at(now.mono));
  if (!entry.waited_tokens) {
    entry.waited_tokens = true;
    ++(peer_ready ? stats_.waited_total_rate : stats_.waited_peer_rate);
  }
  return false;
}

bool Server::deliver(Entry& entry, Now now) {
  if (active(entry.peer, entry.protocol) >= limits_.active_per_protocol) {
    entry.tokens_at = MonoTime::never();
    return false;
  }
  const int64_t cost = int64_t{limits_.request_cost} + int64_t{limits_.lookup_cost} * entry.allowed;
  if (!take_tokens(entry, cost, now)) return false;
  ++stats_.requests;
  entry.phase = Phase::serving;
  entry.deadline = now.mono + limits_.application;
  ServerEvent& event = emit(entry, Kind::request);
  event.allowed = entry.allowed;
  event.body = std::move(entry.body);
  return true;
}

// In the order in which they came, until one must wait.
void Server::deliver_next(PeerHandle peer, Protocol protocol, Now now) {
  while (true) {
    Entry* next = nullptr;
    for (Entry& entry : entries_) {
      const bool waits =
          entry.phase == Phase::waiting && entry.peer == peer && entry.protocol == protocol;
      if (waits && (next == nullptr || entry.order < next->order)) next = &entry;
    }
    if (next == nullptr || !deliver(*next, now)) return;
  }
}

// --- Answering ---

bool Server::has_room(const Entry& entry, size_t size) {
  if (!entry.queue_empty() && entry.queued + size > limits_.queued_bytes) {
    ++stats_.full_stream;
    return false;
  }
  if (queued_ > 0 && queued_ + size > limits_.queued_bytes_total) {
    ++stats_.full_total;
    total_full_ = true;
    return false;
  }
  return true;
}

Status Server::respond_chunk(RequestId request, const ForkDigest& context, Bytes ssz, Now now) {
  Entry* entry = find_serving(request);
  if (entry == nullptr) return local_error(Code::not_found, "request");
  const ProtocolInfo& row = info(entry->protocol);
  if (ssz.size() < row.chunk_min || ssz.size() > row.chunk_max) {
    return local_error(Code::invalid_argument, "chunk size");
  }
  if (entry->chunks == entry->allowed) return local_error(Code::invalid_argument, "chunk count");
  if (!has_room(*entry, ssz.size())) {
    entry->wants_room = true;
    return local_error(Code::full, "queue of the stream");
  }
  ++entry->chunks;
  ++stats_.chunks;
  push(*entry, encode_chunk(row, context, ssz), now);
  return {};
}

Status Server::respond_end(RequestId request, Now now) {
  Entry* entry = find_serving(request);
  if (entry == nullptr) return local_error(Code::not_found, "request");
  ++stats_.ended;
  entry->phase = Phase::ending;
  if (entry->queue_empty()) entry->deadline = MonoTime::never();
  finish_if_drained(*entry, now);
  return {};
}

Status Server::respond_error(RequestId request, ResultCode code, std::string_view text, Now now) {
  Entry* entry = find_serving(request);
  if (entry == nullptr) return local_error(Code::not_found, "request");
  BL_CHECK(code != ResultCode::success);
  ++stats_.errors_sent;
  entry->phase = Phase::ending;
  push(*entry, encode_error(static_cast<uint8_t>(code), text), now);
  return {};
}

void Server::push(Entry& entry, SharedBytes bytes, Now now) {
  entry.queued += bytes.size();
  queued_ += bytes.size();
  entry.queue.push_back(std::move(bytes));
  const bool nothing_to_write = entry.released == 0;
  release(entry, now);
  if (nothing_to_write) arm(entry, now);
}

// Lets out what the buckets allow. In order: a chunk never passes one that waits.
void Server::release(Entry& entry, Now now) {
  const bool had_output = entry.released > 0;
  while (entry.head + entry.released < entry.queue.size()) {
    const size_t size = entry.queue[entry.head + entry.released].size();
    if (!take_tokens(entry, static_cast<int64_t>(size), now)) break;
    ++entry.released;
  }
  if (!had_output && entry.released > 0) emit(entry, Kind::flush);
}

// The deadline of an answer: the peer's while there are bytes for it, ours while an answer is owed.
void Server::arm(Entry& entry, Now now) {
  if (entry.released > 0) {
    entry.deadline = now.mono + limits_.write;
  } else if (entry.queue_empty() && entry.phase == Phase::serving) {
    entry.deadline = now.mono + limits_.application;
  } else {
    entry.deadline = MonoTime::never();
  }
}

Bytes Server::output(RequestId request) const {
  const Entry* entry = find(request);
  if (entry == nullptr || entry->released == 0) return {};
  return entry->queue[entry->head].bytes().subspan(entry->sent);
}

void Server::output_sent(RequestId request, size_t size, Now now) {
  Entry* entry = find(request);
  if (entry == nullptr || size == 0) return;
  BL_CHECK(entry->released > 0 && size <= entry->queue[entry->head].size() - entry->sent);
  entry->sent += size;
  entry->queued -= size;
  queued_ -= size;
  stats_.output_bytes += size;
  if (entry->sent == entry->queue[entry->head].size()) {
    entry->queue[entry->head].reset();
    entry->sent = 0;
    --entry->released;
    if (++entry->head == entry->queue.size()) {
      entry->queue.clear();
      entry->head = 0;
    }
    release(*entry, now);
  }
  arm(*entry, now);
  offer_room(*entry);
  if (total_full_ && queued_ <= limits_.queued_bytes_total / 2) offer_room_to_all();
  finish_if_drained(*entry, now);
}

void Server::offer_room(Entry& entry) {
  if (!entry.wants_room || entry.phase != Phase::serving) return;
  if (entry.queued > limits_.queued_bytes / 2) return;
  if (total_full_ && queued_ > limits_.queued_bytes_total / 2) return;
  entry.wants_room = false;
  emit(entry, Kind::writable);
}

void Server::offer_room_to_all() {
  total_full_ = false;
  for (Entry& entry : entries_) offer_room(entry);
}

void Server::finish_if_drained(Entry& entry, Now now) {
  if (entry.phase != Phase::ending || !entry.queue_empty()) return;
  emit(entry, Kind::finish);
  entry.phase = Phase::lingering;
  entry.deadline = now.mono + limits_.linger;
  if (entry.remote_closed) {
    close(entry, false, now);
  } else {
    deliver_next(entry.peer, entry.protocol, now);
  }
}

// --- The end ---

void Server::close(Entry& entry, bool reset, Now now) {
  emit(entry, Kind::close_stream).reset = reset;
  queued_ -= entry.queued;
  --peer_of(entry).streams;
  const PeerHandle peer = entry.peer;
  const Protocol protocol = entry.protocol;
  const uint32_t generation = entry.generation;
  entry = Entry();
  entry.generation = generation;
  --live_;
  free_.push_back(static_cast<uint32_t>(&entry - entries_.data()));
  if (total_full_ && queued_ <= limits_.queued_bytes_total / 2) offer_room_to_all();
  deliver_next(peer, protocol, now);
}

void Server::cancel(Entry& entry, Error why, Now now) {
  if (entry.phase == Phase::serving) {
    ++stats_.cancelled;
    emit(entry, Kind::cancelled).error = why;
  }
  close(entry, true, now);
}

void Server::on_stream_failed(RequestId request, Error why, Now now) {
  if (Entry* entry = find(request)) cancel(*entry, why, now);
}

void Server::on_peer_gone(PeerHandle peer, Now now) {
  const Error why = network_error(Code::connection_lost, "peer").error();
  // The waiting ones first, so that none of them is delivered by the end of another.
  for (Entry& entry : entries_) {
    if (entry.phase == Phase::waiting && entry.peer == peer) cancel(entry, why, now);
  }
  for (Entry& entry : entries_) {
    if (entry.phase != Phase::free && entry.peer == peer) cancel(entry, why, now);
  }
  peers_.erase(peer);
}

MonoTime Server::next_deadline() const {
  MonoTime next = MonoTime::never();
  for (const Entry& entry : entries_) {
    if (entry.phase != Phase::free) next = std::min({next, entry.deadline, entry.tokens_at});
  }
  return next;
}

void Server::on_time(Now now) {
  const auto count = static_cast<uint32_t>(entries_.size());
  for (uint32_t i = 0; i < count; ++i) {
    Entry& entry = entries_[(turn_ + i) % count];
    if (entry.phase == Phase::free) continue;
    if (entry.tokens_at <= now.mono) {
      if (entry.phase == Phase::waiting) {
        deliver_next(entry.peer, entry.protocol, now);
      } else {
        const bool nothing_to_write = entry.released == 0;
        release(entry, now);
        if (nothing_to_write) arm(entry, now);
      }
    }
    if (entry.phase != Phase::free && entry.deadline <= now.mono) expire(entry, now);
  }
  if (count > 0) turn_ = (turn_ + 1) % count;
}

void Server::expire(Entry& entry, Now now) {
  if (entry.phase == Phase::reading) {
    ++stats_.timeouts_read;
    emit(entry, Kind::violation).error = network_error(Code::timed_out, "request").error();
    close(entry, true, now);
  } else if (entry.phase == Phase::lingering) {
    ++stats_.timeouts_linger;
    close(entry, true, now);
  } else if (entry.released > 0) {
    ++stats_.timeouts_write;
    cancel(entry, network_error(Code::timed_out, "response").error(), now);
  } else {
    BL_CHECK(entry.phase == Phase::serving);
    ++stats_.timeouts_application;
    ++stats_.cancelled;
    ++stats_.errors_sent;
    emit(entry, Kind::cancelled).error = local_error(Code::timed_out, "answer").error();
    entry.phase = Phase::ending;
    push(entry, encode_error(static_cast<uint8_t>(ResultCode::server_error), "no answer"), now);
  }
}

}  // namespace beamline::reqresp
