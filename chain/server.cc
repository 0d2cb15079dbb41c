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
    Serve serve;
    serve.roots = std::move(request.roots);
    start(peer, request.serve, std::move(serve));
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
  const Slot oldest = disk_oldest_ ? std::min(*disk_oldest_, tree_.floor()) : tree_.floor();
  if (request.start_slot < oldest) {
    refuse(peer.handle, request.serve, ResponseCode::resource_unavailable,
           "older than what is kept");
    return true;
  }
  Serve serve;
  serve.in_order = serve.linked = true;
  serve.roots = tree_.canonical_range(request.start_slot, request.count, limits_.serve_blocks);
  if (disk_oldest_) {
    const Slot end = request.start_slot + std::min(request.count, UINT64_MAX - request.start_slot);
    serve.disk_from = request.start_slot;
    serve.disk_end = std::min(end, tree_.canonical_floor());
  }
  start(peer, request.serve, std::move(serve));
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
  Serve serve;
  serve.in_order = true;
  serve.roots = tree_.ancestry(request.root, most);
  if (disk_oldest_) {
    serve.below = serve.roots.empty() ? request.root : tree_.find(serve.roots.back())->parent_root;
    serve.below_left = serve.below.is_zero() ? 0 : most - serve.roots.size();
  }
  start(peer, request.serve, std::move(serve));
  return true;
}

