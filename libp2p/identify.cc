#include "libp2p/identify.h"

#include <algorithm>

#include "codec/protobuf.h"
#include "codec/uvarint.h"

namespace beamline::libp2p {
namespace {
enum : uint32_t {
  kPublicKey = 1,
  kListenAddrs = 2,
  kProtocols = 3,
  kObservedAddr = 4,
  kProtocolVersion = 5,
  kAgentVersion = 6,
};
constexpr size_t kMaxFields = 512;
constexpr size_t kMaxLengthSize = 3;
}  // namespace

bool Identify::supports(std::string_view protocol) const {
  return std::find(protocols.begin(), protocols.end(), protocol) != protocols.end();
}

Result<Identify> decode_identify(Bytes message) {
  if (message.size() > kMaxIdentifySize) return bad_input(Code::too_long, "identify");
  Identify identify;
  protobuf::Reader reader(message, "identify", kMaxFields);
  protobuf::Field field;
  while (reader.next(field)) {
    if (field.is_bytes(kPublicKey)) identify.public_key = field.bytes;
    if (field.is_bytes(kObservedAddr)) identify.observed_addr = field.bytes;
    if (field.is_bytes(kProtocolVersion)) identify.protocol_version = as_text(field.bytes);
    if (field.is_bytes(kAgentVersion)) identify.agent_version = as_text(field.bytes);
    if (field.is_bytes(kListenAddrs)) {
      if (identify.listen_addrs.size() == Identify::kMaxAddresses) {
        return bad_input(Code::too_long, "identify.listenAddrs", field.offset);
      }
      identify.listen_addrs.push_back(field.bytes);
    }
    if (field.is_bytes(kProtocols)) {
      if (identify.protocols.size() == Identify::kMaxProtocols) {
        return bad_input(Code::too_long, "identify.protocols", field.offset);
      }
      identify.protocols.push_back(as_text(field.bytes));
    }
  }
  if (!reader.status()) return std::unexpected(reader.status().error());
  return identify;
}

Status encode_identify(const Identify& identify, std::vector<uint8_t>& out) {
  const size_t start = out.size();
  protobuf::Writer writer(out);
  if (!identify.public_key.empty()) writer.bytes(kPublicKey, identify.public_key);
  for (const Bytes addr : identify.listen_addrs) writer.bytes(kListenAddrs, addr);
  for (const std::string_view protocol : identify.protocols) writer.text(kProtocols, protocol);
  if (!identify.observed_addr.empty()) writer.bytes(kObservedAddr, identify.observed_addr);
  if (!identify.protocol_version.empty()) {
    writer.text(kProtocolVersion, identify.protocol_version);
  }
  if (!identify.agent_version.empty()) writer.text(kAgentVersion, identify.agent_version);
  if (out.size() - start > kMaxIdentifySize) return local_error(Code::too_long, "identify");
  return {};
}

Status IdentifyReader::receive(Bytes data) {
  // A byte at a time up to the end of the length, which says how much is to come.
  while (expected_ == 0 && !data.empty()) {
    buffer_.push_back(data[0]);
    data = data.subspan(1);
    const Uvarint length = read_uvarint(buffer_, kMaxLengthSize);
    if (length.state == UvarintState::bad) return bad_input(length.error, "identify.length");
    if (length.state == UvarintState::need_more) continue;
    if (length.value > kMaxIdentifySize) return bad_input(Code::too_long, "identify.length");
    if (length.value == 0) return bad_input(Code::missing, "identify.length");
    prefix_ = length.size;
    expected_ = length.value;
  }
  const size_t missing = prefix_ + expected_ - buffer_.size();
  if (expected_ == 0) return {};
  const size_t take = std::min(missing, data.size());
  buffer_.insert(buffer_.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(take));
  return {};
}

}  // namespace beamline::libp2p
