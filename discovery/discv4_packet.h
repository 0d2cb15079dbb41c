// discv4's packets (ethereum/devp2p discv4.md; EIP-8; EIP-868 for records):
//
//   hash (32) || signature (65) || type (1) || data
//
// As EIP-8 says, the version of a ping, more items in a list, and what follows the list are
// ignored. Reading goes from cheap to dear: form and hash here, then expiry (the caller's clock),
// and the sender's key, which costs a recovery, last.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"
#include "codec/enr.h"
#include "codec/rlp.h"
#include "crypto/secp256k1.h"

namespace beamline::discv4 {

inline constexpr size_t kMaxPacket = 1280;
inline constexpr size_t kHeadSize = 32 + 65 + 1;
inline constexpr uint64_t kVersion = 4;
inline constexpr size_t kMaxNeighbors = 12;  // of one packet

using RawKey = std::array<uint8_t, 64>;  // a public key without its 04
RawKey raw_key(const secp256k1::PublicKey& key);
Result<secp256k1::PublicKey> parse_raw_key(Bytes key);

// What a node says of itself; empty where the address has another size than 4 or 16 bytes, which is
// no error: nobody relies on it.
struct Place {
  Endpoint udp;
  uint16_t tcp_port = 0;
};
struct Ping {
  static constexpr uint8_t kType = 1;
  uint64_t version = kVersion;
  Place from;
  Place to;
  uint64_t expiration = 0;  // seconds since the Unix epoch
  std::optional<uint64_t> enr_seq;
};
struct Pong {
  static constexpr uint8_t kType = 2;
  Place to;
  Hash256 ping_hash;
  uint64_t expiration = 0;
  std::optional<uint64_t> enr_seq;
};
struct FindNode {
  static constexpr uint8_t kType = 3;
  RawKey target{};
  uint64_t expiration = 0;
};
struct Neighbors {
  static constexpr uint8_t kType = 4;
  rlp::Reader nodes{Bytes{}};  // read with read_neighbor()
  uint64_t expiration = 0;
};
struct EnrRequest {
  static constexpr uint8_t kType = 5;
  uint64_t expiration = 0;
};
struct EnrResponse {
  static constexpr uint8_t kType = 6;
  Hash256 request_hash;
  Bytes record;  // an RLP item
};
using Message = std::variant<Ping, Pong, FindNode, Neighbors, EnrRequest, EnrResponse>;

// A node in NEIGHBORS.
struct Neighbor {
  Place place;
  Bytes key;  // 64 bytes, not checked to be a point
};
Result<Neighbor> read_neighbor(rlp::Reader& nodes);

// Views into the datagram.
struct Packet {
  Hash256 hash;
  Message message;
  Bytes signature;  // 65 bytes
  Bytes signed_data;
};
// Errors: truncated, too_long, bad_checksum (hash), unsupported (type), those of rlp::Reader.
Result<Packet> read_packet(Bytes datagram);
// Whose packet it is. bad_signature.
Result<secp256k1::PublicKey> recover_sender(const Packet& packet);
// Zero for ENRResponse, which has none.
std::optional<uint64_t> expiration_of(const Message& message);

// The data of a packet, appended.
void append(std::vector<uint8_t>& out, const Ping& message);
void append(std::vector<uint8_t>& out, const Pong& message);
void append(std::vector<uint8_t>& out, const FindNode& message);
void append(std::vector<uint8_t>& out, const EnrRequest& message);
void append(std::vector<uint8_t>& out, const EnrResponse& message);
// One item of NEIGHBORS, and the whole around such items.
void append_neighbor(std::vector<uint8_t>& out, const Place& place, const RawKey& key);
void append_neighbors(std::vector<uint8_t>& out, Bytes items, uint64_t expiration);

struct Sealed {
  size_t size = 0;
  Hash256 hash;
};
// Signs and hashes. REQUIRES: out.size() >= kHeadSize + data.size().
Sealed seal_packet(MutableBytes out, uint8_t type, Bytes data, const secp256k1::SecretKey& key);

}  // namespace beamline::discv4
