#include "codec/execution_header.h"

#include <algorithm>

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

}  // namespace

const Hash256 kEmptyOmmersHash = keccak256(Bytes(std::array<uint8_t, 1>{0xc0}));
const Hash256 kEmptyTrieRoot = keccak256(Bytes(std::array<uint8_t, 1>{0x80}));

Hash256 ExecutionHeader::hash() const { return keccak256(encoding); }

Result<ExecutionHeader> ExecutionHeader::decode(Bytes bytes) {
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
