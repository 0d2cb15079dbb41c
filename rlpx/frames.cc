#include "rlpx/frames.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "crypto/secret.h"

namespace beamline::rlpx {
namespace {

// The header's second part: capability and context, which nobody uses.
constexpr std::array<uint8_t, 3> kHeaderData = {0xc2, 0x80, 0x80};
constexpr size_t kBlock = 16;

}  // namespace

FrameCodec::FrameCodec(const Secrets& secrets)
    : encrypt_(secrets.aes.view(), AesBlockBytes{}),
      decrypt_(secrets.aes.view(), AesBlockBytes{}),
      mac_block_(secrets.mac.bytes),
      egress_(secrets.egress),
      ingress_(secrets.ingress) {}

FrameCodec::~FrameCodec() {
  for (Keccak256* const mac : {&egress_, &ingress_}) {
    secure_wipe({reinterpret_cast<uint8_t*>(mac), sizeof(*mac)});
  }
}

void FrameCodec::finish(Keccak256& mac, const Hash256& seed, Block block, uint8_t* tag) {
  AesBlockBytes input;
  std::memcpy(input.data(), seed.bytes.data(), kBlock);
  AesBlockBytes mixed = mac_block_.encrypt(input);
  for (size_t i = 0; i < kBlock; ++i) mixed[i] = static_cast<uint8_t>(mixed[i] ^ block[i]);
  mac.update(mixed);
  const Hash256 digest = mac.digest();
  std::memcpy(tag, digest.bytes.data(), kFrameMacSize);
}

void FrameCodec::update_header(Keccak256& mac, Block header, uint8_t* tag) {
  finish(mac, mac.digest(), header, tag);
}

void FrameCodec::finish_body(Keccak256& mac, uint8_t* tag) {
  const Hash256 seed = mac.digest();
  finish(mac, seed, Block(seed.bytes.data(), kBlock), tag);
}

void FrameCodec::seal_header(std::span<uint8_t, kFrameHeaderSize> out, size_t data) {
  BL_CHECK(data <= kMaxFrameData);
  uint8_t* const header = out.data();
  std::memset(header, 0, kBlock);
  header[0] = static_cast<uint8_t>(data >> 16);
  header[1] = static_cast<uint8_t>(data >> 8);
  header[2] = static_cast<uint8_t>(data);
  std::memcpy(header + 3, kHeaderData.data(), kHeaderData.size());
  encrypt_.process({header, kBlock});
  update_header(egress_, Block(header, kBlock), header + kBlock);
}

void FrameCodec::seal_part(MutableBytes part) {
  BL_CHECK(part.size() % kBlock == 0);
  encrypt_.process(part);
  egress_.update(part);
}

void FrameCodec::seal_end(std::span<uint8_t, kFrameMacSize> mac) {
  finish_body(egress_, mac.data());
}

void FrameCodec::seal(MutableBytes frame, size_t data) {
  BL_CHECK(frame.size() == frame_size(data));
  seal_header(frame.first<kFrameHeaderSize>(), data);
  uint8_t* const body = frame.data() + kFrameHeaderSize;
  const size_t padded = frame_body_size(data) - kFrameMacSize;
  if (padded != data) std::memset(body + data, 0, padded - data);
  seal_part({body, padded});
  finish_body(egress_, body + padded);
}

Result<size_t> FrameCodec::open_header(std::span<uint8_t, kFrameHeaderSize> header) {
  std::array<uint8_t, kFrameMacSize> tag;
  update_header(ingress_, Block(header.data(), kBlock), tag.data());
  if (!constant_time_equal(tag, header.last(kFrameMacSize))) {
    return bad_input(Code::bad_checksum, "frame.header");
  }
  decrypt_.process(header.first(kBlock));
  if (header[3] < 0xc0) return bad_input(Code::bad_encoding, "frame.header_data", 3);
  const size_t data = size_t{header[0]} << 16 | size_t{header[1]} << 8 | header[2];
  if (data == 0) return bad_input(Code::truncated, "frame.size");
  return data;
}

Result<MutableBytes> FrameCodec::open_body(MutableBytes body, size_t data) {
  BL_CHECK(body.size() == frame_body_size(data));
  const size_t padded = body.size() - kFrameMacSize;
  std::array<uint8_t, kFrameMacSize> tag;
  ingress_.update(body.first(padded));
  finish_body(ingress_, tag.data());
  if (!constant_time_equal(tag, body.last(kFrameMacSize))) {
    return bad_input(Code::bad_checksum, "frame.body", padded);
  }
  decrypt_.process(body.first(padded));
  return body.first(data);
}

}  // namespace beamline::rlpx
