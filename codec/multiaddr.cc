#include "codec/multiaddr.h"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>

#include "base/check.h"
#include "codec/uvarint.h"

namespace beamline {
namespace {

using Protocol = Multiaddr::Protocol;
using Part = Multiaddr::Part;

constexpr size_t kByLength = SIZE_MAX;  // the value has its length before it

struct Description {
  Protocol protocol;
  std::string_view name;
  size_t size;  // of the value
};

constexpr Description kDescriptions[] = {
    {Protocol::ip4, "ip4", 4},           {Protocol::tcp, "tcp", 2},
    {Protocol::ip6, "ip6", 16},          {Protocol::dns, "dns", kByLength},
    {Protocol::dns4, "dns4", kByLength}, {Protocol::dns6, "dns6", kByLength},
    {Protocol::udp, "udp", 2},           {Protocol::p2p, "p2p", kByLength},
    {Protocol::quic_v1, "quic-v1", 0},
};

const Description* find(uint64_t code) {
  for (const Description& entry : kDescriptions) {
    if (static_cast<uint64_t>(entry.protocol) == code) return &entry;
  }
  return nullptr;
}

const Description* find(std::string_view name) {
  if (name == "ipfs") name = "p2p";  // its name before 2019
  for (const Description& entry : kDescriptions) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

bool is_dns_name(std::string_view text) {
  return !text.empty() && text.size() <= Multiaddr::kMaxDnsName &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_';
         });
}

// The part at the start of `bytes`, which is removed from it.
Result<Part> take_part(Bytes& bytes, size_t offset) {
  const Uvarint code = read_uvarint(bytes, 3);
  if (code.state != UvarintState::done) return bad_input(code.error, "multiaddr.code", offset);
  const Description* entry = find(code.value);
  if (entry == nullptr) return bad_input(Code::unsupported, "multiaddr.code", offset);
  Bytes rest = bytes.subspan(code.size);
  size_t size = entry->size;
  if (size == kByLength) {
    const Uvarint length = read_uvarint(rest, 2);
    if (length.state != UvarintState::done) {
      return bad_input(length.error, "multiaddr.length", offset + code.size);
    }
    rest = rest.subspan(length.size);
    size = static_cast<size_t>(length.value);
  }
  if (size > rest.size()) return bad_input(Code::truncated, "multiaddr.value", offset);
  const Part part{entry->protocol, rest.first(size)};
  if (part.protocol == Protocol::p2p) {
    if (const auto id = PeerId::parse(part.value); !id) {
      return bad_input(id.error().code, "multiaddr.p2p", offset);
    }
  } else if (entry->size == kByLength && !is_dns_name(as_text(part.value))) {
    return bad_input(Code::bad_encoding, "multiaddr.dns", offset);
  }
  bytes = rest.subspan(size);
  return part;
}

void append_part(Protocol protocol, Bytes value, std::vector<uint8_t>& out) {
  append_uvarint(static_cast<uint64_t>(protocol), out);
  if (find(static_cast<uint64_t>(protocol))->size == kByLength) append_uvarint(value.size(), out);
  out.insert(out.end(), value.begin(), value.end());
}

void append_port(Protocol protocol, uint16_t port, std::vector<uint8_t>& out) {
  const uint8_t bytes[2] = {static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port)};
  append_part(protocol, bytes, out);
}

void append_address(const Endpoint& endpoint, std::vector<uint8_t>& out) {
  append_part(endpoint.family() == AF_INET6 ? Protocol::ip6 : Protocol::ip4, endpoint.address(),
              out);
}

uint16_t load_port(Bytes value) { return static_cast<uint16_t>(value[0] << 8 | value[1]); }

Status append_port_text(Protocol protocol, std::string_view text, size_t offset,
                        std::vector<uint8_t>& out) {
  uint32_t port = 0;
  const bool shape = !text.empty() && text.size() <= 5 && (text[0] != '0' || text.size() == 1);
  for (const char c : text) {
    if (!shape || c < '0' || c > '9')
      return bad_input(Code::bad_encoding, "multiaddr.port", offset);
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (!shape) return bad_input(Code::bad_encoding, "multiaddr.port", offset);
  if (port > UINT16_MAX) return bad_input(Code::out_of_range, "multiaddr.port", offset);
  append_port(protocol, static_cast<uint16_t>(port), out);
  return {};
}

// A part with a value, from its text.
Status append_text(const Description& entry, std::string_view text, size_t offset,
                   std::vector<uint8_t>& out) {
  switch (entry.protocol) {
    case Protocol::tcp:
    case Protocol::udp:
      return append_port_text(entry.protocol, text, offset, out);
    case Protocol::ip4:
    case Protocol::ip6: {
      char buffer[INET6_ADDRSTRLEN] = {};
      uint8_t address[16];
      if (text.size() >= sizeof(buffer)) return bad_input(Code::too_long, "multiaddr.ip", offset);
      std::memcpy(buffer, text.data(), text.size());
      if (inet_pton(entry.protocol == Protocol::ip4 ? AF_INET : AF_INET6, buffer, address) != 1) {
        return bad_input(Code::bad_encoding, "multiaddr.ip", offset);
      }
      append_part(entry.protocol, Bytes(address).first(entry.size), out);
      return {};
    }
    case Protocol::p2p: {
      const Result<PeerId> id = PeerId::parse_text(text);
      if (!id) return bad_input(id.error().code, "multiaddr.p2p", offset);
      append_part(entry.protocol, id->bytes(), out);
      return {};
    }
    default:
      if (!is_dns_name(text)) return bad_input(Code::bad_encoding, "multiaddr.dns", offset);
      append_part(entry.protocol, as_bytes(text), out);
      return {};
  }
}

std::string value_text(const Part& part) {
  char buffer[INET6_ADDRSTRLEN] = {};
  switch (part.protocol) {
    case Protocol::ip4:
    case Protocol::ip6: {
      const int family = part.protocol == Protocol::ip4 ? AF_INET : AF_INET6;
      BL_CHECK(inet_ntop(family, part.value.data(), buffer, sizeof(buffer)) != nullptr);
      return buffer;
    }
    case Protocol::tcp:
    case Protocol::udp:
      return std::to_string(load_port(part.value));
    case Protocol::p2p:
      return PeerId::parse(part.value)->to_text();
    default:
      return std::string(as_text(part.value));
  }
}

// The endpoint that the first two parts name: an address, then a port of `transport`.
std::optional<Endpoint> endpoint_of(const std::vector<Part>& parts, Protocol transport) {
  if (parts.size() < 2 || parts[1].protocol != transport) return std::nullopt;
  if (parts[0].protocol != Protocol::ip4 && parts[0].protocol != Protocol::ip6) return std::nullopt;
  return Endpoint::from_address(parts[0].value, load_port(parts[1].value));
}

}  // namespace

