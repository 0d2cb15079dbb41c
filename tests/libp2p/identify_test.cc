#include "libp2p/identify.h"

#include "codec/protobuf.h"

namespace beamline::libp2p {
namespace {

Identify sample() {
  Identify identify;
  identify.public_key = as_bytes("key");
  identify.observed_addr = as_bytes("observed");
  identify.protocol_version = "eth2/1.0.0";
  identify.agent_version = "beamline";
  identify.listen_addrs = {as_bytes("one"), as_bytes("two")};
  identify.protocols = {"/meshsub/1.2.0", "/ipfs/id/1.0.0"};
  return identify;
}

TEST(Identify, RoundTrip) {
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(encode_identify(sample(), bytes).has_value());
  const Result<Identify> identify = decode_identify(bytes);
  ASSERT_TRUE(identify.has_value());
  EXPECT_EQ(as_text(identify->public_key), "key");
  EXPECT_EQ(as_text(identify->observed_addr), "observed");
  EXPECT_EQ(identify->agent_version, "beamline");
  EXPECT_EQ(identify->protocol_version, "eth2/1.0.0");
  EXPECT_EQ(identify->listen_addrs.size(), 2u);
  EXPECT_TRUE(identify->supports("/meshsub/1.2.0"));
  EXPECT_FALSE(identify->supports("/meshsub/1.3.0"));
}

TEST(Identify, BoundsAreKept) {
  Identify identify = sample();
  const std::string big(kMaxIdentifySize, 'x');
  identify.agent_version = big;
  std::vector<uint8_t> bytes;
  EXPECT_EQ(encode_identify(identify, bytes).error().fault, Fault::local);
  EXPECT_EQ(decode_identify(bytes).error().code, Code::too_long);
  for (const uint32_t field : {2u, 3u}) {
    std::vector<uint8_t> many;
    for (size_t i = 0; i <= Identify::kMaxProtocols; ++i) protobuf::Writer(many).text(field, "");
    EXPECT_EQ(decode_identify(many).error().code, Code::too_long);
  }
}

TEST(Identify, TruncationsAreTypedErrors) {
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(encode_identify(sample(), bytes).has_value());
  for (size_t i = 0; i < bytes.size(); ++i) {
    const Result<Identify> identify = decode_identify(Bytes(bytes).first(i));
    if (!identify) {
      EXPECT_EQ(identify.error().fault, Fault::peer);
    }
  }
}

TEST(IdentifyReader, GathersByteByByteAndStopsAtTheEnd) {
  const std::string message = "\x85\x01" + std::string(133, 'm');
  IdentifyReader reader;
  for (const char c : message) {
    EXPECT_FALSE(reader.complete());
    ASSERT_TRUE(reader.receive(as_bytes(std::string_view(&c, 1))).has_value());
  }
  ASSERT_TRUE(reader.complete());
  EXPECT_EQ(as_text(reader.message()), std::string(133, 'm'));
  ASSERT_TRUE(reader.receive(as_bytes("what follows is not it")).has_value());
  EXPECT_EQ(reader.message().size(), 133u);
}

TEST(IdentifyReader, LengthIsCheckedBeforeAnythingIsKept) {
  IdentifyReader reader;
  const std::array<uint8_t, 3> over{0x81, 0x40, 0x00};  // 8,193
  EXPECT_EQ(reader.receive(over).error().code, Code::too_long);
  IdentifyReader endless;
  const std::array<uint8_t, 4> length{0xff, 0xff, 0xff, 0xff};
  EXPECT_EQ(endless.receive(length).error().code, Code::too_long);
  IdentifyReader empty;
  const std::array<uint8_t, 1> zero{0};
  EXPECT_EQ(empty.receive(zero).error().code, Code::missing);
}

}  // namespace
}  // namespace beamline::libp2p
