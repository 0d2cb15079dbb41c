// Runs of an injection over seeds: BEAMLINE_SEED runs one, BEAMLINE_SEEDS says how many.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/rng.h"

namespace beamline::chain::testing {

struct Seeds {
  uint64_t first = 1;
  uint64_t count = 1;
  bool one = false;
};

// `many` in the long tier.
inline Seeds seeds_of(uint64_t few, uint64_t many) {
  const auto number = [](const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  };
  Seeds seeds;
  seeds.first = number("BEAMLINE_SEED", 1);
  seeds.one = std::getenv("BEAMLINE_SEED") != nullptr;
  const uint64_t usual = std::getenv("BEAMLINE_LONG") != nullptr ? many : few;
  seeds.count = number("BEAMLINE_SEEDS", seeds.one ? 1 : usual);
  return seeds;
}

// Calls `run` with `size` bytes made from each seed.
template <class Run>
void for_each_seed(const Seeds& seeds, size_t size, const Run& run) {
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    // A failed check aborts: the last line names the seed.
    std::fprintf(stderr, "\rBEAMLINE_SEED=%lu ", static_cast<unsigned long>(seed));
    Rng rng(seed);
    std::vector<uint8_t> steps(size);
    rng.fill(steps);
    run(steps);
  }
  std::fprintf(stderr, "\n");
}

}  // namespace beamline::chain::testing
