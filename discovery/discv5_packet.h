// discv5's packets (devp2p discv5-wire.md, v5.1): a masked header, then a sealed message.
//
//   packet = masking-iv (16) || masked(static header (23) || authdata) || message
//
// The mask hides the header from a firewall and is no secret: its key is the recipient's node id.
// Nothing is copied: reading unmasks in place and gives views, writing fills the caller's datagram.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"
#include "codec/enr.h"
#include "crypto/aes.h"

namespace beamline::discv5 {

inline constexpr size_t kMinPacket = 63;
inline constexpr size_t kMaxPacket = 1280;
inline constexpr size_t kIvSize = 16;
inline constexpr size_t kStaticSize = 23;
inline constexpr size_t kTagSize = AesGcm::kTagSize;
inline constexpr size_t kMessageHead = kIvSize + kStaticSize + 32;  // of an ordinary packet
inline constexpr size_t kWhoareyouSize = kIvSize + kStaticSize + 24;
inline constexpr size_t kHandshakeHead = kIvSize + kStaticSize + 34 + 64 + 33;  // and the record
// Of a message's plain text in an ordinary packet, and in a handshake packet with any record.
inline constexpr size_t kMaxMessage = kMaxPacket - kMessageHead - kTagSize;
inline constexpr size_t kMaxHandshakeMessage =
    kMaxPacket - kHandshakeHead - Enr::kMaxSize - kTagSize;
static_assert(kWhoareyouSize == kMinPacket);

using Nonce = AesGcm::Nonce;
using MaskingIv = std::array<uint8_t, kIvSize>;
using IdNonce = std::array<uint8_t, 16>;
// A WHOAREYOU without its mask: what both sides derive keys from and sign.
using ChallengeData = std::array<uint8_t, kWhoareyouSize>;

enum class Flag : uint8_t { message = 0, whoareyou = 1, handshake = 2 };

// What a datagram holds; views into it. Which fields are set is the flag's.
struct Packet {
  Flag flag = Flag::message;
  Nonce nonce{};
  Bytes head;            // masking-iv and header, unmasked: the message's associated data
  NodeId source;         // message, handshake
  MutableBytes sealed;   // message, handshake: with its tag behind
  uint64_t enr_seq = 0;  // whoareyou
  Bytes signature;       // handshake: 64 bytes
  Bytes ephemeral_key;   // handshake: 33 bytes
  Bytes record;          // handshake: empty, or an RLP item of at most Enr::kMaxSize bytes
};

// Reads what is addressed to one node. One thread at a time.
class Unmasker {
 public:
  explicit Unmasker(const NodeId& self);

  // Unmasks the header in place. `mismatch` in field "discv5.protocol_id": it is no packet of
  // discv5 for this node, and `datagram` is as it was (another protocol may look at it). Other
  // errors: truncated, too_long, bad_version, bad_encoding (flag, sizes), trailing (behind
  // WHOAREYOU).
  Result<Packet> read(MutableBytes datagram);

 private:
  AesMask mask_;
};

// Each writes masking-iv and header, unmasked, at the front of `out` and gives their size.
// REQUIRES: out.size() >= kMaxPacket; record.size() <= Enr::kMaxSize.
size_t write_message_head(MutableBytes out, const MaskingIv& iv, const Nonce& nonce,
                          const NodeId& source);
size_t write_whoareyou(MutableBytes out, const MaskingIv& iv, const Nonce& request_nonce,
                       const IdNonce& id_nonce, uint64_t enr_seq);
size_t write_handshake_head(MutableBytes out, const MaskingIv& iv, const Nonce& nonce,
                            const NodeId& source, std::span<const uint8_t, 64> signature,
                            std::span<const uint8_t, 33> ephemeral_key, Bytes record);
// Seals `message` behind the head of `head` bytes and gives the size of the packet, still
// unmasked. REQUIRES: head + message.size() + kTagSize <= kMaxPacket.
size_t seal_message(MutableBytes out, size_t head, const AesGcm& key, const Nonce& nonce,
                    Bytes message);
// Masks the header, the last step. `head` as above.
void mask(MutableBytes out, size_t head, const NodeId& destination);

}  // namespace beamline::discv5
