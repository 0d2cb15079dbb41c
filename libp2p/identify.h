// identify, "/ipfs/id/1.0.0" and "/ipfs/id/push/1.0.0" (libp2p/specs identify/README.md): one
// protobuf message, with its uvarint length before it.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace beamline::libp2p {

inline constexpr const char* kIdentifyProtocol = "/ipfs/id/1.0.0";
inline constexpr const char* kIdentifyPushProtocol = "/ipfs/id/push/1.0.0";
inline constexpr size_t kMaxIdentifySize = 8 * 1024;

// Views into a message, or into what a message is made of.
struct Identify {
  static constexpr size_t kMaxAddresses = 64;
  static constexpr size_t kMaxProtocols = 256;

  Bytes public_key;     // the protobuf of the key
  Bytes observed_addr;  // a multiaddr
  std::string_view protocol_version;
  std::string_view agent_version;
  std::vector<Bytes> listen_addrs;  // multiaddrs, not checked
  std::vector<std::string_view> protocols;

  bool supports(std::string_view protocol) const;
};

// The message without its length. too_long (over kMaxIdentifySize, more addresses or protocols
// than the bounds), and the errors of protobuf. Unknown fields are passed over.
Result<Identify> decode_identify(Bytes message);
// Appends the message without its length. A message that would be over kMaxIdentifySize is our
// configuration's mistake: too_long (local).
Status encode_identify(const Identify& identify, std::vector<uint8_t>& out);

// Collects one message with its length from a stream.
class IdentifyReader {
 public:
  // Takes bytes until the message is whole. too_long, non_canonical.
  Status receive(Bytes data);
  bool complete() const { return expected_ != 0 && buffer_.size() == prefix_ + expected_; }
  // REQUIRES: complete().
  Bytes message() const { return Bytes(buffer_).subspan(prefix_); }

 private:
  std::vector<uint8_t> buffer_;
  size_t prefix_ = 0;
  size_t expected_ = 0;
};

}  // namespace beamline::libp2p
