#include "codec/ssz.h"

#include "codec/hex.h"
#include "crypto/sha256.h"

namespace beamline::ssz {
namespace {

const Type kShorts = list_of("shorts", kUint16, 4);
const Type kName = list_of("name", kUint8, 8);
const Type kNames = list_of("names", kName, 3);
const Type kTwoNames = vector_of("two_names", kName, 2);
const Type kBits = bitlist("bits", 10);
const Type kTenBits = bitvector("ten_bits", 10);
Field kPairFields[] = {{"flag", &kBoolean}, {"names", &kNames}, {"id", &kUint32}, {"bits", &kBits}};
const Type kPair = container("pair", kPairFields);

Error error_of(const Type& type, std::string_view hex) {
  const std::vector<uint8_t> bytes = *parse_hex(hex);
  const auto view = View::parse(type, bytes);
  EXPECT_FALSE(view) << hex;
  return view ? Error{} : view.error();
}

Hash256 chunk(std::string_view hex) {
  Hash256 out;
  const std::vector<uint8_t> bytes = *parse_hex(hex);
  std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
  return out;
}

// flag, offset of names, id, offset of bits; names "a" and "bc"; bits 101.
constexpr char kPairHex[] =
    "01"
    "0d000000"
    "2a000000"
    "18000000"
    "08000000"
    "09000000"
    "61"
    "6263"
    "0d";

TEST(Ssz, ViewReadsAContainerInPlace) {
  const std::vector<uint8_t> bytes = *parse_hex(kPairHex);
  const auto view = View::parse(kPair, bytes);
  ASSERT_TRUE(view) << to_string(view.error());
  EXPECT_TRUE(view->field(0).as_bool());
  EXPECT_EQ(view->field(2).as_uint(), 42u);
  ASSERT_EQ(view->field(1).size(), 2u);
  EXPECT_EQ(as_text(view->field(1).at(0).bytes()), "a");
  EXPECT_EQ(as_text(view->field(1).at(1).bytes()), "bc");
  const View bits = view->field(3);
  ASSERT_EQ(bits.size(), 3u);
  EXPECT_TRUE(bits.bit(0));
  EXPECT_FALSE(bits.bit(1));
  EXPECT_TRUE(bits.bit(2));
}

TEST(Ssz, OffsetsAreStrict) {
  // The first offset is not the end of the fixed part: below, above.
  EXPECT_EQ(error_of(kPair,
                     "01"
                     "0c000000"
                     "2a000000"
                     "18000000"
                     "08000000"
                     "09000000"
                     "6162630d")
                .code,
            Code::bad_offset);
  EXPECT_EQ(error_of(kPair,
                     "01"
                     "0e000000"
                     "2a000000"
                     "18000000"
                     "08000000"
                     "09000000"
                     "6162630d")
                .code,
            Code::bad_offset);
  // Going back, and leaving the container.
  const Error back = error_of(kPair,
                              "01"
                              "0d000000"
                              "2a000000"
                              "0c000000"
                              "08000000"
                              "09000000"
                              "6162630d");
  EXPECT_EQ(back.code, Code::bad_offset);
  EXPECT_STREQ(back.field, "names");
  EXPECT_EQ(error_of(kPair,
                     "01"
                     "0d000000"
                     "2a000000"
                     "ffffffff"
                     "08000000"
                     "09000000"
                     "6162630d")
                .code,
            Code::bad_offset);
  // In a list: zero, not a multiple of four, past the end, reversed.
  EXPECT_EQ(error_of(kNames, "00000000").code, Code::bad_offset);
  EXPECT_EQ(error_of(kNames, "0500000061").code, Code::bad_offset);
  EXPECT_EQ(error_of(kNames, "0800000061").code, Code::bad_offset);
  EXPECT_EQ(error_of(kNames,
                     "08000000"
                     "07000000"
                     "61")
                .code,
            Code::bad_offset);
  EXPECT_EQ(error_of(kNames,
                     "08000000"
                     "ff000000"
                     "61")
                .code,
            Code::bad_offset);
  EXPECT_EQ(error_of(kNames, "0800").code, Code::truncated);
}

TEST(Ssz, LimitsAndSizes) {
  EXPECT_TRUE(View::parse(kShorts, {}));
  EXPECT_EQ(error_of(kShorts, "010002000300040005").code, Code::truncated);
  EXPECT_EQ(error_of(kShorts, "01000200030004000500").code, Code::too_long);
  EXPECT_EQ(error_of(kNames,
                     "10000000"
                     "10000000"
                     "10000000"
                     "10000000")
                .code,
            Code::too_long);
  EXPECT_EQ(error_of(kNames,
                     "04000000"
                     "616161616161616161")
                .code,
            Code::too_long);
  EXPECT_TRUE(View::parse(kTwoNames, *parse_hex("08000000"
                                                "08000000")));
  EXPECT_EQ(error_of(kTwoNames, "04000000").code, Code::bad_offset);
  EXPECT_EQ(error_of(kTwoNames, "").code, Code::truncated);
  EXPECT_EQ(error_of(kUint64, "00000000000000").code, Code::truncated);
  EXPECT_EQ(error_of(kUint64, "000000000000000000").code, Code::trailing);
  EXPECT_EQ(error_of(kPair, "").code, Code::truncated);
  EXPECT_EQ(kPair.min_size, 14u);
  EXPECT_EQ(kPair.max_size, 1u + 4 + 4 + 4 + 3 * (4 + 8) + 2);
}

TEST(Ssz, BooleansAndPaddingHaveOneForm) {
  EXPECT_TRUE(View::parse(kBoolean, *parse_hex("01")));
  EXPECT_EQ(error_of(kBoolean, "02").code, Code::out_of_range);
  EXPECT_TRUE(View::parse(kTenBits, *parse_hex("ff03")));
  EXPECT_EQ(error_of(kTenBits, "ff04").code, Code::non_canonical);
  std::string flagged(kPairHex);
  flagged.replace(0, 2, "03");
  const Error flag = error_of(kPair, flagged);
  EXPECT_EQ(flag.code, Code::out_of_range);
  EXPECT_STREQ(flag.field, "flag");
  EXPECT_EQ(flag.offset, 0u);
}

TEST(Ssz, BitlistNeedsItsEndMark) {
  EXPECT_EQ(View::parse(kBits, *parse_hex("01"))->size(), 0u);
  EXPECT_EQ(View::parse(kBits, *parse_hex("ff07"))->size(), 10u);
  EXPECT_EQ(error_of(kBits, "").code, Code::bad_encoding);
  EXPECT_EQ(error_of(kBits, "00").code, Code::bad_encoding);
  EXPECT_EQ(error_of(kBits, "ff00").code, Code::bad_encoding);
  EXPECT_EQ(error_of(kBits, "ff08").code, Code::too_long);
  EXPECT_EQ(error_of(kBits, "ffffff01").code, Code::too_long);
  std::string unmarked(kPairHex);
  unmarked.replace(unmarked.size() - 2, 2, "00");
  EXPECT_STREQ(error_of(kPair, unmarked).field, "bits");
}

// Roots by hand, from the rules of simple-serialize.md.
TEST(Ssz, RootsOfBasicsListsAndBits) {
  Hasher hasher;
  const auto root = [&](const Type& type, std::string_view hex) {
    const std::vector<uint8_t> bytes = *parse_hex(hex);
    return hasher.hash_tree_root(*View::parse(type, bytes));
  };
  const Hash256 zero;
  EXPECT_EQ(root(kUint16, "3412"), chunk("3412"));
  EXPECT_EQ(root(kShorts, "01000200"), sha256_pair(chunk("01000200"), chunk("02")));
  EXPECT_EQ(root(kShorts, ""), sha256_pair(zero, zero));
  EXPECT_EQ(root(kTenBits, "ff03"), chunk("ff03"));
  EXPECT_EQ(root(kBits, "0d"), sha256_pair(chunk("05"), chunk("03")));
  EXPECT_EQ(root(kBits, "01"), sha256_pair(zero, zero));
  EXPECT_EQ(root(kBits, "ff01"), sha256_pair(chunk("ff"), chunk("08")));
  const auto name = [&](std::string_view hex, const char* length) {
    return sha256_pair(chunk(hex), chunk(length));
  };
  // Three names have room in a tree of four leaves.
  const Hash256 names = sha256_pair(
      sha256_pair(sha256_pair(name("61", "01"), name("6263", "02")), sha256_pair(zero, zero)),
      chunk("02"));
  EXPECT_EQ(root(kNames,
                 "08000000"
                 "09000000"
                 "616263"),
            names);
  EXPECT_EQ(root(kPair, kPairHex), sha256_pair(sha256_pair(chunk("01"), names),
                                               sha256_pair(chunk("2a"), root(kBits, "0d"))));
  EXPECT_EQ(root(kBytes48, std::string(64, '1') + std::string(32, '2')),
            sha256_pair(chunk(std::string(64, '1')), chunk(std::string(32, '2'))));
}

// A limit far beyond memory costs depth, not work.
TEST(Ssz, HugeLimitsAreShallow) {
  const Type huge = list_of("registry", kUint64, uint64_t{1} << 40);
  Hasher hasher;
  Hash256 node = chunk(
      "0100000000000000"
      "02");
  Hash256 zero;
  for (int level = 0; level < 38; ++level) {
    node = sha256_pair(node, zero);
    zero = sha256_pair(zero, zero);
  }
  const std::vector<uint8_t> bytes = *parse_hex(
      "0100000000000000"
      "0200000000000000");
  EXPECT_EQ(hasher.hash_tree_root(*View::parse(huge, bytes)), sha256_pair(node, chunk("02")));
}

}  // namespace
}  // namespace beamline::ssz
