// The tip, the batches and the end; what is asked of whom is in header_sync_fetch.cc.
#include "chain/headers/header_sync.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {

const char* name(HeaderFault fault) {
  switch (fault) {
    case HeaderFault::undecodable:
      return "undecodable";
    case HeaderFault::bad_header:
      return "bad_header";
    case HeaderFault::empty:
      return "empty";
    case HeaderFault::lied:
      return "lied";
    case HeaderFault::taken_back:
      return "taken_back";
    case HeaderFault::stalled:
      return "stalled";
    case HeaderFault::failed:
      return "failed";
  }
  return "?";
}

const char* name(HeaderSyncEnd end) {
  switch (end) {
    case HeaderSyncEnd::synced:
      return "synced";
    case HeaderSyncEnd::switch_to_full_sync:
      return "switch_to_full_sync";
    case HeaderSyncEnd::failed:
      return "failed";
  }
  return "?";
}

const char* name(HeaderSyncFailure failure) {
  switch (failure) {
    case HeaderSyncFailure::none:
      return "none";
    case HeaderSyncFailure::reorg:
      return "reorg";
    case HeaderSyncFailure::bad_head:
      return "bad_head";
    case HeaderSyncFailure::storage:
      return "storage";
    case HeaderSyncFailure::no_peers:
      return "no_peers";
    case HeaderSyncFailure::aborted:
      return "aborted";
  }
  return "?";
}

HeaderSync::HeaderSync(HeaderSyncConfig config, const ParentHeader& stored, const Hash256& head,
                       Now now)
    : config_(std::move(config)),
      head_(head),
      tip_(stored),
      frontier_(stored.number + 1),
      durable_next_(stored.number + 1),
      progress_(now.mono) {
  BL_CHECK(config_.limits.request_max > 0 && config_.limits.batch_headers > 0);
  BL_CHECK(stored.number + 1 >= config_.first_number && config_.first_number > 0);
  set_deadline(now);
}

// After the end nothing happens any more.
bool HeaderSync::ignore() {
  if (finished_) ++stats_.events_after_end;
  return finished_;
}

std::optional<uint64_t> HeaderSync::head_number() const {
  if (!head_run_) return std::nullopt;
  return head_run_->first;
}

std::optional<HeaderCommand> HeaderSync::poll_command() {
  if (commands_.empty()) return std::nullopt;
  HeaderCommand command = std::move(commands_.front());
  commands_.pop_front();
  return command;
}

void HeaderSync::end_of_turn(Now now) {
  if (finished_) return;
  expire(now);
  probe(now);
  commit(now);
  if (finished_) return;  // failed: nothing follows
  flush_batch(false);
  announce();
  reach_end();
  if (!finished_) fetch(now);
  if (!finished_ && now.mono - progress_ >= config_.limits.stalled) {
    finish(HeaderSyncEnd::failed, HeaderSyncFailure::no_peers);
  }
  set_deadline(now);
}

// ---- The tip

void HeaderSync::commit(Now now) {
  do {
    flush_batch(false);
    if (rewinding_ || finished_ || !head_run_ || !commit_front()) break;
    progress_ = now.mono;
  } while (true);
}

