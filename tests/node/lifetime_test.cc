// The end of a node, at whatever moment it comes: nothing in flight, no socket open, nothing used
// that has gone, and the node can begin anew.
#include "tests/node/sim_node.h"
#include "tests/sim/replay.h"

namespace beamline::node {
namespace {

void run_and_end(uint64_t seed, Joined joined) {
  const sim::Options options = sim::Options::swarm(seed);
  const sim::Replay replay(seed, options);
  sim::World world(seed, sim::traced(options));
  Rng rng(seed);
  std::vector<std::unique_ptr<SimNode>> nodes;
  for (size_t i = 0; i < 3; ++i) {
    nodes.push_back(std::make_unique<SimNode>(world, joined));
    for (size_t j = 0; j < i; ++j) nodes[i]->dial(*nodes[j]);
  }
  nodes[0]->start();
  nodes[0]->produce();
  world.run_for(kSlot * static_cast<int64_t>(rng.below(40)));
  for (size_t i = 1; i < 3; ++i) {
    nodes[i]->start();
    world.run_for(Duration{rng.between(0, 50'000'000)});
  }
  // Some ends are orderly, some come in the middle of the leaving.
  for (int round = 0; round < 4; ++round) {
    world.run_for(rng.chance(1, 2) ? Duration{rng.between(0, 100'000'000)}
                                   : milliseconds(static_cast<int64_t>(rng.below(20'000))));
    SimNode& node = *nodes[rng.below(3)];
    if (!node.running()) {
      node.start();
      if (&node == nodes[0].get()) node.produce();
      continue;
    }
    if (rng.chance(1, 2)) node.begin_to_leave();
    world.run_for(Duration{rng.between(0, 20'000'000)});
    node.stop();
  }
  for (const auto& node : nodes) node->stop();
}

TEST(NodeLifetime, AnEndInTheMiddleOfEverythingOnOneReactor) {
  sim::for_each_seed(seeds(60, 1000), [](uint64_t seed) { run_and_end(seed, Joined::directly); });
}

TEST(NodeLifetime, AnEndInTheMiddleOfEverythingOnTwoReactors) {
  sim::for_each_seed(seeds(60, 1000), [](uint64_t seed) { run_and_end(seed, Joined::by_inboxes); });
}

// A core that ends before its network, as when its thread was faster.
TEST(NodeLifetime, TheCoreMayEndFirst) {
  sim::for_each_seed(seeds(20, 200), [](uint64_t seed) {
    const sim::Replay replay(seed, {});
    sim::World world(seed, sim::traced({}));
    SimNode maker(world, Joined::directly), follower(world, Joined::by_inboxes);
    follower.dial(maker);
    maker.start();
    maker.produce();
    world.run_for(kSlot * 20);
    follower.start();
    world.run_for(Duration{Rng(seed).between(0, 10'000'000)});
    follower.stop_core_first();
    EXPECT_FALSE(follower.running());
  });
}

}  // namespace
}  // namespace beamline::node
