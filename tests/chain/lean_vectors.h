// Runs leanSpec's vectors of the chain: what a vector says against what we do. For the vectors that
// stand in the tree, and for the whole folder.
#pragma once

#include "tests/vectors/lean.h"

namespace beamline::chain::lean {

// Each gives whether all is as the vector says, and reports what is not.
bool run_state_transition(const lean_vectors::Case& one);
bool run_justifiability(const lean_vectors::Case& one);
bool run_slot_clock(const lean_vectors::Case& one);
bool run_sync(const lean_vectors::Case& one);

}  // namespace beamline::chain::lean
