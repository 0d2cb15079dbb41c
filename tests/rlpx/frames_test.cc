#include "rlpx/frames.h"

#include <memory>

#include "base/rng.h"
#include "tests/crypto/test_hex.h"

namespace beamline::rlpx {
namespace {

struct Pair {
  explicit Pair(Rng& rng) {
    Secrets secrets;
    rng.fill(secrets.aes.bytes);
    rng.fill(secrets.mac.bytes);
    std::array<uint8_t, 40> seed;
    rng.fill(seed);
    secrets.egress.update(seed);
    secrets.ingress.update(Bytes(seed).first(7));
    a = std::make_unique<FrameCodec>(secrets);
    std::swap(secrets.egress, secrets.ingress);
    b = std::make_unique<FrameCodec>(secrets);
  }
  std::unique_ptr<FrameCodec> a, b;
};

std::vector<uint8_t> sealed(FrameCodec& codec, Bytes data) {
  std::vector<uint8_t> frame(frame_size(data.size()), 0xcc);
  std::copy(data.begin(), data.end(), frame.begin() + kFrameHeaderSize);
  codec.seal(frame, data.size());
  return frame;
}

Result<std::vector<uint8_t>> opened(FrameCodec& codec, MutableBytes frame) {
  const auto size = codec.open_header(frame.first<kFrameHeaderSize>());
  if (!size) return std::unexpected(size.error());
  if (frame.size() != frame_size(*size)) return bad_input(Code::mismatch, "test");
  const auto data = codec.open_body(frame.subspan(kFrameHeaderSize), *size);
  if (!data) return std::unexpected(data.error());
  return std::vector<uint8_t>(data->begin(), data->end());
}

TEST(RlpxFrames, ComeBackInOrderBothWays) {
  const uint64_t seed = 1;
  Rng rng(seed);
  Pair pair(rng);
  for (int i = 0; i < 300; ++i) {
    std::vector<uint8_t> data(1 + rng.below(i % 10 == 0 ? 70'000 : 100));
    rng.fill(data);
    const bool forth = rng.chance(1, 2);
    auto frame = sealed(forth ? *pair.a : *pair.b, data);
    const auto back = opened(forth ? *pair.b : *pair.a, frame);
    ASSERT_TRUE(back) << to_string(back.error()) << " seed " << seed;
    ASSERT_EQ(*back, data) << "seed " << seed;
  }
}

// go-ethereum's golden frame (p2p/rlpx): keys keccak256(""), message 8 with [1, 2, 3, 4]. Its MACs
// are made with a fake hash; the ciphertext is what can be compared.
TEST(RlpxFrames, CiphertextIsThatOfGethsGoldenFrame) {
  Secrets secrets;
  secrets.aes = keccak256(Bytes());
  secrets.mac = secrets.aes;
  FrameCodec codec(secrets);
  const auto frame = sealed(codec, unhex("08c401020304"));
  EXPECT_EQ(hex(Bytes(frame).first(16)), "00828ddae471818bb0bfa6b551d1cb42");
  EXPECT_EQ(hex(Bytes(frame).subspan(32, 16)), "ba628a4ba590cb43f7848f41c4382885");
}

TEST(RlpxFrames, EveryFlippedByteIsAMacError) {
  for (size_t at = 0; at < frame_size(20); ++at) {
    Rng rng(uint64_t{3});
    Pair pair(rng);
    auto frame = sealed(*pair.a, std::vector<uint8_t>(20, 0x11));
    frame[at] ^= 0x80;
    const auto back = opened(*pair.b, frame);
    ASSERT_FALSE(back) << at;
    EXPECT_EQ(back.error().code, Code::bad_checksum);
    EXPECT_STREQ(back.error().field, at < kFrameHeaderSize ? "frame.header" : "frame.body");
  }
}

TEST(RlpxFrames, AFrameIsGoodOnceAndInItsPlace) {
  Rng rng(uint64_t{4});
  Pair pair(rng);
  const auto first = sealed(*pair.a, as_bytes("first"));
  auto second = sealed(*pair.a, as_bytes("second"));
  EXPECT_EQ(opened(*pair.b, second).error().code, Code::bad_checksum);  // out of order
  Pair again(rng);
  auto frame = sealed(*again.a, as_bytes("first"));
  auto replay = frame;
  ASSERT_TRUE(opened(*again.b, frame));
  EXPECT_EQ(opened(*again.b, replay).error().code, Code::bad_checksum);
}

TEST(RlpxFrames, AnEmptyFrameIsRefused) {
  Rng rng(uint64_t{5});
  Pair pair(rng);
  auto frame = sealed(*pair.a, {});
  EXPECT_EQ(opened(*pair.b, frame).error().code, Code::truncated);
}

TEST(RlpxFrames, SizesAreOfWholeBlocks) {
  EXPECT_EQ(frame_size(1), 32u + 16 + 16);
  EXPECT_EQ(frame_size(16), 32u + 16 + 16);
  EXPECT_EQ(frame_size(17), 32u + 32 + 16);
  EXPECT_EQ(frame_size(kMaxFrameData), 32u + (1 << 24) + 16);
}

}  // namespace
}  // namespace beamline::rlpx
