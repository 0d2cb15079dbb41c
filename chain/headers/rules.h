// What an execution header must satisfy by itself and beside its parent, without state or bodies:
// Yellow Paper 4.4.4, EIP-1559 (base fee), EIP-3675 (after the merge), EIP-4895 (withdrawals),
// EIP-4844, EIP-7691, EIP-7892 and EIP-7918 (blob gas), EIP-4788, EIP-7685.
//
// Proof of work is not checked: headers count only where they link to a trusted head.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "codec/execution_header.h"

namespace beamline::chain {

// A blob schedule entry (EIP-7840): in force from `timestamp` on.
struct BlobParameters {
  uint64_t timestamp = 0;
  uint64_t target = 0;  // blobs a block
  uint64_t max = 0;
  uint64_t update_fraction = 0;
  bool reserve_price = false;  // EIP-7918, from Osaka on
};

// When each rule begins. UINT64_MAX: never.
struct HeaderForks {
  uint64_t london_block = UINT64_MAX;
  uint64_t merge_block = UINT64_MAX;  // the first block of proof of stake
  uint64_t shanghai_time = UINT64_MAX;
  uint64_t cancun_time = UINT64_MAX;
  uint64_t prague_time = UINT64_MAX;
  uint64_t amsterdam_time = UINT64_MAX;  // EIP-7928
  std::vector<BlobParameters> blobs;     // by rising timestamp; the first at cancun_time

  static HeaderForks mainnet();
};

// What a child is checked against. Copied out of its header, so that no bytes are kept for it.
struct ParentHeader {
  Hash256 hash;
  uint64_t number = 0;
  uint64_t timestamp = 0;
  uint64_t gas_limit = 0;
  uint64_t gas_used = 0;
  uint64_t base_fee_per_gas = 0;
  uint64_t blob_gas_used = 0;
  uint64_t excess_blob_gas = 0;
  bool has_base_fee = false;

  static ParentHeader of(const ExecutionHeader& header, const Hash256& hash);
};

// Checks `header` beside its parent. The error's field names the rule that is broken: number,
// parent_hash, timestamp, gas_limit, gas_used, base_fee_per_gas, extra_data, difficulty, nonce,
// ommers_hash, withdrawals_root, blob_gas_used, excess_blob_gas, parent_beacon_block_root,
// requests_hash, block_access_list_hash. Codes: mismatch, out_of_range, missing, unexpected.
Status check_header(const HeaderForks& forks, const ParentHeader& parent,
                    const ExecutionHeader& header);

// EIP-1559: the base fee of the block after `parent`.
uint64_t next_base_fee(const HeaderForks& forks, const ParentHeader& parent);
// EIP-4844 and EIP-7918: the excess of a block at `timestamp` after `parent`.
uint64_t next_excess_blob_gas(const HeaderForks& forks, const ParentHeader& parent,
                              uint64_t timestamp);
// EIP-4844's fake_exponential(1, excess, fraction); UINT64_MAX for anything larger.
uint64_t blob_base_fee(uint64_t excess_blob_gas, uint64_t update_fraction);

}  // namespace beamline::chain
