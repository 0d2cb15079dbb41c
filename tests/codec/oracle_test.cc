// All beacon containers against @lodestar/types, which runs beside: seeded random values of each
// container and fork, in both presets.

#include "tests/codec/oracle.h"

#include <cstdio>

namespace beamline {
namespace {

// The lines that a command prints; `status` is its exit status.
std::vector<std::string> run(const std::string& command, int& status) {
  std::vector<std::string> lines;
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return lines;
  std::string line;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != '\n') {
      line.push_back(static_cast<char>(c));
      continue;
    }
    lines.push_back(std::move(line));
    line.clear();
  }
  status = pclose(pipe);
  return lines;
}

TEST(Oracle, LodestarsBytesAndRootsOfEveryContainerAndFork) {
  int status = 0;
  const std::string peers = BEAMLINE_SOURCE_DIR "/tests/interop/peers.sh ssz 2>&1";
  const std::vector<std::string> prepared = run(peers, status);
  if (status != 0 || prepared.empty()) {
    GTEST_SKIP() << "no oracle, @lodestar/types on Node >= 20 (tests/interop/peers.sh ssz): "
                 << (prepared.empty() ? "" : prepared.back());
  }
  const std::string folder = prepared.back();
  const std::string seed = "1";
  size_t count = 0;
  std::set<std::string> kinds;
  for (const std::string preset : {"minimal", "mainnet"}) {
    const std::string command = "LODESTAR_PRESET=" + preset + " '" + folder + "/node' '" + folder +
                                "/beacon_ssz.mjs' " + seed + " 3 4 2>&1";
    SCOPED_TRACE(command);
    const std::vector<std::string> lines = run(command, status);
    ASSERT_EQ(status, 0) << (lines.empty() ? "" : lines.back());
    for (const std::string& line : lines) {
      const oracle::Vector vector = oracle::parse_line(line);
      oracle::check(vector);
      if (HasFatalFailure()) return;
      kinds.insert(vector.text());
      ++count;
    }
  }
  EXPECT_GT(kinds.size(), 450u);
  std::printf("oracle: %zu values of %zu containers, forks and presets\n", count, kinds.size());
}

}  // namespace
}  // namespace beamline
