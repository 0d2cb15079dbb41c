#include "chain/headers/rules.h"

#include <algorithm>

#include "base/check.h"

namespace beamline::chain {
namespace {

__extension__ using uint128 = unsigned __int128;

constexpr uint64_t kMinGasLimit = 5000;
constexpr uint64_t kMaxGasLimit = INT64_MAX;  // EIP-1985
constexpr uint64_t kGasLimitDivisor = 1024;
constexpr uint64_t kElasticity = 2;
constexpr uint64_t kBaseFeeDenominator = 8;
constexpr uint64_t kInitialBaseFee = 1'000'000'000;
constexpr uint64_t kGasPerBlob = 1 << 17;
constexpr uint64_t kBlobBaseCost = 1 << 13;  // EIP-7918
constexpr size_t kMaxExtraData = 32;

Status broken(Code code, const char* rule) { return bad_input(code, rule); }

// A field that stands from a fork on, and not before.
template <class T>
Status check_present(const std::optional<T>& field, bool expected, const char* rule) {
  if (expected && !field) return broken(Code::missing, rule);
  if (!expected && field) return broken(Code::unexpected, rule);
  return {};
}

const BlobParameters* blob_parameters(const HeaderForks& forks, uint64_t timestamp) {
  const BlobParameters* found = nullptr;
  for (const BlobParameters& entry : forks.blobs) {
    if (entry.timestamp <= timestamp) found = &entry;
  }
  return found;
}

Status check_gas_limit(const HeaderForks& forks, const ParentHeader& parent,
                       const ExecutionHeader& header) {
  if (header.gas_limit < kMinGasLimit || header.gas_limit > kMaxGasLimit) {
    return broken(Code::out_of_range, "gas_limit");
  }
  // At London the limit doubles with the meaning of the target.
  const uint64_t before =
      header.number == forks.london_block && parent.gas_limit <= kMaxGasLimit / 2
          ? parent.gas_limit * kElasticity
          : parent.gas_limit;
  const uint64_t step =
      header.gas_limit > before ? header.gas_limit - before : before - header.gas_limit;
  if (step >= before / kGasLimitDivisor) return broken(Code::out_of_range, "gas_limit");
  if (header.gas_used > header.gas_limit) return broken(Code::out_of_range, "gas_used");
  return {};
}

Status check_stake(const ExecutionHeader& header) {
  if (!header.zero_difficulty) return broken(Code::out_of_range, "difficulty");
  if (header.nonce != 0) return broken(Code::out_of_range, "nonce");
  if (header.ommers_hash != kEmptyOmmersHash) return broken(Code::mismatch, "ommers_hash");
  return {};
}

Status check_blobs(const HeaderForks& forks, const ParentHeader& parent,
                   const ExecutionHeader& header) {
  const BlobParameters* blobs = blob_parameters(forks, header.timestamp);
  BL_CHECK(blobs != nullptr);  // the first entry is Cancun's
  const uint64_t used = *header.blob_gas_used;
  if (used % kGasPerBlob != 0 || used / kGasPerBlob > blobs->max) {
    return broken(Code::out_of_range, "blob_gas_used");
  }
  if (*header.excess_blob_gas != next_excess_blob_gas(forks, parent, header.timestamp)) {
    return broken(Code::mismatch, "excess_blob_gas");
  }
  return {};
}

// The fields that forks appended, in their order.
Status check_appended(const HeaderForks& forks, const ParentHeader& parent,
                      const ExecutionHeader& header) {
  const bool london = header.number >= forks.london_block;
  const bool cancun = header.timestamp >= forks.cancun_time;
  Status status = check_present(header.base_fee_per_gas, london, "base_fee_per_gas");
  if (status && london && *header.base_fee_per_gas != next_base_fee(forks, parent)) {
    return broken(Code::mismatch, "base_fee_per_gas");
  }
  const auto also = [&](const auto& field, bool expected, const char* rule) {
    if (status) status = check_present(field, expected, rule);
  };
  also(header.withdrawals_root, header.timestamp >= forks.shanghai_time, "withdrawals_root");
  also(header.blob_gas_used, cancun, "blob_gas_used");
  also(header.excess_blob_gas, cancun, "excess_blob_gas");
  if (status && cancun) status = check_blobs(forks, parent, header);
  also(header.parent_beacon_block_root, cancun, "parent_beacon_block_root");
  also(header.requests_hash, header.timestamp >= forks.prague_time, "requests_hash");
  also(header.block_access_list_hash, header.timestamp >= forks.amsterdam_time,
       "block_access_list_hash");
  return status;
}

}  // namespace

HeaderForks HeaderForks::mainnet() {
  HeaderForks forks;
  forks.london_block = 12'965'000;
  forks.merge_block = 15'537'394;
  forks.shanghai_time = 1'681'338'455;
  forks.cancun_time = 1'710'338'135;
  forks.prague_time = 1'746'612'311;
  constexpr uint64_t kOsaka = 1'764'798'551;
  forks.blobs = {{forks.cancun_time, 3, 6, 3'338'477, false},
                 {forks.prague_time, 6, 9, 5'007'716, false},
                 {kOsaka, 6, 9, 5'007'716, true},
                 {1'765'290'071, 10, 15, 8'346'193, true},
                 {1'767'747'671, 14, 21, 11'684'671, true}};
  return forks;
}

ParentHeader ParentHeader::of(const ExecutionHeader& header, const Hash256& hash) {
  ParentHeader parent;
  parent.hash = hash;
  parent.number = header.number;
  parent.timestamp = header.timestamp;
  parent.gas_limit = header.gas_limit;
  parent.gas_used = header.gas_used;
  parent.base_fee_per_gas = header.base_fee_per_gas.value_or(0);
  parent.has_base_fee = header.base_fee_per_gas.has_value();
  parent.blob_gas_used = header.blob_gas_used.value_or(0);
  parent.excess_blob_gas = header.excess_blob_gas.value_or(0);
  return parent;
}

uint64_t next_base_fee(const HeaderForks& forks, const ParentHeader& parent) {
  if (!parent.has_base_fee || parent.number + 1 == forks.london_block) return kInitialBaseFee;
  const uint64_t target = parent.gas_limit / kElasticity;
  if (target == 0 || parent.gas_used == target) return parent.base_fee_per_gas;
  const bool up = parent.gas_used > target;
  const uint64_t distance = up ? parent.gas_used - target : target - parent.gas_used;
  const uint128 change = uint128{parent.base_fee_per_gas} * distance / target / kBaseFeeDenominator;
  if (!up) return parent.base_fee_per_gas - static_cast<uint64_t>(change);
  const uint128 next = parent.base_fee_per_gas + std::max<uint128>(change, 1);
  return static_cast<uint64_t>(std::min<uint128>(next, UINT64_MAX));
}

uint64_t blob_base_fee(uint64_t excess_blob_gas, uint64_t update_fraction) {
  BL_CHECK(update_fraction != 0);
  // e^45 is over 2^64: no need to follow the series, whose terms could overflow.
  if (excess_blob_gas / update_fraction >= 45) return UINT64_MAX;
  uint128 output = 0;
  uint128 term = update_fraction;
  for (uint64_t i = 1; term > 0; ++i) {
    output += term;
    term = term * excess_blob_gas / (uint128{update_fraction} * i);
  }
  return static_cast<uint64_t>(std::min<uint128>(output / update_fraction, UINT64_MAX));
}

uint64_t next_excess_blob_gas(const HeaderForks& forks, const ParentHeader& parent,
                              uint64_t timestamp) {
  const BlobParameters* blobs = blob_parameters(forks, timestamp);
  if (blobs == nullptr) return 0;
  const uint64_t target = blobs->target * kGasPerBlob;
  const uint128 sum = uint128{parent.excess_blob_gas} + parent.blob_gas_used;
  if (sum < target) return 0;
  if (blobs->reserve_price) {
    const uint128 execution = uint128{kBlobBaseCost} * parent.base_fee_per_gas;
    const uint128 blob_price =
        uint128{kGasPerBlob} * blob_base_fee(parent.excess_blob_gas, blobs->update_fraction);
    if (execution > blob_price) {
      const uint128 kept =
          uint128{parent.blob_gas_used} * (blobs->max - blobs->target) / blobs->max;
      return static_cast<uint64_t>(std::min<uint128>(parent.excess_blob_gas + kept, UINT64_MAX));
    }
  }
  return static_cast<uint64_t>(std::min<uint128>(sum - target, UINT64_MAX));
}

Status check_header(const HeaderForks& forks, const ParentHeader& parent,
                    const ExecutionHeader& header) {
  if (header.number != parent.number + 1) return broken(Code::mismatch, "number");
  if (header.parent_hash != parent.hash) return broken(Code::mismatch, "parent_hash");
  if (header.timestamp <= parent.timestamp) return broken(Code::out_of_range, "timestamp");
  if (header.extra_data.size() > kMaxExtraData) return broken(Code::too_long, "extra_data");
  if (Status gas = check_gas_limit(forks, parent, header); !gas) return gas;
  if (header.number >= forks.merge_block) {
    if (Status stake = check_stake(header); !stake) return stake;
  }
  return check_appended(forks, parent, header);
}

}  // namespace beamline::chain
