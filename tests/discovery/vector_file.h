// The official packet vectors of discv5 (tests/vectors/discv5): "# name = value" lines, then the
// packet in hex.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "codec/hex.h"

namespace beamline::discv5 {

struct VectorFile {
  std::map<std::string, std::string> values;
  std::vector<uint8_t> packet;

  std::vector<uint8_t> bytes(const std::string& name) const {
    const auto found = values.find(name);
    if (found == values.end()) return {};
    const auto parsed = parse_hex(found->second.substr(2));
    return parsed ? *parsed : std::vector<uint8_t>{};
  }
  NodeId id(const std::string& name) const { return NodeId::from(bytes(name)); }
  template <size_t kSize>
  std::array<uint8_t, kSize> array(const std::string& name) const {
    std::array<uint8_t, kSize> out{};
    const auto from = bytes(name);
    EXPECT_EQ(from.size(), kSize) << name;
    std::copy_n(from.begin(), std::min(kSize, from.size()), out.begin());
    return out;
  }
};

inline VectorFile read_vector(const std::filesystem::path& path) {
  VectorFile file;
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::string hex;
  for (std::string line; std::getline(in, line);) {
    const size_t at = line.find(" = ");
    if (line.starts_with("# ") && at != std::string::npos) {
      file.values[line.substr(2, at - 2)] = line.substr(at + 3);
    } else if (!line.starts_with("#")) {
      hex += line;
    }
  }
  const auto parsed = parse_hex(hex);
  EXPECT_TRUE(parsed.has_value()) << path;
  if (parsed) file.packet = *parsed;
  return file;
}

}  // namespace beamline::discv5
