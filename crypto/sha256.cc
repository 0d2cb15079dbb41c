#include "crypto/sha256.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/sha256_rounds.h"

namespace beamline {
namespace {

using namespace sha256_internal;

constexpr std::array<Sha256Implementation, 2> kImplementations = {{
    {"shani", shani_compress, shani_pairs},
    {"scalar", scalar_compress, scalar_pairs},
}};

// Scalar until the constructor below ran, so that another file's initialiser may hash.
constinit const Sha256Implementation* active = &kImplementations[1];

[[gnu::constructor]] void choose() { active = &sha256_implementations().front(); }

void store_hash(const std::array<uint32_t, 8>& state, uint8_t* out) {
  for (size_t i = 0; i < 8; ++i) {
    const uint32_t word = std::byteswap(state[i]);
    std::memcpy(out + 4 * i, &word, 4);
  }
}

}  // namespace

static_assert(std::endian::native == std::endian::little);

const Sha256Implementation& sha256_implementation() { return *active; }

std::span<const Sha256Implementation> sha256_implementations() {
  return std::span(kImplementations).subspan(shani_supported() ? 0 : 1);
}

Sha256::Sha256() : state_(kInitial) {}

Sha256& Sha256::update(Bytes bytes) {
  const size_t held = size_ % 64;
  size_ += bytes.size();
  if (held != 0) {
    const size_t take = std::min(64 - held, bytes.size());
    if (take != 0) std::memcpy(block_.data() + held, bytes.data(), take);
    bytes = bytes.subspan(take);
    if (held + take < 64) return *this;
    active->compress(state_.data(), block_.data(), 1);
  }
  if (const size_t blocks = bytes.size() / 64; blocks != 0) {
    active->compress(state_.data(), bytes.data(), blocks);
    bytes = bytes.subspan(64 * blocks);
  }
  if (!bytes.empty()) std::memcpy(block_.data(), bytes.data(), bytes.size());
  return *this;
}

Hash256 Sha256::finish() {
  const size_t held = size_ % 64;
  block_[held] = 0x80;
  std::fill(block_.begin() + static_cast<ptrdiff_t>(held) + 1, block_.end(), uint8_t{0});
  if (held >= 56) {
    active->compress(state_.data(), block_.data(), 1);
    block_.fill(0);
  }
  const uint64_t bits = std::byteswap(size_ * 8);
  std::memcpy(block_.data() + 56, &bits, 8);
  active->compress(state_.data(), block_.data(), 1);
  Hash256 hash;
  store_hash(state_, hash.bytes.data());
  state_ = kInitial;
  size_ = 0;
  return hash;
}

Hash256 sha256(Bytes bytes) { return Sha256().update(bytes).finish(); }
Hash256 sha256(Bytes a, Bytes b) { return Sha256().update(a).update(b).finish(); }
Hash256 sha256(Bytes a, Bytes b, Bytes c) {
  return Sha256().update(a).update(b).update(c).finish();
}
Hash256 sha256(Bytes a, Bytes b, Bytes c, Bytes d) {
  return Sha256().update(a).update(b).update(c).update(d).finish();
}

Hash256 sha256_pair(const Hash256& left, const Hash256& right) {
  std::array<uint8_t, 64> pair;
  std::memcpy(pair.data(), left.bytes.data(), 32);
  std::memcpy(pair.data() + 32, right.bytes.data(), 32);
  Hash256 hash;
  active->pairs(pair.data(), hash.bytes.data(), 1);
  return hash;
}

void sha256_pairs(const uint8_t* in, uint8_t* out, size_t count) { active->pairs(in, out, count); }

}  // namespace beamline