// Commits what continues the tip, if it is here. True: there may be more.
bool HeaderSync::commit_front() {
  const uint64_t next = tip_.number + 1;
  if (next > head_run_->first) {
    if (tip_.hash == head_) return false;
    // What is stored reaches past the head, or ends in another one.
    rewind_to(std::max(head_run_->first, config_.first_number));
    return false;
  }
  const bool is_head = next == head_run_->first;
  const auto it = ranges_.find(next);
  if (!is_head && (it == ranges_.end() || !it->second.run)) return false;
  if (storing_.size() >= config_.limits.stores_in_flight &&
      batch_headers_ >= config_.limits.batch_headers) {
    return false;
  }
  HeaderRun& run = is_head ? *head_run_ : *it->second.run;
  const PeerHandle from = is_head ? PeerHandle{} : it->second.from;
  const auto first = ExecutionHeader::decode(run.encodings.front());
  const Status fits = check_header(config_.forks, tip_, *first);
  if (fits) {
    disprove(tip_.hash);
    committed_.push_back({next, from, stats_.head_moves});
    if (committed_.size() > 64) committed_.pop_front();
    tip_ = run.last;
    if (tip_.number > highest_) in_vain_ = 0;
    highest_ = std::max(highest_, tip_.number);
    stats_.headers_committed += run.size();
    batch_headers_ += run.size();
    if (is_head) {
      batch_.push_back(run);
    } else {
      batch_.push_back(std::move(run));
      ranges_.erase(it);
    }
    return !is_head;
  }
  const bool unlinked = first->parent_hash != tip_.hash;
  if (is_head) {
    // Whoever gave the tip: the head that is trusted has another parent.
    if (!unlinked) {
      finish(HeaderSyncEnd::failed, HeaderSyncFailure::bad_head);
    } else {
      take_back();
    }
    return false;
  }
  stats_.headers_refused += run.size();
  it->second.run.reset();
  it->second.from = {};
  Peer* peer = find(from);
  if (!unlinked) {
    if (peer != nullptr) charge(*peer, HeaderFault::bad_header, true);
    return false;
  }
  ++stats_.opinions;
  opinions_.push_back({from, first->parent_hash});
  if (tip_is_outvoted()) take_back();
  return false;
}

// The tip has this hash after all: whoever said otherwise lied.
void HeaderSync::disprove(const Hash256& parent) {
  for (const Opinion& opinion : opinions_) {
    Peer* peer = find(opinion.peer);
    if (peer != nullptr && opinion.parent != parent) charge(*peer, HeaderFault::lied, true);
  }
  opinions_.clear();
}

bool HeaderSync::tip_is_outvoted() const {
  if (opinions_.size() >= config_.limits.opinions) return true;
  for (const Opinion& one : opinions_) {
    for (const Opinion& other : opinions_) {
      if (one.peer != other.peer && one.parent == other.parent) return true;
    }
  }
  // Is there anyone left to ask?
  return std::none_of(peers_.begin(), peers_.end(), [&](const auto& entry) {
    return entry.second.has_head && !gave_opinion(entry.first);
  });
}

// The tip is wrong: back to where its range began; if that was not enough, four times as far each
// time.
void HeaderSync::take_back() {
  opinions_.clear();
  // While the trusted head stays, its chain does: then the tip was a lie, and not a reorg.
  const bool lie = !committed_.empty() && committed_.back().head_moves == stats_.head_moves;
  if (!lie) ++stats_.walk_backs;
  const bool too_often = stats_.walk_backs > config_.limits.walk_backs;
  if (too_often || tip_.number < config_.first_number) {
    finish(HeaderSyncEnd::failed, HeaderSyncFailure::reorg);
    return;
  }
  uint64_t to = committed_.empty() ? tip_.number : committed_.back().first;
  if (in_vain_ > 0) {
    const uint64_t distance = uint64_t{64} << std::min<uint32_t>(2 * in_vain_, 32);
    to = std::min(to, tip_.number > distance ? tip_.number - distance : 1);
  }
  ++in_vain_;
  if (lie) {
    Peer* peer = find(committed_.back().from);
    if (peer != nullptr) charge(*peer, HeaderFault::taken_back, ++peer->taken_back >= 2);
  }
  rewind_to(std::max(to, config_.first_number));
}

void HeaderSync::rewind_to(uint64_t number) {
  BL_CHECK(number <= tip_.number && !rewinding_);
  flush_batch(true);
  stats_.headers_taken_back += tip_.number - number + 1;
  while (!committed_.empty() && committed_.back().first >= number) committed_.pop_back();
  forget_ranges(number);
  rewinding_ = true;
  head_said_ = false;
  commands_.push_back(RewindHeaders{number});
}

// All above `frontier` is asked for anew; answers on their way are of no use.
void HeaderSync::forget_ranges(uint64_t frontier) {
  for (auto& [id, pending] : pending_) {
    if (!pending.probe) pending.first = UINT64_MAX;
  }
  ranges_.clear();
  frontier_ = frontier;
}

