#include "codec/enode.h"

#include <array>
#include <charconv>

#include "codec/hex.h"

namespace beamline {
namespace {

constexpr std::string_view kScheme = "enode://";
constexpr std::string_view kDiscport = "?discport=";
constexpr size_t kKeyDigits = 128;

std::unexpected<Error> bad_enode(Code code, const char* field, size_t offset) {
  return bad_input(code, field, offset);
}

Result<uint16_t> parse_port(std::string_view text, size_t offset) {
  uint32_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || (text[0] == '0' && text.size() > 1) || end != text.data() + text.size()) {
    return bad_enode(Code::bad_encoding, "enode.discport", offset);
  }
  if (error != std::errc() || port > UINT16_MAX) {
    return bad_enode(Code::out_of_range, "enode.discport", offset);
  }
  return static_cast<uint16_t>(port);
}

}  // namespace

Result<Enode> Enode::parse(std::string_view text) {
  if (text.size() > kMaxText) return bad_enode(Code::too_long, "enode", kMaxText);
  if (!text.starts_with(kScheme)) return bad_enode(Code::bad_encoding, "enode.scheme", 0);
  const size_t host_at = kScheme.size() + kKeyDigits + 1;
  if (text.size() < host_at || text[host_at - 1] != '@') {
    return bad_enode(Code::bad_encoding, "enode.key", kScheme.size());
  }
  std::array<uint8_t, secp256k1::kUncompressedSize> point{4};
  const std::string_view digits = text.substr(kScheme.size(), kKeyDigits);
  if (digits.starts_with("0x") || !parse_hex_into(digits, MutableBytes(point).subspan(1))) {
    return bad_enode(Code::bad_encoding, "enode.key", kScheme.size());
  }
  const Result<secp256k1::PublicKey> key = secp256k1::PublicKey::parse(point);
  if (!key) return bad_enode(Code::bad_key, "enode.key", kScheme.size());

  std::string_view host = text.substr(host_at);
  std::string_view discport;
  if (const size_t at = host.find('?'); at != host.npos) {
    if (!host.substr(at).starts_with(kDiscport)) {
      return bad_enode(Code::bad_encoding, "enode.query", host_at + at);
    }
    discport = host.substr(at + kDiscport.size());
    host = host.substr(0, at);
    const size_t port_at = host_at + at + kDiscport.size();
    if (discport.empty()) return bad_enode(Code::bad_encoding, "enode.discport", port_at);
  }
  const Result<Endpoint> tcp = Endpoint::parse(host);
  if (!tcp) return bad_enode(Code::bad_encoding, "enode.host", host_at);
  Enode enode{*key, *tcp, tcp->port()};
  if (!discport.empty()) {
    const Result<uint16_t> port =
        parse_port(discport, static_cast<size_t>(discport.data() - text.data()));
    if (!port) return std::unexpected(port.error());
    enode.udp_port = *port;
  }
  return enode;
}

std::string Enode::to_text() const {
  std::string text(kScheme);
  text += to_hex(Bytes(key.uncompressed()).subspan(1));
  text += '@';
  text += to_string(tcp);
  if (udp_port != tcp.port()) {
    text += kDiscport;
    text += std::to_string(udp_port);
  }
  return text;
}

}  // namespace beamline
