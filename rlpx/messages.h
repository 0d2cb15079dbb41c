// The messages of the "p2p" capability (devp2p rlpx.md, '"p2p" Capability'), decoded and encoded:
// Hello and Disconnect. Ping and Pong are empty lists.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/secp256k1.h"

namespace beamline::rlpx {

enum class BaseMessage : uint8_t { hello = 0, disconnect = 1, ping = 2, pong = 3 };
inline constexpr size_t kBaseMessages = 16;      // ids that are kept for the capability
inline constexpr size_t kMaxBaseMessage = 2048;  // bytes
inline constexpr uint64_t kProtocolVersion = 5;  // the first with snappy (EIP-706)
inline constexpr size_t kMaxCapabilityName = 8;

enum class DisconnectReason : uint8_t {
  requested = 0x00,
  tcp_error = 0x01,
  breach_of_protocol = 0x02,
  useless_peer = 0x03,
  too_many_peers = 0x04,
  already_connected = 0x05,
  incompatible_version = 0x06,
  null_identity = 0x07,
  quitting = 0x08,
  unexpected_identity = 0x09,
  self = 0x0a,
  ping_timeout = 0x0b,
  subprotocol_error = 0x10,
};
// "too many peers"; "unknown" for a number that the list does not have.
const char* name(DisconnectReason reason);

using NodeId = std::array<uint8_t, 64>;
NodeId node_id(const secp256k1::PublicKey& key);

struct Hello {
  struct Offer {
    std::string name;
    uint64_t version = 0;
    friend bool operator==(const Offer&, const Offer&) = default;
  };
  uint64_t version = kProtocolVersion;
  std::string client_id;
  std::vector<Offer> capabilities;
  uint16_t listen_port = 0;  // 0: does not listen. Not to be trusted.
  NodeId id{};

  // Further list items are ignored (EIP-8), and so are capabilities whose name is longer than eight
  // bytes: nobody shares them. Errors (field "hello.*"): RLP's, too_long (over kMaxBaseMessage).
  static Result<Hello> decode(Bytes bytes);
  // Appends.
  void encode(std::vector<uint8_t>& out) const;
  friend bool operator==(const Hello&, const Hello&) = default;
};

// [reason], or the bare byte that some send; [] or nothing is `requested`. Errors (field
// "disconnect"): RLP's.
Result<DisconnectReason> decode_disconnect(Bytes bytes);
std::array<uint8_t, 2> encode_disconnect(DisconnectReason reason);

// The number in front of a message's data: one byte of RLP, or two from 128 on. Takes it off.
Result<uint8_t> take_message_id(MutableBytes& data);
constexpr size_t message_id_size(uint8_t id) { return id < 0x80 ? 1 : 2; }
// REQUIRES: message_id_size(id) bytes at `out`.
void write_message_id(uint8_t id, uint8_t* out);

}  // namespace beamline::rlpx
