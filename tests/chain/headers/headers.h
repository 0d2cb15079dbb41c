// Valid synthetic execution headers, and a way to break one field of them.
#pragma once

#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "chain/headers/rules.h"
#include "codec/rlp.h"

namespace beamline::chain::testing {

// What a header says; encode() writes it. Starts as a valid child of its parent.
struct HeaderFields {
  Hash256 parent_hash;
  Hash256 ommers_hash = kEmptyOmmersHash;
  Hash256 state_root;
  uint64_t difficulty = 0;
  uint64_t number = 0;
  uint64_t gas_limit = 30'000'000;
  uint64_t gas_used = 0;
  uint64_t timestamp = 0;
  std::vector<uint8_t> extra_data;
  uint64_t nonce = 0;
  std::optional<uint64_t> base_fee_per_gas;
  std::optional<Hash256> withdrawals_root;
  std::optional<uint64_t> blob_gas_used;
  std::optional<uint64_t> excess_blob_gas;
  std::optional<Hash256> parent_beacon_block_root;
  std::optional<Hash256> requests_hash;

  std::vector<uint8_t> encode() const {
    std::vector<uint8_t> out;
    rlp::Writer writer(out);
    const std::vector<uint8_t> zeros(256);
    const auto mark = writer.begin_list();
    writer.string(parent_hash.view());
    writer.string(ommers_hash.view());
    writer.string(Bytes(zeros).first(20));
    writer.string(state_root.view());
    writer.string(kEmptyTrieRoot.view());
    writer.string(kEmptyTrieRoot.view());
    writer.string(zeros);
    for (const uint64_t value : {difficulty, number, gas_limit, gas_used, timestamp}) {
      writer.uint(value);
    }
    writer.string(extra_data);
    writer.string(Bytes(zeros).first(32));
    uint8_t digits[8];
    for (int i = 0; i < 8; ++i) digits[i] = static_cast<uint8_t>(nonce >> (56 - 8 * i));
    writer.string(Bytes(digits, 8));
    if (base_fee_per_gas) writer.uint(*base_fee_per_gas);
    if (withdrawals_root) writer.string(withdrawals_root->view());
    if (blob_gas_used) writer.uint(*blob_gas_used);
    if (excess_blob_gas) writer.uint(*excess_blob_gas);
    if (parent_beacon_block_root) writer.string(parent_beacon_block_root->view());
    if (requests_hash) writer.string(requests_hash->view());
    writer.end_list(mark);
    return out;
  }
};

// All forks up to Prague from the first block on.
inline HeaderForks all_forks() {
  HeaderForks forks;
  forks.london_block = forks.merge_block = 0;
  forks.shanghai_time = forks.cancun_time = forks.prague_time = 0;
  forks.blobs = {{0, 6, 9, 5'007'716, false}};
  return forks;
}

inline HeaderFields genesis_fields() {
  HeaderFields genesis;
  genesis.timestamp = 1000;
  genesis.base_fee_per_gas = 1'000'000'000;
  genesis.withdrawals_root = kEmptyTrieRoot;
  genesis.blob_gas_used = genesis.excess_blob_gas = 0;
  genesis.parent_beacon_block_root = Hash256{};
  genesis.requests_hash = Hash256{};
  return genesis;
}

// A valid header after `parent`, 12 seconds later. `salt` tells branches apart.
inline HeaderFields child_fields(const HeaderForks& forks, const ParentHeader& parent,
                                 uint64_t salt = 0) {
  HeaderFields child = genesis_fields();
  child.parent_hash = parent.hash;
  child.number = parent.number + 1;
  child.timestamp = parent.timestamp + 12;
  child.gas_limit = parent.gas_limit;
  child.gas_used = parent.number % 3 == 0 ? parent.gas_limit : 0;
  child.base_fee_per_gas = next_base_fee(forks, parent);
  child.excess_blob_gas = next_excess_blob_gas(forks, parent, child.timestamp);
  child.blob_gas_used = (parent.number % 10) << 17;
  for (size_t i = 0; i < 8; ++i) {
    child.state_root.bytes[i] = static_cast<uint8_t>(salt >> (8 * i));
  }
  return child;
}

}  // namespace beamline::chain::testing
