// The whole chain core under injected events; see tests/chain/injection.h. The first byte is the
// policy; then two bytes and more are one event.
#include "tests/chain/injection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using beamline::chain::testing::Injection;
  if (size == 0 || size > 4096) return 0;
  const auto policy = static_cast<Injection::Policy>(data[0] % Injection::kPolicies);
  Injection({data + 1, size - 1}, policy).run();
  return 0;
}
