#include "rlpx/handshake.h"

#include "codec/rlp.h"
#include "rlpx/ecies.h"
#include "tests/crypto/test_hex.h"
#include "tests/rlpx/eip8.h"

namespace beamline::rlpx {
namespace {

using secp256k1::PublicKey;
using secp256k1::SecretKey;

SecretKey key(const char* text) { return std::move(*SecretKey::parse(unhex(text))); }

Handshake::Draw draw(const char* ephemeral, const char* nonce) {
  return {key(ephemeral), Hash256::from(unhex(nonce))};
}

class RlpxHandshake : public testing::Test {
 protected:
  Handshake alice() {
    return Handshake::initiator(a_, b_.public_key(), draw(kEphemeralKeyA, kNonceA), rng_);
  }
  Handshake bob() { return Handshake::recipient(b_, draw(kEphemeralKeyB, kNonceB)); }

  Rng rng_{uint64_t{7}};
  const SecretKey a_ = key(kStaticKeyA);
  const SecretKey b_ = key(kStaticKeyB);
};

TEST_F(RlpxHandshake, Eip8AuthOfBothVersionsIsTaken) {
  for (const char* text : {kAuth2, kAuth3}) {
    const auto auth = unhex(text);
    Handshake ours = bob();
    const auto taken = ours.feed(auth, rng_);
    ASSERT_TRUE(taken) << to_string(taken.error());
    EXPECT_EQ(*taken, auth.size());
    ASSERT_TRUE(ours.done());
    EXPECT_EQ(ours.remote(), a_.public_key());
    EXPECT_FALSE(ours.output().empty());
  }
}

TEST_F(RlpxHandshake, Eip8AckOfBothVersionsIsTaken) {
  for (const char* text : {kAck2, kAck3}) {
    Handshake ours = alice();
    const auto ack = unhex(text);
    const auto taken = ours.feed(ack, rng_);
    ASSERT_TRUE(taken) << to_string(taken.error());
    EXPECT_EQ(*taken, ack.size());
    ASSERT_TRUE(ours.done());
    EXPECT_EQ(ours.remote(), b_.public_key());
  }
}

// "Node B derives the connection secrets for (Auth2, Ack2) as follows".
TEST_F(RlpxHandshake, Eip8SecretsAreThoseOfTheVector) {
  Handshake ours = bob();
  ASSERT_TRUE(ours.feed(unhex(kAuth2), rng_));
  Secrets secrets = ours.secrets();
  EXPECT_EQ(hex(secrets.aes.view()),
            "80e8632c05fed6fc2a13b0f8d31a3cf645366239170ea067065aba8e28bac487");
  EXPECT_EQ(hex(secrets.mac.view()),
            "2ea74ec5dae199227dff1af715362700e989d889d7a493cb0639691efb8e5f98");
  secrets.ingress.update(as_bytes("foo"));
  EXPECT_EQ(hex(secrets.ingress.digest().view()),
            "0c7ec6340062cc46f5e9f1e3cf86f8c8c403c5a0964f5df0ebd34a75ddc86db5");
  // The initiator, who has the ack of the vector, derives the same keys.
  Handshake theirs = alice();
  ASSERT_TRUE(theirs.feed(unhex(kAck2), rng_));
  EXPECT_EQ(theirs.secrets().aes, secrets.aes);
  EXPECT_EQ(theirs.secrets().mac, secrets.mac);
}

TEST_F(RlpxHandshake, TheFormBeforeEip8IsRefused) {
  // Read in EIP-8's form it announces more bytes than it has: it waits for them until its user's
  // deadline, or fails when they come.
  Handshake recipient = bob();
  ASSERT_TRUE(recipient.feed(unhex(kAuth1), rng_));
  EXPECT_FALSE(recipient.done());
  EXPECT_FALSE(recipient.feed(std::vector<uint8_t>(2048), rng_));
  Handshake initiator = alice();
  ASSERT_TRUE(initiator.feed(unhex(kAck1), rng_));
  EXPECT_FALSE(initiator.feed(std::vector<uint8_t>(2048), rng_));
}

TEST_F(RlpxHandshake, BothRolesAgreeInPiecesOfAnySize) {
  const uint64_t seed = 8;
  Rng rng(seed);
  for (int round = 0; round < 20; ++round) {
    const SecretKey static_a = SecretKey::generate(rng);
    const SecretKey static_b = SecretKey::generate(rng);
    Handshake a = Handshake::initiator(static_a, static_b.public_key(), rng);
    Handshake b = Handshake::recipient(static_b, rng);
    const auto pass = [&](Handshake& from, Handshake& to) {
      std::vector<uint8_t> bytes(from.output().begin(), from.output().end());
      bytes.resize(bytes.size() + 5, 0xaa);  // the first of the frames behind it
      Bytes rest(bytes);
      while (!to.done()) {
        const size_t piece = std::min<size_t>(rest.size(), 1 + rng.below(200));
        const auto taken = to.feed(rest.first(piece), rng);
        ASSERT_TRUE(taken) << to_string(taken.error()) << " seed " << seed;
        rest = rest.subspan(*taken);
        if (!to.done()) {
          ASSERT_EQ(*taken, piece);
        }
      }
      ASSERT_GE(rest.size(), 5u);
    };
    pass(a, b);
    pass(b, a);
    const Secrets sa = a.secrets();
    const Secrets sb = b.secrets();
    EXPECT_EQ(sa.aes, sb.aes);
    EXPECT_EQ(sa.mac, sb.mac);
    EXPECT_EQ(sa.egress.digest(), sb.ingress.digest());
    EXPECT_EQ(sa.ingress.digest(), sb.egress.digest());
    EXPECT_EQ(b.remote(), static_a.public_key());
    EXPECT_NE(sa.egress.digest(), sa.ingress.digest());
  }
}

TEST_F(RlpxHandshake, DamageAndTruncationAreTypedErrorsOrWait) {
  const auto auth = unhex(kAuth2);
  for (size_t i = 0; i < auth.size(); ++i) {
    auto copy = auth;
    copy[i] ^= 0x40;
    Handshake ours = bob();
    const auto taken = ours.feed(copy, rng_);
    // A larger size waits for more; its user has a deadline.
    ASSERT_FALSE(ours.done()) << i;
    if (!taken) {
      EXPECT_EQ(taken.error().fault, Fault::peer);
    }
    if (i >= 2) {
      ASSERT_FALSE(taken) << i;
    }
  }
  Handshake ours = bob();
  EXPECT_TRUE(ours.feed(Bytes(auth).first(auth.size() - 1), rng_));
  EXPECT_FALSE(ours.done());
}

TEST_F(RlpxHandshake, SizesOverTheLimitAreRefusedBeforeAnythingIsKept) {
  for (const auto& [bytes, code] : {std::pair{unhex("ffff"), Code::too_long},
                                    {unhex("0801"), Code::too_long},
                                    {unhex("0070"), Code::truncated},
                                    {unhex("0000"), Code::truncated}}) {
    Handshake ours = bob();
    EXPECT_EQ(ours.feed(bytes, rng_).error().code, code);
  }
  Handshake ours = bob();
  EXPECT_TRUE(ours.feed(unhex("0800"), rng_));
}

// Packets that are sealed well for us and wrong inside.
TEST_F(RlpxHandshake, WrongBodiesAreTypedErrors) {
  const auto send = [&](auto write) {
    std::vector<uint8_t> body;
    rlp::Writer writer(body);
    const auto list = writer.begin_list();
    write(writer);
    writer.end_list(list);
    const size_t size = body.size() + kEciesOverhead;
    std::vector<uint8_t> packet = {static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)};
    const std::vector<uint8_t> prefix = packet;
    ecies_encrypt(b_.public_key(), body, prefix, rng_, packet);
    Handshake ours = bob();
    return ours.feed(packet, rng_);
  };
  const auto point = a_.public_key().uncompressed();
  const Bytes id = Bytes(point).subspan(1);
  const std::vector<uint8_t> signature(65, 0x01), high(65, 0xff), zero(65, 0);
  const std::vector<uint8_t> off_curve(64, 0x05), nonce(32, 0x09);
  const auto auth = [&](Bytes proof, Bytes key, Bytes once) {
    return send([&](rlp::Writer& writer) {
      writer.string(proof);
      writer.string(key);
      writer.string(once);
      writer.uint(4);
    });
  };
  EXPECT_EQ(send([](rlp::Writer&) {}).error().code, Code::truncated);
  EXPECT_STREQ(auth(high, id, nonce).error().field, "auth.signature");
  EXPECT_STREQ(auth(zero, id, nonce).error().field, "auth.signature");
  EXPECT_EQ(auth(signature, off_curve, nonce).error().code, Code::bad_key);
  EXPECT_EQ(auth(signature, id.first(63), nonce).error().code, Code::mismatch);
  EXPECT_EQ(auth(signature, id, Bytes(nonce).first(31)).error().code, Code::mismatch);
  EXPECT_EQ(auth(Bytes(signature).first(64), id, nonce).error().code, Code::mismatch);
}

}  // namespace
}  // namespace beamline::rlpx
