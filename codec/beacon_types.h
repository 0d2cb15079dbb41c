// The beacon chain's containers as SSZ types (consensus-specs beacon-chain.md), for one preset.
// Made once at start-up, read-only and thread safe afterwards; views point into it.
#pragma once

#include <memory>

#include "codec/preset.h"
#include "codec/ssz.h"

namespace beamline {

class BeaconTypes {
 public:
  explicit BeaconTypes(const Preset& preset);
  ~BeaconTypes();
  BeaconTypes(const BeaconTypes&) = delete;
  BeaconTypes& operator=(const BeaconTypes&) = delete;

  const Preset& preset() const { return *preset_; }
  // Which forks' blocks are here: phase0 for now.
  bool supports(Fork fork) const { return fork == Fork::phase0; }

  // REQUIRES: supports(fork).
  const ssz::Type& signed_beacon_block(Fork fork) const;
  const ssz::Type& beacon_block(Fork fork) const;
  const ssz::Type& beacon_block_body(Fork fork) const;
  const ssz::Type& attestation() const;

 private:
  struct Phase0;
  const Preset* preset_;
  std::unique_ptr<Phase0> phase0_;
};

}  // namespace beamline
