#include "codec/crc32c.h"

#include "base/rng.h"

namespace beamline {
namespace {

// RFC 3720, B.4, and the check value of the CRC catalogue.
TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(std::vector<uint8_t>(32, 0x00)), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::vector<uint8_t>(32, 0xff)), 0x62a8ab43u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, PortableAgreesWithHardwareAtEverySizeAndSplit) {
  Rng rng(32);
  std::vector<uint8_t> data(200);
  rng.fill(data);
  for (size_t size = 0; size <= data.size(); ++size) {
    const Bytes bytes = Bytes(data).first(size);
    ASSERT_EQ(crc32c(bytes), crc32c_portable(bytes)) << size;
    const size_t cut = rng.below(size + 1);
    ASSERT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(bytes)) << size;
    ASSERT_EQ(crc32c_portable(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(bytes));
  }
}

}  // namespace
}  // namespace beamline
