// What is asked of whom, and what the answers are worth.
#include <algorithm>

#include "base/check.h"
#include "chain/headers/header_sync.h"
#include "codec/rlp.h"
#include "crypto/keccak.h"

namespace beamline::chain {
namespace {

constexpr uint64_t kRateSpan = 1'000'000'000'000;  // 1000 s, in nanoseconds
constexpr uint64_t kMaxRate = 1'000'000'000;       // in that time

}  // namespace

// ---- Peers

HeaderSync::Peer* HeaderSync::find(PeerHandle handle) {
  const auto it = peers_.find(handle);
  return it == peers_.end() ? nullptr : &it->second;
}

void HeaderSync::peer_up(Now now, PeerHandle handle) {
  if (ignore()) return;
  if (peers_.size() >= config_.limits.peers) {
    ++stats_.peers_refused;
    return;
  }
  Peer peer;
  peer.handle = handle;
  peer.probe_at = now.mono;
  peers_.emplace(handle, peer);
}

void HeaderSync::peer_down(Now, PeerHandle handle) {
  if (ignore() || peers_.erase(handle) == 0) return;
  for (auto it = pending_.begin(); it != pending_.end();) {
    const Pending pending = it->second;
    const bool of_peer = pending.peer == handle;
    it = of_peer ? pending_.erase(it) : std::next(it);
    if (of_peer) release(pending);
  }
}

void HeaderSync::charge(Peer& peer, HeaderFault fault, bool drop) {
  ++stats_.faults[static_cast<size_t>(fault)];
  const PeerHandle handle = peer.handle;
  commands_.push_back(ChargeHeaderPeer{handle, fault, drop});
  if (!drop) return;
  ++stats_.peers_dropped;
  peer_down({}, handle);
}

void HeaderSync::strike(Now now, Peer& peer, HeaderFault fault) {
  peer.rate /= 4;
  ++peer.strikes;
  peer.struck = now.mono;
  peer.not_before = now.mono + peer.strikes * config_.limits.timeout_min;
  charge(peer, fault, peer.strikes >= config_.limits.strikes);
}

// The range of a request that is over is free again, if nobody else is asked for it.
void HeaderSync::release(const Pending& pending) {
  const auto it = ranges_.find(pending.first);
  if (!pending.probe && it != ranges_.end() && it->second.request == pending.id) {
    it->second.request = 0;
    it->second.asked = 0;
  }
}

// A rise is believed sooner than a fall: the first answers are small, and mostly latency.
void HeaderSync::measure(Now now, Peer& peer, const Pending& pending, size_t count) {
  const Duration took = std::max(now.mono - pending.sent, microseconds(1));
  peer.round_trip = peer.round_trip == Duration{} ? took : (peer.round_trip * 3 + took) / 4;
  const uint64_t rate =
      std::clamp<uint64_t>(count * kRateSpan / static_cast<uint64_t>(took.ns), 1, kMaxRate);
  const uint64_t old = peer.rate;
  peer.rate = old == 0 ? rate : rate > old ? (old + rate) / 2 : (3 * old + rate) / 4;
  peer.strikes = 0;
}

// Does it give a little, just in time, again and again? A few that were all that was asked for tell
// nothing.
bool HeaderSync::too_slow(Peer& peer, const Pending& pending, size_t given) {
  const HeaderSyncLimits& limits = config_.limits;
  const bool few = pending.count < std::min(limits.request_min, limits.request_max);
  if (pending.probe || (few && given == pending.count)) return false;
  peer.window = peer.window + pending.waited;
  peer.window_given += static_cast<uint32_t>(given);
  if (peer.window < limits.rate_window) return false;
  const auto window = static_cast<uint64_t>(std::exchange(peer.window, {}).ns);
  return std::exchange(peer.window_given, 0) < window / 1'000'000 * limits.rate_min / 1000;
}

// As many headers as it gives in request_time, going by what it gave.
uint32_t HeaderSync::wanted_of(const Peer& peer) const {
  const HeaderSyncLimits& limits = config_.limits;
  const uint64_t wanted =
      peer.rate == 0 ? limits.request_first >> std::min(peer.strikes, 8u)
                     : peer.rate * static_cast<uint64_t>(limits.request_time.ns) / kRateSpan;
  const uint32_t least = std::min(limits.request_min, limits.request_max);
  return static_cast<uint32_t>(std::clamp<uint64_t>(wanted, least, limits.request_max));
}

// For an answer of so many headers, behind those that it owes.
Duration HeaderSync::patience(const Peer& peer, uint32_t count) const {
  const HeaderSyncLimits& limits = config_.limits;
  if (peer.rate == 0) return limits.timeout_first;
  const Duration usual{static_cast<int64_t>((peer.asked + count) * kRateSpan / peer.rate)};
  return std::clamp(3 * std::max(peer.round_trip, usual), limits.timeout_min, limits.timeout_max);
}

// Who was late is asked for one thing at a time.
bool HeaderSync::has_place(const Peer& peer) const {
  const HeaderSyncLimits& limits = config_.limits;
  const uint32_t most = peer.rate == 0
                            ? std::min(limits.requests_per_new_peer, limits.requests_per_peer)
                            : limits.requests_per_peer;
  return peer.in_flight < (peer.strikes > 0 ? 1 : most);
}

// ---- The probe: who has the head?

void HeaderSync::probe(Now now) {
  for (auto& [handle, peer] : peers_) {
    if (peer.has_head || peer.probing || peer.probe_at > now.mono) continue;
    peer.probing = true;
    peer.probe_at = now.mono + config_.limits.probe_again;
    const HeaderRequestId id = next_request_++;
    ++stats_.requests;
    pending_.emplace(id, Pending{.id = id,
                                 .peer = handle,
                                 .probe = true,
                                 .sent = now.mono,
                                 .deadline = now.mono + std::max(config_.limits.timeout_first,
                                                                 patience(peer, 1))});
    commands_.push_back(RequestHeaders{.peer = handle, .request = id, .hash = head_, .count = 1});
  }
}

// Not to have the head is no fault: it may be on its way.
void HeaderSync::take_probe(Now now, Peer& peer, SharedBytes list) {
  auto run = check_run(0, 1, 1, std::move(list));
  if (!run) {
    if (run.error().code != Code::missing) charge(peer, HeaderFault::undecodable, true);
    return;
  }
  // Another header is either a lie, or the answer about a head that moved meanwhile.
  if (run->hashes.front() != head_) return;
  peer.has_head = true;
  progress_ = now.mono;
  if (head_run_) return;
  head_run_ = std::move(*run);
  leave_to_full_sync();
}

// A short way is not worth a state sync. While headers are taken back it is not known from where.
void HeaderSync::leave_to_full_sync() {
  if (!head_run_ || rewinding_ || stats_.headers_committed > 0) return;
  const uint64_t number = head_run_->first;
  if (tip_.number < number && number - tip_.number < config_.limits.full_sync_below) {
    finish(HeaderSyncEnd::switch_to_full_sync, HeaderSyncFailure::none, tip_.number + 1);
  }
}

// ---- Answers

// Takes a request off the table. Nothing, and counted, if that peer has none of this number now.
std::optional<HeaderSync::Pending> HeaderSync::settle(Now now, PeerHandle handle,
                                                      HeaderRequestId request) {
  const auto it = pending_.find(request);
  Peer* peer = find(handle);
  if (it == pending_.end() || peer == nullptr || it->second.peer != handle) {
    ++stats_.late_answers;
    return std::nullopt;
  }
  Pending pending = it->second;
  pending_.erase(it);
  pending.waited = now.mono - std::max(pending.sent, peer->settled);
  peer->settled = now.mono;
  if (pending.probe) {
    peer->probing = false;
  } else {
    --peer->in_flight;
    peer->asked -= pending.count;
  }
  return pending;
}

void HeaderSync::answered(Now now, PeerHandle handle, HeaderRequestId request, SharedBytes list) {
  if (ignore()) return;
  const auto pending = settle(now, handle, request);
  if (!pending) return;
  Peer& peer = *find(handle);
  if (pending->probe) {
    peer.probe_trip = now.mono - pending->sent;
    peer.strikes = 0;
    return take_probe(now, peer, std::move(list));
  }
  take_range(now, peer, *pending, std::move(list));
}

void HeaderSync::take_range(Now now, Peer& peer, const Pending& pending, SharedBytes list) {
  const auto it = ranges_.find(pending.first);
  if (it == ranges_.end() || it->second.run) {  // taken back meanwhile, or here from another peer
    ++stats_.late_answers;
    return;
  }
  release(pending);
  auto run = check_run(pending.first, pending.count, it->second.count, std::move(list));
  if (!run) {
    const bool empty = run.error().code == Code::missing && run.error().offset == 0;
    if (empty) return strike(now, peer, HeaderFault::empty);
    const bool decoded = std::string_view(run.error().field) != "headers";
    return charge(peer, decoded ? HeaderFault::bad_header : HeaderFault::undecodable, true);
  }
  stats_.headers_received += run->size();
  measure(now, peer, pending, run->size());
  const bool slow = too_slow(peer, pending, run->size());
  // A part is welcome; the rest is asked for again.
  const auto got = static_cast<uint32_t>(run->size());
  if (got < it->second.count) {
    ranges_.emplace(pending.first + got, Range{.count = it->second.count - got});
    it->second.count = got;
  }
  it->second.request = 0;
  it->second.asked = 0;
  it->second.from = peer.handle;
  it->second.run = std::move(*run);
  if (slow) charge(peer, HeaderFault::stalled, true);
}

// Decodes, hashes, and checks each header beside the one before it. `first` 0: any number. Of
// `most` that were asked for, `keep` are still wanted. Error field "headers": the list itself;
// missing: there is none.
Result<HeaderRun> HeaderSync::check_run(uint64_t first, uint32_t most, uint32_t keep,
                                        SharedBytes list) const {
  HeaderRun run;
  run.bytes = std::move(list);
  auto items = rlp::parse_list(run.bytes.bytes(), "headers");
  if (!items) return std::unexpected(items.error());
  if (items->at_end()) return bad_input(Code::missing, "headers");
  while (!items->at_end()) {
    if (run.encodings.size() == most) return bad_input(Code::too_long, "headers");
    const auto item = items->next("headers");
    if (!item) return std::unexpected(item.error());
    run.encodings.push_back(item->encoding);
  }
  if (run.encodings.size() > keep) run.encodings.resize(keep);
  run.hashes.resize(run.encodings.size());
  keccak256_many(run.encodings, run.hashes);
  for (size_t i = 0; i < run.size(); ++i) {
    const auto header = ExecutionHeader::decode(run.encodings[i]);
    if (!header) return std::unexpected(header.error());
    if (i == 0) {
      if (first != 0 && header->number != first) return bad_input(Code::mismatch, "number");
      run.first = header->number;
    } else if (Status fits = check_header(config_.forks, run.last, *header); !fits) {
      return std::unexpected(fits.error());
    }
    run.last = ParentHeader::of(*header, run.hashes[i]);
  }
  return run;
}

void HeaderSync::request_failed(Now now, PeerHandle handle, HeaderRequestId request) {
  if (ignore()) return;
  if (const auto pending = settle(now, handle, request)) miss(now, *pending, HeaderFault::failed);
}

// A request that brought nothing: a probe too, or who answers nothing at all would keep its place.
void HeaderSync::miss(Now now, const Pending& pending, HeaderFault fault) {
  release(pending);
  Peer& peer = *find(pending.peer);
  if (too_slow(peer, pending, 0)) return charge(peer, fault, true);
  // What waited beside a request that was late is of the same pause, and that is one strike.
  if (fault == HeaderFault::stalled && pending.sent < peer.struck) return;
  strike(now, peer, fault);
}

void HeaderSync::expire(Now now) {
  std::vector<HeaderRequestId> late;
  for (const auto& [id, pending] : pending_) {
    if (pending.deadline <= now.mono) late.push_back(id);
  }
  for (const HeaderRequestId id : late) {
    const auto it = pending_.find(id);
    if (it == pending_.end()) continue;  // went with its peer
    miss(now, *settle(now, it->second.peer, id), HeaderFault::stalled);
  }
}

// ---- Requests

uint32_t HeaderSync::scratch_room() const {
  uint64_t used = 0;
  for (const auto& [first, range] : ranges_) used += range.count;
  return static_cast<uint32_t>(config_.limits.scratch_headers -
                               std::min<uint64_t>(used, config_.limits.scratch_headers));
}

bool HeaderSync::gave_opinion(PeerHandle peer) const {
  return std::any_of(opinions_.begin(), opinions_.end(),
                     [&](const Opinion& opinion) { return opinion.peer == peer; });
}

// The fastest first.
std::vector<HeaderSync::Peer*> HeaderSync::idle_peers(Now now) {
  std::vector<Peer*> idle;
  for (auto& [handle, peer] : peers_) {
    const bool free = peer.has_head && has_place(peer);
    if (free && peer.not_before <= now.mono) idle.push_back(&peer);
  }
  std::ranges::sort(idle, [](const Peer* a, const Peer* b) {
    if (a->in_flight != b->in_flight) return a->in_flight < b->in_flight;
    return a->rate != b->rate ? a->rate > b->rate : a->handle < b->handle;
  });
  return idle;
}

// The lowest range to the fastest idle peer, and so on.
void HeaderSync::fetch(Now now) {
  hedge_at_ = MonoTime::never();
  if (!head_run_ || rewinding_) return;
  const std::vector<Peer*> idle = idle_peers(now);
  uint32_t room = scratch_room();
  auto range = ranges_.begin();
  for (uint32_t round = 0; round < config_.limits.requests_per_peer; ++round) {
    for (Peer* peer : idle) {
      if (!has_place(*peer)) continue;
      while (range != ranges_.end() && (range->second.request != 0 || range->second.run)) ++range;
      if (range != ranges_.end()) {
        if (range->first == tip_.number + 1 && gave_opinion(peer->handle)) continue;
        send(now, *peer, range->first, cut_range(range, wanted_of(*peer)));
        continue;
      }
      const uint64_t end = head_run_->first;  // the head itself is here
      if (frontier_ >= end || room == 0) return hedge(now, idle);
      const auto count = static_cast<uint32_t>(
          std::min<uint64_t>(std::min(wanted_of(*peer), room), end - frontier_));
      ranges_.emplace(frontier_, Range{.count = count});
      room -= count;
      send(now, *peer, std::exchange(frontier_, frontier_ + count), count);
    }
  }
}

// Of a range that nobody is asked for, so much remains; the rest is another one.
uint32_t HeaderSync::cut_range(std::map<uint64_t, Range>::iterator range, uint32_t count) {
  if (range->second.count > count) {
    ranges_.emplace(range->first + count, Range{.count = range->second.count - count});
    range->second.count = count;
  }
  return range->second.count;
}

// There is nothing else to ask for: a range at the tip that is late is asked of a second peer. The
// first may still answer, and is not charged before its time is over.
void HeaderSync::hedge(Now now, const std::vector<Peer*>& idle) {
  const auto front = ranges_.find(tip_.number + 1);
  if (front == ranges_.end() || front->second.run || front->second.request == 0) return;
  Range& range = front->second;
  if (range.asked >= config_.limits.requests_per_range) return;
  if (now.mono < range.due) {
    hedge_at_ = range.due;
    return;
  }
  for (Peer* peer : idle) {
    if (!has_place(*peer) || gave_opinion(peer->handle)) continue;
    const bool asked = std::ranges::any_of(pending_, [&](const auto& entry) {
      return !entry.second.probe && entry.second.first == front->first &&
             entry.second.peer == peer->handle;
    });
    if (asked) continue;
    ++stats_.hedges;
    send(now, *peer, front->first, std::min(range.count, wanted_of(*peer)));
    hedge_at_ = range.due;
    return;
  }
}

void HeaderSync::send(Now now, Peer& peer, uint64_t first, uint32_t count) {
  const HeaderSyncLimits& limits = config_.limits;
  Range& range = ranges_.at(first);
  const HeaderRequestId id = next_request_++;
  range.request = id;
  ++range.asked;
  // Twice what it usually takes.
  const Duration usual = peer.round_trip == Duration{} ? peer.probe_trip : peer.round_trip;
  range.due = now.mono + 2 * usual;
  const Duration time = patience(peer, count);
  ++peer.in_flight;
  peer.asked += count;
  ++stats_.requests;
  stats_.scratch_peak =
      std::max<uint64_t>(stats_.scratch_peak, limits.scratch_headers - scratch_room());
  pending_.emplace(id, Pending{.id = id,
                               .peer = peer.handle,
                               .first = first,
                               .count = count,
                               .sent = now.mono,
                               .deadline = now.mono + time});
  commands_.push_back(
      RequestHeaders{.peer = peer.handle, .request = id, .number = first, .count = count});
}

void HeaderSync::set_deadline(Now now) {
  if (finished_) return;
  MonoTime next = std::min(progress_ + config_.limits.stalled, hedge_at_);
  for (const auto& [id, pending] : pending_) next = std::min(next, pending.deadline);
  for (const auto& [handle, peer] : peers_) {
    if (!peer.has_head && !peer.probing) next = std::min(next, peer.probe_at);
    if (peer.not_before > now.mono) next = std::min(next, peer.not_before);
  }
  next_deadline_ = next;
}

}  // namespace beamline::chain
