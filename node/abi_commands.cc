// The C ABI: commands out.
#include "node/abi.h"

namespace beamline::node::abi {
namespace {

bl_peer peer_of(const chain::PeerHandle& peer) { return {peer.index, peer.generation}; }

// Fills what its command has; the rest is zero.
struct Describe {
  CommandParts& parts;
  bl_command& out;

  void bytes(Bytes bytes) const {
    out.bytes = bytes.data();
    out.bytes_size = bytes.size();
  }
  void operator()(const chain::RequestByRoot& c) const {
    out.kind = BL_COMMAND_REQUEST_BY_ROOT;
    out.peer = peer_of(c.peer);
    out.id = c.request;
    parts.roots.clear();
    for (const Root& root : c.roots) parts.roots.push_back(root_of(root));
    out.roots = parts.roots.data();
    out.count = parts.roots.size();
  }
  void operator()(const chain::RequestByRange& c) const {
    out.kind = BL_COMMAND_REQUEST_BY_RANGE;
    out.peer = peer_of(c.peer);
    out.id = c.request;
    out.slot = c.start_slot;
    out.count = c.count;
  }
  void operator()(const chain::CancelRequest& c) const {
    out.kind = BL_COMMAND_CANCEL_REQUEST;
    out.peer = peer_of(c.peer);
    out.id = c.request;
  }
  void operator()(const chain::RespondChunk& c) const {
    out.kind = BL_COMMAND_RESPOND_CHUNK;
    out.peer = peer_of(c.peer);
    out.id = c.serve;
    out.slot = c.slot;
    bytes(c.signed_bytes);
  }
  void operator()(const chain::RespondEnd& c) const {
    out.kind = BL_COMMAND_RESPOND_END;
    out.peer = peer_of(c.peer);
    out.id = c.serve;
  }
  void operator()(const chain::RespondError& c) const {
    out.kind = BL_COMMAND_RESPOND_ERROR;
    out.peer = peer_of(c.peer);
    out.id = c.serve;
    out.result = static_cast<int32_t>(c.code);
    bytes(as_bytes(c.text));
  }
  void operator()(const chain::GossipVerdict& c) const {
    static_assert(static_cast<int>(chain::GossipResult::reject) == BL_GOSSIP_REJECT);
    out.kind = BL_COMMAND_GOSSIP_VERDICT;
    out.peer = peer_of(c.sender);
    out.id = c.verdict;
    out.result = static_cast<int32_t>(c.result);
    out.reason = chain::name(c.reason);
  }
  void operator()(const chain::PublishBlock& c) const {
    out.kind = BL_COMMAND_PUBLISH;
    out.root = root_of(c.root);
    bytes(c.signed_bytes);
  }
  void operator()(const chain::ReportPeer& c) const {
    out.kind = BL_COMMAND_REPORT_PEER;
    out.peer = peer_of(c.peer);
    out.result = c.score;
    out.reason = chain::name(c.conduct);
  }
  void operator()(const chain::DisconnectPeer& c) const {
    out.kind = BL_COMMAND_DISCONNECT;
    out.peer = peer_of(c.peer);
    out.reason = chain::name(c.reason);
  }
  void block(const chain::BlockInfo& block) const {
    out.root = root_of(block.root);
    out.parent_root = root_of(block.parent_root);
    out.slot = block.slot;
    out.proposer = block.proposer;
    bytes(block.signed_bytes);
  }
  void operator()(const chain::ImportBlock& c) const {
    out.kind = BL_COMMAND_IMPORT;
    out.id = c.import;
    out.reason = chain::name(c.origin);
    block(c.block);
  }
  void operator()(const chain::BlockImported& c) const {
    out.kind = BL_COMMAND_IMPORTED;
    out.peer = peer_of(c.peer);
    out.root = root_of(c.root);
    out.parent_root = root_of(c.parent_root);
    out.slot = c.slot;
    out.count = c.batch;
    out.reason = chain::name(c.origin);
  }
  void operator()(const chain::HeadChanged& c) const {
    out.kind = BL_COMMAND_HEAD_CHANGED;
    out.root = root_of(c.root);
    out.parent_root = root_of(c.previous);
    out.slot = c.slot;
    out.result = c.reorg ? 1 : 0;
  }
  void checkpoint(uint32_t kind, const chain::Checkpoint& checkpoint) const {
    out.kind = kind;
    out.root = root_of(checkpoint.root);
    out.count = checkpoint.number;
  }
  void operator()(const chain::JustifiedChanged& c) const {
    checkpoint(BL_COMMAND_JUSTIFIED_CHANGED, c.checkpoint);
  }
  void operator()(const chain::FinalizedChanged& c) const {
    checkpoint(BL_COMMAND_FINALIZED_CHANGED, c.checkpoint);
  }
  static bl_checkpoint to_c(const chain::Checkpoint& checkpoint) {
    return {checkpoint.number, root_of(checkpoint.root)};
  }
  void operator()(const chain::VerifyVote& c) const {
    out.kind = BL_COMMAND_VERIFY_VOTE;
    out.id = c.id;
    out.slot = c.vote.slot;
    out.root = root_of(c.vote.head_root);
    out.source = to_c(c.vote.source);
    out.target = to_c(c.vote.target);
    out.validators = c.vote.validators.data();
    out.count = c.vote.validators.size();
    out.head_slot = c.vote.head_slot;
    out.aggregate = c.vote.aggregate ? 1 : 0;
    bytes(c.vote.proof);
  }
  void operator()(const chain::JustifiedInvalid& c) const {
    out.kind = BL_COMMAND_JUSTIFIED_INVALID;
    out.root = root_of(c.root);
  }
  void operator()(const chain::RequestData& c) const {
    out.kind = BL_COMMAND_REQUEST_DATA;
    out.peer = peer_of(c.peer);
    out.id = c.request;
    parts.wanted.clear();
    for (const chain::RequestData::Wanted& wanted : c.wanted) {
      parts.wanted.push_back(
          {root_of(wanted.block_root), wanted.indices.data(), wanted.indices.size()});
    }
    out.wanted = parts.wanted.data();
    out.count = parts.wanted.size();
  }
  void operator()(const chain::ImportData& c) const {
    out.kind = BL_COMMAND_IMPORT_DATA;
    out.peer = peer_of(c.peer);
    out.id = c.id;
    out.root = root_of(c.block_root);
    out.count = c.index;
    bytes(c.bytes);
  }
  void operator()(const chain::Command& command) const { std::visit(*this, command); }
  void operator()(const std::unique_ptr<chain::Persist>& persist) const {
    out.kind = BL_COMMAND_PERSIST;
    out.id = persist->id;
    parts.kept = host_records(*persist, parts.store_anchor);
    parts.records.clear();
    for (const HostRecord& record : parts.kept) {
      const bool goes = record.value.empty();
      parts.records.push_back({record.key.data(), record.key.size(),
                               goes ? nullptr : record.value.data(), record.value.size()});
    }
    out.records = parts.records.data();
    out.count = parts.records.size();
  }
  // No event of this interface leads to it: kind 0, which a host skips.
  void operator()(const chain::KeepData&) const {}
};

}  // namespace

void describe(const HostCommand& command, CommandParts& parts, bl_command& out) {
  bl_command filled{};
  filled.reason = "";
  std::visit(Describe{parts, filled}, command);
  write_struct(filled, &out);
}

}  // namespace beamline::node::abi

using namespace beamline::node::abi;

bool bl_core::next(bl_command& out) {
  command = program.ring().pop();
  parts.kept.clear();
  releases.run();
  if (!command) return false;
  describe(*command, parts, out);
  return true;
}

int32_t bl_command_next(bl_core* core, bl_command* command) {
  return guarded([&]() -> int32_t {
    if (core == nullptr || core->on_command != nullptr || !is_writable(command)) {
      return BL_INVALID_ARGUMENT;
    }
    return core->next(*command) ? BL_OK : BL_EMPTY;
  });
}

int32_t bl_command_fd(const bl_core* core) {
  if (core == nullptr || core->on_command != nullptr) return -1;
  return core->program.ring().fd();
}
