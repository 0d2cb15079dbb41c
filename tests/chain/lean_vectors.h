// Runs leanSpec's vectors of the chain: what a vector says against what we do. For the vectors that
// stand in the tree, and for the whole folder.
#pragma once

#include "codec/lean_types.h"
#include "tests/vectors/lean.h"

namespace beamline::chain::lean {

// Each gives whether all is as the vector says, and reports what is not.
bool run_state_transition(const lean_vectors::Case& one);
bool run_justifiability(const lean_vectors::Case& one);
bool run_slot_clock(const lean_vectors::Case& one);
bool run_sync(const lean_vectors::Case& one);

// After each step the whole store must be as the vector's snapshot has it.
bool run_fork_choice(const lean_vectors::Case& one);

const LeanTypes& types_of(const lean_vectors::Case& one);

}  // namespace beamline::chain::lean
