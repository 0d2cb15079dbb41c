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

uint64_t fetched(SimNode& node) {
  return node.imported(Origin::by_root) + node.imported(Origin::by_range);
}

// What must hold however bad the network was.
void expect_clean(SimNode& node) {
  EXPECT_EQ(node.chain_stats().fetched_twice, 0u);
  EXPECT_EQ(node.network_stats().violations, 0u);
  EXPECT_EQ(node.network_stats().gossip_undecodable, 0u);
  EXPECT_EQ(node.network_stats().chunks_undecodable, 0u);
}

// A maker and a follower that dials it.
struct Two {
  Two(uint64_t seed, const sim::Options& options, Joined joined)
      : world(seed, sim::traced(options)), maker(world, joined), follower(world, joined) {
    follower.dial(maker);
  }
  // Without faults from here on: both get to the same head, and it is a recent one.
  void expect_equal_in_the_end() {
    world.calm();
    run_slots(world, 20);
    maker.stop_producing();
    EXPECT_TRUE(run_until_heads_equal(world, {&maker, &follower})) << describe(maker) << "\n"
                                                                   << describe(follower);
    EXPECT_GE(maker.head().slot + 1, maker.chain().current_slot(world.now(0).wall) - 30);
    EXPECT_EQ(follower.log().size(), maker.log().size());
    expect_clean(maker);
    expect_clean(follower);
  }

  sim::World world;
  SimNode maker, follower;
};

