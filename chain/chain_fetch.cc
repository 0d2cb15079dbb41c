// Answers to our requests, what a failure leaves behind, and the flush.
#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "chain/chain.h"

namespace beamline::chain {
namespace {

// A peer that says it is asked too much is left alone for this long.
constexpr Duration kRateLimitPause = seconds(1);
// A head that nobody but its claimants knows is asked for this often.
constexpr uint32_t kHeadAttempts = 4;

bool may_have(const Peer& peer, const PendingRoot& root) {
  if (has(root.tried, peer.handle)) return false;
  return root.wanted_as != WantedAs::peer_head || has(root.claimants, peer.handle);
}

}  // namespace

// ---- Answers.

Request* Chain::live_request(PeerHandle peer, RequestId id) {
  if (live_peer(peer) == nullptr) return nullptr;
  Request* request = requests_.find(id);
  return request != nullptr && request->peer == peer ? request : nullptr;
}

void Chain::on(const Now& now, ChunkReceived&& event) {
  Request* request = live_request(event.peer, event.request);
  if (request == nullptr) {
    ++stats_.late_chunks;
    return;
  }
  requests_.progress(*request, now.mono);
  if (request->kind == Request::Kind::data) {
    abort_request(now, event.request, {std::nullopt, Conduct::unrequested_root});
    return;
  }
  const Request::Mark before = request->mark();
  if (const auto wrong = request->take(event.block)) {
    abort_request(now, event.request, {std::nullopt, *wrong});
    return;
  }
  const bool by_range = request->kind == Request::Kind::by_range;
  ++stats_.fetched_bodies;
  if (by_range) ++stats_.fetched_bodies_by_range;
  CachedBlock incoming;
  incoming.origin = by_range ? Origin::by_range : Origin::by_root;
  incoming.sender = event.peer;
  incoming.request = request->id;
  incoming.batch = request->batch;
  if (const PendingRoot* wanted = pending_.find(event.block.root)) {
    incoming.depth = by_range ? 0 : wanted->depth;
    incoming.attempts = wanted->attempts;
  }
  incoming.block = std::move(event.block);
  switch (take(now, std::move(incoming))) {
    case Take::taken:
      return;
    case Take::known:
      ++stats_.fetched_twice;
      return;
    case Take::refused:
      return;
    case Take::invalid:
      request->unmark(before);
      abort_request(now, event.request, {std::nullopt, Conduct::invalid_block});
      return;
  }
}

void Chain::on(const Now& now, TransferProgress&& event) {
  if (Request* request = live_request(event.peer, event.request)) {
    requests_.progress(*request, now.mono);
  }
}

void Chain::on(const Now& now, RequestEnded&& event) {
  if (live_request(event.peer, event.request) != nullptr) end_request(now, event.request, {});
}

void Chain::on(const Now& now, RequestFailed&& event) {
  if (live_request(event.peer, event.request) == nullptr) return;
  end_request(now, event.request, {event.error, std::nullopt});
}

void Chain::abort_request(const Now& now, RequestId id, const Ending& ending) {
  commands_.push(CancelRequest{requests_.find(id)->peer, id});
  end_request(now, id, ending);
}

void Chain::end_request(const Now& now, RequestId id, const Ending& ending) {
  const Request request = requests_.remove(id);
  --peers_.find(request.peer)->in_flight;
  ++(ending.in_order() ? stats_.requests_ended : stats_.requests_failed);
  judge(now, request, ending);
  if (request.kind == Request::Kind::by_range) {
    end_window(now, request, ending);
  } else {
    flush_.request_ended();
    return_roots(now, request, ending);
  }
}

void Chain::judge(const Now& now, const Request& request, const Ending& ending) {
  if (ending.conduct) charge(request.peer, *ending.conduct);
  if (ending.error) {
    const Error& error = *ending.error;
    if (error.fault == Fault::local && error.code != Code::too_long) ++stats_.send_failures;
    if (error.code == Code::rate_limited) {
      peers_.find(request.peer)->not_before = now.mono + kRateLimitPause;
    } else if (error.fault == Fault::peer && error.code != Code::remote_error) {
      charge(request.peer, Conduct::undecodable);
    }
  }
  // Half of what was asked for: one block of a thousand is no merit.
  const bool useful = request.received > 0 && request.received * 2 >= request.batch;
  if (ending.in_order() && useful) reward(request.peer);
}

// No progress is the peer's fault; a transfer that lives and takes too long is not.
void Chain::expire_requests(const Now& now) {
  while (const Request* request = requests_.expired(now.mono)) {
    if (!commands_.room()) {
      deferred_ = true;
      return;
    }
    if (request->progress_at <= now.mono) {
      ++stats_.progress_timeouts;
      abort_request(now, request->id, {std::nullopt, Conduct::silent});
    } else {
      ++stats_.total_timeouts;
      const Error late{"request", 0, Code::timed_out, Fault::network};
      abort_request(now, request->id, {late, std::nullopt});
    }
  }
}

// What the answer did not bring waits again, each root with its own count of attempts; those that
// failed together are ready together, and leave together.
void Chain::return_roots(const Now& now, const Request& request, const Ending& ending) {
  const bool others = others_than(request.peer);
  bool withheld = false;
  std::vector<Root> hopeless;
  for (const Request::Owed& owed : request.owed) {
    PendingRoot* root = pending_.find(owed.root);
    const bool ours = root != nullptr && root->state == PendingRoot::State::in_flight &&
                      root->request == request.id;
    if (!ours) continue;
    if (!ending.was_sent()) {
      pending_.release(*root, now.mono + config_.limits.retry_first);
      continue;
    }
    withheld = withheld || has(root->claimants, request.peer);
    if (root->wanted_as == WantedAs::data) refuse_data_of(owed.root, request.peer);
    pending_.failed(*root, request.peer, others, now.mono);
    const bool head = root->wanted_as == WantedAs::peer_head;
    const uint32_t most = head ? kHeadAttempts : config_.limits.attempts_per_root;
    if (root->attempts >= most) hopeless.push_back(owed.root);
  }
  // An honest peer need not have what others invented: only who claimed a root owes it.
  if (ending.in_order() && withheld && request.received == 0) {
    charge(request.peer, Conduct::withheld);
  }
  for (const Root& root : hopeless) {
    if (pending_.find(root) != nullptr) give_up(root, GiveUp::attempts);
  }
}

void Chain::give_up(Root root, GiveUp reason) {
  switch (reason) {
    case GiveUp::attempts:
      ++stats_.given_up_attempts;
      break;
    case GiveUp::depth:
      ++stats_.given_up_depth;
      break;
    case GiveUp::below_anchor:
      ++stats_.given_up_below_anchor;
      break;
    case GiveUp::orphan_gone:
      ++stats_.given_up_orphan_gone;
      break;
    case GiveUp::peer_gone:
      ++stats_.given_up_peer_gone;
      break;
    case GiveUp::invalid:
      ++stats_.given_up_invalid;
      break;
  }
  const bool data = pending_.find(root)->wanted_as == WantedAs::data;
  pending_.erase(root);
  drop_descendants(root, GossipReason::dropped, stats_.dropped_with_root);
  if (!data) return;
  ++stats_.dropped_with_root;
  drop(root, GossipReason::dropped);
}

bool Chain::others_than(PeerHandle peer) const {
  const auto& all = peers_.all();
  return std::any_of(all.begin(), all.end(), [&](const auto& entry) {
    return !entry.second.leaving && entry.second.handle != peer;
  });
}

// ---- The flush.

void Chain::flush(const Now& now) {
  if (!pending_.any_ready(now.mono)) return;
  if (!flush_.open(requests_.by_root() + requests_.data(), now.mono)) {
    ++stats_.flushes_gathered;
    return;
  }
  if (!send_ready(now)) ++stats_.flushes_without_peer;
}

// Everything that is ready goes to one peer, up to the limit; the excess, and what that peer has
// failed on, to the next. What finds no peer stays.
bool Chain::send_ready(const Now& now) {
  std::vector<PendingRoot*> ready = pending_.ready(now.mono);
  const auto is_data = [](const PendingRoot* root) { return root->wanted_as == WantedAs::data; };
  if (std::any_of(ready.begin(), ready.end(), is_data) && !may_ask_for_data()) {
    std::erase_if(ready, is_data);
  }
  // Where all had their turn, a new round begins.
  for (PendingRoot* root : ready) {
    const auto& all = peers_.all();
    const bool untried = std::any_of(all.begin(), all.end(), [&](const auto& entry) {
      return !entry.second.leaving && may_have(entry.second, *root);
    });
    if (!untried) root->tried.clear();
  }
  std::vector<PeerHandle> used;
  while (!ready.empty() && peers_.any_available(now.mono)) {
    if (!commands_.room()) {
      deferred_ = true;
      break;
    }
    Peer* peer = nullptr;
    for (PendingRoot* root : ready) {
      peer = choose_for(now, *root, used);
      if (peer != nullptr) break;
    }
    if (peer == nullptr) break;
    std::vector<PendingRoot*> batch;
    std::vector<PendingRoot*> data;
    std::vector<PendingRoot*> rest;
    size_t indices = 0;
    for (PendingRoot* root : ready) {
      if (!may_have(*peer, *root)) {
        rest.push_back(root);
      } else if (root->wanted_as == WantedAs::data) {
        indices += cache_.find(root->root)->missing.size();
        const bool fits = data.empty() || (indices <= config_.limits.data_per_request &&
                                           data.size() < config_.limits.data_blocks_per_request);
        (fits ? data : rest).push_back(root);
      } else {
        (batch.size() < config_.limits.roots_per_request ? batch : rest).push_back(root);
      }
    }
    if (!batch.empty()) send_by_root(now, *peer, batch);
    // Blocks and the data of others leave in the same flush, to the same peer if it takes both.
    if (!data.empty() && peers_.available(*peer, now.mono)) {
      send_data(now, *peer, data);
    } else {
      rest.insert(rest.end(), data.begin(), data.end());
    }
    used.push_back(peer->handle);
    ready = std::move(rest);
  }
  return !used.empty();
}

Peer* Chain::choose_for(const Now& now, const PendingRoot& root,
                        const std::vector<PeerHandle>& used) {
  const bool busy = requests_.by_root() + requests_.data() > 0;
  Peer* same = busy ? peers_.find(flush_.last_peer()) : nullptr;
  if (same != nullptr && used.empty() && peers_.available(*same, now.mono) &&
      may_have(*same, root)) {
    return same;
  }
  const Peer* best = nullptr;
  const auto rank = [&](const Peer& peer) {
    return std::tuple(!has(used, peer.handle), peer.score, has(root.claimants, peer.handle),
                      -static_cast<int64_t>(peer.in_flight));
  };
  for (const auto& [index, peer] : peers_.all()) {
    if (!peers_.available(peer, now.mono) || !may_have(peer, root)) continue;
    if (best == nullptr || rank(peer) > rank(*best)) best = &peer;
  }
  return best == nullptr ? nullptr : peers_.find(best->handle);
}

// The entry is made first: an answer cannot come too early.
void Chain::send_by_root(const Now& now, Peer& peer, const std::vector<PendingRoot*>& batch) {
  BL_CHECK(!batch.empty());
  std::vector<Root> roots;
  roots.reserve(batch.size());
  for (const PendingRoot* root : batch) roots.push_back(root->root);
  const Request& request = requests_.add_by_root(peer.handle, roots, now.mono);
  for (PendingRoot* root : batch) pending_.mark_in_flight(*root, request.id);
  ++peer.in_flight;
  ++stats_.requests_by_root;
  stats_.roots_requested += roots.size();
  commands_.push(RequestByRoot{peer.handle, request.id, std::move(roots)});
  flush_.sent(peer.handle);
}

}  // namespace beamline::chain
