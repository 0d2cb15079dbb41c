#include "discovery/discv5_message.h"

#include <bitset>
#include <cstring>

namespace beamline::discv5 {
namespace {

Result<RequestId> read_id(rlp::Reader& list) {
  const Result<Bytes> bytes = list.string("discv5.request_id", RequestId::kMaxSize);
  if (!bytes) return std::unexpected(bytes.error());
  RequestId id;
  id.size = bytes->size();
  if (!bytes->empty()) std::memcpy(id.bytes.data(), bytes->data(), bytes->size());
  return id;
}

Result<Message> read_ping(rlp::Reader& list, const RequestId& id) {
  const Result<uint64_t> seq = list.uint("discv5.enr_seq");
  if (!seq) return std::unexpected(seq.error());
  return Ping{id, *seq};
}

Result<Message> read_pong(rlp::Reader& list, const RequestId& id) {
  const Result<uint64_t> seq = list.uint("discv5.enr_seq");
  if (!seq) return std::unexpected(seq.error());
  const Result<Bytes> address = list.string("discv5.recipient_ip", 16);
  if (!address) return std::unexpected(address.error());
  const Result<uint64_t> port = list.uint("discv5.recipient_port", 2);
  if (!port) return std::unexpected(port.error());
  const Endpoint recipient = Endpoint::from_address(*address, static_cast<uint16_t>(*port));
  if (recipient.empty()) return bad_input(Code::bad_encoding, "discv5.recipient_ip");
  return Pong{id, *seq, recipient};
}

Result<Message> read_find_node(rlp::Reader& list, const RequestId& id) {
  const Result<rlp::Reader> items = list.list("discv5.distances");
  if (!items) return std::unexpected(items.error());
  for (rlp::Reader rest = *items; !rest.at_end();) {
    const Result<uint64_t> distance = rest.uint("discv5.distance");
    if (!distance) return std::unexpected(distance.error());
  }
  return FindNode{id, *items};
}

Result<Message> read_nodes(rlp::Reader& list, const RequestId& id) {
  const Result<uint64_t> total = list.uint("discv5.total");
  if (!total) return std::unexpected(total.error());
  const Result<rlp::Reader> records = list.list("discv5.nodes");
  if (!records) return std::unexpected(records.error());
  return Nodes{id, *total, *records};
}

Result<Message> read_talk_request(rlp::Reader& list, const RequestId& id) {
  const Result<Bytes> protocol = list.string("discv5.talk.protocol");
  if (!protocol) return std::unexpected(protocol.error());
  const Result<Bytes> request = list.string("discv5.talk.request");
  if (!request) return std::unexpected(request.error());
  return TalkRequest{id, *protocol, *request};
}

Result<Message> read_talk_response(rlp::Reader& list, const RequestId& id) {
  const Result<Bytes> response = list.string("discv5.talk.response");
  if (!response) return std::unexpected(response.error());
  return TalkResponse{id, *response};
}

Result<Message> read_body(uint8_t type, rlp::Reader& list, const RequestId& id) {
  switch (type) {
    case Ping::kType:
      return read_ping(list, id);
    case Pong::kType:
      return read_pong(list, id);
    case FindNode::kType:
      return read_find_node(list, id);
    case Nodes::kType:
      return read_nodes(list, id);
    case TalkRequest::kType:
      return read_talk_request(list, id);
    case TalkResponse::kType:
      return read_talk_response(list, id);
    default:
      return bad_input(Code::unsupported, "discv5.message_type");
  }
}

void begin(std::vector<uint8_t>& out, uint8_t type, const RequestId& id, size_t rest) {
  out.push_back(type);
  rlp::Writer writer(out);
  writer.list_header(rlp::string_size(id.view()) + rest);
  writer.string(id.view());
}

}  // namespace

Result<Message> decode_message(Bytes plain) {
  if (plain.empty()) return bad_input(Code::truncated, "discv5.message_type");
  const uint8_t type = plain[0];
  if (type < Ping::kType || type > TalkResponse::kType) {
    return bad_input(Code::unsupported, "discv5.message_type");
  }
  Result<rlp::Reader> list = rlp::parse_list(plain.subspan(1), "discv5.message");
  if (!list) return std::unexpected(list.error());
  const Result<RequestId> id = read_id(*list);
  if (!id) return std::unexpected(id.error());
  Result<Message> message = read_body(type, *list, *id);
  if (!message) return message;
  if (Status end = list->finish("discv5.message"); !end) return std::unexpected(end.error());
  return message;
}

size_t distances_of(const FindNode& message, std::span<uint16_t, kMaxDistances> out) {
  std::bitset<kMaxDistances> seen;
  size_t count = 0;
  for (rlp::Reader rest = message.distances; !rest.at_end();) {
    const Result<uint64_t> distance = rest.uint("discv5.distance");
    if (!distance) break;
    if (*distance > kMaxDistance || seen[*distance]) continue;
    seen.set(*distance);
    out[count++] = static_cast<uint16_t>(*distance);
  }
  return count;
}

void append(std::vector<uint8_t>& out, const Ping& message) {
  begin(out, Ping::kType, message.id, rlp::uint_size(message.enr_seq));
  rlp::Writer(out).uint(message.enr_seq);
}

void append(std::vector<uint8_t>& out, const Pong& message) {
  const Bytes address = message.recipient.address();
  const uint16_t port = message.recipient.port();
  begin(out, Pong::kType, message.id,
        rlp::uint_size(message.enr_seq) + rlp::string_size(address) + rlp::uint_size(port));
  rlp::Writer writer(out);
  writer.uint(message.enr_seq);
  writer.string(address);
  writer.uint(port);
}

void append_find_node(std::vector<uint8_t>& out, const RequestId& id,
                      std::span<const uint16_t> distances) {
  size_t payload = 0;
  for (const uint16_t distance : distances) payload += rlp::uint_size(distance);
  begin(out, FindNode::kType, id, rlp::list_size(payload));
  rlp::Writer writer(out);
  writer.list_header(payload);
  for (const uint16_t distance : distances) writer.uint(distance);
}

void append_nodes(std::vector<uint8_t>& out, const RequestId& id, uint64_t total, Bytes records) {
  begin(out, Nodes::kType, id, rlp::uint_size(total) + rlp::list_size(records.size()));
  rlp::Writer writer(out);
  writer.uint(total);
  writer.list_header(records.size());
  writer.raw(records);
}

void append(std::vector<uint8_t>& out, const TalkRequest& message) {
  begin(out, TalkRequest::kType, message.id,
        rlp::string_size(message.protocol) + rlp::string_size(message.request));
  rlp::Writer writer(out);
  writer.string(message.protocol);
  writer.string(message.request);
}

void append(std::vector<uint8_t>& out, const TalkResponse& message) {
  begin(out, TalkResponse::kType, message.id, rlp::string_size(message.response));
  rlp::Writer(out).string(message.response);
}

}  // namespace beamline::discv5
