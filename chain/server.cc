#include "chain/server.h"

#include <algorithm>

namespace beamline::chain {

Server::Server(const Limits& limits, const BlockTree& tree, const BlockStore& store,
               PeerTable& peers, CommandQueue& commands, Stats& stats)
    : limits_(limits),
      tree_(tree),
      store_(store),
      peers_(peers),
      commands_(commands),
      stats_(stats),
      bucket_({.per_second = limits.serve_rate_all, .burst = limits.serve_burst_all}) {}

void Server::refuse(PeerHandle peer, ServeId serve, ResponseCode code, std::string_view text) {
  commands_.push(RespondError{peer, serve, code, text});
}

bool Server::admit(Peer& peer, ServeId serve) {
  const bool room = peer.serves < limits_.serves_per_peer && serves_.size() < limits_.serves &&
                    !serves_.contains({peer.handle, serve});
  if (room) return true;
  ++stats_.serves_refused;
  refuse(peer.handle, serve, ResponseCode::resource_unavailable, "too many requests at once");
  return false;
}

bool Server::ask(Peer& peer, IncomingByRoot request) {
  if (request.roots.empty() || request.roots.size() > limits_.serve_blocks) {
    ++stats_.serves_invalid;
    refuse(peer.handle, request.serve, ResponseCode::invalid_request, "number of roots");
    return false;
  }
  if (admit(peer, request.serve)) {
    start(peer, request.serve, std::move(request.roots), false);
  }
  return true;
}

bool Server::ask(Peer& peer, const IncomingByRange& request) {
  if (request.count == 0 || request.count > limits_.serve_blocks) {
    ++stats_.serves_invalid;
    refuse(peer.handle, request.serve, ResponseCode::invalid_request, "number of slots");
    return false;
  }
  if (!admit(peer, request.serve)) return true;
  if (request.start_slot < tree_.floor()) {
    refuse(peer.handle, request.serve, ResponseCode::resource_unavailable,
           "older than what is kept");
    return true;
  }
  std::vector<Root> roots =
      tree_.canonical_range(request.start_slot, request.count, limits_.serve_blocks);
  // The anchor itself may be known by its root alone.
  if (!roots.empty() && !store_.get(roots.front())) roots.erase(roots.begin());
  start(peer, request.serve, std::move(roots), true);
  return true;
}

bool Server::ask(Peer& peer, const IncomingByHead& request) {
  if (request.count == 0) {
    ++stats_.serves_invalid;
    refuse(peer.handle, request.serve, ResponseCode::invalid_request, "number of blocks");
    return false;
  }
  if (!admit(peer, request.serve)) return true;
  // The spec cuts a count that is too large.
  const uint64_t most = std::min<uint64_t>(request.count, limits_.serve_by_head);
  std::vector<Root> roots = tree_.ancestry(request.root, most);
  // The anchor itself may be known by its root alone.
  if (!roots.empty() && !store_.get(roots.back())) roots.pop_back();
  start(peer, request.serve, std::move(roots), true);
  return true;
}

void Server::start(Peer& peer, ServeId id, std::vector<Root> roots, bool in_order) {
  ++stats_.served_requests;
  ++peer.serves;
  Serve serve;
  serve.roots = std::move(roots);
  serve.in_order = in_order;
  serve.room = limits_.serve_window;
  serves_.emplace(Key{peer.handle, id}, std::move(serve));
}

void Server::written(const ResponseWritten& event) {
  const auto it = serves_.find({event.peer, event.serve});
  if (it == serves_.end()) return;
  Serve& serve = it->second;
  serve.room =
      std::min(limits_.serve_window, serve.room + std::min(event.chunks, limits_.serve_window));
}

void Server::cancel(PeerHandle peer, ServeId serve) {
  if (serves_.erase({peer, serve}) == 0) return;
  if (Peer* found = peers_.find(peer)) --found->serves;
}

void Server::peer_down(PeerHandle peer) {
  auto it = serves_.lower_bound({peer, 0});
  while (it != serves_.end() && it->first.first == peer) it = serves_.erase(it);
}

void Server::end(const Key& key) {
  commands_.push(RespondEnd{key.first, key.second});
  cancel(key.first, key.second);
}

bool Server::take_token(Peer& peer, MonoTime now) {
  const MonoTime when = std::max(peer.serve_bucket.holds_at(1, now), bucket_.holds_at(1, now));
  if (when > now) {
    deadline_ = std::min(deadline_, when);
    return false;
  }
  peer.serve_bucket.charge(1, now);
  bucket_.charge(1, now);
  return true;
}

bool Server::step(const Key& key, Serve& serve, MonoTime now) {
  std::optional<BlockStore::Stored> stored;
  size_t next = serve.next;
  for (; next < serve.roots.size() && !stored; ++next) {
    stored = store_.get(serve.roots[next]);
    if (!stored && serve.in_order) break;
  }
  const bool cut =
      stored && serve.sent > 0 && serve.bytes + stored->signed_bytes.size() > limits_.serve_bytes;
  if (!stored || cut) {
    if (cut) ++stats_.serves_cut;
    end(key);
    return false;
  }
  if (serve.room == 0) return false;
  if (!take_token(*peers_.find(key.first), now)) {
    ++stats_.serves_throttled;
    return false;
  }
  serve.next = next;
  --serve.room;
  ++serve.sent;
  serve.bytes += stored->signed_bytes.size();
  ++stats_.served_chunks;
  stats_.served_bytes += stored->signed_bytes.size();
  commands_.push(RespondChunk{key.first, key.second, stored->slot, stored->signed_bytes});
  return true;
}

void Server::pump(MonoTime now) {
  deadline_ = MonoTime::never();
  if (serves_.empty()) return;
  std::vector<Key> turn;  // those that may have more to send, from the one after the last served
  turn.reserve(serves_.size());
  for (auto it = serves_.upper_bound(last_); it != serves_.end(); ++it) turn.push_back(it->first);
  for (auto it = serves_.begin(); it != serves_.end() && !(last_ < it->first); ++it) {
    turn.push_back(it->first);
  }
  uint32_t budget = limits_.serve_per_turn;
  while (!turn.empty()) {
    std::vector<Key> more;
    for (const Key& key : turn) {
      if (budget == 0 || !commands_.room()) {
        deadline_ = now;
        return;
      }
      const auto it = serves_.find(key);
      --budget;
      last_ = key;
      if (step(key, it->second, now)) more.push_back(key);
    }
    turn = std::move(more);
  }
}

}  // namespace beamline::chain
