#include "reqresp/client.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace beamline::reqresp {
namespace {

constexpr int64_t kQuotaUnit = 1000;  // buckets count thousandths: 2 in 10 s is a rate too

}  // namespace

Client::Client(const ClientLimits& limits) : limits_(limits) {
  entries_.reserve(limits.requests);
  free_.reserve(limits.requests);
  for (uint32_t i = 0; i < limits.requests; ++i) {
    entries_.emplace_back(info(Protocol::status_v1));
    free_.push_back(limits.requests - 1 - i);
  }
}

// --- The table ---

const Client::Entry* Client::find(RequestId request) const {
  if (request.slot >= entries_.size()) return nullptr;
  const Entry& entry = entries_[request.slot];
  const bool alive = entry.phase != Phase::free && entry.generation == request.generation;
  return alive ? &entry : nullptr;
}

Client::Entry* Client::find(RequestId request) {
  return const_cast<Entry*>(std::as_const(*this).find(request));
}

uint32_t Client::active(PeerHandle peer, Protocol protocol) const {
  return static_cast<uint32_t>(std::ranges::count_if(entries_, [&](const Entry& entry) {
    return entry.peer == peer && entry.protocol == protocol &&
           (entry.phase == Phase::reading || entry.phase == Phase::lingering);
  }));
}

uint32_t Client::waiting_of(PeerHandle peer) const {
  return static_cast<uint32_t>(std::ranges::count_if(entries_, [peer](const Entry& entry) {
    return entry.phase == Phase::waiting && entry.peer == peer;
  }));
}

