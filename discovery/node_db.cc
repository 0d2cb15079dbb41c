#include "discovery/node_db.h"

#include <algorithm>

#include "base/check.h"
#include "codec/crc32c.h"
#include "discovery/ip_limits.h"

namespace beamline::discovery {
namespace {

constexpr char kMagic[] = "BLND";
constexpr size_t kHeader = 12;
constexpr size_t kTrailer = 4;
// id, key, family, address, two ports, protocols, time, length of the record
constexpr size_t kFixed = 32 + 64 + 1 + 16 + 2 + 2 + 1 + 8 + 2;

template <class Value>
void append(std::vector<uint8_t>& out, Value value) {
  for (size_t i = 0; i < sizeof(Value); ++i) {
    out.push_back(static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i)));
  }
}

void append_bytes(std::vector<uint8_t>& out, Bytes bytes) {
  const size_t at = out.size();
  out.resize(at + bytes.size());
  if (!bytes.empty()) std::memcpy(out.data() + at, bytes.data(), bytes.size());
}

// Little-endian, from a place whose size was checked.
template <class Value>
Value load(const uint8_t* from) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(Value); ++i) value |= uint64_t{from[i]} << (8 * i);
  return static_cast<Value>(value);
}

void append_node(std::vector<uint8_t>& out, const NodeRecord& record, WallTime last_pong) {
  append<uint16_t>(out, static_cast<uint16_t>(kFixed + record.enr.size()));
  append_bytes(out, record.id.view());
  append_bytes(out, record.key);
  const Bytes address = record.udp.address();
  append<uint8_t>(out, address.size() == 16 ? 6 : 4);
  append_bytes(out, address);
  out.resize(out.size() + 16 - address.size());
  append<uint16_t>(out, record.udp.port());
  append<uint16_t>(out, record.tcp_port);
  append<uint8_t>(out, record.protocols);
  append<int64_t>(out, last_pong.ns);
  append<uint16_t>(out, static_cast<uint16_t>(record.enr.size()));
  append_bytes(out, record.enr.bytes());
}

struct Stored {
  NodeRecord record;
  WallTime last_pong;
};

Result<Stored> parse_node(Bytes bytes, size_t offset) {
  const auto wrong = [offset](Code code, const char* field) {
    return std::unexpected(Error{field, static_cast<uint32_t>(offset), code, Fault::local});
  };
  if (bytes.size() < kFixed) return wrong(Code::truncated, "node_db.node");
  const uint8_t* at = bytes.data();
  NodeRecord record;
  record.id = NodeId::load(at);
  std::copy_n(at + 32, 64, record.key.begin());
  const uint8_t family = at[96];
  if (family != 4 && family != 6) return wrong(Code::out_of_range, "node_db.family");
  const Bytes address(at + 97, family == 6 ? 16 : 4);
  record.udp = Endpoint::from_address(address, load<uint16_t>(at + 113));
  record.tcp_port = load<uint16_t>(at + 115);
  record.protocols = at[117];
  const WallTime last_pong{load<int64_t>(at + 118)};
  const size_t size = load<uint16_t>(at + 126);
  if (size != bytes.size() - kFixed) return wrong(Code::out_of_range, "node_db.record");
  if (!is_usable(record.udp)) return wrong(Code::out_of_range, "node_db.address");
  if (size == 0) return Stored{record, last_pong};
  const auto enr = Enr::decode(bytes.subspan(kFixed));
  if (!enr || enr->node_id() != record.id) return wrong(Code::out_of_range, "node_db.record");
  NodeRecord told = record_of(*enr);
  told.udp = record.udp;  // where it answered
  told.protocols = record.protocols;
  if (told.tcp_port == 0) told.tcp_port = record.tcp_port;
  return Stored{told, last_pong};
}

}  // namespace

NodeDb::NodeDb(const Config& config, Rng& rng) : config_(config), index_(rng) {
  BL_CHECK(config_.capacity > 0 && config_.capacity <= kMaxNodes);
}

uint32_t NodeDb::slot_of(const NodeId& id) const {
  return index_.find(id, [this](uint32_t slot) -> const NodeId& { return nodes_[slot].record.id; });
}

