// leanSpec's vectors of the chain: all of the folder BEAMLINE_VECTORS, and the short ones that
// stand in the tree.

#include "tests/chain/lean_vectors.h"

namespace beamline::chain::lean {
namespace {

using lean_vectors::each;

TEST(LeanVectors, ForkChoice) { each("lean/fork_choice", run_fork_choice); }
TEST(LeanVectors, StateTransition) { each("lean/state_transition", run_state_transition); }
TEST(LeanVectors, Justifiability) { each("lean/justifiability", run_justifiability); }
TEST(LeanVectors, SlotClock) { each("lean/slot_clock", run_slot_clock); }
TEST(LeanVectors, Sync) { each("lean/sync", run_sync); }

}  // namespace
}  // namespace beamline::chain::lean
