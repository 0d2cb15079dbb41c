// The beacon chain's containers as SSZ types, phase0 to fulu (consensus-specs beacon-chain.md,
// p2p-interface.md, validator.md, polynomial-commitments-sampling and das-core of each fork), for
// one preset. Made once at start-up, read-only and thread safe afterwards; views point into it.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "codec/preset.h"
#include "codec/ssz.h"

namespace beamline {

class BeaconTypes {
 public:
  // A container, and the first fork that has it in this form.
  struct Entry {
    std::string_view name;  // as the specification has it: "SignedBeaconBlock"
    Fork since = Fork::phase0;
    const ssz::Type* type = nullptr;
  };

  explicit BeaconTypes(const Preset& preset);
  ~BeaconTypes();
  BeaconTypes(const BeaconTypes&) = delete;
  BeaconTypes& operator=(const BeaconTypes&) = delete;

  const Preset& preset() const { return *preset_; }
  // Which forks' containers are here: all of Fork.
  bool supports(Fork fork) const { return fork <= kLastFork; }

  // The container by its name, in its form at `fork`; null where the fork has none. For start-up:
  // it searches.
  const ssz::Type* find(std::string_view name, Fork fork) const;
  std::span<const Entry> all() const;

  // REQUIRES, here and below: supports(fork).
  const ssz::Type& signed_beacon_block(Fork fork) const;
  const ssz::Type& beacon_block(Fork fork) const;
  const ssz::Type& beacon_block_body(Fork fork) const;
  const ssz::Type& attestation(Fork fork = Fork::phase0) const;
  const ssz::Type& signed_aggregate_and_proof(Fork fork) const;
  // What goes over the subnets: Attestation, from electra on SingleAttestation.
  const ssz::Type& subnet_attestation(Fork fork) const;
  const ssz::Type& blob_sidecar() const;
  const ssz::Type& data_column_sidecar() const;

 private:
  struct Impl;
  const Preset* preset_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace beamline
