// The reactor, its sockets and its inbox under injected events; see tests/sim/injection.h.
#include "tests/sim/injection.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline;
  if (size < 2 || size > 4096) return 0;
  const sim::Trace trace = sim::Trace::read({data, size});
  sim::SimStage stage(trace.seed, sim::Options::swarm(trace.seed), trace.tape);
  sim::Injection(stage, trace.seed, trace.steps).run();
  return 0;
}