void NodeDb::unlink(uint32_t slot) {
  const Node& node = nodes_[slot];
  (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
  (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
}

void NodeDb::link_newest(uint32_t slot) {
  nodes_[slot].older = newest_;
  nodes_[slot].newer = kNone;
  (newest_ == kNone ? oldest_ : nodes_[newest_].newer) = slot;
  newest_ = slot;
}

void NodeDb::erase(uint32_t slot) {
  unlink(slot);
  index_.erase(nodes_[slot].record.id, slot);
  nodes_[slot] = Node{};
  free_.push_back(slot);
}

void NodeDb::store(const NodeRecord& record, Now now) {
  if (!is_usable(record.udp) || record.enr.size() > Enr::kMaxSize) return;
  put(record, now.wall);
  ++stats_.stored;
}

void NodeDb::put(const NodeRecord& record, WallTime last_pong) {
  if (const uint32_t known = slot_of(record.id); known != kNone) {
    Node& node = nodes_[known];
    if (record.seq >= node.record.seq) node.record = record;
    node.last_pong = last_pong;
    unlink(known);
    link_newest(known);
    return;
  }
  if (size() == config_.capacity) {
    ++stats_.displaced;
    erase(oldest_);
  }
  uint32_t slot = static_cast<uint32_t>(nodes_.size());
  if (free_.empty()) {
    nodes_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  nodes_[slot].record = record;
  nodes_[slot].last_pong = last_pong;
  link_newest(slot);
  index_.insert(record.id, slot);
}

void NodeDb::remove(const NodeId& id) {
  const uint32_t slot = slot_of(id);
  if (slot == kNone) return;
  ++stats_.removed;
  erase(slot);
}

void NodeDb::expire(Now now) {
  for (uint32_t slot = oldest_; slot != kNone;) {
    const uint32_t next = nodes_[slot].newer;
    if (nodes_[slot].last_pong + config_.max_age < now.wall) {
      ++stats_.expired;
      erase(slot);
    }
    slot = next;
  }
}

std::vector<NodeRecord> NodeDb::seeds(Now now, Rng& rng) const {
  std::vector<uint32_t> good;
  good.reserve(size());
  for (uint32_t slot = oldest_; slot != kNone; slot = nodes_[slot].newer) {
    if (nodes_[slot].last_pong + config_.max_age >= now.wall) good.push_back(slot);
  }
  shuffle(std::span(good), rng);
  std::vector<NodeRecord> out;
  for (size_t i = 0; i < std::min(good.size(), config_.seeds); ++i) {
    out.push_back(nodes_[good[i]].record);
  }
  return out;
}

std::vector<uint8_t> NodeDb::encode() const {
  std::vector<uint8_t> out;
  out.reserve(kHeader + size() * (kFixed + 2 + Enr::kMaxSize) + kTrailer);
  append_bytes(out, as_bytes(std::string_view(kMagic, 4)));
  append<uint16_t>(out, kVersion);
  append<uint16_t>(out, 0);
  append<uint32_t>(out, static_cast<uint32_t>(size()));
  for (uint32_t slot = oldest_; slot != kNone; slot = nodes_[slot].newer) {
    append_node(out, nodes_[slot].record, nodes_[slot].last_pong);
  }
  append<uint32_t>(out, crc32c(out));
  return out;
}

Status NodeDb::decode(Bytes bytes, Now now) {
  if (bytes.size() > kMaxBytes) return local_error(Code::too_long, "node_db");
  if (bytes.size() < kHeader + kTrailer) return local_error(Code::truncated, "node_db");
  if (!equal(bytes.first(4), as_bytes(std::string_view(kMagic, 4)))) {
    return local_error(Code::bad_encoding, "node_db.magic");
  }
  if (load<uint16_t>(&bytes[4]) != kVersion) return local_error(Code::bad_version, "node_db");
  const Bytes body = bytes.first(bytes.size() - kTrailer);
  if (crc32c(body) != load<uint32_t>(&bytes[body.size()])) {
    return local_error(Code::bad_checksum, "node_db");
  }
  const size_t count = load<uint32_t>(&bytes[8]);
  if (count > kMaxNodes) return local_error(Code::too_long, "node_db.count");
  std::vector<Stored> stored;
  size_t at = kHeader;
  for (size_t i = 0; i < count; ++i) {
    if (body.size() - at < 2) return local_error(Code::truncated, "node_db.node");
    const size_t size = load<uint16_t>(&body[at]);
    at += 2;
    if (body.size() - at < size) return local_error(Code::truncated, "node_db.node");
    auto node = parse_node(body.subspan(at, size), at);
    if (!node) return std::unexpected(node.error());
    stored.push_back(*std::move(node));
    at += size;
  }
  if (at != body.size()) return local_error(Code::trailing, "node_db");
  while (oldest_ != kNone) erase(oldest_);
  for (const Stored& node : stored) put(node.record, std::min(node.last_pong, now.wall));
  return {};
}

}  // namespace beamline::discovery
