// The small types of gossip/'s interface.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "codec/message_id.h"

namespace beamline::gossip {

// A connected peer: a small number that the integrator assigns, below Params::max_peers. It may be
// assigned anew as soon as peer_disconnected() returned.
using PeerIndex = uint32_t;
inline constexpr PeerIndex kNoPeer = UINT32_MAX;

// A topic that the application registered, in order of registration.
using TopicIndex = uint16_t;

// What was negotiated: /meshsub/1.0.0, 1.1.0, 1.2.0.
enum class Version : uint8_t { v1_0, v1_1, v1_2 };

// The application's judgement of a message (gossipsub v1.1, extended validators).
enum class Verdict : uint8_t {
  accept,  // forwarded to the mesh
  ignore,  // not forwarded, nobody is charged
  reject,  // not forwarded, and everyone who sent it is charged (P4)
  forget,  // we had no room to judge it: as if it had not come, so that the next copy is taken
};

// Names a message until its verdict. A stale one (answered, or timed out) is harmless.
struct MessageHandle {
  uint32_t slot = UINT32_MAX;
  uint32_t generation = 0;
  friend bool operator==(MessageHandle, MessageHandle) = default;
};

// A message that was received for the first time and waits for the application's verdict.
struct Message {
  MessageHandle handle;
  TopicIndex topic = 0;
  PeerIndex from = kNoPeer;
  MessageId id{};
  SharedBytes data;  // decompressed
};

struct PeerInfo {
  Version version = Version::v1_1;
  bool outbound = false;  // we dialled
  // A stable number for the peer's identity, such as the first 8 bytes of the SHA-256 of its peer
  // id: its score and backoffs outlive the connection under it. 0: nothing is kept.
  uint64_t identity = 0;
};

}  // namespace beamline::gossip
