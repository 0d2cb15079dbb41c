#include "crypto/chacha20poly1305.h"

#include "base/rng.h"
#include "tests/crypto/test_hex.h"

namespace beamline {
namespace {

using Nonce = ChaCha20Poly1305::Nonce;

Nonce counter_nonce(uint64_t counter) {
  Nonce nonce{};
  std::memcpy(nonce.data() + 4, &counter, 8);
  return nonce;
}

std::array<uint8_t, 32> key_of(uint8_t first, uint8_t last) {
  std::array<uint8_t, 32> key{};
  key.front() = first;
  key.back() = last;
  return key;
}

// RFC 8439, 2.8.2.
TEST(ChaCha20Poly1305, Rfc8439) {
  const auto key =
      unhex_array<32>("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const Nonce nonce = unhex_array<12>("070000004041424344454647");
  const std::vector<uint8_t> associated = unhex("50515253c0c1c2c3c4c5c6c7");
  const std::string plain =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
      "future, sunscreen would be it.";
  std::vector<uint8_t> data(plain.begin(), plain.end());
  const ChaCha20Poly1305 cipher(key);
  std::array<uint8_t, 16> tag;
  cipher.seal(nonce, associated, data, tag);
  EXPECT_EQ(hex(data).substr(0, 32), "d31a8d34648e60db7b86afbc53ef7ec2");
  EXPECT_EQ(hex(tag), "1ae10b594f09e26a7e902ecbd0600691");
  ASSERT_TRUE(cipher.open(nonce, associated, data, tag));
  EXPECT_EQ(as_text(data), plain);
}

TEST(ChaCha20Poly1305, EverySizeComesBackAndEveryFlippedBitIsSeen) {
  Rng rng(3);
  const ChaCha20Poly1305 cipher(key_of(1, 2));
  for (size_t size = 0; size <= 130; ++size) {
    std::vector<uint8_t> plain(size);
    rng.fill(plain);
    std::vector<uint8_t> sealed = plain;
    sealed.resize(size + 16);
    cipher.seal(counter_nonce(size), {}, sealed);
    std::vector<uint8_t> broken = sealed;
    broken[rng.below(broken.size())] ^= static_cast<uint8_t>(1u << rng.below(8));
    const auto refused = cipher.open(counter_nonce(size), {}, broken);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::decrypt_failed);
    EXPECT_EQ(refused.error().fault, Fault::peer);
    const auto opened = cipher.open(counter_nonce(size), {}, sealed);
    ASSERT_TRUE(opened);
    ASSERT_EQ(*opened, size);
    ASSERT_TRUE(equal(Bytes(sealed).first(size), plain));
  }
}

TEST(ChaCha20Poly1305, WrongNonceKeyOrAssociatedDataIsRefusedAndTheDataWiped) {
  std::vector<uint8_t> sealed(5 + 16, 'x');
  ChaCha20Poly1305 cipher(key_of(1, 2));
  cipher.seal(counter_nonce(0), as_bytes("ad"), sealed);
  std::vector<uint8_t> copy = sealed;
  EXPECT_FALSE(cipher.open(counter_nonce(1), as_bytes("ad"), copy));
  EXPECT_TRUE(equal(Bytes(copy).first(5), std::vector<uint8_t>(5, 0)));
  copy = sealed;
  EXPECT_FALSE(cipher.open(counter_nonce(0), as_bytes("da"), copy));
  copy = sealed;
  EXPECT_FALSE(ChaCha20Poly1305(key_of(1, 3)).open(counter_nonce(0), as_bytes("ad"), copy));
  EXPECT_TRUE(cipher.open(counter_nonce(0), as_bytes("ad"), sealed));
}

TEST(ChaCha20Poly1305, ShorterThanATagIsTruncated) {
  std::vector<uint8_t> sealed(15);
  const auto opened = ChaCha20Poly1305(key_of(1, 2)).open(counter_nonce(0), {}, sealed);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::truncated);
}

// Many keys on one thread, sealing and opening in turn; an idle one is its 32 bytes.
TEST(ChaCha20Poly1305, ManyKeysShareAThreadsContexts) {
  EXPECT_LE(sizeof(ChaCha20Poly1305), 32u);
  std::vector<ChaCha20Poly1305> ciphers;
  for (int i = 0; i < 600; ++i) {
    ciphers.emplace_back(key_of(static_cast<uint8_t>(i), static_cast<uint8_t>(i >> 8)));
  }
  Rng rng(4);
  std::vector<std::vector<uint8_t>> sealed(ciphers.size());
  for (size_t round = 0; round < 3; ++round) {
    for (size_t i = 0; i < ciphers.size(); ++i) {
      sealed[i].assign(20 + 16, static_cast<uint8_t>(i));
      ciphers[i].seal(counter_nonce(round), {}, sealed[i]);
    }
    for (size_t n = 0; n < ciphers.size(); ++n) {
      const size_t i = rng.below(ciphers.size());
      std::vector<uint8_t> copy = sealed[i];
      ASSERT_TRUE(ciphers[i].open(counter_nonce(round), {}, copy));
      ASSERT_EQ(copy[19], static_cast<uint8_t>(i));
    }
  }
}

TEST(ChaCha20Poly1305, MovesBetweenThreadsAndObjects) {
  ChaCha20Poly1305 cipher(key_of(9, 9));
  std::vector<uint8_t> sealed(3 + 16, 'y');
  cipher.seal(counter_nonce(0), {}, sealed);
  bool opened = false;
  std::thread([&, moved = std::move(cipher)] {
    opened = moved.open(counter_nonce(0), {}, sealed).has_value();
  }).join();
  EXPECT_TRUE(opened);
  EXPECT_EQ(sealed[0], 'y');
}

}  // namespace
}  // namespace beamline
