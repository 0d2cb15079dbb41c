// Seeds for tests of the simulation. The first line of a failure is the command that replays it (of
// a failed check that aborts, the second). BEAMLINE_SEED=n runs that seed alone, BEAMLINE_SEEDS=n
// so many, and BEAMLINE_TRACE=1 prints the history.
#pragma once

#include <cstdint>
#include <functional>

#include "loop/sim/options.h"

namespace beamline::sim {

// While it lives, failures of this test are those of this seed. One at a time.
class Replay {
 public:
  Replay(uint64_t seed, const Options& options);
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;
  ~Replay();
};

// The options, with what the environment adds.
Options traced(Options options);

// Runs `body` with the seeds 1..count (or what the environment says), until one fails.
void for_each_seed(uint64_t count, const std::function<void(uint64_t seed)>& body);

}  // namespace beamline::sim
