// Ethereum Node Records (ethereum/devp2p enr.md, EIP-778) with the identity scheme "v4": what a
// node says about itself, signed, in at most 300 bytes.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/endpoint.h"
#include "base/error.h"
#include "codec/fork_digest.h"
#include "crypto/hash.h"
#include "crypto/secp256k1.h"

namespace beamline {

// A node's address in the tables of discv4 and discv5: Keccak-256 of the uncompressed key's 64
// bytes.
using NodeId = Hash256;
NodeId node_id_of(const secp256k1::PublicKey& key);

// A record whose form was checked; a value.
class Enr {
 public:
  static constexpr size_t kMaxSize = 300;
  static constexpr size_t kMaxText = 4 + 4 * kMaxSize / 3;  // "enr:" and base 64
  enum class Family : uint8_t { ip4, ip6 };
  enum class Transport : uint8_t { tcp, udp, quic };

  // Checks form and signature. Errors (field "enr.*"): too_long (over kMaxSize), the errors of
  // rlp::Reader, unsorted and duplicate (keys), missing ("id", "secp256k1"), bad_version (another
  // identity scheme), bad_key, and those of verify().
  static Result<Enr> parse(Bytes record);
  // "enr:" and base 64.
  static Result<Enr> parse_text(std::string_view text);
  // The form alone, where the signature is known to be good (our own store) or wanted later.
  static Result<Enr> decode(Bytes record);
  static Result<Enr> decode_text(std::string_view text);
  // bad_signature, or non_canonical for the second form of a signature.
  Status verify() const;

  uint64_t seq() const { return seq_; }
  const NodeId& node_id() const { return node_id_; }
  const secp256k1::PublicKey& public_key() const { return key_; }
  Bytes bytes() const { return bytes_; }
  std::string to_text() const;

  // The whole RLP item under a key; nullopt when the record has no such key.
  std::optional<Bytes> item(std::string_view key) const;
  // The rest: nullopt when it is absent, or not what the key's definition says.
  std::optional<Bytes> value(std::string_view key) const;
  std::optional<uint64_t> integer(std::string_view key) const;
  std::optional<Endpoint> endpoint(Transport transport, Family family) const;
  // consensus-specs p2p-interface (phase0, altair, fulu): "eth2" as the 16 bytes of ENRForkID,
  // "attnets", "syncnets", custody group count, next fork digest.
  std::optional<std::array<uint8_t, 16>> eth2() const;
  std::optional<std::array<uint8_t, 8>> attnets() const;
  std::optional<std::array<uint8_t, 1>> syncnets() const;
  std::optional<uint64_t> cgc() const { return integer("cgc"); }
  std::optional<ForkDigest> nfd() const;
  // lean's "is_aggregator"; false when absent.
  bool is_aggregator() const;

  friend bool operator==(const Enr& a, const Enr& b) { return a.bytes_ == b.bytes_; }

 private:
  Enr(secp256k1::PublicKey key) : key_(key) {}

  template <size_t kSize>
  std::optional<std::array<uint8_t, kSize>> array(std::string_view key) const;
  Bytes pairs() const { return Bytes(bytes_).subspan(pairs_at_); }

  std::vector<uint8_t> bytes_;
  uint64_t seq_ = 0;
  size_t pairs_at_ = 0;    // where keys and values begin
  size_t content_at_ = 0;  // where what is signed begins: seq, then keys and values
  secp256k1::PublicKey key_;
  NodeId node_id_;
};

// Makes a record, or the next version of one.
class EnrBuilder {
 public:
  // A first record, with sequence number 1.
  EnrBuilder() = default;
  // All of `record`, to be signed with the sequence number after its.
  explicit EnrBuilder(const Enr& record);

  EnrBuilder& set(std::string_view key, Bytes value);
  EnrBuilder& set_integer(std::string_view key, uint64_t value);
  // An RLP item as it is. REQUIRES: it is one, canonical.
  EnrBuilder& set_item(std::string_view key, Bytes item);
  EnrBuilder& remove(std::string_view key);
  // Address and port; the address is the one that all transports of its family share.
  EnrBuilder& set_endpoint(Enr::Transport transport, const Endpoint& endpoint);
  EnrBuilder& set_seq(uint64_t seq);

  // "id" and "secp256k1" are put in. too_long (local): over Enr::kMaxSize; out_of_range: the
  // sequence number after 2^64 - 1.
  Result<Enr> sign(const secp256k1::SecretKey& key) const;

 private:
  std::map<std::string, std::vector<uint8_t>, std::less<>> items_;
  std::optional<uint64_t> seq_ = 1;  // nullopt: there is none left
};

}  // namespace beamline
