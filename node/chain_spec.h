// What a network of beacon nodes agrees on before its first block.
#pragma once

#include <string>

#include "base/time.h"
#include "codec/fork_digest.h"
#include "codec/preset.h"
#include "codec/root.h"

namespace beamline::node {

struct ChainSpec {
  WallTime genesis_time{};
  Root genesis_validators_root;
  Root genesis_block_root;
  ForkVersion genesis_fork_version{};
  Duration slot_duration = seconds(12);
  const Preset* preset = &Preset::mainnet();

  ForkDigest digest() const {
    return compute_fork_digest(genesis_fork_version, genesis_validators_root);
  }
};

// Reads DIR/network.json (genesis_time, genesis_validators_root, genesis_fork_version, as the
// beacon API writes them, and genesis_block_root) and DIR/config.yaml (PRESET_BASE,
// SECONDS_PER_SLOT). Where the file has no genesis_block_root, it is computed from DIR/genesis.ssz.
// Throws std::runtime_error that names the file, the key and what it must be.
ChainSpec load_chain_spec(const std::string& directory);

}  // namespace beamline::node
