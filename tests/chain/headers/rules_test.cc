// Each rule of an execution header, broken alone; what the EIPs say of their numbers; and the 600
// headers that geth wrote.
#include "base/rng.h"
#include "tests/chain/headers/headers.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

ParentHeader parent_of(const HeaderFields& fields) {
  const auto bytes = fields.encode();
  const auto header = ExecutionHeader::decode(bytes);
  EXPECT_TRUE(header.has_value()) << to_string(header.error());
  return ParentHeader::of(*header, header->hash());
}

Status check(const HeaderForks& forks, const ParentHeader& parent, const HeaderFields& fields) {
  const auto bytes = fields.encode();
  const auto header = ExecutionHeader::decode(bytes);
  if (!header) return std::unexpected(header.error());
  return check_header(forks, parent, *header);
}

class HeaderRules : public ::testing::Test {
 protected:
  void breaks(const char* rule, const HeaderFields& fields) {
    ASSERT_TRUE(check(forks, parent, child).has_value());
    const Status status = check(forks, parent, fields);
    ASSERT_FALSE(status.has_value()) << rule;
    EXPECT_STREQ(status.error().field, rule);
    EXPECT_EQ(status.error().fault, Fault::peer);
  }

  HeaderForks forks = all_forks();
  ParentHeader parent = parent_of(genesis_fields());
  HeaderFields child = child_fields(forks, parent);
};

TEST_F(HeaderRules, Number) {
  for (const uint64_t number : {uint64_t{0}, uint64_t{2}, UINT64_MAX}) {
    HeaderFields wrong = child;
    wrong.number = number;
    breaks("number", wrong);
  }
}

TEST_F(HeaderRules, Parent) {
  HeaderFields wrong = child;
  wrong.parent_hash.bytes[31] ^= 1;
  breaks("parent_hash", wrong);
}

TEST_F(HeaderRules, Timestamp) {
  HeaderFields wrong = child;
  wrong.timestamp = parent.timestamp;
  breaks("timestamp", wrong);
}

TEST_F(HeaderRules, GasLimitStep) {
  HeaderFields fields = child;
  const uint64_t step = parent.gas_limit / 1024;
  for (const uint64_t limit : {parent.gas_limit + step - 1, parent.gas_limit - step + 1}) {
    fields.gas_limit = limit;
    fields.gas_used = 0;
    EXPECT_TRUE(check(forks, parent, fields).has_value()) << limit;
  }
  for (const uint64_t limit : {parent.gas_limit + step, parent.gas_limit - step, uint64_t{4999},
                               uint64_t{INT64_MAX} + 1, uint64_t{0}}) {
    fields.gas_limit = limit;
    breaks("gas_limit", fields);
  }
}

TEST_F(HeaderRules, GasUsed) {
  HeaderFields wrong = child;
  wrong.gas_used = wrong.gas_limit + 1;
  breaks("gas_used", wrong);
}

TEST_F(HeaderRules, BaseFee) {
  HeaderFields wrong = child;
  ++*wrong.base_fee_per_gas;
  breaks("base_fee_per_gas", wrong);
}

TEST_F(HeaderRules, ExtraData) {
  HeaderFields fields = child;
  fields.extra_data.resize(32);
  EXPECT_TRUE(check(forks, parent, fields).has_value());
  fields.extra_data.resize(33);
  breaks("extra_data", fields);
}

TEST_F(HeaderRules, BlobGas) {
  HeaderFields wrong = child;
  wrong.blob_gas_used = 1;
  breaks("blob_gas_used", wrong);
  wrong.blob_gas_used = 10 << 17;  // at most 9 blobs
  breaks("blob_gas_used", wrong);
  wrong = child;
  wrong.excess_blob_gas = 1 << 17;
  breaks("excess_blob_gas", wrong);
}

TEST_F(HeaderRules, ZeroDifficulty) {
  HeaderFields wrong = child;
  wrong.difficulty = 1;
  breaks("difficulty", wrong);
}

TEST_F(HeaderRules, NonceAfterTheMerge) {
  HeaderFields wrong = child;
  wrong.nonce = 1;
  breaks("nonce", wrong);
}

TEST_F(HeaderRules, OmmersAfterTheMerge) {
  HeaderFields wrong = child;
  wrong.ommers_hash = {};
  breaks("ommers_hash", wrong);
}

