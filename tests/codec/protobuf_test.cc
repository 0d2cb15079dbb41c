#include "codec/protobuf.h"

#include "base/rng.h"
#include "codec/hex.h"

namespace beamline::protobuf {
namespace {

TEST(Protobuf, ReadsTheDocumentationsExamples) {
  // protobuf.dev, "Encoding": a = 150; b = "testing".
  const std::vector<uint8_t> bytes = *parse_hex(
      "089601"
      "120774657374696e67");
  Reader reader(bytes);
  Field field;
  ASSERT_TRUE(reader.next(field));
  EXPECT_TRUE(field.is_varint(1));
  EXPECT_EQ(field.value, 150u);
  ASSERT_TRUE(reader.next(field));
  EXPECT_TRUE(field.is_bytes(2));
  EXPECT_EQ(as_text(field.bytes), "testing");
  EXPECT_EQ(field.offset, 3u);
  EXPECT_FALSE(reader.next(field));
  EXPECT_TRUE(reader.status());
}

TEST(Protobuf, WhatIsWrittenIsRead) {
  std::vector<uint8_t> out;
  Writer writer(out);
  writer.boolean(1, true);
  writer.text(2, "topic");
  const Writer::Mark outer = writer.begin(3);
  const Writer::Mark inner = writer.begin(4);
  writer.bytes(5, std::vector<uint8_t>(200, 7));
  writer.end(inner);
  writer.varint(6, UINT64_MAX);
  writer.end(outer);
  writer.text(536870911, "");

  Reader reader(out);
  Field field;
  ASSERT_TRUE(reader.next(field) && field.is_varint(1) && field.value == 1);
  ASSERT_TRUE(reader.next(field) && field.is_bytes(2));
  ASSERT_TRUE(reader.next(field) && field.is_bytes(3));
  Reader nested(field.bytes);
  Field deep;
  ASSERT_TRUE(nested.next(deep) && deep.is_bytes(4));
  EXPECT_EQ(deep.bytes.size(), 203u);
  ASSERT_TRUE(nested.next(deep) && deep.is_varint(6) && deep.value == UINT64_MAX);
  EXPECT_FALSE(nested.next(deep));
  EXPECT_TRUE(nested.status());
  ASSERT_TRUE(reader.next(field) && field.is_bytes(536870911) && field.bytes.empty());
  EXPECT_FALSE(reader.next(field));
  EXPECT_TRUE(reader.status());
}

TEST(Protobuf, SizesAreWhatTheWriterTakes) {
  for (const size_t size : {0u, 1u, 127u, 128u, 16384u}) {
    for (const uint32_t number : {1u, 15u, 16u, 2048u}) {
      std::vector<uint8_t> out;
      Writer(out).bytes(number, std::vector<uint8_t>(size));
      EXPECT_EQ(out.size(), bytes_field_size(number, size));
      out.clear();
      Writer(out).varint(number, size);
      EXPECT_EQ(out.size(), varint_field_size(number, size));
    }
  }
}

TEST(Protobuf, FixedFieldsAndUnknownOnesArePassedOver) {
  const std::vector<uint8_t> bytes = *parse_hex(
      "090102030405060708"
      "0d0a0b0c0d"
      "1801");
  Reader reader(bytes);
  Field field;
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.type, WireType::fixed64);
  EXPECT_EQ(field.value, 0x0807060504030201u);
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.type, WireType::fixed32);
  EXPECT_EQ(field.value, 0x0d0c0b0au);
  ASSERT_TRUE(reader.next(field));
  EXPECT_TRUE(field.is_varint(3));
}

Error error_of(std::string_view hex, size_t max_fields = SIZE_MAX) {
  const std::vector<uint8_t> bytes = *parse_hex(hex);
  Reader reader(bytes, "rpc", max_fields);
  Field field;
  while (reader.next(field)) {
  }
  EXPECT_FALSE(reader.status()) << hex;
  EXPECT_FALSE(reader.next(field));  // and it stays so
  return reader.status() ? Error{} : reader.status().error();
}

TEST(Protobuf, BadMessagesAreTypedErrors) {
  EXPECT_EQ(error_of("08").code, Code::truncated);                     // no value
  EXPECT_EQ(error_of("0880").code, Code::truncated);                   // half a value
  EXPECT_EQ(error_of("0a05abcd").code, Code::too_long);                // length past the end
  EXPECT_EQ(error_of("0affffffffffffffffff01").code, Code::too_long);  // length 2^64 - 1
  EXPECT_EQ(error_of("08ffffffffffffffffff02").code, Code::too_long);  // 65 bits
  EXPECT_EQ(error_of("0901").code, Code::truncated);                   // fixed64
  EXPECT_EQ(error_of("0d01").code, Code::truncated);                   // fixed32
  EXPECT_EQ(error_of("0b").code, Code::bad_encoding);                  // a group
  EXPECT_EQ(error_of("0e").code, Code::bad_encoding);                  // wire type 6
  EXPECT_EQ(error_of("0001").code, Code::bad_encoding);                // field 0
  EXPECT_EQ(error_of("8080808010"
                     "01")
                .code,
            Code::bad_encoding);  // field 2^29
  const Error late = error_of(
      "0801"
      "0a05");
  EXPECT_EQ(late.offset, 4u);
  EXPECT_STREQ(late.field, "rpc");
}

TEST(Protobuf, FieldsAreCounted) { EXPECT_EQ(error_of("0a000a000a00", 2).code, Code::too_long); }

TEST(Protobuf, GarbageEndsWithoutReadingPastTheEnd) {
  const uint64_t seed = 33;
  Rng rng(seed);
  for (int i = 0; i < 20000; ++i) {
    std::vector<uint8_t> bytes(rng.below(24));
    rng.fill(bytes);
    if (rng.chance(1, 2)) {
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(byte & 0x1f);
    }
    Reader reader(bytes);
    Field field;
    size_t fields = 0;
    while (reader.next(field)) {
      ++fields;
      if (!field.bytes.empty()) {
        ASSERT_GE(field.bytes.data(), bytes.data()) << "seed " << seed;
        ASSERT_LE(field.bytes.data() + field.bytes.size(), bytes.data() + bytes.size());
      }
    }
    ASSERT_LE(fields, bytes.size());
    ASSERT_LE(reader.offset(), bytes.size());
  }
}

}  // namespace
}  // namespace beamline::protobuf
