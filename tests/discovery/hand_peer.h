// A discv5 peer whose every packet the test writes: what a session seals is whatever it likes.
#pragma once

#include <optional>
#include <vector>

#include "base/check.h"
#include "discovery/discv5_keys.h"
#include "discovery/discv5_message.h"
#include "discovery/discv5_packet.h"

namespace beamline::discv5 {

class HandPeer {
 public:
  using Datagram = std::vector<uint8_t>;

  HandPeer(uint64_t seed, const Endpoint& at, const secp256k1::PublicKey& other)
      : rng(seed),
        key(secp256k1::SecretKey::generate(rng)),
        endpoint(at),
        record(*EnrBuilder().set_endpoint(Enr::Transport::udp, at).sign(key)),
        other_(other),
        other_id_(node_id_of(other)) {}

  const NodeId& id() const { return record.node_id(); }

  // A packet that nobody can open: it asks for WHOAREYOU.
  Datagram stranger() {
    Datagram out(kMaxPacket);
    const size_t head = write_message_head(out, iv(), nonce(), id());
    mask(out, head, other_id_);
    out.resize(head + 20);
    return out;
  }
  // The handshake that answers `whoareyou`, with `plain` sealed in it and `sent` as its record.
  Datagram handshake(Datagram whoareyou, Bytes plain, Bytes sent) {
    Unmasker unmasker(id());
    const auto packet = unmasker.read(whoareyou);
    if (!packet || packet->flag != Flag::whoareyou) return {};
    const auto ephemeral = secp256k1::SecretKey::generate(rng);
    const auto ephemeral_key = ephemeral.public_key().compressed();
    const auto signature = key.sign(id_signature_digest(packet->head, ephemeral_key, other_id_));
    const SessionKeys keys = derive_keys(ephemeral, other_, id(), other_id_, packet->head);
    write_.emplace(Bytes(keys.initiator));
    read_.emplace(Bytes(keys.recipient));
    Datagram out(kMaxPacket);
    const Nonce unique = nonce();
    const size_t head =
        write_handshake_head(out, iv(), unique, id(), signature.bytes, ephemeral_key,
                             sent.first(std::min(sent.size(), Enr::kMaxSize)));
    plain = plain.first(std::min(plain.size(), kMaxPacket - head - kTagSize));
    out.resize(seal_message(out, head, *write_, unique, plain));
    out.resize(std::max(out.size(), kMaxPacket));
    const size_t size = head + plain.size() + kTagSize;
    mask(out, head, other_id_);
    out.resize(size);
    return out;
  }
  // `plain` under the session. REQUIRES: a handshake was made.
  Datagram message(Bytes plain) {
    Datagram out(kMaxPacket);
    Nonce unique = nonce();
    if (counts) {
      ++count_;
      for (size_t i = 0; i < 4; ++i) unique[i] = static_cast<uint8_t>(count_ >> (24 - 8 * i));
    }
    const size_t head = write_message_head(out, iv(), unique, id());
    const size_t size =
        seal_message(out, head, *write_, unique, plain.first(std::min(plain.size(), kMaxMessage)));
    mask(out, head, other_id_);
    out.resize(size);
    return out;
  }
  // WHOAREYOU for a packet with this nonce.
  Datagram whoareyou(const Nonce& request, uint64_t enr_seq) {
    Datagram out(kMaxPacket);
    IdNonce id_nonce;
    rng.fill(id_nonce);
    const size_t head = write_whoareyou(out, iv(), request, id_nonce, enr_seq);
    mask(out, head, other_id_);
    out.resize(head);
    return out;
  }
  // What a packet for us holds: its nonce, and the plain text where it can be opened.
  struct Seen {
    Flag flag = Flag::message;
    Nonce nonce{};
    std::optional<std::vector<uint8_t>> plain;
  };
  std::optional<Seen> read(Datagram datagram) {
    Unmasker unmasker(id());
    const auto packet = unmasker.read(datagram);
    if (!packet) return std::nullopt;
    Seen seen{packet->flag, packet->nonce, {}};
    if (packet->flag != Flag::message || !read_) return seen;
    const MutableBytes data = packet->sealed.first(packet->sealed.size() - kTagSize);
    if (read_->open(packet->nonce, packet->head, data, Bytes(packet->sealed).last<kTagSize>())) {
      seen.plain.emplace(data.begin(), data.end());
    }
    return seen;
  }

  Rng rng;
  secp256k1::SecretKey key;
  Endpoint endpoint;
  Enr record;
  bool counts = true;  // nonces begin with the number of the message

 private:
  MaskingIv iv() {
    MaskingIv out;
    rng.fill(out);
    return out;
  }
  Nonce nonce() {
    Nonce out;
    rng.fill(out);
    return out;
  }
  secp256k1::PublicKey other_;
  NodeId other_id_;
  uint32_t count_ = 0;
  std::optional<AesGcm> write_;
  std::optional<AesGcm> read_;
};

}  // namespace beamline::discv5