TEST_F(HeaderRules, BeforeTheMergeDifficultyNonceAndOmmersAreFree) {
  forks.merge_block = 2;
  HeaderFields work = child;
  work.difficulty = 131'072;
  work.nonce = 42;
  work.ommers_hash = {};
  EXPECT_TRUE(check(forks, parent, work).has_value());
}

// A field stands from its fork on, and not before.
TEST_F(HeaderRules, FieldsComeWithTheirForks) {
  const std::vector<std::pair<const char*, std::function<void()>>> later = {
      {"requests_hash", [&] { forks.prague_time = UINT64_MAX; }},
      {"blob_gas_used", [&] { forks.cancun_time = UINT64_MAX; }},
      {"withdrawals_root", [&] { forks.shanghai_time = UINT64_MAX; }},
      {"base_fee_per_gas", [&] { forks.london_block = UINT64_MAX; }},
  };
  for (const auto& [rule, postpone] : later) {
    postpone();
    const Status status = check(forks, parent, child);
    ASSERT_FALSE(status.has_value());
    EXPECT_STREQ(status.error().field, rule);
    EXPECT_EQ(status.error().code, Code::unexpected);
  }
  forks = all_forks();
  HeaderFields wrong = child;
  wrong.requests_hash.reset();
  breaks("requests_hash", wrong);
  wrong.parent_beacon_block_root.reset();
  breaks("parent_beacon_block_root", wrong);
  wrong.excess_blob_gas.reset();
  breaks("excess_blob_gas", wrong);
  wrong.blob_gas_used.reset();
  breaks("blob_gas_used", wrong);
  wrong.withdrawals_root.reset();
  breaks("withdrawals_root", wrong);
  wrong.base_fee_per_gas.reset();
  breaks("base_fee_per_gas", wrong);
  forks.amsterdam_time = 0;
  EXPECT_STREQ(check(forks, parent, child).error().field, "block_access_list_hash");
}

// The examples of EIP-1559's text: full blocks raise the fee by an eighth, empty ones lower it so.
TEST_F(HeaderRules, BaseFeeFollowsTheGasUsed) {
  ParentHeader full = parent;
  full.gas_used = full.gas_limit;
  EXPECT_EQ(next_base_fee(forks, full), 1'125'000'000u);
  full.gas_used = 0;
  EXPECT_EQ(next_base_fee(forks, full), 875'000'000u);
  full.gas_used = full.gas_limit / 2;
  EXPECT_EQ(next_base_fee(forks, full), 1'000'000'000u);
  full.base_fee_per_gas = 7;  // a rise is 1 wei at least, a fall may be none
  full.gas_used = full.gas_limit / 2 + 1;
  EXPECT_EQ(next_base_fee(forks, full), 8u);
  full.gas_used = 0;
  EXPECT_EQ(next_base_fee(forks, full), 7u);
  full.base_fee_per_gas = UINT64_MAX;
  full.gas_used = full.gas_limit;
  EXPECT_EQ(next_base_fee(forks, full), UINT64_MAX);
}

// At London the limit doubles, and the fee starts at 1 gwei.
TEST_F(HeaderRules, LondonDoublesTheGasLimit) {
  forks = HeaderForks{};
  forks.london_block = 1;
  parent.has_base_fee = false;
  HeaderFields first;
  first.parent_hash = parent.hash;
  first.number = 1;
  first.timestamp = parent.timestamp + 1;
  first.gas_limit = 2 * parent.gas_limit;
  first.base_fee_per_gas = 1'000'000'000;
  EXPECT_TRUE(check(forks, parent, first).has_value());
  first.gas_limit = parent.gas_limit;
  EXPECT_STREQ(check(forks, parent, first).error().field, "gas_limit");
}

// EIP-4844: the price is 1 until the excess nears the fraction, then rises by e for each of it.
TEST_F(HeaderRules, BlobBaseFeeIsAnExponential) {
  EXPECT_EQ(blob_base_fee(0, 3'338'477), 1u);
  EXPECT_EQ(blob_base_fee(2'314'057, 3'338'477), 1u);
  EXPECT_EQ(blob_base_fee(2'314'058, 3'338'477), 2u);
  EXPECT_EQ(blob_base_fee(10 * 1024 * 1024, 3'338'477), 23u);
  EXPECT_EQ(blob_base_fee(UINT64_MAX, 3'338'477), UINT64_MAX);
}

// EIP-7918: where execution is dear and blobs are cheap, the excess falls no further.
TEST_F(HeaderRules, ExcessBlobGasHasAReservePrice) {
  parent.excess_blob_gas = 0;
  parent.blob_gas_used = 9 << 17;
  EXPECT_EQ(next_excess_blob_gas(forks, parent, 2000), 3u << 17);
  forks.blobs.push_back({1500, 6, 9, 5'007'716, true});
  EXPECT_EQ(next_excess_blob_gas(forks, parent, 1400), 3u << 17);
  EXPECT_EQ(next_excess_blob_gas(forks, parent, 2000), 3u << 17);  // 9 * 3 / 9
  parent.blob_gas_used = 6 << 17;
  EXPECT_EQ(next_excess_blob_gas(forks, parent, 1400), 0u);
  EXPECT_EQ(next_excess_blob_gas(forks, parent, 2000), 2u << 17);
  parent.base_fee_per_gas = 1;  // below the price of blobs: as before
  EXPECT_EQ(next_excess_blob_gas(forks, parent, 2000), 0u);
}

TEST_F(HeaderRules, AnEncodingThatIsCutOrLongerIsATypedError) {
  const auto bytes = child.encode();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ExecutionHeader::decode(Bytes(bytes).first(size)).has_value()) << size;
  }
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(ExecutionHeader::decode(longer).has_value());
  EXPECT_EQ(ExecutionHeader::decode(std::vector<uint8_t>(kMaxExecutionHeader + 1)).error().code,
            Code::too_long);
}

