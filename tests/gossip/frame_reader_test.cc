#include "gossip/frame_reader.h"

#include "base/rng.h"
#include "codec/uvarint.h"

namespace beamline::gossip {
namespace {

constexpr size_t kMaxRpc = 12'234'442;

std::vector<uint8_t> framed(size_t size, uint8_t fill) {
  std::vector<uint8_t> out;
  append_uvarint(size, out);
  out.resize(out.size() + size, fill);
  return out;
}

TEST(FrameReader, WholeFrameIsNotCopied) {
  FrameReader reader(kMaxRpc);
  PartialBudget budget{0, 1 << 20, 1 << 20};
  const auto stream = framed(300, 1);
  Bytes input = stream;
  FrameReader::Frame frame;
  ASSERT_TRUE(*reader.next(input, frame, budget, {}));
  EXPECT_EQ(frame.rpc.data(), stream.data() + 2);
  EXPECT_EQ(frame.rpc.size(), 300u);
  EXPECT_TRUE(frame.shared.empty());
  EXPECT_EQ(budget.used, 0u);
}

TEST(FrameReader, GatheredFrameIsSharedWithItsLength) {
  FrameReader reader(kMaxRpc);
  PartialBudget budget{0, 1 << 20, 1 << 20};
  const auto stream = framed(300, 1);
  Bytes first = Bytes(stream).first(100);
  Bytes second = Bytes(stream).subspan(100);
  FrameReader::Frame frame;
  EXPECT_FALSE(*reader.next(first, frame, budget, {}));
  EXPECT_EQ(budget.used, stream.size());
  ASSERT_TRUE(*reader.next(second, frame, budget, {}));
  EXPECT_TRUE(equal(frame.shared, stream));
  EXPECT_EQ(frame.shared.use_count(), 1u);
  EXPECT_EQ(budget.used, 0u);
}

TEST(FrameReader, PropertyAnyCutGivesTheSameFrames) {
  const uint64_t seed = 11;
  Rng rng(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<size_t> sizes;
    std::vector<uint8_t> stream;
    for (int i = 0; i < 8; ++i) {
      sizes.push_back(rng.chance(1, 4) ? rng.below(200'000) : rng.below(300));
      const auto one = framed(sizes.back(), static_cast<uint8_t>(i));
      stream.insert(stream.end(), one.begin(), one.end());
    }
    FrameReader reader(kMaxRpc);
    PartialBudget budget{0, 1 << 20, 1 << 20};
    std::vector<size_t> got;
    Bytes rest = stream;
    while (!rest.empty()) {
      Bytes piece =
          rest.first(std::min<size_t>(rest.size(), 1 + rng.below(rng.chance(1, 2) ? 5 : 70'000)));
      rest = rest.subspan(piece.size());
      FrameReader::Frame frame;
      for (;;) {
        const Result<bool> more = reader.next(piece, frame, budget, {});
        ASSERT_TRUE(more.has_value()) << "seed " << seed << " round " << round;
        if (!*more) break;
        for (uint8_t byte : frame.rpc) ASSERT_EQ(byte, got.size());
        got.push_back(frame.rpc.size());
      }
    }
    EXPECT_EQ(got, sizes) << "seed " << seed << " round " << round;
    EXPECT_EQ(budget.used, 0u);
  }
}

TEST(FrameReader, OversizeIsRefusedAtItsLength) {
  for (size_t size : {kMaxRpc + 1, size_t{1} << 40}) {
    FrameReader reader(kMaxRpc);
    PartialBudget budget{0, SIZE_MAX, SIZE_MAX};
    std::vector<uint8_t> length;
    append_uvarint(size, length);
    Bytes input = length;
    FrameReader::Frame frame;
    const Result<bool> got = reader.next(input, frame, budget, {});
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code, Code::too_long);
    EXPECT_EQ(budget.used, 0u);
  }
}

TEST(FrameReader, NonCanonicalLengthIsRefused) {
  FrameReader reader(kMaxRpc);
  PartialBudget budget{0, 1 << 20, 1 << 20};
  const uint8_t bytes[] = {0x81, 0x00, 1};
  Bytes input = bytes;
  FrameReader::Frame frame;
  const Result<bool> got = reader.next(input, frame, budget, {});
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, Code::non_canonical);
}

// 12 MB declared and 10 bytes sent hold little.
TEST(FrameReader, MemoryFollowsWhatCame) {
  FrameReader reader(kMaxRpc);
  PartialBudget budget{0, 1 << 24, 1 << 24};
  std::vector<uint8_t> start;
  append_uvarint(kMaxRpc, start);
  start.resize(start.size() + 10);
  Bytes input = start;
  FrameReader::Frame frame;
  EXPECT_FALSE(*reader.next(input, frame, budget, {}));
  EXPECT_LE(budget.used, 16u * 1024);
  reader.reset(budget);
  EXPECT_EQ(budget.used, 0u);
}

TEST(FrameReader, BudgetRefusesTheHugeAndKeepsTheFairShare) {
  PartialBudget budget{0, 90'000, 20'000};
  FrameReader hog(kMaxRpc);
  FrameReader modest(kMaxRpc);
  FrameReader::Frame frame;
  const auto huge = framed(90'000, 1);
  Bytes input = Bytes(huge).first(80'000);
  EXPECT_FALSE(*hog.next(input, frame, budget, {}));
  const auto small = framed(15'000, 2);
  input = Bytes(small).first(10'000);
  EXPECT_FALSE(*modest.next(input, frame, budget, {}));  // over the limit, within its share
  FrameReader second(kMaxRpc);
  input = Bytes(huge).first(80'000);
  const Result<bool> refused = second.next(input, frame, budget, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::full);
}

}  // namespace
}  // namespace beamline::gossip
