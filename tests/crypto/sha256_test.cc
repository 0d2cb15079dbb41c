#include "crypto/sha256.h"

#include <openssl/evp.h>

#include "base/rng.h"
#include "crypto/secret.h"
#include "tests/crypto/test_hex.h"

namespace beamline {
namespace {

Hash256 openssl_sha256(Bytes bytes) {
  Hash256 hash;
  size_t size = 32;
  EXPECT_EQ(EVP_Q_digest(nullptr, "SHA256", nullptr, bytes.data(), bytes.size(), hash.bytes.data(),
                         &size),
            1);
  return hash;
}

// FIPS 180-4 examples (NIST CSRC, "SHA256.pdf").
TEST(Sha256, NistExamples) {
  EXPECT_EQ(hex(sha256(as_bytes("")).view()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256(as_bytes("abc")).view()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(
      hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).view()),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256 million;
  const std::string a(1000, 'a');
  for (int i = 0; i < 1000; ++i) million.update(as_bytes(a));
  EXPECT_EQ(hex(million.finish().view()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, EverySizeAndSplitAgreesWithOpenSsl) {
  Rng rng(1);
  std::vector<uint8_t> data(300);
  rng.fill(data);
  for (size_t size = 0; size <= data.size(); ++size) {
    const Bytes bytes = Bytes(data).first(size);
    const Hash256 expected = openssl_sha256(bytes);
    ASSERT_EQ(sha256(bytes), expected) << "size " << size;
    const size_t cut = rng.below(size + 1);
    Sha256 parts;
    parts.update(bytes.first(cut));
    Sha256 copy = parts;  // a copy carries the state on
    ASSERT_EQ(parts.update(bytes.subspan(cut)).finish(), expected) << size << " at " << cut;
    ASSERT_EQ(copy.update(bytes.subspan(cut)).finish(), expected) << size << " at " << cut;
    ASSERT_EQ(sha256(bytes.first(cut), bytes.subspan(cut)), expected);
    ASSERT_EQ(sha256(bytes.first(cut), {}, bytes.subspan(cut)), expected);
    ASSERT_EQ(sha256({}, bytes.first(cut), {}, bytes.subspan(cut)), expected);
  }
}

TEST(Sha256, StartsAnewAfterFinish) {
  Sha256 hash;
  hash.update(as_bytes("abc"));
  const Hash256 first = hash.finish();
  hash.update(as_bytes("abc"));
  EXPECT_EQ(hash.finish(), first);
}

TEST(Sha256, EveryImplementationAgreesWithOpenSsl) {
  Rng rng(2);
  for (const Sha256Implementation& implementation : sha256_implementations()) {
    SCOPED_TRACE(implementation.name);
    for (size_t count = 0; count <= 19; ++count) {
      std::vector<uint8_t> pairs(64 * count + 1);
      rng.fill(pairs);
      std::vector<uint8_t> out(32 * count + 1, 0x55);
      implementation.pairs(pairs.data(), out.data(), count);
      for (size_t i = 0; i < count; ++i) {
        const Hash256 expected = openssl_sha256(Bytes(pairs).subspan(64 * i, 64));
        ASSERT_EQ(Hash256::load(out.data() + 32 * i), expected) << i << " of " << count;
      }
      EXPECT_EQ(out.back(), 0x55);                              // wrote no further
      implementation.pairs(pairs.data(), pairs.data(), count);  // in place
      EXPECT_TRUE(equal(Bytes(pairs).first(32 * count), Bytes(out).first(32 * count)));
    }
  }
}

TEST(Sha256, MerklePairIsTheHashOfBoth) {
  const Hash256 left = sha256(as_bytes("l"));
  const Hash256 right = sha256(as_bytes("r"));
  EXPECT_EQ(sha256_pair(left, right), sha256(left.view(), right.view()));
}

TEST(Hash256, OrderAndHasher) {
  Hash256 a = Hash256::zero();
  Hash256 b = a;
  b.bytes[31] = 1;
  EXPECT_LT(a, b);
  EXPECT_TRUE(a.is_zero());
  EXPECT_FALSE(b.is_zero());
  EXPECT_NE(Hash256Hasher{7}(a), Hash256Hasher{7}(b));
  EXPECT_NE(Hash256Hasher{7}(b), Hash256Hasher{8}(b));
}

TEST(Secret, ConstantTimeEqual) {
  EXPECT_TRUE(constant_time_equal({}, {}));
  EXPECT_TRUE(constant_time_equal(as_bytes("tag"), as_bytes("tag")));
  EXPECT_FALSE(constant_time_equal(as_bytes("tag"), as_bytes("tax")));
  EXPECT_FALSE(constant_time_equal(as_bytes("tag"), as_bytes("tags")));
}

TEST(Secret, WipeLeavesZeros) {
  std::array<uint8_t, 8> secret;
  secret.fill(7);
  secure_wipe(secret);
  EXPECT_EQ(secret, (std::array<uint8_t, 8>{}));
}

}  // namespace
}  // namespace beamline