void Server::start(Peer& peer, ServeId id, Serve serve) {
  ++stats_.served_requests;
  ++peer.serves;
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

// What is spent beyond the last token is a debt: the next one waits for it.
bool Server::take_tokens(Peer& peer, uint32_t tokens, MonoTime now) {
  const MonoTime when = std::max(peer.serve_bucket.holds_at(1, now), bucket_.holds_at(1, now));
  if (when > now) {
    ++stats_.serves_throttled;
    deadline_ = std::min(deadline_, when);
    return false;
  }
  peer.serve_bucket.charge(tokens, now);
  bucket_.charge(tokens, now);
  return true;
}

bool Server::step(const Key& key, Serve& serve, MonoTime now) {
  if (serve.reading != 0) return false;
  if (!serve.ready.empty()) return step_ready(key, serve);
  if (!serve.cut && serve.disk_from < serve.disk_end) return step_disk(key, serve, now);
  while (!serve.cut && serve.next < serve.roots.size()) {
    const auto stored = store_.get(serve.roots[serve.next]);
    if (stored) return step_memory(key, serve, *stored, now);
    if (disk_oldest_) return step_disk(key, serve, now);
    if (!may_miss(serve, serve.next)) break;
    ++serve.next;
  }
  const bool goes_below = serve.next == serve.roots.size() && serve.below_left > 0;
  if (!serve.cut && goes_below) return step_disk(key, serve, now);
  end(key);
  return false;
}

// By root, what is not here is left out. In an answer in order only the first block may be missing:
// an anchor of which only the root is known.
bool Server::may_miss(const Serve& serve, size_t place) const {
  return !serve.in_order || (place == 0 && serve.last.is_zero());
}

// Does it go on where the answer is?
bool Server::follows(const Serve& serve, const Root& parent) const {
  return !serve.linked || serve.last.is_zero() || serve.last == parent;
}

bool Server::step_memory(const Key& key, Serve& serve, const BlockStore::Stored& stored,
                         MonoTime now) {
  const Root root = serve.roots[serve.next];
  const BlockTree::Node* node = tree_.find(root);
  if (node != nullptr && !follows(serve, node->parent_root)) {
    ++stats_.serves_broken;
    end(key);
    return false;
  }
  if (is_over(serve, stored.signed_bytes.size())) {
    end(key);
    return false;
  }
  if (serve.room == 0 || !take_tokens(*peers_.find(key.first), 1, now)) return false;
  ++serve.next;
  serve.last = root;
  send(key, serve, stored.slot, stored.signed_bytes);
  return true;
}

// Read and paid for.
bool Server::step_ready(const Key& key, Serve& serve) {
  const ReadBlock& block = serve.ready.front();
  if (is_over(serve, block.signed_bytes.size())) {
    end(key);
    return false;
  }
  if (serve.room == 0) return false;
  ++stats_.served_from_disk;
  send(key, serve, block.slot, block.signed_bytes);
  serve.ready.pop_front();
  return true;
}

bool Server::is_over(const Serve& serve, size_t size) {
  if (serve.sent == 0 || serve.bytes + size <= limits_.serve_bytes) return false;
  ++stats_.serves_cut;
  return true;
}

void Server::send(const Key& key, Serve& serve, Slot slot, const SharedBytes& bytes) {
  --serve.room;
  ++serve.sent;
  serve.bytes += bytes.size();
  ++stats_.served_chunks;
  stats_.served_bytes += bytes.size();
  commands_.push(RespondChunk{key.first, key.second, slot, bytes});
}

// ---- From the disk.

bool Server::step_disk(const Key& key, Serve& serve, MonoTime now) {
  if (serve.room == 0) return false;
  if (reading_.size() >= limits_.reads_in_flight) {
    ++stats_.reads_waited;
    return false;
  }
  ReadBlocks read;
  read.max_blocks = std::min(serve.room, limits_.read_blocks);
  read.max_bytes = limits_.read_bytes;
  if (serve.disk_from < serve.disk_end) {
    read.from = serve.disk_from;
    read.end = serve.disk_end;
  } else if (serve.next == serve.roots.size()) {
    read.roots = {serve.below};
    read.ancestry = true;
    read.max_blocks = static_cast<uint32_t>(std::min<uint64_t>(read.max_blocks, serve.below_left));
  } else {
    for (size_t i = serve.next; i < serve.roots.size() && read.roots.size() < read.max_blocks;
         ++i) {
      if (store_.get(serve.roots[i])) break;
      read.roots.push_back(serve.roots[i]);
    }
  }
  // Of a range, and of ancestors, the rest is paid for when it is known how many there are.
  const auto tokens = static_cast<uint32_t>(std::max<size_t>(read.roots.size(), 1));
  if (!take_tokens(*peers_.find(key.first), tokens, now)) return false;
  read.id = serve.reading = next_read_++;
  reading_.emplace(read.id, key);
  ++stats_.reads;
  reads_.push_back(std::move(read));
  return false;
}

bool Server::on_read(BlocksRead&& read, MonoTime now) {
  const auto wanted = reading_.find(read.id);
  if (wanted == reading_.end()) return false;
  const Key key = wanted->second;
  reading_.erase(wanted);
  const auto it = serves_.find(key);
  if (it == serves_.end() || it->second.reading != read.id) return true;  // it went meanwhile
  Serve& serve = it->second;
  serve.reading = 0;
  if (read.error) {
    ++stats_.reads_failed;
    refuse(key.first, key.second, ResponseCode::server_error, "the store cannot be read");
    cancel(key.first, key.second);
    return true;
  }
  const bool of_range = serve.disk_from < serve.disk_end;
  if (!of_range && serve.next < serve.roots.size()) {
    keep_roots(serve, std::move(read));
    return true;
  }
  const auto more = static_cast<int64_t>(std::max<size_t>(read.blocks.size(), 1) - 1);
  peers_.find(key.first)->serve_bucket.charge(more, now);
  bucket_.charge(more, now);
  if (of_range) {
    serve.cut = read.next <= serve.disk_from;
    serve.disk_from = read.next;
    for (ReadBlock& block : read.blocks) keep(serve, std::move(block));
  } else {
    keep_below(serve, std::move(read));
  }
  return true;
}

void Server::keep_below(Serve& serve, BlocksRead&& read) {
  serve.cut = read.blocks.empty();
  for (ReadBlock& block : read.blocks) {
    if (block.root != serve.below || serve.below_left == 0) {
      ++stats_.serves_broken;
      serve.cut = true;
      return;
    }
    serve.below = block.parent_root;
    --serve.below_left;
    serve.last = block.root;
    serve.ready.push_back(std::move(block));
  }
  if (serve.below.is_zero()) serve.below_left = 0;
}

void Server::keep(Serve& serve, ReadBlock&& block) {
  if (serve.cut) return;
  if (!follows(serve, block.parent_root)) {
    ++stats_.serves_broken;
    serve.cut = true;
    return;
  }
  serve.last = block.root;
  serve.ready.push_back(std::move(block));
}

void Server::keep_roots(Serve& serve, BlocksRead&& read) {
  auto block = read.blocks.begin();
  const size_t end = std::min(serve.next + read.looked, serve.roots.size());
  serve.cut = serve.next == end;
  for (; serve.next < end && !serve.cut; ++serve.next) {
    const bool here = block != read.blocks.end() && block->root == serve.roots[serve.next];
    if (here) {
      keep(serve, std::move(*block++));
    } else if (!may_miss(serve, serve.next)) {
      serve.cut = true;
    }
  }
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
