// The C ABI: what runs on threads beside the core's: the host's verification, and readers of
// snapshots.
#include "node/abi.h"

namespace beamline::node::abi {

namespace {

bl_block named_block(const chain::BlockInfo& block) {
  bl_block given{};
  given.size = sizeof given;
  given.version = BL_VERSION;
  given.root = root_of(block.root);
  given.parent_root = root_of(block.parent_root);
  given.slot = block.slot;
  given.proposer = block.proposer;
  given.signed_block.data = block.signed_bytes.data();
  given.signed_block.size = block.signed_bytes.size();
  return given;
}

// A number that we do not know is a fault of the host's, not of the block.
chain::Verdict verdict_of(uint32_t verdict) {
  if (verdict > BL_VERDICT_TRY_AGAIN) return chain::Verdict::try_again;
  return static_cast<chain::Verdict>(verdict);
}

}  // namespace

chain::Verdict CallbackClient::call(Callback callback, const chain::BlockInfo& block) const {
  const bl_block given = named_block(block);
  return verdict_of(callback(context_, &given));
}

chain::Verdict CallbackClient::verify(const chain::BlockInfo& block, chain::Origin) {
  return call(verify_, block);
}

chain::ImportVerdict CallbackClient::import(const chain::BlockInfo& block, chain::Origin) {
  chain::ImportVerdict result;
  if (import_result_ == nullptr) {
    if (import_ != nullptr) result.verdict = call(import_, block);
    return result;
  }
  bl_import_result given{};
  given.size = sizeof given;
  given.version = BL_VERSION;
  const bl_block named = named_block(block);
  const chain::Verdict verdict = verdict_of(import_result_(context_, &named, &given));
  given.size = sizeof given;
  if (read_import_result(given, result) != nullptr) return {.verdict = chain::Verdict::try_again};
  result.verdict = verdict;
  return result;
}

}  // namespace beamline::node::abi

using namespace beamline;
using namespace beamline::node::abi;

int32_t bl_snapshot_acquire(const bl_core* core, bl_snapshot** snapshot) {
  return guarded([&]() -> int32_t {
    if (core == nullptr || snapshot == nullptr) return BL_INVALID_ARGUMENT;
    auto made = std::make_unique<bl_snapshot>();
    made->ref = core->program.snapshots().acquire();
    if (!made->ref) return BL_EMPTY;
    *snapshot = made.release();
    return BL_OK;
  });
}

void bl_snapshot_release(bl_snapshot* snapshot) { delete snapshot; }

int32_t bl_snapshot_get_summary(const bl_snapshot* snapshot, bl_snapshot_summary* summary) {
  return guarded([&]() -> int32_t {
    if (snapshot == nullptr || !is_writable(summary)) return BL_INVALID_ARGUMENT;
    const chain::Snapshot& from = *snapshot->ref;
    bl_snapshot_summary filled{};
    filled.sequence = from.sequence;
    filled.unix_ns = from.at.wall.ns;
    filled.current_slot = from.current_slot;
    filled.head_root = root_of(from.head.root);
    filled.head_slot = from.head.slot;
    filled.justified_root = root_of(from.justified.root);
    filled.justified_number = from.justified.number;
    filled.finalized_root = root_of(from.finalized.root);
    filled.finalized_number = from.finalized.number;
    filled.tree_blocks = from.tree_blocks;
    filled.tree_nodes = from.tree.size();
    filled.peers = from.peers.size();
    filled.cached_blocks = from.queues.cached_blocks;
    filled.cached_bytes = from.queues.cached_bytes;
    filled.pending_roots = from.queues.pending_roots;
    filled.requests_in_flight = from.queues.requests_by_root + from.queues.requests_by_range;
    filled.imported = from.stats.imported;
    write_struct(filled, summary);
    return BL_OK;
  });
}

int32_t bl_snapshot_get_node(const bl_snapshot* snapshot, uint64_t index, bl_tree_node* node) {
  return guarded([&]() -> int32_t {
    if (snapshot == nullptr || !is_writable(node)) return BL_INVALID_ARGUMENT;
    if (index >= snapshot->ref->tree.size()) return BL_EMPTY;
    const chain::Snapshot::Node& from = snapshot->ref->tree[index];
    bl_tree_node filled{};
    filled.root = root_of(from.root);
    filled.parent_root = root_of(from.parent_root);
    filled.slot = from.slot;
    filled.proposer = from.proposer;
    write_struct(filled, node);
    return BL_OK;
  });
}

int32_t bl_snapshot_get_peer(const bl_snapshot* snapshot, uint64_t index, bl_peer_view* view) {
  return guarded([&]() -> int32_t {
    if (snapshot == nullptr || !is_writable(view)) return BL_INVALID_ARGUMENT;
    if (index >= snapshot->ref->peers.size()) return BL_EMPTY;
    const chain::Snapshot::PeerView& from = snapshot->ref->peers[index];
    bl_peer_view filled{};
    filled.peer = {from.peer.index, from.peer.generation};
    filled.score = from.score;
    filled.requests_in_flight = from.requests_in_flight;
    filled.rewards = from.rewards;
    filled.penalties = from.penalties;
    filled.last_reason = from.last_reason ? chain::name(*from.last_reason) : "";
    filled.has_status = from.has_status ? 1 : 0;
    filled.leaving = from.leaving ? 1 : 0;
    filled.head_root = root_of(from.head.root);
    filled.head_slot = from.head.slot;
    write_struct(filled, view);
    return BL_OK;
  });
}
