// Lines of beacon_ssz.mjs: a value's bytes and roots as an implementation that nobody here wrote
// has them, and the check of ours against them.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "codec/beacon_block.h"
#include "codec/hex.h"
#include "codec/reqresp_messages.h"

namespace beamline::oracle {

struct Vector {
  std::string preset;
  Fork fork = Fork::phase0;
  std::string container;
  std::vector<uint8_t> bytes;
  Root root, block_root, body_root;

  std::string text() const { return preset + " " + std::string(name(fork)) + "." + container; }
};

inline Vector parse_line(const std::string& line) {
  std::istringstream words(line);
  std::string container, bytes, root, block_root, body_root;
  Vector vector;
  words >> vector.preset >> container >> bytes >> root >> block_root >> body_root;
  // A value of no bytes leaves two spaces, which the stream takes for one.
  if (root.empty()) std::swap(root, bytes);
  const size_t dot = container.find('.');
  while (name(vector.fork) != container.substr(0, dot)) {
    BL_CHECK(vector.fork < kLastFork);
    vector.fork = static_cast<Fork>(static_cast<int>(vector.fork) + 1);
  }
  vector.container = container.substr(dot + 1);
  vector.bytes = *parse_hex(bytes, 1 << 24);
  vector.root = *parse_hash256(root);
  if (!block_root.empty()) {
    vector.block_root = *parse_hash256(block_root);
    vector.body_root = *parse_hash256(body_root);
  }
  return vector;
}

inline std::vector<Vector> load(const std::string& path) {
  std::vector<Vector> vectors;
  std::ifstream file(path);
  BL_CHECK(file);
  for (std::string line; std::getline(file, line);) vectors.push_back(parse_line(line));
  return vectors;
}

inline const BeaconTypes& types_of(const std::string& preset) {
  static const BeaconTypes mainnet(Preset::mainnet());
  static const BeaconTypes minimal(Preset::minimal());
  return preset == "minimal" ? minimal : mainnet;
}

// Null for a container that we do not have.
inline const ssz::Type* type_of(const Vector& vector) {
  const std::string& name = vector.container;
  const bool fulu = vector.fork >= Fork::fulu;
  if (name == "ForkData") return &ForkData::ssz_type();
  if (name == "ENRForkID") return &EnrForkId::ssz_type();
  if (name == "Status") return fulu ? &StatusV2::ssz_type() : &StatusV1::ssz_type();
  if (name == "Metadata") {
    if (vector.fork == Fork::phase0) return &MetaDataV1::ssz_type();
    return fulu ? &MetaDataV3::ssz_type() : &MetaDataV2::ssz_type();
  }
  if (name == "BeaconBlocksByRangeRequest") return &BlocksByRange::ssz_type();
  if (name == "BeaconBlocksByHeadRequest") return &BlocksByHead::ssz_type();
  if (name == "BlobSidecarsByRangeRequest") return &BlobSidecarsByRange::ssz_type();
  if (name == "Ping") return &Ping::ssz_type();
  if (name == "Goodbye") return &Goodbye::ssz_type();
  return types_of(vector.preset).find(name, vector.fork);
}

}  // namespace beamline::oracle
