#include "libp2p/noise.h"

#include <cstring>

#include "base/check.h"
#include "crypto/hkdf.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"

namespace beamline::libp2p {
namespace {
constexpr std::string_view kProtocolName = "Noise_XX_25519_ChaChaPoly_SHA256";
static_assert(kProtocolName.size() == Hash256::kSize);  // so it is the first hash as it stands
constexpr size_t kKeySize = x25519::kSize;

// Noise's HKDF with two outputs (section 4.3) is RFC 5869's with the chaining key as salt.
struct TwoKeys {
  std::array<uint8_t, 64> bytes;
  TwoKeys(const Hash256& chaining_key, Bytes input) {
    hkdf_sha256(input, chaining_key.view(), {}, bytes);
  }
  ~TwoKeys() { secure_wipe(bytes); }
  TwoKeys(const TwoKeys&) = delete;
  TwoKeys& operator=(const TwoKeys&) = delete;
  Hash256 first() const { return Hash256::load(bytes.data()); }
  Hash256 second() const { return Hash256::load(bytes.data() + 32); }
};
}  // namespace

ChaCha20Poly1305::Nonce NoiseCipher::next_nonce() {
  BL_CHECK(count_ != UINT64_MAX);
  ChaCha20Poly1305::Nonce nonce{};
  const uint64_t count = count_++;
  for (size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<uint8_t>(count >> (8 * i));
  return nonce;
}

void NoiseCipher::seal(Bytes associated, MutableBytes text_and_tag) {
  cipher_.seal(next_nonce(), associated, text_and_tag);
}

Result<MutableBytes> NoiseCipher::open(Bytes associated, MutableBytes text_and_tag) {
  if (text_and_tag.size() < kNoiseTagSize) return bad_input(Code::truncated, "noise.tag");
  const Result<size_t> size = cipher_.open(next_nonce(), associated, text_and_tag);
  if (!size) return std::unexpected(size.error());
  return text_and_tag.first(*size);
}

NoiseHandshake::NoiseHandshake(Role role, const x25519::SecretKey& identity,
                               x25519::SecretKey ephemeral, Bytes prologue)
    : role_(role), static_(identity), ephemeral_(std::move(ephemeral)) {
  hash_ = Hash256::from(as_bytes(kProtocolName));
  chaining_key_ = hash_;
  mix_hash(prologue);
}

NoiseHandshake::~NoiseHandshake() { secure_wipe(chaining_key_.bytes); }

Status NoiseHandshake::write_message(Bytes payload, std::vector<uint8_t>& out) {
  BL_CHECK(our_turn() && !finished());
  if (turn_ < 2) {  // e
    const x25519::PublicKey& key = ephemeral_.public_key();
    out.insert(out.end(), key.begin(), key.end());
    mix_hash(key);
  }
  if (turn_ == 1) {  // ee, s, es
    if (Status status = mix_exchange(ephemeral_, *remote_ephemeral_); !status) return status;
    seal_and_append(static_.public_key(), out);
    if (Status status = mix_exchange(static_, *remote_ephemeral_); !status) return status;
  } else if (turn_ == 2) {  // s, se
    seal_and_append(static_.public_key(), out);
    if (Status status = mix_exchange(static_, *remote_ephemeral_); !status) return status;
  }
  seal_and_append(payload, out);
  ++turn_;
  return {};
}

Result<MutableBytes> NoiseHandshake::read_message(MutableBytes message) {
  BL_CHECK(!our_turn() && !finished());
  Status status;
  if (turn_ < 2) status = read_ephemeral(message);
  if (status && turn_ == 1) {
    status = mix_exchange(ephemeral_, *remote_ephemeral_);
    if (status) status = read_static(message);
    if (status) status = mix_exchange(ephemeral_, *remote_static_);
  } else if (status && turn_ == 2) {
    status = read_static(message);
    if (status) status = mix_exchange(ephemeral_, *remote_static_);
  }
  if (!status) return std::unexpected(status.error());
  Result<MutableBytes> payload = open(message);
  if (payload) ++turn_;
  return payload;
}

Status NoiseHandshake::read_ephemeral(MutableBytes& rest) {
  if (rest.size() < kKeySize) return bad_input(Code::truncated, "noise.ephemeral");
  x25519::PublicKey key;
  std::memcpy(key.data(), rest.data(), kKeySize);
  remote_ephemeral_ = key;
  mix_hash(key);
  rest = rest.subspan(kKeySize);
  return {};
}

Status NoiseHandshake::read_static(MutableBytes& rest) {
  if (rest.size() < kKeySize + kNoiseTagSize) return bad_input(Code::truncated, "noise.static");
  const Result<MutableBytes> plain = open(rest.first(kKeySize + kNoiseTagSize));
  if (!plain) return std::unexpected(plain.error());
  x25519::PublicKey key;
  std::memcpy(key.data(), plain->data(), kKeySize);
  remote_static_ = key;
  rest = rest.subspan(kKeySize + kNoiseTagSize);
  return {};
}

void NoiseHandshake::mix_hash(Bytes bytes) { hash_ = sha256(hash_.view(), bytes); }

void NoiseHandshake::mix_key(Bytes input) {
  const TwoKeys keys(chaining_key_, input);
  chaining_key_ = keys.first();
  Hash256 key = keys.second();
  cipher_.emplace(key);
  secure_wipe(key.bytes);
}

Status NoiseHandshake::mix_exchange(const x25519::SecretKey& ours,
                                    const x25519::PublicKey& theirs) {
  Result<x25519::SharedSecret> shared = ours.exchange(theirs);
  if (!shared) return bad_input(Code::bad_key, "noise.exchange");
  mix_key(*shared);
  secure_wipe(*shared);
  return {};
}

void NoiseHandshake::seal_and_append(Bytes plain, std::vector<uint8_t>& out) {
  const size_t start = out.size();
  out.insert(out.end(), plain.begin(), plain.end());
  if (cipher_) {
    out.resize(out.size() + kNoiseTagSize);
    cipher_->seal(hash_.view(), MutableBytes(out).subspan(start));
  }
  mix_hash(Bytes(out).subspan(start));
}

Result<MutableBytes> NoiseHandshake::open(MutableBytes sealed) {
  // What is mixed is the sealed form, which decrypting in place destroys.
  const Hash256 next = sha256(hash_.view(), sealed);
  Result<MutableBytes> plain = sealed;
  if (cipher_) plain = cipher_->open(hash_.view(), sealed);
  hash_ = next;
  return plain;
}

NoiseCiphers NoiseHandshake::split() const {
  BL_CHECK(finished());
  const TwoKeys keys(chaining_key_, {});
  Hash256 dialler = keys.first();
  Hash256 listener = keys.second();
  if (role_ == Role::listener) std::swap(dialler, listener);
  NoiseCiphers ciphers{NoiseCipher(dialler), NoiseCipher(listener)};
  secure_wipe(dialler.bytes);
  secure_wipe(listener.bytes);
  return ciphers;
}

}  // namespace beamline::libp2p
