// The messages of eth/68, eth/69 and eth/70 (devp2p caps/eth.md), decoded without copies and
// encoded. Headers, bodies, receipts and transactions stay the bytes that they came in. eth/71 and
// eth/72 add ids behind these; their place is kept in message_count().
//
// Errors name the field and its offset in the message: RLP's, and the limits below (too_long).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/rlp.h"
#include "crypto/hash.h"
#include "rlpx/eth/fork_id.h"

namespace beamline::eth {

inline constexpr uint32_t kEth68 = 68, kEth69 = 69, kEth70 = 70;

enum class Message : uint8_t {
  status = 0x00,
  new_block_hashes = 0x01,
  transactions = 0x02,
  get_block_headers = 0x03,
  block_headers = 0x04,
  get_block_bodies = 0x05,
  block_bodies = 0x06,
  new_block = 0x07,
  new_pooled_transaction_hashes = 0x08,
  get_pooled_transactions = 0x09,
  pooled_transactions = 0x0a,
  get_receipts = 0x0f,
  receipts = 0x10,
  block_range_update = 0x11,  // from eth/69
};
constexpr uint8_t message_count(uint32_t version) {
  return version <= kEth68 ? 17 : version <= kEth70 ? 18 : version == 71 ? 20 : 22;
}
// "GetBlockHeaders"; "unknown" for others.
const char* name(Message message);

// Of one message. A peer that wants more asks again.
inline constexpr size_t kMaxHashes = 4096;        // in a request or an announcement
inline constexpr size_t kMaxHeaders = 1024;       // in an answer
inline constexpr size_t kSoftAnswer = 2u << 20;   // bytes: an answer ends after the item over it
inline constexpr size_t kHardAnswer = 10u << 20;  // bytes: no message is larger
inline constexpr size_t kMaxTransactions = 4096;  // in a message

struct BlockRange {
  uint64_t earliest = 0;
  uint64_t latest = 0;
  Hash256 latest_hash;
  friend bool operator==(const BlockRange&, const BlockRange&) = default;
};

// In eth/68 it has the total difficulty and the head's hash, from eth/69 on the block range.
struct StatusMessage {
  uint32_t version = 0;
  uint64_t network_id = 0;
  Hash256 genesis;
  ForkId fork_id;
  BlockRange range;                       // eth/68: latest_hash alone
  std::vector<uint8_t> total_difficulty;  // eth/68: big-endian, at most 32 bytes

  // The form is that of `version`, the one that was agreed on.
  static Result<StatusMessage> decode(uint32_t version, Bytes bytes);
  void encode(std::vector<uint8_t>& out) const;
  friend bool operator==(const StatusMessage&, const StatusMessage&) = default;
};

// out_of_range ("range"): earliest over latest; missing ("range.latest_hash"): a zero.
Status check_range(const BlockRange& range);
Result<BlockRange> decode_range_update(Bytes bytes);
void encode_range_update(const BlockRange& range, std::vector<uint8_t>& out);

struct GetBlockHeaders {
  uint64_t request_id = 0;
  std::optional<Hash256> start_hash = std::nullopt;  // else the number
  uint64_t start_number = 0;
  uint64_t limit = 0;
  uint64_t skip = 0;
  bool reverse = false;

  static Result<GetBlockHeaders> decode(Bytes bytes);
  void encode(std::vector<uint8_t>& out) const;
  friend bool operator==(const GetBlockHeaders&, const GetBlockHeaders&) = default;
};

// GetBlockBodies, GetPooledTransactions, GetReceipts: hashes, at most kMaxHashes.
struct GetByHash {
  uint64_t request_id = 0;
  uint64_t first_receipt = 0;  // GetReceipts of eth/70
  std::vector<Hash256> hashes;

  static Result<GetByHash> decode(Bytes bytes, bool with_first_receipt = false);
  void encode(std::vector<uint8_t>& out, bool with_first_receipt = false) const;
  friend bool operator==(const GetByHash&, const GetByHash&) = default;
};

// BlockHeaders, BlockBodies, PooledTransactions, Receipts: the items as they came.
struct Answer {
  uint64_t request_id = 0;
  bool last_block_incomplete = false;  // Receipts of eth/70
  std::vector<Bytes> items;            // encodings, in the message
  Bytes list;                          // that they are in, with its header

  // too_long: more than `max_items`. What is inside an item is not looked at.
  static Result<Answer> decode(Bytes bytes, size_t max_items, bool with_incomplete = false);
};
// Writes what stands before `items` bytes of encoded items.
void begin_answer(uint64_t request_id, size_t items, std::vector<uint8_t>& out,
                  std::optional<bool> last_block_incomplete = std::nullopt);

// Transactions: opaque items, at most kMaxTransactions.
Result<std::vector<Bytes>> decode_transactions(Bytes bytes);

// NewPooledTransactionHashes (eth/68 on): three lists of one length, at most kMaxHashes.
struct PooledHashes {
  Bytes types;
  std::vector<uint64_t> sizes;
  std::vector<Hash256> hashes;

  // mismatch: lists of different lengths.
  static Result<PooledHashes> decode(Bytes bytes);
  void encode(std::vector<uint8_t>& out) const;
};

// A block's receipts in their consensus form, a list of [status, cumulative gas, bloom, logs],
// where typed ones are strings (type || list), and in that of eth/69 on, [type, status, cumulative
// gas, logs]. The bloom (Yellow Paper, 4.3.1) is left out in the one and computed for the other,
// which is what a receipts root is made of. Each appends; what a list of the other kind holds is
// not looked at, but addresses and topics.
Status to_slim_receipts(Bytes consensus, std::vector<uint8_t>& out);
Status to_slim_receipt(const rlp::Item& consensus, std::vector<uint8_t>& out);  // one of them
Status to_consensus_receipts(Bytes slim, std::vector<uint8_t>& out);

}  // namespace beamline::eth
