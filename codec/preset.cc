#include "codec/preset.h"

namespace beamline {
namespace {

constexpr Preset kMainnet = {
    .name = "mainnet",
    .slots_per_epoch = 32,
    .max_committees_per_slot = 64,
    .max_validators_per_committee = 2048,
    .max_proposer_slashings = 16,
    .max_attester_slashings = 2,
    .max_attestations = 128,
    .max_deposits = 16,
    .max_voluntary_exits = 16,
};

constexpr Preset kMinimal = [] {
  Preset preset = kMainnet;
  preset.name = "minimal";
  preset.slots_per_epoch = 8;
  preset.max_committees_per_slot = 4;
  return preset;
}();

}  // namespace

const Preset& Preset::mainnet() { return kMainnet; }
const Preset& Preset::minimal() { return kMinimal; }

const Preset* Preset::find(std::string_view name) {
  for (const Preset* preset : {&kMainnet, &kMinimal}) {
    if (name == preset->name) return preset;
  }
  return nullptr;
}

}  // namespace beamline
