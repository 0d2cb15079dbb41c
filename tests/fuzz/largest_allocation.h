// The largest single allocation while an object of this class lives. One at a time, one thread.
#pragma once

#include <cstddef>

namespace beamline {

class LargestAllocation {
 public:
  LargestAllocation();
  ~LargestAllocation();
  LargestAllocation(const LargestAllocation&) = delete;
  LargestAllocation& operator=(const LargestAllocation&) = delete;

  size_t bytes() const;
};

}  // namespace beamline
