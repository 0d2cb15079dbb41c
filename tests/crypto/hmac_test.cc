#include "crypto/hmac.h"

#include "crypto/hkdf.h"
#include "tests/crypto/test_hex.h"

namespace beamline {
namespace {

// RFC 4231, test cases 1, 2 and 6 (a key longer than a block).
TEST(Hmac, Rfc4231) {
  EXPECT_EQ(hex(hmac_sha256(std::vector<uint8_t>(20, 0x0b), as_bytes("Hi There")).view()),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?")).view()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256(std::vector<uint8_t>(131, 0xaa),
                            as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))
                    .view()),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hmac, StartsAnewWithTheSameKey) {
  HmacSha256 hmac(as_bytes("key"));
  const Hash256 first = hmac.update(as_bytes("a")).update(as_bytes("b")).finish();
  EXPECT_EQ(hmac.update(as_bytes("ab")).finish(), first);
  EXPECT_NE(hmac.update(as_bytes("ba")).finish(), first);
}

// RFC 5869, test case 1, and 3 (no salt, no info).
TEST(Hkdf, Rfc5869) {
  const std::vector<uint8_t> key(22, 0x0b);
  std::array<uint8_t, 42> out;
  hkdf_sha256(key, unhex("000102030405060708090a0b0c"), unhex("f0f1f2f3f4f5f6f7f8f9"), out);
  EXPECT_EQ(hex(out),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
            "34007208d5b887185865");
  hkdf_sha256(key, {}, {}, out);
  EXPECT_EQ(hex(out),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
            "9d201395faa4b61a96c8");
}

TEST(Hkdf, EachLengthIsAPrefixOfTheLongest) {
  std::vector<uint8_t> longest(kHkdfMaxOutput);
  hkdf_expand(as_bytes("prk"), as_bytes("info"), longest);
  for (const size_t size : {0u, 1u, 31u, 32u, 33u, 64u, 100u}) {
    std::vector<uint8_t> part(size);
    hkdf_expand(as_bytes("prk"), as_bytes("info"), part);
    EXPECT_TRUE(equal(part, Bytes(longest).first(size))) << size;
  }
}

}  // namespace
}  // namespace beamline
