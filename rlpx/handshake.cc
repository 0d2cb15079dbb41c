#include "rlpx/handshake.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "codec/rlp.h"
#include "crypto/secret.h"
#include "rlpx/ecies.h"

namespace beamline::rlpx {
namespace {

using secp256k1::PublicKey;
using secp256k1::SecretKey;

constexpr size_t kSizeBytes = 2;
constexpr size_t kSignatureSize = 65;
constexpr size_t kIdSize = 64;
constexpr uint64_t kVersion = 4;
// Bytes behind the list, so that packets differ in size (EIP-8 recommends 100 to 300).
constexpr uint64_t kLeastPadding = 100;
constexpr uint64_t kMostPadding = 300;

Hash256 exclusive_or(const Hash256& a, const Hash256& b) {
  Hash256 out;
  for (size_t i = 0; i < out.bytes.size(); ++i) {
    out.bytes[i] = static_cast<uint8_t>(a.bytes[i] ^ b.bytes[i]);
  }
  return out;
}

std::array<uint8_t, kIdSize> id_of(const PublicKey& key) {
  const auto point = key.uncompressed();
  std::array<uint8_t, kIdSize> id;
  std::memcpy(id.data(), point.data() + 1, id.size());
  return id;
}

Result<PublicKey> key_of(Bytes id, const char* field) {
  std::array<uint8_t, secp256k1::kUncompressedSize> point;
  point[0] = 0x04;
  std::memcpy(point.data() + 1, id.data(), kIdSize);
  const auto key = PublicKey::parse(point);
  if (!key) return bad_input(Code::bad_key, field);
  return key;
}

// Both halves of s will do here: the second form has the other point in its id.
std::optional<secp256k1::RecoverableSignature> recoverable(Bytes bytes) {
  uint8_t id = bytes.back();
  if (id > 3) return std::nullopt;
  const Bytes compact = bytes.first(kSignatureSize - 1);
  auto signature = secp256k1::Signature::parse_compact(compact);
  if (!signature && signature.error().code == Code::non_canonical) {
    signature = secp256k1::Signature::parse_compact(compact, secp256k1::HighS::accept);
    id = static_cast<uint8_t>(id ^ 1);
  }
  if (!signature) return std::nullopt;
  return secp256k1::RecoverableSignature{*signature, id};
}

// The list in front of whatever padding: EIP-8 has a reader ignore what follows.
Result<rlp::Reader> body_list(Bytes body, const char* field) {
  rlp::Reader outer(body);
  return outer.list(field);
}

}  // namespace

Secrets::~Secrets() {
  secure_wipe(aes.bytes);
  secure_wipe(mac.bytes);
  secure_wipe({reinterpret_cast<uint8_t*>(&egress), sizeof(egress)});
  secure_wipe({reinterpret_cast<uint8_t*>(&ingress), sizeof(ingress)});
}

Handshake::Draw Handshake::Draw::from(Rng& rng) {
  Draw draw{SecretKey::generate(rng), {}};
  rng.fill(draw.nonce.bytes);
  return draw;
}

Handshake::Handshake(Role role, const SecretKey& ours, Draw draw)
    : ours_(&ours), draw_(std::move(draw)), role_(role) {}

Handshake Handshake::initiator(const SecretKey& ours, const PublicKey& remote, Rng& rng) {
  return initiator(ours, remote, Draw::from(rng), rng);
}

Handshake Handshake::initiator(const SecretKey& ours, const PublicKey& remote, Draw draw,
                               Rng& rng) {
  Handshake handshake(Role::initiator, ours, std::move(draw));
  handshake.remote_ = remote;
  handshake.write_auth(rng);
  return handshake;
}

Handshake Handshake::recipient(const SecretKey& ours, Rng& rng) {
  return recipient(ours, Draw::from(rng));
}

Handshake Handshake::recipient(const SecretKey& ours, Draw draw) {
  return Handshake(Role::recipient, ours, std::move(draw));
}

void Handshake::append_packet(std::vector<uint8_t>& body, Rng& rng) {
  const size_t padding = kLeastPadding + rng.below(kMostPadding - kLeastPadding + 1);
  const size_t end = body.size();
  body.resize(end + padding);
  rng.fill(MutableBytes(body).subspan(end));
  const size_t size = body.size() + kEciesOverhead;
  output_ = {static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)};
  const std::array<uint8_t, kSizeBytes> prefix = {output_[0], output_[1]};
  ecies_encrypt(*remote_, body, prefix, rng, output_);
}

void Handshake::write_auth(Rng& rng) {
  Hash256 shared{ours_->ecdh_x(*remote_)};
  const auto proof = draw_.ephemeral.sign_recoverable(exclusive_or(shared, draw_.nonce));
  secure_wipe(shared.bytes);
  std::array<uint8_t, kSignatureSize> signature;
  std::memcpy(signature.data(), proof.signature.bytes.data(), kSignatureSize - 1);
  signature.back() = proof.recovery_id;
  std::vector<uint8_t> body;
  rlp::Writer writer(body);
  const auto list = writer.begin_list();
  writer.string(signature);
  writer.string(id_of(ours_->public_key()));
  writer.string(draw_.nonce.view());
  writer.uint(kVersion);
  writer.end_list(list);
  append_packet(body, rng);
}

