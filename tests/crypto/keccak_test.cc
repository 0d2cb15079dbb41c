#include "crypto/keccak.h"

#include <cryptopp/keccak.h>

#include "base/rng.h"
#include "tests/crypto/test_hex.h"

namespace beamline {
namespace {

Hash256 cryptopp_keccak256(Bytes bytes) {
  Hash256 hash;
  CryptoPP::Keccak_256().CalculateDigest(hash.bytes.data(), bytes.data(), bytes.size());
  return hash;
}

Hash512 cryptopp_keccak512(Bytes bytes) {
  Hash512 hash;
  CryptoPP::Keccak_512().CalculateDigest(hash.bytes.data(), bytes.data(), bytes.size());
  return hash;
}

// The Keccak team's ShortMsgKAT_256.txt and ShortMsgKAT_512.txt (their lengths 0, 8, 16 bits).
TEST(Keccak, OfficialVectors) {
  EXPECT_EQ(hex(keccak256({}).view()),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  EXPECT_EQ(hex(keccak256(unhex("cc")).view()),
            "eead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a");
  EXPECT_EQ(hex(keccak256(unhex("41fb")).view()),
            "a8eaceda4d47b3281a795ad9e1ea2122b407baf9aabcb9e18b5717b7873537d2");
  EXPECT_EQ(hex(keccak512({}).view()),
            "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304"
            "c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e");
  EXPECT_EQ(hex(keccak512(unhex("cc")).view()),
            "8630c13cbd066ea74bbe7fe468fec1dee10edc1254fb4c1b7c5fd69b646e4416"
            "0b8ce01d05a0908ca790dfb080f4b513bc3b6225ece7a810371441a5ac666eb9");
}

TEST(Keccak, EverySizeAndSplitAgreesWithTheOracle) {
  Rng rng(1);
  std::vector<uint8_t> data(420);
  rng.fill(data);
  for (size_t size = 0; size <= data.size(); ++size) {
    const Bytes bytes = Bytes(data).first(size);
    const Hash256 expected = cryptopp_keccak256(bytes);
    const Hash512 expected512 = cryptopp_keccak512(bytes);
    ASSERT_EQ(keccak256(bytes), expected) << "size " << size;
    ASSERT_EQ(keccak512(bytes), expected512) << "size " << size;
    const size_t cut = rng.below(size + 1);
    ASSERT_EQ(keccak256(bytes.first(cut), bytes.subspan(cut)), expected) << size << " at " << cut;
    Keccak512 parts;
    parts.update(bytes.first(cut));
    Keccak512 copy = parts;  // a copy carries the state on
    ASSERT_EQ(parts.update(bytes.subspan(cut)).finish(), expected512) << size << " at " << cut;
    ASSERT_EQ(copy.update(bytes.subspan(cut)).finish(), expected512) << size << " at " << cut;
    ASSERT_EQ(parts.finish(), keccak512({}));  // it started anew
  }
}

// RLPx reads its MACs from a hash that goes on.
TEST(Keccak, DigestLeavesTheStateAsItIs) {
  Rng rng(2);
  std::vector<uint8_t> all;
  Keccak256 running;
  for (int i = 0; i < 50; ++i) {
    std::vector<uint8_t> piece(rng.below(200));
    rng.fill(piece);
    all.insert(all.end(), piece.begin(), piece.end());
    running.update(piece);
    ASSERT_EQ(running.digest(), cryptopp_keccak256(all)) << i;
    ASSERT_EQ(running.digest(), running.digest());
  }
}

TEST(Keccak, EveryImplementationAgreesWithCryptoPpsPermutation) {
  const auto all = keccak_implementations();
  ASSERT_STREQ(all.back().name, "cryptopp");
  ASSERT_GE(all.size(), 2u);
  EXPECT_STREQ(keccak_implementation().name, all.front().name);
  Rng rng(3);
  for (int round = 0; round < 100; ++round) {
    alignas(32) std::array<uint64_t, 100> four;
    for (uint64_t& lane : four) lane = rng.next();
    std::array<std::array<uint64_t, 25>, 4> expected;
    for (size_t s = 0; s < 4; ++s) {
      for (size_t i = 0; i < 25; ++i) expected[s][i] = four[4 * i + s];
    }
    const auto before = expected;
    for (auto& state : expected) all.back().permute(state.data());
    for (const KeccakImplementation& implementation : all) {
      for (size_t s = 0; s < 4; ++s) {
        auto state = before[s];
        implementation.permute(state.data());
        ASSERT_EQ(state, expected[s]) << implementation.name;
      }
      if (implementation.permute_four == nullptr) continue;
      auto states = four;
      implementation.permute_four(states.data());
      for (size_t s = 0; s < 4; ++s) {
        for (size_t i = 0; i < 25; ++i) {
          ASSERT_EQ(states[4 * i + s], expected[s][i]) << implementation.name;
        }
      }
    }
  }
}

TEST(Keccak, ManyAtOnceGiveTheSameHashes) {
  const uint64_t seed = 4;
  Rng rng(seed);
  for (size_t count = 0; count < 40; ++count) {
    std::vector<std::vector<uint8_t>> messages(count);
    std::vector<Bytes> views;
    for (auto& message : messages) {
      // Around the block's size, where the padding takes a block of its own.
      message.resize(rng.chance(1, 2) ? rng.below(700) : 130 + rng.below(12));
      rng.fill(message);
      views.emplace_back(message);
    }
    std::vector<Hash256> hashes(count);
    keccak256_many(views, hashes);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(hashes[i], cryptopp_keccak256(views[i])) << "seed " << seed << " count " << count;
    }
  }
}

}  // namespace
}  // namespace beamline
