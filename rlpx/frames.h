// RLPx's frames (devp2p rlpx.md, "Framing"): a header of 16 bytes with its MAC, and a body, padded
// to blocks of 16, with its own; one AES-256-CTR stream and one running Keccak state each way.
// Everything is sealed and opened where it lies, MACs are compared in constant time and before
// anything is decrypted, and nothing is allocated.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "crypto/aes.h"
#include "crypto/keccak.h"
#include "rlpx/handshake.h"

namespace beamline::rlpx {

inline constexpr size_t kFrameMacSize = 16;
inline constexpr size_t kFrameHeaderSize = 16 + kFrameMacSize;
inline constexpr size_t kMaxFrameData = (1u << 24) - 1;

// The data with its padding, and its MAC.
constexpr size_t frame_body_size(size_t data) { return (data + 15) / 16 * 16 + kFrameMacSize; }
constexpr size_t frame_size(size_t data) { return kFrameHeaderSize + frame_body_size(data); }

// Both directions of one connection. About 2.6 KiB, most of it libcrypto's contexts.
class FrameCodec {
 public:
  explicit FrameCodec(const Secrets& secrets);
  ~FrameCodec();  // wipes
  FrameCodec(FrameCodec&&) noexcept = default;
  FrameCodec& operator=(FrameCodec&&) noexcept = default;

  // Seals a frame of `data` bytes in place: they lie at [kFrameHeaderSize, kFrameHeaderSize +
  // data); the header, the padding and the MACs are written around them. REQUIRES: data <=
  // kMaxFrameData; frame.size() == frame_size(data).
  void seal(MutableBytes frame, size_t data);
  // The same in parts, in this order: the header, the body with its padding, its MAC. REQUIRES:
  // each part of the body is of whole blocks of 16, and together they are of `data` bytes, padded.
  void seal_header(std::span<uint8_t, kFrameHeaderSize> header, size_t data);
  void seal_part(MutableBytes part);
  void seal_end(std::span<uint8_t, kFrameMacSize> mac);

  // Opens the next header in place and gives the size of the data that follows. Errors (the
  // peer's): bad_checksum ("frame.header"), bad_encoding ("frame.header_data": not a list),
  // truncated
  // ("frame.size": no message is empty). The codec cannot be used after an error.
  Result<size_t> open_header(std::span<uint8_t, kFrameHeaderSize> header);
  // Opens the body of that header in place and gives its data. Errors: bad_checksum ("frame.body").
  // REQUIRES: body.size() == frame_body_size(data).
  Result<MutableBytes> open_body(MutableBytes body, size_t data);

 private:
  using Block = std::span<const uint8_t, 16>;
  // Feeds the running MAC with a block of header or a digest of the body, and writes the tag.
  void update_header(Keccak256& mac, Block header, uint8_t* tag);
  void finish_body(Keccak256& mac, uint8_t* tag);
  void finish(Keccak256& mac, const Hash256& seed, Block block, uint8_t* tag);

  AesCtr encrypt_;
  AesCtr decrypt_;
  Aes256Block mac_block_;
  Keccak256 egress_;
  Keccak256 ingress_;
};

}  // namespace beamline::rlpx
