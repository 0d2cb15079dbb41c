#include "node/chain_spec.h"

#include <filesystem>
#include <fstream>

#include "codec/hex.h"

namespace beamline::node {
namespace {

namespace fs = std::filesystem;

class ChainSpecTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/beamline-spec-XXXXXX";
    directory_ = mkdtemp(pattern);
    write("config.yaml", "PRESET_BASE: 'minimal'\nSECONDS_PER_SLOT: 2\n# a comment\n");
    write("network.json", network(R"(, "genesis_block_root": "0x)" + std::string(64, 'a') + "\""));
  }
  void TearDown() override { fs::remove_all(directory_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << text;
  }
  static std::string network(const std::string& more) {
    return R"({"genesis_time": "1700000000", "genesis_fork_version": "0x00000001",
               "genesis_validators_root": "0x)" +
           std::string(64, '1') + "\"" + more + "}";
  }
  std::string error() {
    try {
      load_chain_spec(directory_);
    } catch (const std::exception& e) {
      return e.what();
    }
    return {};
  }
  std::string directory_;
};

TEST_F(ChainSpecTest, ReadsWhatTheBeaconApiWrites) {
  const ChainSpec spec = load_chain_spec(directory_);
  EXPECT_EQ(spec.genesis_time, WallTime::from_unix(1'700'000'000));
  EXPECT_EQ(spec.slot_duration, seconds(2));
  EXPECT_STREQ(spec.preset->name, "minimal");
  EXPECT_EQ(to_hex0x(spec.genesis_block_root), "0x" + std::string(64, 'a'));
  EXPECT_EQ(spec.genesis_fork_version[3], 1);
}

TEST_F(ChainSpecTest, WithoutABlockRootItTakesTheGenesisState) {
  write("network.json", network(""));
  EXPECT_NE(error().find("genesis.ssz"), std::string::npos) << error();
  write("genesis.ssz", "not a state");
  EXPECT_NE(error().find("not a phase0 genesis state"), std::string::npos) << error();
  fs::copy_file(BEAMLINE_SOURCE_DIR "/tests/vectors/genesis_minimal.ssz",
                directory_ + "/genesis.ssz", fs::copy_options::overwrite_existing);
  EXPECT_EQ(to_hex0x(load_chain_spec(directory_).genesis_block_root),
            "0x6ca58772bd0007b93c6e3ab751bd00f3a6348adb7d65b93c78c264e3d73c7cbe");
}

TEST_F(ChainSpecTest, BadInputNamesTheFileAndTheKey) {
  write("config.yaml", "PRESET_BASE: gnosis\nSECONDS_PER_SLOT: 2\n");
  EXPECT_NE(error().find("config.yaml: PRESET_BASE must be"), std::string::npos) << error();
  write("config.yaml", "PRESET_BASE: minimal\nSECONDS_PER_SLOT: 0\n");
  EXPECT_NE(error().find("SECONDS_PER_SLOT must be"), std::string::npos) << error();
  write("config.yaml", "PRESET_BASE: minimal\n");
  EXPECT_NE(error().find("SECONDS_PER_SLOT is missing"), std::string::npos) << error();
  write("network.json", "{");
  EXPECT_NE(error().find("network.json"), std::string::npos) << error();
  write("network.json", R"({"genesis_time": "soon"})");
  EXPECT_NE(error().find("genesis_time must be a number"), std::string::npos) << error();
  fs::remove(directory_ + "/network.json");
  EXPECT_NE(error().find("cannot be read"), std::string::npos) << error();
}

}  // namespace
}  // namespace beamline::node
