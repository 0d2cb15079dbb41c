#include "codec/lean_types.h"

#include "base/rng.h"
#include "codec/hex.h"
#include "codec/lean_state.h"
#include "codec/lean_topic.h"

namespace beamline {
namespace {

std::string root_of(const LeanTypes& types, std::string_view name, std::string_view hex) {
  const std::vector<uint8_t> bytes = *parse_hex(hex);
  const auto view = types.parse(*types.find(name), bytes);
  EXPECT_TRUE(view) << name << " " << to_string(view.error());
  return view ? to_hex(ssz::Hasher().hash_tree_root(*view).view()) : "";
}

Result<ssz::View> parse(const LeanTypes& types, std::string_view name,
                        const std::vector<uint8_t>& bytes) {
  return types.parse(*types.find(name), bytes);
}

// leanSpec's vectors of these names (ssz_test); all of them run in lean_vectors_test.cc.
TEST(LeanTypes, OfficialVectors) {
  const LeanTypes types(LeanPreset::test());
  EXPECT_EQ(root_of(types, "SignedBlock",
                    "080000006000000001" + std::string(158, '0') + "540000000400000004000000"),
            "ad920ab9de68ea23ffabfad76c9e8d9ec8320775b7fd4ac28e095fb30583757f");
  EXPECT_EQ(root_of(types, "HashTreeLayer",
                    "2a000000000000000c000000000000000100000002000000030000000400000005000000060000"
                    "0007000000070000000800000009"
                    "0000000a0000000b0000000c0000000d0000000e000000"),
            "59cb0d791f41848c8bf68f23d9039367d0619014f6aad6de3c4090b0417dd5e0");
  EXPECT_EQ(root_of(types, "SingleMessageAggregate", "08000000090000000ddeadbeef"),
            "5d71bcb0b70b1ca4bac3348a9a2600ea0e4ba25680c81050c541c2d7c1b4ee03");
  EXPECT_EQ(root_of(types, "Checkpoint", std::string(80, '0')),
            "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}

TEST(LeanTypes, SignatureStandsInPlaceAndItsListsHaveOneLength) {
  const LeanTypes types(LeanPreset::test());
  const ssz::Type& signature = *types.find("Signature");
  EXPECT_EQ(signature.fixed_size, 424u);
  EXPECT_EQ(types.signed_attestation().fixed_size, 8 + 128 + 424u);
  EXPECT_EQ(LeanTypes(LeanPreset::prod()).find("Signature")->fixed_size, 2536u);
  std::vector<uint8_t> bytes(424);
  bytes[0] = 36, bytes[32] = 0x28, bytes[33] = 1, bytes[36] = 4;
  ASSERT_TRUE(parse(types, "Signature", bytes));
  // One sibling less and one hash more: the same size, another length.
  std::vector<uint8_t> moved = bytes;
  moved[32] = 0x08;
  const auto view = parse(types, "Signature", moved);
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().code, Code::mismatch);
  EXPECT_STREQ(view.error().field, "siblings");
  // An integer that is no element of the field.
  for (const size_t at : {4u, 40u, 300u}) {
    std::vector<uint8_t> big = bytes;
    big[at] = 1, big[at + 3] = 0x7f;
    EXPECT_EQ(parse(types, "Signature", big).error().code, Code::out_of_range);
    EXPECT_EQ(parse(types, "Signature", big).error().offset, at);
  }
  bytes.push_back(0);
  EXPECT_EQ(parse(types, "Signature", bytes).error().code, Code::trailing);
}

LeanState random_state(Rng& rng) {
  LeanState state;
  state.config.genesis_time = rng.next();
  state.slot = rng.next();
  rng.fill(state.latest_block_header.body_root.bytes);
  rng.fill(state.latest_justified.root.bytes);
  state.historical_block_hashes.resize(rng.below(20));
  for (Root& root : state.historical_block_hashes) rng.fill(root.bytes);
  state.justified_slots = ssz::Bitlist::of_length(rng.below(50));
  state.validators.resize(rng.below(5));
  for (size_t i = 0; i < state.validators.size(); ++i) {
    rng.fill(state.validators[i].attestation_public_key);
    state.validators[i].index = i;
  }
  state.justifications_roots.resize(rng.below(3));
  state.justifications_validators = ssz::Bitlist::of_length(rng.below(50));
  for (size_t i = 0; i < state.justifications_validators.length; ++i) {
    state.justifications_validators.set(i, rng.chance(1, 2));
  }
  return state;
}

TEST(LeanTypes, StateComesBackThroughItsBytes) {
  const LeanTypes types(LeanPreset::test());
  const uint64_t seed = 3;
  Rng rng(seed);
  ssz::Hasher hasher;
  for (int i = 0; i < 200; ++i) {
    const LeanState state = random_state(rng);
    std::vector<uint8_t> bytes;
    ASSERT_TRUE(ssz::encode_value(types.state(), &state, bytes));
    const auto view = types.parse(types.state(), bytes);
    ASSERT_TRUE(view) << to_string(view.error()) << " seed " << seed;
    LeanState back;
    ASSERT_TRUE(ssz::decode_value(types.state(), bytes, &back));
    ASSERT_EQ(back, state) << "seed " << seed;
    ASSERT_EQ(*ssz::root_of_value(types.state(), &state, hasher), hasher.hash_tree_root(*view));
  }
}

TEST(LeanTypes, ValidatorsStandAtTheirIndex) {
  const LeanTypes types(LeanPreset::test());
  Rng rng(4);
  LeanState state = random_state(rng);
  state.validators.assign(3, {});
  state.validators[1].index = 1;
  state.validators[2].index = 7;
  std::vector<uint8_t> bytes;
  ASSERT_TRUE(ssz::encode_value(types.state(), &state, bytes));
  const auto view = types.parse(types.state(), bytes);
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().code, Code::mismatch);
  EXPECT_STREQ(view.error().field, "index");
  EXPECT_EQ(bytes[view.error().offset], 7);
  state.validators[2].index = 2;
  bytes.clear();
  ASSERT_TRUE(ssz::encode_value(types.state(), &state, bytes));
  EXPECT_TRUE(types.parse(types.state(), bytes));
}

TEST(LeanTopic, ThereAndBack) {
  for (const char* text :
       {"/leanconsensus/12345678/block/ssz_snappy", "/leanconsensus/devnet0/aggregation/ssz_snappy",
        "/leanconsensus/0xab/attestation_63/ssz_snappy"}) {
    const auto topic = LeanTopic::parse(text);
    ASSERT_TRUE(topic) << text;
    EXPECT_EQ(topic->to_text(), text);
  }
  EXPECT_EQ(LeanTopic::parse("/leanconsensus/n/attestation_63/ssz_snappy")->subnet, 63u);
}

TEST(LeanTopic, BadTopicsAreTypedErrors) {
  const auto code = [](const std::string& text) { return LeanTopic::parse(text).error().code; };
  EXPECT_EQ(code(""), Code::bad_encoding);
  EXPECT_EQ(code("/eth2/12345678/block/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/leanconsensus/"), Code::unsupported);
  EXPECT_EQ(code("/leanconsensus/n/block/ssz"), Code::unsupported);
  EXPECT_EQ(code("/leanconsensus/n/blob/ssz_snappy"), Code::unsupported);
  EXPECT_EQ(code("/leanconsensus//block/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/leanconsensus/block/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/leanconsensus/n/attestation_/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/leanconsensus/n/attestation_01/ssz_snappy"), Code::non_canonical);
  EXPECT_EQ(code("/leanconsensus/n/attestation_1x/ssz_snappy"), Code::bad_encoding);
  EXPECT_EQ(code("/leanconsensus/n/attestation_18446744073709551616/ssz_snappy"),
            Code::out_of_range);
  EXPECT_EQ(code("/leanconsensus/" + std::string(65, 'n') + "/block/ssz_snappy"), Code::too_long);
  EXPECT_EQ(code(std::string(200, 'a')), Code::too_long);
}

}  // namespace
}  // namespace beamline
