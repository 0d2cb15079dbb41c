#include "node/host_records.h"

#include <algorithm>
#include <iterator>

#include "chain/record.h"
#include "crypto/sha256.h"

namespace beamline::node {
namespace {

constexpr uint8_t kVersion = 1;  // of the format, in the head's record
constexpr uint8_t kBlock = 'b';
constexpr uint8_t kState = 's';
constexpr uint8_t kVote = 'v';
constexpr std::string_view kHead = "mhead";
constexpr std::string_view kJustified = "mjustified";
constexpr std::string_view kFinalized = "mfinalized";
constexpr size_t kChecksum = 8;

std::vector<uint8_t> key_of(uint8_t kind, const Root& root) {
  chain::RecordWriter key;
  key.u8(kind);
  key.root(root);
  return std::move(key.out);
}
std::vector<uint8_t> key_of(uint8_t kind, uint64_t number) {
  chain::RecordWriter key;
  key.u8(kind);
  key.u64(number);
  return std::move(key.out);
}
std::vector<uint8_t> key_of(std::string_view name) {
  const Bytes bytes = as_bytes(name);
  return {bytes.begin(), bytes.end()};
}

Bytes checksum(const Hash256& hash) { return Bytes(hash.bytes).first(kChecksum); }

class Records {
 public:
  void put(std::vector<uint8_t> key, chain::RecordWriter&& value) {
    value.bytes(checksum(sha256(key, value.out)));
    out.push_back({std::move(key), std::move(value.out)});
  }
  void put(std::vector<uint8_t> key, Bytes value) {
    chain::RecordWriter writer;
    writer.out.reserve(value.size() + kChecksum);
    writer.bytes(value);
    put(std::move(key), std::move(writer));
  }
  void put(std::string_view name, const chain::Checkpoint& checkpoint) {
    chain::RecordWriter writer;
    writer.checkpoint(checkpoint);
    put(key_of(name), std::move(writer));
  }
  void erase(std::vector<uint8_t> key) { out.push_back({std::move(key), {}}); }
  std::vector<HostRecord> out;
};

void put_block(Records& records, const chain::StoredBlock& stored) {
  chain::RecordWriter value;
  const std::vector<uint8_t> header = chain::encode_header(stored);
  const SharedBytes& body = stored.block.signed_bytes;
  value.out.reserve(4 + header.size() + body.size() + kChecksum);
  value.sized(header);
  value.bytes(body);
  records.put(key_of(kBlock, stored.block.root), std::move(value));
}

}  // namespace

std::vector<HostRecord> host_records(const chain::Persist& persist, const Root& anchor) {
  Records records;
  for (const chain::StoredBlock& stored : persist.blocks) put_block(records, stored);
  for (const auto& [root, state] : persist.states) records.put(key_of(kState, root), state);
  // What is archived is for reading, and nothing is read from a host.
  for (const std::vector<Root>* gone : {&persist.erased, &persist.archived}) {
    for (const Root& root : *gone) {
      records.erase(key_of(kBlock, root));
      records.erase(key_of(kState, root));
    }
  }
  for (const Root& root : persist.dropped_states) records.erase(key_of(kState, root));
  for (const chain::PolicyRecord& record : persist.records) {
    const auto key = key_of(kVote, record.key);
    record.bytes.empty() ? records.erase(key) : records.put(key, record.bytes);
  }
  if (persist.head) {
    chain::RecordWriter head;
    head.u8(kVersion);
    head.root(anchor);
    head.root(persist.head->root);
    head.u64(persist.head->slot);
    records.put(key_of(kHead), std::move(head));
  }
  if (persist.justified) records.put(kJustified, *persist.justified);
  if (persist.finalized) records.put(kFinalized, *persist.finalized);
  return std::move(records.out);
}

chain::Persist begin_store(const chain::StoreAnchor& anchor, chain::Persist&& first) {
  chain::Persist begun = chain::first_persist(anchor);
  std::move(begun.blocks.begin(), begun.blocks.end(),
            std::inserter(first.blocks, first.blocks.begin()));
  std::move(begun.states.begin(), begun.states.end(),
            std::inserter(first.states, first.states.begin()));
  if (!first.head) first.head = begun.head;
  if (!first.justified) first.justified = begun.justified;
  if (!first.finalized) first.finalized = begun.finalized;
  return std::move(first);
}

Status HostRecords::add(Bytes key, Bytes value) {
  if (value.size() < kChecksum) return local_error(Code::truncated, "store record");
  const Bytes bytes = value.first(value.size() - kChecksum);
  if (!equal(checksum(sha256(key, bytes)), value.last(kChecksum))) {
    return local_error(Code::bad_checksum, "store record");
  }
  ++records_;
  for (const auto& [name, checkpoint] :
       {std::pair{kJustified, &justified_}, std::pair{kFinalized, &finalized_}}) {
    if (!equal(key, as_bytes(name))) continue;
    if (*checkpoint) return local_error(Code::duplicate, "store record");
    chain::RecordReader in(bytes);
    *checkpoint = in.checkpoint();
    return in.end();
  }
  if (equal(key, as_bytes(kHead))) return add_head(bytes);
  chain::RecordReader in(key);
  const uint8_t kind = in.u8();
  const bool numbered = kind == kVote;
  const uint64_t number = numbered ? in.u64() : 0;
  const Root root = numbered ? Root{} : in.root();
  if (!in.end()) return local_error(Code::bad_encoding, "store key");
  if (kind == kBlock) return add_block(root, bytes);
  if (kind == kState) return add_state(root, bytes);
  if (numbered) return add_vote(number, bytes);
  return local_error(Code::bad_encoding, "store key");
}

Status HostRecords::add_head(Bytes value) {
  if (head_) return local_error(Code::duplicate, "store record");
  chain::RecordReader in(value);
  if (in.u8() != kVersion) return local_error(Code::bad_version, "store record");
  Head head;
  head.anchor = in.root();
  head.tip.root = in.root();
  head.tip.slot = in.u64();
  head_ = head;
  return in.end();
}

Status HostRecords::add_block(const Root& root, Bytes value) {
  if (blocks_.size() >= limits_.blocks) return local_error(Code::full, "store blocks");
  chain::RecordReader in(value);
  auto stored = chain::decode_header(in.sized());
  const Bytes body = in.rest();
  if (Status end = in.end(); !end) return end;
  if (!stored) return std::unexpected(stored.error());
  if (stored->block.root != root) return local_error(Code::mismatch, "store block");
  const Slot slot = stored->block.slot;
  const auto [it, fresh] = blocks_.emplace(root, *std::move(stored));
  if (!fresh) return local_error(Code::duplicate, "store record");
  if (body.empty() || body.size() > limits_.block_bytes) return {};
  it->second.block.signed_bytes = SharedBytes::copy(body);
  bodies_.emplace(slot, root);
  block_bytes_ += body.size();
  while (block_bytes_ > limits_.block_bytes) {
    SharedBytes& lowest = blocks_.at(bodies_.begin()->second).block.signed_bytes;
    block_bytes_ -= lowest.size();
    lowest = {};
    bodies_.erase(bodies_.begin());
  }
  return {};
}

Status HostRecords::add_state(const Root& root, Bytes value) {
  if (value.size() > limits_.state_bytes - state_bytes_) {
    return local_error(Code::full, "store states");
  }
  if (!states_.emplace(root, SharedBytes::copy(value)).second) {
    return local_error(Code::duplicate, "store record");
  }
  state_bytes_ += value.size();
  return {};
}

Status HostRecords::add_vote(uint64_t number, Bytes value) {
  if (votes_.size() >= limits_.votes || value.size() > limits_.vote_bytes - vote_bytes_) {
    return local_error(Code::full, "store votes");
  }
  if (!votes_.emplace(number, SharedBytes::copy(value)).second) {
    return local_error(Code::duplicate, "store record");
  }
  vote_bytes_ += value.size();
  return {};
}

Result<chain::Recovered> HostRecords::open(const chain::StoreAnchor& anchor) {
  if (!head_ || !justified_ || !finalized_) return local_error(Code::missing, "store head");
  if (head_->anchor != anchor.block.root) return local_error(Code::mismatch, "store anchor");
  auto found = chain::connect(std::exchange(blocks_, {}), head_->tip);
  if (!found) return found;
  found->justified = *justified_;
  found->finalized = *finalized_;
  found->oldest = found->anchor.block.slot;
  for (auto& [number, bytes] : votes_) found->records.push_back({number, std::move(bytes)});
  votes_.clear();
  return found;
}

Result<std::optional<SharedBytes>> HostRecords::state(const Root& block) {
  const auto it = states_.find(block);
  if (it == states_.end()) return std::nullopt;
  return it->second;
}

Status HostRecords::apply(const chain::Persist&) {
  return local_error(Code::not_supported, "host");
}
Status HostRecords::sync() { return local_error(Code::not_supported, "host"); }
Result<std::optional<Root>> HostRecords::canonical(Slot) {
  return local_error(Code::not_supported, "host");
}
Result<std::optional<chain::ReadBlock>> HostRecords::block(const Root&) {
  return local_error(Code::not_supported, "host");
}
Result<std::vector<std::pair<Slot, Root>>> HostRecords::canonical_range(Slot, Slot, size_t) {
  return local_error(Code::not_supported, "host");
}

}  // namespace beamline::node
