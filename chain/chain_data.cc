// Blobs and columns: a block whose data is missing waits with that reason, and what it lacks leaves
// with the same flush as the roots of blocks.
#include <algorithm>

#include "base/check.h"
#include "chain/chain.h"

namespace beamline::chain {

void Chain::want_data(const Now& now, CachedBlock& block, std::vector<uint64_t>&& missing) {
  const bool rising = std::is_sorted(missing.begin(), missing.end()) &&
                      std::adjacent_find(missing.begin(), missing.end()) == missing.end();
  PendingParents::Want want;
  want.root = block.block.root;
  want.wanted_as = WantedAs::data;
  want.signal_slot = want.top_slot = block.block.slot;
  if (block.origin != Origin::own) want.claimant = block.sender;
  const bool fits = rising && missing.size() <= config_.limits.data_per_block;
  PendingRoot* pending = nullptr;
  if (fits && block.import_retries < config_.limits.import_retries) {
    pending = pending_.want(want, now.mono);
  }
  if (pending == nullptr) {
    // The client looks for it by itself.
    ++(fits ? stats_.pending_refused : stats_.data_refused);
    delay_import(now, block);
    return;
  }
  for (const uint64_t index : missing) {
    const auto from = block.data_from.find(index);
    if (from != block.data_from.end()) refuse_data_of(block.block.root, from->second);
  }
  for (const PeerHandle peer : block.data_refused) {
    if (!has(pending->tried, peer)) pending->tried.push_back(peer);
  }
  ++block.import_retries;
  ++stats_.blocks_without_data;
  // The block itself is well signed and on its branch: the mesh need not wait for its data.
  settle_verdict(block, GossipReason::verified);
  block.missing = std::move(missing);
  cache_.set_state(block, State::data);
}

void Chain::send_data(const Now& now, Peer& peer, const std::vector<PendingRoot*>& batch) {
  RequestData command;
  std::vector<Root> roots;
  uint32_t indices = 0;
  for (const PendingRoot* root : batch) {
    const CachedBlock& block = *cache_.find(root->root);
    command.wanted.push_back({root->root, block.missing});
    roots.push_back(root->root);
    indices += static_cast<uint32_t>(block.missing.size());
  }
  const Request& request = requests_.add_data(peer.handle, roots, indices, now.mono);
  for (PendingRoot* root : batch) pending_.mark_in_flight(*root, request.id);
  ++peer.in_flight;
  ++stats_.requests_data;
  stats_.data_requested += indices;
  command.peer = peer.handle;
  command.request = request.id;
  commands_.push(std::move(command));
  flush_.sent(peer.handle);
}

void Chain::on(const Now& now, SidecarReceived&& event) {
  Request* request = live_request(event.peer, event.request);
  if (request == nullptr) {
    ++stats_.late_chunks;
    return;
  }
  requests_.progress(*request, now.mono);
  const auto& owed = request->owed;
  const bool asked =
      request->kind == Request::Kind::data && event.bytes.size() <= config_.limits.data_bytes &&
      std::any_of(owed.begin(), owed.end(),
                  [&](const Request::Owed& one) { return one.root == event.block_root; });
  if (!asked) {
    abort_request(now, event.request, {std::nullopt, Conduct::unrequested_root});
    return;
  }
  CachedBlock* block = cache_.find(event.block_root);
  if (block == nullptr || block->state != State::data) return;  // it came in another way
  auto& missing = block->missing;
  const auto it = std::lower_bound(missing.begin(), missing.end(), event.index);
  if (it == missing.end() || *it != event.index) {
    abort_request(now, event.request, {std::nullopt, Conduct::duplicate_chunk});
    return;
  }
  missing.erase(it);
  block->data_from[event.index] = event.peer;
  ++request->received;
  request->bytes += event.bytes.size();
  ++stats_.data_received;
  const DataId id = next_data_++;
  const uint64_t size = event.bytes.size();
  verifying_data_.emplace(id, HeldData{event.peer, event.block_root, event.index, size});
  verifying_data_bytes_ += size;
  commands_.push(ImportData{id, event.peer, event.block_root, event.index, std::move(event.bytes)});
  if (!missing.empty()) return;
  request->settle(event.block_root);
  data_arrived(*block);
}

// The sidecar's sender answers for it, whoever sent the block.
void Chain::on(const Now&, DataVerdict&& event) {
  const auto it = verifying_data_.find(event.id);
  if (it == verifying_data_.end()) {
    ++stats_.stale_events;
    return;
  }
  const HeldData held = it->second;
  verifying_data_bytes_ -= held.bytes;
  verifying_data_.erase(it);
  if (event.verdict == Verdict::valid) {
    ++stats_.data_verified;
    if (event.bytes.empty()) return;
    commands_.push(KeepData{held.block_root, held.index, std::move(event.bytes)});
    return;
  }
  const bool invalid =
      event.verdict == Verdict::invalid_bytes || event.verdict == Verdict::invalid_block;
  if (invalid) {
    ++stats_.data_invalid;
    charge(held.sender, Conduct::invalid_data);
  }
  CachedBlock* block = cache_.find(held.block_root);
  if (block == nullptr) return;
  if (invalid) refuse_data_of(held.block_root, held.sender);
  if (block->state != State::data) return;
  // Another copy may have come meanwhile: its verdict decides.
  const bool again = std::any_of(verifying_data_.begin(), verifying_data_.end(), [&](auto& other) {
    return other.second.block_root == held.block_root && other.second.index == held.index;
  });
  if (!again) want_again(*block, held.index, held.sender);
}

// What is missing of it is still being asked for; else the client says so when it is asked for the
// block again.
void Chain::want_again(CachedBlock& block, uint64_t index, PeerHandle from) {
  const auto it = std::lower_bound(block.missing.begin(), block.missing.end(), index);
  if (it != block.missing.end() && *it == index) return;
  if (block.missing.size() >= config_.limits.data_per_block) return;
  block.missing.insert(it, index);
  ++stats_.data_asked_again;
  PendingRoot& pending = *pending_.find(block.block.root);
  if (has(block.data_refused, from) && !has(pending.tried, from)) pending.tried.push_back(from);
}

// Not from there again, as long as there is somebody else.
void Chain::refuse_data_of(const Root& block_root, PeerHandle peer) {
  std::vector<PeerHandle>& refused = cache_.find(block_root)->data_refused;
  if (!has(refused, peer)) refused.push_back(peer);
}

bool Chain::may_ask_for_data() {
  const Limits& limits = config_.limits;
  const bool may = verifying_data_.size() < limits.data_in_verification &&
                   verifying_data_bytes_ < limits.data_bytes_in_verification;
  if (!may) ++stats_.data_postponed;
  return may;
}

void Chain::on(const Now& now, DataAvailable&& event) {
  CachedBlock* block = cache_.find(event.block_root);
  if (block == nullptr || block->state != State::data) return;
  data_arrived(*block);
  // What is on its way comes too late. If the client finds that something is missing still, that is
  // not asked for twice at once.
  Request* request = requests_.owing_data(event.block_root);
  if (request == nullptr) return;
  request->settle(event.block_root);
  if (request->all_came()) abort_request(now, request->id, {});
}

// The client is asked again, and may find that something is missing still.
void Chain::data_arrived(CachedBlock& block) {
  pending_.erase(block.block.root);
  block.missing.clear();
  cache_.set_state(block, State::ready);
}

}  // namespace beamline::chain
