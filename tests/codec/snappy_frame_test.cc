#include "codec/snappy_frame.h"

#include "base/rng.h"
#include "codec/crc32c.h"
#include "codec/hex.h"
#include "codec/snappy.h"

namespace beamline {
namespace {

const std::vector<uint8_t> kIdentifier = *parse_hex("ff060000734e61507059");

void append(std::vector<uint8_t>& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<uint8_t> chunk(uint8_t type, Bytes body) {
  std::vector<uint8_t> out = {type, static_cast<uint8_t>(body.size()),
                              static_cast<uint8_t>(body.size() >> 8),
                              static_cast<uint8_t>(body.size() >> 16)};
  append(out, body);
  return out;
}

std::vector<uint8_t> data_chunk(uint8_t type, Bytes plain, Bytes stored) {
  const uint32_t crc = mask_crc32c(crc32c(plain));
  std::vector<uint8_t> body;
  for (int i = 0; i < 4; ++i) body.push_back(static_cast<uint8_t>(crc >> (8 * i)));
  append(body, stored);
  return chunk(type, body);
}

std::vector<uint8_t> mixed_data(size_t size, Rng& rng) {
  std::vector<uint8_t> data(size);
  rng.fill(data);
  if (size > 10) std::fill_n(data.begin(), size / 2, uint8_t{'m'});
  return data;
}

// Feeds `stream` in pieces; gives how many bytes the payload took.
Result<size_t> feed_in_pieces(SnappyFrameDecoder& decoder, Bytes stream, size_t piece) {
  size_t taken = 0;
  while (taken < stream.size() && !decoder.done()) {
    const Bytes part = stream.subspan(taken, std::min(piece, stream.size() - taken));
    const auto step = decoder.feed(part);
    if (!step) return step;
    taken += *step;
    if (*step < part.size()) break;
  }
  return taken;
}

Error error_of(Bytes stream, size_t expected) {
  std::vector<uint8_t> out(expected);
  SnappyFrameDecoder decoder;
  decoder.start(out);
  const auto result = decoder.feed(stream);
  EXPECT_FALSE(result);
  EXPECT_FALSE(decoder.done());
  return result ? Error{} : result.error();
}

// As snappyjs 0.7.0 with the framing of a js node makes it.
TEST(SnappyFrame, ReadsAnotherImplementationsStream) {
  std::vector<uint8_t> out(108);
  SnappyFrameDecoder decoder;
  decoder.start(out);
  ASSERT_TRUE(decoder.feed(
      *parse_hex("ff060000734e61507059001500009d25621c6c206265616d6c696e6520fe09008a0900")));
  EXPECT_TRUE(decoder.done());
  EXPECT_EQ(as_text(out).substr(99), "beamline ");
}

TEST(SnappyFrame, EverySizeInPiecesOfEverySizeAndNothingBehindIsTaken) {
  Rng rng(42);
  SnappyFrameDecoder decoder;
  for (const size_t size : {1u, 17u, 65535u, 65536u, 65537u, 200000u}) {
    const std::vector<uint8_t> data = mixed_data(size, rng);
    std::vector<uint8_t> stream;
    append_snappy_frames(data, stream);
    EXPECT_LE(stream.size(), snappy_frame_max_input(size));
    const size_t length = stream.size();
    append(stream, as_bytes("the next chunk"));
    for (const size_t piece : {size_t{1}, size_t{3}, size_t{1000}, stream.size()}) {
      std::vector<uint8_t> out(size);
      decoder.start(out);
      const auto taken = feed_in_pieces(decoder, stream, piece);
      ASSERT_TRUE(taken) << to_string(taken.error());
      EXPECT_EQ(*taken, length);
      EXPECT_TRUE(decoder.done());
      EXPECT_EQ(out, data);
    }
  }
}

TEST(SnappyFrame, EncoderStreamsBoundedPieces) {
  Rng rng(43);
  std::vector<uint8_t> data(150000);
  rng.fill(data);
  SnappyFrameEncoder encoder(data);
  std::vector<uint8_t> whole;
  size_t pieces = 0;
  while (!encoder.done()) {
    std::vector<uint8_t> piece;
    encoder.next(piece);
    EXPECT_LE(piece.size(), SnappyFrameEncoder::kMaxPiece);
    append(whole, piece);
    ++pieces;
  }
  EXPECT_EQ(pieces, 3u);
  std::vector<uint8_t> out(data.size());
  SnappyFrameDecoder decoder;
  decoder.start(out);
  ASSERT_TRUE(decoder.feed(whole));
  EXPECT_EQ(out, data);
  EXPECT_EQ(decoder.stats().uncompressed_chunks, 3u);  // random data does not shrink
}

TEST(SnappyFrame, EmptyPayloadIsDoneAtOnceAndWrittenAsTheIdentifier) {
  SnappyFrameDecoder decoder;
  decoder.start({});
  EXPECT_TRUE(decoder.done());
  EXPECT_EQ(*decoder.feed(kIdentifier), 0u);
  std::vector<uint8_t> out;
  append_snappy_frames({}, out);
  EXPECT_EQ(out, kIdentifier);
}

TEST(SnappyFrame, PaddingSkippableAndRepeatedIdentifiersAreSkippedAndCounted) {
  const std::vector<uint8_t> data(100, 'd');
  std::vector<uint8_t> stream = kIdentifier;
  append(stream, chunk(0xfe, std::vector<uint8_t>(5)));
  append(stream, kIdentifier);
  append(stream, chunk(0x80, {}));
  append(stream, data_chunk(1, data, data));
  for (const size_t piece : {size_t{1}, stream.size()}) {
    std::vector<uint8_t> out(100);
    SnappyFrameDecoder decoder;
    decoder.start(out);
    ASSERT_TRUE(feed_in_pieces(decoder, stream, piece));
    EXPECT_TRUE(decoder.done());
    EXPECT_EQ(out, data);
    EXPECT_EQ(decoder.stats().skipped_chunks, 2u);
  }
}

TEST(SnappyFrame, HostileStreamsAreTypedErrors) {
  const std::vector<uint8_t> data(10, 'x');
  std::vector<uint8_t> no_identifier = data_chunk(1, data, data);
  EXPECT_EQ(error_of(no_identifier, 10).code, Code::bad_encoding);
  EXPECT_EQ(error_of(*parse_hex("ff060000734e61507058"), 10).code, Code::bad_encoding);
  EXPECT_EQ(error_of(*parse_hex("ff070000"), 10).code, Code::bad_encoding);
  const auto after_identifier = [](Bytes rest) {
    std::vector<uint8_t> stream = kIdentifier;
    append(stream, rest);
    return stream;
  };
  // A reserved chunk that must not be skipped.
  EXPECT_EQ(error_of(after_identifier(chunk(0x02, {})), 10).code, Code::bad_encoding);
  // Shorter than its checksum.
  EXPECT_EQ(error_of(after_identifier(chunk(0x00, std::vector<uint8_t>(3))), 10).code,
            Code::truncated);
  // More output than was declared, in either form.
  EXPECT_EQ(error_of(after_identifier(data_chunk(1, data, data)), 9).code, Code::too_long);
  const SharedBytes packed = snappy_compress(data);
  EXPECT_EQ(error_of(after_identifier(data_chunk(0, data, packed)), 9).code, Code::too_long);
  // A wrong checksum.
  std::vector<uint8_t> wrong = after_identifier(data_chunk(1, data, data));
  wrong.back() ^= 1;
  const Error checksum = error_of(wrong, 10);
  EXPECT_EQ(checksum.code, Code::bad_checksum);
  EXPECT_EQ(checksum.offset, 14u);  // the chunk's body
  // A block that is none.
  EXPECT_EQ(error_of(after_identifier(data_chunk(0, data, as_bytes("\x0a\xff\xff"))), 10).code,
            Code::bad_encoding);
}

TEST(SnappyFrame, SkippedBytesCountAgainstTheBound) {
  // Refused at its header, before 16 MiB of padding arrive.
  std::vector<uint8_t> stream = kIdentifier;
  append(stream, *parse_hex("feffffff"));
  EXPECT_EQ(error_of(stream, 1000).code, Code::too_long);
  // And in small pieces, endless.
  stream = kIdentifier;
  for (int i = 0; i < 1000; ++i) append(stream, chunk(0x81, {}));
  EXPECT_EQ(error_of(stream, 1000).code, Code::too_long);
}

// A data chunk over 64 KiB, declared or decompressed.
TEST(SnappyFrame, ChunksOverTheFormatsSizeAreRefused) {
  const std::vector<uint8_t> large(kSnappyChunkSize + 1, 'l');
  std::vector<uint8_t> stream = kIdentifier;
  append(stream, data_chunk(1, large, large));
  EXPECT_EQ(error_of(stream, 200000).code, Code::too_long);
  stream = kIdentifier;
  append(stream, data_chunk(0, large, snappy_compress(large)));
  EXPECT_EQ(error_of(stream, 200000).code, Code::too_long);
}

TEST(SnappyFrame, DamageNeverGivesWrongData) {
  const uint64_t seed = 44;
  Rng rng(seed);
  const std::vector<uint8_t> data = mixed_data(5000, rng);
  std::vector<uint8_t> stream;
  append_snappy_frames(data, stream);
  for (int i = 0; i < 3000; ++i) {
    std::vector<uint8_t> bytes = stream;
    bytes[rng.below(rng.chance(1, 2) ? 40 : bytes.size())] = static_cast<uint8_t>(rng.next());
    std::vector<uint8_t> out(data.size());
    SnappyFrameDecoder decoder;
    decoder.start(out);
    const auto taken = feed_in_pieces(decoder, bytes, 1 + rng.below(300));
    if (taken && decoder.done()) {
      ASSERT_EQ(out, data) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace beamline
