#include "discovery/discv4_packet.h"

#include <cstring>

#include "base/check.h"
#include "crypto/keccak.h"

namespace beamline::discv4 {
namespace {

constexpr size_t kHashSize = 32;
constexpr size_t kSignatureSize = 65;

Result<Place> read_place(rlp::Reader& list, const char* field) {
  Result<rlp::Reader> items = list.list(field);
  if (!items) return std::unexpected(items.error());
  const Result<Bytes> address = items->string(field, 16);
  if (!address) return std::unexpected(address.error());
  const Result<uint64_t> udp = items->uint(field, 2);
  if (!udp) return std::unexpected(udp.error());
  const Result<uint64_t> tcp = items->uint(field, 2);
  if (!tcp) return std::unexpected(tcp.error());
  return Place{Endpoint::from_address(*address, static_cast<uint16_t>(*udp)),
               static_cast<uint16_t>(*tcp)};
}

// EIP-868's item, where another version of the protocol may have put something else.
std::optional<uint64_t> read_seq(rlp::Reader& list) {
  if (list.at_end()) return std::nullopt;
  const Result<uint64_t> seq = list.uint("discv4.enr_seq");
  if (!seq) return std::nullopt;
  return *seq;
}

Result<Message> read_ping(rlp::Reader& list) {
  Ping ping;
  const Result<uint64_t> version = list.uint("discv4.ping.version");
  if (!version) return std::unexpected(version.error());
  ping.version = *version;
  const Result<Place> from = read_place(list, "discv4.ping.from");
  if (!from) return std::unexpected(from.error());
  ping.from = *from;
  const Result<Place> to = read_place(list, "discv4.ping.to");
  if (!to) return std::unexpected(to.error());
  ping.to = *to;
  const Result<uint64_t> expiration = list.uint("discv4.expiration");
  if (!expiration) return std::unexpected(expiration.error());
  ping.expiration = *expiration;
  ping.enr_seq = read_seq(list);
  return ping;
}

Result<Message> read_pong(rlp::Reader& list) {
  Pong pong;
  const Result<Place> to = read_place(list, "discv4.pong.to");
  if (!to) return std::unexpected(to.error());
  pong.to = *to;
  const Result<Hash256> hash = list.hash("discv4.pong.ping_hash");
  if (!hash) return std::unexpected(hash.error());
  pong.ping_hash = *hash;
  const Result<uint64_t> expiration = list.uint("discv4.expiration");
  if (!expiration) return std::unexpected(expiration.error());
  pong.expiration = *expiration;
  pong.enr_seq = read_seq(list);
  return pong;
}

Result<Message> read_find_node(rlp::Reader& list) {
  FindNode message;
  const Result<Bytes> target = list.fixed("discv4.findnode.target", message.target.size());
  if (!target) return std::unexpected(target.error());
  std::memcpy(message.target.data(), target->data(), target->size());
  const Result<uint64_t> expiration = list.uint("discv4.expiration");
  if (!expiration) return std::unexpected(expiration.error());
  message.expiration = *expiration;
  return message;
}

Result<Message> read_neighbors(rlp::Reader& list) {
  const Result<rlp::Reader> nodes = list.list("discv4.neighbors.nodes");
  if (!nodes) return std::unexpected(nodes.error());
  const Result<uint64_t> expiration = list.uint("discv4.expiration");
  if (!expiration) return std::unexpected(expiration.error());
  return Neighbors{*nodes, *expiration};
}

Result<Message> read_enr_request(rlp::Reader& list) {
  const Result<uint64_t> expiration = list.uint("discv4.expiration");
  if (!expiration) return std::unexpected(expiration.error());
  return EnrRequest{*expiration};
}

Result<Message> read_enr_response(rlp::Reader& list) {
  const Result<Hash256> hash = list.hash("discv4.enr_response.request_hash");
  if (!hash) return std::unexpected(hash.error());
  const Result<rlp::Item> record = list.next("discv4.enr_response.record");
  if (!record) return std::unexpected(record.error());
  return EnrResponse{*hash, record->encoding};
}

Result<Message> read_message(uint8_t type, rlp::Reader& list) {
  switch (type) {
    case Ping::kType:
      return read_ping(list);
    case Pong::kType:
      return read_pong(list);
    case FindNode::kType:
      return read_find_node(list);
    case Neighbors::kType:
      return read_neighbors(list);
    case EnrRequest::kType:
      return read_enr_request(list);
    case EnrResponse::kType:
      return read_enr_response(list);
    default:
      return bad_input(Code::unsupported, "discv4.type", kHeadSize - 1);
  }
}

size_t place_payload(const Place& place) {
  return rlp::string_size(place.udp.address()) + rlp::uint_size(place.udp.port()) +
         rlp::uint_size(place.tcp_port);
}

void write_place(rlp::Writer& writer, const Place& place) {
  writer.list_header(place_payload(place));
  writer.string(place.udp.address());
  writer.uint(place.udp.port());
  writer.uint(place.tcp_port);
}

}  // namespace

RawKey raw_key(const secp256k1::PublicKey& key) {
  const auto whole = key.uncompressed();
  RawKey raw;
  std::memcpy(raw.data(), whole.data() + 1, raw.size());
  return raw;
}

Result<secp256k1::PublicKey> parse_raw_key(Bytes key) {
  std::array<uint8_t, secp256k1::kUncompressedSize> whole{4};
  if (key.size() != whole.size() - 1) return bad_input(Code::bad_key, "discv4.key");
  std::memcpy(whole.data() + 1, key.data(), key.size());
  return secp256k1::PublicKey::parse(whole);
}

Result<Neighbor> read_neighbor(rlp::Reader& nodes) {
  Result<rlp::Reader> items = nodes.list("discv4.neighbor");
  if (!items) return std::unexpected(items.error());
  const Result<Bytes> address = items->string("discv4.neighbor.ip", 16);
  if (!address) return std::unexpected(address.error());
  const Result<uint64_t> udp = items->uint("discv4.neighbor.udp", 2);
  if (!udp) return std::unexpected(udp.error());
  const Result<uint64_t> tcp = items->uint("discv4.neighbor.tcp", 2);
  if (!tcp) return std::unexpected(tcp.error());
  const Result<Bytes> key = items->fixed("discv4.neighbor.key", RawKey{}.size());
  if (!key) return std::unexpected(key.error());
  const Endpoint endpoint = Endpoint::from_address(*address, static_cast<uint16_t>(*udp));
  return Neighbor{{endpoint, static_cast<uint16_t>(*tcp)}, *key};
}

Result<Packet> read_packet(Bytes datagram) {
  if (datagram.size() <= kHeadSize) return bad_input(Code::truncated, "discv4.packet");
  if (datagram.size() > kMaxPacket) return bad_input(Code::too_long, "discv4.packet");
  const uint8_t type = datagram[kHeadSize - 1];
  if (type < Ping::kType || type > EnrResponse::kType) {
    // Not hashed: it is dropped, whatever it is.
    return bad_input(Code::unsupported, "discv4.type", kHeadSize - 1);
  }
  const Hash256 hash = keccak256(datagram.subspan(kHashSize));
  if (!equal(hash.view(), datagram.first(kHashSize))) {
    return bad_input(Code::bad_checksum, "discv4.hash");
  }
  Result<rlp::Reader> list = rlp::Reader(datagram.subspan(kHeadSize)).list("discv4.data");
  if (!list) return std::unexpected(list.error());
  const Result<Message> message = read_message(type, *list);
  if (!message) return std::unexpected(message.error());
  return Packet{hash, *message, datagram.subspan(kHashSize, kSignatureSize),
                datagram.subspan(kHashSize + kSignatureSize)};
}

Result<secp256k1::PublicKey> recover_sender(const Packet& packet) {
  secp256k1::RecoverableSignature signature;
  std::memcpy(signature.signature.bytes.data(), packet.signature.data(), 64);
  signature.recovery_id = packet.signature[64];
  return secp256k1::recover(keccak256(packet.signed_data), signature);
}

std::optional<uint64_t> expiration_of(const Message& message) {
  return std::visit(
      [](const auto& what) -> std::optional<uint64_t> {
        if constexpr (requires { what.expiration; }) {
          return what.expiration;
        } else {
          return std::nullopt;
        }
      },
      message);
}

void append(std::vector<uint8_t>& out, const Ping& message) {
  size_t payload = rlp::uint_size(message.version) + rlp::list_size(place_payload(message.from)) +
                   rlp::list_size(place_payload(message.to)) + rlp::uint_size(message.expiration);
  if (message.enr_seq) payload += rlp::uint_size(*message.enr_seq);
  rlp::Writer writer(out);
  writer.list_header(payload);
  writer.uint(message.version);
  write_place(writer, message.from);
  write_place(writer, message.to);
  writer.uint(message.expiration);
  if (message.enr_seq) writer.uint(*message.enr_seq);
}

void append(std::vector<uint8_t>& out, const Pong& message) {
  size_t payload = rlp::list_size(place_payload(message.to)) + 1 + Hash256::kSize +
                   rlp::uint_size(message.expiration);
  if (message.enr_seq) payload += rlp::uint_size(*message.enr_seq);
  rlp::Writer writer(out);
  writer.list_header(payload);
  write_place(writer, message.to);
  writer.string(message.ping_hash.view());
  writer.uint(message.expiration);
  if (message.enr_seq) writer.uint(*message.enr_seq);
}

void append(std::vector<uint8_t>& out, const FindNode& message) {
  rlp::Writer writer(out);
  writer.list_header(rlp::string_size(message.target) + rlp::uint_size(message.expiration));
  writer.string(message.target);
  writer.uint(message.expiration);
}

void append(std::vector<uint8_t>& out, const EnrRequest& message) {
  rlp::Writer writer(out);
  writer.list_header(rlp::uint_size(message.expiration));
  writer.uint(message.expiration);
}

void append(std::vector<uint8_t>& out, const EnrResponse& message) {
  rlp::Writer writer(out);
  writer.list_header(1 + Hash256::kSize + message.record.size());
  writer.string(message.request_hash.view());
  writer.raw(message.record);
}

void append_neighbor(std::vector<uint8_t>& out, const Place& place, const RawKey& key) {
  rlp::Writer writer(out);
  writer.list_header(place_payload(place) + rlp::string_size(key));
  writer.string(place.udp.address());
  writer.uint(place.udp.port());
  writer.uint(place.tcp_port);
  writer.string(key);
}

void append_neighbors(std::vector<uint8_t>& out, Bytes items, uint64_t expiration) {
  rlp::Writer writer(out);
  writer.list_header(rlp::list_size(items.size()) + rlp::uint_size(expiration));
  writer.list_header(items.size());
  writer.raw(items);
  writer.uint(expiration);
}

Sealed seal_packet(MutableBytes out, uint8_t type, Bytes data, const secp256k1::SecretKey& key) {
  const size_t size = kHeadSize + data.size();
  BL_CHECK(size <= out.size() && size <= kMaxPacket);
  out[kHeadSize - 1] = type;
  if (!data.empty()) std::memcpy(out.data() + kHeadSize, data.data(), data.size());
  const Bytes packet = out.first(size);
  const auto signature =
      key.sign_recoverable(keccak256(packet.subspan(kHashSize + kSignatureSize)));
  std::memcpy(out.data() + kHashSize, signature.signature.bytes.data(), 64);
  out[kHashSize + 64] = signature.recovery_id;
  const Hash256 hash = keccak256(packet.subspan(kHashSize));
  std::memcpy(out.data(), hash.bytes.data(), kHashSize);
  return {size, hash};
}

}  // namespace beamline::discv4
