#include "codec/uvarint.h"

#include "base/rng.h"

namespace beamline {
namespace {

TEST(Uvarint, KnownEncodings) {
  // multiformats/unsigned-varint, "Examples".
  const std::vector<std::pair<uint64_t, std::vector<uint8_t>>> cases = {
      {0, {0x00}},
      {1, {0x01}},
      {127, {0x7f}},
      {128, {0x80, 0x01}},
      {255, {0xff, 0x01}},
      {300, {0xac, 0x02}},
      {16384, {0x80, 0x80, 0x01}},
      {UINT64_MAX, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}}};
  for (const auto& [value, bytes] : cases) {
    std::vector<uint8_t> out;
    append_uvarint(value, out);
    EXPECT_EQ(out, bytes) << value;
    EXPECT_EQ(uvarint_size(value), bytes.size()) << value;
    const Uvarint read = read_uvarint(bytes);
    EXPECT_EQ(read.state, UvarintState::done);
    EXPECT_EQ(read.value, value);
    EXPECT_EQ(read.size, bytes.size());
  }
}

TEST(Uvarint, RoundTripWithGarbageBehindAndNeedMoreBefore) {
  const uint64_t seed = 30;
  Rng rng(seed);
  for (int i = 0; i < 5000; ++i) {
    const uint64_t value = rng.next() >> rng.below(64);
    std::vector<uint8_t> bytes;
    append_uvarint(value, bytes);
    const size_t size = bytes.size();
    for (size_t part = 0; part < size; ++part) {
      ASSERT_EQ(read_uvarint(Bytes(bytes).first(part)).state, UvarintState::need_more);
    }
    bytes.push_back(static_cast<uint8_t>(rng.next()));
    ASSERT_EQ(read_uvarint(bytes).value, value) << "seed " << seed;
    ASSERT_EQ(read_uvarint(bytes).size, size);
  }
}

TEST(Uvarint, NonCanonicalIsBadAndOnlyLenientTakesIt) {
  for (const std::vector<uint8_t>& bytes :
       {std::vector<uint8_t>{0x80, 0x00}, {0x81, 0x00}, {0xff, 0x80, 0x00}}) {
    const Uvarint read = read_uvarint(bytes);
    EXPECT_EQ(read.state, UvarintState::bad);
    EXPECT_EQ(read.error, Code::non_canonical);
    EXPECT_EQ(read_uvarint_lenient(bytes).state, UvarintState::done);
  }
  const uint8_t padded_one[] = {0x81, 0x80, 0x00};
  EXPECT_EQ(read_uvarint_lenient(padded_one).value, 1u);
}

TEST(Uvarint, TooLongIsBadAsSoonAsItIsKnown) {
  const std::vector<uint8_t> endless(10, 0xff);
  EXPECT_EQ(read_uvarint(Bytes(endless).first(9)).state, UvarintState::need_more);
  EXPECT_EQ(read_uvarint(endless).error, Code::too_long);
  std::vector<uint8_t> over(9, 0xff);
  over.push_back(0x02);  // 65 bits
  EXPECT_EQ(read_uvarint(over).state, UvarintState::bad);
  EXPECT_EQ(read_uvarint(over).error, Code::too_long);
  // A bound of the caller's: three bytes are enough for 21 bits.
  EXPECT_EQ(read_uvarint(endless, 3).state, UvarintState::bad);
  EXPECT_EQ(read_uvarint(Bytes(endless).first(2), 3).state, UvarintState::need_more);
}

TEST(Uvarint, TakeMovesOn) {
  const std::vector<uint8_t> bytes = {0xac, 0x02, 0x07};
  Bytes rest = bytes;
  EXPECT_EQ(*take_uvarint(rest, "length"), 300u);
  EXPECT_EQ(*take_uvarint(rest, "length"), 7u);
  const auto none = take_uvarint(rest, "length");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::truncated);
  EXPECT_STREQ(none.error().field, "length");
}

}  // namespace
}  // namespace beamline
