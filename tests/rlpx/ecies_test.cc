#include "rlpx/ecies.h"

#include "tests/crypto/test_hex.h"

namespace beamline::rlpx {
namespace {

using secp256k1::SecretKey;

std::vector<uint8_t> sealed(const SecretKey& to, Bytes plain, Bytes authenticated, Rng& rng) {
  std::vector<uint8_t> out;
  ecies_encrypt(to.public_key(), plain, authenticated, rng, out);
  EXPECT_EQ(out.size(), plain.size() + kEciesOverhead);
  return out;
}

TEST(RlpxEcies, ComesBackAndOnlyForItsKey) {
  Rng rng(uint64_t{1});
  const SecretKey bob = SecretKey::generate(rng);
  const SecretKey eve = SecretKey::generate(rng);
  for (const size_t size : std::initializer_list<size_t>{0, 1, 15, 16, 17, 300}) {
    std::vector<uint8_t> plain(size);
    rng.fill(plain);
    auto message = sealed(bob, plain, as_bytes("ab"), rng);
    auto again = message;
    EXPECT_EQ(ecies_decrypt(eve, again, as_bytes("ab")).error().code, Code::bad_checksum);
    EXPECT_EQ(again, message);  // nothing was decrypted
    const auto back = ecies_decrypt(bob, message, as_bytes("ab"));
    ASSERT_TRUE(back) << to_string(back.error());
    EXPECT_TRUE(equal(*back, plain));
  }
}

TEST(RlpxEcies, EveryFlippedByteIsATypedError) {
  Rng rng(uint64_t{2});
  const SecretKey bob = SecretKey::generate(rng);
  const auto message = sealed(bob, as_bytes("hello"), as_bytes("ad"), rng);
  for (size_t i = 0; i < message.size(); ++i) {
    auto copy = message;
    copy[i] ^= 1;
    const auto back = ecies_decrypt(bob, copy, as_bytes("ad"));
    ASSERT_FALSE(back) << i;
    EXPECT_EQ(back.error().fault, Fault::peer);
  }
  auto copy = message;
  EXPECT_EQ(ecies_decrypt(bob, copy, as_bytes("ae")).error().code, Code::bad_checksum);
}

TEST(RlpxEcies, TruncationsAreTypedErrors) {
  Rng rng(uint64_t{3});
  const SecretKey bob = SecretKey::generate(rng);
  const auto message = sealed(bob, as_bytes("hello"), {}, rng);
  for (size_t size = 0; size < message.size(); ++size) {
    std::vector<uint8_t> cut(message.begin(), message.begin() + static_cast<ptrdiff_t>(size));
    const auto back = ecies_decrypt(bob, cut, {});
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error().code, size < kEciesOverhead ? Code::truncated : Code::bad_checksum);
  }
}

// An invalid-curve attack: points of weaker curves, whose product with our key gives it away.
TEST(RlpxEcies, PointsThatAreNotOfTheCurveAreRefused) {
  Rng rng(uint64_t{4});
  const SecretKey bob = SecretKey::generate(rng);
  auto message = sealed(bob, as_bytes("hello"), {}, rng);
  const auto with_point = [&](std::vector<uint8_t> point) {
    auto copy = message;
    std::copy(point.begin(), point.end(), copy.begin());
    return ecies_decrypt(bob, copy, {});
  };
  std::vector<uint8_t> point(message.begin(), message.begin() + 65);
  point[64] ^= 1;  // y of another curve
  EXPECT_EQ(with_point(point).error().code, Code::bad_key);
  EXPECT_STREQ(with_point(point).error().field, "ecies.point");
  EXPECT_EQ(with_point(std::vector<uint8_t>(65, 0)).error().code, Code::bad_encoding);
  std::vector<uint8_t> zero(65, 0);
  zero[0] = 4;
  EXPECT_EQ(with_point(zero).error().code, Code::bad_key);
  std::vector<uint8_t> over(65, 0xff);  // coordinates over the field's prime
  over[0] = 4;
  EXPECT_EQ(with_point(over).error().code, Code::bad_key);
  for (const uint8_t form : std::initializer_list<uint8_t>{2, 3, 6, 7}) {
    std::vector<uint8_t> other(message.begin(), message.begin() + 65);
    other[0] = form;
    EXPECT_FALSE(with_point(other));
  }
}

}  // namespace
}  // namespace beamline::rlpx
