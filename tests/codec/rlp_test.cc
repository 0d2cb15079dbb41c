#include "codec/rlp.h"

#include <fstream>

#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "codec/hex.h"

namespace beamline::rlp {
namespace {

using Json = nlohmann::json;

Json load(const char* name) {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR "/tests/vectors/rlp/") + name);
  EXPECT_TRUE(file) << name;
  return Json::parse(file);
}

// Decimal digits to a big-endian integer.
std::vector<uint8_t> big_integer(const std::string& decimal) {
  std::vector<uint8_t> bytes;
  for (const char digit : decimal) {
    unsigned carry = static_cast<unsigned>(digit - '0');
    for (size_t i = bytes.size(); i-- > 0;) {
      carry += bytes[i] * 10u;
      bytes[i] = static_cast<uint8_t>(carry);
      carry >>= 8;
    }
    if (carry != 0) bytes.insert(bytes.begin(), static_cast<uint8_t>(carry));
  }
  return bytes;
}

void write(const Json& value, Writer& writer) {
  if (value.is_array()) {
    const Writer::Mark mark = writer.begin_list();
    for (const Json& item : value) write(item, writer);
    writer.end_list(mark);
  } else if (value.is_number()) {
    writer.uint(value.get<uint64_t>());
  } else if (const auto text = value.get<std::string>(); text.starts_with("#")) {
    writer.big_uint(big_integer(text.substr(1)));
  } else if (text.starts_with("0x")) {
    writer.string(*parse_hex(text));
  } else {
    writer.text(text);
  }
}

// What was read is the value that was written.
void expect_reads(const Json& value, Reader& reader) {
  if (value.is_array()) {
    Result<Reader> items = reader.list("list");
    ASSERT_TRUE(items) << to_string(items.error());
    for (const Json& item : value) expect_reads(item, *items);
    EXPECT_TRUE(items->finish("list"));
  } else if (value.is_number()) {
    EXPECT_EQ(*reader.uint("uint"), value.get<uint64_t>());
  } else if (const auto text = value.get<std::string>(); text.starts_with("#")) {
    EXPECT_TRUE(equal(*reader.big_uint("uint", 64), big_integer(text.substr(1))));
  } else if (text.starts_with("0x")) {
    EXPECT_TRUE(equal(*reader.string("string"), *parse_hex(text)));
  } else {
    EXPECT_EQ(as_text(*reader.string("string")), text);
  }
}

TEST(Rlp, OfficialValidVectors) {
  const Json tests = load("rlptest.json");
  EXPECT_EQ(tests.size(), 28u);
  for (const auto& [name, test] : tests.items()) {
    SCOPED_TRACE(name);
    const std::vector<uint8_t> expected = *parse_hex(test.at("out").get<std::string>());
    std::vector<uint8_t> written;
    Writer writer(written);
    write(test.at("in"), writer);
    EXPECT_EQ(to_hex(written), to_hex(expected));
    Reader reader(expected);
    expect_reads(test.at("in"), reader);
    EXPECT_TRUE(reader.finish("rlp"));
    EXPECT_TRUE(verify(expected, "rlp"));
  }
}

TEST(Rlp, OfficialInvalidVectors) {
  const Json tests = load("invalidRLPTest.json");
  EXPECT_EQ(tests.size(), 26u);
  for (const auto& [name, test] : tests.items()) {
    const std::vector<uint8_t> bytes = *parse_hex(test.at("out").get<std::string>());
    const Status status = verify(bytes, "rlp");
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().fault, Fault::peer);
    EXPECT_STREQ(status.error().field, "rlp");
    EXPECT_LE(status.error().offset, bytes.size()) << name;
  }
}

