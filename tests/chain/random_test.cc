// Simulated networks of liars, silence and loss, from a seed: every honest block is imported in the
// end, nothing is lost, no body is transferred twice, and the limits hold after every turn.
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/chain/sim.h"

namespace beamline::chain {
namespace {

using namespace beamline::chain::testing;

uint64_t first_seed() {
  const char* seed = std::getenv("BEAMLINE_SEED");
  return seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10);
}
// One seed if it is given, or as many as BEAMLINE_SEEDS says.
uint64_t seeds(uint64_t usual) {
  if (const char* many = std::getenv("BEAMLINE_SEEDS")) return std::strtoull(many, nullptr, 10);
  return std::getenv("BEAMLINE_SEED") == nullptr ? usual : 1;
}

std::string replay(uint64_t seed, const char* test) {
  return "replay: BEAMLINE_SEED=" + std::to_string(seed) + " test_chain --gtest_filter=" + test;
}

// What must hold after every turn, whatever came in.
void check_invariants(const Sim& sim) {
  const Chain& chain = sim.chain;
  const Limits& limits = chain.limits();
  EXPECT_LE(chain.cache().size(), limits.cached_blocks);
  EXPECT_LE(chain.cache().bytes(), limits.cached_bytes);
  EXPECT_LE(chain.pending().size(), limits.pending_roots);
  // Each missing parent is wanted, and what is wanted is not here.
  for (const auto& [root, cached] : chain.cache().blocks()) {
    const Root& parent = cached.block.parent_root;
    const bool known = chain.tree().contains(parent) || chain.cache().contains(parent);
    EXPECT_TRUE(known || chain.pending().find(parent) != nullptr) << "a lost root";
  }
  std::map<Root, uint32_t> in_flight;
  for (const auto& [id, request] : chain.requests().all()) {
    const Peer* peer = chain.peers().find(request.peer);
    EXPECT_NE(peer, nullptr);
    if (peer != nullptr) {
      EXPECT_LE(peer->in_flight, limits.requests_per_peer);
    }
    for (const Request::Owed& owed : request.owed) {
      if (owed.came) continue;
      EXPECT_LE(++in_flight[owed.root], 1u) << "requested twice at once";
    }
  }
  for (const auto& [root, wanted] : chain.pending().roots()) {
    EXPECT_FALSE(chain.tree().contains(root) || chain.cache().contains(root));
    const bool flies = wanted.state == PendingRoot::State::in_flight;
    EXPECT_EQ(flies, in_flight.contains(root));
    const bool held = wanted.state == PendingRoot::State::by_range;
    EXPECT_TRUE(!held || chain.range().active());
  }
}

Manner random_liar(Rng& rng) {
  constexpr Manner kLiars[] = {Manner::silent,    Manner::empty,        Manner::wrong_root,
                               Manner::duplicate, Manner::out_of_order, Manner::omits,
                               Manner::too_many,  Manner::forged,       Manner::cuts};
  return kLiars[rng.below(std::size(kLiars))];
}

struct Outcome {
  bool converged = false;
  uint64_t imported = 0;
  uint64_t requests = 0;
  int64_t elapsed_ns = 0;
};

// A chain with skipped slots, followed by gossip that loses blocks, beside liars; the last block
// always arrives.
Outcome run_once(uint64_t seed, ChainConfig::Import import) {
  ChainConfig config = make_config();
  config.import = import;
  Sim sim(seed, config);
  sim.import_time = milliseconds(static_cast<int64_t>(sim.rng.below(30)));
  const size_t behind = sim.rng.below(400);
  const size_t live = 20 + sim.rng.below(60);
  std::vector<BlockInfo> blocks;
  Root parent = sim.chain.head().root;
  Slot slot = 0;
  for (size_t i = 0; i < behind + live; ++i) {
    slot += 1 + (sim.rng.chance(1, 8) ? sim.rng.below(4) : 0);
    blocks.push_back(make_block(parent, slot));
    parent = blocks.back().root;
  }
  for (size_t i = 0; i < 3; ++i) {
    SimPeer& peer = sim.add_peer();
    peer.rtt = milliseconds(sim.rng.between(1, 200));
    peer.loss_per_mille = sim.rng.below(300);
  }
  const size_t liars = sim.rng.below(6);
  for (size_t i = 0; i < liars; ++i) {
    sim.add_peer(random_liar(sim.rng)).rtt = milliseconds(sim.rng.between(1, 100));
  }
  sim.know({blocks.begin(), blocks.begin() + static_cast<int64_t>(behind + 1)});
  for (const SimPeer& peer : sim.peers) sim.status(peer);
  for (size_t i = 0; i < live; ++i) {
    const size_t index = behind + i;
    sim.at(seconds(1) * static_cast<int64_t>(i), [&sim, &blocks, index] {
      sim.know({blocks.begin(), blocks.begin() + static_cast<int64_t>(index + 1)});
      if (index + 1 < blocks.size() && sim.rng.chance(3, 10)) return;  // gossip lost it
      sim.gossip(sim.peers[sim.rng.below(3)], blocks[index]);
    });
  }
  Outcome outcome;
  outcome.converged = sim.run(seconds(600), [&] {
    check_invariants(sim);
    return sim.head_is(blocks.back()) || ::testing::Test::HasFailure();
  });
  outcome.imported = sim.chain.stats().imported;
  outcome.requests = sim.requests;
  outcome.elapsed_ns = sim.now.mono.ns;
  EXPECT_EQ(outcome.imported, blocks.size());
  for (const BlockInfo& block : blocks) EXPECT_TRUE(sim.chain.tree().contains(block.root));
  for (const auto& [root, count] : sim.bodies) EXPECT_EQ(count, 1u) << "a body came twice";
  for (size_t i = 0; i < 3; ++i) EXPECT_FALSE(sim.peers[i].disconnected) << "an honest peer";
  // Every message of the mesh has its verdict.
  EXPECT_EQ(sim.verdicts_given.size(), sim.verdicts);
  EXPECT_LE(outcome.requests, 40 + 4 * live + blocks.size() / 8) << "a storm";
  return outcome;
}

TEST(RandomSimulation, EveryHonestBlockIsImportedAndNoBodyComesTwice) {
  const uint64_t first = first_seed();
  for (uint64_t seed = first; seed < first + seeds(150); ++seed) {
    SCOPED_TRACE(replay(seed, "RandomSimulation.EveryHonestBlockIsImportedAndNoBodyComesTwice"));
    const bool ask = seed % 2 == 0;
    const Outcome outcome =
        run_once(seed, ask ? ChainConfig::Import::ask : ChainConfig::Import::accept);
    ASSERT_TRUE(outcome.converged);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(RandomSimulation, ASeedReplays) {
  for (uint64_t seed = 900; seed < 905; ++seed) {
    const Outcome a = run_once(seed, ChainConfig::Import::ask);
    const Outcome b = run_once(seed, ChainConfig::Import::ask);
    EXPECT_EQ(a.imported, b.imported);
    EXPECT_EQ(a.requests, b.requests);
    EXPECT_EQ(a.elapsed_ns, b.elapsed_ns);
  }
}

// Random trees, in random order, from gossip alone and with by-root: what can be connected is.
TEST(RandomSimulation, RandomTreesOfOrphansConnect) {
  const uint64_t first = first_seed();
  for (uint64_t seed = first; seed < first + seeds(100); ++seed) {
    SCOPED_TRACE(replay(seed, "RandomSimulation.RandomTreesOfOrphansConnect"));
    Sim sim(seed);
    sim.add_peer().rtt = milliseconds(20);
    sim.add_peer().rtt = milliseconds(30);
    std::vector<BlockInfo> tree{make_genesis()};
    for (size_t i = 0; i < 200; ++i) {
      const size_t back = sim.rng.below(std::min<size_t>(tree.size(), 6));
      const BlockInfo& parent = tree[tree.size() - 1 - back];
      tree.push_back(make_block(parent.root, parent.slot + 1 + sim.rng.below(2), i));
    }
    tree.erase(tree.begin());
    for (const BlockInfo& block : tree) sim.by_root[block.root] = block;
    std::vector<BlockInfo> order = tree;
    shuffle(std::span(order), sim.rng);
    std::set<Root> told;
    for (size_t i = 0; i < order.size(); i += 2) {
      sim.at(milliseconds(static_cast<int64_t>(i)),
             [&sim, block = order[i]] { sim.gossip(sim.peers[sim.rng.below(2)], block); });
      told.insert(order[i].root);
    }
    sim.run(seconds(120), [&] {
      check_invariants(sim);
      return ::testing::Test::HasFailure();
    });
    for (const Root& root : told) EXPECT_TRUE(sim.chain.tree().contains(root));
    for (const auto& [root, count] : sim.bodies) EXPECT_EQ(count, 1u);
    EXPECT_TRUE(sim.chain.idle());
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace beamline::chain
