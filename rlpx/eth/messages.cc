#include "rlpx/eth/messages.h"

#include <cstring>

namespace beamline::eth {
namespace {

// The error of a Result, for one that has another type.
template <class T>
std::unexpected<Error> error_of(const Result<T>& result) {
  return std::unexpected(result.error());
}

Result<ForkId> read_fork_id(rlp::Reader& list) {
  auto item = list.list("fork_id");
  if (!item) return error_of(item);
  ForkId id;
  const auto hash = item->fixed("fork_id.hash", id.hash.size());
  if (!hash) return error_of(hash);
  std::memcpy(id.hash.data(), hash->data(), id.hash.size());
  const auto next = item->uint("fork_id.next");
  if (!next) return error_of(next);
  id.next = *next;
  return id;
}

Result<BlockRange> read_range(rlp::Reader& list) {
  const auto earliest = list.uint("range.earliest");
  if (!earliest) return error_of(earliest);
  const auto latest = list.uint("range.latest");
  if (!latest) return error_of(latest);
  const auto hash = list.hash("range.latest_hash");
  if (!hash) return error_of(hash);
  return BlockRange{*earliest, *latest, *hash};
}

void write_fork_id(const ForkId& id, rlp::Writer& writer) {
  const auto item = writer.begin_list();
  writer.string(id.hash);
  writer.uint(id.next);
  writer.end_list(item);
}

void write_range(const BlockRange& range, rlp::Writer& writer) {
  writer.uint(range.earliest);
  writer.uint(range.latest);
  writer.string(range.latest_hash.view());
}

Result<std::vector<Hash256>> read_hashes(rlp::Reader& list) {
  auto items = list.list("hashes");
  if (!items) return error_of(items);
  std::vector<Hash256> hashes;
  while (!items->at_end()) {
    if (hashes.size() == kMaxHashes) return bad_input(Code::too_long, "hashes", items->offset());
    const auto hash = items->hash("hashes");
    if (!hash) return error_of(hash);
    hashes.push_back(*hash);
  }
  return hashes;
}

void write_hashes(std::span<const Hash256> hashes, rlp::Writer& writer) {
  writer.list_header(hashes.size() * (Hash256::kSize + 1));
  for (const Hash256& hash : hashes) writer.string(hash.view());
}

Result<std::vector<Bytes>> read_items(rlp::Reader& list, size_t most) {
  std::vector<Bytes> items;
  while (!list.at_end()) {
    if (items.size() == most) return bad_input(Code::too_long, "items", list.offset());
    const auto item = list.next("items");
    if (!item) return error_of(item);
    items.push_back(item->encoding);
  }
  return items;
}

}  // namespace

const char* name(Message message) {
  switch (message) {
    case Message::status:
      return "Status";
    case Message::new_block_hashes:
      return "NewBlockHashes";
    case Message::transactions:
      return "Transactions";
    case Message::get_block_headers:
      return "GetBlockHeaders";
    case Message::block_headers:
      return "BlockHeaders";
    case Message::get_block_bodies:
      return "GetBlockBodies";
    case Message::block_bodies:
      return "BlockBodies";
    case Message::new_block:
      return "NewBlock";
    case Message::new_pooled_transaction_hashes:
      return "NewPooledTransactionHashes";
    case Message::get_pooled_transactions:
      return "GetPooledTransactions";
    case Message::pooled_transactions:
      return "PooledTransactions";
    case Message::get_receipts:
      return "GetReceipts";
    case Message::receipts:
      return "Receipts";
    case Message::block_range_update:
      return "BlockRangeUpdate";
  }
  return "unknown";
}

Result<StatusMessage> StatusMessage::decode(uint32_t version, Bytes bytes) {
  auto list = rlp::parse_list(bytes, "status");
  if (!list) return error_of(list);
  StatusMessage status;
  const auto named = list->uint("status.version", 4);
  if (!named) return error_of(named);
  status.version = static_cast<uint32_t>(*named);
  const auto network = list->uint("status.network_id");
  if (!network) return error_of(network);
  status.network_id = *network;
  if (version <= kEth68) {
    const auto difficulty = list->big_uint("status.total_difficulty");
    if (!difficulty) return error_of(difficulty);
    status.total_difficulty.assign(difficulty->begin(), difficulty->end());
    const auto head = list->hash("status.head");
    if (!head) return error_of(head);
    status.range.latest_hash = *head;
  }
  const auto genesis = list->hash("status.genesis");
  if (!genesis) return error_of(genesis);
  status.genesis = *genesis;
  const auto fork_id = read_fork_id(*list);
  if (!fork_id) return error_of(fork_id);
  status.fork_id = *fork_id;
  if (version > kEth68) {
    const auto range = read_range(*list);
    if (!range) return error_of(range);
    status.range = *range;
  }
  if (const Status end = list->finish("status"); !end) return std::unexpected(end.error());
  return status;
}

void StatusMessage::encode(std::vector<uint8_t>& out) const {
  rlp::Writer writer(out);
  const auto list = writer.begin_list();
  writer.uint(version);
  writer.uint(network_id);
  if (version <= kEth68) {
    writer.big_uint(total_difficulty);
    writer.string(range.latest_hash.view());
  }
  writer.string(genesis.view());
  write_fork_id(fork_id, writer);
  if (version > kEth68) write_range(range, writer);
  writer.end_list(list);
}

Status check_range(const BlockRange& range) {
  if (range.earliest > range.latest) return bad_input(Code::out_of_range, "range");
  if (range.latest_hash.is_zero()) return bad_input(Code::missing, "range.latest_hash");
  return {};
}

Result<BlockRange> decode_range_update(Bytes bytes) {
  auto list = rlp::parse_list(bytes, "range");
  if (!list) return error_of(list);
  auto range = read_range(*list);
  if (!range) return range;
  if (const Status end = list->finish("range"); !end) return std::unexpected(end.error());
  return range;
}

void encode_range_update(const BlockRange& range, std::vector<uint8_t>& out) {
  rlp::Writer writer(out);
  const auto list = writer.begin_list();
  write_range(range, writer);
  writer.end_list(list);
}

Result<GetBlockHeaders> GetBlockHeaders::decode(Bytes bytes) {
  auto outer = rlp::parse_list(bytes, "get_block_headers");
  if (!outer) return error_of(outer);
  GetBlockHeaders request;
  const auto id = outer->uint("request_id");
  if (!id) return error_of(id);
  request.request_id = *id;
  auto list = outer->list("query");
  if (!list) return error_of(list);
  const auto start = list->string("start", Hash256::kSize);
  if (!start) return error_of(start);
  if (start->size() == Hash256::kSize) {
    request.start_hash = Hash256::from(*start);
  } else {
    if (start->size() > 8) return bad_input(Code::too_long, "start");
    if (!start->empty() && start->front() == 0) return bad_input(Code::non_canonical, "start");
    for (const uint8_t byte : *start) request.start_number = request.start_number << 8 | byte;
  }
  const auto limit = list->uint("limit");
  if (!limit) return error_of(limit);
  request.limit = *limit;
  const auto skip = list->uint("skip");
  if (!skip) return error_of(skip);
  request.skip = *skip;
  const auto reverse = list->uint("reverse", 1);
  if (!reverse) return error_of(reverse);
  if (*reverse > 1) return bad_input(Code::out_of_range, "reverse", list->offset());
  request.reverse = *reverse == 1;
  if (const Status end = list->finish("query"); !end) return std::unexpected(end.error());
  if (const Status end = outer->finish("get_block_headers"); !end) {
    return std::unexpected(end.error());
  }
  return request;
}

void GetBlockHeaders::encode(std::vector<uint8_t>& out) const {
  rlp::Writer writer(out);
  const auto outer = writer.begin_list();
  writer.uint(request_id);
  const auto list = writer.begin_list();
  if (start_hash) {
    writer.string(start_hash->view());
  } else {
    writer.uint(start_number);
  }
  writer.uint(limit);
  writer.uint(skip);
  writer.uint(reverse ? 1 : 0);
  writer.end_list(list);
  writer.end_list(outer);
}

Result<GetByHash> GetByHash::decode(Bytes bytes, bool with_first_receipt) {
  auto list = rlp::parse_list(bytes, "request");
  if (!list) return error_of(list);
  GetByHash request;
  const auto id = list->uint("request_id");
  if (!id) return error_of(id);
  request.request_id = *id;
  if (with_first_receipt) {
    const auto first = list->uint("first_receipt");
    if (!first) return error_of(first);
    request.first_receipt = *first;
  }
  auto hashes = read_hashes(*list);
  if (!hashes) return error_of(hashes);
  request.hashes = std::move(*hashes);
  if (const Status end = list->finish("request"); !end) return std::unexpected(end.error());
  return request;
}

void GetByHash::encode(std::vector<uint8_t>& out, bool with_first_receipt) const {
  rlp::Writer writer(out);
  const auto list = writer.begin_list();
  writer.uint(request_id);
  if (with_first_receipt) writer.uint(first_receipt);
  write_hashes(hashes, writer);
  writer.end_list(list);
}

Result<Answer> Answer::decode(Bytes bytes, size_t max_items, bool with_incomplete) {
  auto list = rlp::parse_list(bytes, "answer");
  if (!list) return error_of(list);
  Answer answer;
  const auto id = list->uint("request_id");
  if (!id) return error_of(id);
  answer.request_id = *id;
  if (with_incomplete) {
    const auto flag = list->uint("last_block_incomplete", 1);
    if (!flag) return error_of(flag);
    if (*flag > 1) return bad_input(Code::out_of_range, "last_block_incomplete", list->offset());
    answer.last_block_incomplete = *flag == 1;
  }
  const size_t at = list->offset();
  auto inner = list->list("items");
  if (!inner) return error_of(inner);
  answer.list = bytes.subspan(at, list->offset() - at);
  auto items = read_items(*inner, max_items);
  if (!items) return error_of(items);
  answer.items = std::move(*items);
  if (const Status end = list->finish("answer"); !end) return std::unexpected(end.error());
  return answer;
}

void begin_answer(uint64_t request_id, size_t items, std::vector<uint8_t>& out,
                  std::optional<bool> last_block_incomplete) {
  rlp::Writer writer(out);
  const size_t flag = last_block_incomplete ? 1 : 0;
  writer.list_header(rlp::uint_size(request_id) + flag + rlp::list_size(items));
  writer.uint(request_id);
  if (last_block_incomplete) writer.uint(*last_block_incomplete ? 1 : 0);
  writer.list_header(items);
}

Result<std::vector<Bytes>> decode_transactions(Bytes bytes) {
  auto list = rlp::parse_list(bytes, "transactions");
  if (!list) return error_of(list);
  return read_items(*list, kMaxTransactions);
}

Result<PooledHashes> PooledHashes::decode(Bytes bytes) {
  auto list = rlp::parse_list(bytes, "pooled_hashes");
  if (!list) return error_of(list);
  PooledHashes announced;
  const auto types = list->string("types", kMaxHashes);
  if (!types) return error_of(types);
  announced.types = *types;
  auto sizes = list->list("sizes");
  if (!sizes) return error_of(sizes);
  while (!sizes->at_end() && announced.sizes.size() <= types->size()) {
    const auto size = sizes->uint("sizes", 4);
    if (!size) return error_of(size);
    announced.sizes.push_back(*size);
  }
  auto hashes = read_hashes(*list);
  if (!hashes) return error_of(hashes);
  announced.hashes = std::move(*hashes);
  if (announced.sizes.size() != types->size() || announced.hashes.size() != types->size()) {
    return bad_input(Code::mismatch, "pooled_hashes");
  }
  if (const Status end = list->finish("pooled_hashes"); !end) return std::unexpected(end.error());
  return announced;
}

void PooledHashes::encode(std::vector<uint8_t>& out) const {
  rlp::Writer writer(out);
  const auto list = writer.begin_list();
  writer.string(types);
  const auto inner = writer.begin_list();
  for (const uint64_t size : sizes) writer.uint(size);
  writer.end_list(inner);
  write_hashes(hashes, writer);
  writer.end_list(list);
}

}  // namespace beamline::eth
