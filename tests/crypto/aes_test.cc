#include "crypto/aes.h"

#include "base/rng.h"
#include "tests/crypto/test_hex.h"

namespace beamline {
namespace {

// SP 800-38A, F.5.1 and F.5.5: the same plain text and counter under keys of both sizes.
constexpr const char* kPlain =
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
constexpr const char* kCounter = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

TEST(AesCtr, NistExamples) {
  const AesBlockBytes counter = unhex_array<16>(kCounter);
  std::vector<uint8_t> data = unhex(kPlain);
  AesCtr(unhex("2b7e151628aed2a6abf7158809cf4f3c"), counter).process(data);
  EXPECT_EQ(hex(data),
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
            "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee");
  data = unhex(kPlain);
  AesCtr(unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"), counter)
      .process(data);
  EXPECT_EQ(hex(data),
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
            "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6");
}

TEST(AesCtr, StreamGoesOnAcrossPiecesAndOneShotAgrees) {
  Rng rng(1);
  for (const size_t key_size : {size_t{16}, size_t{32}}) {
    std::vector<uint8_t> key(key_size);
    AesBlockBytes counter;
    std::vector<uint8_t> plain(1000);
    rng.fill(key);
    rng.fill(counter);
    rng.fill(plain);
    std::vector<uint8_t> whole = plain;
    aes_ctr(key, counter, whole);
    std::vector<uint8_t> pieces = plain;
    AesCtr stream(key, counter);
    for (size_t at = 0; at < pieces.size();) {
      const size_t size = std::min<size_t>(rng.below(50), pieces.size() - at);
      stream.process(MutableBytes(pieces).subspan(at, size));
      AesCtr moved = std::move(stream);
      stream = std::move(moved);
      at += size;
    }
    EXPECT_EQ(pieces, whole);
    aes_ctr(key, counter, whole);
    EXPECT_EQ(whole, plain);
  }
}

// FIPS 197, C.3.
TEST(Aes256Block, NistExample) {
  const auto key =
      unhex_array<32>("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  Aes256Block cipher(key);
  const AesBlockBytes block = unhex_array<16>("00112233445566778899aabbccddeeff");
  EXPECT_EQ(hex(cipher.encrypt(block)), "8ea2b7ca516745bfeafc49904b496089");
  EXPECT_EQ(hex(cipher.encrypt(block)), "8ea2b7ca516745bfeafc49904b496089");
}

// The GCM specification's test case 4 (McGrew and Viega).
TEST(AesGcm, SpecificationsExample) {
  const AesGcm cipher(unhex("feffe9928665731c6d6a8f9467308308"));
  const auto nonce = unhex_array<12>("cafebabefacedbaddecaf888");
  const std::vector<uint8_t> associated = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const std::vector<uint8_t> plain = unhex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  std::vector<uint8_t> data = plain;
  std::array<uint8_t, 16> tag;
  cipher.seal(nonce, associated, data, tag);
  EXPECT_EQ(hex(data),
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
            "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091");
  EXPECT_EQ(hex(tag), "5bc94fbc3221a5db94fae95ae7121a47");
  ASSERT_TRUE(cipher.open(nonce, associated, data, tag));
  EXPECT_EQ(data, plain);
}

TEST(AesGcm, AnyChangedBitIsRefusedAndLeavesNothing) {
  Rng rng(2);
  for (const size_t key_size : {size_t{16}, size_t{32}}) {
    std::vector<uint8_t> key(key_size);
    rng.fill(key);
    const AesGcm cipher(key);
    for (int i = 0; i < 200; ++i) {
      AesGcm::Nonce nonce;
      rng.fill(nonce);
      std::vector<uint8_t> associated(1 + rng.below(40)), data(1 + rng.below(200));
      rng.fill(associated);
      rng.fill(data);
      std::array<uint8_t, 16> tag;
      cipher.seal(nonce, associated, data, tag);
      const std::span<uint8_t> parts[] = {associated, data, tag, nonce};
      const std::span<uint8_t> part = parts[rng.below(4)];
      part[rng.below(part.size())] ^= static_cast<uint8_t>(1u << rng.below(8));
      const Status status = cipher.open(nonce, associated, data, tag);
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().code, Code::decrypt_failed);
      EXPECT_EQ(data, std::vector<uint8_t>(data.size()));
    }
  }
}

// Sessions share this thread's contexts: the keys must not mix, also after one moved or died.
TEST(AesGcm, ManyKeysByTurns) {
  Rng rng(3);
  std::vector<AesGcm> ciphers;
  for (size_t i = 0; i < 8; ++i) {
    std::vector<uint8_t> key(i % 2 == 0 ? 16 : 32);
    rng.fill(key);
    ciphers.emplace_back(key);
  }
  const AesGcm::Nonce nonce{};
  std::vector<std::vector<uint8_t>> sealed(8, std::vector<uint8_t>(10, 7));
  std::vector<std::array<uint8_t, 16>> tags(8);
  for (size_t i = 0; i < 8; ++i) ciphers[i].seal(nonce, {}, sealed[i], tags[i]);
  for (int i = 0; i < 100; ++i) {
    const size_t cipher = rng.below(8), message = rng.below(8);
    std::vector<uint8_t> data = sealed[message];
    EXPECT_EQ(ciphers[cipher].open(nonce, {}, data, tags[message]).has_value(), cipher == message);
    if (cipher == message) {
      EXPECT_EQ(data, std::vector<uint8_t>(10, 7));
    }
  }
  AesGcm moved = std::move(ciphers[0]);
  std::vector<uint8_t> data = sealed[0];
  EXPECT_TRUE(moved.open(nonce, {}, data, tags[0]));
}

// The same stream as CTR gives, for every size up to some blocks and counters that overflow.
TEST(AesMask, IsCtrWithoutASetUpPerMessage) {
  Rng rng(uint64_t{21});
  for (size_t size = 0; size < 200; ++size) {
    std::array<uint8_t, 16> key;
    rng.fill(key);
    AesBlockBytes counter;
    rng.fill(counter);
    if (size % 3 == 0) std::fill(counter.begin() + 4, counter.end(), uint8_t{0xff});
    if (size % 30 == 0) counter.fill(0xff);
    AesMask mask(key);
    for (int again = 0; again < 2; ++again) {
      std::vector<uint8_t> ours(size), theirs;
      rng.fill(ours);
      theirs = ours;
      mask.process(counter, ours);
      aes_ctr(key, counter, theirs);
      EXPECT_EQ(ours, theirs) << size;
    }
  }
}

}  // namespace
}  // namespace beamline
