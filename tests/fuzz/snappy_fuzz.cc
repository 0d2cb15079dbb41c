// A raw block is refused, or gives as many bytes as it declares, which compress and come back. The
// length that it declares is checked before anything is allocated.
#include "base/check.h"
#include "codec/snappy.h"
#include "tests/fuzz/largest_allocation.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  constexpr size_t kLimit = 1 << 20;
  const Bytes input(data, size);
  const Result<size_t> declared = snappy_declared_size(input, kLimit);
  if (declared) BL_CHECK(*declared <= kLimit);
  SharedBytes out;
  {
    const LargestAllocation largest;
    const Result<SharedBytes> uncompressed = snappy_uncompress(input, kLimit);
    BL_CHECK(largest.bytes() <= 2 * size + (declared ? *declared + 64 : 0));
    if (!uncompressed) return 0;
    out = *uncompressed;
  }
  BL_CHECK(declared.has_value() && out.size() == *declared);
  const Result<SharedBytes> again = snappy_uncompress(snappy_compress(out), kLimit);
  BL_CHECK(again.has_value() && equal(*again, out));
  return 0;
}
