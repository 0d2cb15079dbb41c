// The header pipeline under injected events; see tests/chain/headers/events.h. Two bytes and more
// are one event.
#include "tests/chain/headers/events.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;
  beamline::chain::testing::HeaderEvents({data, size}).run();
  return 0;
}
