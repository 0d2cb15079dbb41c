// crypto/ and codec/ on aarch64, under qemu-user.

#include <cstdio>
#include <cstdlib>

namespace beamline {
namespace {

// What the command printed; `status` is its exit status.
std::string run(const std::string& command, int& status) {
  std::string output;
  status = -1;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    output.push_back(static_cast<char>(c));
  }
  status = pclose(pipe);
  return output;
}

constexpr const char* kSources =
    "tests/portable/main.cc base/bytes.cc base/alloc.cc base/check.cc base/error.cc base/rng.cc "
    "crypto/hash.cc crypto/keccak.cc crypto/keccak_avx2.cc crypto/keccak_bmi2.cc "
    "crypto/keccak_scalar.cc crypto/sha256.cc crypto/sha256_scalar.cc crypto/sha256_shani.cc "
    "codec/arena.cc codec/base32.cc codec/base58.cc codec/base64url.cc codec/beacon_block.cc "
    "codec/beacon_types.cc codec/crc32c.cc codec/fork_digest.cc codec/hex.cc codec/preset.cc "
    "codec/reqresp_messages.cc codec/rlp.cc codec/ssz_hash.cc codec/ssz_type.cc "
    "codec/ssz_value.cc codec/ssz_view.cc codec/uvarint.cc";

TEST(Portable, CryptoAndCodecGiveTheSameOnAarch64) {
  int status = 0;
  for (const char* tool : {"aarch64-linux-gnu-g++", "qemu-aarch64-static"}) {
    run(std::string("command -v ").append(tool), status);
    if (status != 0) GTEST_SKIP() << tool << " is not installed (scripts/packages, group long)";
  }
  const std::string vectors = BEAMLINE_SOURCE_DIR "/tests/vectors/beacon_ssz.txt";
  const std::string options = " -std=c++23 -O2 -Wall -Wextra -Werror -static -I. ";
  std::string outputs[2];
  const std::pair<const char*, const char*> machines[] = {
      {"aarch64-linux-gnu-g++", "qemu-aarch64-static "}, {"g++ -mbmi -mbmi2 -mavx2", ""}};
  for (size_t i = 0; i < 2; ++i) {
    const auto& [compiler, runner] = machines[i];
    const std::string program = BEAMLINE_BINARY_DIR "/portable_" + std::to_string(i);
    std::string build = "cd '";
    build.append(BEAMLINE_SOURCE_DIR).append("' && ").append(compiler).append(options);
    build.append(kSources).append(" -o '").append(program).append("'");
    const std::string log = run(build, status);
    ASSERT_EQ(status, 0) << build << "\n" << log;
    std::string command = runner;
    command.append("'").append(program).append("' '").append(vectors).append("'");
    outputs[i] = run(command, status);
    EXPECT_EQ(status, 0) << outputs[i];
    EXPECT_NE(outputs[i].find("digest "), std::string::npos) << outputs[i];
    std::printf("%s: %s", compiler, outputs[i].c_str());
  }
  EXPECT_NE(outputs[0].find("sha256 scalar, keccak scalar"), std::string::npos);
  // Random numbers are the same on every machine: a seed replays anywhere.
  EXPECT_EQ(outputs[0].substr(outputs[0].find("digest ")),
            outputs[1].substr(outputs[1].find("digest ")));
}

}  // namespace
}  // namespace beamline
