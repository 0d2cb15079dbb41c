// A chain in a file of RLP blocks, as geth exports it (genesis is not in it), checked whole while
// it is read: what is served from it is what its genesis file says.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "node/execution_genesis.h"
#include "rlpx/eth/peer.h"

namespace beamline::node {

class ChainFile final : public eth::ChainSource {
 public:
  // Throws std::runtime_error that names the block: cut, out of order, of another genesis, or with
  // a header that breaks a rule. `receipts`: a file of one RLP list per block, or empty.
  ChainFile(const ExecutionGenesis& genesis, const std::string& path, const std::string& receipts);

  std::optional<uint64_t> number_of(const Hash256& hash) const override;
  Bytes header(uint64_t number) const override;
  Bytes body(uint64_t number) const override;
  Bytes receipts(uint64_t number) const override;

  uint64_t head() const { return headers_.size() - 1; }
  const Hash256& hash(uint64_t number) const { return hashes_.at(number); }
  const chain::ParentHeader& tip() const { return tip_; }

 private:
  void read_blocks(const ExecutionGenesis& genesis, const std::string& path);
  void read_receipts(const std::string& path);

  std::vector<uint8_t> genesis_;
  std::vector<uint8_t> bytes_;
  std::vector<uint8_t> receipt_bytes_;
  std::vector<uint8_t> bodies_bytes_;
  std::vector<Bytes> headers_;                     // by number, genesis first
  std::vector<std::pair<size_t, size_t>> bodies_;  // offset and size in bodies_bytes_
  std::vector<Bytes> receipts_;
  std::vector<Hash256> hashes_;
  std::unordered_map<Hash256, uint64_t, Hash256Hasher> numbers_;
  chain::ParentHeader tip_;
};

}  // namespace beamline::node
