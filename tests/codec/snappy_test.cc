#include "codec/snappy.h"

#include "base/rng.h"
#include "codec/hex.h"
#include "codec/uvarint.h"

namespace beamline {
namespace {

TEST(Snappy, ThereAndBack) {
  Rng rng(40);
  for (const size_t size : {0u, 1u, 100u, 70000u, 1u << 20}) {
    std::vector<uint8_t> data(size);
    rng.fill(data);
    std::fill(data.begin(), data.begin() + static_cast<ptrdiff_t>(size / 2), uint8_t{'z'});
    const SharedBytes packed = snappy_compress(data);
    const auto back = snappy_uncompress(packed, size);
    ASSERT_TRUE(back) << size;
    EXPECT_TRUE(equal(*back, data)) << size;
  }
}

// As snappyjs 0.7.0 compresses it.
TEST(Snappy, ReadsAnotherImplementationsBlock) {
  const auto text = snappy_uncompress(*parse_hex("6c206265616d6c696e6520fe09008a0900"), 1000);
  ASSERT_TRUE(text);
  std::string expected;
  for (int i = 0; i < 12; ++i) expected += "beamline ";
  EXPECT_EQ(as_text(*text), expected);
}

TEST(Snappy, DeclaredLengthIsCheckedBeforeAnythingIsAllocated) {
  // 4 GiB - 1 declared by five bytes.
  const std::vector<uint8_t> bomb = *parse_hex(
      "ffffffff0f"
      "00");
  EXPECT_EQ(snappy_uncompress(bomb, 10 << 20).error().code, Code::too_long);
  // Within the limit, but no block of two bytes expands to 10 MiB.
  std::vector<uint8_t> small;
  append_uvarint(10 << 20, small);
  small.insert(small.end(), {0xfe, 0x01});
  EXPECT_EQ(snappy_uncompress(small, 10 << 20).error().code, Code::out_of_range);
  EXPECT_EQ(snappy_declared_size(*parse_hex("ffffffffff01"), SIZE_MAX).error().code,
            Code::too_long);
  EXPECT_EQ(snappy_declared_size(*parse_hex("ffffffff7f"), SIZE_MAX).error().code,
            Code::out_of_range);
  EXPECT_EQ(snappy_declared_size({}, SIZE_MAX).error().code, Code::truncated);
  EXPECT_EQ(snappy_declared_size(*parse_hex("8080"), SIZE_MAX).error().code, Code::truncated);
}

// The densest block there is stays allowed: copies of 64 bytes in 3.
TEST(Snappy, DensestBlockIsAccepted) {
  const size_t copies = 1000;
  std::vector<uint8_t> block;
  append_uvarint(1 + 64 * copies, block);
  block.insert(block.end(), {0x00, 'a'});
  for (size_t i = 0; i < copies; ++i) block.insert(block.end(), {0xfe, 0x01, 0x00});
  const auto out = snappy_uncompress(block, 1 << 20);
  ASSERT_TRUE(out) << to_string(out.error());
  EXPECT_EQ(out->size(), 1 + 64 * copies);
}

TEST(Snappy, DamagedBlocksAreTypedErrors) {
  const uint64_t seed = 41;
  Rng rng(seed);
  std::vector<uint8_t> data(3000);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(rng.below(4));
  const SharedBytes packed = snappy_compress(data);
  for (size_t cut = 0; cut < packed.size(); cut += 7) {
    EXPECT_FALSE(snappy_uncompress(packed.bytes().first(cut), 1 << 20)) << cut;
  }
  for (int i = 0; i < 3000; ++i) {
    std::vector<uint8_t> bytes(packed.data(), packed.data() + packed.size());
    bytes[rng.below(bytes.size())] = static_cast<uint8_t>(rng.next());
    const auto out = snappy_uncompress(bytes, 1 << 20);
    if (!out) {
      ASSERT_EQ(out.error().fault, Fault::peer) << "seed " << seed;
    }
  }
}

TEST(Snappy, ABlockInPartsIsTheWholesBlock) {
  Rng rng(uint64_t{5});
  for (const size_t part : {size_t{1} << 16, size_t{100'000}, size_t{1} << 18}) {
    std::vector<uint8_t> data(700'001);
    rng.fill(MutableBytes(data).first(data.size() / 3));
    std::vector<uint8_t> block;
    snappy_append_length(data.size(), block);
    for (size_t at = 0; at < data.size(); at += part) {
      const Bytes piece = Bytes(data).subspan(at, std::min(part, data.size() - at));
      const size_t before = block.size();
      block.resize(before + snappy_max_compressed(piece.size()));
      block.resize(before + snappy_compress_part(piece, MutableBytes(block).subspan(before)));
    }
    const auto whole = snappy_uncompress(block, data.size());
    ASSERT_TRUE(whole.has_value());
    EXPECT_TRUE(std::ranges::equal(whole->bytes(), data));
    EXPECT_LT(block.size(), data.size() / 2);
  }
}

}  // namespace
}  // namespace beamline
