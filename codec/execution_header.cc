#include "codec/execution_header.h"

#include <bit>
#include <cstring>
#include <utility>

#include "codec/rlp.h"
#include "crypto/keccak.h"

namespace beamline {
namespace {

// RLP fields in a row, with the first error kept: the list is one pass, its errors one check.
class Fields {
 public:
  explicit Fields(rlp::Reader reader) : reader_(reader) {}

  template <class T>
  T keep(Result<T> value) {
    if (!value && status_) status_ = std::unexpected(value.error());
    return value ? *value : T{};
  }
  bool more() const { return status_.has_value() && !reader_.at_end(); }
  Hash256 hash(const char* field) { return ok() ? keep(reader_.hash(field)) : Hash256{}; }
  uint64_t uint(const char* field) { return ok() ? keep(reader_.uint(field)) : 0; }
  Bytes fixed(const char* field, size_t size) {
    return ok() ? keep(reader_.fixed(field, size)) : Bytes{};
  }
  Bytes string(const char* field) { return ok() ? keep(reader_.string(field)) : Bytes{}; }
  Bytes big_uint(const char* field) { return ok() ? keep(reader_.big_uint(field)) : Bytes{}; }
  std::optional<Hash256> more_hash(const char* field) {
    if (!more()) return std::nullopt;
    return hash(field);
  }
  std::optional<uint64_t> more_uint(const char* field) {
    if (!more()) return std::nullopt;
    return uint(field);
  }
  Status finish(const char* field) { return status_ ? reader_.finish(field) : status_; }

 private:
  bool ok() const { return status_.has_value(); }

  rlp::Reader reader_;
  Status status_;
};

// Up to the difficulty each field of a good header has its place: what stands between them.
constexpr size_t kHash = 1 + Hash256::kSize;
constexpr size_t kParentHashAt = 3;
constexpr size_t kOmmersHashAt = kParentHashAt + kHash;
constexpr size_t kCoinbaseAt = kOmmersHashAt + kHash;
constexpr size_t kStateRootAt = kCoinbaseAt + 21;
constexpr size_t kTransactionsRootAt = kStateRootAt + kHash;
constexpr size_t kReceiptsRootAt = kTransactionsRootAt + kHash;
constexpr size_t kLogsBloomAt = kReceiptsRootAt + kHash;
constexpr size_t kDifficultyAt = kLogsBloomAt + 3 + 256;
constexpr uint8_t kHashTag = 0x80 + Hash256::kSize;

Hash256 hash_at(const uint8_t* tag) { return Hash256::load(tag + 1); }

// Fields whose places vary, in a row; good() is false from the first on that is not as it should
// be.
class Usual {
 public:
  Usual(const uint8_t* at, const uint8_t* end) : at_(at), end_(end) {}
  bool good() const { return good_; }
  bool done() const { return at_ == end_; }

  // A string of at most 55 bytes.
  Bytes string() {
    if (!good_ || done()) return fail();
    const uint8_t first = *at_;
    if (first < 0x80) return Bytes(at_++, 1);
    const size_t size = first - size_t{0x80};
    if (size > 55 || size >= static_cast<size_t>(end_ - at_)) return fail();
    if (size == 1 && at_[1] < 0x80) return fail();
    const Bytes payload(at_ + 1, size);
    at_ += 1 + size;
    return payload;
  }
  // The eight bytes that end with the last digit are the header's own: hundreds stand before them.
  uint64_t uint() {
    const Bytes digits = string();
    if (digits.empty()) return 0;
    if (digits.size() > 8 || digits[0] == 0) return fail(), 0;
    uint64_t value = 0;
    std::memcpy(&value, digits.data() + digits.size() - sizeof(value), sizeof(value));
    return std::byteswap(value) & (UINT64_MAX >> (64 - 8 * digits.size()));
  }
  Hash256 hash() {
    if (!good_ || static_cast<size_t>(end_ - at_) < kHash || *at_ != kHashTag) {
      fail();
      return {};
    }
    return hash_at(std::exchange(at_, at_ + kHash));
  }
  uint64_t nonce() {
    if (!good_ || end_ - at_ < 9 || *at_ != 0x88) return fail(), 0;
    uint64_t value = 0;
    std::memcpy(&value, at_ + 1, sizeof(value));
    at_ += 9;
    return std::byteswap(value);
  }

