#include "crypto/x25519.h"

#include "tests/crypto/test_hex.h"

namespace beamline::x25519 {
namespace {

SecretKey secret_of(std::string_view text) {
  const auto bytes = unhex_array<32>(text);
  return SecretKey{std::span<const uint8_t, 32>(bytes)};
}

// RFC 7748, 6.1.
TEST(X25519, Rfc7748) {
  const SecretKey alice =
      secret_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const SecretKey bob =
      secret_of("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  EXPECT_EQ(hex(alice.public_key()),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(hex(bob.public_key()),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const char* shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  EXPECT_EQ(hex(*alice.exchange(bob.public_key())), shared);
  EXPECT_EQ(hex(*bob.exchange(alice.public_key())), shared);
}

TEST(X25519, KeysComeFromTheRngAlone) {
  Rng a(8), b(8), c(9);
  const SecretKey first = SecretKey::generate(a);
  EXPECT_EQ(first.public_key(), SecretKey::generate(b).public_key());
  EXPECT_NE(first.public_key(), SecretKey::generate(c).public_key());
}

// Points of low order give zero, whatever the key: a peer must not choose our secret.
TEST(X25519, LowOrderPointsAreRefused) {
  Rng rng(10);
  const SecretKey key = SecretKey::generate(rng);
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    const auto shared = key.exchange(unhex_array<32>(point));
    ASSERT_FALSE(shared) << point;
    EXPECT_EQ(shared.error().code, Code::bad_key);
    EXPECT_EQ(shared.error().fault, Fault::peer);
  }
}

}  // namespace
}  // namespace beamline::x25519
