// enode URLs (ethereum/devp2p, "Node URL format"): enode://<key>@<ip>:<tcp port>[?discport=<udp
// port>].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/endpoint.h"
#include "base/error.h"
#include "crypto/secp256k1.h"

namespace beamline {

struct Enode {
  static constexpr size_t kMaxText = 256;

  secp256k1::PublicKey key;
  Endpoint tcp;  // RLPx
  uint16_t udp_port = 0;

  // Errors (field "enode.*"): too_long, bad_encoding (shape, digits, a host that is no address: we
  // ask no name server), bad_key, out_of_range (a port).
  static Result<Enode> parse(std::string_view text);
  // `discport` only where it differs.
  std::string to_text() const;

  friend bool operator==(const Enode&, const Enode&) = default;
};

}  // namespace beamline
