// The genesis of an execution chain as geth's JSON files say it: the first header with its state
// root, and when each fork begins.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chain/headers/rules.h"
#include "rlpx/eth/fork_id.h"

namespace beamline::node {

struct ExecutionGenesis {
  uint64_t chain_id = 0;
  std::vector<uint8_t> encoding;  // of the header
  Hash256 hash;
  chain::ParentHeader header;
  chain::HeaderForks forks;
  // For the fork id: those after genesis, in order.
  std::vector<uint64_t> block_forks;
  std::vector<uint64_t> time_forks;

  eth::ForkFilter fork_filter() const;
};

// geth's genesis.json: `config`, the header's fields and `alloc`. Throws std::runtime_error with
// what to change.
ExecutionGenesis read_execution_genesis(const std::string& path);

}  // namespace beamline::node
