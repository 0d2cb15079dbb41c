// discv5's messages (devp2p discv5-wire.md, v5.1, "Protocol Messages"): a type byte and an RLP list
// that begins with the request id. What is read are views into the plain text; what is written is
// appended. A list has its items and no more, and nothing follows it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"
#include "codec/rlp.h"

namespace beamline::discv5 {

inline constexpr size_t kMaxDistances = 257;  // 0..256, each once
inline constexpr uint16_t kMaxDistance = 256;

// At most 8 bytes that the requester chose; a response repeats them.
struct RequestId {
  static constexpr size_t kMaxSize = 8;
  std::array<uint8_t, kMaxSize> bytes{};
  uint64_t size = 0;  // wide: no padding, which GCC 12 takes for uninitialised

  Bytes view() const { return Bytes(bytes).first(size); }
  friend bool operator==(const RequestId& a, const RequestId& b) {
    return equal(a.view(), b.view());
  }
};

struct Ping {
  static constexpr uint8_t kType = 1;
  RequestId id;
  uint64_t enr_seq = 0;
};
struct Pong {
  static constexpr uint8_t kType = 2;
  RequestId id;
  uint64_t enr_seq = 0;
  Endpoint recipient;  // as the sender of the PONG sees it
};
struct FindNode {
  static constexpr uint8_t kType = 3;
  RequestId id;
  rlp::Reader distances{Bytes{}};  // of integers; see distances_of()
};
struct Nodes {
  static constexpr uint8_t kType = 4;
  RequestId id;
  uint64_t total = 0;
  rlp::Reader records{Bytes{}};  // of the items, unread
};
struct TalkRequest {
  static constexpr uint8_t kType = 5;
  RequestId id;
  Bytes protocol;
  Bytes request;
};
struct TalkResponse {
  static constexpr uint8_t kType = 6;
  RequestId id;
  Bytes response;
};
using Message = std::variant<Ping, Pong, FindNode, Nodes, TalkRequest, TalkResponse>;

// The distances of a FINDNODE, each once, in the order of the request; those over kMaxDistance are
// left out. Gives how many.
size_t distances_of(const FindNode& message, std::span<uint16_t, kMaxDistances> out);

// Errors: truncated (no type), unsupported (another type), those of rlp::Reader, too_long (request
// id), out_of_range (a port), bad_encoding (an address), trailing.
Result<Message> decode_message(Bytes plain);

void append(std::vector<uint8_t>& out, const Ping& message);
void append(std::vector<uint8_t>& out, const Pong& message);
void append_find_node(std::vector<uint8_t>& out, const RequestId& id,
                      std::span<const uint16_t> distances);
// `records` are RLP items that stand one behind the other.
void append_nodes(std::vector<uint8_t>& out, const RequestId& id, uint64_t total, Bytes records);
void append(std::vector<uint8_t>& out, const TalkRequest& message);
void append(std::vector<uint8_t>& out, const TalkResponse& message);

}  // namespace beamline::discv5
