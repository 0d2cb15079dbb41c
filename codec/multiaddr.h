// Multiaddresses (multiformats/multiaddr): /ip4/127.0.0.1/tcp/9000/p2p/16Uiu2HA..., as text and as
// bytes. Known parts: ip4, ip6, tcp, udp, quic-v1, p2p, dns, dns4, dns6. An unknown part is
// `unsupported`: its size is not known, so nothing behind it can be read.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "codec/peer_id.h"

namespace beamline {

class Multiaddr {
 public:
  static constexpr size_t kMaxSize = 256;  // bytes
  static constexpr size_t kMaxText = 512;  // characters
  static constexpr size_t kMaxParts = 8;
  static constexpr size_t kMaxDnsName = 128;

  enum class Protocol : uint16_t {
    ip4 = 4,
    tcp = 6,
    ip6 = 41,
    dns = 53,
    dns4 = 54,
    dns6 = 55,
    udp = 273,
    p2p = 421,
    quic_v1 = 461,
  };
  struct Part {
    Protocol protocol = Protocol::ip4;
    Bytes value;  // big-endian port, address, peer id's bytes, name; empty for quic-v1
  };

  Multiaddr() = default;
  // Both check everything: sizes, limits, canonical varints, peer ids.
  static Result<Multiaddr> parse(Bytes bytes);
  static Result<Multiaddr> parse_text(std::string_view text);
  // /ip4|ip6/<address>/tcp/<port>, and with /p2p/<id> when there is one.
  static Multiaddr tcp(const Endpoint& endpoint, const PeerId& peer = {});
  static Multiaddr quic(const Endpoint& endpoint, const PeerId& peer = {});

  bool empty() const { return bytes_.empty(); }
  Bytes bytes() const { return bytes_; }
  std::string to_text() const;
  // In order; views into this object.
  std::vector<Part> parts() const;

  // /ip4|ip6/../tcp/.. at the front.
  std::optional<Endpoint> tcp_endpoint() const;
  // /ip4|ip6/../udp/../quic-v1 at the front.
  std::optional<Endpoint> quic_endpoint() const;
  // Of the last /p2p part.
  std::optional<PeerId> peer_id() const;

  friend auto operator<=>(const Multiaddr&, const Multiaddr&) = default;

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace beamline
