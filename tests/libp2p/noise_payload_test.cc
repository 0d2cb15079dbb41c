#include "libp2p/noise_payload.h"

#include "base/rng.h"
#include "codec/peer_id.h"
#include "codec/protobuf.h"

namespace beamline::libp2p {
namespace {

struct Fixture {
  Rng rng{uint64_t{11}};
  secp256k1::SecretKey identity = secp256k1::SecretKey::generate(rng);
  x25519::SecretKey fixed = x25519::SecretKey::generate(rng);
  std::vector<uint8_t> signature = sign_noise_static(identity, fixed.public_key());

  std::vector<uint8_t> payload(std::span<const std::string_view> muxers = {}) const {
    std::vector<uint8_t> out;
    encode_noise_payload(identity.public_key(), signature, muxers, out);
    return out;
  }
  Code error(Bytes bytes) const {
    const Result<NoisePayload> payload = decode_noise_payload(bytes, fixed.public_key());
    return payload.has_value() ? Code::io_error : payload.error().code;
  }
};

TEST(NoisePayload, CarriesTheIdentityAndTheMuxersInOrder) {
  const Fixture fixture;
  const std::array<std::string_view, 2> muxers{"/yamux/1.0.0", "/mplex/6.7.0"};
  const std::vector<uint8_t> bytes = fixture.payload(muxers);
  const Result<NoisePayload> payload = decode_noise_payload(bytes, fixture.fixed.public_key());
  ASSERT_TRUE(payload.has_value());
  EXPECT_EQ(payload->identity_key, fixture.identity.public_key());
  ASSERT_EQ(payload->stream_muxers.size(), 2u);
  EXPECT_EQ(payload->stream_muxers[0], "/yamux/1.0.0");
  EXPECT_EQ(payload->stream_muxers[1], "/mplex/6.7.0");
}

TEST(NoisePayload, NoListIsNotAnEmptyOne) {
  const Fixture fixture;
  const std::vector<uint8_t> bytes = fixture.payload();
  const Result<NoisePayload> payload = decode_noise_payload(bytes, fixture.fixed.public_key());
  ASSERT_TRUE(payload.has_value());
  EXPECT_TRUE(payload->stream_muxers.empty());
}

TEST(NoisePayload, SignatureIsBoundToTheStaticKey) {
  Fixture fixture;
  const std::vector<uint8_t> bytes = fixture.payload();
  const x25519::SecretKey other = x25519::SecretKey::generate(fixture.rng);
  const Result<NoisePayload> payload = decode_noise_payload(bytes, other.public_key());
  ASSERT_FALSE(payload.has_value());
  EXPECT_EQ(payload.error().code, Code::bad_signature);
}

TEST(NoisePayload, EveryTruncationAndEveryFlippedBitIsAnError) {
  const Fixture fixture;
  const std::vector<uint8_t> bytes = fixture.payload();
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_NE(fixture.error(Bytes(bytes).first(i)), Code::io_error) << i;
    std::vector<uint8_t> flipped = bytes;
    flipped[i] ^= 1;
    EXPECT_NE(fixture.error(flipped), Code::io_error) << i;
  }
}

TEST(NoisePayload, MissingAndForeignFields) {
  const Fixture fixture;
  std::vector<uint8_t> out;
  protobuf::Writer writer(out);
  EXPECT_EQ(fixture.error(out), Code::missing);
  writer.bytes(1, encode_identity_key(fixture.identity.public_key()));
  EXPECT_EQ(fixture.error(out), Code::missing);
  writer.bytes(9, as_bytes("from a later version"));
  writer.bytes(2, fixture.signature);
  EXPECT_EQ(fixture.error(out), Code::io_error);  // fine
}

TEST(NoisePayload, KeyOfAnotherTypeIsUnsupported) {
  const Fixture fixture;
  std::vector<uint8_t> ed25519{0x08, 0x01, 0x12, 0x20};
  ed25519.resize(36, 7);
  std::vector<uint8_t> out;
  protobuf::Writer writer(out);
  writer.bytes(1, ed25519);
  writer.bytes(2, fixture.signature);
  EXPECT_EQ(fixture.error(out), Code::unsupported);
}

TEST(NoisePayload, BoundsAreKept) {
  const Fixture fixture;
  const std::vector<std::string_view> many(kMaxPayloadMuxers + 1, "/m");
  EXPECT_EQ(fixture.error(fixture.payload(many)), Code::too_long);
  std::vector<uint8_t> big = fixture.payload();
  protobuf::Writer(big).bytes(9, std::vector<uint8_t>(kMaxNoisePayload));
  EXPECT_EQ(fixture.error(big), Code::too_long);
}

}  // namespace
}  // namespace beamline::libp2p