auto all_of(const ExecutionHeader& header) {
  return std::tuple(header.parent_hash, header.ommers_hash, header.state_root,
                    header.transactions_root, header.receipts_root, header.zero_difficulty,
                    header.number, header.gas_limit, header.gas_used, header.timestamp,
                    std::vector<uint8_t>(header.extra_data.begin(), header.extra_data.end()),
                    header.mix_hash, header.nonce, header.base_fee_per_gas, header.withdrawals_root,
                    header.blob_gas_used, header.excess_blob_gas, header.parent_beacon_block_root,
                    header.requests_hash, header.block_access_list_hash);
}

// The decoder's short cut says of every input what the field-by-field one says.
TEST_F(HeaderRules, TheUsualAndTheFieldByFieldDecoderAgreeOnHeadersWithAnyByteChanged) {
  Rng rng(uint64_t{4242});
  child.extra_data = {1, 2, 3};
  child.difficulty = 77;
  std::vector<std::vector<uint8_t>> bases = {child.encode()};
  child.requests_hash.reset();
  child.excess_blob_gas = 1 << 20;
  bases.push_back(child.encode());
  child = {};
  child.extra_data = std::vector<uint8_t>(60, 9);
  child.nonce = ~uint64_t{0};
  bases.push_back(child.encode());
  uint32_t good = 0;
  for (uint32_t round = 0; round < 60'000; ++round) {
    std::vector<uint8_t> bytes = bases[round % bases.size()];
    // One byte of each place in turn, and now and then a few more, or another length.
    bytes[round / 3 % bytes.size()] = static_cast<uint8_t>(rng.next());
    for (uint64_t more = rng.below(3); more > 1; --more) {
      bytes[rng.below(bytes.size())] = static_cast<uint8_t>(rng.next());
    }
    if (rng.chance(1, 20)) bytes.resize(rng.below(bytes.size() + 40));
    const auto fast = ExecutionHeader::decode(bytes);
    const auto slow = ExecutionHeader::decode_fields(bytes);
    ASSERT_EQ(fast.has_value(), slow.has_value()) << "round " << round;
    if (!fast) {
      ASSERT_EQ(to_string(fast.error()), to_string(slow.error())) << "round " << round;
      continue;
    }
    ++good;
    ASSERT_TRUE(all_of(*fast) == all_of(*slow)) << "round " << round;
    ASSERT_TRUE(equal(fast->encoding, slow->encoding));
  }
  EXPECT_GT(good, 10'000u);
}

}  // namespace
}  // namespace beamline::chain
