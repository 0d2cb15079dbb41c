#include "node/block_decoder.h"

#include "base/check.h"
#include "codec/lean_topic.h"
#include "codec/snappy.h"
#include "codec/snappy_frame.h"
#include "codec/topic.h"
#include "codec/uvarint.h"

namespace beamline::node {
namespace {

Result<SharedBytes> unpack_frames(Bytes bytes) {
  const auto size = take_uvarint(bytes, "payload.length");
  if (!size) return std::unexpected(size.error());
  if (*size > kMaxBlockSize) return bad_input(Code::too_long, "payload.length");
  // Before memory is taken: frames of these bytes cannot hold more.
  if (*size / 64 > bytes.size()) return bad_input(Code::truncated, "snappy_frame");
  Status failed;
  size_t used = 0;
  bool done = false;
  SharedBytes ssz = SharedBytes::build(*size, [&](MutableBytes out) {
    SnappyFrameDecoder frames;
    frames.start(out);
    const auto taken = frames.feed(bytes);
    if (!taken) {
      failed = std::unexpected(taken.error());
      return;
    }
    used = *taken;
    done = frames.done();
  });
  if (!failed) return std::unexpected(failed.error());
  if (!done) return bad_input(Code::truncated, "snappy_frame", used);
  if (used < bytes.size()) return bad_input(Code::trailing, "snappy_frame", used);
  return ssz;
}

}  // namespace

Result<SharedBytes> unpack(Encoding encoding, Bytes bytes) {
  switch (encoding) {
    case Encoding::ssz:
      if (bytes.size() > kMaxBlockSize) return bad_input(Code::too_long, "payload");
      return SharedBytes::copy(bytes);
    case Encoding::snappy:
      return snappy_uncompress(bytes, kMaxBlockSize);
    case Encoding::snappy_frames:
      return unpack_frames(bytes);
  }
  return local_error(Code::unsupported, "encoding");
}

BlockFormat::BlockFormat(const Preset& preset, std::vector<ForkEpoch> forks)
    : beacon_(std::make_unique<BeaconTypes>(preset)), forks_(std::move(forks)) {
  if (forks_.empty()) forks_.emplace_back();
  BL_CHECK(forks_.front().epoch == 0);
}

BlockFormat::BlockFormat(const LeanPreset& preset) : lean_(std::make_unique<LeanTypes>(preset)) {}

Fork BlockFormat::fork_at(Slot slot) const {
  const Epoch epoch = epoch_of(beacon_->preset(), slot);
  Fork fork = forks_.front().fork;
  for (const ForkEpoch& next : forks_) {
    if (next.epoch <= epoch) fork = next.fork;
  }
  return fork;
}

Result<chain::BlockInfo> BlockFormat::decode(SharedBytes ssz, ssz::Hasher& hasher) const {
  chain::BlockInfo info;
  if (lean()) {
    const auto view = lean_->parse(lean_->signed_block(), ssz);
    if (!view) return std::unexpected(view.error());
    const ssz::View block = view->field(0);
    info.slot = block.field(0).as_uint();
    info.proposer = block.field(1).as_uint();
    info.parent_root = block.field(2).as_hash();
    info.root = hasher.hash_tree_root(block);
  } else {
    const auto slot = SignedBlockView::peek_slot(ssz);
    if (!slot) return std::unexpected(slot.error());
    const auto view = SignedBlockView::parse(*beacon_, fork_at(*slot), ssz);
    if (!view) return std::unexpected(view.error());
    info.slot = view->slot();
    info.proposer = view->proposer_index();
    info.parent_root = view->parent_root();
    info.root = view->block_root(hasher);
  }
  info.signed_bytes = std::move(ssz);
  return info;
}

Status BlockFormat::takes_topic(std::string_view text) const {
  bool block = false;
  if (lean()) {
    const auto topic = LeanTopic::parse(text);
    if (!topic)
      return local_error(topic.error().code, "topic", static_cast<int>(topic.error().offset));
    block = topic->kind == LeanTopicKind::block;
  } else {
    const auto topic = Topic::parse(text);
    if (!topic)
      return local_error(topic.error().code, "topic", static_cast<int>(topic.error().offset));
    block = topic->kind == TopicKind::beacon_block;
  }
  if (!block) return local_error(Code::unsupported, "topic");
  return {};
}

}  // namespace beamline::node