Result<RequestId> Client::request(PeerHandle peer, Protocol protocol, Bytes ssz, Now now) {
  const ProtocolInfo& row = info(protocol);
  const auto allowed = chunks_allowed(row, ssz);
  const bool valid = allowed && *allowed > 0 && (!limits_.quotas || *allowed <= request_limit(row));
  if (!valid) return local_error(Code::invalid_argument, "request");
  if (free_.empty()) {
    ++stats_.refused_table;
    return local_error(Code::full, "requests");
  }
  if (limits_.quotas && !quota_is_near(peer, protocol, *allowed, now)) {
    ++stats_.refused_quota;
    return local_error(Code::rate_limited, "quota of the peer");
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  Entry& entry = entries_[slot];
  const uint32_t generation = entry.generation + 1;
  entry = Entry(row);
  entry.generation = generation;
  entry.peer = peer;
  entry.protocol = protocol;
  entry.allowed = *allowed;
  entry.order = order_++;
  entry.phase = Phase::waiting;
  ++live_;
  ++waiting_;
  open_next(peer, protocol, now);
  if (entry.phase == Phase::waiting) {
    if (waiting_of(peer) > limits_.waiting_per_peer) {
      release(entry);
      ++stats_.refused_waiting;
      return local_error(Code::full, "requests waiting for the peer");
    }
    ++stats_.queued;
  }
  entry.output = encode_request(row, ssz);
  ++stats_.requests;
  return RequestId{slot, generation};
}

TokenBucket& Client::quota(PeerHandle peer, Protocol protocol) {
  auto found = quotas_.find(peer);
  if (found == quotas_.end()) {
    std::vector<TokenBucket> buckets;
    buckets.reserve(kProtocolCount);
    for (const ProtocolInfo& row : protocols()) {
      // A tenth slower than what the peer allows, and a smaller burst: its clock sees our jitter.
      const int64_t per_second = row.quota * kQuotaUnit * 10 / 11 / row.quota_seconds;
      const int64_t burst = std::max<int64_t>(1, row.quota * 3 / 4) * kQuotaUnit;
      buckets.emplace_back(Rate{.per_second = per_second, .burst = burst});
    }
    found = quotas_.emplace(peer, std::move(buckets)).first;
  }
  return found->second[static_cast<size_t>(protocol)];
}

// Whether there will be quota soon, after those that wait for it already.
bool Client::quota_is_near(PeerHandle peer, Protocol protocol, uint32_t allowed, Now now) {
  int64_t tokens = int64_t{allowed} * kQuotaUnit;
  for (const Entry& entry : entries_) {
    const bool before =
        entry.phase == Phase::waiting && entry.peer == peer && entry.protocol == protocol;
    if (before) tokens += int64_t{entry.allowed} * kQuotaUnit;
  }
  const MonoTime when = quota(peer, protocol).holds_at(tokens, now.mono);
  return when <= now.mono + limits_.quota_wait;
}

// Charges the peer's quota, or says when to ask again.
bool Client::take_quota(Entry& entry, Now now) {
  if (!limits_.quotas) return true;
  TokenBucket& bucket = quota(entry.peer, entry.protocol);
  const int64_t tokens = int64_t{entry.allowed} * kQuotaUnit;
  if (!bucket.holds(tokens, now.mono)) {
    if (entry.deadline == MonoTime::never()) ++stats_.waited_quota;
    entry.deadline = bucket.holds_at(tokens, now.mono);
    return false;
  }
  bucket.charge(tokens, now.mono);
  return true;
}

void Client::open(Entry& entry, Now now) {
  --waiting_;
  entry.phase = Phase::reading;
  entry.deadline = now.mono + limits_.first_byte;
  entry.total = now.mono + limits_.total;
  if (entry.paused) entry.paused_at = now.mono;
  emit(entry, ClientEvent::Kind::open_stream);
}

// The ones that waited longest, while there are slots and quota for them.
void Client::open_next(PeerHandle peer, Protocol protocol, Now now) {
  for (uint32_t slots = active(peer, protocol); slots < limits_.active_per_protocol; ++slots) {
    Entry* next = nullptr;
    for (Entry& entry : entries_) {
      const bool waits =
          entry.phase == Phase::waiting && entry.peer == peer && entry.protocol == protocol;
      if (waits && (next == nullptr || entry.order < next->order)) next = &entry;
    }
    if (next == nullptr || !take_quota(*next, now)) return;
    open(*next, now);
  }
}

void Client::release(Entry& entry) {
  if (entry.phase == Phase::waiting) --waiting_;
  entry.phase = Phase::free;
  entry.output.reset();
  entry.reader = ChunkReader(info(entry.protocol));
  --live_;
  free_.push_back(static_cast<uint32_t>(&entry - entries_.data()));
}

// --- Events ---

ClientEvent& Client::emit(const Entry& entry, ClientEvent::Kind kind) {
  ClientEvent& event = events_.emplace_back();
  event.kind = kind;
  event.protocol = entry.protocol;
  event.request = {static_cast<uint32_t>(&entry - entries_.data()), entry.generation};
  event.peer = entry.peer;
  event.index = entry.chunks;
  return event;
}

std::optional<ClientEvent> Client::poll_event() {
  if (events_.empty()) return std::nullopt;
  ClientEvent event = std::move(events_.front());
  events_.pop_front();
  if (event.kind == ClientEvent::Kind::chunk) {
    if (Entry* entry = find(event.request)) {
      --entry->undelivered;
      entry->undelivered_bytes -= static_cast<uint32_t>(event.payload.size());
    }
  }
  return event;
}

void Client::say_end(Entry& entry) {
  ++stats_.ended;
  emit(entry, ClientEvent::Kind::end);
}

void Client::say_error(Entry& entry, Error why, uint8_t remote_code, SharedBytes text) {
  switch (why.fault) {
    case Fault::peer:
      ++stats_.failed_peer;
      break;
    case Fault::network:
      ++stats_.failed_network;
      break;
    case Fault::local:
      ++stats_.failed_local;
      break;
  }
  ClientEvent& event = emit(entry, ClientEvent::Kind::error);
  event.error = why;
  event.remote_code = remote_code;
  event.payload = std::move(text);
}

void Client::say_remote_error(Entry& entry, uint8_t code, SharedBytes text) {
  ++stats_.remote_errors;
  const ResultCode meaning = result_code(code);
  const bool limited = meaning == ResultCode::rate_limited;
  say_error(entry,
            {.field = name(meaning),
             .offset = code,
             .code = limited ? Code::rate_limited : Code::remote_error,
             .fault = Fault::network},
            code, std::move(text));
}

void Client::close(Entry& entry, bool reset, Now now) {
  emit(entry, ClientEvent::Kind::close_stream).reset = reset;
  release(entry);
  open_next(entry.peer, entry.protocol, now);
}

void Client::fail(Entry& entry, Error why, Now now) {
  say_error(entry, why);
  if (entry.phase == Phase::waiting) {
    release(entry);
  } else {
    close(entry, true, now);
  }
}

// Everything was said; `slack` bytes may follow.
void Client::linger(Entry& entry, uint32_t slack, Now now) {
  entry.phase = Phase::lingering;
  entry.slack = slack;
  entry.deadline = now.mono + limits_.linger;
  entry.total = MonoTime::never();
  if (entry.paused) entry.paused_at = now.mono;
}

// --- Bytes ---

Bytes Client::output(RequestId request) const {
  const Entry* entry = find(request);
  if (entry == nullptr) return {};
  return entry->output.bytes().subspan(entry->sent);
}

void Client::output_sent(RequestId request, size_t size) {
  Entry* entry = find(request);
  if (entry == nullptr) return;
  BL_CHECK(size <= entry->output.size() - entry->sent);
  entry->sent += size;
}

bool Client::over_undelivered(const Entry& entry) const {
  return entry.undelivered >= limits_.undelivered_chunks ||
         entry.undelivered_bytes >= limits_.undelivered_bytes;
}

bool Client::stalled(RequestId request) const {
  const Entry* entry = find(request);
  if (entry == nullptr || entry->phase == Phase::lingering) return false;
  return entry->paused || over_undelivered(*entry);
}

size_t Client::on_data(RequestId request, Bytes data, Now now) {
  Entry* entry = find(request);
  if (entry == nullptr) return data.size();
  BL_CHECK(entry->phase != Phase::waiting);
  size_t taken = 0;
  if (entry->phase == Phase::reading) taken = read(*entry, data, now);
  // What was read may have ended the request.
  entry = find(request);
  if (entry == nullptr) return data.size();
  if (entry->phase != Phase::lingering) return taken;
  linger_data(*entry, data.size() - taken, now);
  return data.size();
}

size_t Client::read(Entry& entry, Bytes data, Now now) {
  size_t taken = 0;
  while (taken < data.size() && entry.phase == Phase::reading) {
    if (entry.paused) break;
    if (over_undelivered(entry)) {
      ++stats_.stalled_undelivered;
      break;
    }
    const auto size = entry.reader.read(data.subspan(taken));
    if (!size) {
      fail(entry, size.error(), now);
      break;
    }
    taken += *size;
    entry.since_progress += static_cast<uint32_t>(*size);
    const bool whole = entry.reader.has_chunk();
    if (!entry.first_byte || whole || entry.since_progress >= limits_.progress_bytes) {
      entry.first_byte = true;
      entry.since_progress = 0;
      entry.deadline = now.mono + limits_.progress;
    }
    if (whole) on_chunk(entry, now);
  }
  return taken;
}

void Client::on_chunk(Entry& entry, Now now) {
  Chunk chunk = entry.reader.take();
  if (chunk.result != 0) {
    const uint32_t slack = chunk.payload.empty() ? max_compressed(0) : 0;
    say_remote_error(entry, chunk.result, std::move(chunk.payload));
    linger(entry, slack, now);
    return;
  }
  ++stats_.chunks;
  stats_.payload_bytes += chunk.payload.size();
  ++entry.undelivered;
  entry.undelivered_bytes += static_cast<uint32_t>(chunk.payload.size());
  ClientEvent& event = emit(entry, ClientEvent::Kind::chunk);
  event.context = chunk.context;
  event.payload = std::move(chunk.payload);
  if (++entry.chunks == entry.allowed) {
    say_end(entry);
    linger(entry, 0, now);
  }
}

void Client::linger_data(Entry& entry, size_t size, Now now) {
  if (size <= entry.slack) {
    entry.slack -= static_cast<uint32_t>(size);
    return;
  }
  ++stats_.violations;
  ClientEvent& event = emit(entry, ClientEvent::Kind::violation);
  event.error = {
      .field = "data after the last chunk", .code = Code::trailing, .fault = Fault::peer};
  close(entry, true, now);
}

void Client::on_remote_close(RequestId request, Now now) {
  Entry* entry = find(request);
  if (entry == nullptr) return;
  BL_CHECK(entry->phase != Phase::waiting);
  const bool reset = entry->sent < entry->output.size();
  if (entry->phase == Phase::lingering) {
    close(*entry, reset, now);
    return;
  }
  switch (entry->reader.ending()) {
    case ChunkReader::Ending::truncated:
      fail(*entry, bad_input(Code::truncated, "chunk").error(), now);
      return;
    case ChunkReader::Ending::error_without_text:
      say_remote_error(*entry, entry->reader.result(), {});
      break;
    case ChunkReader::Ending::in_order:
      if (entry->chunks == 0 && info(entry->protocol).count == Count::one) {
        fail(*entry, bad_input(Code::missing, "chunk").error(), now);
        return;
      }
      say_end(*entry);
      break;
  }
  close(*entry, reset, now);
}

void Client::on_stream_failed(RequestId request, Error why, Now now) {
  Entry* entry = find(request);
  if (entry == nullptr) return;
  BL_CHECK(entry->phase != Phase::waiting);
  if (entry->phase == Phase::reading) {
    fail(*entry, why, now);
  } else {
    close(*entry, true, now);
  }
}

void Client::on_peer_gone(PeerHandle peer, Now now) {
  const Error why{
      .field = "peer", .offset = 0, .code = Code::connection_lost, .fault = Fault::network};
  // The waiting ones first, so that none of them is opened by the end of another.
  for (Entry& entry : entries_) {
    if (entry.phase == Phase::waiting && entry.peer == peer) fail(entry, why, now);
  }
  for (Entry& entry : entries_) {
    if (entry.phase == Phase::reading && entry.peer == peer) fail(entry, why, now);
    if (entry.phase == Phase::lingering && entry.peer == peer) close(entry, true, now);
  }
  quotas_.erase(peer);
}

// --- The application's hand, and time ---

void Client::cancel(RequestId request, Now now) {
  std::erase_if(events_, [request](const ClientEvent& event) {
    return event.request == request && event.kind != ClientEvent::Kind::open_stream &&
           event.kind != ClientEvent::Kind::close_stream;
  });
  Entry* entry = find(request);
  if (entry == nullptr) return;
  ++stats_.cancelled;
  if (entry->phase == Phase::waiting) {
    release(*entry);
  } else {
    close(*entry, true, now);
  }
}

void Client::pause(RequestId request, Now now) {
  Entry* entry = find(request);
  if (entry == nullptr || entry->paused) return;
  entry->paused = true;
  entry->paused_at = now.mono;
}

void Client::resume(RequestId request, Now now) {
  Entry* entry = find(request);
  if (entry == nullptr || !entry->paused) return;
  entry->paused = false;
  const Duration pause = now.mono - entry->paused_at;
  entry->deadline = entry->deadline + pause;
  entry->total = entry->total + pause;
}

MonoTime Client::next_deadline() const {
  MonoTime next = MonoTime::never();
  for (const Entry& entry : entries_) {
    const bool stands_still = entry.paused && entry.phase == Phase::reading;
    if (entry.phase == Phase::free || stands_still) continue;
    next = std::min({next, entry.deadline, entry.total});
  }
  return next;
}

void Client::on_time(Now now) {
  for (Entry& entry : entries_) {
    if (entry.phase == Phase::free || std::min(entry.deadline, entry.total) > now.mono) continue;
    if (entry.phase == Phase::waiting) {
      entry.deadline = MonoTime::never();
      open_next(entry.peer, entry.protocol, now);
    } else if (!entry.paused || entry.phase == Phase::lingering) {
      expire(entry, now);
    }
  }
}

void Client::expire(Entry& entry, Now now) {
  if (entry.phase == Phase::lingering) {
    ++stats_.timeouts_linger;
    close(entry, true, now);
    return;
  }
  const char* what = "total";
  if (entry.total <= now.mono) {
    ++stats_.timeouts_total;
  } else if (over_undelivered(entry)) {
    entry.deadline = now.mono + limits_.progress;  // it is we who are slow
    return;
  } else if (!entry.first_byte) {
    what = "first byte";
    ++stats_.timeouts_first_byte;
  } else {
    what = "progress";
    ++stats_.timeouts_progress;
  }
  fail(entry, network_error(Code::timed_out, what).error(), now);
}

}  // namespace beamline::reqresp
