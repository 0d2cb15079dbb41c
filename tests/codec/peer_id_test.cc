#include "codec/peer_id.h"

#include "base/rng.h"
#include "codec/hex.h"

namespace beamline {
namespace {

// libp2p/specs peer-ids.md, "Test vectors" (secp256k1), and the text that @libp2p/peer-id gives it.
TEST(PeerId, SpecificationsSecp256k1Key) {
  const auto secret = secp256k1::SecretKey::parse(
      *parse_hex("53dadf1d5a164d6b4acdb15e24aa4c5b1d3461bdbd42abedb0a4404d56ced8fb"));
  ASSERT_TRUE(secret);
  const auto key = encode_identity_key(secret->public_key());
  EXPECT_EQ(to_hex(key),
            "08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99");
  const PeerId id = PeerId::from_public_key(secret->public_key());
  EXPECT_EQ(to_hex(id.bytes()), "0025" + to_hex(key));
  EXPECT_EQ(id.to_text(), "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY");
  EXPECT_EQ(*PeerId::parse_text(id.to_text()), id);
  EXPECT_EQ(*PeerId::parse(id.bytes()), id);
  EXPECT_EQ(*id.public_key(), secret->public_key());
}

TEST(PeerId, HashedAndOtherKeysAreIdsWithoutAKeyForUs) {
  const auto hashed = PeerId::parse_text("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N");
  ASSERT_TRUE(hashed);
  EXPECT_EQ(hashed->public_key().error().code, Code::not_found);
  EXPECT_EQ(hashed->to_text(), "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N");
  const auto ed25519 = PeerId::parse_text("12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcqzMFHZnnsTzqD");
  ASSERT_TRUE(ed25519);
  EXPECT_EQ(ed25519->public_key().error().code, Code::unsupported);
}

TEST(PeerId, BadBytesAreTypedErrors) {
  EXPECT_EQ(PeerId::parse({}).error().code, Code::truncated);
  EXPECT_EQ(PeerId::parse(*parse_hex("0000")).error().code, Code::out_of_range);
  EXPECT_EQ(PeerId::parse(*parse_hex("002b")).error().code, Code::out_of_range);
  EXPECT_EQ(PeerId::parse(*parse_hex("000201")).error().code, Code::truncated);
  EXPECT_EQ(PeerId::parse(*parse_hex("00010102")).error().code, Code::trailing);
  EXPECT_EQ(PeerId::parse(*parse_hex("1220aa")).error().code, Code::truncated);
  EXPECT_EQ(PeerId::parse(*parse_hex("1210aa")).error().code, Code::bad_encoding);
  EXPECT_EQ(PeerId::parse(*parse_hex("1114aa")).error().code, Code::unsupported);
  EXPECT_EQ(PeerId::parse(std::vector<uint8_t>(45)).error().code, Code::too_long);
  EXPECT_FALSE(PeerId::parse_text("16Uiu2HA0"));
  EXPECT_FALSE(PeerId::parse_text(""));
  EXPECT_FALSE(PeerId::parse_text(std::string(1000, '1')));
}

TEST(PeerId, BadKeysAreTypedErrors) {
  EXPECT_EQ(parse_identity_key({}).error().code, Code::bad_encoding);
  EXPECT_EQ(parse_identity_key(*parse_hex("08011220" + std::string(64, 'a'))).error().code,
            Code::unsupported);
  EXPECT_EQ(parse_identity_key(*parse_hex("0802122103" + std::string(64, 'f'))).error().code,
            Code::bad_key);
  EXPECT_EQ(parse_identity_key(*parse_hex("0802")).error().code, Code::bad_encoding);
  EXPECT_EQ(parse_identity_key(*parse_hex("0a")).error().code, Code::truncated);
  Rng rng(50);
  for (int i = 0; i < 2000; ++i) {
    std::vector<uint8_t> bytes(rng.below(50));
    rng.fill(bytes);
    EXPECT_FALSE(parse_identity_key(bytes));
  }
}

TEST(PeerId, OrderAndEmptiness) {
  Rng rng(51);
  const auto a = PeerId::from_public_key(secp256k1::SecretKey::generate(rng).public_key());
  const auto b = PeerId::from_public_key(secp256k1::SecretKey::generate(rng).public_key());
  EXPECT_NE(a, b);
  EXPECT_TRUE((a < b) != (b < a));
  EXPECT_TRUE(PeerId().empty());
  EXPECT_FALSE(PeerId().public_key());
}

}  // namespace
}  // namespace beamline