Result<Multiaddr> Multiaddr::parse(Bytes bytes) {
  if (bytes.size() > kMaxSize) return bad_input(Code::too_long, "multiaddr");
  if (bytes.empty()) return bad_input(Code::truncated, "multiaddr");
  Bytes rest = bytes;
  for (size_t count = 0; !rest.empty(); ++count) {
    const size_t offset = bytes.size() - rest.size();
    if (count == kMaxParts) return bad_input(Code::too_long, "multiaddr.parts", offset);
    if (const Result<Part> part = take_part(rest, offset); !part) {
      return std::unexpected(part.error());
    }
  }
  Multiaddr made;
  made.bytes_.assign(bytes.begin(), bytes.end());
  return made;
}

Result<Multiaddr> Multiaddr::parse_text(std::string_view text) {
  if (text.size() > kMaxText) return bad_input(Code::too_long, "multiaddr");
  if (text.empty() || text[0] != '/') return bad_input(Code::bad_encoding, "multiaddr");
  Multiaddr made;
  size_t at = 0;
  // One word behind the slash at `at`, which moves to the next slash or the end.
  const auto word = [&] {
    const size_t from = at + 1;
    at = std::min(text.find('/', from), text.size());
    return text.substr(from, at - from);
  };
  for (size_t count = 0; at < text.size(); ++count) {
    const size_t offset = at;
    if (count == kMaxParts) return bad_input(Code::too_long, "multiaddr.parts", offset);
    const Description* entry = find(word());
    if (entry == nullptr) return bad_input(Code::unsupported, "multiaddr.name", offset);
    if (entry->size == 0) {
      append_part(entry->protocol, {}, made.bytes_);
      continue;
    }
    if (at == text.size()) return bad_input(Code::truncated, "multiaddr.value", at);
    const size_t value_at = at + 1;
    if (const Status status = append_text(*entry, word(), value_at, made.bytes_); !status) {
      return std::unexpected(status.error());
    }
  }
  if (made.bytes_.size() > kMaxSize) return bad_input(Code::too_long, "multiaddr");
  return made;
}

Multiaddr Multiaddr::tcp(const Endpoint& endpoint, const PeerId& peer) {
  Multiaddr made;
  append_address(endpoint, made.bytes_);
  append_port(Protocol::tcp, endpoint.port(), made.bytes_);
  if (!peer.empty()) append_part(Protocol::p2p, peer.bytes(), made.bytes_);
  return made;
}

Multiaddr Multiaddr::quic(const Endpoint& endpoint, const PeerId& peer) {
  Multiaddr made;
  append_address(endpoint, made.bytes_);
  append_port(Protocol::udp, endpoint.port(), made.bytes_);
  append_part(Protocol::quic_v1, {}, made.bytes_);
  if (!peer.empty()) append_part(Protocol::p2p, peer.bytes(), made.bytes_);
  return made;
}

std::vector<Part> Multiaddr::parts() const {
  std::vector<Part> found;
  for (Bytes rest = bytes_; !rest.empty();) {
    const Result<Part> part = take_part(rest, 0);
    BL_CHECK(part);  // checked when this was made
    found.push_back(*part);
  }
  return found;
}

std::string Multiaddr::to_text() const {
  std::string text;
  for (const Part& part : parts()) {
    const Description* entry = find(static_cast<uint64_t>(part.protocol));
    text += '/';
    text += entry->name;
    if (entry->size == 0) continue;
    text += '/';
    text += value_text(part);
  }
  return text;
}

std::optional<Endpoint> Multiaddr::tcp_endpoint() const {
  return endpoint_of(parts(), Protocol::tcp);
}

std::optional<Endpoint> Multiaddr::quic_endpoint() const {
  const std::vector<Part> all = parts();
  if (all.size() < 3 || all[2].protocol != Protocol::quic_v1) return std::nullopt;
  return endpoint_of(all, Protocol::udp);
}

std::optional<PeerId> Multiaddr::peer_id() const {
  const std::vector<Part> all = parts();
  for (size_t i = all.size(); i-- > 0;) {
    if (all[i].protocol == Protocol::p2p) return *PeerId::parse(all[i].value);
  }
  return std::nullopt;
}

}  // namespace beamline
