// Nodes that follow each other, through what networks do to them.
#include "tests/node/sim_node.h"
#include "tests/sim/replay.h"

namespace beamline::node {
namespace {

using chain::Origin;

class NodeSim : public testing::TestWithParam<Joined> {};
INSTANTIATE_TEST_SUITE_P(, NodeSim, testing::Values(Joined::directly, Joined::by_inboxes),
                         [](const auto& joined) {
                           return joined.param == Joined::directly ? "OneReactor" : "TwoReactors";
                         });

void run_slots(sim::World& world, int64_t slots) { world.run_for(kSlot * slots); }

// What must hold however bad the network was.
void expect_clean(SimNode& node) {
  EXPECT_EQ(node.chain_stats().fetched_twice, 0u);
  EXPECT_EQ(node.network_stats().violations, 0u);
  EXPECT_EQ(node.chain_stats().charges, 0u);
  EXPECT_EQ(node.network_stats().gossip_undecodable, 0u);
  EXPECT_EQ(node.network_stats().chunks_undecodable, 0u);
}

TEST_P(NodeSim, TwoNodesFollowEachBlockByGossip) {
  sim::World world(1, sim::traced({}));
  SimNode maker(world, GetParam()), follower(world, GetParam());
  follower.dial(maker);
  maker.start();
  follower.start();
  maker.produce();
  world.run_for(kSlot / 2);
  for (Slot slot = 1; slot <= 12; ++slot) {
    run_slots(world, 1);
    EXPECT_EQ(maker.head().slot, slot);
    EXPECT_EQ(follower.head().root, maker.head().root) << "slot " << slot;
  }
  EXPECT_EQ(follower.imported(Origin::gossip), maker.imported(Origin::own));
  EXPECT_EQ(follower.chain_stats().fetched_bodies, 0u);
  expect_clean(maker);
  expect_clean(follower);
}

}  // namespace
}  // namespace beamline::node
