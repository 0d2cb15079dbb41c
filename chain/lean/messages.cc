#include "chain/lean/messages.h"

#include "chain/lean/rejection.h"

namespace beamline::chain::lean {
namespace {

// The part of a message that a view shows.
SharedBytes part_of(const SharedBytes& whole, const ssz::View& part) {
  const auto offset = static_cast<size_t>(part.bytes().data() - whole.data());
  return whole.slice(offset, part.bytes().size());
}

Checkpoint checkpoint_of(const ssz::View& view) {
  return {.number = view.field(1).as_uint(), .root = view.field(0).as_hash()};
}

chain::Vote vote_of(const ssz::View& data) {
  chain::Vote vote;
  vote.slot = data.field(0).as_uint();
  const Checkpoint head = checkpoint_of(data.field(1));
  vote.head_root = head.root;
  vote.head_slot = head.number;
  vote.target = checkpoint_of(data.field(2));
  vote.source = checkpoint_of(data.field(3));
  return vote;
}

}  // namespace

Result<BlockInfo> MessageDecoder::block(const SharedBytes& bytes) {
  const Result<ssz::View> view = types_.parse(types_.signed_block(), bytes);
  if (!view) return std::unexpected(view.error());
  const ssz::View block = view->field(0);
  BlockInfo info;
  info.slot = block.field(0).as_uint();
  info.proposer = block.field(1).as_uint();
  info.parent_root = block.field(2).as_hash();
  info.root = hasher_.hash_tree_root(block);
  info.signed_bytes = bytes;
  return info;
}

Result<chain::Vote> MessageDecoder::attestation(const SharedBytes& bytes) const {
  const Result<ssz::View> view = types_.parse(types_.signed_attestation(), bytes);
  if (!view) return std::unexpected(view.error());
  chain::Vote vote = vote_of(view->field(1));
  vote.validators = {view->field(0).as_uint()};
  vote.proof = part_of(bytes, view->field(2));
  return vote;
}

Result<chain::Vote> MessageDecoder::aggregate(const SharedBytes& bytes) const {
  const Result<ssz::View> view = types_.parse(types_.signed_aggregated_attestation(), bytes);
  if (!view) return std::unexpected(view.error());
  chain::Vote vote = vote_of(view->field(0));
  const ssz::View participants = view->field(1).field(0);
  for (size_t i = 0; i < participants.size(); ++i) {
    if (participants.bit(i)) vote.validators.push_back(i);
  }
  if (vote.validators.empty()) return reject(Rejection::empty_aggregation_bits);
  vote.aggregate = true;
  vote.proof = part_of(bytes, view->field(1).field(1));
  return vote;
}

}  // namespace beamline::chain::lean
