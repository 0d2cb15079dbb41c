// The reactor, its sockets and its inbox under injected events; see tests/sim/injection.h. The
// first byte chooses the world, the second how much of the rest are steps; what remains is the tape
// of the world's draws.
#include "tests/sim/injection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size < 2 || size > 4096) return 0;
  const uint64_t seed = 1 + data[0];
  const Bytes rest(data + 2, size - 2);
  const size_t steps = rest.size() * data[1] / 255;
  sim::Injection(seed, sim::Options::swarm(seed), rest.first(steps), rest.subspan(steps)).run();
  return 0;
}