 private:
  Bytes fail() {
    good_ = false;
    return {};
  }
  const uint8_t* at_;
  const uint8_t* end_;
  bool good_ = true;
};

// What stands where no fork is left out, in one pass without an error to carry. False: it is for
// decode_fields() to say what this is.
bool decode_usual(Bytes bytes, ExecutionHeader& header) {
  const uint8_t* const at = bytes.data();
  if (bytes.size() <= kDifficultyAt || bytes.size() > kMaxExecutionHeader) return false;
  if (at[0] != 0xf9 || (size_t{at[1]} << 8 | at[2]) != bytes.size() - 3) return false;
  const bool tagged = at[kParentHashAt] == kHashTag && at[kOmmersHashAt] == kHashTag &&
                      at[kCoinbaseAt] == 0x80 + 20 && at[kStateRootAt] == kHashTag &&
                      at[kTransactionsRootAt] == kHashTag && at[kReceiptsRootAt] == kHashTag &&
                      at[kLogsBloomAt] == 0xb9 && at[kLogsBloomAt + 1] == 1 &&
                      at[kLogsBloomAt + 2] == 0;
  if (!tagged) return false;
  header.encoding = bytes;
  header.parent_hash = hash_at(at + kParentHashAt);
  header.ommers_hash = hash_at(at + kOmmersHashAt);
  header.state_root = hash_at(at + kStateRootAt);
  header.transactions_root = hash_at(at + kTransactionsRootAt);
  header.receipts_root = hash_at(at + kReceiptsRootAt);
  Usual rest(at + kDifficultyAt, at + bytes.size());
  const Bytes difficulty = rest.string();
  if (difficulty.size() > 32 || (!difficulty.empty() && difficulty[0] == 0)) return false;
  header.zero_difficulty = difficulty.empty();
  header.number = rest.uint();
  header.gas_limit = rest.uint();
  header.gas_used = rest.uint();
  header.timestamp = rest.uint();
  header.extra_data = rest.string();
  header.mix_hash = rest.hash();
  header.nonce = rest.nonce();
  if (!rest.done()) header.base_fee_per_gas = rest.uint();
  if (!rest.done()) header.withdrawals_root = rest.hash();
  if (!rest.done()) header.blob_gas_used = rest.uint();
  if (!rest.done()) header.excess_blob_gas = rest.uint();
  if (!rest.done()) header.parent_beacon_block_root = rest.hash();
  if (!rest.done()) header.requests_hash = rest.hash();
  if (!rest.done()) header.block_access_list_hash = rest.hash();
  return rest.good() && rest.done();
}

}  // namespace

const Hash256 kEmptyOmmersHash = keccak256(Bytes(std::array<uint8_t, 1>{0xc0}));
const Hash256 kEmptyTrieRoot = keccak256(Bytes(std::array<uint8_t, 1>{0x80}));

Hash256 ExecutionHeader::hash() const { return keccak256(encoding); }

Result<ExecutionHeader> ExecutionHeader::decode(Bytes bytes) {
  Result<ExecutionHeader> header(std::in_place);
  if (decode_usual(bytes, *header)) return header;
  return decode_fields(bytes);
}

Result<ExecutionHeader> ExecutionHeader::decode_fields(Bytes bytes) {
  if (bytes.size() > kMaxExecutionHeader) return bad_input(Code::too_long, "header");
  const auto list = rlp::parse_list(bytes, "header");
  if (!list) return std::unexpected(list.error());
  ExecutionHeader header;
  header.encoding = bytes;
  Fields fields(*list);
  header.parent_hash = fields.hash("parent_hash");
  header.ommers_hash = fields.hash("ommers_hash");
  fields.fixed("coinbase", 20);
  header.state_root = fields.hash("state_root");
  header.transactions_root = fields.hash("transactions_root");
  header.receipts_root = fields.hash("receipts_root");
  fields.fixed("logs_bloom", 256);
  header.zero_difficulty = fields.big_uint("difficulty").empty();
  header.number = fields.uint("number");
  header.gas_limit = fields.uint("gas_limit");
  header.gas_used = fields.uint("gas_used");
  header.timestamp = fields.uint("timestamp");
  header.extra_data = fields.string("extra_data");
  header.mix_hash = fields.hash("mix_hash");
  for (const uint8_t byte : fields.fixed("nonce", 8)) header.nonce = header.nonce << 8 | byte;
  header.base_fee_per_gas = fields.more_uint("base_fee_per_gas");
  header.withdrawals_root = fields.more_hash("withdrawals_root");
  header.blob_gas_used = fields.more_uint("blob_gas_used");
  header.excess_blob_gas = fields.more_uint("excess_blob_gas");
  header.parent_beacon_block_root = fields.more_hash("parent_beacon_block_root");
  header.requests_hash = fields.more_hash("requests_hash");
  header.block_access_list_hash = fields.more_hash("block_access_list_hash");
  if (Status read = fields.finish("header"); !read) return std::unexpected(read.error());
  return header;
}

}  // namespace beamline
