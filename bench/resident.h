// The memory of this process that is really there.
#pragma once

#include <cstdio>

#include <unistd.h>

#include "base/check.h"

namespace beamline::bench {

inline double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  BL_CHECK(file != nullptr);
  unsigned long size = 0;
  unsigned long resident = 0;
  BL_CHECK(std::fscanf(file, "%lu %lu", &size, &resident) == 2);
  std::fclose(file);
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace beamline::bench
