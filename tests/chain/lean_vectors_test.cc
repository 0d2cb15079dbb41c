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

// The few that stand in the tree: each family has one at least.
TEST(LeanVectors, OfTheTree) {
  const std::map<std::string, bool (*)(const lean_vectors::Case&)> runs = {
      {"lean/fork_choice", run_fork_choice},
      {"lean/state_transition", run_state_transition},
      {"lean/justifiability", run_justifiability},
      {"lean/slot_clock", run_slot_clock},
      {"lean/sync", run_sync},
  };
  std::set<std::string> seen;
  const std::filesystem::path folder =
      std::filesystem::path(BEAMLINE_SOURCE_DIR) / "tests" / "vectors" / "lean";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path());
    const lean_vectors::Case one{entry.path(), lean_vectors::Json::parse(file)};
    const std::string family = lean_vectors::family_of(one.json);
    ASSERT_TRUE(runs.contains(family)) << family;
    EXPECT_TRUE(runs.at(family)(one));
    seen.insert(family);
  }
  EXPECT_EQ(seen.size(), runs.size());
}

}  // namespace
}  // namespace beamline::chain::lean