void HeaderSync::rewound(Now now, const ParentHeader& last) {
  if (ignore()) return;
  if (!rewinding_ || last.number + 1 != frontier_) return;
  rewinding_ = false;
  tip_ = last;
  durable_next_ = std::min(durable_next_, frontier_);
  std::erase_if(waiting_, [&](const Batch& batch) { return batch.first >= frontier_; });
  for (Batch& batch : waiting_) {
    if (batch.first + batch.count <= frontier_) continue;
    batch.count = frontier_ - batch.first;
    batch.last_hash = last.hash;
  }
  progress_ = now.mono;
  leave_to_full_sync();
}

// ---- The store and the state download

void HeaderSync::flush_batch(bool all) {
  const bool last = head_run_ && tip_.number == head_run_->first && tip_.hash == head_;
  if (batch_headers_ == 0) return;
  // The first goes at once: the state download waits for it.
  const bool full = batch_headers_ >= config_.limits.batch_headers || stats_.batches == 0;
  if (!all && !last && !full) return;
  if (!all && storing_.size() >= config_.limits.stores_in_flight) return;
  Batch batch{.first = batch_.front().first, .count = batch_headers_};
  batch.last_hash = batch_.back().hashes.back();
  for (const HeaderRun& run : batch_) {
    for (const Bytes& encoding : run.encodings) batch.bytes += encoding.size();
  }
  unstored_bytes_ += batch.bytes;
  stats_.bytes_peak = std::max(stats_.bytes_peak, unstored_bytes_);
  storing_.push_back(batch);
  ++stats_.batches;
  batch_headers_ = 0;
  commands_.push_back(StoreHeaders{std::exchange(batch_, {})});
}

void HeaderSync::stored(Now now, uint64_t next) {
  if (ignore()) return;
  progress_ = now.mono;
  while (!storing_.empty() && storing_.front().first + storing_.front().count <= next) {
    unstored_bytes_ -= storing_.front().bytes;
    waiting_.push_back(storing_.front());
    storing_.pop_front();
  }
  if (!rewinding_) durable_next_ = std::max(durable_next_, next);
}

void HeaderSync::store_failed(Now) {
  if (!ignore()) finish(HeaderSyncEnd::failed, HeaderSyncFailure::storage);
}

void HeaderSync::announce() {
  while (!waiting_.empty() && !rewinding_ && channel_ < config_.limits.channel_batches) {
    const Batch batch = waiting_.front();
    waiting_.pop_front();
    if (batch.count == 0) continue;
    ++channel_;
    commands_.push_back(HeadersStored{batch.first, batch.count, batch.last_hash});
  }
}

void HeaderSync::batch_taken(Now now) {
  if (ignore()) return;
  BL_CHECK(channel_ > 0);
  --channel_;
  progress_ = now.mono;
}

// ---- The end

void HeaderSync::reach_end() {
  if (finished_ || rewinding_ || !head_run_ || tip_.hash != head_) return;
  if (!head_said_) {
    head_said_ = true;
    commands_.push_back(HeadReached{tip_.number, head_});
  }
  const bool drained = batch_.empty() && storing_.empty() && waiting_.empty() && channel_ == 0;
  if (!drained) return;
  commands_.push_back(UpdateForkChoice{tip_.number, head_});
  finish(HeaderSyncEnd::synced, HeaderSyncFailure::none);
}

void HeaderSync::finish(HeaderSyncEnd end, HeaderSyncFailure failure, uint64_t from) {
  BL_CHECK(!finished_);
  finished_ = true;
  next_deadline_ = MonoTime::never();
  pending_.clear();
  ranges_.clear();
  commands_.push_back(HeaderSyncFinished{end, failure, from});
}

void HeaderSync::abort(Now) {
  if (!ignore()) finish(HeaderSyncEnd::failed, HeaderSyncFailure::aborted);
}

void HeaderSync::move_head(Now now, const Hash256& head) {
  if (ignore() || head == head_) return;
  ++stats_.head_moves;
  head_ = head;
  head_run_.reset();
  head_said_ = false;
  progress_ = now.mono;
  // Peers may have followed: what they said of the other head's chain is no lie.
  opinions_.clear();
  if (!rewinding_) forget_ranges(tip_.number + 1);
  for (auto& [handle, peer] : peers_) {
    peer.has_head = false;
    peer.probe_at = now.mono;
  }
}

}  // namespace beamline::chain
