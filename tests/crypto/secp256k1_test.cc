#include "crypto/secp256k1.h"

#include "crypto/sha256.h"
#include "tests/crypto/test_hex.h"

namespace beamline::secp256k1 {
namespace {

SecretKey key_one() {
  return *SecretKey::parse(
      unhex("0000000000000000000000000000000000000000000000000000000000000001"));
}

// SEC 2, 2.4.1: the base point is the public key of 1.
TEST(Secp256k1, PublicKeyOfOneIsTheBasePoint) {
  const SecretKey key = key_one();
  EXPECT_EQ(hex(key.public_key().compressed()),
            "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
  EXPECT_EQ(hex(key.public_key().uncompressed()),
            "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
            "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8");
}

TEST(Secp256k1, SignaturesVerifyAndComeBackThroughEveryForm) {
  Rng rng(5);
  for (int i = 0; i < 50; ++i) {
    const SecretKey key = SecretKey::generate(rng);
    Hash256 digest;
    rng.fill(digest.bytes);
    const Signature signature = key.sign(digest);
    ASSERT_TRUE(verify(key.public_key(), digest, signature));
    std::array<uint8_t, kMaxDerSize> der;
    const size_t size = signature.write_der(der);
    const auto from_der = Signature::parse_der(Bytes(der).first(size));
    ASSERT_TRUE(from_der);
    EXPECT_EQ(*from_der, signature);
    EXPECT_EQ(*Signature::parse_compact(signature.bytes), signature);
    const RecoverableSignature recoverable = key.sign_recoverable(digest);
    EXPECT_EQ(recoverable.signature, signature);
    ASSERT_TRUE(recover(digest, recoverable));
    EXPECT_EQ(*recover(digest, recoverable), key.public_key());
    digest.bytes[7] ^= 1;
    EXPECT_EQ(verify(key.public_key(), digest, signature).error().code, Code::bad_signature);
    const auto other = recover(digest, recoverable);
    EXPECT_TRUE(!other || *other != key.public_key());
  }
}

TEST(Secp256k1, SigningIsDeterministic) {
  const Hash256 digest = sha256(as_bytes("beamline"));
  EXPECT_EQ(key_one().sign(digest), key_one().sign(digest));
}

TEST(Secp256k1, EcdhAgreesOnBothSides) {
  Rng rng(6);
  const SecretKey a = SecretKey::generate(rng);
  const SecretKey b = SecretKey::generate(rng);
  EXPECT_EQ(a.ecdh_x(b.public_key()), b.ecdh_x(a.public_key()));
  EXPECT_EQ(a.ecdh_point(b.public_key()), b.ecdh_point(a.public_key()));
  // With the key 1 the shared point is the other's public key.
  EXPECT_EQ(key_one().ecdh_point(a.public_key()), a.public_key().compressed());
  EXPECT_TRUE(
      equal(key_one().ecdh_x(a.public_key()), Bytes(a.public_key().compressed()).subspan(1)));
}

TEST(Secp256k1, SecretKeysOutsideTheGroupAreRefused) {
  EXPECT_FALSE(SecretKey::parse(std::vector<uint8_t>(32, 0)));
  EXPECT_FALSE(SecretKey::parse(std::vector<uint8_t>(32, 0xff)));
  EXPECT_FALSE(SecretKey::parse(  // the order itself
      unhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")));
  EXPECT_FALSE(SecretKey::parse(std::vector<uint8_t>(31, 1)));
  EXPECT_EQ(SecretKey::parse({}).error().code, Code::bad_key);
}

TEST(Secp256k1, PublicKeysThatAreNoPointAreRefused) {
  EXPECT_EQ(PublicKey::parse({}).error().code, Code::bad_encoding);
  std::vector<uint8_t> bytes(33, 0xff);
  bytes[0] = 2;
  EXPECT_EQ(PublicKey::parse(bytes).error().code, Code::bad_key);
  const auto whole = key_one().public_key().uncompressed();
  std::vector<uint8_t> hybrid(whole.begin(), whole.end());
  EXPECT_TRUE(PublicKey::parse(hybrid));
  hybrid[0] = 6;
  EXPECT_EQ(PublicKey::parse(hybrid).error().code, Code::bad_encoding);
  hybrid[0] = 4;
  hybrid[64] ^= 1;
  EXPECT_EQ(PublicKey::parse(hybrid).error().code, Code::bad_key);
}

// The same signature with n - s: refused, or turned round where the protocol has to take it.
TEST(Secp256k1, HighSIsRefusedOrNormalised) {
  const auto order = unhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  const SecretKey key = key_one();
  const Hash256 digest = sha256(as_bytes("m"));
  const Signature low = key.sign(digest);
  std::array<uint8_t, 64> high = low.bytes;
  int borrow = 0;
  for (size_t i = 32; i-- > 0;) {
    const int digit = order[i] - low.bytes[32 + i] - borrow;
    borrow = digit < 0;
    high[32 + i] = static_cast<uint8_t>(digit);
  }
  EXPECT_EQ(Signature::parse_compact(high).error().code, Code::non_canonical);
  const auto normalised = Signature::parse_compact(high, HighS::accept);
  ASSERT_TRUE(normalised);
  EXPECT_EQ(*normalised, low);
}

TEST(Secp256k1, DerIsStrict) {
  const Signature signature = key_one().sign(sha256(as_bytes("m")));
  std::array<uint8_t, kMaxDerSize> buffer;
  const size_t size = signature.write_der(buffer);
  const std::vector<uint8_t> der(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(size));
  for (size_t cut = 0; cut < der.size(); ++cut) {
    EXPECT_FALSE(Signature::parse_der(Bytes(der).first(cut))) << cut;
  }
  EXPECT_EQ(Signature::parse_der({}).error().code, Code::truncated);
  std::vector<uint8_t> longer = der;
  longer.push_back(0);
  EXPECT_FALSE(Signature::parse_der(longer));
  EXPECT_FALSE(Signature::parse_der(unhex("3006020100020101")));    // r = 0
  EXPECT_FALSE(Signature::parse_der(unhex("3006020101020181")));    // s < 0
  EXPECT_FALSE(Signature::parse_der(unhex("300702020001020101")));  // r with a zero too many
  EXPECT_TRUE(Signature::parse_der(unhex("3006020101020101")));
  EXPECT_EQ(Signature::parse_der(std::vector<uint8_t>(100, 0x30)).error().code, Code::too_long);
}

TEST(Secp256k1, MovedFromKeyIsWiped) {
  Rng rng(7);
  SecretKey a = SecretKey::generate(rng);
  const SecretKey b = std::move(a);
  EXPECT_TRUE(equal(a.bytes(), std::vector<uint8_t>(32, 0)));  // NOLINT: that is the point
}

}  // namespace
}  // namespace beamline::secp256k1
