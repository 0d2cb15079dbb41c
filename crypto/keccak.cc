#include "crypto/keccak.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "crypto/keccak_rounds.h"

namespace beamline {
namespace {

using namespace keccak_internal;

static_assert(std::endian::native == std::endian::little);

constexpr size_t kImplementationCount = 4;
constexpr std::array<KeccakImplementation, kImplementationCount> kImplementations = {{
    {"avx2", bmi2_permute, avx2_permute_four},
    {"bmi2", bmi2_permute, nullptr},
    {"scalar", scalar_permute, nullptr},
    {"cryptopp", cryptopp_permute, nullptr},
}};

// Lane 0 of the permutation of zeros (the Keccak team's KeccakF-1600-IntermediateValues.txt).
constexpr uint64_t kKnownAnswer = 0xf1258f7940e1dde7;

bool answers(const KeccakImplementation& implementation) {
  std::array<uint64_t, 25> state{};
  implementation.permute(state.data());
  if (state[0] != kKnownAnswer) return false;
  if (implementation.permute_four == nullptr) return true;
  std::array<uint64_t, 100> four{};
  implementation.permute_four(four.data());
  for (size_t i = 0; i < four.size(); ++i) {
    if (four[i] != state[i / 4]) return false;
  }
  return true;
}

// Scalar until the constructor below ran, so that another file's initialiser may hash.
constinit const KeccakImplementation* active = &kImplementations[2];

[[gnu::constructor]] void choose() {
  for (const KeccakImplementation& implementation : keccak_implementations()) {
    active = &implementation;
    if (answers(implementation)) return;
  }
}

// XORs bytes into the state at `offset`.
void absorb(uint64_t* state, size_t offset, Bytes bytes) {
  auto* const to = reinterpret_cast<uint8_t*>(state) + offset;
  for (size_t i = 0; i < bytes.size(); ++i) to[i] = static_cast<uint8_t>(to[i] ^ bytes[i]);
}

// A whole block, lane by lane. Stride: of the lanes in the state.
template <size_t kRate, size_t kStride>
void absorb_block(uint64_t* state, const uint8_t* block) {
#pragma GCC unroll 17
  for (size_t i = 0; i < kRate / 8; ++i) {
    uint64_t lane = 0;
    std::memcpy(&lane, block + 8 * i, 8);
    state[i * kStride] ^= lane;
  }
}

template <size_t kRate>
void pad(uint64_t* state, size_t held) {
  auto* const bytes = reinterpret_cast<uint8_t*>(state);
  bytes[held] ^= 0x01;
  bytes[kRate - 1] ^= 0x80;
}

// Four messages at a time; a lane that is done takes the next message, so that all stay busy
// whatever the sizes are.
class Quad {
 public:
  static constexpr size_t kRate = Keccak256::kRate;

  Quad(std::span<const Bytes> messages, std::span<Hash256> out) : messages_(messages), out_(out) {}

  void run(void (*permute_four)(uint64_t*)) {
    for (size_t lane = 0; lane < 4; ++lane) take_next(lane);
    while (busy_ != 0) {
      for (size_t lane = 0; lane < 4; ++lane) {
        if (lanes_[lane].busy) feed(lane);
      }
      permute_four(states_.data());
      for (size_t lane = 0; lane < 4; ++lane) {
        if (lanes_[lane].busy && lanes_[lane].last) finish(lane);
      }
    }
  }

 private:
  struct Lane {
    Bytes left;
    size_t index = 0;
    bool busy = false;
    bool last = false;  // its padded block is in
  };

  void take_next(size_t lane) {
    if (next_ == messages_.size()) return;
    for (size_t i = 0; i < 25; ++i) states_[4 * i + lane] = 0;
    lanes_[lane] = {messages_[next_], next_, true, false};
    ++next_;
    ++busy_;
  }

  void feed(size_t index) {
    Lane& lane = lanes_[index];
    if (lane.left.size() >= kRate) {
      absorb_block<kRate, 4>(states_.data() + index, lane.left.data());
      lane.left = lane.left.subspan(kRate);
      return;
    }
    std::array<uint8_t, kRate> block{};
    if (!lane.left.empty()) std::memcpy(block.data(), lane.left.data(), lane.left.size());
    block[lane.left.size()] ^= 0x01;
    block[kRate - 1] ^= 0x80;
    absorb_block<kRate, 4>(states_.data() + index, block.data());
    lane.last = true;
  }

  void finish(size_t index) {
    Hash256& hash = out_[lanes_[index].index];
    for (size_t i = 0; i < 4; ++i) {
      std::memcpy(hash.bytes.data() + 8 * i, &states_[4 * i + index], 8);
    }
    lanes_[index].busy = false;
    --busy_;
    take_next(index);
  }

  std::span<const Bytes> messages_;
  std::span<Hash256> out_;
  size_t next_ = 0;
  size_t busy_ = 0;
  std::array<Lane, 4> lanes_;
  alignas(32) std::array<uint64_t, 100> states_{};
};

}  // namespace

const KeccakImplementation& keccak_implementation() { return *active; }

std::span<const KeccakImplementation> keccak_implementations() {
  const size_t skip = bmi2_supported() ? avx2_supported() ? 0 : 1 : 2;
  return std::span(kImplementations).subspan(skip);
}

template <class Hash>
Keccak<Hash>& Keccak<Hash>::update(Bytes bytes) {
  if (held_ != 0) {
    const size_t take = std::min(kRate - held_, bytes.size());
    absorb(state_.data(), held_, bytes.first(take));
    bytes = bytes.subspan(take);
    held_ += static_cast<uint32_t>(take);
    if (held_ < kRate) return *this;
    active->permute(state_.data());
    held_ = 0;
  }
  for (; bytes.size() >= kRate; bytes = bytes.subspan(kRate)) {
    absorb_block<kRate, 1>(state_.data(), bytes.data());
    active->permute(state_.data());
  }
  absorb(state_.data(), 0, bytes);
  held_ = static_cast<uint32_t>(bytes.size());
  return *this;
}

template <class Hash>
Hash Keccak<Hash>::digest() const {
  std::array<uint64_t, 25> state = state_;
  pad<kRate>(state.data(), held_);
  active->permute(state.data());
  Hash hash;
  std::memcpy(hash.bytes.data(), state.data(), Hash::kSize);
  return hash;
}

template <class Hash>
Hash Keccak<Hash>::finish() {
  const Hash hash = digest();
  *this = {};
  return hash;
}

template class Keccak<Hash256>;
template class Keccak<Hash512>;

Hash256 keccak256(Bytes bytes) { return Keccak256().update(bytes).digest(); }
Hash256 keccak256(Bytes a, Bytes b) { return Keccak256().update(a).update(b).digest(); }
Hash512 keccak512(Bytes bytes) { return Keccak512().update(bytes).digest(); }

void keccak256_many(std::span<const Bytes> messages, std::span<Hash256> out) {
  BL_CHECK(out.size() == messages.size());
  if (active->permute_four == nullptr || messages.size() < 2) {
    for (size_t i = 0; i < messages.size(); ++i) out[i] = keccak256(messages[i]);
    return;
  }
  Quad(messages, out).run(active->permute_four);
}

}  // namespace beamline
