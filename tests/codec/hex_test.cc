#include "codec/hex.h"

namespace beamline {
namespace {

TEST(Hex, ThereAndBack) {
  const std::vector<uint8_t> bytes = {0x00, 0x0f, 0xa5, 0xff};
  EXPECT_EQ(to_hex(bytes), "000fa5ff");
  EXPECT_EQ(to_hex0x(bytes), "0x000fa5ff");
  EXPECT_EQ(*parse_hex("000fa5ff"), bytes);
  EXPECT_EQ(*parse_hex("0x000FA5fF"), bytes);
  EXPECT_TRUE(parse_hex("")->empty());
  EXPECT_TRUE(parse_hex("0x")->empty());
}

TEST(Hex, BadTextNamesItsPlace) {
  EXPECT_EQ(parse_hex("0xabc").error().code, Code::bad_encoding);
  EXPECT_EQ(parse_hex("0x12g4").error().offset, 4u);
  EXPECT_EQ(parse_hex("12 4").error().offset, 2u);
  EXPECT_EQ(parse_hex("0x0x12").error().code, Code::bad_encoding);
  EXPECT_EQ(parse_hex("123456", 2).error().code, Code::too_long);
}

TEST(Hex, Hash256HasExactly32Bytes) {
  const std::string text = "0x" + std::string(62, '0') + "2a";
  EXPECT_EQ(parse_hash256(text)->bytes[31], 42);
  EXPECT_EQ(to_hex0x(*parse_hash256(text)), text);
  EXPECT_EQ(parse_hash256("0x2a").error().code, Code::mismatch);
  EXPECT_EQ(parse_hash256(text + "00").error().code, Code::mismatch);
}

}  // namespace
}  // namespace beamline
