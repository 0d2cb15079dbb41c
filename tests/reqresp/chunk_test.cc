#include "reqresp/chunk.h"

#include "codec/hex.h"
#include "codec/snappy_frame.h"
#include "codec/uvarint.h"
#include "tests/reqresp/bytes.h"

namespace beamline::reqresp {
namespace {

constexpr ForkDigest kDigest{{0xca, 0xfe, 0xba, 0xbe}};

// Feeds `wire` in random pieces; the chunks that came out, or the error.
Result<std::vector<Chunk>> read_all(const ProtocolInfo& row, Bytes wire, Rng& rng) {
  ChunkReader reader(row);
  std::vector<Chunk> chunks;
  while (!wire.empty()) {
    const Bytes piece = wire.first(1 + rng.below(std::min<size_t>(wire.size(), 5000)));
    const auto taken = reader.read(piece);
    if (!taken) return std::unexpected(taken.error());
    EXPECT_TRUE(reader.has_chunk() || *taken == piece.size());
    wire = wire.subspan(*taken);
    if (reader.has_chunk()) chunks.push_back(reader.take());
  }
  if (reader.ending() == ChunkReader::Ending::truncated) {
    return bad_input(Code::truncated, "chunk");
  }
  return chunks;
}

Code code_of(const Result<std::vector<Chunk>>& result) {
  return result ? Code::cancelled : result.error().code;
}

// result || uvarint(declared) || frames(payload).
Buffer wire_chunk(uint8_t result, uint64_t declared, Bytes payload) {
  Buffer wire{result};
  append_uvarint(declared, wire);
  append_snappy_frames(payload, wire);
  return wire;
}

// What @lodestar/reqresp 1.5.1 writes, byte for byte (its snappy: snappyjs 0.7).
constexpr const char* kLodestarPing7 = "08ff060000734e61507059010c0000bbd79f110700000000000000";
constexpr const char* kLodestarRange =
    "18ff060000734e61507059001800009ea72fa71804030009010040090720000100000000000000";
constexpr const char* kLodestarRoots =
    "40ff060000734e61507059000f00004f9ffe054000aa7a010000bb7a0100";
constexpr const char* kLodestarNoRoots = "00ff060000734e61507059";
constexpr const char* kLodestarStatusChunk =
    "0054ff060000734e615070590021000059e50f97541001020304227a0100040100090100117a01001c0500000000"
    "000000";
constexpr const char* kLodestarEmptyBlockChunk =
    "00f5a5fd429403ff060000734e615070590027000021e8386c9403046400fe0100fe0100c601000054feb300feb3"
    "00c6b30062010008dc0000420400";
constexpr const char* kLodestarError = "0309ff060000734e61507059010d0000b194048e6e6f20626c6f636b73";

Buffer unhex(const char* text) {
  const auto bytes = parse_hex(text);
  EXPECT_TRUE(bytes.has_value());
  return bytes.value_or(Buffer{});
}

Buffer read_request(Protocol protocol, const char* wire) {
  const ProtocolInfo& row = info(protocol);
  PayloadReader reader;
  reader.start(row.request_min, row.request_max, "request length");
  const Buffer bytes = unhex(wire);
  const auto taken = reader.read(bytes);
  EXPECT_TRUE(taken.has_value() && reader.done());
  EXPECT_LE(bytes.size() - taken.value_or(0), reader.slack());
  return to_buffer(reader.take());
}

TEST(ChunkCodec, LodestarsRequestsAreRead) {
  EXPECT_EQ(read_request(Protocol::ping_v1, kLodestarPing7), (Buffer{7, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(read_request(Protocol::blocks_by_range_v2, kLodestarRange), range_request(3, 64));
  Buffer roots(32, 0xaa);
  roots.resize(64, 0xbb);
  EXPECT_EQ(read_request(Protocol::blocks_by_root_v2, kLodestarRoots), roots);
  EXPECT_TRUE(read_request(Protocol::blocks_by_root_v2, kLodestarNoRoots).empty());
}

TEST(ChunkCodec, LodestarsChunksAreRead) {
  Rng rng(4);
  const auto status = read_all(info(Protocol::status_v1), unhex(kLodestarStatusChunk), rng);
  ASSERT_TRUE(status.has_value()) << to_string(status.error());
  ASSERT_EQ(status->size(), 1u);
  Buffer expected{1, 2, 3, 4};  // digest, finalized root and epoch 1, head root and slot 5
  expected.resize(36, 0x22);
  append_u64(expected, 1);
  expected.resize(76, 0x11);
  append_u64(expected, 5);
  EXPECT_TRUE(equal((*status)[0].payload, expected));

  const ProtocolInfo& range = info(Protocol::blocks_by_range_v2);
  const auto block = read_all(range, unhex(kLodestarEmptyBlockChunk), rng);
  ASSERT_TRUE(block.has_value()) << to_string(block.error());
  ASSERT_EQ(block->size(), 1u);
  EXPECT_EQ((*block)[0].payload.size(), range.chunk_min);
  EXPECT_EQ((*block)[0].context, (ForkDigest{{0xf5, 0xa5, 0xfd, 0x42}}));

  const auto error = read_all(range, unhex(kLodestarError), rng);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ((*error)[0].result, 3);
  EXPECT_EQ(as_text((*error)[0].payload), "no blocks");
}

TEST(ChunkCodec, ThePingRequest) {
  // 8 bytes: length 8, stream identifier, one uncompressed or compressed frame.
  const Buffer ping{1, 0, 0, 0, 0, 0, 0, 0};
  const SharedBytes wire = encode_request(info(Protocol::ping_v1), ping);
  ASSERT_GT(wire.size(), 19u);
  EXPECT_EQ(wire.bytes()[0], 8);
  EXPECT_EQ(as_text(wire.bytes().subspan(5, 6)), "sNaPpY");
  PayloadReader reader;
  reader.start(8, 8, "length");
  EXPECT_EQ(reader.read(wire), wire.size());
  ASSERT_TRUE(reader.done());
  EXPECT_TRUE(equal(reader.take(), ping));
}

TEST(ChunkCodec, MetadataRequestIsNoByteAtAll) {
  EXPECT_TRUE(encode_request(info(Protocol::metadata_v1), {}).empty());
}

TEST(ChunkCodec, ChunksRoundTripInAnyFragmentation) {
  for_seeds(30, [](Rng& rng) {
    const ProtocolInfo& row =
        info(rng.chance(1, 2) ? Protocol::blocks_by_root_v1 : Protocol::blocks_by_root_v2);
    std::vector<Buffer> blocks;
    Buffer wire;
    for (size_t i = rng.below(6); i-- > 0;) {
      blocks.push_back(block_like(rng, row.chunk_min + rng.below(150'000)));
      append(wire, encode_chunk(row, kDigest, blocks.back()));
    }
    const auto chunks = read_all(row, wire, rng);
    ASSERT_TRUE(chunks.has_value()) << to_string(chunks.error());
    ASSERT_EQ(chunks->size(), blocks.size());
    for (size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_TRUE(equal((*chunks)[i].payload, blocks[i]));
      EXPECT_EQ((*chunks)[i].context, row.has_context ? kDigest : ForkDigest{});
    }
  });
}

TEST(ChunkCodec, EveryTruncationIsSeen) {
  Rng rng(5);
  const ProtocolInfo& row = info(Protocol::blocks_by_range_v2);
  const SharedBytes wire = encode_chunk(row, kDigest, block_like(rng, 600));
  for (size_t size = 1; size < wire.size(); ++size) {
    const auto chunks = read_all(row, wire.bytes().first(size), rng);
    EXPECT_EQ(code_of(chunks), Code::truncated) << size;
  }
}

TEST(ChunkCodec, EveryFlippedBitIsAnErrorOrCounted) {
  // Whatever a flip does, it neither crashes nor yields other SSZ under the same checksum.
  Rng rng(6);
  const ProtocolInfo& row = info(Protocol::status_v1);
  const Buffer status = random_bytes(rng, 84);
  const SharedBytes good = encode_chunk(row, {}, status);
  for (size_t bit = 8; bit < good.size() * 8; ++bit) {
    Buffer wire = to_buffer(good);
    wire[bit / 8] = static_cast<uint8_t>(wire[bit / 8] ^ (1u << (bit % 8)));
    const auto chunks = read_all(row, wire, rng);
    if (chunks.has_value()) {
      for (const Chunk& chunk : *chunks) EXPECT_TRUE(equal(chunk.payload, status)) << bit;
    } else {
      EXPECT_EQ(chunks.error().fault, Fault::peer);
    }
  }
}

TEST(ChunkCodec, LengthOverTheTypesBoundIsRefusedBeforeAnyPayload) {
  Rng rng(7);
  const Buffer payload(100);
  const Buffer status = wire_chunk(0, 85, payload);
  ChunkReader reader(info(Protocol::status_v1));
  const auto result = reader.read(Bytes(status).first(2));  // nothing but the length was sent
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::too_long);
  EXPECT_STREQ(result.error().field, "chunk length");

  EXPECT_EQ(code_of(read_all(info(Protocol::status_v1), wire_chunk(0, 83, payload), rng)),
            Code::out_of_range);
  EXPECT_EQ(
      code_of(read_all(info(Protocol::blocks_by_root_v1), wire_chunk(0, 157'757, payload), rng)),
      Code::too_long);
  Buffer v2 = {0, 1, 2, 3, 4};
  append_uvarint(kMaxPayload + 1, v2);
  EXPECT_EQ(code_of(read_all(info(Protocol::blocks_by_root_v2), v2, rng)), Code::too_long);
  Buffer huge = {0, 1, 2, 3, 4};
  append_uvarint(UINT64_MAX, huge);
  EXPECT_EQ(code_of(read_all(info(Protocol::blocks_by_root_v2), huge, rng)), Code::too_long);
}

TEST(ChunkCodec, ALengthThatNeverEndsIsRefused) {
  Rng rng(8);
  Buffer wire(12, 0x80);
  wire[0] = 0;
  EXPECT_EQ(code_of(read_all(info(Protocol::status_v1), wire, rng)), Code::too_long);
}

TEST(ChunkCodec, FramesThatHoldMoreThanDeclaredAreRefused) {
  Rng rng(9);
  const auto result =
      read_all(info(Protocol::blocks_by_root_v1), wire_chunk(0, 500, Buffer(501, 7)), rng);
  EXPECT_EQ(code_of(result), Code::too_long);
}

TEST(ChunkCodec, ABombOfEmptyFramesIsCutAtTheCompressedBound) {
  Rng rng(10);
  Buffer wire{0};
  append_uvarint(404, wire);
  append_snappy_frames({}, wire);
  if (wire.size() < 13) append(wire, Buffer{0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'});
  // Padding frames of no use, more of them than any payload of 404 bytes needs.
  for (int i = 0; i < 200; ++i) append(wire, Buffer{0xfe, 0, 0, 0});
  EXPECT_EQ(code_of(read_all(info(Protocol::blocks_by_root_v1), wire, rng)), Code::too_long);
}

TEST(ChunkCodec, AWrongChecksumIsItsOwnError) {
  Rng rng(11);
  const ProtocolInfo& row = info(Protocol::ping_v1);
  Buffer wire = to_buffer(encode_chunk(row, {}, random_bytes(rng, 8)));
  // result, length, stream identifier (10), frame header (4), checksum (4).
  wire[2 + 10 + 4] ^= 1;
  const auto result = read_all(row, wire, rng);
  EXPECT_EQ(code_of(result), Code::bad_checksum);
  EXPECT_EQ(result.error().fault, Fault::peer);
}

TEST(ChunkCodec, ErrorsCarryTextAndNoContext) {
  Rng rng(12);
  const ProtocolInfo& row = info(Protocol::blocks_by_range_v2);
  const std::string text(300, 'x');
  const auto chunks = read_all(row, encode_error(3, text), rng);
  ASSERT_TRUE(chunks.has_value()) << to_string(chunks.error());
  ASSERT_EQ(chunks->size(), 1u);
  EXPECT_EQ((*chunks)[0].result, 3);
  EXPECT_EQ(as_text((*chunks)[0].payload), text.substr(0, 256));

  EXPECT_EQ(code_of(read_all(row, wire_chunk(2, 257, Buffer(257, 'a')), rng)), Code::too_long);
}

TEST(ChunkCodec, AnErrorMayLackItsText) {
  ChunkReader reader(info(Protocol::blocks_by_range_v2));
  EXPECT_EQ(reader.ending(), ChunkReader::Ending::in_order);
  const uint8_t code = 2;
  EXPECT_EQ(reader.read({&code, 1}), 1u);
  EXPECT_EQ(reader.ending(), ChunkReader::Ending::error_without_text);
  const uint8_t length = 5;
  EXPECT_EQ(reader.read({&length, 1}), 1u);
  EXPECT_EQ(reader.ending(), ChunkReader::Ending::truncated);
}

TEST(ChunkCodec, GarbageEndsInATypedError) {
  for_seeds(400, [](Rng& rng) {
    const ProtocolInfo& row = protocols()[rng.below(kProtocolCount)];
    const auto result = read_all(row, random_bytes(rng, 1 + rng.below(3000)), rng);
    if (!result) {
      EXPECT_EQ(result.error().fault, Fault::peer);
    }
  });
}

}  // namespace
}  // namespace beamline::reqresp
