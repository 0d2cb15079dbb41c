#include "codec/base64url.h"

#include "base/rng.h"
#include "codec/base32.h"

namespace beamline {
namespace {

// RFC 4648, section 10.
TEST(Base64Url, RfcExamples) {
  const std::pair<const char*, const char*> examples[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : examples) {
    EXPECT_EQ(to_base64url(as_bytes(plain)), text);
    EXPECT_EQ(as_text(*parse_base64url(text)), plain);
  }
  EXPECT_EQ(to_base64url(std::vector<uint8_t>{0xfb, 0xff}), "-_8");
}

TEST(Base32, RfcExamples) {
  const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                          {"f", "MY"},
                                                          {"fo", "MZXQ"},
                                                          {"foo", "MZXW6"},
                                                          {"foob", "MZXW6YQ"},
                                                          {"fooba", "MZXW6YTB"},
                                                          {"foobar", "MZXW6YTBOI"}};
  for (const auto& [plain, text] : examples) {
    EXPECT_EQ(to_base32(as_bytes(plain)), text);
    EXPECT_EQ(as_text(*parse_base32(text)), plain);
  }
  EXPECT_EQ(as_text(*parse_base32("mzxw6ytboi")), "foobar");
}

TEST(Base64Url, BadTextNamesItsPlace) {
  EXPECT_EQ(parse_base64url("Zm9v=").error().code, Code::bad_encoding);
  EXPECT_EQ(parse_base64url("Zm+v").error().offset, 2u);
  EXPECT_EQ(parse_base64url("Zm9vY").error().code, Code::truncated);
  EXPECT_EQ(parse_base64url("Zh").error().code, Code::non_canonical);
  EXPECT_EQ(parse_base64url("Zm9v", 2).error().code, Code::too_long);
  EXPECT_EQ(parse_base64url(std::string(1 << 22, 'A')).error().code, Code::too_long);
}

TEST(Base32, BadTextNamesItsPlace) {
  EXPECT_EQ(parse_base32("MZ1").error().offset, 2u);
  for (const char* text : {"M", "MZX", "MZXW6Y"}) {
    EXPECT_EQ(parse_base32(text).error().code, Code::truncated) << text;
  }
  EXPECT_EQ(parse_base32("MZ").error().code, Code::non_canonical);
  EXPECT_EQ(parse_base32("MZXW6", 2).error().code, Code::too_long);
}

TEST(Base64Url, EverySizeComesBackInBothBases) {
  Rng rng(1);
  for (size_t size = 0; size < 100; ++size) {
    std::vector<uint8_t> bytes(size);
    rng.fill(bytes);
    EXPECT_EQ(*parse_base64url(to_base64url(bytes), size), bytes);
    EXPECT_EQ(*parse_base32(to_base32(bytes), size), bytes);
  }
}

}  // namespace
}  // namespace beamline
