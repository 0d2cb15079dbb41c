// A proposer's block (leanSpec, forks/lstar/block_production.py): the votes that this chain can
// still use, at most kMaxAttestationsData of them, each with one proof over all its voters.
//
// Runs on a worker, from the parent's post-state: a transition for each time that the votes chosen
// so far justify a new checkpoint and so make others eligible, and one for the block itself.
#pragma once

#include "chain/lean/store.h"
#include "chain/lean/transition.h"

namespace beamline::chain::lean {

struct ProducedBlock {
  LeanBlock block;
  LeanState post;
  std::vector<Proof> proofs;  // one for each of the block's attestations
};

// `prover` makes one proof of several for the same vote; without one the proof of most voters is
// taken alone. Errors: those of the transition (WRONG_PROPOSER first of all) and of the prover.
Result<ProducedBlock> produce_block(StateTransition& transition, const LeanState& parent,
                                    const Proposal& proposal, Prover* prover);

}  // namespace beamline::chain::lean
