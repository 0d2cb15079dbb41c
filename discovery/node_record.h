// What is known of another node, from whichever protocol told it: a value of 208 bytes (plus the
// record's bytes, shared by all that hold it).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "codec/enode.h"
#include "codec/enr.h"

namespace beamline::discovery {

// x || y of the public key, as discv4 writes it. It is parsed where a signature needs it.
using NodeKey = std::array<uint8_t, 64>;

// What a record offers; a set of bits. None is known of a node without a record.
using Capabilities = uint8_t;
inline constexpr Capabilities kCapEth = 1;   // "eth": RLPx with eth (EIP-2124, EIP-868)
inline constexpr Capabilities kCapSnap = 2;  // "snap"
inline constexpr Capabilities kCapEth2 = 4;  // "eth2": consensus over libp2p
inline constexpr Capabilities kCapQuic = 8;  // "quic" or "quic6"

inline constexpr uint8_t kSpeaksV4 = 1;
inline constexpr uint8_t kSpeaksV5 = 2;

struct NodeRecord {
  NodeId id;
  NodeKey key{};
  Endpoint udp;           // where discovery reaches it
  uint16_t tcp_port = 0;  // RLPx or libp2p, at the same address; 0: none
  uint8_t protocols = 0;  // kSpeaksV4 | kSpeaksV5, where it is known
  Capabilities capabilities = 0;
  // The fork digest of "eth2", else the fork hash of "eth", as a big-endian number; 0: not known.
  uint32_t fork = 0;
  uint64_t seq = 0;  // of the record; 0: none was seen
  SharedBytes enr;   // the signed record; empty when the node was learnt without one

  bool is_signed() const { return !enr.empty(); }
  // Where the application is reached; empty without a port.
  Endpoint tcp() const;
};

// From a record. `udp` is the record's address for our family, IPv4 first; empty when it has none.
NodeRecord record_of(const Enr& enr);
NodeRecord record_of(const Enode& enode);
NodeKey key_of(const secp256k1::PublicKey& key);
// Errors: bad_key. (A record whose key nobody has proven may hold any bytes.)
Result<secp256k1::PublicKey> public_key_of(const NodeKey& key);
// As in NodeRecord::fork.
uint32_t fork_number(std::span<const uint8_t, 4> hash);

}  // namespace beamline::discovery
