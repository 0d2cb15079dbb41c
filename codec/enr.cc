#include "codec/enr.h"

#include <algorithm>

#include "base/check.h"
#include "codec/base64url.h"
#include "codec/rlp.h"
#include "crypto/keccak.h"

namespace beamline {
namespace {

constexpr std::string_view kPrefix = "enr:";
constexpr std::string_view kScheme = "v4";
constexpr size_t kSignatureSize = 64;

struct Keys {
  const char* address;
  const char* port;
};

Keys keys_of(Enr::Transport transport, Enr::Family family) {
  constexpr Keys kAll[3][2] = {{{"ip", "tcp"}, {"ip6", "tcp6"}},
                               {{"ip", "udp"}, {"ip6", "udp6"}},
                               {{"ip", "quic"}, {"ip6", "quic6"}}};
  return kAll[static_cast<size_t>(transport)][static_cast<size_t>(family)];
}

// Keys are unique and sorted as bytes.
Status check_order(rlp::Reader pairs) {
  std::optional<Bytes> before;
  while (!pairs.at_end()) {
    const size_t at = pairs.offset();
    const Result<Bytes> key = pairs.string("enr.key");
    if (!key) return std::unexpected(key.error());
    if (before) {
      const auto order = std::lexicographical_compare_three_way(before->begin(), before->end(),
                                                                key->begin(), key->end());
      if (order == 0) return bad_input(Code::duplicate, "enr.key", at);
      if (order > 0) return bad_input(Code::unsorted, "enr.key", at);
    }
    before = *key;
    const size_t value_at = pairs.offset();
    const Result<rlp::Item> value = pairs.next("enr.value");
    if (!value) return std::unexpected(value.error());
    if (!value->is_list) continue;
    if (const Status status = rlp::verify(value->encoding, "enr.value"); !status) {
      return bad_input(status.error().code, "enr.value", value_at + status.error().offset);
    }
  }
  return {};
}

std::optional<rlp::Item> find(Bytes pairs, std::string_view wanted) {
  rlp::Reader reader(pairs);
  while (!reader.at_end()) {
    const Result<Bytes> key = reader.string("enr.key");
    const Result<rlp::Item> value = reader.next("enr.value");
    if (!key || !value) return std::nullopt;
    if (as_text(*key) == wanted) return *value;
  }
  return std::nullopt;
}

Result<secp256k1::PublicKey> identity_of(Bytes pairs) {
  const std::optional<rlp::Item> id = find(pairs, "id");
  if (!id) return bad_input(Code::missing, "enr.id");
  if (id->is_list || as_text(id->payload) != kScheme) return bad_input(Code::bad_version, "enr.id");
  const std::optional<rlp::Item> key = find(pairs, "secp256k1");
  if (!key) return bad_input(Code::missing, "enr.secp256k1");
  if (key->is_list || key->payload.size() != secp256k1::kCompressedSize) {
    return bad_input(Code::bad_key, "enr.secp256k1");
  }
  return secp256k1::PublicKey::parse(key->payload);
}

// The hash that is signed: of the list of sequence number, keys and values.
Hash256 content_hash(Bytes content) {
  std::vector<uint8_t> header;
  rlp::Writer(header).list_header(content.size());
  return keccak256(header, content);
}

}  // namespace

NodeId node_id_of(const secp256k1::PublicKey& key) {
  return keccak256(Bytes(key.uncompressed()).subspan(1));
}

Result<Enr> Enr::decode(Bytes record) {
  if (record.size() > kMaxSize) return bad_input(Code::too_long, "enr", kMaxSize);
  Result<rlp::Reader> list = rlp::parse_list(record, "enr");
  if (!list) return std::unexpected(list.error());
  const Result<Bytes> signature = list->fixed("enr.signature", kSignatureSize);
  if (!signature) return std::unexpected(signature.error());
  const size_t content_at = list->offset();
  const Result<uint64_t> seq = list->uint("enr.seq");
  if (!seq) return std::unexpected(seq.error());
  const size_t pairs_at = list->offset();
  if (const Status status = check_order(*list); !status) return std::unexpected(status.error());
  const Result<secp256k1::PublicKey> key = identity_of(record.subspan(pairs_at));
  if (!key) return std::unexpected(key.error());
  Enr enr(*key);
  enr.bytes_.assign(record.begin(), record.end());
  enr.seq_ = *seq;
  enr.content_at_ = content_at;
  enr.pairs_at_ = pairs_at;
  enr.node_id_ = node_id_of(*key);
  return enr;
}

Result<Enr> Enr::decode_text(std::string_view text) {
  if (!text.starts_with(kPrefix)) return bad_input(Code::bad_encoding, "enr.text");
  const Result<std::vector<uint8_t>> record =
      parse_base64url(text.substr(kPrefix.size()), kMaxSize);
  if (!record) {
    return bad_input(record.error().code, "enr.text", kPrefix.size() + record.error().offset);
  }
  return decode(*record);
}

Result<Enr> Enr::parse(Bytes record) {
  Result<Enr> enr = decode(record);
  if (!enr) return enr;
  if (const Status status = enr->verify(); !status) return std::unexpected(status.error());
  return enr;
}

Result<Enr> Enr::parse_text(std::string_view text) {
  Result<Enr> enr = decode_text(text);
  if (!enr) return enr;
  if (const Status status = enr->verify(); !status) return std::unexpected(status.error());
  return enr;
}

Status Enr::verify() const {
  const Bytes content = Bytes(bytes_).subspan(content_at_);
  const Bytes raw = Bytes(bytes_).subspan(content_at_ - kSignatureSize, kSignatureSize);
  const Result<secp256k1::Signature> signature = secp256k1::Signature::parse_compact(raw);
  if (!signature) return bad_input(signature.error().code, "enr.signature");
  if (!secp256k1::verify(key_, content_hash(content), *signature)) {
    return bad_input(Code::bad_signature, "enr.signature");
  }
  return {};
}

std::string Enr::to_text() const { return std::string(kPrefix) + to_base64url(bytes_); }

std::optional<Bytes> Enr::item(std::string_view key) const {
  const std::optional<rlp::Item> found = find(pairs(), key);
  if (!found) return std::nullopt;
  return found->encoding;
}

std::optional<Bytes> Enr::value(std::string_view key) const {
  const std::optional<rlp::Item> found = find(pairs(), key);
  if (!found || found->is_list) return std::nullopt;
  return found->payload;
}

std::optional<uint64_t> Enr::integer(std::string_view key) const {
  const std::optional<Bytes> encoding = item(key);
  if (!encoding) return std::nullopt;
  const Result<uint64_t> number = rlp::Reader(*encoding).uint("enr.value");
  if (!number) return std::nullopt;
  return *number;
}

template <size_t kSize>
std::optional<std::array<uint8_t, kSize>> Enr::array(std::string_view key) const {
  const std::optional<Bytes> bytes = value(key);
  if (!bytes || bytes->size() != kSize) return std::nullopt;
  std::array<uint8_t, kSize> out;
  std::ranges::copy(*bytes, out.begin());
  return out;
}

std::optional<std::array<uint8_t, 16>> Enr::eth2() const { return array<16>("eth2"); }
std::optional<std::array<uint8_t, 8>> Enr::attnets() const { return array<8>("attnets"); }
std::optional<std::array<uint8_t, 1>> Enr::syncnets() const { return array<1>("syncnets"); }

std::optional<ForkDigest> Enr::nfd() const {
  const auto bytes = array<4>("nfd");
  if (!bytes) return std::nullopt;
  return ForkDigest{*bytes};
}

bool Enr::is_aggregator() const { return integer("is_aggregator") == 1; }

std::optional<Endpoint> Enr::endpoint(Transport transport, Family family) const {
  const Keys keys = keys_of(transport, family);
  const std::optional<Bytes> address = value(keys.address);
  if (!address || address->size() != (family == Family::ip4 ? 4u : 16u)) return std::nullopt;
  std::optional<uint64_t> port = integer(keys.port);
  // enr.md: without tcp6 and udp6, tcp and udp apply to both addresses.
  if (!item(keys.port) && family == Family::ip6 && transport != Transport::quic) {
    port = integer(keys_of(transport, Family::ip4).port);
  }
  if (!port || *port == 0 || *port > UINT16_MAX) return std::nullopt;
  return Endpoint::from_address(*address, static_cast<uint16_t>(*port));
}

EnrBuilder::EnrBuilder(const Enr& record) {
  seq_ = std::nullopt;
  if (record.seq() != UINT64_MAX) seq_ = record.seq() + 1;
  rlp::Reader list = rlp::parse_list(record.bytes(), "enr").value();
  BL_CHECK(list.next("enr.signature") && list.next("enr.seq"));
  while (!list.at_end()) {
    const Bytes key = list.string("enr.key").value();
    set_item(as_text(key), list.next("enr.value")->encoding);
  }
}

EnrBuilder& EnrBuilder::set_item(std::string_view key, Bytes item) {
  BL_CHECK(rlp::verify(item, "enr.value"));
  items_[std::string(key)].assign(item.begin(), item.end());
  return *this;
}

EnrBuilder& EnrBuilder::set(std::string_view key, Bytes value) {
  std::vector<uint8_t> item;
  rlp::Writer(item).string(value);
  return set_item(key, item);
}

EnrBuilder& EnrBuilder::set_integer(std::string_view key, uint64_t value) {
  std::vector<uint8_t> item;
  rlp::Writer(item).uint(value);
  return set_item(key, item);
}

EnrBuilder& EnrBuilder::remove(std::string_view key) {
  if (const auto found = items_.find(key); found != items_.end()) items_.erase(found);
  return *this;
}

EnrBuilder& EnrBuilder::set_endpoint(Enr::Transport transport, const Endpoint& endpoint) {
  BL_CHECK(!endpoint.empty());
  const Keys keys =
      keys_of(transport, endpoint.family() == AF_INET ? Enr::Family::ip4 : Enr::Family::ip6);
  return set(keys.address, endpoint.address()).set_integer(keys.port, endpoint.port());
}

EnrBuilder& EnrBuilder::set_seq(uint64_t seq) {
  seq_ = seq;
  return *this;
}

Result<Enr> EnrBuilder::sign(const secp256k1::SecretKey& key) const {
  if (!seq_) return local_error(Code::out_of_range, "enr.seq");
  EnrBuilder whole = *this;
  whole.set("id", as_bytes(kScheme)).set("secp256k1", key.public_key().compressed());
  std::vector<uint8_t> content;
  rlp::Writer writer(content);
  writer.uint(*seq_);
  for (const auto& [name, item] : whole.items_) {
    writer.text(name);
    writer.raw(item);
  }
  const secp256k1::Signature signature = key.sign(content_hash(content));
  std::vector<uint8_t> record;
  rlp::Writer out(record);
  out.list_header(rlp::string_size(signature.bytes) + content.size());
  out.string(signature.bytes);
  out.raw(content);
  if (record.size() > Enr::kMaxSize) return local_error(Code::too_long, "enr");
  return Enr::decode(record);
}

}  // namespace beamline
