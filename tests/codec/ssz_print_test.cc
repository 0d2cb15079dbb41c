#include "codec/beacon_block.h"
#include "codec/hex.h"
#include "codec/reqresp_messages.h"
#include "codec/ssz.h"

namespace beamline::ssz {
namespace {

std::string print(const Type& type, std::string_view hex, size_t max_size = 4096) {
  const std::vector<uint8_t> bytes = *parse_hex(hex);
  return to_text(View::parse(type, bytes).value(), max_size);
}

TEST(SszPrint, EachKindOfValue) {
  const Type names = list_of("names", kBytes4, 8);
  const Type wide = list_of("wide", kUint16, 8);
  const Type bits = bitlist("bits", 8);
  const Type four = bitvector("four", 4);
  Field fields[] = {{"flag", &kBoolean}, {"names", &names}, {"wide", &wide},
                    {"bits", &bits},     {"four", &four},   {"fee", &kUint256}};
  const Type type = container("all", fields);
  EXPECT_EQ(
      print(type,
            "01"
            "2e000000"
            "36000000"
            "3a000000"
            "05"
            "0100000000000000000000000000000000000000000000000000000000000080"
            "deadbeef00000001"
            "0100ffff"
            "0d"),
      "{flag: true, names: [0xdeadbeef, 0x00000001], wide: [1, 65535], bits: 0b101, "
      "four: 0b1010, fee: 0x8000000000000000000000000000000000000000000000000000000000000001}");
  EXPECT_EQ(print(names, ""), "[]");
  EXPECT_EQ(print(bits, "01"), "0b");
  EXPECT_EQ(print(kUint64, "ffffffffffffffff"), "18446744073709551615");
}

TEST(SszPrint, StopsAtTheBound) {
  const Type big = list_of("big", kUint8, 1 << 20);
  const std::vector<uint8_t> bytes(1 << 20, 0xab);
  const View view = View::parse(big, bytes).value();
  for (const size_t size : {10u, 100u, 4096u}) {
    const std::string text = to_text(view, size);
    EXPECT_EQ(text.size(), size);
    EXPECT_TRUE(text.starts_with("0xabab") && text.ends_with("...")) << text;
  }
  const BeaconTypes types(Preset::minimal());
  const std::vector<uint8_t> block = [] {
    EmptyBlock empty;
    empty.slot = 77;
    return encode_empty_block(empty);
  }();
  const auto parsed = SignedBlockView::parse(types, Fork::phase0, block);
  const std::string whole = to_text(parsed->message());
  EXPECT_TRUE(whole.starts_with("{slot: 77, proposer_index: 0, parent_root: 0x00")) << whole;
  EXPECT_TRUE(whole.ends_with("voluntary_exits: []}}")) << whole;
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_LE(to_text(parsed->message(), size).size(), std::max<size_t>(size, 3));
  }
}

}  // namespace
}  // namespace beamline::ssz