// Loss, latency that varies, short reads and writes, completions and turns that come late.
sim::Options rough(uint64_t seed) {
  Rng rng(seed);
  sim::Options options;
  options.link.latency_min = milliseconds(static_cast<int64_t>(rng.between(0, 20)));
  options.link.latency_max = options.link.latency_min + milliseconds(80);
  options.link.loss = static_cast<sim::Rate>(rng.below(100'000));
  options.link.bandwidth = rng.chance(1, 3) ? 20'000 : 0;
  options.short_read = static_cast<sim::Rate>(rng.below(700'000));
  options.short_write = static_cast<sim::Rate>(rng.below(700'000));
  options.segment = static_cast<uint32_t>(rng.between(100, 4000));
  options.completion_delay = options.wake_delay = options.schedule_delay =
      microseconds(static_cast<int64_t>(rng.below(2000)));
  options.spurious_turn = static_cast<sim::Rate>(rng.below(100'000));
  options.drop_more = options.partial_submit = static_cast<sim::Rate>(rng.below(100'000));
  return options;
}

TEST_P(NodeSim, TwoNodesFollowEachBlockByGossip) {
  Two two(1, {}, GetParam());
  two.maker.start();
  two.follower.start();
  two.maker.produce();
  two.world.run_for(kSlot / 2);
  for (Slot slot = 1; slot <= 12; ++slot) {
    run_slots(two.world, 1);
    EXPECT_EQ(two.maker.head().slot, slot);
    EXPECT_EQ(two.follower.head().root, two.maker.head().root) << "slot " << slot;
  }
  EXPECT_EQ(two.follower.imported(Origin::gossip), two.maker.imported(Origin::own));
  EXPECT_EQ(two.follower.chain_stats().fetched_bodies, 0u);
  expect_clean(two.maker);
  expect_clean(two.follower);
}

TEST_P(NodeSim, TwoNodesFollowThroughLossLatencyAndShortReadsAndWrites) {
  sim::for_each_seed(seeds(20, 300), [&](uint64_t seed) {
    const sim::Options options = rough(seed);
    const sim::Replay replay(seed, options);
    Two two(seed, options, GetParam());
    two.maker.start();
    two.follower.start();
    two.maker.produce();
    run_slots(two.world, 20);
    EXPECT_EQ(two.follower.network_stats().disconnected, 0u);
    two.expect_equal_in_the_end();
    // A block that comes before the peers' handshake is fetched; no other.
    EXPECT_LE(fetched(two.follower), 3u);
  });
}

TEST_P(NodeSim, TwoNodesFollowAfterAPartitionHeals) {
  sim::for_each_seed(seeds(20, 300), [&](uint64_t seed) {
    const sim::Options options = seed % 2 == 0 ? rough(seed) : sim::Options{};
    const sim::Replay replay(seed, options);
    Two two(seed, options, GetParam());
    two.maker.start();
    two.follower.start();
    two.maker.produce();
    run_slots(two.world, 5);
    two.world.net().partition(two.maker.host(), two.follower.host());
    const auto length = static_cast<int64_t>(Rng(seed).between(1, 60));
    run_slots(two.world, length);
    EXPECT_LT(two.follower.head().slot, two.maker.head().slot);
    two.world.net().heal_all();
    run_slots(two.world, 15);
    two.expect_equal_in_the_end();
    if (length > 40) {
      EXPECT_GT(two.follower.network_stats().connected, 1u);
    }
  });
}

TEST_P(NodeSim, TwoNodesFollowThroughResetsAndPartitionsAndAllElse) {
  sim::for_each_seed(seeds(30, 500), [&](uint64_t seed) {
    const sim::Options options = sim::Options::swarm(seed);
    const sim::Replay replay(seed, options);
    Two two(seed, options, GetParam());
    two.maker.start();
    two.follower.start();
    two.maker.produce();
    run_slots(two.world, 30);
    two.expect_equal_in_the_end();
  });
}

TEST_P(NodeSim, LateNodeCatchesUpByRangeThenFollowsByGossip) {
  sim::for_each_seed(seeds(20, 200), [&](uint64_t seed) {
    const sim::Options options = seed % 2 == 0 ? rough(seed) : sim::Options{};
    const sim::Replay replay(seed, options);
    Two two(seed, options, GetParam());
    two.maker.start();
    two.maker.produce();
    run_slots(two.world, 30);
    EXPECT_GE(two.maker.head().slot, 29u);
    two.follower.start();
    EXPECT_TRUE(run_until_heads_equal(two.world, {&two.maker, &two.follower}));
    const Slot joined = two.follower.head().slot;
    const size_t before = two.follower.log().size();
    EXPECT_GT(two.follower.imported(Origin::by_range), 20u);
    EXPECT_GE(two.maker.chain_stats().served_chunks, 29u);
    EXPECT_EQ(two.maker.chain_stats().served_chunks, two.follower.chain_stats().fetched_bodies);
    run_slots(two.world, 20);
    two.expect_equal_in_the_end();
    for (size_t i = before; i < two.follower.log().size(); ++i) {
      const chain::BlockImported& block = two.follower.log()[i];
      if (block.slot <= joined + 1) continue;
      EXPECT_EQ(block.origin, Origin::gossip) << block.slot;
    }
  });
}

// A gap that is not worth a range: its blocks are asked for by root, from the newest down.
TEST_P(NodeSim, LateNodeFetchesAShortGapByRoot) {
  Two two(1, {}, GetParam());
  two.maker.start();
  two.maker.produce();
  run_slots(two.world, 3);
  two.follower.start();
  two.world.run_for(seconds(1));
  EXPECT_EQ(two.follower.head().root, two.maker.head().root);
  EXPECT_EQ(two.follower.imported(Origin::by_root), 3u);
  EXPECT_EQ(two.follower.imported(Origin::by_range), 0u);
  expect_clean(two.follower);
}

TEST_P(NodeSim, BlocksGoDownALineOfNodesByGossip) {
  sim::for_each_seed(seeds(4, 60), [&](uint64_t seed) {
    const sim::Options options = seed % 2 == 0 ? rough(seed) : sim::Options{};
    const sim::Replay replay(seed, options);
    sim::World world(seed, sim::traced(options));
    std::vector<std::unique_ptr<SimNode>> nodes;
    std::vector<SimNode*> all;
    const size_t length = 4 + seed % 5;
    for (size_t i = 0; i < length; ++i) {
      nodes.push_back(std::make_unique<SimNode>(world, GetParam()));
      all.push_back(nodes.back().get());
      if (i > 0) nodes[i]->dial(*nodes[i - 1]);
      nodes[i]->start();
    }
    world.run_for(seconds(5));  // the meshes
    nodes[0]->produce();
    run_slots(world, 15);
    nodes[0]->stop_producing();
    EXPECT_TRUE(run_until_heads_equal(world, all));
    EXPECT_GE(nodes[0]->head().slot, 10u);
    for (const auto& node : nodes) {
      expect_clean(*node);
      if (node == nodes[0]) continue;
      EXPECT_EQ(node->imported(Origin::gossip) + fetched(*node), nodes[0]->imported(Origin::own));
      EXPECT_EQ(fetched(*node), 0u);
    }
  });
}

TEST_P(NodeSim, TheSameSeedGivesTheSameHistory) {
  sim::for_each_seed(seeds(5, 50), [&](uint64_t seed) {
    const sim::Options options = sim::Options::swarm(seed);
    const sim::Replay replay(seed, options);
    std::array<uint64_t, 2> digests{};
    for (uint64_t& digest : digests) {
      Two two(seed, options, GetParam());
      two.maker.start();
      two.maker.produce();
      run_slots(two.world, 8);
      two.follower.start();
      run_slots(two.world, 12);
      two.follower.stop();
      digest = two.world.digest();
    }
    EXPECT_EQ(digests[0], digests[1]);
  });
}

}  // namespace
}  // namespace beamline::node
