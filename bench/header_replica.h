// A replica of how the reference client (lambdaclass/ethrex, before its background pipeline)
// fetches headers, by its policy alone: chunks of 500,000 headers in 800 tasks; one request a peer;
// a loop that looks every 10 ms at what came and at who is idle; 15 s for an answer; and the next
// chunk begins when the last task of this one has ended. It stores nothing and checks nothing, so
// what it takes is time on the network and nothing else.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"

namespace beamline::chain::bench {

struct ReplicaPeer {
  Duration round_trip;
  bool stalling = false;  // never answers
};

struct ReplicaPolicy {
  uint64_t chunk = 500'000;
  uint64_t tasks = 800;  // of a chunk
  uint32_t most = 1024;  // headers in an answer
  Duration poll = milliseconds(10);
  Duration timeout = seconds(15);
};

struct ReplicaResult {
  Duration took;
  uint64_t requests = 0;
  uint64_t timeouts = 0;
};

ReplicaResult run_replica(uint64_t headers, const std::vector<ReplicaPeer>& peers,
                          const ReplicaPolicy& policy = {});

}  // namespace beamline::chain::bench
