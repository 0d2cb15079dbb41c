// The rules on the 600 headers that geth wrote (go-ethereum's devp2p test data).
#include <fstream>

#include "codec/hex.h"
#include "crypto/keccak.h"
#include "tests/chain/headers/headers.h"
#include "tests/vectors/family.h"

namespace beamline::chain {
namespace {

// forkenv.json: London and the merge at 0, Shanghai at 0, Cancun at 60, Prague at 120.
HeaderForks geth_forks() {
  HeaderForks forks;
  forks.london_block = 0;
  forks.merge_block = 1;  // its genesis has a difficulty
  forks.shanghai_time = 0;
  forks.cancun_time = 60;
  forks.prague_time = 120;
  forks.blobs = {{60, 3, 6, 3'338'477, false}, {120, 6, 9, 5'007'716, false}};
  return forks;
}

TEST(GethChainHeaders, EachSatisfiesTheRulesBesideItsParent) {
  const auto paths = vector_files("/chain.rlp");
  if (paths.empty()) {
    GTEST_SKIP() << "no chain.rlp in " << vectors_folder() << " (set BEAMLINE_VECTORS)";
  }
  std::ifstream file(paths.front(), std::ios::binary);
  const std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
  VectorFamily family("geth-chain/header-rules");
  const HeaderForks forks = geth_forks();
  std::optional<ParentHeader> parent;
  rlp::Reader blocks(bytes);
  uint64_t count = 0;
  while (!blocks.at_end()) {
    rlp::Reader block = *rlp::parse_list(blocks.next("block")->encoding, "block");
    const auto header = ExecutionHeader::decode(block.next("header")->encoding);
    ASSERT_TRUE(header.has_value()) << to_string(header.error());
    EXPECT_EQ(header->number, ++count);
    if (parent) {
      const Status status = check_header(forks, *parent, *header);
      family.count(status.has_value());
      EXPECT_TRUE(status.has_value()) << count << ": " << to_string(status.error());
    }
    parent = ParentHeader::of(*header, header->hash());
  }
  EXPECT_EQ(count, 600u);
}

}  // namespace
}  // namespace beamline::chain
