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
  const bool again = block.import_retries > 0;
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
  // What came was no good: not from there again, as long as there is somebody else.
  if (again) pending->tried.push_back(block.data_from);
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
  block->data_from = event.peer;
  ++request->received;
  request->bytes += event.bytes.size();
  ++stats_.data_received;
  commands_.push(ImportData{event.peer, event.block_root, event.index, std::move(event.bytes)});
  if (!missing.empty()) return;
  request->settle(event.block_root);
  data_arrived(*block);
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
