#include "codec/beacon_block.h"

#include "codec/hex.h"
#include "crypto/sha256.h"

namespace beamline {
namespace {

Hash256 hash_of(std::string_view text) { return sha256(as_bytes(text)); }

TEST(BeaconBlock, EmptyBlockIsReadBackThroughItsView) {
  EmptyBlock block{.slot = 77,
                   .proposer_index = 5,
                   .parent_root = hash_of("parent"),
                   .state_root = hash_of("state"),
                   .graffiti = hash_of("graffiti")};
  block.signature[95] = 9;
  const std::vector<uint8_t> bytes = encode_empty_block(block);
  for (const Preset* preset : {&Preset::mainnet(), &Preset::minimal()}) {
    const BeaconTypes types(*preset);
    const auto view = SignedBlockView::parse(types, Fork::phase0, bytes);
    ASSERT_TRUE(view) << to_string(view.error());
    EXPECT_EQ(view->slot(), 77u);
    EXPECT_EQ(view->proposer_index(), 5u);
    EXPECT_EQ(view->parent_root(), block.parent_root);
    EXPECT_EQ(view->state_root(), block.state_root);
    EXPECT_EQ(view->signature(), block.signature);
    EXPECT_EQ(view->body().field(2).as_hash(), block.graffiti);
    EXPECT_EQ(*SignedBlockView::peek_slot(bytes), 77u);
  }
}

TEST(BeaconBlock, RootFollowsEveryFieldButNotTheSignature) {
  const BeaconTypes types(Preset::minimal());
  ssz::Hasher hasher;
  const auto root = [&](const EmptyBlock& block) {
    const std::vector<uint8_t> bytes = encode_empty_block(block);
    return SignedBlockView::trust(types, Fork::phase0, bytes).block_root(hasher);
  };
  const EmptyBlock base;
  EmptyBlock other = base;
  other.signature[0] = 1;
  EXPECT_EQ(root(other), root(base));
  other = base, other.slot = 1;
  EXPECT_NE(root(other), root(base));
  other = base, other.proposer_index = 1;
  EXPECT_NE(root(other), root(base));
  other = base, other.graffiti.bytes[0] = 1;
  EXPECT_NE(root(other), root(base));
}

TEST(BeaconBlock, PeekSlotRefusesWhatIsNoBlock) {
  EXPECT_EQ(SignedBlockView::peek_slot({}).error().code, Code::truncated);
  std::vector<uint8_t> bytes = encode_empty_block({});
  EXPECT_EQ(SignedBlockView::peek_slot(Bytes(bytes).first(107)).error().code, Code::truncated);
  bytes[0] = 101;
  EXPECT_EQ(SignedBlockView::peek_slot(bytes).error().code, Code::bad_offset);
}

TEST(BeaconBlock, ForksAfterTheLastAreUnsupported) {
  const BeaconTypes types(Preset::mainnet());
  const auto unknown = static_cast<Fork>(static_cast<int>(kLastFork) + 1);
  EXPECT_EQ(SignedBlockView::parse(types, unknown, encode_empty_block({})).error().code,
            Code::unsupported);
  EXPECT_EQ(types.find("BeaconBlock", unknown), nullptr);
  EXPECT_EQ(types.find("BlobSidecar", Fork::capella), nullptr);
  EXPECT_EQ(types.find("BlobSidecar", Fork::fulu), &types.blob_sidecar());
  // A block of one fork is none of another.
  EXPECT_FALSE(SignedBlockView::parse(types, Fork::fulu, encode_empty_block({})));
}

TEST(BeaconBlock, ListsOverThePresetsLimitAreRefusedByName) {
  // 17 voluntary exits where 16 are allowed.
  std::vector<uint8_t> bytes = encode_empty_block({});
  bytes.resize(bytes.size() + 17 * 112);
  const BeaconTypes types(Preset::mainnet());
  const auto view = SignedBlockView::parse(types, Fork::phase0, bytes);
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().code, Code::too_long);
  EXPECT_STREQ(view.error().field, "voluntary_exits");
  bytes.resize(bytes.size() - 112);
  EXPECT_TRUE(SignedBlockView::parse(types, Fork::phase0, bytes));
}

TEST(Preset, ByName) {
  EXPECT_EQ(Preset::find("mainnet")->slots_per_epoch, 32u);
  EXPECT_EQ(Preset::find("minimal")->slots_per_epoch, 8u);
  EXPECT_EQ(Preset::find("gnosis"), nullptr);
  EXPECT_EQ(epoch_of(Preset::minimal(), 17), 2u);
}

}  // namespace
}  // namespace beamline