TEST(Rlp, ErrorsNameTheFieldAndTheOffset) {
  const auto read = [](std::string_view text, auto get) {
    const std::vector<uint8_t> bytes = *parse_hex(text);
    Reader reader(bytes);
    return get(reader).error();
  };
  const auto uint = [](Reader& reader) { return reader.uint("number", 2); };
  EXPECT_EQ(read("00", uint).code, Code::non_canonical);  // zero is the empty string
  EXPECT_EQ(read("820001", uint).code, Code::non_canonical);
  EXPECT_EQ(read("83010000", uint).code, Code::too_long);
  EXPECT_EQ(read("8105", uint).code, Code::non_canonical);
  EXPECT_EQ(read("c0", uint).code, Code::bad_encoding);
  EXPECT_EQ(read("82ff", uint).code, Code::truncated);
  EXPECT_EQ(read("", uint).code, Code::truncated);
  EXPECT_EQ(read("b838", uint).code, Code::truncated);
  EXPECT_EQ(read("b837", uint).code, Code::non_canonical);
  EXPECT_EQ(read("bc0100000000", uint).code, Code::too_long);
  const auto list = [](Reader& reader) { return reader.list("list"); };
  EXPECT_EQ(read("80", list).code, Code::bad_encoding);
  const auto fixed = [](Reader& reader) { return reader.fixed("id", 2); };
  EXPECT_EQ(read("81ff", fixed).code, Code::mismatch);
  const Error inner = read("c482ffffc0", [](Reader& reader) {
    Reader items = *reader.list("list");
    EXPECT_TRUE(items.string("first"));
    return items.uint("second");
  });
  EXPECT_STREQ(inner.field, "second");
  EXPECT_EQ(inner.offset, 4u);
  EXPECT_EQ(parse(*parse_hex("8080"), "rlp").error().code, Code::trailing);
  EXPECT_EQ(parse_list(*parse_hex("c0c0"), "rlp").error().offset, 1u);
}

TEST(Rlp, DeepNestingIsBounded) {
  std::vector<uint8_t> bytes;
  Writer writer(bytes);
  std::vector<Writer::Mark> marks;
  for (size_t i = 0; i < kMaxDepth; ++i) marks.push_back(writer.begin_list());
  for (; !marks.empty(); marks.pop_back()) writer.end_list(marks.back());
  EXPECT_TRUE(verify(bytes, "rlp"));
  std::vector<uint8_t> deeper;
  Writer outer(deeper);
  outer.list_header(bytes.size());
  outer.raw(bytes);
  EXPECT_EQ(verify(deeper, "rlp").error().code, Code::too_long);
  EXPECT_EQ(verify(std::vector<uint8_t>(100'000, 0xc1), "rlp").error().code, Code::truncated);
}

Json random_value(Rng& rng, int depth) {
  if (depth > 0 && rng.chance(1, 3)) {
    Json list = Json::array();
    for (uint64_t n = rng.below(6); n > 0; --n) list.push_back(random_value(rng, depth - 1));
    return list;
  }
  if (rng.chance(1, 2)) return rng.next() >> rng.below(64);
  std::vector<uint8_t> bytes(rng.chance(1, 10) ? rng.below(300) : rng.below(60));
  rng.fill(bytes);
  return to_hex0x(bytes);
}

TEST(Rlp, RandomValuesComeBackAndDamageIsRefusedOrCanonical) {
  const uint64_t seed = 11;
  Rng rng(seed);
  for (int i = 0; i < 2000; ++i) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(i));
    const Json value = random_value(rng, 4);
    std::vector<uint8_t> bytes;
    Writer writer(bytes);
    write(value, writer);
    ASSERT_TRUE(verify(bytes, "rlp"));
    Reader reader(bytes);
    expect_reads(value, reader);
    bytes[rng.below(bytes.size())] = static_cast<uint8_t>(rng.next());
    bytes.resize(rng.below(bytes.size() + 1));
    bytes.shrink_to_fit();
    const Status status = verify(bytes, "rlp");
    if (!status) {
      ASSERT_LE(status.error().offset, bytes.size());
    }
  }
}

TEST(Rlp, SizesAreThoseOfWhatIsWritten) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128},
                               uint64_t{255}, uint64_t{256}, UINT64_MAX}) {
    std::vector<uint8_t> bytes;
    Writer(bytes).uint(value);
    EXPECT_EQ(bytes.size(), uint_size(value)) << value;
    EXPECT_EQ(*Reader(bytes).uint("number"), value);
  }
  for (const size_t size : {0u, 1u, 2u, 55u, 56u, 255u, 256u, 65535u, 65536u}) {
    const std::vector<uint8_t> payload(size, 0x90);
    std::vector<uint8_t> bytes;
    Writer(bytes).string(payload);
    EXPECT_EQ(bytes.size(), string_size(payload)) << size;
    bytes.clear();
    Writer(bytes).list_header(size);
    EXPECT_EQ(bytes.size() + size, list_size(size)) << size;
  }
}

}  // namespace
}  // namespace beamline::rlp
