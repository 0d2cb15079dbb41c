// A number that is read is written back as the same bytes: there is one way to write it.
#include "base/check.h"
#include "codec/uvarint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  const Bytes input(data, size);
  const Uvarint read = read_uvarint(input);
  BL_CHECK(read.state != UvarintState::need_more || size < kMaxUvarintSize);
  if (read.state == UvarintState::done) {
    uint8_t written[kMaxUvarintSize];
    const size_t length = write_uvarint(read.value, written);
    BL_CHECK(equal(Bytes(written, length), input.first(read.size)));
    BL_CHECK(length == uvarint_size(read.value));
  }
  const Uvarint lenient = read_uvarint_lenient(input);
  if (read.state == UvarintState::done) BL_CHECK(lenient.value == read.value);
  return 0;
}
