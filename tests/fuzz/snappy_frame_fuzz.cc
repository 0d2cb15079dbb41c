// How the bytes arrive does not matter: fed whole or in pieces, a payload decodes to the same
// bytes, or fails with the same error. The first two bytes say the declared size, the third the
// size of the pieces.
#include <algorithm>
#include <vector>

#include "base/check.h"
#include "codec/snappy_frame.h"

namespace beamline {
namespace {

struct Outcome {
  bool done = false;
  size_t taken = 0;
  std::vector<uint8_t> bytes;
  Error error;
};

Outcome decode(Bytes input, size_t declared, size_t piece) {
  Outcome outcome;
  outcome.bytes.resize(declared);
  SnappyFrameDecoder decoder;
  decoder.start(outcome.bytes);
  while (!decoder.done() && outcome.taken < input.size()) {
    const size_t size = std::min(piece, input.size() - outcome.taken);
    const Result<size_t> took = decoder.feed(input.subspan(outcome.taken, size));
    if (!took) {
      outcome.error = took.error();
      return outcome;
    }
    BL_CHECK(*took <= size);
    BL_CHECK(*took == size || decoder.done());
    outcome.taken += *took;
  }
  outcome.done = decoder.done();
  return outcome;
}

}  // namespace
}  // namespace beamline

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size < 3) return 0;
  const size_t declared = size_t{data[0]} << 8 | data[1];
  const Bytes input(data + 3, size - 3);
  const Outcome whole = decode(input, declared, input.size() + 1);
  const Outcome pieces = decode(input, declared, size_t{data[2]} + 1);
  BL_CHECK(whole.done == pieces.done);
  BL_CHECK(whole.error == pieces.error);
  if (whole.done) BL_CHECK(whole.taken == pieces.taken && whole.bytes == pieces.bytes);
  return 0;
}
