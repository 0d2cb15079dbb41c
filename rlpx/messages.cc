#include "rlpx/messages.h"

#include <cstring>

#include "codec/rlp.h"

namespace beamline::rlpx {
namespace {

// Decodes [name, version]; further items are ignored.
Result<Hello::Offer> decode_offer(rlp::Reader item) {
  const auto text = item.string("hello.capabilities.name");
  if (!text) return std::unexpected(text.error());
  const auto version = item.uint("hello.capabilities.version");
  if (!version) return std::unexpected(version.error());
  if (text->size() > kMaxCapabilityName) return Hello::Offer{};
  return Hello::Offer{std::string(as_text(*text)), *version};
}

}  // namespace

const char* name(DisconnectReason reason) {
  switch (reason) {
    case DisconnectReason::requested:
      return "requested";
    case DisconnectReason::tcp_error:
      return "network error";
    case DisconnectReason::breach_of_protocol:
      return "breach of protocol";
    case DisconnectReason::useless_peer:
      return "useless peer";
    case DisconnectReason::too_many_peers:
      return "too many peers";
    case DisconnectReason::already_connected:
      return "already connected";
    case DisconnectReason::incompatible_version:
      return "incompatible version";
    case DisconnectReason::null_identity:
      return "null identity";
    case DisconnectReason::quitting:
      return "quitting";
    case DisconnectReason::unexpected_identity:
      return "unexpected identity";
    case DisconnectReason::self:
      return "connected to itself";
    case DisconnectReason::ping_timeout:
      return "ping timeout";
    case DisconnectReason::subprotocol_error:
      return "subprotocol error";
  }
  return "unknown";
}

NodeId node_id(const secp256k1::PublicKey& key) {
  const auto point = key.uncompressed();
  NodeId id;
  std::memcpy(id.data(), point.data() + 1, id.size());
  return id;
}

Result<Hello> Hello::decode(Bytes bytes) {
  if (bytes.size() > kMaxBaseMessage) return bad_input(Code::too_long, "hello", bytes.size());
  auto list = rlp::parse_list(bytes, "hello");
  if (!list) return std::unexpected(list.error());
  Hello hello;
  const auto version = list->uint("hello.version");
  if (!version) return std::unexpected(version.error());
  hello.version = *version;
  const auto client = list->string("hello.client_id");
  if (!client) return std::unexpected(client.error());
  hello.client_id = as_text(*client);
  auto capabilities = list->list("hello.capabilities");
  if (!capabilities) return std::unexpected(capabilities.error());
  while (!capabilities->at_end()) {
    const auto item = capabilities->list("hello.capabilities");
    if (!item) return std::unexpected(item.error());
    auto offer = decode_offer(*item);
    if (!offer) return std::unexpected(offer.error());
    if (!offer->name.empty()) hello.capabilities.push_back(std::move(*offer));
  }
  const auto port = list->uint("hello.listen_port");
  if (!port) return std::unexpected(port.error());
  hello.listen_port = *port <= UINT16_MAX ? static_cast<uint16_t>(*port) : uint16_t{0};
  const auto id = list->fixed("hello.node_id", hello.id.size());
  if (!id) return std::unexpected(id.error());
  std::memcpy(hello.id.data(), id->data(), hello.id.size());
  return hello;
}

void Hello::encode(std::vector<uint8_t>& out) const {
  rlp::Writer writer(out);
  const auto list = writer.begin_list();
  writer.uint(version);
  writer.text(client_id);
  const auto offers = writer.begin_list();
  for (const Offer& offer : capabilities) {
    const auto item = writer.begin_list();
    writer.text(offer.name);
    writer.uint(offer.version);
    writer.end_list(item);
  }
  writer.end_list(offers);
  writer.uint(listen_port);
  writer.string(id);
  writer.end_list(list);
}

Result<DisconnectReason> decode_disconnect(Bytes bytes) {
  if (bytes.empty()) return DisconnectReason::requested;
  const auto item = rlp::parse(bytes, "disconnect");
  if (!item) return std::unexpected(item.error());
  rlp::Reader reader(item->is_list ? item->payload : bytes);
  if (reader.at_end()) return DisconnectReason::requested;
  // Zero is written as 0x00 by some.
  if (const Bytes left = item->is_list ? item->payload : bytes; left.size() == 1 && left[0] == 0) {
    return DisconnectReason::requested;
  }
  const auto reason = reader.uint("disconnect", 1);
  if (!reason) return std::unexpected(reason.error());
  return static_cast<DisconnectReason>(*reason);
}

std::array<uint8_t, 2> encode_disconnect(DisconnectReason reason) {
  const auto number = static_cast<uint8_t>(reason);
  return {0xc1, number == 0 ? uint8_t{0x80} : number};
}

Result<uint8_t> take_message_id(MutableBytes& data) {
  if (data.empty()) return bad_input(Code::truncated, "message.id");
  const uint8_t first = data[0];
  if (first == 0) return bad_input(Code::non_canonical, "message.id");
  if (first <= 0x80) {
    data = data.subspan(1);
    return first == 0x80 ? uint8_t{0} : first;
  }
  if (first != 0x81) return bad_input(Code::out_of_range, "message.id");
  if (data.size() < 2) return bad_input(Code::truncated, "message.id", 1);
  const uint8_t id = data[1];
  if (id < 0x80) return bad_input(Code::non_canonical, "message.id", 1);
  data = data.subspan(2);
  return id;
}

void write_message_id(uint8_t id, uint8_t* out) {
  if (id >= 0x80) *out++ = 0x81;
  *out = id == 0 ? uint8_t{0x80} : id;
}

}  // namespace beamline::rlpx
