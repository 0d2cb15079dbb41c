// The root of the genesis block, from a genesis state (consensus-specs phase0/beacon-chain.md,
// BeaconState; p2p peers name the block, files hold the state).
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "codec/beacon_types.h"
#include "codec/root.h"

namespace beamline {

// `state` is the SSZ of a phase0 BeaconState at slot 0. The block is latest_block_header with the
// state's own root in it. Errors: those of ssz::View; mismatch at "slot" when it is not slot 0.
Result<Root> genesis_block_root(const BeaconTypes& types, Bytes state);

}  // namespace beamline
