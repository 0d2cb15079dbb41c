#include "codec/base58.h"

#include "base/rng.h"
#include "codec/hex.h"

namespace beamline {
namespace {

// draft-msporny-base58-03, section 5.
TEST(Base58, DraftVectors) {
  EXPECT_EQ(to_base58(as_bytes("Hello World!")), "2NEpo7TZRRrLZSi2U");
  EXPECT_EQ(to_base58(as_bytes("The quick brown fox jumps over the lazy dog.")),
            "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z");
  EXPECT_EQ(to_base58(*parse_hex("0x0000287fb4cd")), "11233QC4");
}

TEST(Base58, EveryValueComesBack) {
  const uint64_t seed = 31;
  Rng rng(seed);
  for (int i = 0; i < 500; ++i) {
    std::vector<uint8_t> bytes(rng.below(kMaxBase58Bytes + 1));
    rng.fill(bytes);
    std::fill_n(bytes.begin(), std::min<size_t>(bytes.size(), rng.below(4)), uint8_t{0});
    const auto back = parse_base58(to_base58(bytes));
    ASSERT_TRUE(back) << "seed " << seed;
    ASSERT_EQ(*back, bytes) << "seed " << seed;
  }
  const std::vector<uint8_t> largest(kMaxBase58Bytes, 0xff);
  EXPECT_EQ(*parse_base58(to_base58(largest)), largest);
}

TEST(Base58, LongestTextsStayInBounds) {
  EXPECT_EQ(parse_base58(std::string(kMaxBase58Text, '1')).error().code, Code::too_long);
  EXPECT_EQ(parse_base58(std::string(kMaxBase58Text, 'z')).error().code, Code::too_long);
  EXPECT_EQ(parse_base58(std::string(kMaxBase58Text + 1, '1')).error().code, Code::too_long);
}

TEST(Base58, StrangeCharactersNameTheirPlace) {
  for (const char c : {'0', 'O', 'I', 'l', ' ', '\0', '\xff'}) {
    const auto bad = parse_base58(std::string("12") + c + "3");
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code, Code::bad_encoding);
    EXPECT_EQ(bad.error().offset, 2u);
  }
}

// Found by fuzz_names: text short enough to be read, of more bytes than can be written.
TEST(Base58, WhatIsReadCanBeWritten) {
  for (const std::string& text : {std::string(180, '1'), std::string(180, 'z'),
                                  std::string(129, '1'), std::string(176, 'z')}) {
    EXPECT_EQ(parse_base58(text).error().code, Code::too_long) << text;
  }
  for (const std::string& text : {std::string(128, '1'), std::string(174, 'z')}) {
    const auto bytes = parse_base58(text);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(to_base58(*bytes), text);
  }
}

}  // namespace
}  // namespace beamline
