#include "chain/request_table.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {
namespace {

std::optional<Conduct> take_by_root(Request& request, const BlockInfo& block) {
  const auto it = std::lower_bound(
      request.owed.begin(), request.owed.end(), block.root,
      [](const Request::Owed& owed, const Root& root) { return owed.root < root; });
  if (it == request.owed.end() || it->root != block.root) return Conduct::unrequested_root;
  if (it->came) return Conduct::duplicate_chunk;
  it->came = true;
  return std::nullopt;
}

std::optional<Conduct> take_by_range(Request& request, const BlockInfo& block) {
  if (request.received >= request.count) return Conduct::too_many_chunks;
  if (block.slot < request.start_slot || block.slot - request.start_slot >= request.count) {
    return Conduct::out_of_range;
  }
  if (request.received > 0) {
    if (block.root == request.last_root) return Conduct::duplicate_chunk;
    if (block.slot <= request.last_slot) return Conduct::out_of_order;
    if (block.parent_root != request.last_root) return Conduct::broken_chain;
  }
  request.last_slot = block.slot;
  request.last_root = block.root;
  return std::nullopt;
}

}  // namespace

std::optional<Conduct> Request::take(const BlockInfo& block) {
  const auto wrong =
      kind == Kind::by_root ? take_by_root(*this, block) : take_by_range(*this, block);
  if (wrong) return wrong;
  ++received;
  bytes += block.signed_bytes.size();
  return std::nullopt;
}

Request& RequestTable::add(Request::Kind kind, PeerHandle peer, MonoTime now) {
  Request request;
  request.id = next_id_++;
  request.kind = kind;
  request.peer = peer;
  request.progress_at = now + limits_.progress_deadline;
  request.total_at = now + limits_.total_deadline;
  return requests_.emplace(request.id, std::move(request)).first->second;
}

namespace {

void owe(Request& request, const std::vector<Root>& roots) {
  request.owed.reserve(roots.size());
  for (const Root& root : roots) request.owed.push_back({root, false});
  std::sort(request.owed.begin(), request.owed.end(),
            [](const Request::Owed& a, const Request::Owed& b) { return a.root < b.root; });
}

}  // namespace

Request& RequestTable::add_by_root(PeerHandle peer, const std::vector<Root>& roots, MonoTime now) {
  Request& request = add(Request::Kind::by_root, peer, now);
  request.batch = static_cast<uint32_t>(roots.size());
  owe(request, roots);
  ++by_root_;
  return request;
}

Request& RequestTable::add_data(PeerHandle peer, const std::vector<Root>& roots, uint32_t batch,
                                MonoTime now) {
  Request& request = add(Request::Kind::data, peer, now);
  request.batch = batch;
  owe(request, roots);
  ++data_;
  return request;
}

Request& RequestTable::add_by_range(PeerHandle peer, Slot start, uint64_t count, MonoTime now) {
  Request& request = add(Request::Kind::by_range, peer, now);
  request.batch = static_cast<uint32_t>(count);
  request.start_slot = start;
  request.count = count;
  return request;
}

Request* RequestTable::find(RequestId id) {
  const auto it = requests_.find(id);
  return it == requests_.end() ? nullptr : &it->second;
}

void Request::settle(const Root& root) {
  for (Owed& one : owed) one.came = one.came || one.root == root;
}

bool Request::all_came() const {
  return std::all_of(owed.begin(), owed.end(), [](const Owed& one) { return one.came; });
}

Request* RequestTable::owing_data(const Root& root) {
  for (auto& [id, request] : requests_) {
    if (request.kind != Request::Kind::data) continue;
    for (const Request::Owed& one : request.owed) {
      if (one.root == root && !one.came) return &request;
    }
  }
  return nullptr;
}

const Request* RequestTable::owing(const Root& root) const {
  for (const auto& [id, request] : requests_) {
    if (request.kind != Request::Kind::by_root) continue;
    const auto it = std::lower_bound(
        request.owed.begin(), request.owed.end(), root,
        [](const Request::Owed& owed, const Root& sought) { return owed.root < sought; });
    if (it != request.owed.end() && it->root == root && !it->came) return &request;
  }
  return nullptr;
}

void RequestTable::progress(Request& request, MonoTime now) {
  request.progress_at = now + limits_.progress_deadline;
}

Request RequestTable::remove(RequestId id) {
  auto node = requests_.extract(id);
  BL_CHECK(!node.empty());
  if (node.mapped().kind == Request::Kind::by_root) --by_root_;
  if (node.mapped().kind == Request::Kind::data) --data_;
  return std::move(node.mapped());
}

const Request* RequestTable::expired(MonoTime now) const {
  for (const auto& [id, request] : requests_) {
    if (request.progress_at <= now || request.total_at <= now) return &request;
  }
  return nullptr;
}

MonoTime RequestTable::next_deadline() const {
  MonoTime next = MonoTime::never();
  for (const auto& [id, request] : requests_) {
    next = std::min({next, request.progress_at, request.total_at});
  }
  return next;
}

std::vector<RequestId> RequestTable::of_peer(PeerHandle peer) const {
  std::vector<RequestId> ids;
  for (const auto& [id, request] : requests_) {
    if (request.peer == peer) ids.push_back(id);
  }
  return ids;
}

}  // namespace beamline::chain
