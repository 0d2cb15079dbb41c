#include "loop/warm_set.h"

#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace beamline {
namespace {

constexpr uint32_t kCount = 128;
constexpr uint32_t kSize = 65'536;

std::vector<uint16_t> all(uint32_t count) {
  std::vector<uint16_t> ids(count);
  std::iota(ids.begin(), ids.end(), uint16_t{0});
  return ids;
}

// A pool whose kernel side is a queue, as its ring of buffers is one.
struct Kernel {
  explicit Kernel(WarmSet& set) : warm(set) { fill(); }
  void fill() {
    while (const auto id = warm.take()) ring.push_back(*id);
  }
  // A turn in which sockets receive a buffer each (or one of them all); they come back at its end.
  std::vector<uint16_t> turn(size_t uses, bool one_socket = false) {
    std::vector<uint16_t> used(ring.begin(), ring.begin() + static_cast<ptrdiff_t>(uses));
    ring.erase(ring.begin(), ring.begin() + static_cast<ptrdiff_t>(uses));
    warm.put(used, one_socket ? 1 : static_cast<uint32_t>(uses));
    fill();
    return used;
  }
  WarmSet& warm;
  std::vector<uint16_t> ring;
};

TEST(WarmSetTest, HandsOutAFewAtFirst) {
  WarmSet warm(kCount, kSize);
  EXPECT_FALSE(warm.take());
  warm.put(all(kCount), 0);
  EXPECT_EQ(Kernel(warm).ring.size(), WarmSet::kLeastBytes / kSize);
}

TEST(WarmSetTest, APoolThatIsSmallIsHandedOutWhole) {
  for (const auto& [count, size] : {std::pair{64u, 256u}, {4u, 65'536u}, {1u, 1u << 24}}) {
    WarmSet warm(count, size);
    warm.put(all(count), 0);
    EXPECT_EQ(Kernel(warm).ring.size(), count);
  }
}

TEST(WarmSetTest, AQuietStreamKeepsToAFewBuffers) {
  WarmSet warm(kCount, kSize);
  warm.put(all(kCount), 0);
  Kernel kernel(warm);
  for (uint32_t i = 0; i < 3 * WarmSet::kWindow; ++i) kernel.turn(2);
  std::set<uint16_t> used;
  for (uint32_t i = 0; i < 1000; ++i) {
    for (const uint16_t id : kernel.turn(2)) used.insert(id);
  }
  EXPECT_EQ(kernel.ring.size(), WarmSet::kLeastBytes / kSize);
  EXPECT_LE(used.size(), WarmSet::kLeastBytes / kSize + 2);
}

TEST(WarmSetTest, AWantDoublesWhatIsOutUpToAll) {
  WarmSet warm(kCount, kSize);
  warm.put(all(kCount), 0);
  Kernel kernel(warm);
  for (uint32_t wanted = 8; wanted <= kCount; wanted *= 2) {
    warm.starved();
    kernel.fill();
    EXPECT_EQ(kernel.ring.size(), wanted);
  }
  warm.starved();
  kernel.fill();
  EXPECT_EQ(kernel.ring.size(), kCount);
}

TEST(WarmSetTest, ABusyTurnRaisesItBeforeAWantDoes) {
  WarmSet warm(kCount, kSize);
  warm.put(all(kCount), 0);
  Kernel kernel(warm);
  size_t before = 0;
  while (kernel.ring.size() < kCount && kernel.ring.size() != before) {
    before = kernel.ring.size();
    kernel.turn(before);
  }
  EXPECT_EQ(kernel.ring.size(), kCount);
}

TEST(WarmSetTest, AStreamThatTakesAllThereIsGetsNoMore) {
  WarmSet warm(kCount, kSize);
  warm.put(all(kCount), 0);
  Kernel kernel(warm);
  const size_t before = kernel.ring.size();
  for (int i = 0; i < 1000; ++i) kernel.turn(kernel.ring.size(), true);
  EXPECT_EQ(kernel.ring.size(), before);
}

// Whatever happens, each buffer is in one place, and a want is met while there is one.
TEST(WarmSetTest, NoBufferIsLostOrHandedOutTwice) {
  const uint64_t seed = 7;
  SCOPED_TRACE(seed);
  Rng rng(seed);
  WarmSet warm(kCount, kSize);
  warm.put(all(kCount), 0);
  Kernel kernel(warm);
  for (int i = 0; i < 20'000; ++i) {
    const size_t some =
        rng.chance(1, 20) ? kernel.ring.size() : std::min<size_t>(rng.below(5), kernel.ring.size());
    kernel.turn(some);
    if (rng.chance(1, 100)) {
      const size_t before = kernel.ring.size();
      warm.starved();
      kernel.fill();
      ASSERT_TRUE(kernel.ring.size() > before || before == kCount);
    }
    ASSERT_EQ(std::set<uint16_t>(kernel.ring.begin(), kernel.ring.end()).size(),
              kernel.ring.size());
    ASSERT_GE(kernel.ring.size(), 1u);
  }
}

}  // namespace
}  // namespace beamline
