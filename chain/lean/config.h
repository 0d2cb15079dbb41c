// Lean's constants that are not in a preset (leanSpec, forks/lstar/config.py and slot.py).
#pragma once

#include <cstdint>

#include "base/time.h"
#include "codec/root.h"

namespace beamline::chain::lean {

// Intervals since genesis: what fork choice counts its time in.
using Interval = uint64_t;

inline constexpr uint64_t kIntervalsPerSlot = 5;
inline constexpr uint64_t kMillisecondsPerSlot = 4000;
inline constexpr uint64_t kMillisecondsPerInterval = kMillisecondsPerSlot / kIntervalsPerSlot;
inline constexpr Duration kSlot = milliseconds(kMillisecondsPerSlot);
inline constexpr Duration kInterval = milliseconds(kMillisecondsPerInterval);
static_assert(kMillisecondsPerInterval == 800);

// How far ahead of the clock a vote's slot may start.
inline constexpr uint64_t kGossipDisparityIntervals = 1;
// Steps back from the head to the target of a vote.
inline constexpr uint64_t kJustificationLookbackSlots = 3;
// Slots after the finalised one that are always justifiable.
inline constexpr uint64_t kImmediateJustificationWindow = 5;
// Distinct attestation data in a block.
inline constexpr uint64_t kMaxAttestationsData = 8;
inline constexpr uint64_t kValidatorRegistryLimit = 1 << 12;
inline constexpr uint64_t kHistoricalRootsLimit = 1 << 18;

}  // namespace beamline::chain::lean