void Handshake::write_ack(Rng& rng) {
  std::vector<uint8_t> body;
  rlp::Writer writer(body);
  const auto list = writer.begin_list();
  writer.string(id_of(draw_.ephemeral.public_key()));
  writer.string(draw_.nonce.view());
  writer.uint(kVersion);
  writer.end_list(list);
  append_packet(body, rng);
}

Result<size_t> Handshake::feed(Bytes input, Rng& rng) {
  BL_CHECK(!done_);
  size_t taken = 0;
  const auto take_until = [&](size_t size) {
    const size_t more = std::min(size - input_.size(), input.size() - taken);
    input_.insert(input_.end(), input.begin() + static_cast<ptrdiff_t>(taken),
                  input.begin() + static_cast<ptrdiff_t>(taken + more));
    taken += more;
    return input_.size() == size;
  };
  if (input_.size() < kSizeBytes && !take_until(kSizeBytes)) return taken;
  const size_t size = static_cast<size_t>(input_[0] << 8 | input_[1]);
  // A packet of the old form begins with 0x04, the form of a point: its "size" is over the limit,
  // or its tag does not hold.
  if (size > kMaxPacket) return bad_input(Code::too_long, "handshake.size");
  if (size < kEciesOverhead) return bad_input(Code::truncated, "handshake.size");
  if (!take_until(kSizeBytes + size)) return taken;
  if (const Status status = on_packet(rng); !status) return std::unexpected(status.error());
  done_ = true;
  return taken;
}

Status Handshake::on_packet(Rng& rng) {
  sealed_ = input_;
  const MutableBytes packet(input_);
  const auto body =
      ecies_decrypt(*ours_, packet.subspan(kSizeBytes), Bytes(sealed_).first(kSizeBytes));
  if (!body) return std::unexpected(body.error());
  if (role_ == Role::initiator) return on_ack(*body);
  if (const Status status = on_auth(*body); !status) return status;
  write_ack(rng);
  return {};
}

Status Handshake::on_auth(Bytes body) {
  auto list = body_list(body, "auth");
  if (!list) return std::unexpected(list.error());
  const auto proof = list->fixed("auth.signature", kSignatureSize);
  if (!proof) return std::unexpected(proof.error());
  const auto id = list->fixed("auth.initiator", kIdSize);
  if (!id) return std::unexpected(id.error());
  const auto nonce = list->hash("auth.nonce");
  if (!nonce) return std::unexpected(nonce.error());
  if (const auto version = list->uint("auth.version"); !version) {
    return std::unexpected(version.error());
  }
  const auto key = key_of(*id, "auth.initiator");
  if (!key) return std::unexpected(key.error());
  const auto signature = recoverable(*proof);
  if (!signature) return bad_input(Code::bad_signature, "auth.signature");
  Hash256 shared{ours_->ecdh_x(*key)};
  const auto ephemeral = secp256k1::recover(exclusive_or(shared, *nonce), *signature);
  secure_wipe(shared.bytes);
  if (!ephemeral) return bad_input(Code::bad_signature, "auth.signature");
  remote_ = *key;
  remote_ephemeral_ = *ephemeral;
  remote_nonce_ = *nonce;
  return {};
}

Status Handshake::on_ack(Bytes body) {
  auto list = body_list(body, "ack");
  if (!list) return std::unexpected(list.error());
  const auto id = list->fixed("ack.ephemeral", kIdSize);
  if (!id) return std::unexpected(id.error());
  const auto nonce = list->hash("ack.nonce");
  if (!nonce) return std::unexpected(nonce.error());
  if (const auto version = list->uint("ack.version"); !version) {
    return std::unexpected(version.error());
  }
  const auto key = key_of(*id, "ack.ephemeral");
  if (!key) return std::unexpected(key.error());
  remote_ephemeral_ = *key;
  remote_nonce_ = *nonce;
  return {};
}

Secrets Handshake::secrets() const {
  BL_CHECK(done_);
  const bool first = role_ == Role::initiator;
  const Hash256& initiator = first ? draw_.nonce : remote_nonce_;
  const Hash256& recipient = first ? remote_nonce_ : draw_.nonce;
  Hash256 agreed{draw_.ephemeral.ecdh_x(*remote_ephemeral_)};
  Hash256 shared = keccak256(agreed.view(), keccak256(recipient.view(), initiator.view()).view());
  Secrets secrets;
  secrets.aes = keccak256(agreed.view(), shared.view());
  secrets.mac = keccak256(agreed.view(), secrets.aes.view());
  secure_wipe(agreed.bytes);
  secure_wipe(shared.bytes);
  secrets.egress.update(exclusive_or(secrets.mac, remote_nonce_).view()).update(output_);
  secrets.ingress.update(exclusive_or(secrets.mac, draw_.nonce).view()).update(sealed_);
  return secrets;
}

}  // namespace beamline::rlpx
