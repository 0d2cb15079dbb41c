#include "discovery/discv5_packet.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace beamline::discv5 {
namespace {

constexpr std::array<uint8_t, 8> kProtocol = {'d', 'i', 's', 'c', 'v', '5', 0, 1};
constexpr size_t kProtocolIdSize = 6;
constexpr size_t kFlagAt = 8;
constexpr size_t kNonceAt = 9;
constexpr size_t kAuthSizeAt = 21;
constexpr size_t kMaskingKeySize = 16;
// What is unmasked before its size is known: all of an ordinary header.
constexpr size_t kFirst = kStaticSize + 32;

Bytes masking_key(const NodeId& id) { return id.view().first(kMaskingKeySize); }

MaskingIv iv_of(Bytes packet) {
  MaskingIv iv;
  std::memcpy(iv.data(), packet.data(), iv.size());
  return iv;
}

uint64_t big_endian(Bytes bytes) {
  uint64_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

Status read_handshake(Packet& packet, Bytes authdata) {
  constexpr size_t kHead = 34;
  if (authdata.size() < kHead) return bad_input(Code::truncated, "discv5.authdata");
  packet.source = NodeId::load(authdata.data());
  if (authdata[32] != 64) return bad_input(Code::bad_encoding, "discv5.sig_size");
  if (authdata[33] != secp256k1::kCompressedSize) {
    return bad_input(Code::bad_encoding, "discv5.eph_key_size");
  }
  const Bytes rest = authdata.subspan(kHead);
  constexpr size_t kKeys = 64 + secp256k1::kCompressedSize;
  if (rest.size() < kKeys) return bad_input(Code::truncated, "discv5.authdata");
  packet.signature = rest.first(64);
  packet.ephemeral_key = rest.subspan(64, secp256k1::kCompressedSize);
  packet.record = rest.subspan(kKeys);
  if (packet.record.size() > Enr::kMaxSize) return bad_input(Code::too_long, "discv5.record");
  return {};
}

Status read_authdata(Packet& packet, Bytes authdata) {
  switch (packet.flag) {
    case Flag::message:
      if (authdata.size() != 32) return bad_input(Code::bad_encoding, "discv5.authdata_size");
      packet.source = NodeId::load(authdata.data());
      break;
    case Flag::whoareyou:
      if (authdata.size() != 24) return bad_input(Code::bad_encoding, "discv5.authdata_size");
      if (!packet.sealed.empty()) return bad_input(Code::trailing, "discv5.whoareyou");
      packet.enr_seq = big_endian(authdata.last(8));
      return {};
    case Flag::handshake:
      if (Status read = read_handshake(packet, authdata); !read) return read;
      break;
  }
  if (packet.sealed.size() < kTagSize) return bad_input(Code::truncated, "discv5.message");
  return {};
}

size_t write_static(MutableBytes out, const MaskingIv& iv, Flag flag, const Nonce& nonce,
                    size_t authdata_size) {
  BL_CHECK(out.size() >= kMaxPacket);
  std::memcpy(out.data(), iv.data(), iv.size());
  uint8_t* const header = out.data() + kIvSize;
  std::memcpy(header, kProtocol.data(), kProtocol.size());
  header[kFlagAt] = static_cast<uint8_t>(flag);
  std::memcpy(header + kNonceAt, nonce.data(), nonce.size());
  header[kAuthSizeAt] = static_cast<uint8_t>(authdata_size >> 8);
  header[kAuthSizeAt + 1] = static_cast<uint8_t>(authdata_size);
  return kIvSize + kStaticSize;
}

}  // namespace

Unmasker::Unmasker(const NodeId& self) : mask_(masking_key(self).first<kMaskingKeySize>()) {}

Result<Packet> Unmasker::read(MutableBytes datagram) {
  if (datagram.size() < kMinPacket) return bad_input(Code::truncated, "discv5.packet");
  if (datagram.size() > kMaxPacket) return bad_input(Code::too_long, "discv5.packet");
  std::array<uint8_t, kFirst> first;
  const size_t have = std::min(kFirst, datagram.size() - kIvSize);
  std::memcpy(first.data(), datagram.data() + kIvSize, have);
  mask_.process(iv_of(datagram), MutableBytes(first).first(have));
  if (std::memcmp(first.data(), kProtocol.data(), kProtocolIdSize) != 0) {
    return bad_input(Code::mismatch, "discv5.protocol_id", kIvSize);
  }
  if (std::memcmp(first.data(), kProtocol.data(), kProtocol.size()) != 0) {
    return bad_input(Code::bad_version, "discv5.version", kIvSize + kProtocolIdSize);
  }
  if (first[kFlagAt] > static_cast<uint8_t>(Flag::handshake)) {
    return bad_input(Code::bad_encoding, "discv5.flag", kIvSize + kFlagAt);
  }
  Packet packet;
  packet.flag = static_cast<Flag>(first[kFlagAt]);
  std::memcpy(packet.nonce.data(), first.data() + kNonceAt, packet.nonce.size());
  const size_t authdata_size = big_endian(Bytes(first).subspan(kAuthSizeAt, 2));
  const size_t head = kIvSize + kStaticSize + authdata_size;
  if (head > datagram.size()) return bad_input(Code::truncated, "discv5.authdata");
  // What of `first` lies behind the header is left as it came; of a longer one, all is done anew.
  if (kIvSize + have >= head) {
    std::memcpy(datagram.data() + kIvSize, first.data(), head - kIvSize);
  } else {
    mask_.process(iv_of(datagram), datagram.subspan(kIvSize, head - kIvSize));
  }
  packet.head = datagram.first(head);
  packet.sealed = datagram.subspan(head);
  const Status read = read_authdata(packet, packet.head.subspan(kIvSize + kStaticSize));
  if (!read) return std::unexpected(read.error());
  return packet;
}

size_t write_message_head(MutableBytes out, const MaskingIv& iv, const Nonce& nonce,
                          const NodeId& source) {
  const size_t at = write_static(out, iv, Flag::message, nonce, NodeId::kSize);
  std::memcpy(out.data() + at, source.bytes.data(), NodeId::kSize);
  return at + NodeId::kSize;
}

size_t write_whoareyou(MutableBytes out, const MaskingIv& iv, const Nonce& request_nonce,
                       const IdNonce& id_nonce, uint64_t enr_seq) {
  size_t at = write_static(out, iv, Flag::whoareyou, request_nonce, 24);
  std::memcpy(out.data() + at, id_nonce.data(), id_nonce.size());
  at += id_nonce.size();
  for (int shift = 56; shift >= 0; shift -= 8) out[at++] = static_cast<uint8_t>(enr_seq >> shift);
  return at;
}

size_t write_handshake_head(MutableBytes out, const MaskingIv& iv, const Nonce& nonce,
                            const NodeId& source, std::span<const uint8_t, 64> signature,
                            std::span<const uint8_t, 33> ephemeral_key, Bytes record) {
  BL_CHECK(record.size() <= Enr::kMaxSize);
  const size_t size = 34 + signature.size() + ephemeral_key.size() + record.size();
  size_t at = write_static(out, iv, Flag::handshake, nonce, size);
  const auto put = [&](Bytes bytes) {
    if (!bytes.empty()) std::memcpy(out.data() + at, bytes.data(), bytes.size());
    at += bytes.size();
  };
  put(source.view());
  out[at++] = static_cast<uint8_t>(signature.size());
  out[at++] = static_cast<uint8_t>(ephemeral_key.size());
  put(signature);
  put(ephemeral_key);
  put(record);
  return at;
}

size_t seal_message(MutableBytes out, size_t head, const AesGcm& key, const Nonce& nonce,
                    Bytes message) {
  const size_t size = head + message.size() + kTagSize;
  BL_CHECK(size <= kMaxPacket && size <= out.size());
  if (!message.empty()) std::memcpy(out.data() + head, message.data(), message.size());
  key.seal(nonce, out.first(head), out.subspan(head, message.size()),
           out.subspan(head + message.size()).first<kTagSize>());
  return size;
}

void mask(MutableBytes out, size_t head, const NodeId& destination) {
  aes_ctr(masking_key(destination), iv_of(out), out.subspan(kIvSize, head - kIvSize));
}

}  // namespace beamline::discv5
