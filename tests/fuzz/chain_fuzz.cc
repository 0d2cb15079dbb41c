// The whole chain core under injected events; see tests/chain/injection.h. Two bytes and more are
// one event.
#include "tests/chain/injection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  beamline::chain::testing::Injection({data, size}).run();
  return 0;
}
