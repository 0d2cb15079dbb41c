// The header of an execution block as a view over its RLP (Yellow Paper 4.4.3; EIP-1559, EIP-4895,
// EIP-4844, EIP-4788, EIP-7685, EIP-7928 append a field each). Nothing is copied but the numbers.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/hash.h"

namespace beamline {

// Encodings that are longer are refused: 20 fields of at most 33 bytes, the bloom, and extra data
// far beyond what any rule allows.
inline constexpr size_t kMaxExecutionHeader = 4096;

struct ExecutionHeader {
  Bytes encoding;  // the whole list: what is hashed, stored and served
  Hash256 parent_hash;
  Hash256 ommers_hash;
  Hash256 state_root;
  Hash256 transactions_root;
  Hash256 receipts_root;
  bool zero_difficulty = false;
  uint64_t number = 0;
  uint64_t gas_limit = 0;
  uint64_t gas_used = 0;
  uint64_t timestamp = 0;
  Bytes extra_data;
  Hash256 mix_hash;
  uint64_t nonce = 0;  // big-endian
  // What forks appended, in this order; a later one stands only after all before it.
  std::optional<uint64_t> base_fee_per_gas;  // wei; over 64 bits: out_of_range
  std::optional<Hash256> withdrawals_root;
  std::optional<uint64_t> blob_gas_used;
  std::optional<uint64_t> excess_blob_gas;
  std::optional<Hash256> parent_beacon_block_root;
  std::optional<Hash256> requests_hash;
  std::optional<Hash256> block_access_list_hash;

  // keccak256(encoding), computed each time.
  Hash256 hash() const;

  // The one header that `bytes` are; `bytes` must outlive it. Errors (peer): what the RLP reader
  // says, with the field's name; trailing (fields that no fork has); too_long.
  static Result<ExecutionHeader> decode(Bytes bytes);
  // The same, field by field: what decode() says of all that is not as nearly every header is.
  static Result<ExecutionHeader> decode_fields(Bytes bytes);
};

// keccak256 of the empty list and of the empty trie: a block without ommers, or transactions.
extern const Hash256 kEmptyOmmersHash;
extern const Hash256 kEmptyTrieRoot;

}  // namespace beamline
