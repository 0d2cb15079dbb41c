#include "base/bytes.h"

namespace beamline {
namespace {

TEST(CopyBytes, CopiesEverySize) {
  std::vector<uint8_t> from(10'000);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<uint8_t>(i * 31);
  for (const size_t size : {0u, 1u, 2046u, 2047u, 2048u, 4094u, 4095u, 9'999u}) {
    std::vector<uint8_t> to(from.size(), 0);
    copy_bytes(to.data(), from.data(), size);
    EXPECT_TRUE(equal(Bytes(to).first(size), Bytes(from).first(size)));
    EXPECT_EQ(to[size], 0);
  }
}

TEST(SharedBytes, CopiesShareOneRun) {
  SharedBytes a = SharedBytes::copy(as_bytes("block"));
  SharedBytes b = a;
  EXPECT_EQ(a.data(), b.data());
  EXPECT_EQ(a.use_count(), 2u);
  a.reset();
  EXPECT_EQ(b.use_count(), 1u);
  EXPECT_EQ(as_text(b), "block");
}

TEST(SharedBytes, SliceKeepsTheWholeAlive) {
  SharedBytes part;
  {
    const SharedBytes whole = SharedBytes::copy(as_bytes("header|body"));
    part = whole.slice(7, 4);
  }
  EXPECT_EQ(as_text(part), "body");
  EXPECT_EQ(part.use_count(), 1u);
}

TEST(SharedBytes, MoveLeavesNothingBehind) {
  SharedBytes a = SharedBytes::copy(as_bytes("x"));
  const SharedBytes b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT: that is the point
  EXPECT_EQ(b.use_count(), 1u);
}

TEST(SharedBytesDeathTest, SliceBeyondTheEndIsCaught) {
  const SharedBytes a = SharedBytes::copy(as_bytes("abc"));
  EXPECT_DEATH((void)a.slice(2, 2), "check failed");
  EXPECT_DEATH((void)a.slice(4, SIZE_MAX), "check failed");
}

}  // namespace
}  // namespace beamline
