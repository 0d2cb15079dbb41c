// RLP and Keccak on 600 real blocks that geth wrote (go-ethereum's devp2p test data, chain.rlp).

#include <fstream>

#include <nlohmann/json.hpp>

#include "codec/hex.h"
#include "codec/rlp.h"
#include "crypto/keccak.h"
#include "tests/vectors/family.h"

namespace beamline {
namespace {

std::vector<uint8_t> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(GethChain, HeadersLinkByTheirKeccakHashes) {
  const auto paths = vector_files("/chain.rlp");
  if (paths.empty()) {
    GTEST_SKIP() << "no chain.rlp in " << vectors_folder() << " (set BEAMLINE_VECTORS)";
  }
  const std::vector<uint8_t> bytes = read_file(paths.front());
  VectorFamily family("geth-chain/headers");
  std::vector<Bytes> headers;
  std::vector<Hash256> parents;
  rlp::Reader blocks(bytes);
  while (!blocks.at_end()) {
    const auto item = blocks.next("block");
    ASSERT_TRUE(item) << to_string(item.error());
    ASSERT_TRUE(rlp::verify(item->encoding, "block"));
    rlp::Reader block = *rlp::parse_list(item->encoding, "block");
    headers.push_back(block.next("header")->encoding);
    rlp::Reader header = *rlp::parse_list(headers.back(), "header");
    parents.push_back(*header.hash("parent_hash"));
  }
  ASSERT_EQ(headers.size(), 600u);
  std::vector<Hash256> hashes(headers.size());
  keccak256_many(headers, hashes);
  for (size_t i = 0; i + 1 < hashes.size(); ++i) {
    family.count(hashes[i] == parents[i + 1]);
    EXPECT_EQ(hashes[i], parents[i + 1]) << i;
  }
  std::ifstream head(paths.front().parent_path() / "headblock.json");
  const auto json = nlohmann::json::parse(head);
  EXPECT_EQ(to_hex0x(hashes.back()), json.at("hash").get<std::string>());
  family.count(to_hex0x(hashes.back()) == json.at("hash").get<std::string>());
}

}  // namespace
}  // namespace beamline
