#include "codec/genesis_state.h"

#include <fstream>
#include <iterator>

#include "codec/hex.h"

namespace beamline {
namespace {

std::string lodestar_state() {
  std::ifstream file(BEAMLINE_SOURCE_DIR "/tests/vectors/genesis_minimal.ssz", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The root is what the same node answered at /eth/v1/beacon/headers/genesis.
TEST(GenesisState, BlockRootIsWhatLodestarSays) {
  const BeaconTypes types(Preset::minimal());
  const std::string state = lodestar_state();
  const auto root = genesis_block_root(types, as_bytes(state));
  ASSERT_TRUE(root) << to_string(root.error());
  EXPECT_EQ(to_hex0x(*root), "0x6ca58772bd0007b93c6e3ab751bd00f3a6348adb7d65b93c78c264e3d73c7cbe");
}

TEST(GenesisState, DamageIsATypedError) {
  const BeaconTypes types(Preset::minimal());
  const std::string state = lodestar_state();
  for (size_t size = 0; size < state.size(); size += 97) {
    EXPECT_FALSE(genesis_block_root(types, as_bytes(state).first(size))) << size;
  }
  std::string later = state;
  later[40] = 1;  // the slot
  const auto root = genesis_block_root(types, as_bytes(later));
  ASSERT_FALSE(root);
  EXPECT_EQ(root.error().code, Code::mismatch);
  EXPECT_STREQ(root.error().field, "slot");
  const BeaconTypes mainnet(Preset::mainnet());
  EXPECT_FALSE(genesis_block_root(mainnet, as_bytes(state)));
}

}  // namespace
}  // namespace beamline
